// SPDX-License-Identifier: GPL-2.0
/*
 * System calls on sockets in all states: net/devmem's options and the kernel's,
 * with every length, bad pointers and wild values, in any order, while data comes
 * in. Each of ours is judged by what is documented; what is delivered must be the
 * stream; and when the sockets are closed nothing is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "chance.h"
#include "common_ctl.h"
#include "sockopt_slot.h"

#define CALLS		5000		/* if nobody says */
#define ROUND		5000
#define SLOTS		12
#define OPT_MAX		4096

/* linux/tcp.h and netinet/tcp.h do not go together */
#define AO_ADD_KEY	38
#define AO_DEL_KEY	39
#define AO_INFO		40
#define AO_REPAIR	42

static struct slot slots[SLOTS];
static struct bound b, gone;		/* @gone: its binding is closed */
static int other_buffer, revoked_buffer, no_buffer;
static uint8_t value[OPT_MAX];
static unsigned int nr_attached;

/* @len of @value, where a byte more would be too many; or nowhere. */
static void *argument(size_t len, bool *bad)
{
	void *at;

	*bad = once_in(12);
	if (*bad)
		return bad_pointer();
	at = edge_pointer(len);
	memcpy(at, value, len);
	return at;
}

static uint32_t some_len(uint32_t right)
{
	switch (rnd(6)) {
	case 0:
		return rnd_size(OPT_MAX);
	case 1:
		return right + rnd(9) - (right > 4 ? 4 : 0);
	default:
		return right;
	}
}

static void refused(const char *what, const struct slot *s, int got, int want)
{
	if (got != want)
		fail("%s: %s, should be %s (kind %d, ulp %d, attached %d, connected %d)", what,
		     strerror(got), strerror(want), s->kind, s->ulp, s->attached, s->connected);
}

/* ---- our options -------------------------------------------------------- */

static int expect_fd(int fd)
{
	if (fd == devmem_buf_fd(b.buf) || fd == devmem_buf_fd(gone.buf) || fd == other_buffer ||
	    fd == revoked_buffer)
		return 0;
	return fcntl(fd, F_GETFD) < 0 ? EBADF : EINVAL;
}

/* 0: it may be attached, as far as one can tell here. */
static int expect_attach(const struct slot *s, const struct devmem_attach *a, uint32_t len,
			 bool bad)
{
	uint32_t i;

	if (len < sizeof(*a))
		return EINVAL;
	if (bad)
		return EFAULT;
	for (i = sizeof(*a); i < len; i++)
		if (value[i])
			return E2BIG;
	if (a->flags & ~DEVMEM_ATTACH_REPORT_LOST || a->reserved)
		return EINVAL;
	if (s->attached)
		return EISCONN;
	if (expect_fd(a->dmabuf_fd))
		return expect_fd(a->dmabuf_fd);
	if (a->binding_id != b.res.id)
		return ENOENT;
	if (!s->connected)
		return ENOTCONN;
	return a->dmabuf_fd == devmem_buf_fd(b.buf) ? 0 : EACCES;
}

static void do_attach(struct slot *s)
{
	struct devmem_attach a = { .binding_id = b.res.id, .dmabuf_fd = devmem_buf_fd(b.buf) };
	const int fds[] = { a.dmabuf_fd, devmem_buf_fd(gone.buf), other_buffer, revoked_buffer,
			    no_buffer, s->fd, -1, (int)rnd_wild() };
	uint32_t len = some_len(sizeof(a));
	bool bad, right = once_in(8);
	int want, got;

	if (!right) {
		if (once_in(2))
			a.binding_id = once_in(2) ? gone.res.id : rnd_wild();
		if (once_in(2))
			a.dmabuf_fd = rnd_of(fds);
		if (once_in(6))
			a.flags = rnd_wild();
		if (once_in(6))
			a.reserved = rnd_wild();
	}
	memset(value, 0, sizeof(value));
	memcpy(value, &a, sizeof(a));
	if (once_in(4) && len > sizeof(a))
		value[sizeof(a) + rnd(len - sizeof(a))] = (uint8_t)rnd32();
	got = setsockopt(s->fd, SOL_DEVMEM, DEVMEM_ATTACH, argument(len, &bad), len) ? errno : 0;
	if (s->kind == SLOT_PIPE) {
		refused("attach", s, got, ENOTSOCK);
	} else if (!s->ulp) {
		if (got != ENOPROTOOPT && got != EOPNOTSUPP && got != EINVAL)
			refused("attach without ULP", s, got, ENOPROTOOPT);
	} else if (bad && len > sizeof(a)) {
		if (got != EFAULT && got != E2BIG)	/* bytes of a place that can be read */
			refused("attach", s, got, EFAULT);
	} else {
		want = expect_attach(s, &a, len, bad);
		/* a connection that has ended says so in its own time */
		if (got != want && !(s->over && (got == ENOTCONN || got == ENETUNREACH)))
			refused("attach", s, got, want);
		s->attached |= !got;
		nr_attached += !got;
	}
}

static void do_ulp(struct slot *s)
{
	static const char *const names[] = { "devmem", "devmem", "devmem", "devme", "devmem2",
					     "", "tls", "nonesuch" };
	const char *name = rnd_of(names);
	uint32_t len = rnd(4) ? (uint32_t)strlen(name) + 1 : rnd_size(64);
	bool bad, ours;
	int got;

	/* kTLS would have the stream for itself */
	if (s->kind == SLOT_STREAM && !strcmp(name, "tls"))
		return;
	memset(value, 0, 64);
	strcpy((char *)value, name);
	got = setsockopt(s->fd, IPPROTO_TCP, TCP_ULP, argument(len, &bad), len) ? errno : 0;
	/* as much of the name as the length says */
	ours = !bad && !strcmp(strndupa(name, len < 15 ? len : 15), "devmem");
	if (got) {
		if (ours && s->kind == SLOT_STREAM)
			refused("ULP", s, got, s->ulp ? EEXIST : s->over ? got : s->connected ? 0 :
				ENOTCONN);
		return;
	}
	if (!ours || s->kind != SLOT_STREAM || s->ulp || (!s->connected && !s->over))
		fail("ULP '%s' of %u bytes was set (kind %d)", name, len, s->kind);
	s->ulp = true;
}

/* How many tokens of ours are in the range? They are ours no longer. */
static uint32_t forget(struct slot *s, uint32_t start, uint32_t count)
{
	unsigned int i = 0;
	uint32_t n = 0;

	while (i < s->nr_held) {
		if (s->held[i].token - start < count) {
			s->held[i] = s->held[--s->nr_held];
			n++;
		} else {
			i++;
		}
	}
	return n;
}

static uint32_t take_back(struct slot *s, const struct devmem_range *r, uint32_t nr)
{
	uint32_t left = DEVMEM_MAX_DONTNEED_TOKENS, n = 0, i, count;

	for (i = 0; i < nr && left; i++) {
		count = r[i].token_count < left ? r[i].token_count : left;
		n += forget(s, r[i].token_start, count);
		left -= count;
	}
	return n;
}

static void do_dontneed(struct slot *s)
{
	uint32_t nr = rnd(4) ? 1 + rnd(4) : rnd(140), len = nr * sizeof(struct devmem_range), i;
	struct devmem_range *r = (void *)value;
	int got, want;
	bool bad;

	for (i = 0; i < nr; i++) {
		r[i].token_start = s->nr_held && rnd(4) ? s->held[rnd(s->nr_held)].token : rnd_wild();
		r[i].token_count = rnd(4) ? rnd_size(100) : rnd_wild();
	}
	if (once_in(12))
		len = some_len(len);
	if (once_in(16))
		slot_check_held(s, &b);
	got = setsockopt(s->fd, SOL_SOCKET, SO_DEVMEM_DONTNEED, argument(len, &bad), len);
	if (!s->ulp) {
		check_cmp(got, <=, 0);
		return;
	}
	nr = len / sizeof(*r);
	if (!len || len % sizeof(*r) || nr > DEVMEM_MAX_DONTNEED_RANGES)
		want = -EINVAL;
	else if (bad)
		want = -EFAULT;
	else
		want = (int)take_back(s, r, nr);
	if (got < 0)
		got = -errno;
	if (got != want)
		fail("SO_DEVMEM_DONTNEED of %u bytes: %d, should be %d", len, got, want);
}

static void do_info(struct slot *s)
{
	struct devmem_info info = {};
	socklen_t len = some_len(sizeof(info));
	int got, want, name = rnd(8) ? DEVMEM_INFO : (int)rnd_wild();
	socklen_t had = len;
	bool bad;
	void *at = argument(len <= OPT_MAX ? len : OPT_MAX, &bad);

	got = getsockopt(s->fd, SOL_DEVMEM, name, at, &len) ? errno : 0;
	if (!s->ulp) {
		check(got);
		return;
	}
	want = name != DEVMEM_INFO ? ENOPROTOOPT : had < DEVMEM_INFO_SIZE_VER0 || had > INT32_MAX ? EINVAL :
	       bad ? EFAULT : 0;
	refused("DEVMEM_INFO", s, got, want);
	if (got)
		return;
	check_eq(len, had < sizeof(info) ? had : sizeof(info));
	memcpy(&info, at, len);
	check_eq(info.tokens_held, s->nr_held);
	check_eq(info.binding_id, s->attached ? b.res.id : 0);
	check_cmp(info.pieces, >=, s->nr_held);
}

static void do_other_devmem(struct slot *s)
{
	uint32_t len = rnd_size(OPT_MAX), name = rnd_wild();
	bool bad;

	rnd_fill(value, OPT_MAX);
	if (name == DEVMEM_ATTACH)
		return;
	check(setsockopt(s->fd, SOL_DEVMEM, (int)name, argument(len, &bad), len) < 0);
	if (s->ulp)
		refused("an unknown option", s, errno, ENOPROTOOPT);
}

/* ---- the kernel's options, and what else there is ------------------------ */

/* Those that leave a stream as it is. */
static void do_kernel_option(struct slot *s)
{
	static const struct { int level, name; } options[] = {
		{ SOL_SOCKET, SO_RCVBUF }, { SOL_SOCKET, SO_RCVLOWAT }, { SOL_SOCKET, SO_SNDBUF },
		{ SOL_SOCKET, SO_TIMESTAMP }, { SOL_SOCKET, SO_TIMESTAMPNS },
		{ SOL_SOCKET, SO_TIMESTAMPING }, { SOL_SOCKET, SO_BUSY_POLL },
		{ SOL_SOCKET, SO_PRIORITY }, { SOL_SOCKET, SO_MARK }, { SOL_SOCKET, SO_OOBINLINE },
		{ SOL_SOCKET, SO_KEEPALIVE }, { SOL_SOCKET, SO_INCOMING_CPU },
		{ SOL_SOCKET, SO_ZEROCOPY }, { SOL_SOCKET, SO_PASSCRED },
		{ IPPROTO_TCP, TCP_NODELAY }, { IPPROTO_TCP, TCP_CORK }, { IPPROTO_TCP, TCP_QUICKACK },
		{ IPPROTO_TCP, TCP_INQ }, { IPPROTO_TCP, TCP_WINDOW_CLAMP }, { IPPROTO_TCP, TCP_MAXSEG },
		{ IPPROTO_TCP, TCP_NOTSENT_LOWAT }, { IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE }, { IPPROTO_TCP, TCP_CONGESTION },
		{ IPPROTO_IP, 1 }, { IPPROTO_IPV6, 1 }, { SOL_SOCKET, 78 }, { SOL_SOCKET, 79 },
	};
	uint32_t i = rnd(ARRAY_SIZE(options)), len = some_len(sizeof(int));
	socklen_t out = len;
	bool bad;

	if (options[i].level == IPPROTO_IPV6 && s->kind == SLOT_STREAM && !s->ulp)
		return;		/* IPV6_ADDRFORM makes another socket of it */
	rnd_fill(value, len);
	*(uint32_t *)value = rnd(2) ? rnd(2) : rnd_wild();
	/* a window of nothing would be the end of the stream */
	if (options[i].name == TCP_WINDOW_CLAMP || options[i].name == SO_RCVBUF)
		*(uint32_t *)value = 20000 + rnd(100000);
	if (rnd(2))
		setsockopt(s->fd, options[i].level, options[i].name, argument(len, &bad), len);
	else
		getsockopt(s->fd, options[i].level, options[i].name, argument(len, &bad), &out);
}

/* They would make it a connection with other rules. */
static void do_refused_option(struct slot *s)
{
	static const int names[] = {
		TCP_MD5SIG, TCP_MD5SIG_EXT, TCP_REPAIR, AO_ADD_KEY, AO_DEL_KEY, AO_INFO, AO_REPAIR,
	};
	uint32_t len = rnd_size(400);
	bool bad;

	if (!s->ulp)
		return;
	rnd_fill(value, len);
	check(setsockopt(s->fd, IPPROTO_TCP, rnd_of(names), argument(len, &bad), len) < 0);
	refused("an option that cannot be", s, errno, EOPNOTSUPP);
}

static void end(struct slot *s)
{
	s->over = true;
	s->connected = false;
}

static void disconnect(struct slot *s)
{
	struct sockaddr sa = { .sa_family = AF_UNSPEC };

	if (s->kind != SLOT_STREAM)
		return;
	if (connect(s->fd, &sa, sizeof(sa)))
		return;
	end(s);
	s->attached = false;
}

static void do_state(struct slot *s)
{
	struct sockaddr_storage ss;
	int pair[2], n;
	void *map;

	/* seldom the end of it */
	switch (once_in(8) ? rnd(9) : 4 + rnd(36)) {
	case 0:
		if (!shutdown(s->fd, (int)rnd(3)) && s->kind == SLOT_STREAM)
			s->over = true;
		break;
	case 1:
		if (s->peer >= 0 && !shutdown(s->peer, (int)rnd(3)))
			s->over = true;
		break;
	case 2:
		if (s->peer >= 0) {
			struct linger l = { .l_onoff = 1 };

			if (rnd(2))
				setsockopt(s->peer, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
			close(s->peer);
			s->peer = -1;
			s->over = true;
		}
		break;
	case 3:
		disconnect(s);
		break;
	case 4:
		n = rnd(2) ? listen(s->fd, 4) : 0;
		if (s->kind == SLOT_STREAM && s->ulp && rnd(2) && !s->connected)
			(void)connect(s->fd, (void *)&ss, side_addr(&ss, RECEIVER, AF_INET, 1));
		(void)n;
		break;
	case 5:
		must(pipe2(pair, O_CLOEXEC | O_NONBLOCK));
		if (s->ulp)
			check_errno(splice(s->fd, NULL, pair[1], NULL, 4096, SPLICE_F_NONBLOCK),
				    EOPNOTSUPP);
		close(pair[0]);
		close(pair[1]);
		break;
	case 6:
		map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, s->fd, 0);
		if (map != MAP_FAILED)
			munmap(map, 4096);
		break;
	case 7:
		ioctl(s->fd, rnd(2) ? SIOCINQ : SIOCATMARK, &n);
		break;
	case 8:
		if (s->kind == SLOT_STREAM && !once_in(4))
			send(s->fd, value, rnd_size(1000), MSG_DONTWAIT | MSG_NOSIGNAL);
		break;
	default:
		if (s->kind == SLOT_STREAM)
			slot_feed(s, rnd_size(once_in(16) ? 60000 : 4000));
		break;
	}
}

/* ---- rounds ------------------------------------------------------------- */

static void reopen(struct slot *s)
{
	slot_check_held(s, &b);
	slot_close(s);
	slot_open(s, rnd(3) ? SLOT_STREAM : rnd(SLOT_KINDS));
}

static void one_call(void)
{
	struct slot *s = &slots[rnd(SLOTS)];

	switch (rnd(32)) {
	case 0:
		if (once_in(s->over ? 2 : 24))
			reopen(s);
		break;
	case 1:
	case 2:
		if (!s->ulp || once_in(4))
			do_ulp(s);
		break;
	case 3:
	case 4:
	case 5:
		do_attach(s);
		break;
	case 6:
	case 7:
	case 8:
	case 9:
		do_dontneed(s);
		break;
	case 10:
	case 11:
	case 12:
		do_info(s);
		break;
	case 13:
		do_other_devmem(s);
		do_refused_option(s);
		break;
	case 14:
	case 15:
	case 16:
		do_kernel_option(s);
		break;
	case 17:
	case 18:
	case 19:
		do_state(s);
		break;
	default:
		slot_receive(s, &b);
		break;
	}
}

static bool all_gone(void)
{
	return !live_object("sockets") && !live_object("tokens") && !live_object("flows") &&
	       live_object("bindings") == 1;
}

static void calls(void)
{
	struct devmem_bind_info info;
	unsigned int i;
	char left[256];

	fuzz_begin("sockopt", CALLS);
	bind_buffer(&b, DEVMEM_BUF_GPU, 8 << 20, 65536);
	bind_queues(&gone, DEVMEM_BUF_GPU, 1 << 20, 0, &(uint32_t){ 5 }, 1);
	unbind(&gone);
	other_buffer = ctl_gpu_alloc(65536, 4, 0);
	revoked_buffer = ctl_gpu_alloc(65536, 4, 0);
	check_eq(ctl_gpu_revoke(revoked_buffer), 0);
	no_buffer = must(open("/dev/null", O_RDONLY | O_CLOEXEC));
	while (fuzz_next()) {
		for (i = 0; i < SLOTS; i++)
			slot_open(&slots[i], i < 8 ? SLOT_STREAM : rnd(SLOT_KINDS));
		for (i = 0; i < ROUND; i++)
			one_call();
		fuzz_count(ROUND);
		for (i = 0; i < SLOTS; i++) {
			slot_check_held(&slots[i], &b);
			slot_close(&slots[i]);
		}
		if (!within(3000, all_gone())) {
			live_objects(left, sizeof(left));
			fail("left: %s", left);
		}
	}
	bound_info(&b, &info);
	diag("%u were attached, %llu bytes placed, %llu not", nr_attached,
	     (unsigned long long)info.stats.placed_bytes,
	     (unsigned long long)info.stats.fallback_bytes);
}

static void setup(void)
{
	env_setup(8);
}

static struct ktap_case cases[] = {
	KTAP_CASE(calls, .timeout = 60),
};

int main(int argc, char **argv)
{
	return fuzz_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
