// SPDX-License-Identifier: GPL-2.0
/*
 * The settings of the software NIC, by ethtool's ioctl: structures of rules, hash
 * tables, rings, channels and coalescing with wild values, while others bind
 * queues of it and packets come. A rule that was taken is the one that is shown,
 * a table names queues that there are, an error is one that ethtool's drivers
 * give; and binds, whatever the settings say of them, leave nothing.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netdev-devmem.h>
#include <stdlib.h>
#include <string.h>

#include "chance.h"
#include "common.h"
#include "common_ctl.h"
#include "common_nic.h"
#include "common_provider.h"

#define COMMANDS	1000		/* if nobody says */
#define ROUND		500
#define QUEUES		8
#define RULES		64		/* that are watched */

static uint32_t space[2048];	/* of a command */

static int call(void)
{
	static const int known[] = {
		0, -EINVAL, -EOPNOTSUPP, -ENOSPC, -EBUSY, -ENOENT, -EMSGSIZE, -ERANGE, -EFAULT,
		-ENOMEM, -E2BIG,
	};
	int err = nic_ioctl(space);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (err == known[i])
			return err;
	fail("ethtool command 0x%x: %s", space[0], strerror(-err));
}

/* ---- rules -------------------------------------------------------------- */

static const uint32_t flow_types[] = {
	TCP_V4_FLOW, UDP_V4_FLOW, TCP_V6_FLOW, UDP_V6_FLOW, IP_USER_FLOW, IPV6_USER_FLOW,
	SCTP_V4_FLOW, ETHER_FLOW,
};

/* Masks that the table has room for, more often than not. */
static void some_flow(struct ethtool_rx_flow_spec *fs)
{
	uint32_t field = rnd(sizeof(fs->h_u) / 4), n;

	memset(fs, 0, sizeof(*fs));
	fs->flow_type = rnd(8) ? rnd_of(flow_types) : rnd_wild();
	if (once_in(8))
		fs->flow_type |= rnd(2) ? FLOW_RSS : rnd(2) ? FLOW_EXT : FLOW_MAC_EXT;
	for (n = rnd(4); n; n--) {
		((uint32_t *)&fs->h_u)[field] = rnd(2) ? htonl(0x0a090002) : rnd32();
		((uint32_t *)&fs->m_u)[field] = rnd(2) ? ~0U : htonl(~0U << rnd(32));
		field = rnd(sizeof(fs->h_u) / 4);
	}
	if ((fs->flow_type & 0xff) == IP_USER_FLOW && rnd(8))
		fs->h_u.usr_ip4_spec.ip_ver = ETH_RX_NFC_IP4;
	if (once_in(4))
		rnd_fill(&fs->m_u, rnd_size(sizeof(fs->m_u)));
	if (once_in(8))
		rnd_fill(&fs->m_ext, sizeof(fs->m_ext));
	fs->ring_cookie = rnd(3) ? rnd(QUEUES + 1) : rnd(2) ? RX_CLS_FLOW_DISC : rnd64();
	fs->location = rnd(3) ? rnd(RULES) : rnd(2) ? RX_CLS_LOC_ANY + rnd(4) : rnd_wild();
}

static void do_rule(void)
{
	struct ethtool_rxnfc *nfc = (void *)space, asked;
	bool add = rnd(3);

	memset(space, 0, sizeof(space));
	nfc->cmd = add ? ETHTOOL_SRXCLSRLINS : ETHTOOL_SRXCLSRLDEL;
	some_flow(&nfc->fs);
	nfc->rss_context = rnd(4) ? 0 : rnd_wild();
	asked = *nfc;
	if (call() || !add)
		return;
	if (!(asked.fs.location & RX_CLS_LOC_SPECIAL))
		check_eq(nfc->fs.location, asked.fs.location);
	asked.fs.location = nfc->fs.location;
	memset(space, 0, sizeof(space));
	nfc->cmd = ETHTOOL_GRXCLSRULE;
	nfc->fs.location = asked.fs.location;
	check_eq(call(), 0);
	check(!memcmp(&nfc->fs, &asked.fs, sizeof(asked.fs)));	/* NOLINT: its holes are zeroed */
}

/* As many as there are said to be. */
static void do_rules(void)
{
	struct ethtool_rxnfc *nfc = (void *)space;
	uint32_t n, i;

	memset(space, 0, sizeof(space));
	nfc->cmd = ETHTOOL_GRXCLSRLCNT;
	check_eq(call(), 0);
	n = nfc->rule_cnt;
	check_cmp(n, <=, RULES_MAX);
	nfc->cmd = ETHTOOL_GRXCLSRLALL;
	nfc->rule_cnt = rnd(2) ? n : rnd(RULES_MAX);
	i = nfc->rule_cnt;
	check_eq(call(), i < n ? -EMSGSIZE : 0);
	if (i < n)
		return;
	check_eq(nfc->rule_cnt, n);
	for (i = 1; i < n; i++)
		check_cmp(nfc->rule_locs[i - 1], <, nfc->rule_locs[i]);
}

static void do_get(void)
{
	static const uint32_t commands[] = {
		ETHTOOL_GRXRINGS, ETHTOOL_GRXFH, ETHTOOL_GRXCLSRULE, ETHTOOL_GRXFHINDIR,
		ETHTOOL_GCHANNELS, ETHTOOL_GRINGPARAM, ETHTOOL_GCOALESCE, ETHTOOL_GDRVINFO,
		ETHTOOL_GRSSH, ETHTOOL_GSSET_INFO, ETHTOOL_GPAUSEPARAM, ETHTOOL_GEEE,
	};

	memset(space, 0, sizeof(space));
	rnd_fill(space, rnd_size(200));
	space[0] = rnd_of(commands);
	/* sizes that ethtool takes from the caller must be those of the space */
	if (space[0] == ETHTOOL_GRXFHINDIR)
		space[1] = rnd(RSS_INDIR * 2);
	if (space[0] == ETHTOOL_GRSSH)
		memset(space + 1, 0, 64);
	call();
}

/* ---- the rest ----------------------------------------------------------- */

static void do_rss(void)
{
	struct ethtool_rxfh *rxfh = (void *)space;
	uint32_t i;

	memset(space, 0, sizeof(space));
	rxfh->cmd = ETHTOOL_SRSSH;
	rxfh->rss_context = rnd(2) ? 0 : rnd(2) ? ETH_RXFH_CONTEXT_ALLOC : rnd(8);
	rxfh->indir_size = rnd(2) ? RSS_INDIR : rnd(2) ? 0 : rnd(2) ? ETH_RXFH_INDIR_NO_CHANGE :
			   rnd(1000);
	rxfh->key_size = rnd(2) ? 0 : rnd(2) ? RSS_KEY : rnd(100);
	rxfh->hfunc = (uint8_t)(rnd(4) ? 0 : rnd32());
	if (once_in(8))
		rxfh->rsvd8[0] = (uint8_t)rnd32();
	for (i = 0; i < RSS_INDIR; i++)
		rxfh->rss_config[i] = once_in(4000) ? rnd_wild() : rnd(4);
	call();
}

static void check_table(void)
{
	struct ethtool_channels ch = { .cmd = ETHTOOL_GCHANNELS };
	uint32_t indir[RSS_INDIR], i;
	uint8_t key[RSS_KEY];

	rss_get(0, key, indir);
	check_eq(nic_ioctl(&ch), 0);
	for (i = 0; i < RSS_INDIR; i++)
		check_cmp(indir[i], <, ch.combined_count + ch.rx_count);
}

static void do_fields(void)
{
	struct ethtool_rxnfc *nfc = (void *)space;

	memset(space, 0, sizeof(space));
	nfc->cmd = ETHTOOL_SRXFH;
	nfc->flow_type = rnd(4) ? rnd_of(flow_types) : rnd_wild();
	nfc->data = rnd(4) ? rnd(256) : rnd64();
	call();
}

/* A valid one, of which a field is then changed. */
static void do_numbers(void)
{
	static const uint32_t pairs[][3] = {
		{ ETHTOOL_GCHANNELS, ETHTOOL_SCHANNELS, sizeof(struct ethtool_channels) / 4 },
		{ ETHTOOL_GRINGPARAM, ETHTOOL_SRINGPARAM, sizeof(struct ethtool_ringparam) / 4 },
		{ ETHTOOL_GCOALESCE, ETHTOOL_SCOALESCE, sizeof(struct ethtool_coalesce) / 4 },
	};
	uint32_t which = rnd(ARRAY_SIZE(pairs)), n;

	memset(space, 0, sizeof(space));
	space[0] = pairs[which][0];
	check_eq(nic_ioctl(space), 0);
	space[0] = pairs[which][1];
	for (n = 1 + once_in(4); n; n--)
		space[1 + rnd(pairs[which][2] - 1)] = rnd(2) ? rnd(QUEUES + 2) :
						      rnd(2) ? 64U << rnd(7) : rnd_wild();
	call();
}

static void do_split(void)
{
	struct ctl_answer a;

	split_set((uint8_t)rnd(4), &a);
	check(a.err == 0 || a.err == EINVAL || a.err == EBUSY || a.err == EOPNOTSUPP ||
	      a.err == ERANGE);
}

/* ---- binds meanwhile ---------------------------------------------------- */

static void bind_for_ever(int stop)
{
	static const int known[] = { 0, EINVAL, EBUSY, ERANGE };
	static struct ctl_nl nl;
	struct ctl_answer a;
	unsigned int i;
	char byte;
	int fds[4];

	for (i = 0; i < 4; i++)
		check_cmp(fds[i] = ctl_gpu_alloc(1 << 20, 4, 0), >=, 0);
	while (recv(stop, &byte, 1, MSG_DONTWAIT) < 0) {
		check_eq(ctl_nl_open(&nl), 0);
		for (i = 0; i < 4; i++) {
			check_eq(ctl_bind(&nl, env_ifindex(), rnd(QUEUES), fds[i], 0, &a), 0);
			if (a.err != known[0] && a.err != known[1] && a.err != known[2] &&
			    a.err != known[3])
				fail("bind: %s, '%s'", strerror(a.err), a.text);
			check(!a.err || a.text[0]);
		}
		ctl_nl_close(&nl);
	}
	_exit(0);
}

static void one_command(void)
{
	switch (rnd(16)) {
	case 0:
	case 1:
	case 2:
	case 3:
	case 4:
		do_rule();
		break;
	case 5:
		do_rules();
		break;
	case 6:
	case 7:
	case 8:
		do_get();
		break;
	case 9:
	case 10:
		do_rss();
		check_table();
		break;
	case 11:
		do_fields();
		break;
	case 12:
		do_split();
		break;
	default:
		do_numbers();
		break;
	}
}

/* As it was: the next round must be able to begin with eight queues. */
static void settings_away(void)
{
	struct ctl_answer a;
	uint32_t i;

	nic_feature("rx-ntuple-filter", false);
	nic_feature("rx-ntuple-filter", true);
	for (i = 1; i < 64; i++)
		rss_delete(i);
	cmd("ethtool -X nsd0 default");
	cmd("ethtool -L nsd0 combined %d", QUEUES);
	cmd("ethtool -G nsd0 rx 1024 tx 1024");
	split_set(TCP_DATA_SPLIT_AUTO, &a);
	cmd("ethtool -C nsd0 rx-usecs 0 rx-frames 0");
}

static void settings(void)
{
	char left[256];
	unsigned int i;
	pid_t binders[2];
	int stop[2];

	fuzz_begin("ethtool", COMMANDS);
	while (fuzz_next()) {
		must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stop));
		for (i = 0; i < 2; i++) {
			binders[i] = test_fork();
			if (!binders[i]) {
				close(stop[1]);
				bind_for_ever(stop[0]);
			}
			rnd64();
		}
		for (i = 0; i < ROUND; i++)
			one_command();
		fuzz_count(ROUND);
		close(stop[1]);
		for (i = 0; i < 2; i++)
			test_join(binders[i]);
		close(stop[0]);
		settings_away();
		if (!within(3000, !live_objects(left, sizeof(left))))
			fail("left: %s", left);
	}
}

static void setup(void)
{
	env_setup(QUEUES);
}

static struct ktap_case cases[] = {
	KTAP_CASE(settings, .timeout = 60),
};

int main(int argc, char **argv)
{
	return fuzz_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
