// SPDX-License-Identifier: GPL-2.0
/*
 * Everybody who may stand between a NIC and a socket, all at once, as a seed says:
 * common_hostile.h has them. Meanwhile connections attach, are read, and end in every
 * way, and plain ones beside them; memory is taken back, bindings go; their senders
 * forge segments. Each byte is right, and all that has not been ended ends by itself
 * once it is quiet. Must not know what each of these does alone.
 *
 *	STRESS=600 SEED=7 ./hostile_test all_at_once
 */
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "common.h"
#include "common_ctl.h"
#include "common_disturb.h"
#include "common_hostile.h"
#include "common_stress.h"
#include "common_swallow.h"

#define QUEUES		DISTURB_QUEUES	/* two for each worker that binds */
#define LAST_QUEUES	{ 6, 7 }	/* for who comes when it is quiet */
#define HOSTILES	4		/* workers */
#define FLOWS		2		/* of each worker */
#define MAX_HELD	40
#define QUIET		(1U << 20)	/* bytes */
#define QUIET_TRIES	20
#define WAIT_MS		20000		/* for the next byte of a stream */

enum {
	CONNECTED, REFUSED, TRANSLATED, ATTACHED, NOT_ATTACHED, PLACED, HOST, PLAIN, ENDED,
	ANEW, FILTERED, UNBOUND, REVOKED, FORGED, NR_COUNTERS
};

static const char *const counters[NR_COUNTERS] = {
	"connected", "not connected", "translated", "attached", "not attached",
	"bytes placed", "in host memory", "of plain connections", "streams to their end",
	"connected anew", "filters", "unbound in mid-stream", "revoked", "forged",
};

/* ---- what a round is to do ---------------------------------------------- */

enum ending { AT_EOF, AT_EOF_TOO, CLOSE, RESET, DISCONNECT, SHUTDOWN, NR_ENDINGS };
enum event { NOTHING, NOTHING_EITHER, UNBIND, REVOKE, NR_EVENTS };

struct flow_plan {
	int family;
	bool reverse;			/* the receiver connects */
	bool public;			/* to a port that somebody may translate */
	bool filter;			/* of the socket */
	bool forges;
	uint64_t bytes;
	uint64_t attach_at;
	uint64_t end_at;
	enum ending ending;
	struct stress_rnd rnd;		/* for whoever reads it */
};

struct plan {
	size_t size;
	uint32_t chunk;
	enum event event;
	uint64_t event_at;		/* of the first stream */
	struct flow_plan flows[FLOWS];
};

static void plan_flow(struct flow_plan *f, struct stress_rnd *rnd)
{
	f->family = rnd_below(rnd, 2) ? AF_INET : AF_INET6;
	f->reverse = rnd_one_in(rnd, 3);
	f->public = rnd_below(rnd, 2);
	f->filter = rnd_one_in(rnd, 4);
	f->forges = rnd_one_in(rnd, 2);
	f->bytes = 1 + rnd_below(rnd, 800000);
	f->attach_at = rnd_one_in(rnd, 3) ? rnd_below(rnd, 100000) : 0;
	f->ending = rnd_below(rnd, NR_ENDINGS);
	f->end_at = f->ending <= AT_EOF_TOO ? f->bytes : rnd_below(rnd, (uint32_t)f->bytes);
	f->rnd.state = ((uint64_t)rnd_below(rnd, ~0U) << 32) + rnd_below(rnd, ~0U);
}

static void make_plan(struct plan *p, struct stress_rnd *rnd)
{
	unsigned int i;

	memset(p, 0, sizeof(*p));
	p->size = (1UL << 20) << rnd_below(rnd, 3);
	p->chunk = 4096U << 2 * rnd_below(rnd, 3);
	p->event = rnd_below(rnd, NR_EVENTS);
	p->event_at = rnd_below(rnd, 300000);
	for (i = 0; i < FLOWS; i++)
		plan_flow(&p->flows[i], rnd);
}

/* ---- connections --------------------------------------------------------- */

struct flow {
	const struct flow_plan *plan;
	struct stress_rnd rnd;
	struct conn c;
	struct rx rx;
	pid_t sender;
	bool filtered;
	bool asked;		/* to be attached */
	bool again;		/* has been connected anew */
	bool done;
};

static struct plan plan;
static struct bound b;
static bool bound_now;
static struct flow flows[FLOWS];
static unsigned int number;	/* of the worker */

static bool may_fail(int err, const int *expected)
{
	while (*expected && *expected != err)
		expected++;
	return *expected;
}

/* Any address, @port or one that is HOSTILE_PORTS further: that of a socket whose
 * sequence numbers somebody has asked for cannot be used again.
 */
static int new_listener(enum side side, int family, uint16_t *port)
{
	struct sockaddr_storage ss = { .ss_family = (sa_family_t)family };
	socklen_t len = family == AF_INET ? sizeof(struct sockaddr_in) :
			sizeof(struct sockaddr_in6);
	int fd, one = 1, tries = 0;

	env_enter(side);
	fd = must(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
	env_enter(RECEIVER);
	must(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	for (;;) {
		((struct sockaddr_in *)&ss)->sin_port = htons(*port);
		if (!bind(fd, (void *)&ss, len))
			break;
		check_eq(errno, EADDRINUSE);
		check_cmp(++tries, <, 100 / HOSTILE_PORTS);
		*port += HOSTILE_PORTS;
	}
	must(listen(fd, 1));
	return fd;
}

/* @fd: the socket that connects, or -1. */
static int dial(struct conn *c, const struct flow_plan *f, int fd, bool public)
{
	enum side client = f->reverse ? RECEIVER : SENDER, server = !client;
	uint16_t port = (uint16_t)((f->reverse ? HOSTILE_AWAY : HOSTILE_PORT) + number);
	struct pollfd pfd = { .events = POLLIN };
	struct sockaddr_storage ss;
	int err = 0, in = -1;
	uint16_t dport;

	pfd.fd = new_listener(server, f->family, &port);
	dport = public ? (uint16_t)(HOSTILE_PUBLIC + number) : port;
	env_enter(client);
	if (fd < 0)
		fd = must(socket(f->family, SOCK_STREAM | SOCK_CLOEXEC, 0));
	env_enter(RECEIVER);
	if (connect(fd, (void *)&ss, side_addr(&ss, server, f->family, dport)))
		err = -errno;
	else if (poll(&pfd, 1, patient(3000)) != 1)
		err = -ETIMEDOUT;
	else
		in = must(accept4(pfd.fd, NULL, NULL, SOCK_CLOEXEC));
	close(pfd.fd);
	if (err) {
		close(fd);
		return err;
	}
	c->rx = f->reverse ? fd : in;
	c->tx = f->reverse ? in : fd;
	return 0;
}

/* The link may be down, or nobody translate. */
static int try_connect(struct conn *c, const struct flow_plan *f, int fd)
{
	int err;

	if (f->public && !f->reverse) {
		err = dial(c, f, fd, true);
		if (!err)
			stress_count(TRANSLATED, 1);
		if (err != -ECONNREFUSED)
			return err;
	}
	return dial(c, f, fd, false);
}

static void attach_flow(struct flow *f)
{
	static const int expected[] = { -ESHUTDOWN, -ENETUNREACH, -ENETDOWN, -ENOENT, -ENOTCONN,
					-EBUSY, 0 };
	int err;

	f->asked = true;
	stress_doing("attach");
	err = devmem_attach(f->c.rx, b.res.id, devmem_buf_fd(b.buf),
			    DEVMEM_ATTACH_REPORT_LOST);
	if (err && !may_fail(err, expected))
		fail("attach: %s", devmem_error());
	stress_count(err ? NOT_ATTACHED : ATTACHED, 1);
	if (!err)
		f->rx.b = &b;
}

static bool open_flow(struct flow *f, const struct flow_plan *p, int fd)
{
	static const int expected[] = { -ENETUNREACH, -EHOSTUNREACH, -EADDRNOTAVAIL,
					-ETIMEDOUT, -ECONNREFUSED, 0 };
	const struct hostile_sender sender = {
		.bytes = p->bytes, .seed = p->rnd.state,
		.forges = p->forges, .tunnel = !p->public && !p->reverse,
		.counter = FORGED,
	};
	int err, one = 1;

	*f = (struct flow) { .plan = p, .rnd = p->rnd };
	stress_doing("connect, %s", p->reverse ? "reverse" : p->public ? "public" : "plain");
	err = try_connect(&f->c, p, fd);
	if (err && !may_fail(err, expected))
		fail("connect: %s", strerror(-err));
	stress_count(err ? REFUSED : CONNECTED, 1);
	if (err)
		return false;
	/* an urgent byte is one like others, for plain connections, too */
	must(setsockopt(f->c.rx, SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one)));
	rx_init(&f->rx, f->c.rx, NULL, p->rnd.state);
	f->rx.plain = true;
	f->rx.lossy = true;
	f->asked = !bound_now;
	if (bound_now && !p->attach_at)
		attach_flow(f);
	f->sender = test_fork();
	if (!f->sender)
		hostile_send(f->c.tx, &sender);
	close(f->c.tx);
	return true;
}

static const char *describe(const struct flow *f)
{
	static char text[128];

	snprintf(text, sizeof(text), "IPv%d, %s%s%s%s%s, ending %d",
		 f->plan->family == AF_INET ? 4 : 6, f->rx.b ? "attached" : "plain",
		 f->plan->reverse ? ", reverse" : "", f->plan->public ? ", public" : "",
		 f->plan->forges ? ", forges" : "", f->filtered ? ", filtered" : "",
		 f->plan->ending);
	return text;
}

/* ---- reading -------------------------------------------------------------- */

static void event(void)
{
	switch (plan.event) {
	case UNBIND:
		unbind(&b);
		stress_count(UNBOUND, 1);
		break;
	case REVOKE:
		check_eq(ctl_gpu_revoke(devmem_buf_fd(b.buf)), 0);
		stress_count(REVOKED, 1);
		break;
	default:
		break;
	}
	plan.event = NOTHING;
}

static void count_bytes(const struct flow *f)
{
	if (!bound_now) {
		stress_count(PLAIN, f->rx.host);
		return;
	}
	stress_count(PLACED, f->rx.placed);
	stress_count(HOST, f->rx.host);
}

/* The same socket gets another connection, and is attached once more. */
static bool anew(struct flow *f)
{
	static struct flow_plan p[FLOWS];
	struct flow_plan *next = &p[f - flows];
	int fd = f->c.rx;

	*next = *f->plan;
	next->reverse = true;
	next->attach_at = 0;
	next->ending = AT_EOF;
	next->end_at = next->bytes;
	next->rnd.state++;
	rx_free(&f->rx);
	if (!open_flow(f, next, fd))
		return false;
	f->again = true;
	stress_count(ANEW, 1);
	return true;
}

static void end_flow(struct flow *f)
{
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };
	struct linger now = { .l_onoff = 1 };

	kill(f->sender, SIGKILL);
	while (waitpid(f->sender, NULL, 0) < 0 && errno == EINTR)
		;
	rx_check_held(&f->rx);
	count_bytes(f);
	if (f->plan->ending == RESET)
		must(setsockopt(f->c.rx, SOL_SOCKET, SO_LINGER, &now, sizeof(now)));
	if (f->plan->ending == SHUTDOWN)
		shutdown(f->c.rx, SHUT_RD);
	if (f->plan->ending == DISCONNECT) {
		must(connect(f->c.rx, &unspec, sizeof(unspec)));
		rx_check_held(&f->rx);
		rx_return(&f->rx);
		if (anew(f))
			return;
	} else {
		close(f->c.rx);
	}
	f->done = true;
	rx_free(&f->rx);
}

static void filter(struct flow *f)
{
	const struct swallower *who = rnd_below(&f->rnd, 2) ? &swallow_filter : &swallow_program;

	if (f->filtered)
		who->end(f->plan->family, f->c.rx);
	else
		who->on(f->c.rx);
	f->filtered = !f->filtered;
	stress_count(FILTERED, 1);
}

static void read_flow(struct flow *f)
{
	ssize_t n;

	if (!f->asked && f->rx.pos >= f->plan->attach_at)
		attach_flow(f);
	if (f->plan->filter && rnd_one_in(&f->rnd, 16))
		filter(f);
	f->rx.linear_size = 1 + rnd_below(&f->rnd, 1U << (8 + rnd_below(&f->rnd, 12)));
	n = rx_recv(&f->rx, rnd_one_in(&f->rnd, 8) ? MSG_DONTWAIT | MSG_PEEK : MSG_DONTWAIT);
	if (n == -EAGAIN)
		return;
	if (n < 0)
		fail("recvmsg at %llu, %s: %s", (unsigned long long)f->rx.pos, describe(f),
		     strerror((int)-n));
	stress_doing("byte %llu of %llu, %s", (unsigned long long)f->rx.pos,
		     (unsigned long long)f->plan->bytes, describe(f));
	if (!n && f->rx.pos != f->plan->bytes)
		fail("the stream ends at byte %llu of %llu, %s", (unsigned long long)f->rx.pos,
		     (unsigned long long)f->plan->bytes, describe(f));
	if (rnd_one_in(&f->rnd, 4) || f->rx.nr_held > MAX_HELD) {
		rx_check_held(&f->rx);
		rx_return(&f->rx);
	}
	if (f == flows && bound_now && f->rx.pos >= plan.event_at)
		event();
	if (!n)
		stress_count(ENDED, 1);
	if (!n || (f->plan->ending > AT_EOF_TOO && f->rx.pos >= f->plan->end_at))
		end_flow(f);
}

static void show_state(void)
{
	int side;

	hostile_tell();
	for (side = RECEIVER; side <= SENDER; side++) {
		cmd("ip netns exec %s ss -tinmo", NS_NAME(side));
		cmd("ip -n %s -s link show", NS_NAME(side));
		cmd("ip netns exec %s ethtool -S %s", NS_NAME(side), DEV_NAME(side));
	}
}

static void stands_still(const struct flow *f)
{
	bool gone = waitpid(f->sender, NULL, WNOHANG) > 0;

	show_state();
	fail("nothing comes at byte %llu of %llu, %s%s", (unsigned long long)f->rx.pos,
	     (unsigned long long)f->plan->bytes, describe(f), gone ? ", its sender has ended" : "");
}

static void read_all(unsigned int nr)
{
	struct pollfd pfds[FLOWS];
	unsigned int i, left;
	long long last[FLOWS];

	for (i = 0; i < nr; i++)
		last[i] = now_ms();
	for (;;) {
		for (i = 0, left = 0; i < nr; i++) {
			pfds[i] = (struct pollfd) { flows[i].done ? -1 : flows[i].c.rx, POLLIN, 0 };
			left += !flows[i].done;
		}
		if (!left)
			return;
		must(poll(pfds, nr, 300));
		for (i = 0; i < nr; i++) {
			if (pfds[i].revents) {
				last[i] = now_ms();
				read_flow(&flows[i]);
			} else if (pfds[i].fd >= 0 && now_ms() - last[i] > patient(WAIT_MS)) {
				stands_still(&flows[i]);
			}
		}
	}
}

static bool all_free(void)
{
	struct devmem_bind_info info;

	bound_info(&b, &info);
	if (info.chunks_free == info.chunks)
		return true;
	stress_alive();
	unpark();
	return false;
}

static void run_plan(void)
{
	unsigned int i, nr = 0;

	for (i = 0; i < FLOWS; i++)
		nr += open_flow(&flows[nr], &plan.flows[i], -1);
	read_all(nr);
}

/* ---- workers --------------------------------------------------------------- */

/* The link may be down, and the queues gone. */
static bool try_bind(const uint32_t *queues, unsigned int nr)
{
	static const int expected[] = { -ENETDOWN, -ERANGE, -EBUSY, 0 };
	int err;

	stress_doing("bind");
	check_eq(devmem_buf_alloc(&b.buf, DEVMEM_BUF_GPU, plan.size, 0), 0);
	check_eq(devmem_buf_map(b.buf, (void **)&b.map, 0), 0);
	check_eq(devmem_nl_open(&b.nl, 0), 0);
	b.size = devmem_buf_size(b.buf);
	memset(b.map, 0xa5, b.size);
	err = devmem_bind_rx(b.nl, env_ifindex(), queues, nr, devmem_buf_fd(b.buf),
			     plan.chunk, &b.res, 0);
	if (err && !may_fail(err, expected))
		fail("bind-rx: %s", devmem_error());
	return !err;
}

static void attached(struct stress_rnd *rnd, unsigned int nr)
{
	const uint32_t queues[] = { 2 * nr, 2 * nr + 1 };

	number = nr;
	make_plan(&plan, rnd);
	bound_now = try_bind(queues, 1 + rnd_below(rnd, 2));
	if (!bound_now) {
		usleep(10000);
		return;
	}
	run_plan();
	stress_doing("wait for free chunks");
	if (b.nl && !within(5000, all_free()))
		fail("chunks are not free");
	free_bound(&b);
}

static void plain(struct stress_rnd *rnd, unsigned int nr)
{
	number = HOSTILE_PORTS / 2 + nr;
	make_plan(&plan, rnd);
	run_plan();
}

static void hostile(struct stress_rnd *rnd, unsigned int nr)
{
	hostile_round(rnd, nr, HOSTILES);
}

static const struct stress_worker workers[] = {
	{ "attached", attached, 0 }, { "attached", attached, 1 }, { "attached", attached, 2 },
	{ "plain", plain, 0 },
	{ "hostile", hostile, 0 }, { "hostile", hostile, 1 },
	{ "hostile", hostile, 2 }, { "hostile", hostile, 3 },
};

static bool all_happened(void)
{
	unsigned int i;

	for (i = 0; i < NR_COUNTERS; i++)
		if (i != REFUSED && i != NOT_ATTACHED && !stress_counted(i))
			return false;
	return hostile_all_met();
}

/* ---- cases ------------------------------------------------------------------ */

/* Nothing of all that is left: who comes now is placed. */
static void quiet(int family)
{
	static const uint32_t queues[] = LAST_QUEUES;
	unsigned int tries = 0;
	uint64_t placed;
	struct conn c;
	struct rx rx;
	pid_t pid;

	impair_none(RECEIVER);
	bind_queues(&b, DEVMEM_BUF_GPU, 4 << 20, 65536, queues, ARRAY_SIZE(queues));
	do {
		check_cmp(tries++, <, QUIET_TRIES);
		connect_pair(&c, family);
		attach(c.rx, &b);
		rx_init(&rx, c.rx, &b, 7);
		pid = send_start(&c, QUIET, 7, 50000, SEND_SHUTDOWN);
		rx_all(&rx, QUIET);
		rx_eof(&rx);
		test_join(pid);
		rx_check_info(&rx);
		placed = rx.placed;
		rx_free(&rx);
		disconnect_pair(&c);
	} while (placed != QUIET);
	check(within(5000, all_free()));
	free_bound(&b);
}

static void all_at_once(void)
{
	stress_run(workers, ARRAY_SIZE(workers), counters, NR_COUNTERS, all_happened, show_state);
	hostile_tell();
	check(all_happened());
	check_cmp(stress_counted(PLACED), >=, stress_counted(HOST) / 8);
	quiet(AF_INET);
	quiet(AF_INET6);
}

/* What SEED= promises. */
static void the_seed_repeats(void)
{
	struct plan first, again, other;
	struct stress_rnd rnd;
	unsigned int round;

	for (round = 0; round < 1000; round++) {
		rnd = stress_round_rnd(stress_seed(), "attached", round % 3, round);
		make_plan(&first, &rnd);
		rnd = stress_round_rnd(stress_seed(), "attached", round % 3, round);
		make_plan(&again, &rnd);
		rnd = stress_round_rnd(stress_seed() + 1, "attached", round % 3, round);
		make_plan(&other, &rnd);
		check(!memcmp(&first, &again, sizeof(first)));	/* NOLINT: its holes are zeroed */
		check(memcmp(&first, &other, sizeof(first)));	/* NOLINT: here, too */
	}
}

static void setup(void)
{
	env_setup(QUEUES);
	env_sysctl(RECEIVER, "ipv6/conf/nsd0/keep_addr_on_down", "1");
	env_sysctl(SENDER, "ipv6/conf/nsd1/keep_addr_on_down", "1");
	env_sysctl(RECEIVER, "ipv4/tcp_syn_retries", "4");
	env_sysctl(SENDER, "ipv4/tcp_syn_retries", "4");
	must_cmd("ip link set nsd0 mtu %u", DISTURB_MTU);
	hostile_setup();
}

int main(int argc, char **argv)
{
	const struct ktap_case cases[] = {
		KTAP_CASE(the_seed_repeats),
		KTAP_CASE(all_at_once, .timeout = 60 + stress_seconds() / (unsigned int)slow()),
	};

	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
