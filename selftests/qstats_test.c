// SPDX-License-Identifier: GPL-2.0
/*
 * Statistics of queues in the kernel's netdev family: they add up, they never go
 * backwards, and both ends of the wire agree. Owns the requests for them.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/genetlink.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common_provider.h"

#define SEED	0x71737461ULL
#define MIB	(1UL << 20)
#define QUEUES	4

/* <linux/netdev.h> of 6.12, which Debian 12's headers are too old for */
#define NETDEV_CMD_QUEUE_GET_	10
#define NETDEV_CMD_QSTATS_GET_	12
#define NETDEV_A_QUEUE_NAPI_ID_	4

enum {
	IFINDEX = 1, QUEUE_TYPE, QUEUE_ID, SCOPE,
	RX_PACKETS = 8, RX_BYTES, TX_PACKETS, TX_BYTES, RX_ALLOC_FAIL, RX_HW_DROPS,
	RX_CSUM_UNNECESSARY = 16, RX_CSUM_NONE, RX_CSUM_BAD,
	RX_GRO_PACKETS, RX_GRO_BYTES, RX_GRO_WIRE_PACKETS, RX_GRO_WIRE_BYTES,
	TX_CSUM_NONE = 26, TX_NEEDS_CSUM,
	TX_GSO_PACKETS, TX_GSO_BYTES, TX_GSO_WIRE_PACKETS, TX_GSO_WIRE_BYTES,
	TX_STOP = 33, TX_WAKE, STATS
};

struct qstats {
	uint64_t v[STATS];
	unsigned int queues;	/* entries added up */
	bool has[STATS];
};

static void setup(void)
{
	env_setup(QUEUES);
}

static uint64_t number(const struct nlattr *attr)
{
	return mnl_attr_get_payload_len(attr) == 8 ? mnl_attr_get_u64(attr) :
						     mnl_attr_get_u32(attr);
}

/* A dump of the netdev family, each message to @each. */
static void dump(uint8_t command, uint16_t ifindex_attr, bool per_queue,
		 void (*each)(const struct nlmsghdr *nlh, void *arg), void *arg)
{
	static struct ctl_nl nl;
	static char buf[64 * 1024];
	struct nlmsghdr *req;
	const struct nlmsghdr *msg;
	int len;

	netdev_family_open(&nl);
	req = ctl_request(&nl, command);
	req->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	mnl_attr_put_u32(req, ifindex_attr, env_ifindex());
	if (per_queue)
		mnl_attr_put_u32(req, SCOPE, 1);
	check_cmp(mnl_socket_sendto(nl.sock, req, req->nlmsg_len), >, 0);
	for (;;) {
		len = (int)must(mnl_socket_recvfrom(nl.sock, buf, sizeof(buf)));
		for (msg = (void *)buf; mnl_nlmsg_ok(msg, len);
		     msg = mnl_nlmsg_next(msg, &len)) {
			if (msg->nlmsg_type == NLMSG_DONE) {
				ctl_nl_close(&nl);
				return;
			}
			if (msg->nlmsg_type == NLMSG_ERROR)
				fail("dump %u refused", command);
			each(msg, arg);
		}
	}
}

static void add_stats(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *attr;
	struct qstats *s = arg;

	s->queues++;
	mnl_attr_for_each(attr, nlh, sizeof(struct genlmsghdr)) {
		unsigned int type = mnl_attr_get_type(attr);

		if (type >= STATS)
			continue;
		s->v[type] += number(attr);
		s->has[type] = true;
	}
}

/* Of nsd0: of the device, or the sum over its queues. */
static void get(struct qstats *s, bool per_queue)
{
	memset(s, 0, sizeof(*s));
	dump(NETDEV_CMD_QSTATS_GET_, IFINDEX, per_queue, add_stats, s);
}

/* The interface's own counters, from /proc/net/dev. */
static void interface(uint64_t *v)
{
	unsigned long long n[16];
	char line[512];
	FILE *f;

	f = fopen("/proc/thread-self/net/dev", "r");
	check(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, " nsd0: %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu",
			   &n[0], &n[1], &n[2], &n[3], &n[4], &n[5], &n[6], &n[7],
			   &n[8], &n[9]) != 10)
			continue;
		v[RX_BYTES] = n[0];
		v[RX_PACKETS] = n[1];
		v[TX_BYTES] = n[8];
		v[TX_PACKETS] = n[9];
		fclose(f);
		return;
	}
	fail("no nsd0 in /proc/net/dev");
}

static void traffic(uint64_t bytes, size_t size)
{
	struct conn c;
	struct rx rx;
	pid_t pid;

	connect_pair(&c, AF_INET);
	pid = send_start(&c, bytes, SEED, size, 0);
	rx_init(&rx, c.rx, NULL, SEED);
	rx.plain = true;
	rx_all(&rx, bytes);
	test_join(pid);
	disconnect_pair(&c);
	rx_free(&rx);
}

/* The device, its queues and the interface say the same, when all is quiet. */
static void add_up(void)
{
	static const unsigned int basic[] = { RX_PACKETS, RX_BYTES, TX_PACKETS, TX_BYTES };
	uint64_t before[STATS], after[STATS];
	struct qstats dev, queues;
	unsigned int i;
	int tries;

	for (i = 0; i < 8; i++)
		traffic(MIB / 4, 5000);
	for (tries = 0; tries < 500; tries++) {
		usleep(tries * 1000);
		interface(before);
		get(&dev, false);
		get(&queues, true);
		interface(after);
		if (before[RX_PACKETS] == after[RX_PACKETS] &&
		    before[TX_PACKETS] == after[TX_PACKETS])
			break;
	}
	check_eq(queues.queues, 2 * QUEUES);
	for (i = 0; i < ARRAY_SIZE(basic); i++) {
		check_eq(dev.v[basic[i]], before[basic[i]]);
		check_eq(dev.v[basic[i]], queues.v[basic[i]]);
		check_cmp(dev.v[basic[i]], >, 0);
	}
	for (i = 0; i < STATS; i++)
		if (dev.has[i] && i > SCOPE)
			check_eq(dev.v[i], queues.v[i]);
	check(dev.has[RX_ALLOC_FAIL] && dev.has[RX_GRO_WIRE_PACKETS] && dev.has[TX_WAKE]);
	check_cmp(dev.v[RX_CSUM_UNNECESSARY], >, 0);
	check_eq(dev.v[RX_CSUM_BAD], 0);
}

/* Down and up, fewer queues and more: nothing goes backwards. */
static void never_backwards(void)
{
	static const char *const changes[] = {
		"ip link set nsd0 down", "ip link set nsd0 up",
		"ip link set nsd0 mtu 9000", "ip link set nsd0 mtu 1500",
	};
	struct qstats before, after;
	unsigned int i, s;

	traffic(MIB, 30000);
	get(&before, false);
	for (i = 0; i < ARRAY_SIZE(changes); i++) {
		must_cmd("%s", changes[i]);
		get(&after, false);
		for (s = RX_PACKETS; s < STATS; s++)
			check_cmp(after.v[s], >=, before.v[s]);
		before = after;
	}
	get(&after, true);	/* must not depend on the device's being up */
}

/* What the sender says it cut the receiver says it put together, and perhaps more.
 * A sender that thinks its packets are lost sends single ones.
 */
static void super_packets(void)
{
	uint64_t wire, sent;
	struct qstats a, b = {};

	env_patient();
	/* the receiver's count begins before the sender's and ends after it */
	get(&a, false);
	sent = nic_counter(SENDER, "tx_gso_wire_bytes");
	wire = nic_counter(SENDER, "tx_gso_wire_packets");
	traffic(4 * MIB, 65536);
	sent = nic_counter(SENDER, "tx_gso_wire_bytes") - sent;
	wire = nic_counter(SENDER, "tx_gso_wire_packets") - wire;
	check(within(2000, (get(&b, false),
			    b.v[RX_GRO_WIRE_PACKETS] - a.v[RX_GRO_WIRE_PACKETS] >= wire &&
			    b.v[RX_GRO_WIRE_BYTES] - a.v[RX_GRO_WIRE_BYTES] >= sent)));
	check_cmp(b.v[RX_GRO_PACKETS], >, a.v[RX_GRO_PACKETS]);
	check_cmp(wire, >=, 3 * MIB / 1448);
	check_cmp(b.v[RX_GRO_WIRE_BYTES] - a.v[RX_GRO_WIRE_BYTES], >,
		  b.v[RX_GRO_BYTES] - a.v[RX_GRO_BYTES]);
}

static void bad_checksums(void)
{
	struct qstats a, b;

	get(&a, false);
	impair(RECEIVER, "corrupt", 200000);
	traffic(MIB / 8, 1000);
	impair_none(RECEIVER);
	get(&b, false);
	check_cmp(b.v[RX_CSUM_BAD], >, a.v[RX_CSUM_BAD]);
}

struct napis {
	unsigned int rx;
	uint32_t id[2 * QUEUES];
};

static void add_napi(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *attr;
	struct napis *n = arg;

	mnl_attr_for_each(attr, nlh, sizeof(struct genlmsghdr))
		if (mnl_attr_get_type(attr) == NETDEV_A_QUEUE_NAPI_ID_)
			n->id[n->rx++] = mnl_attr_get_u32(attr);
}

/* Each rx queue is there and has a NAPI of its own. */
static void queues_and_napis(void)
{
	struct napis n = { 0 };
	unsigned int i, j;

	dump(NETDEV_CMD_QUEUE_GET_, 2, false, add_napi, &n);
	check_eq(n.rx, QUEUES);
	for (i = 0; i < n.rx; i++)
		for (j = 0; j < i; j++)
			check_cmp(n.id[i], !=, n.id[j]);
}

static void threaded(void)
{
	check_eq(env_sysfs_write(RECEIVER, "threaded", "1"), 0);
	traffic(4 * MIB, 20000);
	check_eq(env_sysfs_write(RECEIVER, "threaded", "0"), 0);
	traffic(MIB, 20000);
}

static uint64_t bql(const char *dir, unsigned int queue, const char *what)
{
	char path[256], text[32] = "";
	int fd;

	snprintf(path, sizeof(path), "%s/class/net/nsd1/queues/tx-%u/byte_queue_limits/%s",
		 dir, queue, what);
	fd = must(open(path, O_RDONLY));
	check_cmp(read(fd, text, sizeof(text) - 1), >, 0);
	close(fd);
	return strtoull(text, NULL, 10);
}

/* What was sent is completed when it has left the wire: also when the far end
 * goes down with the wire full, and when the sender does.
 */
static void byte_queue_limits(void)
{
	char dir[] = "/tmp/devmem-sys.XXXXXX";
	uint64_t limit = 0;
	unsigned int q;
	struct conn c;
	pid_t pid;
	int i;

	check(mkdtemp(dir));
	env_enter(SENDER);
	must(mount("sysfs", dir, "sysfs", 0, NULL));
	env_enter(RECEIVER);
	for (i = 0; i < 4; i++) {
		traffic(MIB, 65536);
		connect_pair(&c, AF_INET);
		pid = send_start(&c, 64 * MIB, SEED, 65536, 0);
		usleep(50000);
		if (i & 1) {
			must_cmd("ip link set nsd0 down");
			must_cmd("ip link set nsd0 up");
		} else {
			must_cmd("ip -n devmem-b link set nsd1 down");
			must_cmd("ip -n devmem-b link set nsd1 up");
		}
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		disconnect_pair(&c);
		traffic(MIB, 65536);
	}
	for (q = 0; q < QUEUES; q++) {
		limit += bql(dir, q, "limit");
		check(within(5000, !bql(dir, q, "inflight")));
	}
	check_cmp(limit, >, 0);
	umount2(dir, MNT_DETACH);
	rmdir(dir);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(add_up),
	KTAP_CASE(bad_checksums),
	KTAP_CASE(queues_and_napis),
	KTAP_CASE(threaded),
	KTAP_CASE(super_packets),	/* its sender is patient until the link goes down */
	KTAP_CASE(byte_queue_limits),
	KTAP_CASE(never_backwards),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
