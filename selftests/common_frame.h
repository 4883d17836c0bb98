/* SPDX-License-Identifier: GPL-2.0 */
/*
 * TCP packets made by hand, each field of which can be set, many of which one
 * poll of nsd0 takes off the wire; and what comes of them to its packet socket,
 * super-packets whole. They are for an address that nobody has: nobody answers.
 */
#ifndef SELFTESTS_COMMON_FRAME_H
#define SELFTESTS_COMMON_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define F_FIN	0x01
#define F_SYN	0x02
#define F_RST	0x04
#define F_PSH	0x08
#define F_ACK	0x10
#define F_URG	0x20
#define F_ECE	0x40
#define F_CWR	0x80

struct frame {
	int family;		/* AF_INET or AF_INET6 */
	uint16_t sport;
	uint32_t seq;		/* of its payload, which tells where it belongs */
	unsigned int len;	/* of payload */
	uint8_t flags;		/* F_* */
	uint32_t ack;
	uint16_t window;
	uint16_t urg;
	uint16_t id;		/* IPv4 */
	bool df;		/* IPv4 */
	bool fragment;		/* IPv4: more come */
	bool bad_ip_csum;	/* IPv4 */
	bool ip_option;		/* or hop-by-hop options */
	bool bad_tcp_csum;
	uint8_t tos;		/* or traffic class */
	uint8_t ttl;		/* or hop limit */
	uint32_t label;		/* IPv6 */
	uint32_t stamp;		/* TCP timestamp option, if not 0 */
	uint16_t vlan;		/* if not 0 */
	uint8_t mac;		/* last byte of the source */
	uint8_t proto;		/* if not 0: another one than TCP */
	uint16_t gso_size;	/* if not 0: a super-packet for TSO */
};

/* Plain ones with payload of FRAME_SIZE, the first of many. */
#define FRAME_SIZE	1000
#define FRAME_SPORT	4000
extern const struct frame frame_plain4, frame_plain6;

/* On the wire. */
unsigned int frame_segs(const struct frame *f);
unsigned int frame_bytes(const struct frame *f);

/* What came: one packet of the connection @sport. */
struct arrival {
	uint16_t sport;
	uint32_t seq;
	unsigned int len;	/* of payload */
	unsigned int gso_size;	/* 0: a single packet */
	uint8_t flags;
	uint16_t id;
	bool ecn;		/* its GSO type says so */
	bool right;		/* payload, lengths, checksum of IP */
	bool csum_right;	/* TCP's; of a single packet */
};

/* From here on frames go from nsd1 to nsd0, whose queues are polled by threads
 * that run on our CPU when we do not. Deferred: all as it was.
 */
void frames_open(void);

/* The next that comes. False: none within @ms. */
bool frame_arrives(struct arrival *a, int ms);

/* What nsd0 has counted. */
struct frame_counters {
	uint64_t packets;	/* rx_packets, and so on */
	uint64_t bytes;
	uint64_t gro;		/* rx_gro_packets */
	uint64_t wire;		/* rx_gro_wire_packets */
	uint64_t too_long;	/* rx_drop_length */
};

void frame_counters_read(struct frame_counters *c);

/* All at once: those for one queue are on its wire before it is polled. When that
 * took too long to be sure they are sent again, once all have come and are
 * forgotten. @before: what was counted before the last time.
 */
void frames_send(const struct frame *frames, size_t nr, struct frame_counters *before);

/* Send @nr frames and wait until the NIC has received as many: the counters
 * before and after.
 */
void frames_count(const struct frame *frames, size_t nr,
		  struct frame_counters *before, struct frame_counters *after);

/* Nothing is left of what came. */
void frames_drain(void);

/* Sum of the Internet checksum: of @len bytes, added to @sum; and folded to 16 bits, in
 * the host's byte order, to be inverted by the caller.
 */
uint32_t frame_sum(const void *data, size_t len, uint32_t sum);
uint16_t frame_fold(uint32_t sum);

#endif /* SELFTESTS_COMMON_FRAME_H */
