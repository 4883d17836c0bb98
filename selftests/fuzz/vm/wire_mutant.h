/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Frames of a TCP connection whose sender has lost its mind, but not its memory:
 * whatever is wrong with a frame, a byte that a receiver may take from it is the
 * one that the stream has at that sequence number. What has other bytes is far
 * out of any window, or has a wrong checksum. So whatever a receiver makes of
 * them, it must not deliver a wrong byte.
 */
#ifndef SELFTESTS_WIRE_MUTANT_H
#define SELFTESTS_WIRE_MUTANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_MSS	1400

struct peer {
	int family;
	uint16_t sport;			/* network order, as the next */
	uint16_t dport;
	uint8_t addr[2][16];		/* ours, the receiver's */
	uint8_t mac[2][6];
	uint32_t isn;			/* sequence number of byte 0 */
	uint32_t ack;
	bool ts;			/* time stamps were agreed upon */
	uint32_t ts_val;
	uint32_t ts_ecr;
	const uint8_t *stream;
	uint32_t size;			/* of @stream */
	uint32_t edge;			/* the receiver has all up to here */
	uint32_t end;			/* nothing is sent from here on */
	bool killed;			/* it may have got a FIN or a RST */
	uint32_t ids;			/* of datagrams */
};

/* The batch: frames wait in it until it is full or flushed. */
void frames_to(int packet_fd, int vnet_fd);
void frames_flush(void);
uint64_t frames_sent(void);		/* since the last call */

/* A segment without fault. SYN carries options. */
void frame_plain(struct peer *p, uint32_t pos, uint32_t len, uint8_t flags);

/* A frame, or several, with something wrong. @fatal: it may end the connection. */
void frame_mutant(struct peer *p, bool fatal);

/* A super-packet for the sender's hardware to cut. */
void frame_super(struct peer *p);

#endif /* SELFTESTS_WIRE_MUTANT_H */
