/* SPDX-License-Identifier: LGPL-2.1 OR MIT */
/* What the files of libdevmem share and users of it do not see. */
#ifndef LIBDEVMEM_INTERNAL_H
#define LIBDEVMEM_INTERNAL_H

#include <libmnl/libmnl.h>

#include "libdevmem.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* error.c */
int devmem_fail(int err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* nl.c */
struct devmem_nl {
	struct mnl_socket *requests;	/* owns the bindings */
	struct mnl_socket *events;	/* NULL until subscribed */
	uint32_t seq;
	uint32_t mcgrp;
	uint16_t family;
	char error[512];
	char *buf;
};

#define DEVMEM_NL_BUF		(64 * 1024)
#define DEVMEM_NL_CONTINUE	1

typedef int (*devmem_nl_reply_t)(const struct nlmsghdr *nlh, void *arg);

int devmem_nl_socket(struct mnl_socket **sock);
struct nlmsghdr *devmem_nl_request(struct devmem_nl *nl, void *buf,
				   uint8_t cmd, uint16_t flags);
int devmem_nl_talk(struct devmem_nl *nl, const char *what,
		   struct nlmsghdr *nlh, devmem_nl_reply_t reply, void *arg);

/* bind.c */
void devmem_bind_parse(const struct nlmsghdr *nlh,
		       struct devmem_bind_info *info);

#endif /* LIBDEVMEM_INTERNAL_H */
