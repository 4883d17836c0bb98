// SPDX-License-Identifier: GPL-2.0
/*
 * Requests to net/devmem's netlink family, made of the tables that its
 * specification gives, many in one write. What is well-formed must be answered as
 * documented; what is not, in one of the ways that there are; an error says why;
 * and when the sockets are closed nothing is left.
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/netdev-devmem.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chance.h"
#include "common.h"
#include "common_ctl.h"
#include "common_probe.h"
#include "generated/netdev-devmem-table.h"
#include "netlink_model.h"

#define MESSAGES	10000		/* if nobody says */
#define ROUND		10000		/* messages */
#define BATCH		40
#define ROOM		(128 * 1024)

/* A message that was sent, and what came back. */
static struct sent {
	uint32_t seq;
	bool plain;		/* nothing is wrong with its form */
	bool answer_due;
	bool answered;
	bool bind;
	bool reaches;		/* the operation, and so has an extack to say why not */
	struct asked asked;
} sent[BATCH];
static unsigned int nr_sent;

static struct ctl_nl sockets[MODEL_SOCKETS];
static uint8_t batch[ROOM];
static uint32_t batch_len;
static uint32_t seq;
static bool lost;		/* something malformed was bound: who has which queue? */
static uint32_t ids[16];
static unsigned int nr_ids;
static unsigned int nr_bound, nr_lost;
static char before[256];

/* What the files are like that a bind names. One that is malformed has bad ones as
 * a rule: it is not to be bound after all, for that takes long.
 */
enum quality {
	GOOD,
	ANY,
	BAD,
};

/* ---- attributes --------------------------------------------------------- */

static void *put_raw(uint16_t type, uint16_t len, const void *data, uint32_t size)
{
	struct nlattr *attr = (void *)(batch + batch_len);
	uint32_t room = (4 + size + 3) & ~3U;

	attr->nla_type = type;
	attr->nla_len = len;
	memset(attr + 1, 0, room - 4);
	memcpy(attr + 1, data, size);
	batch_len += room;
	return attr;
}

static uint32_t some_ifindex(void)
{
	static const uint32_t known[] = { NSD, NSD, NSD, NSD, NSD_DOWN, DUMMY, VETH, NSD_AWAY, 1 };

	return rnd(16) ? rnd_of(known) : rnd_wild();
}

static uint32_t some_chunk(void)
{
	return rnd(8) ? 4096U << rnd(5) : rnd_wild();
}

/* A value that may make sense. It is noted in @a if it is a bind's. */
static uint32_t value_of(uint16_t type, struct asked *a, enum quality luck)
{
	uint32_t v;

	switch (type) {
	case A(ID):
		return nr_ids && rnd(4) ? rnd_of(ids) : rnd_wild();
	case A(IFINDEX):
		v = luck == GOOD ? NSD : some_ifindex();
		a->has_ifindex = true;
		a->ifindex = v;
		return v;
	case A(FD):
		v = (uint32_t)model_file(luck == GOOD, luck == BAD);
		a->has_fd = true;
		a->fd = (int)v;
		return v;
	case A(CHUNK_SIZE):
		v = luck == GOOD ? 4096 : some_chunk();
		a->has_chunk = true;
		a->chunk = v;
		return v;
	case A(QUEUE):
		v = rnd(32) ? rnd(MODEL_QUEUES + (luck != GOOD)) : rnd_wild();
		a->queues[a->nr_queues++] = v;
		return v;
	default:
		return rnd_wild();
	}
}

static const struct table_attr *attr_of(const struct table_set *set, uint16_t type)
{
	unsigned int i;

	for (i = 0; i < set->nr; i++)
		if (set->attrs[i].type == type)
			return &set->attrs[i];
	return NULL;
}

/* NOLINTNEXTLINE(misc-no-recursion): it goes four deep */
static void put_value(const struct table_attr *attr, struct asked *a, enum quality luck,
		      int depth)
{
	static const char text[] = "netdev-devmem";
	struct nlattr *nest;
	uint32_t v, n;
	uint64_t wide;

	switch (attr->kind) {
	case TABLE_U32:
		v = value_of(attr->type, a, luck);
		put_raw(attr->type, 8, &v, 4);
		break;
	case TABLE_UINT:
		wide = rnd64();
		n = rnd(2) ? 4 : 8;
		put_raw(attr->type, (uint16_t)(4 + n), &wide, n);
		break;
	case TABLE_STRING:
		n = rnd(sizeof(text) + 1);
		put_raw(attr->type, (uint16_t)(4 + n), text, n);
		break;
	case TABLE_NEST:
		nest = put_raw((uint16_t)(attr->type | NLA_F_NESTED), 4, "", 0);
		for (n = rnd(4); n && depth < 4; n--)
			put_value(&attr->nest->attrs[rnd(attr->nest->nr)], a, BAD, depth + 1);
		nest->nla_len = (uint16_t)((char *)batch + batch_len - (char *)nest);
		break;
	}
}

/* The attributes that the operation has. A good bind is one that should succeed,
 * if its queues are free.
 */
static void put_attrs(const struct table_op *op, struct asked *a, enum quality luck)
{
	unsigned int i, n;

	for (i = 0; i < op->nr; i++) {
		if (luck != GOOD && once_in(12))
			continue;
		if (op->attrs[i] == A(CHUNK_SIZE) && rnd(2))
			continue;
		n = 1;
		if (op->attrs[i] == A(QUEUE))
			n = rnd(3) ? 1 : 1 + rnd_size(once_in(16) ? 40 : 3);
		while (n--)
			put_value(attr_of(op->set, op->attrs[i]), a, luck, 0);
	}
}

/* Something of the form is wrong, from @from on. */
static void spoil(const struct table_op *op, uint32_t from)
{
	struct asked ignored = {};
	struct nlattr *attr = (void *)(batch + from);
	uint32_t len = batch_len - from, i;
	uint8_t data[64];

	rnd_fill(data, sizeof(data));
	switch (rnd(9)) {
	case 0:				/* another attribute of the set */
		put_value(&op->set->attrs[rnd(op->set->nr)], &ignored, BAD, 0);
		break;
	case 1:				/* one that there is not, or of any size */
		i = rnd(sizeof(data));
		put_raw((uint16_t)(rnd(2) ? rnd(32) : rnd_wild()), (uint16_t)(4 + i), data, i);
		break;
	case 2:				/* a size that is not its own */
		if (len)
			attr->nla_len = (uint16_t)rnd_wild();
		break;
	case 3:
		if (len)
			attr->nla_type ^= (uint16_t)(1U << rnd(16));
		break;
	case 4:				/* bytes changed */
		for (i = 1 + rnd(4); len && i; i--)
			batch[from + rnd(len)] = (uint8_t)rnd32();
		break;
	case 5:				/* cut off */
		batch_len -= rnd(len + 1) & ~3U;
		break;
	case 6:				/* a tail */
		i = rnd(sizeof(data));
		memcpy(batch + batch_len, data, i);
		batch_len += i & ~3U;
		break;
	case 7:				/* all of it twice */
		if (len < 1000) {
			memcpy(batch + batch_len, batch + from, len);
			batch_len += len;
		}
		break;
	default:			/* a nest in a nest in a nest */
		for (i = rnd(30); i; i--)
			put_raw((uint16_t)(NLA_F_NESTED | rnd(16)), (uint16_t)(4 + 4 * i), data, 0);
		break;
	}
}

/* ---- messages ----------------------------------------------------------- */

/* Too many queues to count here: the answer is known. */
static void put_crowd(struct asked *a)
{
	uint32_t n = 4090 + rnd(20), q = 0;

	a->nr_queues = 0;
	put_raw(A(IFINDEX), 8, &(uint32_t){ NSD }, 4);
	put_raw(A(FD), 8, &(uint32_t){ 0 }, 4);
	while (n--)
		put_raw(A(QUEUE), 8, &q, 4);
}

static const struct table_op *some_op(void)
{
	/* most are binds, for these have most to go wrong */
	return rnd(3) ? &netdev_devmem_ops[0] : &rnd_of(netdev_devmem_ops);
}

static void put_message(uint16_t family)
{
	const struct table_op *op = some_op();
	uint32_t start = batch_len;
	struct sent *s = &sent[nr_sent++];
	struct nlmsghdr *nlh = (void *)(batch + start);
	struct genlmsghdr *genl = (void *)(nlh + 1);
	bool good = once_in(300), bad_body = !good && once_in(3), bad_head = !good && once_in(12);
	enum quality luck = good ? GOOD : ANY;

	memset(s, 0, sizeof(*s));
	s->seq = ++seq;
	s->plain = !bad_body && !bad_head;
	if (!s->plain && rnd(64))
		luck = BAD;
	s->bind = !op->dump && op->cmd == NETDEV_DEVMEM_CMD_BIND_RX;
	s->reaches = true;
	memset(nlh, 0, sizeof(*nlh) + sizeof(*genl));
	nlh->nlmsg_type = family;
	nlh->nlmsg_flags = NLM_F_REQUEST | (op->dump ? NLM_F_DUMP : 0);
	if (rnd(4))
		nlh->nlmsg_flags |= NLM_F_ACK;
	nlh->nlmsg_seq = s->seq;
	genl->cmd = op->cmd;
	genl->version = NETDEV_DEVMEM_FAMILY_VERSION;
	batch_len += sizeof(*nlh) + sizeof(*genl);

	if (s->bind && once_in(500)) {
		put_crowd(&s->asked);
		s->plain = false;
	} else {
		put_attrs(op, &s->asked, luck);
		if (bad_body)
			spoil(op, start + sizeof(*nlh) + sizeof(*genl));
	}
	if (bad_head) {
		s->reaches = false;
		switch (rnd(5)) {
		case 0:
			nlh->nlmsg_type = (uint16_t)(rnd(2) ? rnd(17) : 0xfff0 + rnd(16));
			break;
		case 1:
			nlh->nlmsg_flags = (uint16_t)rnd32();
			break;
		case 2:
			genl->cmd = (uint8_t)rnd32();
			break;
		case 3:
			genl->version = (uint8_t)rnd32();
			break;
		default:
			genl->reserved = (uint16_t)rnd32();
			break;
		}
	}
	nlh->nlmsg_len = batch_len - start;
	s->answer_due = s->plain && nlh->nlmsg_flags & NLM_F_ACK && !op->dump;
}

/* ---- answers ------------------------------------------------------------ */

static bool is_documented(int err)
{
	static const int all[] = {
		0, EPERM, EINVAL, ERANGE, E2BIG, ENODEV, EOPNOTSUPP, ENETDOWN, EBUSY, EBADF,
		EFAULT, EIO, ENOMEM, ENOENT, ESHUTDOWN, EAGAIN,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i] == err)
			return true;
	return false;
}

static const char *extack(const struct nlmsghdr *nlh)
{
	const struct nlattr *attr;

	if (nlh->nlmsg_flags & NLM_F_ACK_TLVS)
		mnl_attr_for_each(attr, nlh, sizeof(struct nlmsgerr))
			if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG)
				return mnl_attr_get_payload(attr);
	return "";
}

static void judge(struct sent *s, unsigned int owner, int err, const char *text)
{
	bool either;
	int want;

	check(!s->answered);
	s->answered = true;
	if (!is_documented(err))
		fail("errno %d, '%s'", err, text);
	/* rights, commands that are not there and lost memory need no words */
	if (err && s->bind && s->reaches && !*text)
		fail("bind-rx: %s, and no word why", strerror(err));
	if (s->bind && !s->plain && !err)
		lost = true;
	if (!s->bind || !s->plain || lost)
		return;
	want = model_expect(&s->asked, &either);
	if (want >= 0 && err != want && !(either && !err))
		fail("bind-rx of %u queues, fd %d, ifindex %u, chunk %u: %s, '%s', should be %s",
		     s->asked.nr_queues, s->asked.fd, s->asked.ifindex, s->asked.chunk,
		     strerror(err), text, strerror(want));
	if (!err) {
		model_bound(&s->asked, owner);
		nr_bound++;
	}
}

static struct sent *sent_with(uint32_t number)
{
	unsigned int i;

	for (i = 0; i < nr_sent; i++)
		if (sent[i].seq == number)
			return &sent[i];
	return NULL;
}

static void note_id(const struct nlmsghdr *nlh)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(struct genlmsghdr))
		if (mnl_attr_get_type(attr) == A(ID)) {
			check_eq(mnl_attr_get_payload_len(attr), 4);
			ids[nr_ids++ % ARRAY_SIZE(ids)] = mnl_attr_get_u32(attr);
		}
}

/* A bind without NLM_F_ACK is answered by its reply alone. */
static void take_answer(const struct nlmsghdr *nlh, unsigned int owner)
{
	struct sent *s = sent_with(nlh->nlmsg_seq);
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);

	if (!s)
		return;
	switch (nlh->nlmsg_type) {
	case NLMSG_ERROR:
		judge(s, owner, -e->error, extack(nlh));
		break;
	case NLMSG_DONE:
		s->answered = true;
		break;
	default:
		if (nlh->nlmsg_type != sockets[owner].family)
			break;
		note_id(nlh);
		if (s->bind && !s->plain)
			lost = true;
		else if (s->bind && !s->answer_due)
			judge(s, owner, 0, "");
		break;
	}
}

/* All answers are there when the write returns, but for the rest of dumps. */
static void take_answers(unsigned int owner)
{
	static uint8_t buf[64 * 1024];
	const struct nlmsghdr *nlh;
	unsigned int i;
	ssize_t n;
	int len;

	while ((n = recv(mnl_socket_get_fd(sockets[owner].sock), buf, sizeof(buf),
			 MSG_DONTWAIT)) > 0) {
		len = (int)n;
		for (nlh = (void *)buf; mnl_nlmsg_ok(nlh, len); nlh = mnl_nlmsg_next(nlh, &len))
			take_answer(nlh, owner);
	}
	if (n < 0 && errno != EAGAIN)
		fail("netlink socket: %s", strerror(errno));
	for (i = 0; i < nr_sent; i++)
		if (sent[i].answer_due && !sent[i].answered)
			fail("message %u has no answer", sent[i].seq);
}

/* ---- rounds ------------------------------------------------------------- */

static void open_socket(unsigned int i)
{
	int big = 8 << 20;

	check_eq(ctl_nl_open(&sockets[i]), 0);
	must(setsockopt(mnl_socket_get_fd(sockets[i].sock), SOL_SOCKET, SO_RCVBUFFORCE, &big,
			sizeof(big)));
}

static void close_socket(unsigned int i)
{
	ctl_nl_close(&sockets[i]);
	model_closed(i);
}

static void send_batch(unsigned int owner)
{
	unsigned int n = 1 + rnd_size(BATCH - 1);

	nr_sent = 0;
	batch_len = 0;
	while (nr_sent < n && batch_len < ROOM - 72 * 1024)
		put_message(sockets[owner].family);
	if (once_in(20) && nr_sent) {	/* the last one lies about its size */
		struct sent *s = &sent[nr_sent - 1];
		struct nlmsghdr *nlh = (void *)batch;

		while (nlh->nlmsg_seq != s->seq)
			nlh = (void *)((char *)nlh + NLMSG_ALIGN(nlh->nlmsg_len));
		nlh->nlmsg_len = rnd(2) ? rnd_wild() : rnd(64);
		s->plain = false;
		s->answer_due = false;
		s->reaches = false;
	}
	if (send(mnl_socket_get_fd(sockets[owner].sock), batch, batch_len, 0) < 0)
		fail("send of %u bytes: %s", batch_len, strerror(errno));
	take_answers(owner);
	fuzz_count(nr_sent);
}

static bool as_before(void)
{
	char now[256];

	live_objects(now, sizeof(now));
	return !strcmp(now, before) && !ctl_count_bindings();
}

/* Nothing is left, and all queues can be had. */
static void leaves_nothing(void)
{
	static struct ctl_nl nl;
	struct ctl_answer a;
	int fds[MODEL_QUEUES];
	uint32_t q;

	if (!within(3000, as_before())) {
		char now[256];

		live_objects(now, sizeof(now));
		fail("left: %s; there were: %s", now, before);
	}
	check_eq(ctl_nl_open(&nl), 0);
	for (q = 0; q < MODEL_QUEUES; q++) {
		fds[q] = probe_buffer();
		check_eq(ctl_bind(&nl, NSD, q, fds[q], 0, &a), 0);
		if (a.err)
			fail("queue %u afterwards: %s, '%s'", q, strerror(a.err), a.text);
	}
	ctl_nl_close(&nl);
	for (q = 0; q < MODEL_QUEUES; q++)
		close(fds[q]);
	check(within(3000, as_before()));
}

static void requests(void)
{
	unsigned int i, n;

	fuzz_begin("netlink", MESSAGES);
	model_open_files();
	live_objects(before, sizeof(before));
	while (fuzz_next()) {
		seq = rnd32();
		nr_ids = 0;
		memset(ids, 0, sizeof(ids));
		for (i = 0; i < MODEL_SOCKETS; i++)
			open_socket(i);
		for (n = 0; n < ROUND; n += nr_sent) {
			i = rnd(MODEL_SOCKETS);
			send_batch(i);
			if (once_in(20)) {
				close_socket(i);
				open_socket(i);
			}
			for (i = 0; lost && i < MODEL_SOCKETS; i++) {
				close_socket(i);
				open_socket(i);
			}
			nr_lost += lost;
			lost = false;
		}
		for (i = 0; i < MODEL_SOCKETS; i++)
			close_socket(i);
		leaves_nothing();
	}
	diag("%u were bound, %u malformed ones", nr_bound, nr_lost);
}

static struct ktap_case cases[] = {
	KTAP_CASE(requests, .timeout = 60, .dirty = true),
};

int main(int argc, char **argv)
{
	return fuzz_main(argc, argv, probe_setup, cases, ARRAY_SIZE(cases));
}
