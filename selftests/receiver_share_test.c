// SPDX-License-Identifier: GPL-2.0
/*
 * What a process can do, and cannot, with the channel to devmem-nic that it was given
 * (devmem_rx_share()): it is not trusted. What receivers have of it: via_test.
 */
#include <errno.h>
#include <nic.h>
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

static unsigned int rules(void)
{
	uint32_t locations[RULES_MAX];

	return (unsigned int)must(rule_list(locations, RULES_MAX));
}

static void ask_on(int sock, const void *req, size_t size, int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { .buf = "" };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)req, .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof(control.buf);
		*CMSG_FIRSTHDR(&msg) = (struct cmsghdr) {
			.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(sizeof(fd)),
		};
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), &fd, sizeof(fd));
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
	ask_on(channel, &req, sizeof(req), fd);
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
	check_eq(rules(), 0);
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
	check_eq(rules(), 1);
	for (rule = 0; rule < 64; rule++)
		check_eq(ask(DEVMEM_NIC_RULE_DEL, -1, &rule), 0);
	rule = UINT32_MAX;
	check_eq(ask(DEVMEM_NIC_RULE_DEL, -1, &rule), -EINVAL);
	check_eq(rules(), 1);
	devmem_conn_close(conn);
	close(c.tx);
	check_eq(rules(), 0);

	/* his own */
	connect_pair(&c, AF_INET6);
	check_eq(ask(DEVMEM_NIC_RULE_ADD, c.rx, &own), 0);
	check_eq(rules(), 1);
	check_eq(ask(DEVMEM_NIC_RULE_DEL, -1, &own), 0);
	check_eq(ask(DEVMEM_NIC_RULE_DEL, -1, &own), 0);
	check_eq(rules(), 0);
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
		check_eq(rules(), 1);
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
		check(within(5000, !rules()));
		close(c.rx);
		close(c.tx);
		if (i / 2 == 3)
			must_ok(devmem_rx_share(rx, &channel, 0));
	}
	end();
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
	ask_on(channel, bytes, sizeof(bytes), -1);
	check_eq(recv(channel, &reply, sizeof(reply), 0), sizeof(reply));
	check_eq(reply.ret, -EPROTO);
	ask_on(channel, bytes, 1, STDOUT_FILENO);
	check_eq(recv(channel, &reply, sizeof(reply), 0), sizeof(reply));
	check_eq(reply.ret, -EPROTO);

	for (i = 0; i < 100000; i++)
		if (send(other, &req, sizeof(req), MSG_NOSIGNAL) < 0)
			break;
	check_cmp(i, <, 100000);
	connect_rx(AF_INET);
	check_eq(rules(), 1);
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
	KTAP_CASE(nonsense),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
