/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For tests of a queue's memory: the kernel's own devmem TCP, header split, and
 * the question on which queue a connection is.
 */
#ifndef SELFTESTS_COMMON_PROVIDER_H
#define SELFTESTS_COMMON_PROVIDER_H

#include "common.h"
#include "common_ctl.h"

/* NETDEV_CMD_BIND_RX: @b is bound to these queues of nsd0 by the kernel's own
 * means, until @nl is closed. Allocates @b's buffer unless it has one. Answers
 * with errno and extack; fails only if the kernel does not answer.
 */
void kernel_bind(struct ctl_nl *nl, struct bound *b, enum devmem_buf_kind kind,
		 size_t size, const uint32_t *queues, unsigned int nr,
		 struct ctl_answer *answer);

/* It must succeed, on @nr queues from @first on. */
void kernel_bind_queues(struct ctl_nl *nl, struct bound *b, size_t size,
			uint32_t first, unsigned int nr);

void kernel_unbind(struct ctl_nl *nl);

/* The rx-page-size that kernel_bind() asks for from now on; 0: it does not. */
void kernel_page_size(uint32_t size);

/* NETDEV_CMD_BIND_TX of @fd to nsd0, until @nl is closed. Its number in @id. */
void kernel_bind_tx(struct ctl_nl *nl, int fd, uint32_t *id,
		    struct ctl_answer *answer);

/* A socket for requests to the kernel's family netdev, or ethtool. */
void netdev_family_open(struct ctl_nl *nl);
void ethtool_family_open(struct ctl_nl *nl);

/* Answer of net/devmem's bind-rx of @b's buffer to a queue of nsd0; the binding
 * lives with @nl, which is opened.
 */
void devmem_bind(struct ctl_nl *nl, const struct bound *b, uint32_t queue,
		 struct ctl_answer *answer);

/* A receiver on a socket without the ULP. Before kernel_bind() and after
 * kernel_unbind() bytes come as with any socket.
 */
void kernel_rx_init(struct rx *rx, int sock, const struct bound *b, uint64_t seed);

/* tcp-data-split of nsd0; left to the driver, or as it is. Newer kernels bind their
 * provider only if somebody has asked for it to be on: auto is not enough.
 */
#define TCP_DATA_SPLIT_AUTO	0
#define TCP_DATA_SPLIT_OFF	1
#define TCP_DATA_SPLIT_ON	2
void set_split(bool on, struct ctl_answer *answer);
void split_set(uint8_t split, struct ctl_answer *answer);
uint8_t split_get(void);

/* On; it must succeed. */
void ask_for_split(void);

/* hds-thresh of nsd0 and its maximum; false: the kernel knows no such thing. */
bool get_hds_thresh(uint32_t *thresh, uint32_t *max);
void set_hds_thresh(uint32_t thresh, struct ctl_answer *answer);

/* Which of the @nr rx queues of nsd0 gets the packets of @c. Sends a few bytes to find out
 * and takes them off the receiver again.
 */
uint32_t queue_of(const struct conn *c, uint32_t nr);

#endif /* SELFTESTS_COMMON_PROVIDER_H */
