// SPDX-License-Identifier: GPL-2.0
/*
 * Sending from device memory by the kernel's own means, NETDEV_CMD_BIND_TX: the NIC
 * reads payload that no CPU can. What arrives is what lies in the dma-buf.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common_provider.h"

#define SEED	0x74786d656dULL
#define MIB	(1UL << 20)

static struct ctl_nl nl;

struct txmem {
	struct devmem_buf *buf;
	unsigned char *map;
	uint32_t id;
};

static void setup(void)
{
	env_setup(4);
}

static void bind_tx(int fd, uint32_t *id)
{
	struct ctl_answer answer;

	kernel_bind_tx(&nl, fd, id, &answer);
	if (answer.err == EOPNOTSUPP && !answer.text[0])
		skip("this kernel cannot send from device memory");
	if (answer.err)
		fail("bind-tx: %s: %s", strerror(answer.err), answer.text);
	check_cmp(*id, >, 0);
}

static void txmem_init(struct txmem *m)
{
	void *map;

	if (devmem_buf_alloc(&m->buf, DEVMEM_BUF_UDMABUF, MIB, 0) ||
	    devmem_buf_map(m->buf, &map, 0))
		fail("%s", devmem_error());
	m->map = map;
	devmem_pattern_fill(map, MIB, 0, SEED);
	bind_tx(devmem_buf_fd(m->buf), &m->id);
}

/* Take the notifications that all has been sent, lest they pile up. */
static void reap(int sock)
{
	char control[256];
	struct msghdr msg = { .msg_control = control };

	do {
		msg.msg_controllen = sizeof(control);
	} while (recvmsg(sock, &msg, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0);
}

/* @len bytes from @off of the buffer on. */
static ssize_t send_mem(int sock, uint32_t id, size_t off, size_t len, int flags)
{
	union {
		char buf[CMSG_SPACE(sizeof(uint32_t))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)off, .iov_len = len };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_DEVMEM_DMABUF;
	cmsg->cmsg_len = CMSG_LEN(sizeof(id));
	memcpy(CMSG_DATA(cmsg), &id, sizeof(id));
	return sendmsg(sock, &msg, MSG_ZEROCOPY | MSG_NOSIGNAL | flags);
}

static void zerocopy(int sock)
{
	int one = 1;

	must(setsockopt(sock, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)));
}

/* Reads all and compares; the other end of what send_all() sends. */
static pid_t reader(const struct conn *c, const struct txmem *m, uint64_t bytes)
{
	static unsigned char buf[65536];
	uint64_t pos = 0;
	ssize_t i, n;
	pid_t pid;

	pid = test_fork();
	if (pid)
		return pid;
	while (pos < bytes) {
		n = recv(c->tx, buf, sizeof(buf), 0);
		check_cmp(n, >, 0);
		for (i = 0; i < n; i++)
			if (buf[i] != m->map[(pos + i) % MIB])
				fail("byte %llu is wrong", (unsigned long long)pos + i);
		pos += n;
	}
	exit(0);
}

static void send_all(const struct conn *c, const struct txmem *m, uint64_t bytes, size_t size)
{
	uint64_t pos = 0;
	size_t off, len;
	ssize_t n;

	while (pos < bytes) {
		off = pos % MIB;
		len = size;
		if (len > MIB - off)
			len = MIB - off;
		if (len > bytes - pos)
			len = bytes - pos;
		n = send_mem(c->rx, m->id, off, len, 0);
		if (n < 0)
			fail("sendmsg at %llu: %s", (unsigned long long)pos, strerror(errno));
		pos += n;
		reap(c->rx);
	}
}

static void stream(int family, const struct txmem *m, uint64_t bytes, size_t size)
{
	struct conn c;
	pid_t pid;

	connect_pair(&c, family);
	zerocopy(c.rx);
	pid = reader(&c, m, bytes);
	send_all(&c, m, bytes, size);
	test_join(pid);
	disconnect_pair(&c);
}

static void streams(void)
{
	static const size_t sizes[] = { 65536, 60001, 4096, 1448, 777 };
	struct txmem m;
	unsigned int i;

	txmem_init(&m);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		stream(AF_INET, &m, sizes[i] * 60, sizes[i]);
		stream(AF_INET6, &m, sizes[i] * 60, sizes[i]);
	}
	check_eq(nic_counter(RECEIVER, "tx_drop_bad"), 0);
	kernel_unbind(&nl);
}

/* Segments made by the stack, and a wire that loses some: all is read again. */
static void segmented_and_lost(void)
{
	struct txmem m;

	txmem_init(&m);
	must_cmd("ethtool -K nsd0 tso off gso off");
	stream(AF_INET, &m, MIB, 60000);
	must_cmd("ethtool -K nsd0 tso on gso on");
	impair(SENDER, "seed", 3);
	impair(SENDER, "loss", 20000);
	impair(SENDER, "reorder", 20000);
	stream(AF_INET, &m, MIB, 60000);
	impair_none(SENDER);
	kernel_unbind(&nl);
}

/* Memory and ordinary bytes in one stream, and what the memory holds counts when
 * the NIC reads it.
 */
static void mixed(void)
{
	char byte, got[3];
	struct txmem m;
	struct conn c;
	int i;

	txmem_init(&m);
	connect_pair(&c, AF_INET);
	zerocopy(c.rx);
	for (i = 0; i < 100; i++) {
		byte = (char)i;
		m.map[5000] = (unsigned char)~i;
		check_eq(send(c.rx, &byte, 1, 0), 1);
		check_eq(send_mem(c.rx, m.id, 5000, 1, 0), 1);
		check_eq(send(c.rx, &byte, 1, 0), 1);
		check_eq(recv(c.tx, got, 3, MSG_WAITALL), 3);
		check_eq(got[0], (char)i);
		check_eq(got[1], (char)~i);
		check_eq(got[2], (char)i);
		reap(c.rx);
	}
	kernel_unbind(&nl);
}

/* The buffer is unbound with much of it unsent: what was sent arrives. */
static void unbound_mid_stream(void)
{
	uint64_t sent = 0;
	struct txmem m;
	struct conn c;
	ssize_t n;
	pid_t pid;

	txmem_init(&m);
	connect_pair(&c, AF_INET);
	zerocopy(c.rx);
	while (sent < MIB) {
		n = send_mem(c.rx, m.id, sent, MIB - sent, MSG_DONTWAIT);
		if (n < 0)
			break;
		sent += n;
	}
	check_cmp(sent, >, 0);
	kernel_unbind(&nl);
	check_errno(send_mem(c.rx, m.id, 0, 1, 0), EINVAL);
	pid = reader(&c, &m, sent);
	test_join(pid);
}

/* Addresses that the NIC cannot reach: it reports a bus error, sends nothing. */
static void out_of_reach(void)
{
	/* a connection that waits for acknowledgments would hold the buffer */
	struct linger abort = { .l_onoff = 1 };
	uint64_t before;
	struct conn c;
	char byte;
	uint32_t id;
	int fd;

	fd = ctl_gpu_alloc(MIB, 0, NSDM_GPU_MAP_NO_RAM);
	check_cmp(fd, >=, 0);
	bind_tx(fd, &id);
	connect_pair(&c, AF_INET);
	zerocopy(c.rx);
	before = nic_counter(RECEIVER, "tx_drop_bad");
	check_eq(send_mem(c.rx, id, 0, 1000, 0), 1000);
	check(within(5000, nic_counter(RECEIVER, "tx_drop_bad") > before));
	check_errno(recv(c.tx, &byte, 1, MSG_DONTWAIT), EAGAIN);
	must(setsockopt(c.rx, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort)));
	disconnect_pair(&c);
	kernel_unbind(&nl);
	close(fd);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(streams, .timeout = 60),
	KTAP_CASE(segmented_and_lost, .timeout = 60),
	KTAP_CASE(mixed),
	KTAP_CASE(unbound_mid_stream),
	KTAP_CASE(out_of_reach),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
