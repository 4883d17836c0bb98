// SPDX-License-Identifier: GPL-2.0
/*
 * Bytes that lay in the buffer, acknowledged and not yet received, when the exporter
 * took its memory back: nobody gets them for good ones, and everybody learns which
 * they are.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common.h"
#include "common_ctl.h"

#define SEED	1010
#define BUFFER	(4U << 20)
#define CHUNK	65536
#define SENT	300000U		/* more than one chunk, and no whole number of them */
#define READ	100000U
#define LATER	200000U

static struct bound b;
static struct conn c;
static struct rx rx;

static void begin(unsigned int attach_flags)
{
	struct conn_opts opts = { .family = AF_INET6, .rcvbuf = 4 << 20 };

	bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, CHUNK);
	connect_with(&c, &opts);
	check_eq(devmem_attach(c.rx, b.res.id, devmem_buf_fd(b.buf), attach_flags), 0);
	rx_init(&rx, c.rx, &b, SEED);
	rx.lossy = attach_flags;
	rx.keep = true;
	send_pattern(c.tx, SENT, 0, SEED, 7000);
	rx_queued(&rx, SENT);
}

static void take_back(void)
{
	check_eq(ctl_gpu_revoke(devmem_buf_fd(b.buf)), 0);
}

static uint32_t free_chunks(void)
{
	struct devmem_bind_info info;

	bound_info(&b, &info);
	return info.chunks_free;
}

/* What came after the memory had gone is right, and in host memory. */
static void later(void)
{
	uint64_t host = rx.host;

	send_pattern(c.tx, LATER, SENT, SEED, 7000);
	rx_all(&rx, LATER);
	check_eq(rx.host - host, LATER);
}

/* Exactly those that were placed and not yet received, peeked at or not. */
static void named(void)
{
	uint64_t placed, lost = 0;
	unsigned int i;

	begin(DEVMEM_ATTACH_REPORT_LOST);
	rx_all(&rx, READ);
	placed = rx_check_info(&rx).placed_bytes;
	check_cmp(placed, >, READ);
	take_back();

	check_cmp(rx_peek_at(&rx, 0), >, 0);
	for (i = 0; i < rx.nr_last; i++)
		lost += rx.last[i].lost ? rx.last[i].size : 0;
	check_cmp(lost, >, 0);
	check_eq(rx_check_info(&rx).lost_bytes, 0);

	rx_all(&rx, SENT - READ);
	check_eq(rx.lost, placed - rx.placed);
	check_eq(rx.placed + rx.lost + rx.host, SENT);
	later();

	/* what had been given out before is still held, and nothing else is */
	rx_check_info(&rx);
	check_cmp(free_chunks(), <, BUFFER / CHUNK);
	rx_return(&rx);
	check_eq(rx_check_info(&rx).tokens_held, 0);
	check_eq(free_chunks(), BUFFER / CHUNK);
}

/* The end of the binding does not bring them back. */
static void named_after_unbind(void)
{
	begin(DEVMEM_ATTACH_REPORT_LOST);
	take_back();
	unbind(&b);
	rx_all(&rx, SENT);
	check_eq(rx.placed, 0);
	check_cmp(rx.lost, >, 0);
	later();
}

/* Who was not told of lost bytes by his own wish gets none, and no further. */
static void not_asked_for(void)
{
	uint64_t first, host;
	ssize_t n;

	begin(0);
	rx_all(&rx, READ);
	first = rx.pos;
	host = rx.host;
	take_back();

	/* bytes in host memory may still come before them */
	while ((n = rx_recv(&rx, MSG_DONTWAIT)) > 0)
		;
	check_eq(n, -EIO);
	check_eq(rx.pos - first, rx.host - host);
	check_eq(rx_recv(&rx, MSG_DONTWAIT), -EIO);
	check_eq(rx_peek_at(&rx, 0), -EIO);
	check_eq(rx_recv(&rx, MSG_WAITALL), -EIO);
	check_eq(rx_check_info(&rx).lost_bytes, 0);

	/* over them, with one's eyes open */
	rx.linear_size = SENT - rx.pos;
	check_eq(rx_recv(&rx, MSG_DONTWAIT | MSG_TRUNC), rx.linear_size);
	rx.linear_size = RX_LINEAR;
	later();
	rx_return(&rx);
	check_eq(free_chunks(), BUFFER / CHUNK);
}

/* Good ones come first, in the same call. */
static void stops_before_them(void)
{
	struct conn_opts opts = { .family = AF_INET, .rcvbuf = 4 << 20 };
	uint64_t n = 5000;

	bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, CHUNK);
	connect_with(&c, &opts);
	/* these come before the socket is attached */
	rx_init(&rx, c.rx, &b, SEED);
	send_pattern(c.tx, n, 0, SEED, 5000);
	rx_queued(&rx, n);
	check_eq(devmem_attach(c.rx, b.res.id, devmem_buf_fd(b.buf), 0), 0);
	send_pattern(c.tx, SENT, n, SEED, 7000);
	rx_queued(&rx, n + SENT);
	check_eq(rx_check_info(&rx).fallback_bytes, 0);
	take_back();

	check_eq(rx_recv(&rx, MSG_DONTWAIT), (ssize_t)n);
	check_eq(rx.host, n);
	check_eq(rx_recv(&rx, MSG_DONTWAIT), -EIO);
}

/* An unbind takes nothing away: the memory is still the exporter's, as it was. */
static void not_lost_by_unbind(void)
{
	begin(DEVMEM_ATTACH_REPORT_LOST);
	unbind(&b);
	rx_all(&rx, SENT);
	check_eq(rx.lost, 0);
	check_cmp(rx.placed, >, 0);
	rx_check_held(&rx);
	rx_return(&rx);
}

static void setup(void)
{
	env_setup(4);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(named),
	KTAP_CASE(named_after_unbind),
	KTAP_CASE(not_asked_for),
	KTAP_CASE(stops_before_them),
	KTAP_CASE(not_lost_by_unbind),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
