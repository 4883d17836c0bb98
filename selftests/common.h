/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the self-tests share. Unless they say otherwise, these calls fail() the
 * case when something goes wrong, so they return no errors.
 *
 *	common_env.c	commands, two network namespaces with a pair of NICs
 *			between them, impairments, live objects
 *	common_flow.c	bindings, connections, senders
 *	common_rx.c	a receiver that checks every byte
 *	common_ktap.c	see ktap.h
 *
 * The shortest test:
 *
 *	static struct bound b;
 *	static struct conn c;
 *	static struct rx rx;
 *
 *	bind_buffer(&b, DEVMEM_BUF_HEAP, 4 << 20, 65536);
 *	connect_pair(&c, AF_INET);
 *	attach(c.rx, &b);
 *	send_start(&c, 1 << 20, SEED, 1460, 0);
 *	rx_init(&rx, c.rx, &b, SEED);
 *	rx_all(&rx, 1 << 20);
 *	check_eq(rx.placed, 1 << 20);
 */
#ifndef COMMON_H
#define COMMON_H

#include <libdevmem.h>
#include <netinet/in.h>
#include <pattern.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "ktap.h"

/* ---- common_env.c ------------------------------------------------------ */

/* Run a program, words separated by blanks, no quoting. Returns its exit
 * status; must_cmd() insists on 0.
 */
int cmd(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void must_cmd(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Two hosts. The receiver has nsd0, 10.9.0.1 and fd09::1, the sender has nsd1,
 * 10.9.0.2 and fd09::2.
 */
enum side { RECEIVER, SENDER };

#define NS_NAME(side)	((side) == RECEIVER ? "devmem-a" : "devmem-b")
#define DEV_NAME(side)	((side) == RECEIVER ? "nsd0" : "nsd1")
#define ADDR4(side)	((side) == RECEIVER ? "10.9.0.1" : "10.9.0.2")
#define ADDR6(side)	((side) == RECEIVER ? "fd09::1" : "fd09::2")

/* Make both, with @nr_queues queues to each NIC, up and ready, deferring their
 * end. The caller is on the receiver afterwards.
 */
void env_setup(unsigned int nr_queues);

/* The same hosts, with a pair of veth under the same names: no device memory, and no
 * need of our modules.
 */
void env_setup_veth(void);

/* Wait until both links can be used, and no late consequence of their having come up
 * is left. The caller is on the receiver afterwards. Part of env_setup().
 */
void env_ready(void);

/* Have the sender wait long before it retransmits: for tests that count packets
 * or pieces, which must not depend on how busy the machine is.
 */
void env_patient(void);

/* Go to the network namespace of one of them. Sockets stay where they were
 * made.
 */
void env_enter(enum side side);

/* The network namespace where the test was started. */
void env_leave(void);

/* Write /proc/sys/net/NAME in the namespace of @side. The caller is on the
 * receiver afterwards.
 */
void env_sysctl(enum side side, const char *name, const char *value);

/* Interface index of nsd0; in the receiver's namespace. */
unsigned int env_ifindex(void);

/* Write a file as it stands. Returns 0 or -errno. */
int env_write(const char *path, const char *value);

/* Load what is not loaded of our modules; to be deferred. Unload one: its system call's
 * result.
 */
void env_modules(void *unused);
int env_rmmod(const char *name);

/* Write a file of /sys/class/net/DEV, e.g. "impair/loss". Returns 0 or -errno. */
int env_sysfs_write(enum side side, const char *name, const char *value);

/* An impairment of what @side receives: "loss", "reorder", "duplicate" or
 * "corrupt" in parts per million, "delay_us", "seed".
 */
void impair(enum side side, const char *what, unsigned int value);
void impair_none(enum side side);

/* One of the counters that "ethtool -S" shows. */
uint64_t nic_counter(enum side side, const char *name);

/* Several of them, of a moment when nothing is under way: none has changed for a
 * while.
 */
struct nic_count {
	enum side side;
	const char *name;
	uint64_t value;
};

void nic_counts_quiet(struct nic_count *counts, size_t nr);

/* Have each CPU receive a packet. A packet that was read on one CPU and had come in
 * on another is parked until that one receives something; with a packet of which a
 * tap had a copy, that is what it holds of a chunk, too.
 */
void unpark(void);

/* A line of /proc/meminfo, e.g. "MemFree", in KiB. */
long long meminfo(const char *wanted);

/* Lines of /sys/kernel/debug/.../objects of both modules, without devices and
 * links, that are not 0, as "name number, ..." in @text. Returns their number.
 */
unsigned int live_objects(char *text, size_t size);

/* One of these counters, e.g. "tokens". */
long live_object(const char *wanted);

/* ---- common_flow.c ----------------------------------------------------- */

/* A buffer bound to queues of nsd0. */
struct bound {
	struct devmem_buf *buf;
	struct devmem_nl *nl;
	struct devmem_bind_result res;
	unsigned char *map;
	size_t size;
};

/* Bind a new buffer, filled with 0xa5, to queues 0 .. 3 of nsd0, which must have
 * them. @chunk 0: the kernel's choice.
 */
void bind_buffer(struct bound *b, enum devmem_buf_kind kind, size_t size,
		 uint32_t chunk);
void bind_queues(struct bound *b, enum devmem_buf_kind kind, size_t size,
		 uint32_t chunk, const uint32_t *queues, unsigned int nr);

/* Close the netlink socket, and with it the binding; free the buffer. */
void unbind(struct bound *b);
void free_bound(struct bound *b);

/* Has the kernel large pages to make buffers of? Skip the case if not. */
bool has_hugetlb(void);
void need_hugetlb(void);

/* What bind-get says of it. */
void bound_info(const struct bound *b, struct devmem_bind_info *info);

/* Both ends of a TCP connection in this process: @rx on the receiver, @tx on
 * the sender with TCP_NODELAY. The sender's side has connected.
 */
struct conn {
	int rx;
	int tx;
};

struct conn_opts {
	int family;		/* AF_INET or AF_INET6 */
	int rcvbuf;		/* SO_RCVBUF of the receiver, if not 0; no limit */
	int mss;		/* TCP_MAXSEG of both, if not 0 */
	uint16_t sport;		/* of the sender, if not 0 */
	uint16_t dport;		/* of the receiver, if not 0 */
	bool reverse;		/* the receiver's side has connected */
};

void connect_pair(struct conn *c, int family);
void connect_with(struct conn *c, const struct conn_opts *opts);
void disconnect_pair(struct conn *c);

/* Bytes that the sender has sent more than once: a NIC's counters have up to so
 * many more than the stream. TCP does that on a busy machine without any loss.
 */
uint64_t sent_again(const struct conn *c);

/* Address of @side with @port. Returns its length. */
socklen_t side_addr(struct sockaddr_storage *ss, enum side side, int family,
		    uint16_t port);

/* ULP and DEVMEM_ATTACH. */
void attach(int sock, const struct bound *b);

#define SEND_SHUTDOWN	1	/* shutdown(SHUT_WR) when all is sent */

/* Bytes @pos .. @pos + @bytes - 1 of the pattern with @seed, in writes of @size
 * bytes (at most 1 MiB).
 */
void send_pattern(int sock, uint64_t bytes, uint64_t pos, uint64_t seed,
		  size_t size);

/* The same from position 0 on, in a helper process, which has @c->tx and
 * nothing else. For test_join().
 */
pid_t send_start(const struct conn *c, uint64_t bytes, uint64_t seed,
		 size_t size, unsigned int flags);

/* ---- common_rx.c ------------------------------------------------------- */

struct rx_piece {
	uint64_t pos;		/* in the stream */
	uint64_t off;		/* in the dma-buf */
	uint32_t size;
	uint32_t token;
	bool placed;		/* else in host memory */
	bool lost;		/* placed, and taken away since */
};

#define RX_LINEAR	(1U << 20)
#define RX_PIECES	1024

struct rx {
	int sock;
	const struct bound *b;	/* NULL: everything must come in host memory */
	uint64_t seed;
	uint64_t pos;		/* of the next byte */

	/* of the next call; set by rx_init() to the most there is */
	size_t linear_size;
	size_t control_size;
	bool keep;		/* rx_all() and rx_eof() give no tokens back */
	bool plain;		/* no ULP yet: bytes without a description are fine */
	bool lossy;		/* bytes may have gone with the memory */
	int timeout_ms;		/* of rx_all() and rx_eof(), for each call */

	/* instead of recvmsg(); rx_all() and rx_eof() leave waiting to it then. What
	 * it gets goes to @linear and @msg. Errors are -errno.
	 */
	ssize_t (*by)(struct rx *rx, int flags);

	/* the last call */
	struct msghdr msg;
	struct rx_piece *last;
	unsigned int nr_last;

	/* all calls so far, those with MSG_PEEK excepted */
	uint64_t calls;
	uint64_t bytes;
	uint64_t placed;
	uint64_t host;
	uint64_t lost;		/* of those neither placed nor host */
	uint64_t pieces;	/* placed ones */
	uint64_t returned;	/* tokens */

	struct rx_piece *held;	/* placed pieces whose token was not given back */
	size_t nr_held;

	/* private */
	size_t max_held;
	struct iovec iov;
	unsigned char *linear;
	unsigned char *control;
};

void rx_init(struct rx *rx, int sock, const struct bound *b, uint64_t seed);
void rx_free(struct rx *rx);

/* One recvmsg() with @flags and MSG_SOCK_DEVMEM. Every byte it reports is
 * compared with the pattern, and everything it reports with what the ABI says.
 * Returns the number of bytes, or -errno. With MSG_PEEK the bytes are those at
 * @pos, and nothing is counted or held. With MSG_TRUNC there is nothing to
 * compare.
 */
ssize_t rx_recv(struct rx *rx, int flags);

/* The same with MSG_PEEK of a socket whose SO_PEEK_OFF is @peek_off. */
ssize_t rx_peek_at(struct rx *rx, uint64_t peek_off);

/* Receive until @bytes more have come, giving tokens back as it goes. */
void rx_all(struct rx *rx, uint64_t bytes);

/* The stream ends here. */
void rx_eof(struct rx *rx);

/* Wait until poll() reports POLLIN. */
void rx_wait(const struct rx *rx);

/* Wait until exactly @bytes are in the receive queue. */
void rx_queued(const struct rx *rx, uint64_t bytes);

/* Give all tokens back. Each must count. */
void rx_return(struct rx *rx);

/* Compare all that is held with the pattern once more. */
void rx_check_held(const struct rx *rx);

/* DEVMEM_INFO must agree with what was received; it is returned. */
void rx_check_placed(const struct rx *rx, uint64_t bytes);
bool only_again(const struct bound *b);
struct devmem_info rx_check_info(const struct rx *rx);

/* Data of the last call's control message, or NULL. */
const void *rx_cmsg(const struct rx *rx, int level, int type);

#endif /* COMMON_H */
