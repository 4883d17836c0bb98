// SPDX-License-Identifier: GPL-2.0
/*
 * One measurement, inside the guest: "bench announce" once after the modules are
 * loaded, then "bench name=value..." for each. Owns the measured stretch and what
 * is printed of it: a line "@ {...}" for each repeat. Must not know how anything is
 * counted outside, nor what a contender does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "../common.h"
#include "bench.h"
#include "mark.h"

#define MIB		(1ULL << 20)
#define WARM_UP		(32 * MIB)
#define RCVBUF		(2 << 20)	/* what is under way fits the NIC's page pool */
#define NOT_MEASURED	0	/* number of a first time: cases begin with 1 */

static struct params params = {
	.segment = 65536, .page = 4096, .chunk = 65536, .buffer = 64 << 20, .flows = 1, .lowat = 1 << 20,
	.mib = 64, .repeats = 2, .usecs = 100, .family = 4, .give = GIVE_COLLECTED,
};

static const struct contender * const contenders[] = {
	&host_recv, &host_copy, &host_zerocopy, &placed_kernel, &placed_devmem,
	&receiver_devmem, &receiver_kernel, &receiver_copy, &ring_devmem, &zcrx_dmabuf, &zcrx_user,
};

static struct conn conns[FLOWS_MAX];
static int polled = -1;

/* ---- the measured stretch --------------------------------------------- */

static void connect_all(const struct params *p, const struct contender *who)
{
	struct conn_opts opts = {
		.family = p->family == 6 ? AF_INET6 : AF_INET,
		.rcvbuf = RCVBUF,
		.sport = p->beside ? BESIDE_PORT : 0,
	};
	struct epoll_event event = { .events = EPOLLIN };
	int lowat = (int)p->lowat;
	struct rlimit files = { 4 * FLOWS_MAX, 4 * FLOWS_MAX };
	unsigned int i;

	must(setrlimit(RLIMIT_NOFILE, &files));
	polled = must(epoll_create1(EPOLL_CLOEXEC));
	for (i = 0; i < p->flows; i++) {
		connect_with(&conns[i], &opts);
		must(setsockopt(conns[i].rx, SOL_SOCKET, SO_RCVLOWAT, &lowat, sizeof(lowat)));
		if (who->waits)
			continue;
		event.data.u32 = i;
		must(epoll_ctl(polled, EPOLL_CTL_ADD, conns[i].rx, &event));
	}
}

static void start_sender(const struct params *p)
{
	static int socks[FLOWS_MAX];
	unsigned int i;

	for (i = 0; i < p->flows; i++)
		socks[i] = conns[i].tx;
	sender_start(socks, p->flows, p->lowat, CPU_SENDER);
}

static void receive(const struct params *p, const struct contender *who, uint64_t bytes,
		    struct figures *f)
{
	struct epoll_event events[64];
	int i, n;

	while (f->bytes < bytes) {
		if (p->flows == 1 || who->waits) {
			who->receive(p, 0, conns[0].rx, f);
			continue;
		}
		n = must(epoll_wait(polled, events, ARRAY_SIZE(events), -1));
		f->calls++;
		for (i = 0; i < n; i++)
			who->receive(p, events[i].data.u32, conns[events[i].data.u32].rx, f);
	}
}

static void measure_once(const struct params *p, const struct contender *who,
			 unsigned int number)
{
	uint64_t packets = network_packets(), beside = beside_bytes();
	struct figures f = {};

	stretch_begin(number);
	receive(p, who, p->mib * MIB, &f);
	stretch_finish(number);
	packets = network_packets() - packets;
	beside = beside_bytes() - beside;
	printf("@ {\"number\": %u, \"bytes\": %llu, \"placed\": %llu, \"touched\": %llu, "
	       "\"calls\": %llu, \"pieces\": %llu, \"tokens\": %llu, \"packets\": %llu, "
	       "\"beside\": %llu}\n",
	       number, (unsigned long long)f.bytes, (unsigned long long)f.placed,
	       (unsigned long long)f.touched, (unsigned long long)f.calls,
	       (unsigned long long)f.pieces, (unsigned long long)f.tokens,
	       (unsigned long long)packets, (unsigned long long)beside);
	fflush(stdout);
}

/* What the warm-up has kept, and later what was received in between. */
static void give_once(const struct params *p, const struct contender *who, unsigned int number)
{
	struct figures f = {};
	uint64_t tokens;

	receive(p, who, p->mib * MIB, &f);
	stretch_begin(number);
	tokens = placed_give_all(p, conns[0].rx);
	stretch_finish(number);
	printf("@ {\"number\": %u, \"operations\": %llu}\n", number, (unsigned long long)tokens);
	fflush(stdout);
}

static const struct contender *contender(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(contenders); i++)
		if (!strcmp(contenders[i]->name, name))
			return contenders[i];
	fail("no contender '%s'", name);
}

/* Until what is kept is kept, and windows are as large as they get. */
static uint64_t warm_up(const struct params *p)
{
	uint64_t bytes = WARM_UP;

	if (p->held)
		bytes += p->buffer;
	if (p->flows > 1)
		bytes += p->flows * (uint64_t)p->lowat;
	return bytes;
}

static void measure_stream(const struct params *p, const struct contender *who)
{
	struct figures warm = {};
	unsigned int i;

	if (who->prepare)
		who->prepare(p);
	network_pin();
	connect_all(p, who);
	for (i = 0; who->attach && i < p->flows; i++)
		who->attach(p, i, conns[i].rx);
	mark(MARK_BESIDE, 0);
	if (p->beside > BESIDE_NOBODY)
		beside_start(p, who);
	pin(0, CPU_RECEIVER);
	start_sender(p);
	receive(p, who, warm_up(p), &warm);
	if (p->what == WHAT_TOKENS)
		give_once(p, who, NOT_MEASURED);
	for (i = 0; i < p->repeats; i++)
		(p->what == WHAT_TOKENS ? give_once : measure_once)(p, who, p->number + i);
}

static void measure_control(const struct params *p)
{
	void (*once)(const struct params *p, unsigned int number);
	unsigned int i;

	once = p->what == WHAT_BIND ? control_bind : control_attach;
	network_pin();
	pin(0, CPU_RECEIVER);
	once(p, NOT_MEASURED);
	for (i = 0; i < p->repeats; i++)
		once(p, p->number + i);
}

static void measure(void)
{
	const struct contender *who = contender(params.who);
	const char *missing = who->missing ? who->missing(&params) : NULL;

	if (missing) {
		printf("@ {\"number\": %u, \"missing\": \"%s\"}\n", params.number, missing);
		return;
	}
	network_setup(&params, who->spare);
	if (params.what == WHAT_STREAM || params.what == WHAT_TOKENS)
		measure_stream(&params, who);
	else
		measure_control(&params);
}

/* ---- what is asked for ------------------------------------------------ */

static unsigned int word(const char *value, const char * const *words, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr && strcmp(value, words[i]); i++)
		;
	return i;
}

static void set_param(const char *text)
{
	static const char * const gives[] = { "ranges", "collected", "128", "single" };
	static const char * const besides[] = { "", "nobody", "shares", "own" };
	static const char * const subjects[] = { "stream", "tokens", "bind", "attach" };
	static const struct {
		const char *name;
		unsigned int *value;
	} numbers[] = {
		{ "number", &params.number },	{ "segment", &params.segment },
		{ "mss", &params.mss },		{ "page", &params.page },
		{ "chunk", &params.chunk },	{ "buffer", &params.buffer },
		{ "flows", &params.flows },
		{ "lowat", &params.lowat },	{ "held", &params.held },
		{ "mib", &params.mib },		{ "repeats", &params.repeats },
		{ "usecs", &params.usecs },	{ "family", &params.family },
		{ "gro", &params.gro },
	};
	const char *value = strchr(text, '=');
	unsigned int i;

	if (!value)
		return;
	if (!strncmp(text, "who=", 4))
		snprintf(params.who, sizeof(params.who), "%s", value + 1);
	if (!strncmp(text, "give=", 5))
		params.give = (enum give_back)word(value + 1, gives, ARRAY_SIZE(gives));
	if (!strncmp(text, "beside=", 7))
		params.beside = (enum beside)word(value + 1, besides, ARRAY_SIZE(besides));
	if (!strncmp(text, "what=", 5))
		params.what = (enum what)word(value + 1, subjects,
							ARRAY_SIZE(subjects));
	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		if (!strncmp(text, numbers[i].name, (size_t)(value - text)) &&
		    !numbers[i].name[value - text])
			*numbers[i].value = (unsigned int)strtoul(value + 1, NULL, 0);
}

int main(int argc, char **argv)
{
	static const struct ktap_case measurement[] = {
		KTAP_CASE(measure, .timeout = 900),
	};
	static const struct ktap_case announcement[] = { KTAP_CASE(announce) };
	int i;

	if (argc == 2 && !strcmp(argv[1], "announce"))
		return ktap_main(1, argv, NULL, announcement, ARRAY_SIZE(announcement));
	for (i = 1; i < argc; i++)
		set_param(argv[i]);
	if (!params.flows || params.flows > FLOWS_MAX) {
		fprintf(stderr, "bench: from 1 to %d flows\n", FLOWS_MAX);
		return 2;
	}
	return ktap_main(1, argv, NULL, measurement, ARRAY_SIZE(measurement));
}
