// SPDX-License-Identifier: GPL-2.0
/*
 * A server attaches each connection that it accepts, with the socket locked: that must
 * not wait for all CPUs to have been elsewhere, a grace period of RCU, however many
 * connections there are. Nor must giving them up, when they are closed.
 */
#include <errno.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common.h"

#define SEED	0x9c1
#define NR	200
#define PERIODS	(NR / 4)

static struct bound b;
static struct conn c[NR];

/* How long so many grace periods take here and now: each of these calls waits for
 * one, unless there is but one CPU.
 */
static long long grace_periods(void)
{
	long long begin = now_ms();
	int i;

	for (i = 0; i < PERIODS; i++)
		if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
			skip("membarrier: %s", strerror(errno));
	return now_ms() - begin;
}

static void connect_all(void)
{
	int i;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		skip("with one CPU nobody waits");
	bind_buffer(&b, DEVMEM_BUF_GPU, 16 << 20, 65536);
	for (i = 0; i < NR; i++)
		connect_pair(&c[i], i & 1 ? AF_INET6 : AF_INET);
}

static long long attach_all(void)
{
	long long begin = now_ms();
	int i;

	for (i = 0; i < NR; i++)
		attach(c[i].rx, &b);
	return now_ms() - begin;
}

static void compare(const char *what, long long took)
{
	long long periods = grace_periods();

	diag("%d times %s: %lld ms; %d grace periods: %lld ms", NR, what, took,
	     PERIODS, periods);
	check_cmp(took, <, periods);
}

static void attach_one_by_one(void)
{
	connect_all();
	compare("attach", attach_all());
}

static void close_one_by_one(void)
{
	long long begin;
	int i;

	connect_all();
	attach_all();
	begin = now_ms();
	for (i = 0; i < NR; i++)
		close(c[i].rx);
	compare("close", now_ms() - begin);
}

/* The first byte of each comes right after it was attached, and is placed. */
static void bytes_at_once(void)
{
	struct rx rx;
	int i;

	connect_all();
	for (i = 0; i < NR; i++) {
		attach(c[i].rx, &b);
		send_pattern(c[i].tx, 3000, 0, SEED, 3000);
		rx_init(&rx, c[i].rx, &b, SEED);
		rx_all(&rx, 3000);
		check_eq(rx.placed, 3000);
		rx_free(&rx);
	}
}

static void setup(void)
{
	env_setup(8);
	env_patient();
}

static const struct ktap_case cases[] = {
	KTAP_CASE(attach_one_by_one, .timeout = 60),
	KTAP_CASE(close_one_by_one, .timeout = 60),
	KTAP_CASE(bytes_at_once, .timeout = 60),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
