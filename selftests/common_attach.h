/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Attaching by hand, step by step, and seeing what a connection carries
 * afterwards. common.h's attach() is for tests that take it for granted.
 */
#ifndef SELFTESTS_COMMON_ATTACH_H
#define SELFTESTS_COMMON_ATTACH_H

#include "common.h"

/* setsockopt(TCP_ULP) and setsockopt(DEVMEM_ATTACH): 0, or -1 and errno. */
int set_ulp(int sock, const char *name);
int try_attach(int sock, uint32_t id, int dmabuf);

/* A new IPv4 socket in this namespace. */
int new_socket(int type, int protocol);

/* A connection without the ULP carries every byte, to plain recv(). */
void carries_plainly(struct conn *c);

/* The connection of a socket with the ULP carries every byte; attached to @b it
 * has all of them placed, else (NULL) none.
 */
void carries(struct conn *c, const struct bound *b);

/* No socket of @b has reached the NIC. */
void no_flow(const struct bound *b);

#endif /* SELFTESTS_COMMON_ATTACH_H */
