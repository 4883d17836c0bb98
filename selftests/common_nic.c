// SPDX-License-Identifier: GPL-2.0
/*
 * See common_nic.h. Owns a packet socket at each end of the link; must not know
 * what a setting is meant to do.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common_nic.h"

#define PAYLOAD		32
#define FEATURES_MAX	128
#define FRAME_MAX	(ETH_HLEN + 40 + 20 + PAYLOAD)

static int in_fd = -1, out_fd = -1, ioctl_fd = -1;
static unsigned char mac[6];

static void open_packet(enum side side, int *fd)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET };

	env_enter(side);
	*fd = must(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
	ll.sll_protocol = side == RECEIVER ? htons(ETH_P_ALL) : 0;
	ll.sll_ifindex = (int)if_nametoindex(DEV_NAME(side));
	must(bind(*fd, (void *)&ll, sizeof(ll)));
	env_enter(RECEIVER);
}

int nic_ioctl(void *command)
{
	struct ifreq ifr = { .ifr_data = command };

	if (ioctl_fd < 0) {
		env_enter(RECEIVER);
		ioctl_fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	}
	strcpy(ifr.ifr_name, DEV_NAME(RECEIVER));
	return ioctl(ioctl_fd, SIOCETHTOOL, &ifr) < 0 ? -errno : 0;
}

static void open_both(void)
{
	struct ifreq ifr = {};

	if (in_fd >= 0)
		return;
	open_packet(RECEIVER, &in_fd);
	open_packet(SENDER, &out_fd);
	strcpy(ifr.ifr_name, DEV_NAME(RECEIVER));
	must(ioctl(in_fd, SIOCGIFHWADDR, &ifr));
	memcpy(mac, ifr.ifr_hwaddr.sa_data, 6);
}

static unsigned int put_addrs(unsigned char *at, const struct packet *p)
{
	unsigned int size = p->family == AF_INET ? 4 : 16;

	must(inet_pton(p->family, p->saddr, at) - 1);
	must(inet_pton(p->family, p->daddr, at + size) - 1);
	return 2 * size;
}

static unsigned int put_ip(unsigned char *at, const struct packet *p,
			   unsigned int len)
{
	struct ip6_hdr *ip6 = (void *)at;
	struct iphdr *ip = (void *)at;
	uint32_t sum = 0;
	int i;

	if (p->family == AF_INET6) {
		ip6->ip6_flow = htonl(6U << 28);
		ip6->ip6_plen = htons((uint16_t)len);
		ip6->ip6_nxt = p->proto;
		ip6->ip6_hlim = 64;
		put_addrs((void *)&ip6->ip6_src, p);
		return sizeof(*ip6);
	}
	ip->version = 4;
	ip->ihl = 5;
	ip->tot_len = htons((uint16_t)(sizeof(*ip) + len));
	ip->frag_off = p->fragment ? htons(IP_MF) : 0;
	ip->ttl = 64;
	ip->protocol = p->proto;
	put_addrs((void *)&ip->saddr, p);
	for (i = 0; i < 20; i += 2)
		sum += (uint32_t)at[i] << 8 | at[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	ip->check = htons((uint16_t)~(sum + (sum >> 16)));
	return sizeof(*ip);
}

/* A frame whose last byte is @mark. Nobody cares for its checksum. */
static size_t make_frame(unsigned char *frame, const struct packet *p,
			 unsigned char mark)
{
	struct ether_header *eth = (void *)frame;
	unsigned char *l4;
	unsigned int len = 8 + PAYLOAD;

	memset(frame, 0, FRAME_MAX);
	memcpy(eth->ether_dhost, mac, 6);
	eth->ether_shost[0] = 2;
	eth->ether_type = htons(p->family == AF_INET ? ETHERTYPE_IP :
						       ETHERTYPE_IPV6);
	if (p->proto == IPPROTO_TCP)
		len = 20 + PAYLOAD;
	l4 = frame + ETH_HLEN + put_ip(frame + ETH_HLEN, p, len);
	l4[0] = (unsigned char)(p->sport >> 8);
	l4[1] = (unsigned char)p->sport;
	l4[2] = (unsigned char)(p->dport >> 8);
	l4[3] = (unsigned char)p->dport;
	if (p->proto == IPPROTO_TCP)
		l4[12] = 5 << 4;
	if (p->proto == IPPROTO_UDP)
		l4[5] = 8 + PAYLOAD;
	l4[len - 1] = mark;
	return (size_t)(l4 - frame) + len;
}

/* Have the socket at nsd0 accept packets with this hash and queue. skb has the
 * queue's number plus 1.
 */
static void set_filter(const uint32_t *hash, unsigned int queue)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + SKF_AD_RXHASH),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, hash ? *hash : 0,
			 0, hash ? 3 : 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + SKF_AD_QUEUE),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, queue + 1,
			 0, queue == ANY_QUEUE ? 0 : 1),
		BPF_STMT(BPF_RET | BPF_K, 0xffff),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog prog = { ARRAY_SIZE(code), code };

	must(setsockopt(in_fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog,
			sizeof(prog)));
}

static void send_frame(const unsigned char *frame, size_t len)
{
	check_eq(must(send(out_fd, frame, len, 0)), (long long)len);
}

/* Wait for @frame; a second one counts as well, and is told by 2. */
static int wait_frame(const unsigned char *frame, size_t len,
		      const unsigned char *other, size_t other_len)
{
	struct pollfd pfd = { .fd = in_fd, .events = POLLIN };
	long long until = now_ms() + patient(2000);
	unsigned char got[2048];
	long long left;
	ssize_t n;

	while ((left = until - now_ms()) > 0) {
		if (poll(&pfd, 1, (int)left) <= 0)
			continue;
		n = recv(in_fd, got, sizeof(got), MSG_DONTWAIT);
		if (n == (ssize_t)len && !memcmp(got, frame, len))
			return 1;
		if (other && n == (ssize_t)other_len &&
		    !memcmp(got, other, other_len))
			return 2;
	}
	return 0;
}

static unsigned char next_mark;

bool packet_comes(const struct packet *p, const uint32_t *hash,
		  unsigned int queue)
{
	unsigned char frame[FRAME_MAX];
	size_t len;

	open_both();
	len = make_frame(frame, p, ++next_mark);
	set_filter(hash, queue);
	send_frame(frame, len);
	return wait_frame(frame, len, NULL, 0) == 1;
}

/* One transmit queue and one receive queue keep packets in order: so both have
 * the same addresses, and differ in protocol, which no filter of the test does.
 */
bool packet_dropped(const struct packet *p)
{
	unsigned char frame[FRAME_MAX], other[FRAME_MAX], got[2048];
	struct packet q = *p;
	size_t len, other_len;
	ssize_t n;

	open_both();
	q.proto = IPPROTO_ICMP;
	len = make_frame(frame, p, ++next_mark);
	other_len = make_frame(other, &q, next_mark);
	set_filter(NULL, ANY_QUEUE);
	send_frame(frame, len);
	send_frame(other, other_len);
	if (wait_frame(frame, len, other, other_len) != 2)
		return false;
	usleep(20000);		/* another queue may be slower */
	while ((n = recv(in_fd, got, sizeof(got), MSG_DONTWAIT)) >= 0)
		if (n == (ssize_t)len && !memcmp(got, frame, len))
			return false;
	return true;	/* others have come at most: the stacks talk, too */
}

uint32_t toeplitz(const uint8_t *key, const struct packet *p, uint64_t fields)
{
	unsigned int addr = p->family == AF_INET ? 4 : 16;
	unsigned char addrs[32], input[36];
	unsigned int len = 0, i, bit;
	uint32_t hash = 0, window;

	put_addrs(addrs, p);
	if (fields & RXH_IP_SRC) {
		memcpy(input + len, addrs, addr);
		len += addr;
	}
	if (fields & RXH_IP_DST) {
		memcpy(input + len, addrs + addr, addr);
		len += addr;
	}
	if (fields & RXH_L4_B_0_1) {
		input[len++] = (unsigned char)(p->sport >> 8);
		input[len++] = (unsigned char)p->sport;
	}
	if (fields & RXH_L4_B_2_3) {
		input[len++] = (unsigned char)(p->dport >> 8);
		input[len++] = (unsigned char)p->dport;
	}

	window = (uint32_t)key[0] << 24 | (uint32_t)key[1] << 16 |
		 (uint32_t)key[2] << 8 | key[3];
	for (i = 0; i < len * 8; i++) {
		if (input[i / 8] & 0x80 >> i % 8)
			hash ^= window;
		bit = i + 32;
		window = window << 1 | (key[bit / 8] >> (7 - bit % 8) & 1);
	}
	return hash;
}

int rss_set(uint32_t *context, const uint8_t *key, const uint32_t *indir)
{
	struct ethtool_rxfh *rxfh;
	unsigned char *config;
	int err;

	rxfh = calloc(1, sizeof(*rxfh) + RSS_INDIR * 4 + RSS_KEY);
	rxfh->cmd = ETHTOOL_SRSSH;
	rxfh->rss_context = *context;
	rxfh->indir_size = indir ? RSS_INDIR : ETH_RXFH_INDIR_NO_CHANGE;
	rxfh->key_size = key ? RSS_KEY : 0;
	config = (void *)rxfh->rss_config;
	if (indir) {
		memcpy(config, indir, RSS_INDIR * 4);
		config += RSS_INDIR * 4;
	}
	if (key)
		memcpy(config, key, RSS_KEY);
	err = nic_ioctl(rxfh);
	*context = rxfh->rss_context;
	free(rxfh);
	return err;
}

int rss_delete(uint32_t context)
{
	struct ethtool_rxfh rxfh = {
		.cmd = ETHTOOL_SRSSH,
		.rss_context = context,
	};

	return nic_ioctl(&rxfh);
}

void rss_get(uint32_t context, uint8_t *key, uint32_t *indir)
{
	struct ethtool_rxfh *rxfh;
	int err;

	rxfh = calloc(1, sizeof(*rxfh) + RSS_INDIR * 4 + RSS_KEY);
	rxfh->cmd = ETHTOOL_GRSSH;
	rxfh->rss_context = context;
	rxfh->indir_size = RSS_INDIR;
	rxfh->key_size = RSS_KEY;
	err = nic_ioctl(rxfh);
	if (err)
		fail("key and table of context %u: %s", context, strerror(-err));
	check_eq(rxfh->indir_size, RSS_INDIR);
	check_eq(rxfh->key_size, RSS_KEY);
	check_eq(rxfh->hfunc, 1);	/* toeplitz */
	memcpy(indir, rxfh->rss_config, RSS_INDIR * 4);
	memcpy(key, rxfh->rss_config + RSS_INDIR, RSS_KEY);
	free(rxfh);
}

int rss_fields_set(uint32_t flow_type, uint64_t fields)
{
	struct ethtool_rxnfc nfc = {
		.cmd = ETHTOOL_SRXFH,
		.flow_type = flow_type,
		.data = fields,
	};

	return nic_ioctl(&nfc);
}

uint64_t rss_fields_get(uint32_t flow_type)
{
	struct ethtool_rxnfc nfc = {
		.cmd = ETHTOOL_GRXFH,
		.flow_type = flow_type,
	};
	int err = nic_ioctl(&nfc);

	if (err)
		fail("fields of flow type %u: %s", flow_type, strerror(-err));
	return nfc.data;
}

int rule_add(struct ethtool_rx_flow_spec *fs, uint32_t context)
{
	struct ethtool_rxnfc nfc = {
		.cmd = ETHTOOL_SRXCLSRLINS,
		.fs = *fs,
		.rss_context = context,
	};
	int err;

	if (context)
		nfc.fs.flow_type |= FLOW_RSS;
	err = nic_ioctl(&nfc);
	if (!err)
		fs->location = nfc.fs.location;
	return err;
}

int rule_delete(uint32_t location)
{
	struct ethtool_rxnfc nfc = {
		.cmd = ETHTOOL_SRXCLSRLDEL,
		.fs.location = location,
	};

	return nic_ioctl(&nfc);
}

int rule_get(uint32_t location, struct ethtool_rx_flow_spec *fs,
	     uint32_t *context)
{
	struct ethtool_rxnfc nfc = {
		.cmd = ETHTOOL_GRXCLSRULE,
		.fs.location = location,
	};
	int err = nic_ioctl(&nfc);

	*fs = nfc.fs;
	*context = nfc.rss_context;
	return err;
}

int rule_list(uint32_t *locations, unsigned int max)
{
	struct ethtool_rxnfc *nfc;
	int ret;

	nfc = calloc(1, sizeof(*nfc) + (max + 1) * 4);
	nfc->cmd = ETHTOOL_GRXCLSRLALL;
	nfc->rule_cnt = max;
	ret = nic_ioctl(nfc);
	if (!ret) {
		ret = (int)nfc->rule_cnt;
		check_eq(nfc->data, RULES_MAX);
		memcpy(locations, nfc->rule_locs, (size_t)ret * 4);
	}
	free(nfc);
	return ret;
}

unsigned int rule_count(void)
{
	uint32_t locations[RULES_MAX];

	return (unsigned int)must(rule_list(locations, RULES_MAX));
}

int channels_set(unsigned int combined)
{
	struct ethtool_channels ch = {
		.cmd = ETHTOOL_SCHANNELS,
		.combined_count = combined,
	};

	return nic_ioctl(&ch);
}

void nic_feature(const char *name, bool on)
{
	static struct ethtool_gstrings *names;
	struct ethtool_sfeatures *set;
	uint32_t i, blocks;

	if (!names) {
		names = calloc(1, sizeof(*names) + FEATURES_MAX * ETH_GSTRING_LEN);
		names->cmd = ETHTOOL_GSTRINGS;
		names->string_set = ETH_SS_FEATURES;
		check_eq(nic_ioctl(names), 0);
		check_cmp(names->len, <=, FEATURES_MAX);
	}
	for (i = 0; i < names->len; i++)
		if (!strcmp((char *)names->data + i * ETH_GSTRING_LEN, name))
			break;
	if (i == names->len)
		fail("no feature '%s'", name);

	blocks = (names->len + 31) / 32;
	set = calloc(1, sizeof(*set) + blocks * sizeof(set->features[0]));
	set->cmd = ETHTOOL_SFEATURES;
	set->size = blocks;
	set->features[i / 32].valid = 1U << i % 32;
	set->features[i / 32].requested = on ? 1U << i % 32 : 0;
	check_eq(nic_ioctl(set), 0);
	free(set);
}

void nic_pin_pollers(void)
{
	struct dirent *entry;
	char path[300], name[64];
	cpu_set_t cpu;
	DIR *proc;
	FILE *f;

	CPU_ZERO(&cpu);
	CPU_SET(0, &cpu);
	proc = opendir("/proc");
	check(proc);
	while ((entry = readdir(proc))) {
		if (!isdigit(entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fgets(name, sizeof(name), f) && !strncmp(name, "napi/nsd0", 9))
			must(sched_setaffinity(atoi(entry->d_name), sizeof(cpu), &cpu));
		fclose(f);
	}
	closedir(proc);
	must(sched_setaffinity(0, sizeof(cpu), &cpu));
}

/* How often the caller has left the CPU to somebody else. */
static long switches(void)
{
	struct rusage usage;

	must(getrusage(RUSAGE_THREAD, &usage));
	return usage.ru_nvcsw + usage.ru_nivcsw;
}

static long own_switches;

void nic_own_cpu(void)
{
	struct sched_param param = { .sched_priority = 1 };

	must(sched_setscheduler(0, SCHED_FIFO, &param));
	own_switches = switches();
}

bool nic_share_cpu(void)
{
	struct sched_param param = {};
	bool alone = switches() == own_switches;

	must(sched_setscheduler(0, SCHED_OTHER, &param));
	return alone;
}

int nic_raw_socket(void)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET };
	int fd, one = 1, all = 1 << 29;

	env_enter(SENDER);
	fd = must(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
	ll.sll_ifindex = (int)if_nametoindex(DEV_NAME(SENDER));
	must(bind(fd, (void *)&ll, sizeof(ll)));
	must(setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)));
	must(setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &all, sizeof(all)));
	env_enter(RECEIVER);
	return fd;
}
