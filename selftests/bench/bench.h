/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One measurement in the guest: what is measured (struct params), by whom
 * (struct contender), and what came of it (struct figures).
 *
 *	bench.c		main(): parameters, the measured stretch, the report
 *	stretch.c	where a measurement begins and ends
 *	announce.c	for the plugin: which code is whose
 *	network.c	the pair of NICs as the parameters want them, who runs where
 *	sender.c	the other end of all connections
 *	beside.c	another connection, on a queue and a CPU of its own
 *	host.c		contenders that receive into host memory
 *	placed.c	contenders that receive into a dma-buf
 *	receiver.c	through the library's receivers, on its paths
 *	ring.c		net/devmem through io_uring
 *	zcrx.c		and those to which io_uring hands what the NIC has placed
 *	control.c	bind and attach, which carry no payload
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CPU_RECEIVER	0
#define CPU_SENDER	1
#define CPU_BESIDE	2	/* receives on another queue, */
#define CPU_BESIDE_SENDER 3	/* and who sends to it */

#define FLOWS_MAX	1024
#define CALL_MAX	(1U << 20)	/* bytes that one call asks for */

enum what { WHAT_STREAM, WHAT_TOKENS, WHAT_BIND, WHAT_ATTACH };
enum beside { BESIDE_NOT, BESIDE_NOBODY, BESIDE_SHARES, BESIDE_OWN };
/* How tokens go back: the range that the reader knows it holds; one by one to libdevmem,
 * which makes ranges of them; 128 ranges of one for each call; one for each call.
 */
enum give_back { GIVE_RANGES, GIVE_COLLECTED, GIVE_128, GIVE_SINGLE };

/**
 * struct params - what is measured; the host's list of cases has them
 * @number: of the first repeat, by which the host finds the counters
 * @what: a stream, or giving tokens back alone, binding, attaching
 * @who: name of the contender
 * @segment: bytes of payload on the wire, 65536 or more: super-packets
 *	of up to so many
 * @mss: TCP_MAXSEG of super-packets, 0: what the MTU gives
 * @page: bytes of a buffer of the receive queue, for host memory
 * @chunk: bytes of a chunk or page of the binding
 * @buffer: bytes of the dma-buf
 * @flows: connections
 * @lowat: SO_RCVLOWAT of each
 * @held: percent of the buffer that the reader keeps
 * @give: how tokens go back
 * @mib: of payload, each repeat
 * @repeats: how often
 * @usecs: the NIC waits so long for more packets before it interrupts
 * @family: 4 or 6
 * @gro: gro_max_size of the receiver's device, in bytes, 0: as it is
 * @beside: who else receives, for guests of four CPUs: nobody, somebody on another
 *	queue of the binding, or of a binding of its own
 * @queue: of the binding, the first
 */
struct params {
	unsigned int number;
	enum what what;
	char who[32];
	unsigned int segment;
	unsigned int mss;
	unsigned int page;
	unsigned int chunk;
	unsigned int buffer;
	unsigned int flows;
	unsigned int lowat;
	unsigned int held;
	enum give_back give;
	unsigned int mib;
	unsigned int repeats;
	unsigned int usecs;
	unsigned int family;
	unsigned int gro;
	enum beside beside;
	uint32_t queue;
};

/**
 * struct figures - what the receiving program has counted
 * @bytes: of payload
 * @placed: of these, in the dma-buf
 * @touched: bytes of payload that a CPU has read or written
 * @calls: system calls
 * @pieces: described by control messages
 * @tokens: given back
 */
struct figures {
	uint64_t bytes;
	uint64_t placed;
	uint64_t touched;
	uint64_t calls;
	uint64_t pieces;
	uint64_t tokens;
};

/**
 * struct contender - a way to get payload to where it is wanted
 * @name: for the host
 * @missing: why it cannot be measured on this kernel, NULL: it can; may be NULL
 * @prepare: once, before there are connections; may be NULL
 * @attach: for each connection, before the sender starts; may be NULL
 * @receive: take what is there of flow @i, at most CALL_MAX bytes; waits, if
 *	there is one flow only
 * @waits: @receive takes what is there of any flow, and waits for it
 * @spare: it takes a second queue of the receiver, for the traffic of others
 */
struct contender {
	const char *name;
	const char *(*missing)(const struct params *p);
	void (*prepare)(const struct params *p);
	void (*attach)(const struct params *p, unsigned int i, int sock);
	void (*receive)(const struct params *p, unsigned int i, int sock, struct figures *f);
	bool waits;
	bool spare;
};

/* stretch.c */
void stretch_begin(unsigned int number);
void stretch_finish(unsigned int number);

/* announce.c */
void announce(void);

/* network.c */
void network_setup(const struct params *p, bool spare);
void network_pin(void);
void pin(int pid, int cpu);
uint64_t network_packets(void);

/* sender.c */
void sender_start(const int *socks, unsigned int nr, size_t turn, int cpu);

/* beside.c */
#define BESIDE_PORT	40000	/* of the sender's side; the one beside has the next */

/* It receives for as long as this process lives. Returns when it has warmed up. */
void beside_start(const struct params *p, const struct contender *who);
/* How much it has received. */
uint64_t beside_bytes(void);

/* host.c */
extern const struct contender host_recv, host_copy, host_zerocopy;

/* placed.c */
extern const struct contender placed_devmem, placed_kernel;

/* A call of the library has returned @n: count it. False: there was nothing yet. */
bool arrived(ssize_t n, struct figures *f);

/* Give back all tokens that are kept of flow 0. Returns how many that were. */
uint64_t placed_give_all(const struct params *p, int sock);

/* receiver.c */
extern const struct contender receiver_devmem, receiver_kernel, receiver_copy;

/* ring.c */
extern const struct contender ring_devmem;

/* zcrx.c */
extern const struct contender zcrx_dmabuf, zcrx_user;

/* control.c */
void control_bind(const struct params *p, unsigned int number);
void control_attach(const struct params *p, unsigned int number);

#endif /* BENCH_H */
