/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of ncdevmem share; read it as a map of the program. */
#ifndef NCDEVMEM_H
#define NCDEVMEM_H

#include <libdevmem.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

enum nd_exit {
	ND_OK = 0,
	ND_FAIL = 1,
	ND_USAGE = 2,
	ND_MISMATCH = 3,
};

/* listen.c send.c bind.c show.c doctor.c cleanup.c: the commands. @argv[0] is "ncdevmem NAME". */
int nd_listen(int argc, char **argv);
int nd_send(int argc, char **argv);
int nd_bind(int argc, char **argv);
int nd_show(int argc, char **argv);
int nd_doctor(int argc, char **argv);
int nd_cleanup(int argc, char **argv);

/* util.c */
void nd_err(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int nd_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int nd_help(const char *text);
int nd_parse_size(const char *name, const char *s, uint64_t min, uint64_t max,
		  uint64_t *val);
int nd_parse_uint(const char *name, const char *s, uint64_t min, uint64_t max,
		  uint64_t *val);
int nd_parse_octal(const char *name, const char *s, uint64_t max, uint64_t *val);
int nd_parse_port(const char *s, uint64_t min);
int nd_parse_pattern(const char *name, const char *s, uint64_t *seed);
bool nd_number(const char *s, int base, uint64_t *val, char **end);
double nd_now(void);
void nd_signals_default(void);
int nd_signals(int *sigfd);
bool nd_signalled(int sigfd);

#define ND_BYTES_LEN	24
const char *nd_bytes(char text[ND_BYTES_LEN], uint64_t bytes);

/* json.c */
struct nd_json {
	FILE *f;
	bool comma;
};

void nd_json_open(struct nd_json *j, const char *name, char bracket);
void nd_json_close(struct nd_json *j, char bracket);
void nd_json_uint(struct nd_json *j, const char *name, uint64_t val);
void nd_json_bool(struct nd_json *j, const char *name, bool val);
void nd_json_null(struct nd_json *j, const char *name);
void nd_json_seconds(struct nd_json *j, const char *name, double val);
void nd_json_string(struct nd_json *j, const char *name, const char *val);

/* addr.c */
#define ND_ADDR_LEN	(NI_MAXHOST + NI_MAXSERV + 4)
int nd_addr_listen(int family, const char *host, const char *port);
int nd_addr_connect(int family, const char *host, const char *port,
		    double wait);
const char *nd_addr_text(char text[ND_ADDR_LEN], const struct sockaddr *sa,
			 socklen_t len);

/* accept.c */
struct nd_acceptor {
	int sock;
	double resume;		/* 0: no pause */
	double said;		/* 0: never */
};

int nd_acceptor_fd(struct nd_acceptor *a);
int nd_acceptor_timeout(const struct nd_acceptor *a);
void nd_acceptor_resume(struct nd_acceptor *a);
void nd_acceptor_pause(struct nd_acceptor *a);
int nd_acceptor_take(struct nd_acceptor *a, struct sockaddr *sa, socklen_t *len);

/* unix.c */
#define ND_NO_GROUP	((gid_t)-1)

struct nd_unix {
	const char *path;
	mode_t mode;
	gid_t group;		/* ND_NO_GROUP: the process's own */
	int sock;
	struct stat st;		/* of @sock's place in the file system */
};

int nd_unix_connect(const char *path, int flags);
int nd_unix_listen(struct nd_unix *u);
void nd_unix_close(struct nd_unix *u);

/* binding.c: where payload goes: a receiver with a binding of our own, or one that
 * another process holds, or none where there is nothing to bind.
 */
enum {
	ND_OPT_DEV = 256,
	ND_OPT_QUEUES,
	ND_OPT_BUFFER,
	ND_OPT_SIZE,
	ND_OPT_CHUNK,
	ND_OPT_VIA,
	ND_OPT_PRIVATE,		/* the first of a command's own options */
};

struct nd_binding_opts {
	enum devmem_via via;
	const char *dev;
	bool kind_given;
	enum devmem_buf_kind kind;
	uint64_t size;
	uint64_t chunk;
	unsigned int nr_queues;
	uint32_t queues[DEVMEM_BIND_QUEUES];
};

struct nd_binding {
	struct devmem_rx *rx;
	struct devmem_buf *buf;
	bool own;		/* no other process holds it */
	uint32_t id;
	uint32_t ifindex;
	uint32_t chunk_size;
	uint32_t chunks;
};

void nd_binding_defaults(struct nd_binding_opts *opts);
int nd_binding_option(struct nd_binding_opts *opts, int opt, const char *arg);
int nd_binding_make(struct nd_binding *b, const struct nd_binding_opts *opts);
int nd_binding_fetch(struct nd_binding *b, const char *path);
const char *nd_binding_text(const struct nd_binding *b, char *text, size_t size);
int nd_binding_hand_out(const struct nd_binding *b, int conn);
void nd_binding_json(const struct nd_binding *b, struct nd_json *j);
void nd_binding_free(struct nd_binding *b);

/* receive.c: one connection */
#define ND_EXPECT_ANY	UINT64_MAX

struct nd_rx_config {
	const struct nd_binding *binding;
	const char *map;	/* NULL: nobody looks at the payload */
	bool verify;
	uint64_t seed;
	uint64_t expect;	/* bytes, or ND_EXPECT_ANY */
	int output;		/* -1: none */
	unsigned int hold;
	unsigned int pieces;
	size_t read_size;
	int lowat;
	int stopfd;		/* readable once @stop is set */
	const atomic_bool *stop;
};

struct nd_rx_stats {
	uint64_t placed;
	uint64_t fallback;
	uint64_t pieces;
	uint64_t fallback_pieces;
	uint64_t lost;		/* bytes */
	uint64_t tokens;
	uint64_t recv_calls;
	uint64_t release_calls;
};

struct nd_rx {
	const struct nd_rx_config *cfg;
	int sock;
	char peer[ND_ADDR_LEN];
	atomic_ullong progress;	/* bytes so far, for other threads */

	/* the result */
	struct nd_rx_stats stats;
	enum nd_exit ret;
	bool attached;
	bool interrupted;
	double end;
};

void nd_receive(struct nd_rx *rx);

#endif /* NCDEVMEM_H */
