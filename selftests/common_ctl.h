/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For tests of control paths: requests to the netlink family that need not make
 * sense, the fake GPU, and processes with few rights.
 *
 * Functions return 0 or a descriptor on success and -errno on failure, unless
 * they say otherwise.
 */
#ifndef SELFTESTS_COMMON_CTL_H
#define SELFTESTS_COMMON_CTL_H

#include <libmnl/libmnl.h>
#include <linux/nsdm-gpu.h>
#include <stdint.h>

/* ---- netlink ----------------------------------------------------------- */

#define CTL_REQ_MAX	(64 * 1024)

/* A netlink socket of its own: bindings made through it go with it. */
struct ctl_nl {
	struct mnl_socket *sock;
	uint32_t seq;
	uint16_t family;
	char req[CTL_REQ_MAX];		/* of ctl_request() */
};

/* What the kernel said. */
struct ctl_answer {
	int err;			/* errno, 0: acknowledged */
	uint16_t attr;			/* type of the attribute it blames, or 0 */
	char text[256];			/* extack */
	uint32_t id;			/* from the reply, as the next two */
	uint32_t chunk_size;
	uint32_t chunks;
};

int ctl_nl_open(struct ctl_nl *nl);
void ctl_nl_close(struct ctl_nl *nl);

/* Begin a request in nl->req. Add attributes with mnl_attr_put_*(). */
struct nlmsghdr *ctl_request(struct ctl_nl *nl, uint8_t cmd);

/* Send @nlh and wait for the acknowledgment, 5 s at most. -errno only if there
 * was none.
 */
int ctl_talk(struct ctl_nl *nl, const struct nlmsghdr *nlh,
	     struct ctl_answer *answer);

/* A whole bind-rx request that makes sense, sent. */
int ctl_bind(struct ctl_nl *nl, uint32_t ifindex, uint32_t queue, int fd,
	     uint32_t chunk_size, struct ctl_answer *answer);

/* Number of bindings that a dump in this namespace shows, on a socket of its
 * own.
 */
int ctl_count_bindings(void);

/* The longest packet that TSO gets, or that GRO makes, of a link of this namespace:
 * IPv4 and IPv6, which ip(8) does not know apart everywhere. Returns 0 or -errno.
 */
int ctl_gso_max(const char *dev, uint32_t bytes);
int ctl_gro_max(const char *dev, uint32_t bytes);

/* ---- buffers ----------------------------------------------------------- */

/* Memory of the fake GPU: blocks of 4096 << @order, NSDM_GPU_* in @flags. */
int ctl_gpu_alloc(uint64_t size, unsigned int order, unsigned int flags);
int ctl_gpu_revoke(int fd);

/* Tell the importers of a buffer that was taken back once more. */
int ctl_gpu_revoke_again(int fd);

/* It is busy with the buffer for @ms: enum nsdm_gpu_usage. */
int ctl_gpu_fence(int fd, unsigned int usage, unsigned int ms);

/* A dma-buf of parts of one 2 MiB page, in this order: its contiguous pieces
 * are as long as the parts, unless one follows the other in the page.
 */
struct ctl_part {
	uint32_t offset;
	uint32_t len;
};

int ctl_parts_alloc(const struct ctl_part *parts, unsigned int nr);

/* ---- processes --------------------------------------------------------- */

/* Become nobody, without capabilities. For children. */
int ctl_drop_privileges(void);

/* Pass @fd over a UNIX socket. */
int ctl_send_fd(int sock, int fd);
int ctl_recv_fd(int sock);

#endif /* SELFTESTS_COMMON_CTL_H */
