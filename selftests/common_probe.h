/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Requests to net/devmem that must be refused: with which errno, which words,
 * blaming which attribute, and leaving nothing behind.
 */
#ifndef SELFTESTS_COMMON_PROBE_H
#define SELFTESTS_COMMON_PROBE_H

#include <linux/netdev-devmem.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common.h"
#include "common_ctl.h"

#define A(name)		NETDEV_DEVMEM_A_BINDING_##name

/* Fixed interface numbers and descriptors, so that the texts can be written
 * down. probe_setup() makes the links.
 */
#define NSD		1000	/* nsd8: up, 8 rx queues */
#define NSD_DOWN	1001	/* nsd9 */
#define DUMMY		1002	/* bad0 */
#define VETH		1003	/* bad1 */
#define NSD_AWAY	1005	/* nsd7, in another network namespace */
#define FD		77	/* what @put opened, if anything */

#define PROBE_SIZE	(1U << 20)	/* of the good buffer */

/* A request in the making. */
struct probe {
	struct ctl_nl *nl;
	struct nlmsghdr *nlh;
	int good;		/* a buffer like any other */
};

struct row {
	const char *name;
	void (*put)(struct probe *p, uint32_t arg);
	uint32_t arg;
	int err;
	const char *text;	/* all of the extack */
	uint16_t attr;		/* the attribute that it points at, or 0 */
};

#define ROW(...)	ROW_(__VA_ARGS__, 0, 0)
#define ROW_(name_, put_, arg_, err_, text_, attr_, ...)		\
	{ .name = name_, .put = put_, .arg = arg_, .err = err_,		\
	  .text = text_, .attr = attr_ }

void probe_setup(void);

/* The attributes of a bind request. */
void put_request(struct probe *p, uint32_t ifindex, uint32_t queue, uint32_t fd);

/* A good request but for the queue. */
void put_queue(struct probe *p, uint32_t queue);

/* A good request without attribute @attr. */
void put_without(struct probe *p, uint32_t attr);

/* @fd becomes FD. */
void move_fd(int fd);

/* A buffer like any other. */
int probe_buffer(void);

/* Send each request. All are tried before the case fails. */
void probe_rows(const struct row *rows, size_t nr);

/* Does the answer say what it should? */
bool probe_expected(const struct row *row, const struct ctl_answer *a);

#endif /* SELFTESTS_COMMON_PROBE_H */
