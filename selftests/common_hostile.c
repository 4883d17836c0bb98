// SPDX-License-Identifier: GPL-2.0
/*
 * Owns the table of those between a NIC and a socket, see common_hostile.h, and what
 * is counted of them. Must not know of the streams.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "common_disturb.h"
#include "common_forge.h"
#include "common_hostile.h"
#include "common_queue.h"
#include "common_swallow.h"
#include "common_xdp.h"

#define MAX_HOSTILES	40
#define STAY_US		250000
#define PAUSE_US	150000
#define PREF		10	/* of the first one's filter */

#define OURS		"tcp dport 5300-5415 "
#define CHAIN(hook, rule) \
	"chain c { type filter hook " hook " ; " OURS "counter " rule " ; }"

/* Each has a table of nftables, a filter of tc, or functions: @begin may skip(), and
 * stays until @end. A table and a filter say themselves what they have seen; of the
 * others each stay counts as one, unless @seen knows better.
 */
struct hostile {
	const char *name;
	const char *nft;
	const char *tc;
	void (*begin)(struct stress_rnd *rnd, unsigned int pref);
	uint64_t (*seen)(unsigned int pref);
	void (*end)(unsigned int pref);
};

/* ---- what others say ---------------------------------------------------- */

/* The sum of the numbers that stand behind or, @before, before @word in what a program
 * prints.
 */
static uint64_t numbers_of(const char *command, const char *word, bool before)
{
	uint64_t sum = 0, last = 0, n;
	bool next = false;
	char token[64];
	FILE *f;

	f = popen(command, "re");
	if (!f)
		fail("%s: %s", command, strerror(errno));
	while (fscanf(f, "%63s", token) == 1) {
		n = strtoull(token, NULL, 10);
		if (next || (before && !strcmp(token, word)))
			sum += before ? last : n;
		next = !before && !strcmp(token, word);
		last = n;
	}
	pclose(f);
	return sum;
}

static void tc_begin(unsigned int pref, const char *text)
{
	if (cmd("tc filter add dev nsd0 ingress pref %u %s", pref, text))
		skip("this kernel has no tc filter '%s'", text);
}

static uint64_t tc_seen(unsigned int pref)
{
	char text[128];

	snprintf(text, sizeof(text), "tc -s filter show dev nsd0 ingress pref %u", pref);
	return numbers_of(text, "pkt", true);
}

static void tc_end(unsigned int pref)
{
	must_cmd("tc filter del dev nsd0 ingress pref %u", pref);
}

static void nft_begin(unsigned int pref, const char *text)
{
	if (cmd("nft add table inet h%u { %s ; }", pref, text))
		skip("this kernel has no '%s'", text);
}

static uint64_t nft_seen(unsigned int pref)
{
	char text[64];

	snprintf(text, sizeof(text), "nft list table inet h%u", pref);
	return numbers_of(text, "packets", false);
}

static void nft_end(unsigned int pref)
{
	must_cmd("nft delete table inet h%u", pref);
}

/* ---- queue to user space ------------------------------------------------ */

static void queue_begin(struct stress_rnd *rnd, unsigned int pref)
{
	struct queue_opts opts = {
		.gso = rnd_below(rnd, 2),
		.reverse = rnd_one_in(rnd, 3),
		.hold = rnd_one_in(rnd, 3),
	};

	queue_start(&opts);
	nft_begin(pref, rnd_below(rnd, 2) ? CHAIN("input priority 0", "queue num 0") :
		  CHAIN("prerouting priority 0", "queue num 0"));
}

/* What is held goes on late: often its connection has gone by then. */
static void queue_end(unsigned int pref)
{
	nft_end(pref);
	queue_release();
	check(within(5000, !queue_waiting()));
}

/* ---- devices ------------------------------------------------------------ */

static void ifb_begin(struct stress_rnd *rnd, unsigned int pref)
{
	(void)rnd;
	if (cmd("ip link add hifb type ifb"))
		skip("this kernel has no ifb");
	must_cmd("ip link set hifb up");
	tc_begin(pref, "matchall action mirred egress redirect dev hifb");
}

static void ifb_end(unsigned int pref)
{
	tc_end(pref);
	must_cmd("ip link del hifb");
}

static void upper_begin(struct stress_rnd *rnd, unsigned int pref)
{
	static const char *const kind[] = {
		"macvlan mode bridge", "macvlan mode private", "ipvlan mode l2", "ipvlan mode l3",
	};
	const char *how = kind[rnd_below(rnd, ARRAY_SIZE(kind))];

	(void)pref;
	if (cmd("ip link add link nsd0 name hupper type %s", how))
		skip("this kernel has no %s", how);
	must_cmd("ip link set hupper up");
}

static void upper_end(unsigned int pref)
{
	(void)pref;
	must_cmd("ip link del hupper");
}

/* Who connects meanwhile would be of the VRF, and end with it. */
static void vrf_begin(struct stress_rnd *rnd, unsigned int pref)
{
	(void)rnd;
	if (cmd("ip link add hvrf type vrf table 77"))
		skip("this kernel has no VRF");
	must_cmd("ip link set hvrf up");
	nft_begin(pref, "chain c { type filter hook prerouting priority raw ; "
		  "tcp flags & (syn | ack) == syn counter drop ; }");
	must_cmd("ip link set nsd0 master hvrf");
}

static void vrf_end(unsigned int pref)
{
	must_cmd("ip link set nsd0 nomaster");
	must_cmd("ip link del hvrf");
	nft_end(pref);
}

static void down_begin(struct stress_rnd *rnd, unsigned int pref)
{
	enum side side = rnd_below(rnd, 2);

	(void)pref;
	must_cmd("ip -n %s link set %s down", NS_NAME(side), DEV_NAME(side));
	usleep(rnd_below(rnd, 30000));
	must_cmd("ip -n %s link set %s up", NS_NAME(side), DEV_NAME(side));
}

static void setting_begin(struct stress_rnd *rnd, unsigned int pref)
{
	(void)pref;
	disturb_setting(rnd);
}

/* ---- programs, taps, tunnels -------------------------------------------- */

static void pull_begin(struct stress_rnd *rnd, unsigned int pref)
{
	(void)rnd;
	swallow_pull_at(pref);
}

/* It takes each packet's socket away. */
static void thief_begin(struct stress_rnd *rnd, unsigned int pref)
{
	static const char code[] = "1,6 0 0 3";		/* returns TC_ACT_PIPE */
	char text[128];
	int fd;

	(void)rnd;
	fd = must(memfd_create("code", 0));
	check_eq(write(fd, code, sizeof(code) - 1), (ssize_t)sizeof(code) - 1);
	snprintf(text, sizeof(text), "matchall action bpf bytecode-file /proc/%d/fd/%d",
		 getpid(), fd);
	tc_begin(pref, text);
	close(fd);
}

static void xdp_begin(struct stress_rnd *rnd, unsigned int pref)
{
	int prog = xdp_all(0, XDP_PASS);

	(void)rnd;
	(void)pref;
	xdp_must_set(prog, XDP_FLAGS_SKB_MODE);
	close(prog);
}

static void xdp_end(unsigned int pref)
{
	(void)pref;
	xdp_must_set(-1, XDP_FLAGS_SKB_MODE);
}

static int tap;

static void tap_begin(struct stress_rnd *rnd, unsigned int pref)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL) };

	(void)rnd;
	(void)pref;
	ll.sll_ifindex = (int)env_ifindex();
	tap = must(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
	must(bind(tap, (void *)&ll, sizeof(ll)));
}

static uint64_t tap_seen(unsigned int pref)
{
	struct tpacket_stats stats = {};
	socklen_t len = sizeof(stats);

	(void)pref;
	must(getsockopt(tap, SOL_PACKET, PACKET_STATISTICS, &stats, &len));
	return stats.tp_packets;
}

static void tap_end(unsigned int pref)
{
	(void)pref;
	close(tap);
}

/* Streams send through it. */
static void gue_begin(struct stress_rnd *rnd, unsigned int pref)
{
	(void)rnd;
	(void)pref;
	cmd("modprobe -q fou");
	cmd("modprobe -q fou6");
	if (cmd("ip fou add port %d gue", FORGE_GUE_PORT))
		skip("this kernel has no FOU");
	if (cmd("ip -6 fou add port %d gue", FORGE_GUE_PORT))
		diag("this kernel has no FOU for IPv6");
}

static void gue_end(unsigned int pref)
{
	(void)pref;
	must_cmd("ip fou del port %d", FORGE_GUE_PORT);
	cmd("ip -6 fou del port %d", FORGE_GUE_PORT);
}

/* ---- the table ---------------------------------------------------------- */

#define TRANSLATE							\
	"tcp dport 5400-5415 counter redirect to : tcp dport map { "	\
	"5400 : 5300, 5401 : 5301, 5402 : 5302, 5403 : 5303, "		\
	"5404 : 5304, 5405 : 5305, 5406 : 5306, 5407 : 5307 }"

static const struct hostile hostiles[] = {
	{ "redirect", .nft = "chain c { type nat hook prerouting priority -100 ; " TRANSLATE " ; }" },
	/* masquerade would forget connections whenever the link is down */
	{ "snat", .nft = "chain c { type nat hook postrouting priority 100 ; "
	  "tcp dport 5500-5599 counter snat ip to 10.9.0.1:30000-30999 ; "
	  "tcp dport 5500-5599 counter snat ip6 to [fd09::1]:30000-30999 ; }" },
	{ "helper", .nft = "ct helper ftp { type \"ftp\" protocol tcp ; l3proto ip ; } ; "
	  CHAIN("prerouting priority 0", "ct helper set \"ftp\"") },
	{ "no tracking", .nft = "chain c { type filter hook prerouting priority raw ; "
	  "tcp dport 5300-5315 counter notrack ; }" },
	{ "loss at input", .nft = CHAIN("input priority 0", "numgen random mod 20 0 drop") },
	{ "loss before routing", .nft = CHAIN("prerouting priority raw",
	  "numgen random mod 20 0 drop") },
	{ "reject", .nft = CHAIN("input priority 0", "numgen random mod 30 0 reject") },
	{ "payload", .nft = CHAIN("prerouting priority 0", "@ih,0,32 0x12345678 drop") },
	{ "mangle", .nft = CHAIN("prerouting priority mangle",
	  "meta nfproto ipv4 ip dscp set cs1") },
	{ "tproxy", .nft = CHAIN("prerouting priority mangle", "tproxy to :9") },
	{ "queue", .begin = queue_begin, .seen = nft_seen, .end = queue_end },
	{ "ifb", .begin = ifb_begin, .seen = tc_seen, .end = ifb_end },
	{ "csum", .tc = "matchall action csum tcp" },
	{ "pedit", .tc = "protocol ip matchall action pedit ex munge ip ttl set 33 "
	  "pipe action csum iph" },
	{ "ct", .tc = "protocol ip matchall action ct pipe" },
	{ "u32", .tc = "protocol ip u32 match u32 0 0 at 84 action pipe" },
	{ "pull", .begin = pull_begin, .end = tc_end },
	{ "thief", .begin = thief_begin, .seen = tc_seen, .end = tc_end },
	{ "XDP", .begin = xdp_begin, .end = xdp_end },
	{ "tap", .begin = tap_begin, .seen = tap_seen, .end = tap_end },
	{ "GUE", .begin = gue_begin, .end = gue_end },
	{ "macvlan", .begin = upper_begin, .end = upper_end },
	{ "VRF", .begin = vrf_begin, .end = vrf_end },
	{ "link", .begin = down_begin },
	{ "settings", .begin = setting_begin },
};

/* Shared by all processes. */
static struct hostile_count {
	bool absent;
	uint64_t stays;
	uint64_t seen;
} *counts;

static void begin(const struct hostile *h, struct stress_rnd *rnd, unsigned int pref)
{
	if (h->nft)
		nft_begin(pref, h->nft);
	else if (h->tc)
		tc_begin(pref, h->tc);
	else
		h->begin(rnd, pref);
}

static uint64_t seen(const struct hostile *h, unsigned int pref)
{
	if (h->nft)
		return nft_seen(pref);
	if (h->tc)
		return tc_seen(pref);
	return h->seen ? h->seen(pref) : 1;
}

static void end(const struct hostile *h, unsigned int pref)
{
	if (h->nft)
		nft_end(pref);
	else if (h->tc)
		tc_end(pref);
	else if (h->end)
		h->end(pref);
}

/* What is there for all: translation goes on for a connection that has it; what is no
 * part of one for connection tracking would not be translated, and be answered with a
 * reset; and what is in a VRF is received.
 */
static void ground(void)
{
	if (cmd("tc qdisc add dev nsd0 clsact"))
		skip("this kernel has no clsact");
	if (cmd("nft add table inet base { "
		"chain a { type nat hook prerouting priority 0 ; } ; "
		"chain b { type nat hook input priority 0 ; } ; "
		"chain c { type nat hook output priority 0 ; } ; "
		"chain d { type nat hook postrouting priority 0 ; } ; "
		"chain e { type filter hook prerouting priority 0 ; "
		"tcp dport { 5400-5415, 30000-30999 } ct state invalid drop ; } ; }"))
		diag("this kernel does not translate addresses");
	if (!access("/proc/sys/net/ipv4/tcp_l3mdev_accept", W_OK))
		env_sysctl(RECEIVER, "ipv4/tcp_l3mdev_accept", "1");
}

void hostile_setup(void)
{
	struct stress_rnd rnd = { stress_seed() };
	unsigned int i;
	int status;
	pid_t pid;

	counts = mmap(NULL, MAX_HOSTILES * sizeof(*counts), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	check(counts != MAP_FAILED);
	check_cmp(ARRAY_SIZE(hostiles), <=, MAX_HOSTILES);
	ground();
	for (i = 0; i < ARRAY_SIZE(hostiles); i++) {
		if (!hostiles[i].nft && !hostiles[i].tc && !hostiles[i].end)
			continue;
		pid = test_fork();
		if (!pid) {
			begin(&hostiles[i], &rnd, PREF + i);
			end(&hostiles[i], PREF + i);
			_exit(0);
		}
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		counts[i].absent = WIFEXITED(status) && WEXITSTATUS(status) == KTAP_SKIP;
		if (status && !counts[i].absent)
			fail("%s cannot be had", hostiles[i].name);
	}
	env_ready();
}

/* One of those that were here least often. */
static unsigned int choose(struct stress_rnd *rnd, unsigned int nr, unsigned int workers)
{
	unsigned int i, left = 0, found = ARRAY_SIZE(hostiles);
	uint64_t least = UINT64_MAX;

	for (i = nr; i < ARRAY_SIZE(hostiles); i += workers)
		if (!counts[i].absent && counts[i].stays < least)
			least = counts[i].stays;
	for (i = nr; i < ARRAY_SIZE(hostiles); i += workers)
		if (!counts[i].absent && counts[i].stays == least && rnd_one_in(rnd, ++left))
			found = i;
	return found;
}

void hostile_round(struct stress_rnd *rnd, unsigned int nr, unsigned int workers)
{
	unsigned int i = choose(rnd, nr, workers);
	const struct hostile *h = &hostiles[i];

	if (i == ARRAY_SIZE(hostiles))
		return;
	stress_doing("%s comes", h->name);
	begin(h, rnd, PREF + i);
	usleep(rnd_below(rnd, STAY_US));
	counts[i].seen += seen(h, PREF + i);
	stress_doing("%s goes", h->name);
	end(h, PREF + i);
	counts[i].stays++;
	usleep(rnd_below(rnd, PAUSE_US));
}

bool hostile_all_met(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(hostiles); i++)
		if (!counts[i].absent && !counts[i].seen)
			return false;
	return true;
}

void hostile_tell(void)
{
	unsigned int i, absent = 0;

	for (i = 0; i < ARRAY_SIZE(hostiles); i++) {
		absent += counts[i].absent;
		diag("%s: %s%" PRIu64 " stays, %" PRIu64 " seen", hostiles[i].name,
		     counts[i].absent ? "absent, " : "", counts[i].stays, counts[i].seen);
	}
	check_cmp(absent, <=, ARRAY_SIZE(hostiles) / 2);
}
