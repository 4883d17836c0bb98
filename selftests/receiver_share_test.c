// SPDX-License-Identifier: GPL-2.0
/*
 * What a process can do, and cannot, with the channel to devmem-nic that it was given
 * (devmem_rx_share()): it is not trusted. What receivers have of it: via_test.
 */
#include <dirent.h>
#include <errno.h>
#include <nic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "common_nic.h"
#include "common_receiver.h"
#include "common_undo.h"

static int channel;
static struct picture before;

static void share(void)
{
	picture_take(&before);
	open_rx(DEVMEM_VIA_KERNEL, DEVMEM_BUF_GPU);
	must_ok(devmem_rx_share(rx, &channel, 0));
	check_cmp(channel, >=, 0);
}

static void end(void)
{
	close(channel);
	close_all();
	check_undone(&before);
}

/* With @nr times the descriptor. */
static void ask_on(int sock, const void *req, size_t size, int fd, unsigned int nr)
{
	union {
		char buf[CMSG_SPACE(8 * sizeof(int))];
		struct cmsghdr align;
	} control = { .buf = "" };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)req, .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg = (void *)control.buf;
	unsigned int i;

	if (nr) {
		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(nr * sizeof(fd));
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(nr * sizeof(fd));
		for (i = 0; i < nr; i++)
			memcpy(CMSG_DATA(cmsg) + i * sizeof(fd), &fd, sizeof(fd));
	}
	check_eq(sendmsg(sock, &msg, MSG_NOSIGNAL), size);
}

/* Its answer, and the number of a rule. */
static int ask(uint32_t what, int fd, uint32_t *rule)
{
	struct devmem_nic_request req = { .version = DEVMEM_NIC_VERSION, .what = what };
	struct devmem_nic_reply reply;

	if (what == DEVMEM_NIC_RULE_DEL)
		req.rule = *rule;
	memcpy(req.dev, "nsd0", sizeof("nsd0"));
	ask_on(channel, &req, sizeof(req), fd, fd >= 0);
	check_eq(recv(channel, &reply, sizeof(reply), 0), sizeof(reply));
	check_eq(reply.version, DEVMEM_NIC_VERSION);
	if (what == DEVMEM_NIC_RULE_ADD)
		*rule = reply.rule;
	return reply.ret;
}

/* Sockets that give no right to any connection of the device. */
static void no_right(void)
{
	uint32_t rule;
	int fd, pair[2];

	share();
	check_eq(ask(DEVMEM_NIC_RULE_ADD, -1, &rule), -EBADF);
	fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	check_eq(ask(DEVMEM_NIC_RULE_ADD, fd, &rule), -EOPNOTSUPP);
	close(fd);
	fd = must(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
	check_eq(ask(DEVMEM_NIC_RULE_ADD, fd, &rule), -ENOTCONN);
	close(fd);
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	check_eq(ask(DEVMEM_NIC_RULE_ADD, pair[0], &rule), -EOPNOTSUPP);
	close(pair[0]);
	close(pair[1]);
	check_eq(ask(DEVMEM_NIC_RULE_ADD, STDOUT_FILENO, &rule), -EOPNOTSUPP);

	/* of a host of its own, where anybody can have any address */
	connect_pair(&c, AF_INET);
	check_eq(ask(DEVMEM_NIC_RULE_ADD, c.tx, &rule), -ENETUNREACH);
	/* one that is over */
	must(shutdown(c.rx, SHUT_RDWR));
	must(shutdown(c.tx, SHUT_RDWR));
	check(within(2000, ask(DEVMEM_NIC_RULE_ADD, c.rx, &rule) == -ENOTCONN));
	disconnect_pair(&c);
	connect_lo(AF_INET);
	check_eq(ask(DEVMEM_NIC_RULE_ADD, c.rx, &rule), -ENETUNREACH);
	disconnect_pair(&c);
	check_eq(rule_count(), 0);
	end();
}

/* What is for the owner alone. */
static void not_his(void)
{
	uint32_t rule = 0, own;
	int pair[2];

	share();
	must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
	check_eq(ask(DEVMEM_NIC_BIND, devmem_buf_fd(staging), &rule), -EPERM);
	check_eq(ask(DEVMEM_NIC_SHARE, pair[0], &rule), -EPERM);
	check_eq(ask(DEVMEM_NIC_CHECK, -1, &rule), -EPERM);
	check_eq(ask(DEVMEM_NIC_CLEANUP, -1, &rule), -EPERM);
	check_eq(ask(1000, -1, &rule), -EPERM);

	/* rules of others */
	connect_rx(AF_INET);
	check_eq(rule_count(), 1);
	for (rule = 0; rule < 64; rule++)
		check_eq(ask(DEVMEM_NIC_RULE_DEL, -1, &rule), 0);
	rule = UINT32_MAX;
	check_eq(ask(DEVMEM_NIC_RULE_DEL, -1, &rule), -EINVAL);
	check_eq(rule_count(), 1);
	devmem_conn_close(conn);
	close(c.tx);
	check_eq(rule_count(), 0);

	/* his own */
	connect_pair(&c, AF_INET6);
	check_eq(ask(DEVMEM_NIC_RULE_ADD, c.rx, &own), 0);
	check_eq(rule_count(), 1);
	check_eq(ask(DEVMEM_NIC_RULE_DEL, -1, &own), 0);
	check_eq(ask(DEVMEM_NIC_RULE_DEL, -1, &own), 0);
	check_eq(rule_count(), 0);
	disconnect_pair(&c);
	end();
}

/* A rule is there for as long as its connection and its channel are, and no longer: the
 * next connection with these addresses is somebody else's.
 */
static void goes_with_it(void)
{
	uint32_t rule;
	unsigned int i;

	share();
	for (i = 0; i < 8; i++) {
		connect_pair(&c, i % 2 ? AF_INET6 : AF_INET);
		check_eq(ask(DEVMEM_NIC_RULE_ADD, c.rx, &rule), 0);
		check_eq(rule_count(), 1);
		switch (i / 2) {
		case 0:		/* the sender breaks it off */
			must(setsockopt(c.tx, SOL_SOCKET, SO_LINGER,
					&(struct linger) { 1, 0 }, sizeof(struct linger)));
			close(c.tx);
			c.tx = -1;
			break;
		case 1:
			must(shutdown(c.rx, SHUT_RDWR));
			break;
		case 2:		/* both end it in order */
			must(shutdown(c.tx, SHUT_WR));
			must(shutdown(c.rx, SHUT_WR));
			break;
		case 3:
			close(channel);
			break;
		}
		check(within(5000, !rule_count()));
		close(c.rx);
		close(c.tx);
		if (i / 2 == 3)
			must_ok(devmem_rx_share(rx, &channel, 0));
	}
	end();
}

static unsigned int descriptors(pid_t pid)
{
	unsigned int nr = 0;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	check(dir);
	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

/* What it sends is not kept. */
static void descriptors_that_nobody_wants(void)
{
	struct devmem_nic_request req = { .version = DEVMEM_NIC_VERSION, .what = 1000 };
	struct devmem_nic_reply reply;
	unsigned int before_all, i;
	pid_t nic;

	share();
	check_eq(nic_processes(&nic), 1);
	before_all = descriptors(nic);
	for (i = 0; i < 200; i++) {
		ask_on(channel, &req, sizeof(req), STDOUT_FILENO, i % 4);
		check_eq(recv(channel, &reply, sizeof(reply), 0), sizeof(reply));
	}
	check(within(5000, descriptors(nic) == before_all));
	end();
}

/* A rule's number may be another connection's by the time that the first one ends, which
 * is still open elsewhere.
 */
static void number_used_again(void)
{
	struct conn first;
	uint32_t rule, again;

	share();
	connect_pair(&first, AF_INET);
	connect_pair(&c, AF_INET);
	check_eq(ask(DEVMEM_NIC_RULE_ADD, first.rx, &rule), 0);
	check_eq(ask(DEVMEM_NIC_RULE_DEL, -1, &rule), 0);
	check_eq(ask(DEVMEM_NIC_RULE_ADD, c.rx, &again), 0);
	check_eq(again, rule);
	must(shutdown(first.rx, SHUT_RDWR));
	disconnect_pair(&first);
	/* whatever that has led to is over when this is answered */
	check_eq(ask(1000, -1, &again), -EPERM);
	check_eq(rule_count(), 1);
	must(shutdown(c.rx, SHUT_RDWR));
	disconnect_pair(&c);
	check(within(2000, !rule_count()));
	end();
}

/* A socket that takes its time to be closed keeps nobody waiting. */
static void slow_to_close(void)
{
	const struct linger linger = { 1, 100000 };
	static char bytes[100000];
	struct conn stalled;
	uint32_t rule;

	share();
	connect_pair(&c, AF_INET);
	check_eq(ask(DEVMEM_NIC_RULE_ADD, c.rx, &rule), 0);
	must(setsockopt(c.rx, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	while (send(c.rx, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	/* not the last descriptor of it: that is devmem-nic's */
	close(c.rx);
	check_eq(ask(DEVMEM_NIC_RULE_DEL, -1, &rule), 0);
	check_eq(ask(1000, -1, &rule), -EPERM);
	check_eq(rule_count(), 0);
	stalled = c;
	connect_lo(AF_INET);
	check_eq(ask(DEVMEM_NIC_RULE_ADD, c.rx, &rule), -ENETUNREACH);
	disconnect_pair(&c);
	end();
	close(stalled.tx);
}

/* Nonsense, and answers that nobody takes: nobody else waits for that. */
static void nonsense(void)
{
	static const char bytes[65536];
	struct devmem_nic_request req = { .version = DEVMEM_NIC_VERSION };
	struct devmem_nic_reply reply;
	int other, i;

	share();
	must_ok(devmem_rx_share(rx, &other, 0));
	ask_on(channel, bytes, sizeof(bytes), -1, 0);
	check_eq(recv(channel, &reply, sizeof(reply), 0), sizeof(reply));
	check_eq(reply.ret, -EPROTO);
	ask_on(channel, bytes, 1, STDOUT_FILENO, 1);
	check_eq(recv(channel, &reply, sizeof(reply), 0), sizeof(reply));
	check_eq(reply.ret, -EPROTO);

	for (i = 0; i < 100000; i++)
		if (send(other, &req, sizeof(req), MSG_NOSIGNAL) < 0)
			break;
	check_cmp(i, <, 100000);
	connect_rx(AF_INET);
	check_eq(rule_count(), 1);
	devmem_conn_close(conn);
	close(c.tx);
	close(other);
	end();
}

static void setup(void)
{
	env_setup(4);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(no_right),
	KTAP_CASE(not_his),
	KTAP_CASE(goes_with_it),
	KTAP_CASE(descriptors_that_nobody_wants),
	KTAP_CASE(number_used_again),
	KTAP_CASE(slow_to_close),
	KTAP_CASE(nonsense),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
