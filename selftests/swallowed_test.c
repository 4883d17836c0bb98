// SPDX-License-Identifier: GPL-2.0
/*
 * Somebody between the NIC and the socket drops placed packets, for he cannot read
 * them. What is sent again comes in host memory, so the connection goes on, for
 * streams and for small messages, nearly as fast as without the ULP; and when he is
 * gone, placing begins again.
 */
#include "common.h"
#include "common_swallow.h"

#define SEED		0x5a11
#define STREAM		(4U << 20)
#define ROUND		(1U << 20)
#define ROUNDS		64
#define MESSAGES	300
#define MESSAGE		200
#define LIMIT_MS	20000	/* for a stream, or all messages */

static struct bound b;
static struct conn c;
static struct rx rx;

static void open_stream(const struct swallower *who, int family, bool attached)
{
	struct conn_opts opts = { .family = family, .dport = who->port };

	if (who->before)
		who->before(family);
	connect_with(&c, &opts);
	if (who->on)
		who->on(c.rx);
	if (attached) {
		bind_buffer(&b, DEVMEM_BUF_GPU, 4 << 20, 65536);
		attach(c.rx, &b);
	}
	rx_init(&rx, c.rx, attached ? &b : NULL, SEED);
	rx.plain = !attached;
}

static void receive(uint64_t bytes)
{
	long long begin = now_ms();
	pid_t pid = send_start(&c, bytes, SEED, 50000, 0);

	rx.pos = 0;
	rx_all(&rx, bytes);
	test_join(pid);
	check_cmp(now_ms() - begin, <, patient(LIMIT_MS));
}

static void told(const char *what)
{
	diag("%s: placed %llu, host %llu, sent again %llu", what,
	     (unsigned long long)rx.placed, (unsigned long long)rx.host,
	     (unsigned long long)sent_again(&c));
}

static void end_of_stream(void)
{
	must(shutdown(c.tx, SHUT_WR));
	rx_eof(&rx);
}

/* The control: nobody is attached. */
static void plain(const struct swallower *who, int family)
{
	open_stream(who, family, false);
	receive(STREAM);
	end_of_stream();
}

static void stream(const struct swallower *who, int family)
{
	open_stream(who, family, true);
	receive(STREAM);
	told("stream");
	end_of_stream();
	rx_check_info(&rx);
}

/* Each waits for the answer to the one before. */
static void messages(const struct swallower *who, int family)
{
	long long begin;
	uint64_t i;
	char one;

	open_stream(who, family, true);
	begin = now_ms();
	for (i = 0; i < MESSAGES; i++) {
		send_pattern(c.tx, MESSAGE, i * MESSAGE, SEED, MESSAGE);
		rx_all(&rx, MESSAGE);
		check_eq(send(c.rx, "", 1, 0), 1);
		check_eq(recv(c.tx, &one, 1, 0), 1);
	}
	told("messages");
	check_cmp(now_ms() - begin, <, patient(LIMIT_MS));
	end_of_stream();
}

/* He goes while the connection is there. */
static void goes(const struct swallower *who, int family)
{
	uint64_t before;
	unsigned int i = 0;

	open_stream(who, family, true);
	receive(ROUND);
	told("before he goes");
	who->end(family, c.rx);
	do {
		check_cmp(i++, <, ROUNDS);
		before = rx.placed;
		receive(ROUND);
	} while (rx.placed - before < ROUND / 4 * 3);
	diag("placed again after %u rounds of %u bytes", i, ROUND);
	end_of_stream();
}

#define CASES(name, who, family)					\
	static void name##_plain(void) { plain(&(who), family); }	\
	static void name##_stream(void) { stream(&(who), family); }	\
	static void name##_messages(void) { messages(&(who), family); }	\
	static void name##_goes(void) { goes(&(who), family); }

CASES(ifb, swallow_ifb, AF_INET)
CASES(ifb_ipv6, swallow_ifb, AF_INET6)
CASES(csum, swallow_csum, AF_INET)
CASES(csum_ipv6, swallow_csum, AF_INET6)
CASES(pull, swallow_pull, AF_INET)
CASES(u32, swallow_u32, AF_INET)
CASES(helper, swallow_helper, AF_INET)
CASES(helper_ipv6, swallow_helper, AF_INET6)
CASES(filter, swallow_filter, AF_INET)
CASES(program, swallow_program, AF_INET6)
CASES(log, swallow_log, AF_INET)

static void setup(void)
{
	env_setup(8);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(ifb_plain, .timeout = 60),
	KTAP_CASE(ifb_stream, .timeout = 60),
	KTAP_CASE(ifb_messages, .timeout = 60),
	KTAP_CASE(ifb_goes, .timeout = 60),
	KTAP_CASE(ifb_ipv6_plain, .timeout = 60),
	KTAP_CASE(ifb_ipv6_stream, .timeout = 60),
	KTAP_CASE(ifb_ipv6_messages, .timeout = 60),
	KTAP_CASE(ifb_ipv6_goes, .timeout = 60),
	KTAP_CASE(csum_plain, .timeout = 60),
	KTAP_CASE(csum_stream, .timeout = 60),
	KTAP_CASE(csum_messages, .timeout = 60),
	KTAP_CASE(csum_goes, .timeout = 60),
	KTAP_CASE(csum_ipv6_plain, .timeout = 60),
	KTAP_CASE(csum_ipv6_stream, .timeout = 60),
	KTAP_CASE(csum_ipv6_messages, .timeout = 60),
	KTAP_CASE(csum_ipv6_goes, .timeout = 60),
	KTAP_CASE(pull_plain, .timeout = 60),
	KTAP_CASE(pull_stream, .timeout = 60),
	KTAP_CASE(pull_messages, .timeout = 60),
	KTAP_CASE(pull_goes, .timeout = 60),
	KTAP_CASE(u32_plain, .timeout = 60),
	KTAP_CASE(u32_stream, .timeout = 60),
	KTAP_CASE(u32_messages, .timeout = 60),
	KTAP_CASE(u32_goes, .timeout = 60),
	KTAP_CASE(helper_plain, .timeout = 60),
	KTAP_CASE(helper_stream, .timeout = 60),
	KTAP_CASE(helper_messages, .timeout = 60),
	KTAP_CASE(helper_goes, .timeout = 60),
	KTAP_CASE(helper_ipv6_plain, .timeout = 60),
	KTAP_CASE(helper_ipv6_stream, .timeout = 60),
	KTAP_CASE(helper_ipv6_messages, .timeout = 60),
	KTAP_CASE(helper_ipv6_goes, .timeout = 60),
	KTAP_CASE(filter_plain, .timeout = 60),
	KTAP_CASE(filter_stream, .timeout = 60),
	KTAP_CASE(filter_messages, .timeout = 60),
	KTAP_CASE(filter_goes, .timeout = 60),
	KTAP_CASE(program_plain, .timeout = 60),
	KTAP_CASE(program_stream, .timeout = 60),
	KTAP_CASE(program_messages, .timeout = 60),
	KTAP_CASE(program_goes, .timeout = 60),
	KTAP_CASE(log_plain, .timeout = 60),
	KTAP_CASE(log_stream, .timeout = 60),
	KTAP_CASE(log_messages, .timeout = 60),
	KTAP_CASE(log_goes, .timeout = 60),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
