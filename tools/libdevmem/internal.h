/* SPDX-License-Identifier: LGPL-2.1 OR MIT */
/* What the files of libdevmem share and users of it do not see. */
#ifndef LIBDEVMEM_INTERNAL_H
#define LIBDEVMEM_INTERNAL_H

#include <libmnl/libmnl.h>
#include <pthread.h>

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
/* devmem_nl_open() for any family; @remedy: what to do if it is not there */
int devmem_nl_open_family(struct devmem_nl **nl, const char *family, const char *remedy);
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

/* buf.c: as devmem_buf_map(), and may be written to */
int devmem_buf_map_write(struct devmem_buf *buf, void **addr);
bool devmem_buf_is_host(const struct devmem_buf *buf);

/* mem.c: 0 or -ERANGE */
int devmem_buf_check(const struct devmem_buf *buf, uint64_t offset, uint64_t size);

/* msg.c */
ssize_t devmem_recv_most(int sock, struct devmem_msg *msg, size_t most,
			 unsigned int flags);
unsigned int devmem_msg_tokens(const struct devmem_msg *msg);

/* What was received without devmem_recv(): into @msg's own memory, of which there is
 * @size; or nothing, and then as many pieces as there is room for.
 */
void *devmem_msg_linear(struct devmem_msg *msg, size_t *size);
unsigned int devmem_msg_pieces(const struct devmem_msg *msg);
void devmem_msg_set_linear(struct devmem_msg *msg, size_t size);
void devmem_msg_set_empty(struct devmem_msg *msg);
bool devmem_msg_add_piece(struct devmem_msg *msg, const struct devmem_cmsg *dc);

/* rx.c, conn.c, read.c; path_*.c: what differs from path to path. */
struct devmem_path {
	const char *name;
	/* set @rx->res, and what else the path keeps there */
	int (*open)(struct devmem_rx *rx, const struct devmem_rx_config *config);
	void (*close)(struct devmem_rx *rx);	/* by whoever opened it; may be NULL */
	void (*free)(struct devmem_rx *rx);	/* no connection is left; may be NULL */
	int (*share)(struct devmem_rx *rx, int *fd);	/* NULL: nothing is there to be shared */
	int (*check)(const char *dev);		/* as devmem_via_check(); NULL: works always */

	/* -errno: the connection goes on as before */
	int (*attach)(struct devmem_conn *conn, unsigned int flags);
	void (*end)(struct devmem_conn *conn);	/* nothing more is received; may be NULL */
	void (*detach)(struct devmem_conn *conn);	/* no token is out */
	int (*poll_fd)(struct devmem_conn *conn);	/* NULL: its socket */
	/* -ENOBUFS: users hold too much to get more; NULL: they never do */
	int (*room)(struct devmem_conn *conn);
	/* as devmem_conn_recv(), @most bytes */
	ssize_t (*recv)(struct devmem_conn *conn, struct devmem_msg *msg, size_t most,
			unsigned int flags);
	/* @most bytes to @addr, or NULL: what recv() gives has to be moved there */
	ssize_t (*recv_to)(struct devmem_conn *conn, void *addr, size_t most,
			   unsigned int flags);
	/* under @conn->lock */
	int (*release)(struct devmem_conn *conn, uint32_t token);
	int (*flush)(struct devmem_conn *conn);
	void (*stats)(const struct devmem_conn *conn, struct devmem_conn_stats *stats);
};

extern const struct devmem_path devmem_path_devmem;
extern const struct devmem_path devmem_path_kernel;
extern const struct devmem_path devmem_path_zcrx;
extern const struct devmem_path devmem_path_copy;

/* path_tokens.c */
ssize_t devmem_token_path_recv(struct devmem_conn *conn, struct devmem_msg *msg, size_t most,
			       unsigned int flags);
int devmem_token_path_release(struct devmem_conn *conn, uint32_t token);
int devmem_token_path_flush(struct devmem_conn *conn);
void devmem_token_path_detach(struct devmem_conn *conn);
void devmem_token_path_stats(const struct devmem_conn *conn, struct devmem_conn_stats *stats);

/* nic.c: what may change a device is another process's, see nic.h */
struct devmem_nic;
struct devmem_nic_request;
struct devmem_nic_reply;

int devmem_nic_open(struct devmem_nic **nic);
/* Another end of @fd: of a channel that devmem_nic_share() made. */
int devmem_nic_join(struct devmem_nic **nic, int fd);
int devmem_nic_share(struct devmem_nic *nic, int *fd);
/* Waits until all is undone. */
void devmem_nic_close(struct devmem_nic *nic);
/* Set @req->dev; -EINVAL: NULL; -ENODEV: not a name of a device. */
int devmem_nic_dev(struct devmem_nic_request *req, const char *dev);
/* With @fd, or -1. */
int devmem_nic_ask(struct devmem_nic *nic, struct devmem_nic_request *req, int fd,
		   struct devmem_nic_reply *reply);
int devmem_nic_check(const char *dev);

/* path_nic.c: devmem-nic and receivers for which it sets a NIC up */
/* Set the chunks of @rx->res. */
int devmem_nic_path_chunks(struct devmem_rx *rx, const struct devmem_rx_config *config);
int devmem_nic_path_open(struct devmem_rx *rx, struct devmem_nic_request *req,
			 const struct devmem_rx_config *config, int fd,
			 struct devmem_nic_reply *reply);
int devmem_nic_path_share(struct devmem_rx *rx, int *fd);
void devmem_nic_path_close(struct devmem_rx *rx);
/* its connections: a rule for each, and not more of the buffer than its share */
int devmem_nic_path_attach(struct devmem_conn *conn, unsigned int flags);
void devmem_nic_path_end(struct devmem_conn *conn);
/* the pieces that users hold: so many have come, one is back; as devmem_path.room() */
void devmem_nic_path_hold(struct devmem_rx *rx, unsigned int nr);
void devmem_nic_path_drop(struct devmem_rx *rx);
int devmem_nic_path_room(struct devmem_conn *conn);

struct devmem_rx {
	const struct devmem_path *path;
	struct devmem_buf *buf;
	struct devmem_bind_result res;
	struct devmem_nl *nl;		/* path_devmem.c */
	struct devmem_nic *nic;		/* path_nic.c; NULL once the receiver is closed */
	uint32_t held;			/* as well: pieces that users have; atomic */
	struct devmem_zcrx *zcrx;	/* path_zcrx.c */
	struct devmem_copy *copy;	/* path_copy.c */
	enum devmem_via via;
	bool automatic;			/* nobody has insisted on the path */
	char passed_over[1024];

	/* protects @users, @copy, @nic, @zcrx; within devmem_conn.lock */
	pthread_mutex_t lock;
	unsigned int users;		/* whoever opened it, and connections */
};

/* What devmem_conn_read() has begun: @done of @size bytes. */
struct devmem_reading {
	struct devmem_buf *dst;		/* NULL: into host memory */
	char *host;
	uint64_t offset;
	size_t size;			/* 0: nothing is under way */
	size_t done;
};

struct devmem_conn {
	struct devmem_rx *rx;
	int sock;
	bool attached;
	struct devmem_reading reading;
	struct devmem_msg *msg;		/* of read.c, NULL until it is needed */
	struct devmem_span *spans;	/* as well */
	uint32_t chunk;			/* path_copy.c: that is being filled, or none */
	uint32_t filled;		/* bytes of it */
	uint32_t rule;			/* path_nic.c: that brings it to our queues */
	struct devmem_zcrx_conn *zcrx;	/* path_zcrx.c */

	pthread_mutex_t lock;		/* protects what follows */
	bool closed;
	uint64_t given;			/* tokens */
	uint64_t returned;		/* of them, by devmem_conn_release() */
	struct devmem_tokens *tokens;	/* path_tokens.c */
	uint64_t released;		/* path_copy.c, path_zcrx.c */
};

void devmem_rx_get(struct devmem_rx *rx);
void devmem_rx_put(struct devmem_rx *rx);

/* conn.c: receive, and count what was given out */
ssize_t devmem_conn_recv_most(struct devmem_conn *conn, struct devmem_msg *msg,
			      size_t most, unsigned int flags);

/* read.c: -EINVAL if a read is under way; the memory of reads */
int devmem_conn_check_idle(const struct devmem_conn *conn);
void devmem_conn_free_reading(struct devmem_conn *conn);

#endif /* LIBDEVMEM_INTERNAL_H */
