// SPDX-License-Identifier: GPL-2.0
/*
 * hds-thresh: packets up to that length keep their payload beside their headers.
 * What the setting does is seen in the kernel's tracepoint of each packet that the
 * NIC hands up. Queues that are bound to device memory exclude it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common_provider.h"

#define MIB	(1UL << 20)
#define TRACING	"/sys/kernel/tracing/"
#define MAX	1024

static struct ctl_nl nl;

static void setup(void)
{
	env_setup(4);
	ask_for_split();
}

static void need_hds(void)
{
	uint32_t thresh, max;

	if (!get_hds_thresh(&thresh, &max))
		skip("this kernel has no hds-thresh");
}

static void refused(const struct ctl_answer *answer, int err, const char *text)
{
	check_eq(answer->err, err);
	if (!strstr(answer->text, text))
		fail("extack is '%s', should have '%s'", answer->text, text);
}

static void set(uint32_t thresh)
{
	struct ctl_answer answer;
	uint32_t now, max;

	set_hds_thresh(thresh, &answer);
	if (answer.err)
		fail("hds-thresh %u: %s: %s", thresh, strerror(answer.err), answer.text);
	check(get_hds_thresh(&now, &max));
	check_eq(now, thresh);
	check_eq(max, MAX);
}

static void reported(void)
{
	uint32_t thresh, max;

	need_hds();
	check(get_hds_thresh(&thresh, &max));
	check_eq(thresh, 0);
	check_eq(max, MAX);
	set(256);
	set(MAX);
	set(0);
}

static void above_maximum(void)
{
	struct ctl_answer answer;
	uint32_t thresh, max;

	need_hds();
	set(100);
	set_hds_thresh(MAX + 1, &answer);
	refused(&answer, EINVAL, "exceeds maximum");
	check(get_hds_thresh(&thresh, &max));
	check_eq(thresh, 100);
	set(0);
}

static void trace_write(const char *file, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), TRACING "%s", file);
	f = fopen(path, "w");
	if (!f)
		skip("no tracing here");
	fputs(text, f);
	fclose(f);
}

/* The most bytes outside the header buffer that a packet of nsd0 with @len bytes
 * behind its MAC header had; -1: there was no such packet.
 */
static long traced(unsigned int len)
{
	unsigned int packet_len, data_len;
	char line[1024], *at;
	long most = -1;
	FILE *f = fopen(TRACING "trace", "r");

	check(f);
	while (fgets(line, sizeof(line), f)) {
		at = strstr(line, " len=");
		if (!strstr(line, "dev=nsd0") || !at ||
		    sscanf(at, " len=%u data_len=%u", &packet_len, &data_len) != 2)
			continue;
		if (packet_len == len && (long)data_len > most)
			most = (long)data_len;
	}
	fclose(f);
	return most;
}

/* One segment with @payload bytes: how many of them came apart from the headers? */
static long apart(const struct conn *c, unsigned int payload)
{
	char buf[2048] = { 0 };

	trace_write("trace", "");
	check_eq(send(c->tx, buf, payload, 0), payload);
	check_eq(recv(c->rx, buf, payload, MSG_WAITALL), payload);
	/* IPv4, TCP with time stamps */
	return traced(20 + 32 + payload);
}

static void effect(void)
{
	struct conn c;

	need_hds();
	trace_write("events/net/napi_gro_receive_entry/enable", "1");
	connect_pair(&c, AF_INET);
	/* the packet has 14 + 52 bytes of headers; what the header buffer has room for
	 * goes there in any case
	 */
	check_eq(apart(&c, 190), 0);
	check_eq(apart(&c, 191), 191);
	check_eq(apart(&c, 900), 900);
	set(366);
	check_eq(apart(&c, 300), 14 + 52 + 300 - 256);
	check_eq(apart(&c, 301), 301);
	check_eq(apart(&c, 900), 900);
	/* what the header buffer has no room for is elsewhere in any case */
	set(MAX);
	check_eq(apart(&c, 190), 0);
	check_eq(apart(&c, 900), 14 + 52 + 900 - 256);
	check_eq(apart(&c, 1000), 1000);
	set(0);
	check_eq(apart(&c, 300), 300);
	trace_write("events/net/napi_gro_receive_entry/enable", "0");
}

static void bound_queue(void)
{
	static const uint32_t queue = 1;
	struct ctl_answer answer;
	struct bound b = { 0 };

	need_hds();
	set(256);
	kernel_bind(&nl, &b, DEVMEM_BUF_UDMABUF, MIB, &queue, 1, &answer);
	refused(&answer, EINVAL, "hds-thresh is not zero");
	devmem_bind(&nl, &b, queue, &answer);
	refused(&answer, EINVAL, "queue 1 cannot be bound: hds-thresh is 256");
	set(0);

	devmem_bind(&nl, &b, queue, &answer);
	check_eq(answer.err, 0);
	set_hds_thresh(1, &answer);
	refused(&answer, EBUSY, "queue 1 is bound: hds-thresh stays 0");
	ctl_nl_close(&nl);
	set(1);
	set(0);

	kernel_bind(&nl, &b, 0, 0, &queue, 1, &answer);
	check_eq(answer.err, 0);
	set_hds_thresh(1, &answer);
	refused(&answer, EINVAL, "can't set non-zero hds_thresh");
	kernel_unbind(&nl);
	set(1);
	set(0);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(reported),
	KTAP_CASE(above_maximum),
	KTAP_CASE(effect),
	KTAP_CASE(bound_queue),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
