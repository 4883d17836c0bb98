// SPDX-License-Identifier: GPL-2.0
/*
 * See common_xdp.h. Owns the system call that loads a program, the request that
 * attaches it, and the sockets for single frames. Must not know what a program
 * is meant to do.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common_provider.h"
#include "common_xdp.h"

#define INSNS_MAX	64

static const struct bpf_insn ours_only[] = {
	MOVR(6, 1),
	LOAD(BPF_W, 2, 1, 0), LOAD(BPF_W, 3, 1, 4),
	MOVR(4, 2), ADD(4, FRAME_MIN), JGT(4, 3, 2),
	LOAD(BPF_H, 5, 2, 12), JEQ(5, 0xb588, 2),	/* as it is in memory */
	MOV(0, XDP_PASS), EXIT(),
};

int xdp_load(bool ours, const struct bpf_insn *insns, size_t nr, uint32_t flags)
{
	struct bpf_insn all[INSNS_MAX];
	size_t first = ours ? ARRAY_SIZE(ours_only) : 0;
	static char log[16 * 1024];
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_XDP,
		.insn_cnt = (uint32_t)(first + nr),
		.insns = (uintptr_t)all,
		.license = (uintptr_t)"GPL",
		.log_buf = (uintptr_t)log,
		.log_size = sizeof(log),
		.log_level = 1,
		/* frames begin where they like, and some kernels mind */
		.prog_flags = flags | BPF_F_ANY_ALIGNMENT,
	};
	int fd;

	check_cmp(first + nr, <=, INSNS_MAX);
	memcpy(all, ours_only, first * sizeof(*all));
	memcpy(all + first, insns, nr * sizeof(*all));
	fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	if (fd < 0)
		fail("bpf: %s\n%s", strerror(errno), log);
	return fd;
}

void xdp_set_on(unsigned int ifindex, int prog, uint32_t flags,
		struct ctl_answer *answer)
{
	static struct ctl_nl nl;
	struct ifinfomsg *info;
	struct nlmsghdr *nlh;
	struct nlattr *nest;
	int one = 1;

	nl.sock = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	check(nl.sock);
	must(mnl_socket_bind(nl.sock, 0, MNL_SOCKET_AUTOPID));
	must(mnl_socket_setsockopt(nl.sock, NETLINK_EXT_ACK, &one, sizeof(one)));
	must(mnl_socket_setsockopt(nl.sock, NETLINK_CAP_ACK, &one, sizeof(one)));

	nlh = mnl_nlmsg_put_header(nl.req);
	nlh->nlmsg_type = RTM_SETLINK;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_seq = ++nl.seq;
	info = mnl_nlmsg_put_extra_header(nlh, sizeof(*info));
	info->ifi_index = (int)ifindex;
	nest = mnl_attr_nest_start(nlh, IFLA_XDP);
	mnl_attr_put_u32(nlh, IFLA_XDP_FD, (uint32_t)prog);
	if (flags)
		mnl_attr_put_u32(nlh, IFLA_XDP_FLAGS, flags);
	mnl_attr_nest_end(nlh, nest);
	check_eq(ctl_talk(&nl, nlh, answer), 0);
	mnl_socket_close(nl.sock);
}

void xdp_set(int prog, uint32_t flags, struct ctl_answer *answer)
{
	xdp_set_on(env_ifindex(), prog, flags, answer);
}

void xdp_must_set(int prog, uint32_t flags)
{
	struct ctl_answer answer;

	xdp_set(prog, flags, &answer);
	if (answer.err)
		fail("XDP: %s: %s", strerror(answer.err), answer.text);
}

void xdp_refused(const struct ctl_answer *answer, int err, const char *text)
{
	check_eq(answer->err, err);
	if (!strstr(answer->text, text))
		fail("extack is '%s', should have '%s'", answer->text, text);
}

/* ---- frames ------------------------------------------------------------- */

int frame_fds[2];
unsigned char frame_sent[FRAME_MAX], frame_got[FRAME_MAX];

int frame_open(const char *dev)
{
	struct sockaddr_ll ll = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
	};
	int fd, one = 1;

	fd = must(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
	ll.sll_ifindex = (int)if_nametoindex(dev);
	must(bind(fd, (void *)&ll, sizeof(ll)));
	must(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)));
	return fd;
}

void frames_setup(void)
{
	frame_fds[RECEIVER] = frame_open("nsd0");
	env_enter(SENDER);
	frame_fds[SENDER] = frame_open("nsd1");
	env_enter(RECEIVER);
}

void frame_send(uint16_t type, size_t len)
{
	static const unsigned char source[6] = { 2, 0, 0, 0, 0, 1 };
	size_t i;

	for (i = 0; i < len; i++)
		frame_sent[i] = (unsigned char)(i * 7 + i / 251);
	memset(frame_sent, 0xff, 6);
	memcpy(frame_sent + 6, source, sizeof(source));
	frame_sent[12] = (unsigned char)(type >> 8);
	frame_sent[13] = (unsigned char)type;
	check_eq(send(frame_fds[SENDER], frame_sent, len, 0), (long long)len);
}

static size_t frame_within(enum side side, int ms)
{
	struct pollfd pfd = { .fd = frame_fds[side], .events = POLLIN };
	long long until = now_ms() + ms;
	unsigned int type;
	long long left;
	ssize_t n;

	while ((left = until - now_ms()) > 0) {
		if (poll(&pfd, 1, (int)left) <= 0)
			continue;
		n = recv(frame_fds[side], frame_got, sizeof(frame_sent), MSG_DONTWAIT);
		if (n < ETH_HLEN)
			continue;
		type = (unsigned int)frame_got[12] << 8 | frame_got[13];
		if (type == ETH_P_OURS)
			return (size_t)n;
		if (type == ETH_P_OTHERS)
			return 0;
	}
	return 0;
}

size_t frame_receive(enum side side)
{
	return frame_within(side, patient(2000));
}

void no_frame(enum side side)
{
	check_eq(frame_within(side, 300), 0);
}

void frame_comes(enum side side, size_t len)
{
	frame_send(ETH_P_OURS, len);
	check_eq(frame_receive(side), len);
	check(!memcmp(frame_got, frame_sent, len));
}

uint64_t counter_grown(const char *name)
{
	static struct {
		char name[32];
		uint64_t v;
	} was[16];
	uint64_t now = nic_counter(RECEIVER, name), ret;
	unsigned int i = 0;

	while (was[i].name[0] && strcmp(was[i].name, name))
		check_cmp(++i, <, ARRAY_SIZE(was));
	snprintf(was[i].name, sizeof(was[i].name), "%s", name);
	ret = now - was[i].v;
	was[i].v = now;
	return ret;
}

void xdp_restore(void *arg)
{
	struct ctl_answer answer;

	(void)arg;
	xdp_set(-1, 0, &answer);
	split_set(TCP_DATA_SPLIT_OFF, &answer);
	split_set(TCP_DATA_SPLIT_AUTO, &answer);
	cmd("ip link set nsd0 mtu 1500");
	cmd("ip -n %s link set nsd1 mtu 1500", NS_NAME(SENDER));
	cmd("ethtool -K nsd0 rxvlan on");
}
