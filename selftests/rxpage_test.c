// SPDX-License-Identifier: GPL-2.0
/*
 * rx-page-size: the kernel's own devmem TCP with pages larger than the machine's.
 * Pieces of a stream are as long then as a page allows.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common_provider.h"

#define SEED	0x70616765ULL
#define KIB	1024UL
#define MIB	(1UL << 20)
#define QUEUES	4
#define SOME	100000	/* nobody has to read for it to be sent */

static struct ctl_nl nl;

static void setup(void)
{
	env_setup(QUEUES);
	ask_for_split();
}

static void bind_pages(struct bound *b, uint32_t page, struct ctl_answer *answer)
{
	static const uint32_t queues[QUEUES] = { 0, 1, 2, 3 };

	kernel_page_size(page);
	kernel_bind(&nl, b, DEVMEM_BUF_HUGETLB, 8 * MIB, queues, QUEUES, answer);
	kernel_page_size(0);
}

static void need_pages(void)
{
	struct ctl_answer answer;
	struct bound b = { 0 };

	need_hugetlb();
	bind_pages(&b, 64 * KIB, &answer);
	/* a kernel that does not know the attribute says so */
	if (answer.err == EINVAL && strstr(answer.text, "attribute type"))
		skip("this kernel has no rx-page-size");
	if (answer.err)
		fail("rx-page-size: %s: %s", strerror(answer.err), answer.text);
	kernel_unbind(&nl);
	devmem_buf_free(b.buf);
}

static void stream(int family, uint32_t page)
{
	struct ctl_answer answer;
	struct bound b = { 0 };
	struct conn c;
	struct rx rx;
	pid_t pid;

	bind_pages(&b, page, &answer);
	if (answer.err)
		fail("rx-page-size %u: %s: %s", page, strerror(answer.err), answer.text);
	connect_pair(&c, family);
	pid = send_start(&c, 8 * MIB, SEED, 60000, SEND_SHUTDOWN);
	kernel_rx_init(&rx, c.rx, &b, SEED);
	rx_all(&rx, 8 * MIB);
	test_join(pid);
	check_eq(rx.placed, 8 * MIB);
	check_eq(rx.host, 0);
	disconnect_pair(&c);
	rx_free(&rx);
	kernel_unbind(&nl);
	devmem_buf_free(b.buf);
}

static void streams(void)
{
	need_pages();
	stream(AF_INET, 4 * KIB);
	stream(AF_INET6, 16 * KIB);
	stream(AF_INET, 64 * KIB);
	stream(AF_INET6, 2 * MIB);
}

/* Down and up: the pages are of that size again. */
static void down_up(void)
{
	struct ctl_answer answer;
	struct bound b = { 0 };
	struct conn c;
	struct rx rx;

	need_pages();
	bind_pages(&b, 64 * KIB, &answer);
	check_eq(answer.err, 0);
	connect_pair(&c, AF_INET);
	kernel_rx_init(&rx, c.rx, &b, SEED);
	send_pattern(c.tx, SOME, 0, SEED, 60000);
	rx_all(&rx, SOME);
	must_cmd("ip link set nsd0 down");
	must_cmd("ip link set nsd0 up");
	send_pattern(c.tx, SOME, rx.pos, SEED, 60000);
	rx_all(&rx, SOME);
	check_eq(rx.placed, 2 * SOME);
	kernel_unbind(&nl);
	send_pattern(c.tx, SOME, rx.pos, SEED, 60000);
	rx_all(&rx, SOME);
	check_eq(rx.host, SOME);
}

static void sizes_refused(void)
{
	static const uint32_t sizes[] = { 5000, 2048, 4 * MIB, 1U << 31 };
	struct ctl_answer answer;
	struct bound b = { 0 };
	unsigned int i;

	need_pages();
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		bind_pages(&b, sizes[i], &answer);
		check(answer.err == EINVAL || answer.err == ERANGE);
		diag("rx-page-size %u: %s: %s", sizes[i], strerror(answer.err), answer.text);
	}
	/* nothing of it is left */
	bind_pages(&b, 0, &answer);
	check_eq(answer.err, 0);
	kernel_unbind(&nl);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(streams, .timeout = 40),
	KTAP_CASE(down_up),
	KTAP_CASE(sizes_refused),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
