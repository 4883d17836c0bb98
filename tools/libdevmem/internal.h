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

/* watch.c */
struct devmem_watch {
	struct devmem_known *known;	/* bindings that are there */
	struct devmem_missed *missed;	/* to be told still, oldest first */
};

/* nl.c */
struct devmem_nl {
	struct mnl_socket *requests;	/* owns the bindings */
	struct mnl_socket *events;	/* NULL until subscribed */
	struct devmem_watch watch;
	int waitfd;			/* epoll: @events, and @morefd if @more */
	int morefd;			/* always readable */
	bool more;
	bool lost;			/* notifications: look at all bindings */
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

/* event.c */
void devmem_nl_unsubscribe(struct devmem_nl *nl);

/* watch.c: an event was told; find what was not; take the next of that */
int devmem_watch_told(struct devmem_watch *w, const struct devmem_event *ev);
int devmem_watch_look(struct devmem_watch *w, struct devmem_nl *nl);
bool devmem_watch_next(struct devmem_watch *w, struct devmem_event *ev);
void devmem_watch_clear(struct devmem_watch *w);

#endif /* LIBDEVMEM_INTERNAL_H */
