// SPDX-License-Identifier: GPL-2.0
/*
 * Owns the requests to the kernel's own families "netdev" and "ethtool", see
 * common_provider.h. Must not know what any case expects.
 */
#include <errno.h>
#include <linux/ethtool_netlink.h>
#include <linux/genetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "common_provider.h"

/* <linux/netdev.h> of 6.12, which Debian 12's headers are too old for */
#define NETDEV_CMD_BIND_RX_		13
#define NETDEV_CMD_BIND_TX_		15
#define NETDEV_A_DMABUF_IFINDEX_	1
#define NETDEV_A_DMABUF_QUEUES_		2
#define NETDEV_A_DMABUF_FD_		3
#define NETDEV_A_DMABUF_ID_		4
#define NETDEV_A_DMABUF_RX_PAGE_SIZE_	5
#define NETDEV_A_QUEUE_ID_		1
#define NETDEV_A_QUEUE_TYPE_		3
#define NETDEV_QUEUE_TYPE_RX_		0

#define RINGS_HDS_THRESH_		17
#define RINGS_HDS_THRESH_MAX_		18

#define QUEUES_MAX	64
#define PROBES		64

static uint32_t rx_page_size;

/* Ask for a family's number, then make @nl one for that family. */
static void family_open(struct ctl_nl *nl, const char *name)
{
	struct ctl_answer answer;
	struct nlmsghdr *nlh;
	struct timeval timeout = { .tv_sec = patient(5) };
	int one = 1;

	memset(nl, 0, sizeof(*nl));
	nl->sock = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	if (!nl->sock || mnl_socket_bind(nl->sock, 0, MNL_SOCKET_AUTOPID) < 0)
		fail("netlink socket: %s", strerror(errno));
	mnl_socket_setsockopt(nl->sock, NETLINK_EXT_ACK, &one, sizeof(one));
	mnl_socket_setsockopt(nl->sock, NETLINK_CAP_ACK, &one, sizeof(one));
	setsockopt(mnl_socket_get_fd(nl->sock), SOL_SOCKET, SO_RCVTIMEO,
		   &timeout, sizeof(timeout));

	nlh = ctl_request(nl, CTRL_CMD_GETFAMILY);
	nlh->nlmsg_type = GENL_ID_CTRL;
	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, name);
	check_eq(ctl_talk(nl, nlh, &answer), 0);
	if (answer.err || !nl->family)
		fail("netlink family %s: %s", name, strerror(answer.err));
}

void netdev_family_open(struct ctl_nl *nl)
{
	family_open(nl, "netdev");
}

void ethtool_family_open(struct ctl_nl *nl)
{
	family_open(nl, "ethtool");
}

/* The number of the new binding in the reply, which ctl_talk() knows nothing
 * of: it comes before the acknowledgment.
 */
static void bind_talk(struct ctl_nl *nl, const struct nlmsghdr *req,
		      struct ctl_answer *answer, uint32_t *id)
{
	const struct nlattr *attr;
	struct nlmsghdr *msg;
	char buf[16 * 1024];
	ssize_t n;
	int len;

	memset(answer, 0, sizeof(*answer));
	if (mnl_socket_sendto(nl->sock, req, req->nlmsg_len) < 0)
		fail("netlink send: %s", strerror(errno));
	for (;;) {
		n = mnl_socket_recvfrom(nl->sock, buf, sizeof(buf));
		if (n < 0)
			fail("netlink receive: %s", strerror(errno));
		len = (int)n;
		for (msg = (void *)buf; mnl_nlmsg_ok(msg, len);
		     msg = mnl_nlmsg_next(msg, &len)) {
			const struct nlmsgerr *e = mnl_nlmsg_get_payload(msg);

			if (msg->nlmsg_type != NLMSG_ERROR) {
				mnl_attr_for_each(attr, msg, sizeof(struct genlmsghdr))
					if (mnl_attr_get_type(attr) == NETDEV_A_DMABUF_ID_)
						*id = mnl_attr_get_u32(attr);
				continue;
			}
			answer->err = -e->error;
			if (!(msg->nlmsg_flags & NLM_F_ACK_TLVS))
				return;
			mnl_attr_for_each(attr, msg, sizeof(*e))
				if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG)
					snprintf(answer->text, sizeof(answer->text), "%.*s",
						 mnl_attr_get_payload_len(attr),
						 (const char *)mnl_attr_get_payload(attr));
			return;
		}
	}
}

static void alloc(struct bound *b, enum devmem_buf_kind kind, size_t size)
{
	void *map;

	memset(b, 0, sizeof(*b));
	if (devmem_buf_alloc(&b->buf, kind, size, 0) ||
	    devmem_buf_map(b->buf, &map, 0))
		fail("%s", devmem_error());
	b->map = map;
	b->size = devmem_buf_size(b->buf);
	memset(b->map, 0xa5, b->size);
}

void kernel_bind(struct ctl_nl *nl, struct bound *b, enum devmem_buf_kind kind,
		 size_t size, const uint32_t *queues, unsigned int nr,
		 struct ctl_answer *answer)
{
	struct nlmsghdr *nlh;
	struct nlattr *nest;
	unsigned int i;

	if (!b->buf)
		alloc(b, kind, size);
	family_open(nl, "netdev");
	nlh = ctl_request(nl, NETDEV_CMD_BIND_RX_);
	mnl_attr_put_u32(nlh, NETDEV_A_DMABUF_IFINDEX_, env_ifindex());
	mnl_attr_put_u32(nlh, NETDEV_A_DMABUF_FD_, (uint32_t)devmem_buf_fd(b->buf));
	for (i = 0; i < nr; i++) {
		nest = mnl_attr_nest_start(nlh, NETDEV_A_DMABUF_QUEUES_);
		mnl_attr_put_u32(nlh, NETDEV_A_QUEUE_ID_, queues[i]);
		mnl_attr_put_u32(nlh, NETDEV_A_QUEUE_TYPE_, NETDEV_QUEUE_TYPE_RX_);
		mnl_attr_nest_end(nlh, nest);
	}
	if (rx_page_size)
		mnl_attr_put_u32(nlh, NETDEV_A_DMABUF_RX_PAGE_SIZE_, rx_page_size);
	b->res.id = 0;
	bind_talk(nl, nlh, answer, &b->res.id);
	b->res.chunk_size = rx_page_size ?: 4096;
	b->res.chunks = (uint32_t)(b->size / b->res.chunk_size);
	if (answer->err)
		kernel_unbind(nl);
}

void kernel_bind_queues(struct ctl_nl *nl, struct bound *b, size_t size,
			uint32_t first, unsigned int nr)
{
	struct ctl_answer answer;
	uint32_t queues[QUEUES_MAX];
	unsigned int i;

	for (i = 0; i < nr; i++)
		queues[i] = first + i;
	kernel_bind(nl, b, DEVMEM_BUF_UDMABUF, size, queues, nr, &answer);
	if (answer.err)
		fail("bind-rx of the kernel: %s: %s", strerror(answer.err), answer.text);
	check_cmp(b->res.id, >, 0);
}

void kernel_page_size(uint32_t size)
{
	rx_page_size = size;
}

void kernel_bind_tx(struct ctl_nl *nl, int fd, uint32_t *id,
		    struct ctl_answer *answer)
{
	struct nlmsghdr *nlh;

	family_open(nl, "netdev");
	nlh = ctl_request(nl, NETDEV_CMD_BIND_TX_);
	mnl_attr_put_u32(nlh, NETDEV_A_DMABUF_IFINDEX_, env_ifindex());
	mnl_attr_put_u32(nlh, NETDEV_A_DMABUF_FD_, (uint32_t)fd);
	*id = 0;
	bind_talk(nl, nlh, answer, id);
	if (answer->err)
		kernel_unbind(nl);
}

void kernel_unbind(struct ctl_nl *nl)
{
	ctl_nl_close(nl);
}

void devmem_bind(struct ctl_nl *nl, const struct bound *b, uint32_t queue,
		 struct ctl_answer *answer)
{
	check_eq(ctl_nl_open(nl), 0);
	check_eq(ctl_bind(nl, env_ifindex(), queue, devmem_buf_fd(b->buf), 0, answer), 0);
	if (answer->err)
		ctl_nl_close(nl);
}

void kernel_rx_init(struct rx *rx, int sock, const struct bound *b, uint64_t seed)
{
	rx_init(rx, sock, b, seed);
	rx->plain = true;
}

static struct nlmsghdr *rings_request(struct ctl_nl *nl, uint8_t command)
{
	struct nlmsghdr *nlh;
	struct nlattr *nest;

	family_open(nl, "ethtool");
	nlh = ctl_request(nl, command);
	nest = mnl_attr_nest_start(nlh, ETHTOOL_A_RINGS_HEADER | NLA_F_NESTED);
	mnl_attr_put_strz(nlh, ETHTOOL_A_HEADER_DEV_NAME, "nsd0");
	mnl_attr_nest_end(nlh, nest);
	return nlh;
}

void split_set(uint8_t split, struct ctl_answer *answer)
{
	static struct ctl_nl nl;
	struct nlmsghdr *nlh = rings_request(&nl, ETHTOOL_MSG_RINGS_SET);

	mnl_attr_put_u8(nlh, ETHTOOL_A_RINGS_TCP_DATA_SPLIT, split);
	check_eq(ctl_talk(&nl, nlh, answer), 0);
	ctl_nl_close(&nl);
}

void set_hds_thresh(uint32_t thresh, struct ctl_answer *answer)
{
	static struct ctl_nl nl;
	struct nlmsghdr *nlh = rings_request(&nl, ETHTOOL_MSG_RINGS_SET);

	mnl_attr_put_u32(nlh, RINGS_HDS_THRESH_, thresh);
	check_eq(ctl_talk(&nl, nlh, answer), 0);
	ctl_nl_close(&nl);
}

bool get_hds_thresh(uint32_t *thresh, uint32_t *max)
{
	static struct ctl_nl nl;
	struct nlmsghdr *nlh = rings_request(&nl, ETHTOOL_MSG_RINGS_GET);
	const struct nlattr *attr;
	bool found = false;
	char buf[8192];
	ssize_t n;

	nlh->nlmsg_flags &= ~NLM_F_ACK;
	check_cmp(mnl_socket_sendto(nl.sock, nlh, nlh->nlmsg_len), >, 0);
	n = mnl_socket_recvfrom(nl.sock, buf, sizeof(buf));
	check_cmp(n, >, 0);
	nlh = (void *)buf;
	if (nlh->nlmsg_type == NLMSG_ERROR)
		fail("ethtool -g: no answer");
	mnl_attr_for_each(attr, nlh, sizeof(struct genlmsghdr)) {
		if (mnl_attr_get_type(attr) == RINGS_HDS_THRESH_)
			*thresh = mnl_attr_get_u32(attr);
		if (mnl_attr_get_type(attr) == RINGS_HDS_THRESH_MAX_) {
			*max = mnl_attr_get_u32(attr);
			found = true;
		}
	}
	ctl_nl_close(&nl);
	return found;
}

void set_split(bool on, struct ctl_answer *answer)
{
	split_set(on ? TCP_DATA_SPLIT_ON : TCP_DATA_SPLIT_OFF, answer);
}

void ask_for_split(void)
{
	struct ctl_answer answer;

	set_split(true, &answer);
	if (answer.err)
		fail("tcp-data-split on: %s: %s", strerror(answer.err), answer.text);
}

uint8_t split_get(void)
{
	static struct ctl_nl nl;
	struct nlmsghdr *nlh = rings_request(&nl, ETHTOOL_MSG_RINGS_GET);
	const struct nlattr *attr;
	uint8_t split = TCP_DATA_SPLIT_AUTO;
	char buf[4096];

	check_cmp(mnl_socket_sendto(nl.sock, nlh, nlh->nlmsg_len), >, 0);
	check_cmp(mnl_socket_recvfrom(nl.sock, buf, sizeof(buf)), >, 0);
	nlh = (void *)buf;
	check(nlh->nlmsg_type == nl.family);
	mnl_attr_for_each(attr, nlh, sizeof(struct genlmsghdr))
		if (mnl_attr_get_type(attr) == ETHTOOL_A_RINGS_TCP_DATA_SPLIT)
			split = mnl_attr_get_u8(attr);
	ctl_nl_close(&nl);
	return split;
}

uint32_t queue_of(const struct conn *c, uint32_t nr)
{
	uint64_t before[QUEUES_MAX], now, most = 0;
	uint32_t q, queue = 0;
	char name[32], byte = 0;
	int i;

	for (q = 0; q < nr; q++) {
		snprintf(name, sizeof(name), "rx%u_packets", q);
		before[q] = nic_counter(RECEIVER, name);
	}
	for (i = 0; i < PROBES; i++) {
		check_eq(send(c->tx, &byte, 1, MSG_NOSIGNAL), 1);
		check_eq(recv(c->rx, &byte, 1, 0), 1);
	}
	for (q = 0; q < nr; q++) {
		snprintf(name, sizeof(name), "rx%u_packets", q);
		now = nic_counter(RECEIVER, name) - before[q];
		if (now > most) {
			most = now;
			queue = q;
		}
	}
	check_cmp(most, >=, PROBES);
	return queue;
}
