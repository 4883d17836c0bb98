// SPDX-License-Identifier: GPL-2.0
/*
 * Somebody in user space looks at every packet of an attached connection and lets it
 * go on (NFQUEUE): whole or in segments, at either hook, in any order. Nobody can cut
 * a placed packet into segments, for a copy would have other bytes: every byte is
 * right, wherever it arrives.
 */
#include "common.h"
#include "common_nft.h"
#include "common_queue.h"

#define SEED	0x9fe
#define STREAM	(4U << 20)
#define PORT	5201

enum hook { PREROUTING, INPUT };

static struct bound b;
static struct conn c;
static struct rx rx;

static void hardware_gro(void *unused)
{
	(void)unused;
	env_enter(RECEIVER);
	cmd("ethtool -K nsd0 rx-gro-hw on gro on");
}

/* Nothing longer than the MTU comes to anybody. */
static void single_segments(void)
{
	defer(hardware_gro, NULL);
	must_cmd("ethtool -K nsd0 rx-gro-hw off gro off");
}

static void inspect(int family, enum hook hook, const struct queue_opts *opts)
{
	nft_table(family);
	nft_add(family, "chain", "look { type filter hook %s priority 0 ; }",
		hook == PREROUTING ? "prerouting" : "input");
	queue_start(opts);
	nft_add(family, "rule", "look tcp dport %d meta mark != %d queue num 0",
		PORT, QUEUE_SEEN);
}

static void open_stream(int family, bool attached)
{
	struct conn_opts opts = { .family = family, .dport = PORT };

	connect_with(&c, &opts);
	if (attached) {
		bind_buffer(&b, DEVMEM_BUF_GPU, 16 << 20, 65536);
		attach(c.rx, &b);
	}
	rx_init(&rx, c.rx, attached ? &b : NULL, SEED);
	rx.plain = !attached;
}

static void stream(size_t size)
{
	pid_t pid = send_start(&c, STREAM, SEED, size, SEND_SHUTDOWN);

	rx_all(&rx, STREAM);
	rx_eof(&rx);
	test_join(pid);
	diag("placed %llu, host %llu", (unsigned long long)rx.placed,
	     (unsigned long long)rx.host);
}

static void inspected(int family, enum hook hook, const struct queue_opts *opts)
{
	inspect(family, hook, opts);
	open_stream(family, true);
	stream(50000);
}

static void plain(void)
{
	inspect(AF_INET, INPUT, &(struct queue_opts){});
	open_stream(AF_INET, false);
	stream(50000);
}

static void plain_in_reverse(void)
{
	inspect(AF_INET6, PREROUTING, &(struct queue_opts){ .reverse = true });
	open_stream(AF_INET6, false);
	stream(50000);
}

static void whole_at_input(void)
{
	inspected(AF_INET, INPUT, &(struct queue_opts){ .gso = true });
}

static void whole_at_prerouting(void)
{
	inspected(AF_INET6, PREROUTING, &(struct queue_opts){ .gso = true });
}

static void cut_at_input_ipv4(void)
{
	inspected(AF_INET, INPUT, &(struct queue_opts){});
}

static void cut_at_input_ipv6(void)
{
	inspected(AF_INET6, INPUT, &(struct queue_opts){});
}

static void cut_at_prerouting_ipv4(void)
{
	inspected(AF_INET, PREROUTING, &(struct queue_opts){});
}

static void cut_at_prerouting_ipv6(void)
{
	inspected(AF_INET6, PREROUTING, &(struct queue_opts){});
}

static void single_segments_ipv4(void)
{
	single_segments();
	inspected(AF_INET, INPUT, &(struct queue_opts){});
	check_cmp(rx.placed, >, 0);
}

static void single_segments_ipv6(void)
{
	single_segments();
	inspected(AF_INET6, PREROUTING, &(struct queue_opts){});
	check_cmp(rx.placed, >, 0);
}

static void single_segments_in_reverse(void)
{
	single_segments();
	inspected(AF_INET, PREROUTING, &(struct queue_opts){ .reverse = true });
}

static void whole_in_reverse(void)
{
	inspected(AF_INET6, INPUT, &(struct queue_opts){ .gso = true, .reverse = true });
}

static void cut_in_reverse(void)
{
	inspected(AF_INET, INPUT, &(struct queue_opts){ .reverse = true });
}

static void whole_and_again(void)
{
	inspected(AF_INET, PREROUTING, &(struct queue_opts){ .gso = true, .repeat = true });
}

static void cut_and_again(void)
{
	inspected(AF_INET6, INPUT, &(struct queue_opts){ .repeat = true });
}

/* Whoever looks comes and goes while the stream runs. */
static void comes_and_goes(void)
{
	unsigned int i;
	pid_t pid;

	queue_start(&(struct queue_opts){});
	open_stream(AF_INET, true);
	pid = send_start(&c, STREAM, SEED, 50000, SEND_SHUTDOWN);
	for (i = 0; i < 8; i++) {
		nft_table(AF_INET);
		nft_add(AF_INET, "chain", "look { type filter hook input priority 0 ; }");
		nft_add(AF_INET, "rule", "look tcp dport %d queue num 0", PORT);
		rx_all(&rx, STREAM / 16);
		nft_delete(AF_INET);
		rx_all(&rx, STREAM / 16);
	}
	rx_eof(&rx);
	test_join(pid);
	check_cmp(rx.placed, >, 0);
}

static void setup(void)
{
	env_setup(8);
	must_cmd("ethtool -K nsd0 rx-gro-hw on");
}

static const struct ktap_case cases[] = {
	KTAP_CASE(plain),
	KTAP_CASE(plain_in_reverse),
	KTAP_CASE(whole_at_input),
	KTAP_CASE(whole_at_prerouting),
	KTAP_CASE(cut_at_input_ipv4),
	KTAP_CASE(cut_at_input_ipv6),
	KTAP_CASE(cut_at_prerouting_ipv4),
	KTAP_CASE(cut_at_prerouting_ipv6),
	KTAP_CASE(single_segments_ipv4),
	KTAP_CASE(single_segments_ipv6),
	KTAP_CASE(single_segments_in_reverse),
	KTAP_CASE(whole_in_reverse),
	KTAP_CASE(cut_in_reverse),
	KTAP_CASE(whole_and_again),
	KTAP_CASE(cut_and_again),
	KTAP_CASE(comes_and_goes),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
