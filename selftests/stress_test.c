// SPDX-License-Identifier: GPL-2.0
/*
 * Everything at once, as a seed says: bindings come and go, connections attach,
 * are read, and end in every way; tokens are given back by threads and by other
 * processes; the GPU takes its memory back; settings change, links go down,
 * links and network namespaces are deleted. Each byte is right when it comes and
 * for as long as it is held. Must not know what each of these does alone: that is
 * for the other tests.
 *
 *	STRESS=600 SEED=7 ./stress_test all_at_once
 */
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "common.h"
#include "common_ctl.h"
#include "common_disturb.h"
#include "common_givers.h"
#include "common_stress.h"

#define QUEUES		DISTURB_QUEUES	/* two for each worker that binds */
#define MAX_FLOWS	3
#define MAX_HELD	400
#define ROOM		(4UL << 20)	/* more than all flows of a binding send */

enum {
	BINDS, REFUSALS, ATTACHED, PLACED, HOST, OTHERS, REVOKED, UNBOUND, DELETED,
	SETTINGS, DOWN, NIC_PLACED, EXHAUSTED, DISTURBED, PAUSED, BEFORE, NR_COUNTERS
};

static const char *const counters[NR_COUNTERS] = {
	"binds", "refused", "attached", "bytes placed", "in host memory",
	"tokens returned by others", "revoked", "unbound in mid-stream",
	"links and namespaces deleted", "settings", "times down",
	"packets placed", "no memory for", "not placed for others", "paused",
	"bytes before attach",
};

/* ---- what a round is to do --------------------------------------------- */

enum event { NOTHING, UNBIND, REVOKE, DELETE_RX, DELETE_TX, MOVE, DOWN_AND_DELETE, NR_EVENTS };
enum ending { AT_EOF, CLOSE, RESET, DISCONNECT, SHUTDOWN, NR_ENDINGS };
enum giver { READER, THREAD, PROCESS, LATE, NR_GIVERS };	/* who returns tokens */

struct flow_plan {
	int family;
	int rcvbuf;
	uint64_t bytes;
	uint64_t attach_at;
	uint64_t end_at;
	size_t write;
	enum ending ending;
	enum giver giver;
	struct stress_rnd rnd;		/* for whoever reads it */
};

struct plan {
	enum devmem_buf_kind kind;
	size_t size;
	uint32_t chunk;
	enum event event;
	unsigned int event_us;
	bool leave;			/* all to the end of the process */
	unsigned int nr_flows;
	struct flow_plan flows[MAX_FLOWS];
};

static void plan_flow(struct flow_plan *f, struct stress_rnd *rnd)
{
	f->family = rnd_below(rnd, 2) ? AF_INET : AF_INET6;
	f->rcvbuf = rnd_one_in(rnd, 4) ? 20000 : 0;
	f->bytes = 1 + rnd_below(rnd, 600000);
	f->attach_at = rnd_one_in(rnd, 3) ? rnd_below(rnd, 200000) : 0;
	f->ending = rnd_below(rnd, NR_ENDINGS);
	f->end_at = f->ending == AT_EOF ? f->bytes : rnd_below(rnd, (uint32_t)f->bytes);
	f->write = 1 + rnd_below(rnd, 1U << (4 + rnd_below(rnd, 13)));
	if (f->write < 100)
		f->bytes = f->end_at = 1 + f->bytes / 100;
	f->giver = rnd_below(rnd, NR_GIVERS);
	f->rnd.state = ((uint64_t)rnd_below(rnd, ~0U) << 32) + rnd_below(rnd, ~0U);
}

static void make_plan(struct plan *p, struct stress_rnd *rnd, bool own_world)
{
	static const enum devmem_buf_kind kinds[] = {
		DEVMEM_BUF_GPU, DEVMEM_BUF_GPU, DEVMEM_BUF_HEAP, DEVMEM_BUF_UDMABUF,
	};
	unsigned int i;

	memset(p, 0, sizeof(*p));
	p->kind = kinds[rnd_below(rnd, ARRAY_SIZE(kinds))];
	p->size = rnd_below(rnd, 2) ? ROOM : 65536UL << rnd_below(rnd, 6);
	p->chunk = p->kind == DEVMEM_BUF_UDMABUF ? 4096 : 4096U << 2 * rnd_below(rnd, 3);
	p->event = rnd_below(rnd, NR_EVENTS);
	if (!own_world && p->event > REVOKE)
		p->event = NOTHING;
	if (p->event == REVOKE && p->kind != DEVMEM_BUF_GPU)
		p->event = UNBIND;
	p->event_us = rnd_below(rnd, 1U << (8 + rnd_below(rnd, 10)));
	p->leave = rnd_one_in(rnd, 3);
	p->nr_flows = 1 + rnd_below(rnd, MAX_FLOWS);
	for (i = 0; i < MAX_FLOWS; i++)
		plan_flow(&p->flows[i], rnd);
}

/* ---- the round --------------------------------------------------------- */

struct flow {
	const struct flow_plan *plan;
	struct stress_rnd rnd;
	struct conn c;
	struct rx rx;
	pid_t sender;
	bool asked;		/* to be attached */
	bool done;
};

static struct plan plan;
static struct bound b;
static struct flow flows[MAX_FLOWS];
static int event_done;
static struct givers givers;

static bool may_fail(int err, const int *expected)
{
	while (*expected && *expected != err)
		expected++;
	return *expected;
}

/* The link may be down, and the queues gone: then there is no round. */
static bool try_bind(const uint32_t *queues, unsigned int nr)
{
	static const int expected[] = { -ENETDOWN, -ERANGE, -EBUSY, 0 };
	int err;

	stress_doing("bind");
	check_eq(devmem_buf_alloc(&b.buf, plan.kind, plan.size, 0), 0);
	check_eq(devmem_buf_map(b.buf, (void **)&b.map, 0), 0);
	check_eq(devmem_nl_open(&b.nl, 0), 0);
	b.size = devmem_buf_size(b.buf);
	memset(b.map, 0xa5, b.size);
	err = devmem_bind_rx(b.nl, env_ifindex(), queues, nr, devmem_buf_fd(b.buf),
			     plan.chunk, &b.res, 0);
	if (err && !may_fail(err, expected))
		fail("bind-rx: %s", devmem_error());
	stress_count(err ? REFUSALS : BINDS, 1);
	return !err;
}

/* 0, or -errno while the link is down. */
static int try_connect(struct conn *c, const struct flow_plan *f)
{
	struct sockaddr_storage ss;
	struct pollfd pfd = { .events = POLLIN };
	socklen_t len = side_addr(&ss, RECEIVER, f->family, 0);
	int err = 0;

	*c = (struct conn) { -1, -1 };
	pfd.fd = must(socket(f->family, SOCK_STREAM | SOCK_CLOEXEC, 0));
	if (f->rcvbuf)
		must(setsockopt(pfd.fd, SOL_SOCKET, SO_RCVBUF, &f->rcvbuf, sizeof(int)));
	env_enter(SENDER);
	c->tx = must(socket(f->family, SOCK_STREAM | SOCK_CLOEXEC, 0));
	env_enter(RECEIVER);
	if (bind(pfd.fd, (struct sockaddr *)&ss, len) || listen(pfd.fd, 1) ||
	    getsockname(pfd.fd, (struct sockaddr *)&ss, &len) ||
	    connect(c->tx, (struct sockaddr *)&ss, len))
		err = -errno;
	else if (poll(&pfd, 1, 5000 * slow()) != 1)
		err = -ETIMEDOUT;
	else
		c->rx = must(accept4(pfd.fd, NULL, NULL, SOCK_CLOEXEC));
	close(pfd.fd);
	if (err)
		close(c->tx);
	return err;
}

/* The reader goes away when it likes. */
static void send_all(int sock, const struct flow_plan *f)
{
	unsigned char *buf = malloc(f->write);
	uint64_t pos = 0, seed = f->rnd.state;
	ssize_t done;
	size_t n;

	close_range(3, (unsigned int)sock - 1, 0);
	close_range((unsigned int)sock + 1, ~0U, 0);
	while (buf && pos < f->bytes) {
		n = f->bytes - pos < f->write ? f->bytes - pos : f->write;
		devmem_pattern_fill(buf, n, pos, seed);
		done = send(sock, buf, n, MSG_NOSIGNAL);
		if (done < 0)
			_exit(1);
		pos += (uint64_t)done;
	}
	shutdown(sock, SHUT_WR);
	_exit(0);
}

static void attach_flow(struct flow *f)
{
	static const int expected[] = { -ESHUTDOWN, -ENETUNREACH, -ENETDOWN, -ENOENT, -ENOTCONN, 0 };
	int err, queued = 0;

	f->asked = true;
	stress_doing("attach");
	err = devmem_attach(f->c.rx, b.res.id, devmem_buf_fd(b.buf),
			    DEVMEM_ATTACH_REPORT_LOST);
	if (err && !may_fail(err, expected))
		fail("attach: %s", devmem_error());
	if (err)
		return;
	f->rx.b = &b;
	must(ioctl(f->c.rx, SIOCINQ, &queued));
	stress_count(BEFORE, f->rx.host + (uint64_t)queued);
	stress_count(ATTACHED, 1);
}

static bool open_flow(struct flow *f, const struct flow_plan *plan_)
{
	static const int expected[] = { -ENETUNREACH, -EHOSTUNREACH, -EADDRNOTAVAIL,
					-ETIMEDOUT, 0 };
	int err;

	*f = (struct flow) { .plan = plan_, .rnd = plan_->rnd };
	stress_doing("connect");
	err = try_connect(&f->c, plan_);
	if (err && !may_fail(err, expected))
		fail("connect: %s", strerror(-err));
	if (err)
		return false;
	rx_init(&f->rx, f->c.rx, NULL, plan_->rnd.state);
	f->rx.lossy = true;
	f->rx.plain = true;
	if (!plan_->attach_at)
		attach_flow(f);
	f->sender = test_fork();
	if (!f->sender)
		send_all(f->c.tx, plan_);
	close(f->c.tx);
	return true;
}

/* ---- reading ------------------------------------------------------------ */

static void return_tokens(struct flow *f)
{
	if (!f->rx.nr_held)
		return;
	rx_check_held(&f->rx);
	switch (f->plan->giver) {
	case THREAD:
		givers_hand_over(&f->rx, givers.to_thread);
		break;
	case PROCESS:
		givers_hand_over(&f->rx, givers.to_process);
		break;
	case LATE:
		if (f->rx.nr_held >= MAX_HELD)
			rx_return(&f->rx);
		break;
	default:
		rx_return(&f->rx);
	}
}

static void end_flow(struct flow *f)
{
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };
	struct linger now = { .l_onoff = 1 };

	f->done = true;
	kill(f->sender, SIGKILL);
	rx_check_held(&f->rx);
	if (f->plan->ending == RESET)
		must(setsockopt(f->c.rx, SOL_SOCKET, SO_LINGER, &now, sizeof(now)));
	if (f->plan->ending == SHUTDOWN)
		shutdown(f->c.rx, SHUT_RD);
	if (f->plan->ending == DISCONNECT)
		must(connect(f->c.rx, &unspec, sizeof(unspec)));
	/* what is held stays, and counts, until the socket is closed */
	if (f->plan->ending != CLOSE && f->plan->giver != LATE) {
		rx_check_held(&f->rx);
		rx_return(&f->rx);
	}
	stress_count(PLACED, f->rx.placed);
	stress_count(HOST, f->rx.host);
	if (!plan.leave)
		close(f->c.rx);
}

static void read_flow(struct flow *f)
{
	ssize_t n;

	if (!f->asked && f->rx.pos >= f->plan->attach_at)
		attach_flow(f);
	f->rx.linear_size = 1 + rnd_below(&f->rnd, 1U << (8 + rnd_below(&f->rnd, 12)));
	n = rx_recv(&f->rx, rnd_one_in(&f->rnd, 8) ? MSG_DONTWAIT | MSG_PEEK : MSG_DONTWAIT);
	if (n == -EAGAIN)
		return;
	if (n < 0)
		fail("recvmsg at %llu: %s", (unsigned long long)f->rx.pos, strerror((int)-n));
	stress_doing("byte %llu of %llu, ending %d, event %d", (unsigned long long)f->rx.pos,
		     (unsigned long long)f->plan->bytes, f->plan->ending, plan.event);
	if (!n)
		check_eq(f->rx.pos, f->plan->bytes);
	if (rnd_one_in(&f->rnd, 4) || f->rx.nr_held > MAX_HELD)
		return_tokens(f);
	if (!n || (f->plan->ending != AT_EOF && f->rx.pos >= f->plan->end_at))
		end_flow(f);
}

/* Until all have ended; where the link goes away, until nothing more comes. */
static void read_all(unsigned int nr)
{
	bool may_stop = plan.event > REVOKE;
	struct pollfd pfds[MAX_FLOWS];
	unsigned int i, left;
	int ready;

	for (;;) {
		for (i = 0, left = 0; i < nr; i++) {
			pfds[i] = (struct pollfd) { flows[i].done ? -1 : flows[i].c.rx, POLLIN, 0 };
			left += !flows[i].done;
		}
		if (!left)
			return;
		ready = must(poll(pfds, nr, 300));
		if (!ready && may_stop && __atomic_load_n(&event_done, __ATOMIC_ACQUIRE))
			break;
		for (i = 0; i < nr; i++)
			if (pfds[i].revents)
				read_flow(&flows[i]);
	}
	for (i = 0; i < nr; i++)
		if (!flows[i].done)
			end_flow(&flows[i]);
}

/* ---- what happens meanwhile --------------------------------------------- */

static void *event_main(void *arg)
{
	(void)arg;
	usleep(plan.event_us);
	switch (plan.event) {
	case UNBIND:
		unbind(&b);
		stress_count(UNBOUND, 1);
		break;
	case REVOKE:
		check_eq(ctl_gpu_revoke(devmem_buf_fd(b.buf)), 0);
		check_eq(ctl_gpu_revoke(devmem_buf_fd(b.buf)), -ENODEV);
		check(mmap(NULL, 4096, PROT_READ, MAP_SHARED, devmem_buf_fd(b.buf), 0) ==
		      MAP_FAILED && errno == ENODEV);
		stress_count(REVOKED, 1);
		break;
	case DOWN_AND_DELETE:
	case DELETE_RX:
		if (plan.event == DOWN_AND_DELETE)
			must_cmd("ip -n %s link set %s down", NS_NAME(RECEIVER),
				 DEV_NAME(RECEIVER));
		must_cmd("ip -n %s link delete %s", NS_NAME(RECEIVER), DEV_NAME(RECEIVER));
		break;
	case DELETE_TX:
		must_cmd("ip -n %s link delete %s", NS_NAME(SENDER), DEV_NAME(SENDER));
		break;
	case MOVE:
		must_cmd("ip -n %s link set %s netns %s", NS_NAME(RECEIVER),
			 DEV_NAME(RECEIVER), NS_NAME(SENDER));
		break;
	default:
		break;
	}
	__atomic_store_n(&event_done, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* Why packets of attached connections went to host memory. Who has room for all that is
 * sent has memory for all that comes.
 */
static void account(void)
{
	struct devmem_bind_info info;

	if (!b.nl || devmem_bind_get(b.nl, b.res.id, &info, 0))
		return;
	if (plan.size == ROOM)
		check_eq(info.stats.fallback_exhausted, 0);
	check_eq(info.stats.fallback_nomem, 0);
	stress_count(NIC_PLACED, info.stats.placed_packets);
	stress_count(EXHAUSTED, info.stats.fallback_exhausted);
	stress_count(DISTURBED, info.stats.fallback_packets - info.stats.fallback_exhausted -
		     info.stats.fallback_inactive);
	stress_count(PAUSED, info.stats.fallback_paused);
}

/* Bound, with everybody at it; @queues of nsd0 are ours alone. */
static void run_plan(const uint32_t *queues, unsigned int nr_queues)
{
	unsigned int i, nr = 0;
	pthread_t event;

	if (!try_bind(queues, nr_queues)) {
		usleep(10000);
		return;
	}
	givers_start(&givers, &b);
	for (i = 0; i < plan.nr_flows; i++)
		nr += open_flow(&flows[nr], &plan.flows[i]);
	check_eq(pthread_create(&event, NULL, event_main, NULL), 0);
	read_all(nr);
	stress_doing("event %d", plan.event);
	pthread_join(event, NULL);
	stress_doing("wait for those who return tokens");
	stress_count(OTHERS, givers_stop(&givers));
	for (i = 0; i < nr; i++)
		while (waitpid(flows[i].sender, NULL, 0) < 0 && errno == EINTR)
			;
	account();
	if (plan.leave)
		return;
	stress_doing("unbind");
	free_bound(&b);
}

static void stream(struct stress_rnd *rnd, unsigned int nr)
{
	const uint32_t queues[] = { 2 * nr, 2 * nr + 1 };

	make_plan(&plan, rnd, false);
	run_plan(queues, 1 + rnd_below(rnd, 2));
}

/* A pair of its own, which goes with the round. */
static void world(struct stress_rnd *rnd, unsigned int nr)
{
	static const uint32_t queues[] = { 0, 1 };

	(void)nr;
	make_plan(&plan, rnd, true);
	stress_doing("make a world");
	must(unshare(CLONE_NEWNS | CLONE_NEWNET));
	must(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	must(mount("netns", "/run/netns", "tmpfs", 0, NULL));
	env_setup(2);
	/* what was sent to a link that is gone must not keep the namespace for long */
	env_sysctl(RECEIVER, "ipv4/tcp_orphan_retries", "1");
	env_sysctl(SENDER, "ipv4/tcp_orphan_retries", "1");
	run_plan(queues, 2);
	stress_count(DELETED, 1);
}

static void bindings(struct stress_rnd *rnd, unsigned int nr)
{
	const uint32_t queues[] = { 2 * nr, 2 * nr + 1 };
	int i;

	for (i = 0; i < 10; i++) {
		make_plan(&plan, rnd, false);
		try_bind(queues, 1 + rnd_below(rnd, 2));
		free_bound(&b);
	}
}

static void setting(struct stress_rnd *rnd, unsigned int nr)
{
	(void)nr;
	disturb_setting(rnd);
	stress_count(SETTINGS, 1);
}

static void up_and_down(struct stress_rnd *rnd, unsigned int nr)
{
	(void)nr;
	disturb_link(rnd);
	stress_count(DOWN, 1);
}

static void look(struct stress_rnd *rnd, unsigned int nr)
{
	(void)nr;
	disturb_by_looking(rnd);
}

/* ---- cases --------------------------------------------------------------- */

static const struct stress_worker workers[] = {
	{ "stream", stream, 0 }, { "stream", stream, 1 }, { "stream", stream, 2 },
	{ "bindings", bindings, 3 }, { "world", world, 0 }, { "world", world, 1 },
	{ "setting", setting, 0 }, { "up and down", up_and_down, 0 }, { "look", look, 0 },
};

/* Of the shared pair: a connection or a queue that is stuck shows here. */
static void show_state(void)
{
	int side;

	for (side = RECEIVER; side <= SENDER; side++) {
		cmd("ip netns exec %s ss -tinmo", NS_NAME(side));
		cmd("ip -n %s -s link show %s", NS_NAME(side), DEV_NAME(side));
		cmd("ip netns exec %s ethtool -S %s", NS_NAME(side), DEV_NAME(side));
	}
}

static bool all_happened(void)
{
	return stress_counted(BINDS) && stress_counted(ATTACHED) && stress_counted(PLACED) &&
	       stress_counted(HOST) && stress_counted(OTHERS);
}

static void all_at_once(void)
{
	stress_run(workers, ARRAY_SIZE(workers), counters, NR_COUNTERS, all_happened, show_state);
	check(all_happened());
	/* else there was no memory, or it had been taken back */
	check_cmp(stress_counted(DISTURBED), <=, stress_counted(NIC_PLACED) / 2);
	if (!within(20000, live_object("links") == 2))
		fail("%ld links are left of worlds that have ended", live_object("links") - 2);
}

/* What SEED= promises. */
static void the_seed_repeats(void)
{
	struct plan first, again, other;
	struct stress_rnd rnd;
	unsigned int round;

	for (round = 0; round < 1000; round++) {
		rnd = stress_round_rnd(stress_seed(), "stream", round % 3, round);
		make_plan(&first, &rnd, round & 1);
		rnd = stress_round_rnd(stress_seed(), "stream", round % 3, round);
		make_plan(&again, &rnd, round & 1);
		rnd = stress_round_rnd(stress_seed() + 1, "stream", round % 3, round);
		make_plan(&other, &rnd, round & 1);
		check(!memcmp(&first, &again, sizeof(first)));	/* NOLINT: its holes are zeroed */
		check(memcmp(&first, &other, sizeof(first)));	/* NOLINT: here, too */
	}
}

static void setup(void)
{
	env_setup(QUEUES);
	env_sysctl(RECEIVER, "ipv6/conf/nsd0/keep_addr_on_down", "1");
	env_sysctl(SENDER, "ipv6/conf/nsd1/keep_addr_on_down", "1");
	must_cmd("ip link set nsd0 mtu %u", DISTURB_MTU);
}

int main(int argc, char **argv)
{
	const struct ktap_case cases[] = {
		KTAP_CASE(the_seed_repeats),
		KTAP_CASE(all_at_once, .timeout = 60 + stress_seconds() / (unsigned int)slow()),
	};

	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
