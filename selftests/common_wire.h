/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A hostile TCP peer: packets made by hand, sent through an AF_PACKET socket on
 * the sender's end of the link, from an address that no kernel answers for. All
 * calls fail() the case when something goes wrong that is not the point.
 *
 *	struct wire w;
 *
 *	wire_open(&w);
 *	sock = wire_connect(&w);			handshake; the accepted socket
 *	wire_data(&w, 0, 1000, 0);			bytes 0 .. 999 of the pattern
 *	wire_send(&w, &(struct segment){ ... });	anything
 */
#ifndef SELFTESTS_COMMON_WIRE_H
#define SELFTESTS_COMMON_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common.h"

#define WIRE_ADDR	"10.9.0.66"
#define WIRE_SEED	0x3117

#define TCP_FIN		0x01
#define TCP_SYN		0x02
#define TCP_RST		0x04
#define TCP_PSH		0x08
#define TCP_ACK		0x10
#define TCP_URG		0x20
#define TCP_ECE		0x40
#define TCP_CWR		0x80

struct wire {
	int packet;		/* AF_PACKET on nsd1 */
	int listener;		/* on the receiver */
	uint16_t sport;
	uint16_t dport;
	uint32_t isn;		/* sequence number of byte 0 of the pattern */
	uint32_t ack;		/* what the receiver expects us to acknowledge */
	uint32_t acked;		/* what it has acknowledged, from byte 0 on */
	uint16_t window;	/* as it stands in its last header */
	uint16_t ip_id;
	unsigned char mac[2][6];	/* receiver's, ours */
};

/* One TCP segment. Zero means what is right, or absent. */
struct segment {
	uint64_t pos;		/* position of its payload in the pattern */
	unsigned int len;	/* of payload */
	uint8_t flags;		/* TCP_*; 0: ACK */
	uint16_t urg;		/* urgent pointer */
	int32_t seq_off;	/* added to the right sequence number */
	int32_t ack_off;
	unsigned int ip_options;	/* bytes of NOP, multiple of 4 */
	unsigned int tcp_options;	/* likewise */
	unsigned int doff;	/* in words, if wrong on purpose */
	int tot_len_off;	/* added to the right IP total length */
	unsigned int cut;	/* bytes missing at the end of the frame */
	unsigned int pad;	/* zero bytes behind the IP packet */
	uint64_t seed;		/* of another pattern: wrong content */
	uint8_t bad_csum;	/* 1: TCP's, 2: IP's */
	uint8_t tos;
	uint8_t ttl;		/* 0: 64 */
	uint8_t mac;		/* added to the last byte of the source */
	uint16_t window;	/* 0: 65535 */
	bool no_df;
	uint16_t fragment;	/* payload of each IP fragment, multiple of 8 */
	uint8_t last_first;	/* fragments in reverse order */
};

void wire_open(struct wire *w);
/* What is needed to send packets, without a listener to connect to. */
void wire_open_link(struct wire *w);
void wire_close(struct wire *w);

/* A new connection from a new port. Returns the accepted socket. */
int wire_connect(struct wire *w);

void wire_send(struct wire *w, const struct segment *s);

/* Plain bytes @pos .. @pos + @len - 1 of the pattern, in segments of @size (0:
 * 1000), waiting for the window where it must.
 */
void wire_data(struct wire *w, uint64_t pos, uint64_t len, unsigned int size);

/* Take in what the receiver sent, for at most @ms, until it has acknowledged
 * @acked bytes. Returns whether it has.
 */
int wire_acked(struct wire *w, uint64_t acked, int ms);

/* Send @len raw bytes as an IPv4 packet to the receiver. */
void wire_raw(struct wire *w, const void *ip, size_t len);

/* ---- a neighbour -------------------------------------------------------- */

/* A well-behaved stream on the same binding, in processes of its own, which
 * goes on until it is stopped. Every byte of it is checked, and placed, unless
 * @host allows for host memory: set it before the start.
 */
struct neighbour {
	pid_t sender;
	pid_t reader;
	int stop;
	bool host;
};

void neighbour_start(struct neighbour *n, const struct bound *b);
void neighbour_stop(struct neighbour *n);

#endif /* SELFTESTS_COMMON_WIRE_H */
