// SPDX-License-Identifier: GPL-2.0
/*
 * See common_queue.h. Owns the queue and the process that empties it; must not know
 * what the packets are.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common.h"
#include "common_queue.h"

#define BATCH		8	/* so many are put in the reverse order */
#define PATIENCE_MS	5	/* or those that have come before so long a pause */
#define MESSAGE_MAX	(1 << 17)
#define HELD_MAX	4096

static int release_fd = -1;

/* Of the process */
static struct mnl_socket *nl;
static uint32_t held[HELD_MAX];
static unsigned int nr_held;

static struct nlmsghdr *message(char *buf, int type)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg;

	nlh->nlmsg_type = (uint16_t)(NFNL_SUBSYS_QUEUE << 8 | type);
	nlh->nlmsg_flags = NLM_F_REQUEST;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = AF_UNSPEC;
	nfg->version = NFNETLINK_V0;
	return nlh;
}

/* Returns 0 or an errno. */
static int acknowledged(struct nlmsghdr *nlh)
{
	char buf[1024];
	ssize_t n;

	nlh->nlmsg_flags |= NLM_F_ACK;
	must(mnl_socket_sendto(nl, nlh, nlh->nlmsg_len));
	n = must(mnl_socket_recvfrom(nl, buf, sizeof(buf)));
	return mnl_cb_run(buf, (size_t)n, 0, 0, NULL, NULL) < 0 ? errno : 0;
}

static int configure(bool gso)
{
	struct nfqnl_msg_config_params params = {
		.copy_range = htonl(256),
		.copy_mode = NFQNL_COPY_PACKET,
	};
	struct nfqnl_msg_config_cmd bind = { .command = NFQNL_CFG_CMD_BIND };
	int room = 16 << 20, off = 1, err;
	struct nlmsghdr *nlh;
	char buf[1024];

	nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	check(nl);
	must(mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID));
	must(setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)));
	must(mnl_socket_setsockopt(nl, NETLINK_NO_ENOBUFS, &off, sizeof(off)));
	nlh = message(buf, NFQNL_MSG_CONFIG);
	mnl_attr_put(nlh, NFQA_CFG_CMD, sizeof(bind), &bind);
	err = acknowledged(nlh);
	if (err)
		return err;
	nlh = message(buf, NFQNL_MSG_CONFIG);
	mnl_attr_put(nlh, NFQA_CFG_PARAMS, sizeof(params), &params);
	mnl_attr_put_u32(nlh, NFQA_CFG_QUEUE_MAXLEN, htonl(HELD_MAX));
	mnl_attr_put_u32(nlh, NFQA_CFG_FLAGS, gso ? htonl(NFQA_CFG_F_GSO) : 0);
	mnl_attr_put_u32(nlh, NFQA_CFG_MASK, htonl(NFQA_CFG_F_GSO));
	return acknowledged(nlh);
}

static void decide(uint32_t id, bool repeat)
{
	struct nfqnl_msg_verdict_hdr verdict = {
		.verdict = htonl(repeat ? NF_REPEAT : NF_ACCEPT),
		.id = id,
	};
	struct nlmsghdr *nlh;
	char buf[256];

	nlh = message(buf, NFQNL_MSG_VERDICT);
	mnl_attr_put(nlh, NFQA_VERDICT_HDR, sizeof(verdict), &verdict);
	if (repeat)
		mnl_attr_put_u32(nlh, NFQA_MARK, htonl(QUEUE_SEEN));
	must(mnl_socket_sendto(nl, nlh, nlh->nlmsg_len));
}

static void let_go(const struct queue_opts *opts)
{
	unsigned int i;

	for (i = 0; i < nr_held; i++)
		decide(held[opts->reverse ? nr_held - 1 - i : i], opts->repeat);
	nr_held = 0;
}

static int take(const struct nlmsghdr *nlh, void *unused)
{
	const struct nfqnl_msg_packet_hdr *packet;
	const struct nlattr *attr;

	(void)unused;
	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg)) {
		if (mnl_attr_get_type(attr) != NFQA_PACKET_HDR)
			continue;
		packet = mnl_attr_get_payload(attr);
		check_cmp(nr_held, <, HELD_MAX);
		held[nr_held++] = packet->packet_id;
	}
	return MNL_CB_OK;
}

static void serve(const struct queue_opts *opts, int release)
{
	struct pollfd pfd[2] = {
		{ .fd = mnl_socket_get_fd(nl), .events = POLLIN },
		{ .fd = opts->hold ? release : -1, .events = POLLIN },
	};
	static char buf[MESSAGE_MAX];
	ssize_t n;

	for (;;) {
		bool wait = !nr_held || pfd[1].fd >= 0;

		must(poll(pfd, 2, wait ? -1 : PATIENCE_MS));
		if (pfd[1].revents)
			pfd[1].fd = -1;
		if (pfd[0].revents & POLLIN) {
			n = must(mnl_socket_recvfrom(nl, buf, sizeof(buf)));
			mnl_cb_run(buf, (size_t)n, 0, 0, take, NULL);
			if (opts->reverse && nr_held < BATCH)
				continue;
		}
		if (pfd[1].fd < 0)
			let_go(opts);
	}
}

void queue_start(const struct queue_opts *opts)
{
	int ready[2], release[2], err = ECHILD;

	must(pipe(ready));
	must(pipe(release));
	if (test_fork()) {
		close(ready[1]);
		close(release[0]);
		release_fd = release[1];
		if (read(ready[0], &err, sizeof(err)) != sizeof(err) || err)
			skip("no queues to user space: %s", strerror(err));
		close(ready[0]);
		return;
	}
	close(ready[0]);
	close(release[1]);
	err = configure(opts->gso);
	must(write(ready[1], &err, sizeof(err)));
	if (!err)
		serve(opts, release[0]);
	_exit(0);
}

unsigned int queue_waiting(void)
{
	FILE *f = fopen("/proc/thread-self/net/netfilter/nfnetlink_queue", "re");
	unsigned int number, waiting = 0;

	if (!f)
		skip("nobody tells what waits in a queue");
	if (fscanf(f, "%u %*u %u", &number, &waiting) != 2 || number)
		fail("there is no queue 0");
	fclose(f);
	return waiting;
}

void queue_release(void)
{
	must(write(release_fd, "", 1));
}
