// SPDX-License-Identifier: GPL-2.0
/*
 * See common_swallow.h. Owns tc's settings of nsd0, programs and filters; must not
 * know whose packets they see.
 */
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/syscall.h>

#include "common.h"
#include "common_ctl.h"
#include "common_nft.h"
#include "common_swallow.h"
#include "common_xdp.h"

#define LOG_GROUP	5
#define FTP		21
#define DEEP		64	/* bytes into a packet at its socket: past any header */

/* ---- tc ---------------------------------------------------------------- */

static void no_tc(void *unused)
{
	(void)unused;
	env_enter(RECEIVER);
	cmd("tc qdisc replace dev nsd0 clsact");
	cmd("tc qdisc del dev nsd0 clsact");
	if (if_nametoindex("ifb9"))
		cmd("ip link del ifb9");
}

static void end_tc(int family, int sock)
{
	(void)family;
	(void)sock;
	must_cmd("tc qdisc del dev nsd0 clsact");
}

static void begin_tc(void)
{
	defer(no_tc, NULL);
	must_cmd("tc qdisc add dev nsd0 clsact");
}

static void tc_filter(const char *text)
{
	if (cmd("tc filter add dev nsd0 ingress %s", text))
		skip("this kernel has no tc filter '%s'", text);
}

static void begin_ifb(int family)
{
	(void)family;
	begin_tc();
	if (cmd("ip link add ifb9 type ifb"))
		skip("this kernel has no ifb");
	must_cmd("ip link set ifb9 up");
	tc_filter("matchall action mirred egress redirect dev ifb9");
}

const struct swallower swallow_ifb = { .before = begin_ifb, .end = end_tc };

static void begin_csum(int family)
{
	begin_tc();
	tc_filter(family == AF_INET ? "protocol ip matchall action csum tcp" :
		  "protocol ipv6 matchall action csum tcp");
}

const struct swallower swallow_csum = { .before = begin_csum, .end = end_tc };

/* A key with mask 0 matches if the bytes are there. Of 64 KiB or more the length is 0. */
static void begin_u32(int family)
{
	if (family != AF_INET)
		skip("IPv4 only");
	begin_tc();
	tc_filter("protocol ip prio 1 u32 match u16 0 0xff00 at 2 action ok");
	tc_filter("protocol ip prio 1 u32 match u32 0 0 at 84 action ok");
	tc_filter("protocol ip prio 2 matchall action drop");
}

const struct swallower swallow_u32 = { .before = begin_u32, .end = end_tc };

/* ---- programs ---------------------------------------------------------- */

static int load(enum bpf_prog_type type, const struct bpf_insn *insns, size_t nr)
{
	union bpf_attr attr = {
		.prog_type = type,
		.insn_cnt = (uint32_t)nr,
		.insns = (uintptr_t)insns,
		.license = (uintptr_t)"GPL",
	};

	return must((int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)));
}

/* As "tc filter add dev nsd0 ingress bpf direct-action" does with a file. */
static void attach_classifier(int prog, uint32_t pref)
{
	static struct ctl_nl nl;
	struct ctl_answer answer;
	struct nlmsghdr *nlh;
	struct nlattr *nest;
	struct tcmsg *tc;

	nl.sock = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	check(nl.sock);
	must(mnl_socket_bind(nl.sock, 0, MNL_SOCKET_AUTOPID));
	nlh = mnl_nlmsg_put_header(nl.req);
	nlh->nlmsg_type = RTM_NEWTFILTER;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
	nlh->nlmsg_seq = ++nl.seq;
	tc = mnl_nlmsg_put_extra_header(nlh, sizeof(*tc));
	tc->tcm_family = AF_UNSPEC;
	tc->tcm_ifindex = (int)env_ifindex();
	tc->tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
	tc->tcm_info = TC_H_MAKE(pref << 16, htons(ETH_P_ALL));
	mnl_attr_put_strz(nlh, TCA_KIND, "bpf");
	nest = mnl_attr_nest_start(nlh, TCA_OPTIONS);
	mnl_attr_put_u32(nlh, TCA_BPF_FD, (uint32_t)prog);
	mnl_attr_put_strz(nlh, TCA_BPF_NAME, "pull");
	mnl_attr_put_u32(nlh, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
	mnl_attr_nest_end(nlh, nest);
	check_eq(ctl_talk(&nl, nlh, &answer), 0);
	mnl_socket_close(nl.sock);
	if (answer.err)
		skip("cls_bpf: %s", strerror(answer.err));
}

void swallow_pull_at(uint32_t pref)
{
	static const struct bpf_insn pull[] = {
		MOVR(6, 1),
		LOAD(BPF_W, 2, 6, offsetof(struct __sk_buff, len)),
		CALL(BPF_FUNC_skb_pull_data),
		JEQ(0, 0, 2),
		MOV(0, TC_ACT_SHOT), EXIT(),
		MOV(0, TC_ACT_OK), EXIT(),
	};

	int prog = load(BPF_PROG_TYPE_SCHED_CLS, pull, ARRAY_SIZE(pull));

	attach_classifier(prog, pref);
	close(prog);
}

static void begin_pull(int family)
{
	(void)family;
	begin_tc();
	swallow_pull_at(1);
}

const struct swallower swallow_pull = { .before = begin_pull, .end = end_tc };

/* ---- filters of the socket --------------------------------------------- */

/* A load that cannot be done ends the program, which returns 0. */
static void set_filter(int sock)
{
	static struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, DEEP, 0, 1),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, DEEP),
		BPF_STMT(BPF_RET | BPF_K, ~0U),
	};
	struct sock_fprog prog = { ARRAY_SIZE(code), code };

	must(setsockopt(sock, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)));
}

static void set_program(int sock)
{
	static const struct bpf_insn code[] = {
		MOVR(6, 1),
		LOAD(BPF_W, 7, 6, offsetof(struct __sk_buff, len)),
		MOV(2, DEEP),
		JGT(7, 2, 2),
		MOV(0, -1), EXIT(),
		MOVR(3, 10), ADD(3, -8), MOV(4, 1),
		CALL(BPF_FUNC_skb_load_bytes),
		JEQ(0, 0, 2),
		MOV(0, 0), EXIT(),
		MOV(0, -1), EXIT(),
	};
	int fd = load(BPF_PROG_TYPE_SOCKET_FILTER, code, ARRAY_SIZE(code));

	must(setsockopt(sock, SOL_SOCKET, SO_ATTACH_BPF, &fd, sizeof(fd)));
	close(fd);
}

static void end_filter(int family, int sock)
{
	int unused = 0;

	(void)family;
	must(setsockopt(sock, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused)));
}

const struct swallower swallow_filter = { .on = set_filter, .end = end_filter };
const struct swallower swallow_program = { .on = set_program, .end = end_filter };

/* ---- nft --------------------------------------------------------------- */

static void end_nft(int family, int sock)
{
	(void)sock;
	nft_delete(family);
}

/* A connection keeps the helper that it has. */
static void end_helper(int family, int sock)
{
	end_nft(family, sock);
	nft_forget_connections();
}

static void begin_helper(int family)
{
	nft_table(family);
	nft_add(family, "ct helper", "ftp { type \"ftp\" protocol tcp ; }");
	nft_add(family, "chain", "pre { type filter hook prerouting priority 0 ; }");
	nft_add(family, "rule", "pre tcp dport %d ct helper set \"ftp\"", FTP);
}

const struct swallower swallow_helper = {
	.port = FTP, .before = begin_helper, .end = end_helper
};

static struct nlmsghdr *log_message(char *buf)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg;

	nlh->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = AF_UNSPEC;
	nfg->version = NFNETLINK_V0;
	nfg->res_id = htons(LOG_GROUP);
	return nlh;
}

/* Reads the log, for it must have a reader. */
static void log_reader(void)
{
	struct nfulnl_msg_config_cmd bind = { .command = NFULNL_CFG_CMD_BIND };
	struct nfulnl_msg_config_mode mode = {
		.copy_range = htonl(2000), .copy_mode = NFULNL_COPY_PACKET,
	};
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	static char buf[1 << 17];
	struct nlmsghdr *nlh;
	int off = 1;

	check(nl);
	must(mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID));
	must(mnl_socket_setsockopt(nl, NETLINK_NO_ENOBUFS, &off, sizeof(off)));
	nlh = log_message(buf);
	mnl_attr_put(nlh, NFULA_CFG_CMD, sizeof(bind), &bind);
	must(mnl_socket_sendto(nl, nlh, nlh->nlmsg_len));
	nlh = log_message(buf);
	mnl_attr_put(nlh, NFULA_CFG_MODE, sizeof(mode), &mode);
	must(mnl_socket_sendto(nl, nlh, nlh->nlmsg_len));
	if (test_fork()) {
		mnl_socket_close(nl);
		return;
	}
	while (mnl_socket_recvfrom(nl, buf, sizeof(buf)) >= 0)
		;
	_exit(0);
}

static void begin_log(int family)
{
	nft_table(family);
	nft_add(family, "chain", "in { type filter hook input priority 0 ; }");
	nft_add(family, "rule", "in meta l4proto tcp log group %d snaplen 2000", LOG_GROUP);
	log_reader();
}

const struct swallower swallow_log = { .before = begin_log, .end = end_nft };
