// SPDX-License-Identifier: GPL-2.0
/*
 * XDP on nsd0: what becomes of single frames, for each thing that a program can
 * do with one. When there can be no program is xdp_refused_test's, and what it
 * does to streams xdp_stream_test's.
 */
#include <arpa/inet.h>
#include <linux/genetlink.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>

#include "common_nic.h"
#include "common_provider.h"
#include "common_xdp.h"

#define QUEUES	4
#define UDP_HEADERS	28	/* with those of IPv4 */

/* One queue keeps the order: what is frame_sent behind it comes, and it does not. */
static void lost(void)
{
	frame_send(ETH_P_OURS, 100);
	frame_send(ETH_P_OTHERS, 100);
	check_eq(frame_receive(RECEIVER), 0);
	check_eq(frame_got[13], ETH_P_OTHERS & 0xff);
}

static void verdicts(void)
{
	static const struct {
		int action;
		const char *counter;
		bool passes;
	} rows[] = {
		{ XDP_PASS, "rx0_xdp_pass", true },
		{ XDP_DROP, "rx0_xdp_drop", false },
		{ XDP_ABORTED, "rx0_xdp_aborted", false },
		{ 42, "rx0_xdp_aborted", false },
		{ -1, "rx0_xdp_aborted", false },
	};
	unsigned int i;

	defer(xdp_restore, NULL);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		xdp_must_set(xdp_ours(0, rows[i].action), XDP_FLAGS_DRV_MODE);
		counter_grown(rows[i].counter);
		if (rows[i].passes)
			frame_comes(RECEIVER, 100);
		else
			lost();
		check_cmp(counter_grown(rows[i].counter), >=, 1);
	}
	xdp_must_set(-1, 0);
	frame_comes(RECEIVER, 100);
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		counter_grown(rows[i].counter);
	frame_comes(RECEIVER, 1514);
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		check_eq(counter_grown(rows[i].counter), 0);
}

/* Back to the sender, MAC addresses exchanged. */
static int sends_back(uint32_t flags)
{
	return xdp_program(flags, LOAD(BPF_W, 4, 2, 0), LOAD(BPF_H, 5, 2, 4),
			   LOAD(BPF_W, 7, 2, 6), LOAD(BPF_H, 8, 2, 10),
			   STORE(BPF_W, 2, 7, 0), STORE(BPF_H, 2, 8, 4),
			   STORE(BPF_W, 2, 4, 6), STORE(BPF_H, 2, 5, 10),
			   MOV(0, XDP_TX), EXIT());
}

static void comes_back(size_t len)
{
	frame_send(ETH_P_OURS, len);
	check_eq(frame_receive(SENDER), len);
	check(!memcmp(frame_got, frame_sent + 6, 6) && !memcmp(frame_got + 6, frame_sent, 6));
	check(!memcmp(frame_got + 12, frame_sent + 12, len - 12));
}

static void transmits(void)
{
	struct nic_count before[] = {
		{ RECEIVER, "rx0_xdp_tx", 0 }, { RECEIVER, "tx_packets", 0 },
	};
	struct nic_count after[ARRAY_SIZE(before)];
	unsigned int i;

	memcpy(after, before, sizeof(after));
	defer(xdp_restore, NULL);
	xdp_must_set(sends_back(0), 0);
	nic_counts_quiet(before, ARRAY_SIZE(before));
	for (i = 0; i < 100; i++)
		comes_back(60 + i * 14);
	/* a frame is counted when it has been sent, and may have come before that */
	nic_counts_quiet(after, ARRAY_SIZE(after));
	check_eq(after[0].value - before[0].value, 100);
	check_cmp(after[1].value - before[1].value, >=, 100);
}

/* The frame arrives longer or shorter at its head. What is new is zero, unless
 * it was there before.
 */
static void moves_head(void)
{
	static const int by[] = { 4, 20, 46, -4, -20, -220 };
	unsigned char frame[400];
	unsigned int i, n;

	defer(xdp_restore, NULL);
	for (i = 0; i < ARRAY_SIZE(by); i++) {
		/* the MAC header is copied to the new head */
		xdp_must_set(xdp_program(0, LOAD(BPF_DW, 7, 2, 0), LOAD(BPF_W, 8, 2, 8), LOAD(BPF_H, 9, 2, 12),
			MOVR(1, 6), MOV(2, by[i]), CALL(BPF_FUNC_xdp_adjust_head),
			JNE(0, 0, 10),
			LOAD(BPF_W, 2, 6, 0), LOAD(BPF_W, 3, 6, 4),
			MOVR(4, 2), ADD(4, 14), JGT(4, 3, 5),
			STORE(BPF_DW, 2, 7, 0), STORE(BPF_W, 2, 8, 8), STORE(BPF_H, 2, 9, 12),
			MOV(0, XDP_PASS), EXIT(),
			MOV(0, XDP_ABORTED), EXIT()), 0);
		frame_send(ETH_P_OURS, 120);
		n = (unsigned int)(120 - by[i]);
		check_eq(frame_receive(RECEIVER), n);
		memcpy(frame, frame_sent, 14);
		check(!memcmp(frame_got, frame, 14));
		if (by[i] > 0)
			check(!memcmp(frame_got + 14, frame_sent + 14 + by[i], n - 14));
		else
			check(!memcmp(frame_got - by[i] + 14, frame_sent + 14, 120 - 14));
	}
}

static void moves_tail(void)
{
	static const int by[] = { 1, 100, 2000, -1, -60, -106 };
	unsigned int i, j, n;

	defer(xdp_restore, NULL);
	for (i = 0; i < ARRAY_SIZE(by); i++) {
		xdp_must_set(xdp_program(0, MOVR(1, 6), MOV(2, by[i]), CALL(BPF_FUNC_xdp_adjust_tail),
			JEQ(0, 0, 2), MOV(0, XDP_ABORTED), EXIT(),
			MOV(0, XDP_PASS), EXIT()), 0);
		frame_send(ETH_P_OURS, 120);
		n = (unsigned int)(120 + by[i]);
		check_eq(frame_receive(RECEIVER), n);
		check(!memcmp(frame_got, frame_sent, n < 120 ? n : 120));
		for (j = 120; j < n; j++)
			check_eq(frame_got[j], 0);
	}
}

/* What the program leaves before the frame does not become part of it, nor does
 * it when the frame goes back.
 */
static void has_metadata(void)
{
	static const int verdict[] = { XDP_PASS, XDP_TX };
	unsigned int i;

	defer(xdp_restore, NULL);
	for (i = 0; i < ARRAY_SIZE(verdict); i++) {
		xdp_must_set(xdp_program(0, MOVR(1, 6), MOV(2, -8), CALL(BPF_FUNC_xdp_adjust_meta),
			JNE(0, 0, 8),
			LOAD(BPF_W, 2, 6, 8), LOAD(BPF_W, 3, 6, 0),
			MOVR(4, 2), ADD(4, 8), JGT(4, 3, 3),
			STOREI(BPF_DW, 2, 0, 0x5a5a),
			MOV(0, verdict[i]), EXIT(),
			MOV(0, XDP_ABORTED), EXIT()), 0);
		frame_comes(verdict[i] == XDP_PASS ? RECEIVER : SENDER, 200);
	}
}

/* To another interface: here nsd0 itself, which sends it back. */
static void redirects(void)
{
	struct ctl_answer answer;
	unsigned int to = env_ifindex();
	int i;

	defer(xdp_restore, NULL);
	for (i = 0; i < 2; i++) {
		xdp_must_set(xdp_program(XDP_FRAGS * (uint32_t)i, MOV(1, (int)to), MOV(2, 0), CALL(BPF_FUNC_redirect),
			EXIT()), XDP_FLAGS_DRV_MODE);
		counter_grown("rx0_xdp_redirect");
		frame_comes(SENDER, 300);
		frame_comes(SENDER, 1514);
		check_eq(counter_grown("rx0_xdp_redirect"), 2);
	}
	must_cmd("ip link set nsd0 mtu %d", JUMBO);
	must_cmd("ip -n devmem-b link set nsd1 mtu %d", JUMBO);
	frame_comes(SENDER, JUMBO + ETH_HLEN);

	/* nobody there: it is not passed on, and says so */
	xdp_set(xdp_program(XDP_FRAGS, MOV(1, 0x7ffffff0), MOV(2, 0), CALL(BPF_FUNC_redirect),
			    EXIT()), 0, &answer);
	check_eq(answer.err, 0);
	counter_grown("rx0_xdp_aborted");
	lost();
	check_eq(counter_grown("rx0_xdp_aborted"), 1);
}

/* IPv4 and UDP in front of @len bytes; @wrong: with a wrong checksum of UDP. */
static void put_udp(unsigned char *at, size_t len, bool wrong)
{
	static const unsigned char ip[] = {
		0x45, 0, 0, 0, 0, 0, 0, 0, 64, IPPROTO_UDP, 0, 0,
		10, 9, 0, 2, 10, 9, 0, 1,
		7000 >> 8, 7000 & 0xff, 7000 >> 8, 7000 & 0xff,
	};
	uint32_t sum;
	size_t i;

	memset(at, 0, UDP_HEADERS);
	memcpy(at, ip, sizeof(ip));
	at[2] = (unsigned char)((len + UDP_HEADERS) >> 8);
	at[3] = (unsigned char)(len + UDP_HEADERS);
	at[24] = (unsigned char)((len + 8) >> 8);
	at[25] = (unsigned char)(len + 8);
	for (sum = 0, i = 0; i < 20; i += 2)
		sum += (uint32_t)at[i] << 8 | at[i + 1];
	sum = ~((sum & 0xffff) + (sum >> 16));
	at[10] = (unsigned char)(sum >> 8);
	at[11] = (unsigned char)sum;
	/* addresses, protocol, length, then header and payload */
	for (sum = IPPROTO_UDP + (uint32_t)len + 8, i = 12; i < UDP_HEADERS + len; i += 2)
		sum += (uint32_t)at[i] << 8 | at[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	sum = ~sum ^ (wrong ? 0x1234 : 0);
	at[26] = (unsigned char)(sum >> 8);
	at[27] = (unsigned char)sum;
}

/* The hardware has found the checksum right; then the program takes the headers
 * off that it was in. What comes out must be looked at again.
 */
static void verdict_of_other_packet(void)
{
	struct timeval soon = { .tv_usec = 300000 };
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_port = htons(7000),
	};
	unsigned char frame[14 + 2 * UDP_HEADERS + 32] = { 0 };
	int sock, wrong;
	struct ifreq ifr = {};

	defer(xdp_restore, NULL);
	sock = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	must(bind(sock, (void *)&sin, sizeof(sin)));
	strcpy(ifr.ifr_name, "nsd0");
	must(ioctl(sock, SIOCGIFHWADDR, &ifr));
	memcpy(frame, ifr.ifr_hwaddr.sa_data, 6);
	frame[6] = 2;
	frame[12] = 8;
	/* UDP with so much payload: off with MAC, IP and UDP, MAC on again */
	xdp_must_set(xdp_program_all(0, MOVR(6, 1),
		LOAD(BPF_W, 2, 1, 0), LOAD(BPF_W, 3, 1, 4),
		MOVR(4, 2), ADD(4, sizeof(frame)), JGT(4, 3, 16),
		LOAD(BPF_B, 5, 2, 23), JNE(5, IPPROTO_UDP, 14),
		LOAD(BPF_DW, 7, 2, 0), LOAD(BPF_W, 8, 2, 8), LOAD(BPF_H, 9, 2, 12),
		MOVR(1, 6), MOV(2, UDP_HEADERS), CALL(BPF_FUNC_xdp_adjust_head),
		LOAD(BPF_W, 2, 6, 0), LOAD(BPF_W, 3, 6, 4),
		MOVR(4, 2), ADD(4, 14), JGT(4, 3, 3),
		STORE(BPF_DW, 2, 7, 0), STORE(BPF_W, 2, 8, 8), STORE(BPF_H, 2, 9, 12),
		MOV(0, XDP_PASS), EXIT()), 0);
	for (wrong = 0; wrong < 2; wrong++) {
		put_udp(frame + 14 + UDP_HEADERS, 32, wrong);
		put_udp(frame + 14, UDP_HEADERS + 32, false);
		check_eq(send(frame_fds[SENDER], frame, sizeof(frame), 0), sizeof(frame));
		if (!wrong) {
			check_eq(recv(sock, frame_got, sizeof(frame_got), 0), 32);
			continue;
		}
		must(setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon)));
		check_errno(recv(sock, frame_got, sizeof(frame_got), 0), EAGAIN);
	}
	close(sock);
}

static void delete_veth(void *arg)
{
	(void)arg;
	cmd("ip link delete vth0");
}

/* From a driver that has other memory than ours. While nsd0 is down it takes
 * nothing, and when it is up again all is well.
 */
static void takes_from_others(void)
{
	struct ctl_answer answer;
	unsigned int to = env_ifindex();
	int i, nsd1 = frame_fds[SENDER];

	defer(xdp_restore, NULL);
	if (cmd("ip link add vth0 type veth peer name vth1"))
		skip("no veth");
	defer(delete_veth, NULL);
	must_cmd("ip link set vth0 up");
	must_cmd("ip link set vth1 up");
	xdp_set_on(if_nametoindex("vth0"),
		   xdp_program(0, MOV(1, (int)to), MOV(2, 0),
			       CALL(BPF_FUNC_redirect), EXIT()),
		   XDP_FLAGS_DRV_MODE, &answer);
	check_eq(answer.err, 0);
	for (i = 0; i < 2; i++) {
		frame_fds[SENDER] = frame_open("vth1");
		frame_send(ETH_P_OURS, 200);
		frame_send(ETH_P_OURS, 1000);
		close(frame_fds[SENDER]);
		frame_fds[SENDER] = nsd1;
		check_eq(frame_receive(SENDER), 200);
		check_eq(frame_receive(SENDER), 1000);
		check(!memcmp(frame_got, frame_sent, 1000));

		must_cmd("ip link set nsd0 down");
		frame_fds[SENDER] = frame_open("vth1");
		frame_send(ETH_P_OURS, 300);
		close(frame_fds[SENDER]);
		frame_fds[SENDER] = nsd1;
		no_frame(SENDER);
		must_cmd("ip link set nsd0 up");
	}
}

/* A frame in several pages. */
static void fragments(void)
{
	static const int by[] = { 10, -10, -5000, -8900 };
	unsigned int i, n;

	defer(xdp_restore, NULL);
	must_cmd("ip link set nsd0 mtu %d", JUMBO);
	must_cmd("ip -n devmem-b link set nsd1 mtu %d", JUMBO);
	xdp_must_set(xdp_ours(XDP_FRAGS, XDP_PASS), 0);
	for (n = 3500; n < 3530; n++)
		frame_comes(RECEIVER, n);
	frame_comes(RECEIVER, JUMBO + ETH_HLEN);
	xdp_must_set(sends_back(XDP_FRAGS), 0);
	comes_back(JUMBO + ETH_HLEN);
	comes_back(7616);
	xdp_must_set(xdp_ours(XDP_FRAGS, XDP_DROP), 0);
	lost();
	for (i = 0; i < ARRAY_SIZE(by); i++) {
		xdp_must_set(xdp_program(XDP_FRAGS, MOVR(1, 6), MOV(2, by[i]), CALL(BPF_FUNC_xdp_adjust_tail),
			JEQ(0, 0, 2), MOV(0, XDP_ABORTED), EXIT(),
			MOV(0, XDP_PASS), EXIT()), 0);
		frame_send(ETH_P_OURS, JUMBO);
		n = (unsigned int)(JUMBO + by[i]);
		check_eq(frame_receive(RECEIVER), n);
		check(!memcmp(frame_got, frame_sent, n < JUMBO ? n : JUMBO));
	}
}

/* Tags are beside the frame, or in it, as the link is told. */
static void vlan_tags(void)
{
	static const unsigned char tag[] = { 0x81, 0, 0, 5 };
	unsigned char tagged[104];
	int prog;

	defer(xdp_restore, NULL);
	/* drops what has the type that is behind the tag */
	prog = xdp_program(0, MOV(0, XDP_DROP), EXIT());
	xdp_must_set(prog, 0);
	frame_send(ETH_P_OURS, 100);
	memcpy(tagged, frame_sent, 12);
	memcpy(tagged + 12, tag, sizeof(tag));
	memcpy(tagged + 16, frame_sent + 12, 88);
	lost();
	counter_grown("rx0_xdp_drop");
	check_eq(send(frame_fds[SENDER], tagged, sizeof(tagged), 0), sizeof(tagged));
	check(within(2000, counter_grown("rx0_xdp_drop") == 1));
	must_cmd("ethtool -K nsd0 rxvlan off");
	counter_grown("rx0_xdp_pass");
	check_eq(send(frame_fds[SENDER], tagged, sizeof(tagged), 0), sizeof(tagged));
	check(within(2000, counter_grown("rx0_xdp_pass") >= 1));
	check_eq(counter_grown("rx0_xdp_drop"), 0);
}

static void setup(void)
{
	env_setup(QUEUES);
	frames_setup();
}

static const struct ktap_case cases[] = {
	KTAP_CASE(verdicts),
	KTAP_CASE(transmits),
	KTAP_CASE(moves_head),
	KTAP_CASE(moves_tail),
	KTAP_CASE(has_metadata),
	KTAP_CASE(verdict_of_other_packet),
	KTAP_CASE(redirects),
	KTAP_CASE(takes_from_others),
	KTAP_CASE(fragments),
	KTAP_CASE(vlan_tags),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
