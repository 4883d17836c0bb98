// SPDX-License-Identifier: GPL-2.0
/*
 * Socket options: sizes of their structs, flags, bad pointers, and the kernel's
 * own options that a socket with the ULP refuses or must go on taking.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common.h"
#include "common_ctl.h"

#define SEED	0x50c0
#define BUFFER	(1U << 20)
#define STREAM	(200 * 1000)

#ifndef TCP_AO_ADD_KEY
#define TCP_AO_ADD_KEY	38
#define TCP_AO_DEL_KEY	39
#define TCP_AO_INFO	40
#define TCP_AO_REPAIR	42
#endif
#ifndef TCP_ZEROCOPY_RECEIVE
#define TCP_ZEROCOPY_RECEIVE	35
#endif

static struct bound b;
static struct conn c;
static struct devmem_attach good;

/* A connection with the ULP, and what would attach it. */
static void ready(int family)
{
	bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, 65536);
	connect_pair(&c, family);
	must(setsockopt(c.rx, IPPROTO_TCP, TCP_ULP, "devmem", 7));
	good = (struct devmem_attach){
		.binding_id = b.res.id,
		.dmabuf_fd = devmem_buf_fd(b.buf),
	};
}

static int attach_with(const void *arg, socklen_t len)
{
	return setsockopt(c.rx, SOL_DEVMEM, DEVMEM_ATTACH, arg, len);
}

static void carries(void)
{
	struct rx rx;
	pid_t pid;

	rx_init(&rx, c.rx, &b, SEED);
	pid = send_start(&c, STREAM, SEED, 9999, SEND_SHUTDOWN);
	rx_all(&rx, STREAM);
	rx_eof(&rx);
	test_join(pid);
	rx_check_placed(&rx, STREAM);
	rx_check_info(&rx);
}

/* Two pages, the second of which is not there. Returns where it would begin. */
static unsigned char *page_end(void)
{
	unsigned char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || mprotect(p + 4096, 4096, PROT_NONE))
		fail("mmap: %s", strerror(errno));
	return p + 4096;
}

static void attach_too_short(void)
{
	socklen_t len;

	ready(AF_INET);
	for (len = 0; len < DEVMEM_ATTACH_SIZE_VER0; len++)
		check_errno(attach_with(&good, len), EINVAL);
	check_errno(attach_with(&good, (socklen_t)-1), EINVAL);
	check_eq(live_object("flows"), 0);
	must(attach_with(&good, DEVMEM_ATTACH_SIZE_VER0));
	carries();
}

/* From a program that was built for a later kernel. */
static void attach_too_long(void)
{
	static unsigned char buf[8192];
	size_t i;

	ready(AF_INET);
	memcpy(buf, &good, sizeof(good));
	for (i = sizeof(good); i < sizeof(buf); i = i * 2 - 7) {
		buf[i] = 1;
		check_errno(attach_with(buf, sizeof(buf)), E2BIG);
		check_errno(attach_with(buf, (socklen_t)i + 1), E2BIG);
		buf[i] = 0;
	}
	buf[sizeof(buf) - 1] = 0x80;
	check_errno(attach_with(buf, sizeof(buf)), E2BIG);
	buf[sizeof(buf) - 1] = 0;
	check_eq(live_object("flows"), 0);
	must(attach_with(buf, sizeof(buf)));
	carries();
}

static void attach_unknown_flags(void)
{
	struct devmem_attach a;
	unsigned int bit;

	ready(AF_INET6);
	for (bit = 0; bit < 32; bit++) {
		a = good;
		a.flags = 1U << bit;
		if (a.flags != DEVMEM_ATTACH_REPORT_LOST)
			check_errno(attach_with(&a, sizeof(a)), EINVAL);
		a = good;
		a.reserved = 1U << bit;
		check_errno(attach_with(&a, sizeof(a)), EINVAL);
	}
	check_eq(live_object("flows"), 0);
	must(attach_with(&good, sizeof(good)));
	carries();
}

static void attach_bad_pointers(void)
{
	unsigned char *end = page_end();

	ready(AF_INET);
	memcpy(end - sizeof(good), &good, sizeof(good));
	check_errno(attach_with(NULL, sizeof(good)), EFAULT);
	check_errno(attach_with(end, sizeof(good)), EFAULT);
	check_errno(attach_with(end - 8, sizeof(good)), EFAULT);
	check_errno(attach_with(end - sizeof(good), sizeof(good) + 1), EFAULT);
	check_errno(attach_with(end - sizeof(good), 0x7fffffff), EFAULT);
	check_errno(attach_with((void *)-4096L, sizeof(good)), EFAULT);
	check_eq(live_object("flows"), 0);
	must(attach_with(end - sizeof(good), sizeof(good)));
	carries();
}

static void unknown_names(void)
{
	unsigned char buf[64] = "";
	socklen_t len;
	int name;

	ready(AF_INET);
	for (name = -1; name < 100; name++) {
		len = sizeof(buf);
		if (name != DEVMEM_ATTACH)
			check_errno(setsockopt(c.rx, SOL_DEVMEM, name, buf, len), ENOPROTOOPT);
		if (name != DEVMEM_INFO)
			check_errno(getsockopt(c.rx, SOL_DEVMEM, name, buf, &len), ENOPROTOOPT);
	}
	check_errno(setsockopt(c.rx, SOL_DEVMEM + 1, DEVMEM_ATTACH, &good, sizeof(good)),
		    ENOPROTOOPT);
	must(attach_with(&good, sizeof(good)));
	carries();
}

static int info_with(void *arg, socklen_t *len)
{
	return getsockopt(c.rx, SOL_DEVMEM, DEVMEM_INFO, arg, len);
}

static void info_sizes(void)
{
	unsigned char buf[256], *end = page_end();
	struct devmem_info info;
	socklen_t len;
	size_t i;

	ready(AF_INET);
	for (i = 0; i < DEVMEM_INFO_SIZE_VER0; i++) {
		len = (socklen_t)i;
		check_errno(info_with(buf, &len), EINVAL);
	}
	len = (socklen_t)-1;
	check_errno(info_with(buf, &len), EINVAL);
	len = DEVMEM_INFO_SIZE_VER0;
	check_errno(info_with(NULL, &len), EFAULT);
	check_errno(info_with(end - 20, &len), EFAULT);
	check_errno(info_with(buf, NULL), EFAULT);

	/* not attached: all zero but the way in, and nothing behind what it says */
	memset(buf, 0xee, sizeof(buf));
	len = sizeof(buf);
	must(info_with(buf, &len));
	check_eq(len, sizeof(info));
	for (i = 0; i < sizeof(buf); i++)
		if (i < offsetof(struct devmem_info, rx_ifindex) ||
		    i >= offsetof(struct devmem_info, reserved))
			check_eq(buf[i], i < sizeof(info) ? 0 : 0xee);

	/* as much as both know */
	memset(buf, 0xee, sizeof(buf));
	len = DEVMEM_INFO_SIZE_VER0;
	must(info_with(buf, &len));
	check_eq(len, DEVMEM_INFO_SIZE_VER0);
	check_eq(buf[len], 0xee);

	must(attach_with(&good, sizeof(good)));
	len = sizeof(info);
	must(info_with(end - sizeof(info), &len));
	memcpy(&info, end - sizeof(info), sizeof(info));
	check_eq(info.binding_id, b.res.id);
	check_eq(info.state, NETDEV_DEVMEM_STATE_ACTIVE);
	check_cmp(info.queue, <, 4);
	check_eq(info.chunk_size, 65536);
	check_eq(info.placed_bytes, 0);
	check_eq(info.tokens_held, 0);
	carries();
}

static int dontneed(const void *arg, socklen_t len)
{
	return setsockopt(c.rx, SOL_SOCKET, SO_DEVMEM_DONTNEED, arg, len);
}

static void dontneed_sizes(void)
{
	static struct devmem_range ranges[DEVMEM_MAX_DONTNEED_RANGES + 1];
	unsigned char *end = page_end();
	socklen_t len;
	size_t i;

	ready(AF_INET);
	must(attach_with(&good, sizeof(good)));
	for (i = 0; i < ARRAY_SIZE(ranges); i++)
		ranges[i] = (struct devmem_range){ (uint32_t)i * 7, 1 };
	check_errno(dontneed(ranges, 0), EINVAL);
	for (len = 1; len < 64; len++)
		if (len % sizeof(*ranges))
			check_errno(dontneed(ranges, len), EINVAL);
	check_errno(dontneed(ranges, sizeof(ranges)), EINVAL);
	check_errno(dontneed(ranges, sizeof(ranges) - 1), EINVAL);
	check_errno(dontneed(NULL, sizeof(*ranges)), EFAULT);
	check_errno(dontneed(end - 4, sizeof(*ranges)), EFAULT);
	check_eq(dontneed(ranges, sizeof(ranges) - sizeof(*ranges)), 0);
	carries();
}

/* A plain TCP socket does not know any of this. */
static void without_the_ulp(void)
{
	unsigned char buf[64];
	socklen_t len = sizeof(buf);

	bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, 65536);
	connect_pair(&c, AF_INET);
	check_errno(attach_with(&good, sizeof(good)), ENOPROTOOPT);
	check_errno(info_with(buf, &len), EOPNOTSUPP);
	check_errno(setsockopt(c.rx, IPPROTO_TCP, TCP_ULP, "devmeme", 8), ENOENT);
	check_errno(setsockopt(c.rx, IPPROTO_TCP, TCP_ULP, "devme", 6), ENOENT);
}

/* Options after which TCP would read, rewrite or map payload. */
static void refused_options(void)
{
	static const int names[] = {
		TCP_MD5SIG, TCP_MD5SIG_EXT, TCP_REPAIR, TCP_AO_ADD_KEY,
		TCP_AO_DEL_KEY, TCP_AO_INFO, TCP_AO_REPAIR,
	};
	static unsigned char buf[512] = { 1 };
	int value = AF_INET;
	socklen_t len;
	size_t i;
	int pass;

	ready(AF_INET6);
	for (pass = 0; pass < 2; pass++) {
		for (i = 0; i < ARRAY_SIZE(names); i++)
			check_errno(setsockopt(c.rx, IPPROTO_TCP, names[i], buf,
					       sizeof(buf)), EOPNOTSUPP);
		check_errno(setsockopt(c.rx, IPPROTO_IPV6, IPV6_ADDRFORM, &value,
				       sizeof(value)), EBUSY);
		len = 64;
		check_errno(getsockopt(c.rx, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE,
				       buf, &len), EOPNOTSUPP);
		if (mmap(NULL, 4096, PROT_READ, MAP_SHARED, c.rx, 0) != MAP_FAILED)
			fail("mmap of the socket");
		check_eq(errno, EOPNOTSUPP);
		/* with the ULP alone first, then attached */
		if (!pass)
			must(attach_with(&good, sizeof(good)));
	}
	carries();
}

/* Those that a program may want on any socket reach the kernel as ever. */
static void ordinary_options(void)
{
	static const struct {
		int level, name, value, got;
	} options[] = {
		{ SOL_SOCKET, SO_RCVLOWAT, 5000, 5000 },
		{ SOL_SOCKET, SO_RCVBUF, 100000, 200000 },
		{ SOL_SOCKET, SO_KEEPALIVE, 1, 1 },
		{ SOL_SOCKET, SO_MARK, 7, 7 },
		{ SOL_SOCKET, SO_PRIORITY, 3, 3 },
		{ IPPROTO_TCP, TCP_NODELAY, 1, 1 },
		{ IPPROTO_TCP, TCP_INQ, 1, 1 },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, 30000, 30000 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, 30, 30 },
		{ IPPROTO_IP, IP_TOS, 16, 16 },
	};
	struct timeval tv = { .tv_sec = 9 }, got;
	int value, low = 1;
	struct tcp_info ti;
	char name[16] = "";
	socklen_t len;
	size_t i;

	ready(AF_INET);
	must(attach_with(&good, sizeof(good)));
	for (i = 0; i < ARRAY_SIZE(options); i++) {
		if (setsockopt(c.rx, options[i].level, options[i].name,
			       &options[i].value, sizeof(int)))
			fail("option %zu: %s", i, strerror(errno));
		len = sizeof(value);
		must(getsockopt(c.rx, options[i].level, options[i].name, &value, &len));
		check_eq(value, options[i].got);
	}
	must(setsockopt(c.rx, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	len = sizeof(got);
	must(getsockopt(c.rx, SOL_SOCKET, SO_RCVTIMEO, &got, &len));
	check_eq(got.tv_sec, 9);
	len = sizeof(ti);
	must(getsockopt(c.rx, IPPROTO_TCP, TCP_INFO, &ti, &len));
	check_eq(ti.tcpi_state, TCP_ESTABLISHED);
	len = sizeof(name);
	must(getsockopt(c.rx, IPPROTO_TCP, TCP_ULP, name, &len));
	check(!strcmp(name, "devmem"));
	check_errno(setsockopt(c.rx, SOL_SOCKET, 9999, &value, sizeof(value)), ENOPROTOOPT);
	must(setsockopt(c.rx, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low)));
	carries();
}

static void setup(void)
{
	env_setup(4);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(attach_too_short),
	KTAP_CASE(attach_too_long),
	KTAP_CASE(attach_unknown_flags),
	KTAP_CASE(attach_bad_pointers),
	KTAP_CASE(unknown_names),
	KTAP_CASE(info_sizes),
	KTAP_CASE(dontneed_sizes),
	KTAP_CASE(without_the_ulp),
	KTAP_CASE(refused_options),
	KTAP_CASE(ordinary_options),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
