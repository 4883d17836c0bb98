/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A receiver of the library, a buffer to read into, and a connection: what tests of
 * receivers share. One of each at a time.
 */
#ifndef SELFTESTS_COMMON_RECEIVER_H
#define SELFTESTS_COMMON_RECEIVER_H

#include "common.h"

#define SEED	0x4ece1
#define STAGING	(4U << 20)
#define TENSOR	(3U << 20)
#define CHUNK	65536
#define UNTOUCHED	0xa5	/* what @tensor is full of */

extern struct devmem_buf *staging;	/* the receiver's */
extern struct devmem_buf *tensor;	/* to read into */
extern unsigned char *map;		/* of @tensor */
extern struct devmem_rx *rx;
extern struct devmem_conn *conn;
extern struct conn c;			/* @conn owns c.rx */

/* For calls of the library that cannot fail. */
void must_ok(ssize_t ret);

/* skip() where the kernel knows nothing of it. */
void need_path(enum devmem_via via);

void make_tensor(void);

/* On nsd0, with @tensor. */
void open_rx(enum devmem_via via, enum devmem_buf_kind kind);
void connect_rx(int family);

/* c.rx and c.tx over lo, received by nobody yet. */
void connect_lo(int family);

/* All tokens are back, before @conn is closed. */
void close_rx(void);
void close_all(void);

/* @size bytes of the stream, from @at on, lie at @offset, and what is around them has
 * not changed. Forgets them.
 */
void check_tensor(uint64_t at, uint64_t offset, size_t size);

#endif /* SELFTESTS_COMMON_RECEIVER_H */
