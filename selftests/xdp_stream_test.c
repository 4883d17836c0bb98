// SPDX-License-Identifier: GPL-2.0
/*
 * Streams through an XDP program on nsd0, while the program, the rings, the
 * channels, the link or the device change; and streams into device memory while
 * a program of the kernel's own generic XDP comes and goes. Every byte is
 * checked. Owns the streams; what a program can do with a frame is xdp_test's.
 */
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "common_nic.h"
#include "common_provider.h"
#include "common_xdp.h"

#define QUEUES	4
#define FLOWS	16
#define MIB	(1UL << 20)

static struct conn conns[FLOWS];
static pid_t senders[FLOWS], readers[FLOWS];

static void restore(void *arg)
{
	struct ctl_answer answer;

	(void)arg;
	xdp_set(-1, 0, &answer);
	impair_none(RECEIVER);
	cmd("ip link set nsd0 mtu 1500");
	cmd("ip -n %s link set nsd1 mtu 1500", NS_NAME(SENDER));
	cmd("ethtool -G nsd0 rx 1024 tx 1024");
	cmd("ethtool -L nsd0 combined %d", QUEUES);
}

/* Streams in processes of their own, half of them IPv6. */
static void streams_start(unsigned int nr, uint64_t bytes)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		connect_pair(&conns[i], i & 1 ? AF_INET6 : AF_INET);
	for (i = 0; i < nr; i++) {
		senders[i] = send_start(&conns[i], bytes, i, 20000, 0);
		readers[i] = test_fork();
		if (!readers[i]) {
			struct rx rx;

			rx_init(&rx, conns[i].rx, NULL, i);
			rx.plain = true;
			rx.timeout_ms = patient(60000);
			rx_all(&rx, bytes);
			_exit(0);
		}
	}
}

/* Are they all through? */
static bool streams_over(unsigned int nr)
{
	siginfo_t info;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		info.si_pid = 0;
		must(waitid(P_PID, (id_t)readers[i], &info,
			    WEXITED | WNOHANG | WNOWAIT));
		if (!info.si_pid)
			return false;
	}
	return true;
}

static void streams_join(unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		test_join(readers[i]);
		test_join(senders[i]);
		disconnect_pair(&conns[i]);
	}
}

static unsigned long carrier_changes(void)
{
	unsigned long n = 0;
	FILE *f;

	f = popen("ip netns exec devmem-a cat /sys/class/net/nsd0/carrier_changes", "re");
	check(f && fscanf(f, "%lu", &n) == 1);
	pclose(f);
	return n;
}

/* Super-packets are cut for the program: it sees none that is longer than the
 * MTU, and the stack gets none from the hardware.
 */
static void cuts_super_packets(void)
{
	struct nic_count before[] = {
		{ RECEIVER, "rx_packets", 0 }, { RECEIVER, "rx_xdp_pass", 0 },
		{ RECEIVER, "rx_xdp_drop", 0 }, { SENDER, "tx_gso_packets", 0 },
	};
	struct nic_count after[ARRAY_SIZE(before)];
	int prog;

	memcpy(after, before, sizeof(after));
	defer(restore, NULL);
	prog = xdp_program_all(0,
		LOAD(BPF_W, 2, 1, 0), LOAD(BPF_W, 3, 1, 4),
		MOVR(4, 2), ADD(4, 1514 + 1), JGT(4, 3, 2),
		MOV(0, XDP_DROP), EXIT(),
		MOV(0, XDP_PASS), EXIT());
	xdp_must_set(prog, 0);
	nic_counts_quiet(before, ARRAY_SIZE(before));
	streams_start(4, 2 * MIB);
	streams_join(4);
	nic_counts_quiet(after, ARRAY_SIZE(after));
	check_cmp(after[3].value, >, before[3].value);
	check_eq(after[2].value, before[2].value);
	check_cmp(after[1].value - before[1].value, >=, 8 * MIB / 1448);
	check_eq(after[0].value - before[0].value, after[1].value - before[1].value);
}

static void jumbo(void)
{
	static const unsigned int mtus[] = { 3494, 9000, 65535 };
	unsigned int i;

	defer(restore, NULL);
	for (i = 0; i < ARRAY_SIZE(mtus); i++) {
		xdp_must_set(-1, 0);
		must_cmd("ip link set nsd0 mtu %u", mtus[i]);
		must_cmd("ip -n %s link set nsd1 mtu %u", NS_NAME(SENDER), mtus[i]);
		xdp_must_set(xdp_all(i ? XDP_FRAGS : 0, XDP_PASS), 0);
		streams_start(4, 2 * MIB);
		streams_join(4);
	}
}

/* What the hardware finds wrong must not get through: the checksum's verdict is
 * for the packet that came.
 */
static void bad_wire(void)
{
	uint64_t errors;

	defer(restore, NULL);
	xdp_must_set(xdp_all(0, XDP_PASS), 0);
	impair(RECEIVER, "corrupt", 30000);
	impair(RECEIVER, "reorder", 30000);
	impair(RECEIVER, "duplicate", 30000);
	errors = nic_counter(RECEIVER, "rx_csum_errors");
	streams_start(4, MIB / 2);
	streams_join(4);
	check_cmp(nic_counter(RECEIVER, "rx_csum_errors"), >, errors);
}

/* 16 streams while the program is exchanged: none of them notices, nor does the
 * link. All programs pass what they get; one moves the tail there and back. Each
 * exchange takes the kernel a grace period or two: if streams are over too soon for
 * each program to come twice there are more.
 */
static void exchange(void)
{
	unsigned long changes = carrier_changes();
	unsigned int n = 0;
	int progs[4];

	defer(restore, NULL);
	progs[0] = xdp_all(0, XDP_PASS);
	progs[1] = xdp_program_all(0, MOVR(6, 1),
		MOV(2, 64), CALL(BPF_FUNC_xdp_adjust_tail),
		MOVR(1, 6), MOV(2, -64), CALL(BPF_FUNC_xdp_adjust_tail),
		MOVR(1, 6), MOV(2, -8), CALL(BPF_FUNC_xdp_adjust_meta),
		MOV(0, XDP_PASS), EXIT());
	progs[2] = xdp_all(XDP_FRAGS, XDP_PASS);
	progs[3] = -1;
	do {
		streams_start(FLOWS, 8 * MIB);
		must(setpriority(PRIO_PROCESS, 0, -20));
		while (!streams_over(FLOWS)) {
			xdp_must_set(progs[n++ % ARRAY_SIZE(progs)], 0);
			usleep(1000);	/* with one CPU nobody else would run */
		}
		must(setpriority(PRIO_PROCESS, 0, 0));
		streams_join(FLOWS);
	} while (n < 2 * ARRAY_SIZE(progs));
	diag("%u exchanges", n);
	check_eq(carrier_changes(), changes);
}

/* Rings change and queues go and come, with their memory. */
static void queues_change(void)
{
	static const char *const changes[] = {
		"ethtool -G nsd0 rx 64", "ethtool -L nsd0 combined 1",
		"ethtool -G nsd0 rx 1024", "ethtool -L nsd0 combined 4",
	};
	unsigned int n = 0;

	defer(restore, NULL);
	xdp_must_set(xdp_all(0, XDP_PASS), 0);
	streams_start(FLOWS, MIB);
	while (!streams_over(FLOWS)) {
		must_cmd("%s", changes[n++ % ARRAY_SIZE(changes)]);
		if (n % ARRAY_SIZE(changes) == 0)
			usleep(300000);
	}
	streams_join(FLOWS);
}

/* The sums of what the program has said are what the interface has received. */
static void counters_add_up(void)
{
	static const char *const names[] = {
		"pass", "drop", "tx", "redirect", "aborted",
	};
	struct nic_count before[] = {
		{ RECEIVER, "rx_packets", 0 }, { RECEIVER, "rx_xdp_pass", 0 },
		{ RECEIVER, "rx_xdp_drop", 0 }, { RECEIVER, "rx_xdp_tx", 0 },
		{ RECEIVER, "rx_xdp_redirect", 0 }, { RECEIVER, "rx_xdp_aborted", 0 },
	};
	struct nic_count after[ARRAY_SIZE(before)];
	uint64_t packets, sum = 0, queues = 0;
	char name[32];
	unsigned int i, q;

	defer(restore, NULL);
	/* of 128 packets one each is aborted, dropped, passed, sent back, and
	 * redirected to nowhere; the others go up
	 */
	xdp_must_set(xdp_program_all(0,
		CALL(BPF_FUNC_get_prandom_u32),
		INSN(BPF_ALU64 | BPF_AND | BPF_K, 0, 0, 0, 127),
		INSN(BPF_JMP | BPF_JGT | BPF_K, 0, 0, 1, 4),
		EXIT(),
		MOV(0, XDP_PASS), EXIT()), 0);
	memcpy(after, before, sizeof(after));
	nic_counts_quiet(before, ARRAY_SIZE(before));
	streams_start(4, MIB / 4);
	streams_join(4);
	/* what is still on the way is on neither side of the sum */
	must_cmd("ip -n %s link set nsd1 down", NS_NAME(SENDER));
	nic_counts_quiet(after, ARRAY_SIZE(after));
	packets = after[0].value - before[0].value;
	for (i = 1; i < ARRAY_SIZE(before); i++)
		sum += after[i].value - before[i].value;
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(name, sizeof(name), "rx_xdp_%s", names[i]);
		queues += nic_counter(RECEIVER, name);
		for (q = 0; q < QUEUES; q++) {
			snprintf(name, sizeof(name), "rx%u_xdp_%s", q, names[i]);
			queues -= nic_counter(RECEIVER, name);
		}
	}
	check_cmp(packets, >, 100);
	check_eq(sum, packets);
	check_eq(queues, 0);
	must_cmd("ip -n %s link set nsd1 up", NS_NAME(SENDER));
	must_cmd("ip -n %s addr add %s/64 dev nsd1 nodad", NS_NAME(SENDER),
		 ADDR6(SENDER));
}

/* Generic XDP, which a driver cannot refuse: payload goes to host memory while
 * it is there, and to the dma-buf again when it has gone.
 */
static void generic_on_bound_queue(void)
{
	/* not all of it may wait to be read before the program comes */
	struct conn_opts opts = { .family = AF_INET, .rcvbuf = MIB / 4 };
	static struct bound b;
	struct devmem_info info;
	uint64_t bytes = 4 * MIB;
	unsigned int n = 0;
	int prog, frags;
	struct conn c;
	struct rx rx;

	defer(restore, NULL);
	prog = xdp_all(0, XDP_PASS);
	frags = xdp_all(XDP_FRAGS, XDP_PASS);
	bind_buffer(&b, DEVMEM_BUF_HEAP, 8 * MIB, 65536);
	connect_with(&c, &opts);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, 1);
	send_start(&c, bytes, 1, 20000, 0);
	rx_all(&rx, bytes / 4);
	check_cmp(rx.placed, >, 0);
	while (rx.pos < bytes) {
		xdp_must_set(++n & 1 ? prog : n & 2 ? frags : -1, XDP_FLAGS_SKB_MODE);
		if (!(n & 1) && !(n & 2))
			xdp_must_set(-1, XDP_FLAGS_SKB_MODE);
		rx_all(&rx, bytes - rx.pos < 65536 ? bytes - rx.pos : 65536);
	}
	diag("%u changes, %llu bytes placed, %llu in host memory", n,
	     (unsigned long long)rx.placed, (unsigned long long)rx.host);
	check_cmp(rx.host, >, 0);
	info = rx_check_info(&rx);
	check_cmp(info.fallback_bytes, >, 0);
	rx_free(&rx);
	disconnect_pair(&c);
	free_bound(&b);
}

/* Generic XDP and the kernel's provider: never both. */
static void generic_and_provider(void)
{
	static struct ctl_nl nl;
	static const uint32_t queue = 1;
	struct ctl_answer answer;
	struct bound b = { 0 };
	int prog = xdp_all(0, XDP_PASS);

	defer(restore, NULL);
	ask_for_split();
	kernel_bind_queues(&nl, &b, MIB, queue, 1);
	xdp_set(prog, XDP_FLAGS_SKB_MODE, &answer);
	check_eq(answer.err, EBUSY);
	kernel_unbind(&nl);
	split_set(TCP_DATA_SPLIT_AUTO, &answer);
	xdp_must_set(prog, XDP_FLAGS_SKB_MODE);
	kernel_bind(&nl, &b, 0, 0, &queue, 1, &answer);
	check_cmp(answer.err, !=, 0);
	xdp_set(prog, XDP_FLAGS_DRV_MODE, &answer);
	check_eq(answer.err, EEXIST);
	xdp_must_set(-1, XDP_FLAGS_SKB_MODE);
}

/* Packets that a link has received, by the interface's own count. */
static unsigned long long received(const char *dev)
{
	unsigned long long bytes, packets = 0;
	char line[512], name[32];
	FILE *f;

	f = fopen("/proc/thread-self/net/dev", "re");
	check(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, " %31[^:]: %llu %llu", name, &bytes, &packets) == 3 &&
		    !strcmp(name, dev))
			break;
	fclose(f);
	return packets;
}

static void delete_links(void *arg)
{
	(void)arg;
	env_enter(RECEIVER);
	cmd("ip link delete nsd2");
	cmd("ip link delete nsd3");
}

/* Frames into nsd3, to all queues of nsd2. */
static void some_frames(unsigned int nr)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET };
	unsigned char frame[100] = { 2 };
	unsigned int i;
	int fd;

	fd = must(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
	ll.sll_ifindex = (int)if_nametoindex("nsd3");
	must(bind(fd, (void *)&ll, sizeof(ll)));
	frame[12] = 8;			/* IPv4, UDP */
	frame[14] = 0x45;
	frame[17] = sizeof(frame) - 14;
	frame[23] = IPPROTO_UDP;
	for (i = 0; i < nr; i++) {
		frame[29] = (unsigned char)i;
		check_eq(send(fd, frame, sizeof(frame), 0), (long long)sizeof(frame));
	}
	close(fd);
}

/* Two links where @frames go round and round, without anybody who sends them:
 * nsd3 sends back, and so does nsd2, or it redirects to nsd3. They are told to
 * take their time, for there is a test to be run beside it.
 */
static void start_rounds(bool redirect, unsigned int queues, unsigned int frames)
{
	struct ctl_answer answer;
	unsigned int i;
	int prog;

	must_cmd("ip link add nsd2 numrxqueues %u numtxqueues %u type netdevsim-devmem",
		 queues, queues);
	must_cmd("ip link add nsd3 link nsd2 numrxqueues %u numtxqueues %u type netdevsim-devmem",
		 queues, queues);
	for (i = 2; i < 4; i++) {
		must_cmd("ethtool -G nsd%u rx 64 tx 64", i);
		/* where a round takes longer than that nobody else would run */
		must_cmd("ethtool -C nsd%u rx-usecs %d", i, slow() > 1 ? 10000 : 500);
		must_cmd("ip link set nsd%u up", i);
	}
	if (redirect)
		prog = xdp_program_all(0, MOV(1, (int)if_nametoindex("nsd3")),
				       MOV(2, 0), CALL(BPF_FUNC_redirect), EXIT());
	else
		prog = xdp_all(0, XDP_TX);
	xdp_set_on(if_nametoindex("nsd2"), prog, 0, &answer);
	check_eq(answer.err, 0);
	xdp_set_on(if_nametoindex("nsd3"), xdp_all(0, XDP_TX), 0, &answer);
	check_eq(answer.err, 0);
	some_frames(frames);
	check(within(5000, received("nsd2") > 1000));
}

static void deleted(void)
{
	unsigned int frames = slow() > 1 ? 8 : 32;
	unsigned int i;

	defer(delete_links, NULL);
	for (i = 0; i < 4; i++) {
		start_rounds(i & 2, 4, frames);
		must_cmd("ip link delete %s", i & 1 ? "nsd2" : "nsd3");
		must_cmd("ip link delete %s", i & 1 ? "nsd3" : "nsd2");
	}
}

/* Either end goes down and up, when there are so many frames that each waits for
 * the other all the time: nothing may be sent while the queues begin anew.
 */
static void down_up(void)
{
	unsigned long long before;
	unsigned int i;

	/* frames that go round for ever are all that it would do */
	if (slow() > 1 && sysconf(_SC_NPROCESSORS_ONLN) == 1)
		skip("one slow CPU");
	defer(delete_links, NULL);
	start_rounds(false, 1, 200);
	for (i = 0; i < 8; i++) {
		must_cmd("ip link set nsd%u down", 2 + (i & 1));
		must_cmd("ip link set nsd%u up", 2 + (i & 1));
		before = received("nsd2");
		/* what is sent before the stack has seen the carrier is lost */
		check(within(5000, received("nsd2") > before + 1000 ||
			     (some_frames(200), false)));
	}
}

static void setup(void)
{
	env_setup(QUEUES);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(cuts_super_packets),
	KTAP_CASE(jumbo, .timeout = 40),
	KTAP_CASE(bad_wire, .timeout = 40),
	KTAP_CASE(exchange, .timeout = 60),
	KTAP_CASE(queues_change, .timeout = 60),
	KTAP_CASE(counters_add_up, .timeout = 40),
	KTAP_CASE(generic_on_bound_queue, .timeout = 40),
	KTAP_CASE(generic_and_provider),
	KTAP_CASE(deleted, .timeout = 30),
	KTAP_CASE(down_up, .timeout = 30),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
