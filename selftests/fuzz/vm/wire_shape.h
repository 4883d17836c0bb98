/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A TCP segment in the making: what is right and wrong with it, but for its IP
 * header.
 */
#ifndef SELFTESTS_WIRE_SHAPE_H
#define SELFTESTS_WIRE_SHAPE_H

#include "wire_mutant.h"

#define FAR	(1U << 30)	/* from here on out of any window */

#define FIN	0x01
#define SYN	0x02
#define RST	0x04
#define PSH	0x08
#define ACK	0x10
#define URG	0x20

/* What the segment is to be. */
struct shape {
	uint32_t pos;		/* of its first byte, may be before 0 */
	uint32_t len;
	uint8_t flags;
	uint8_t options[40];
	uint32_t opt_len;	/* multiple of 4 */
	uint32_t ack_off;
	uint16_t urg;
	uint16_t window;
	uint8_t res;
	bool far;		/* out of window: anything goes */
	bool bad_sum;
	uint8_t doff;		/* 0: the right one */
	bool partial;		/* the NIC is to write the checksum */
};

/* Checksums of IP. */
uint64_t sum_of(const void *data, size_t len, uint64_t sum);
uint16_t fold(uint64_t sum);

/* Another one that is not the same in disguise: neither 0 nor 0xffff more. */
uint16_t wrong_sum(uint16_t sum);

/* The stream's bytes where it has some, else whatever. */
void put_bytes(const struct peer *p, uint8_t *at, uint32_t pos, uint32_t len);

/* Header and payload. Returns their length. */
uint32_t put_tcp(const struct peer *p, uint8_t *at, const struct shape *s);

void add_option(struct shape *s, uint8_t kind, const void *data, uint8_t len);
void add_time(const struct peer *p, struct shape *s, uint32_t val);
void pad_options(struct shape *s);

/* Something that does no harm, however strange. @fatal: it may end the stream. */
void choose_shape(struct peer *p, struct shape *s, bool fatal);

#endif /* SELFTESTS_WIRE_SHAPE_H */
