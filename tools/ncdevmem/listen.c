// SPDX-License-Identifier: GPL-2.0
/*
 * Owns "ncdevmem listen": options, accepting, one thread for each connection,
 * the end. Must not know how a connection is received, or what is printed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "listen.h"

static const char nd_listen_help[] =
"Usage: ncdevmem listen [options] [ADDR] PORT\n"
"Receive TCP connections into device memory.\n"
"\n"
"On which path:\n"
"  --via PATH         devmem: the NIC writes to the buffer (default); kernel: it\n"
"                     does so by the kernel's own means, zcrx: by io_uring's, and\n"
"                     is set up for that meanwhile; copy: the CPU does, on any\n"
"                     device and without privileges; auto: the first that works,\n"
"                     and a line for each before it that says why not\n"
"\n"
"Which memory, either a binding of our own (CAP_NET_ADMIN, but for copy):\n"
"  --dev IFNAME       device that the traffic arrives through\n"
"  --queues LIST      its rx queues, as 0,2,4-7 (default 0; for kernel and zcrx\n"
"                     the last; zcrx takes one)\n"
"  --buffer KIND      heap, udmabuf (4 KiB pages), hugetlb, gpu or, for copy,\n"
"                     host (default heap; for copy host; for auto heap, or host\n"
"                     where there is no right to that)\n"
"  --size SIZE        of the buffer (default 64M)\n"
"  --chunk SIZE       power of two, 4K to 2M (default: the kernel's choice)\n"
"or one that 'ncdevmem bind' holds (no privileges):\n"
"  --binding PATH     UNIX socket to fetch it from\n"
"\n"
"What to do with the payload:\n"
"  --verify pattern[:SEED]  compare each byte with what 'ncdevmem send' sends\n"
"  --expect SIZE      each connection must bring exactly that much\n"
"  --output FILE      write it to FILE, or to stdout if FILE is -\n"
"  --hold N           keep the tokens of the last N pieces of a connection\n"
"\n"
"Connections:\n"
"  -4, -6             IPv4 or IPv6 only\n"
"  --connections N    end after N connections (default 1; 0: go on for ever)\n"
"  --read SIZE        most bytes of one recvmsg() (default 1M)\n"
"  --pieces N         most pieces of one recvmsg() (default 256)\n"
"  --lowat SIZE       SO_RCVLOWAT: wake up when that much is there\n"
"\n"
"  --json             print one JSON object on stdout at the end\n"
"  -h, --help         this text\n"
"\n"
"Sizes take the suffixes K, M, G and T. Exit status: 0 all well, 1 failure,\n"
"2 usage, 3 a byte differs from the pattern.\n"
"\n"
"Examples:\n"
"  ncdevmem listen --dev nsd0 --queues 0-3 --verify pattern 5201\n"
"  ncdevmem listen --dev nsd0 --output - 5201 | tar x\n"
"  ncdevmem listen --via copy --verify pattern 5201\n"
"  ncdevmem listen --binding /run/nd.sock fe80::1%nsd0 5201\n";

enum {
	ND_OPT_BINDING = ND_OPT_PRIVATE,
	ND_OPT_VERIFY,
	ND_OPT_EXPECT,
	ND_OPT_OUTPUT,
	ND_OPT_HOLD,
	ND_OPT_CONNECTIONS,
	ND_OPT_READ,
	ND_OPT_PIECES,
	ND_OPT_LOWAT,
	ND_OPT_JSON,
};

static const struct option nd_listen_long[] = {
	{ "dev",	required_argument, NULL, ND_OPT_DEV },
	{ "queues",	required_argument, NULL, ND_OPT_QUEUES },
	{ "buffer",	required_argument, NULL, ND_OPT_BUFFER },
	{ "size",	required_argument, NULL, ND_OPT_SIZE },
	{ "chunk",	required_argument, NULL, ND_OPT_CHUNK },
	{ "via",	required_argument, NULL, ND_OPT_VIA },
	{ "binding",	required_argument, NULL, ND_OPT_BINDING },
	{ "verify",	required_argument, NULL, ND_OPT_VERIFY },
	{ "expect",	required_argument, NULL, ND_OPT_EXPECT },
	{ "output",	required_argument, NULL, ND_OPT_OUTPUT },
	{ "hold",	required_argument, NULL, ND_OPT_HOLD },
	{ "connections", required_argument, NULL, ND_OPT_CONNECTIONS },
	{ "read",	required_argument, NULL, ND_OPT_READ },
	{ "pieces",	required_argument, NULL, ND_OPT_PIECES },
	{ "lowat",	required_argument, NULL, ND_OPT_LOWAT },
	{ "json",	no_argument, NULL, ND_OPT_JSON },
	{ "help",	no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

struct nd_listen_opts {
	struct nd_binding_opts bind;
	const char *binding;
	const char *output;
	const char *host;
	const char *port;
	bool bind_given;
	bool verify;
	bool json;
	int family;
	uint64_t seed;
	uint64_t hold;
	uint64_t connections;
	uint64_t read;
	uint64_t pieces;
	uint64_t lowat;
	uint64_t expect;
};

/* A connection and its thread. */
struct nd_conn {
	struct nd_rx rx;
	pthread_t thread;
	atomic_bool done;
	int donefd;		/* eventfd: look at @done of all */
	struct nd_conn *next;
};

struct nd_listener {
	struct nd_rx_config cfg;
	struct nd_binding binding;
	struct nd_report report;
	struct nd_conn *conns;
	atomic_bool stop;
	uint64_t connections;	/* to accept in all, 0: no limit */
	uint64_t accepted;
	unsigned int active;
	bool accept_failed;
	struct nd_acceptor acceptor;
	int sigfd;
	int donefd;
};

/* Threads at a time; more connections wait in the backlog. */
#define ND_MAX_ACTIVE	1024
#define ND_OTHER_FDS	64	/* what else we may have open */
#define ND_PROGRESS_MS	250
#define ND_HELP_WANTED	(-1)

static int nd_listen_option(struct nd_listen_opts *o, int opt, const char *arg)
{
	switch (opt) {
	case '4':
		o->family = AF_INET;
		return ND_OK;
	case '6':
		o->family = AF_INET6;
		return ND_OK;
	case 'h':
		return ND_HELP_WANTED;
	case ND_OPT_BINDING:
		o->binding = arg;
		return ND_OK;
	case ND_OPT_VERIFY:
		o->verify = true;
		return nd_parse_pattern("--verify", arg, &o->seed);
	case ND_OPT_EXPECT:
		return nd_parse_size("--expect", arg, 0, UINT64_MAX - 1,
				     &o->expect);
	case ND_OPT_OUTPUT:
		o->output = arg;
		return ND_OK;
	case ND_OPT_HOLD:
		return nd_parse_uint("--hold", arg, 0, DEVMEM_MAX_TOKENS,
				     &o->hold);
	case ND_OPT_CONNECTIONS:
		return nd_parse_uint("--connections", arg, 0, UINT64_MAX,
				     &o->connections);
	case ND_OPT_READ:
		return nd_parse_size("--read", arg, 1, 1 << 30, &o->read);
	case ND_OPT_PIECES:
		return nd_parse_uint("--pieces", arg, 1, 65536, &o->pieces);
	case ND_OPT_LOWAT:
		return nd_parse_size("--lowat", arg, 0, INT_MAX, &o->lowat);
	case ND_OPT_JSON:
		o->json = true;
		return ND_OK;
	case '?':
	case ':':
		return ND_USAGE;
	default:
		o->bind_given = true;
		return nd_binding_option(&o->bind, opt, arg);
	}
}

static int nd_listen_parse(struct nd_listen_opts *o, int argc, char **argv)
{
	int opt, ret;

	nd_binding_defaults(&o->bind);
	while ((opt = getopt_long(argc, argv, "46h", nd_listen_long,
				  NULL)) != -1) {
		ret = nd_listen_option(o, opt, optarg);
		if (ret)
			return ret;
	}

	if (argc - optind < 1 || argc - optind > 2)
		return nd_usage("listen takes [ADDR] PORT; see ncdevmem listen --help");
	o->port = argv[argc - 1];
	o->host = argc - optind == 2 ? argv[optind] : NULL;

	if (o->binding && o->bind_given)
		return nd_usage("--binding excludes --via, --dev, --queues, --buffer, --size and --chunk");
	if (!o->binding && !o->bind.dev &&
	    o->bind.via != DEVMEM_VIA_AUTO && o->bind.via != DEVMEM_VIA_COPY)
		return nd_usage("--dev IFNAME, --binding PATH or --via copy is needed");
	if (o->output && o->connections != 1)
		return nd_usage("--output takes one connection, not %llu",
				(unsigned long long)o->connections);
	if (o->output && !strcmp(o->output, "-") && o->json)
		return nd_usage("--output - and --json both want stdout");
	return nd_parse_port(o->port, 0);
}

static void *nd_conn_thread(void *arg)
{
	struct nd_conn *conn = arg;
	uint64_t one = 1;
	ssize_t ret;

	nd_receive(&conn->rx);
	atomic_store(&conn->done, true);
	do {
		ret = write(conn->donefd, &one, sizeof(one));
	} while (ret < 0 && errno == EINTR);
	return NULL;
}

static void nd_conn_start(struct nd_listener *l, int sock,
			  const struct sockaddr *sa, socklen_t len)
{
	struct nd_conn *conn = calloc(1, sizeof(*conn));
	int ret = ENOMEM;

	if (conn) {
		conn->rx.cfg = &l->cfg;
		conn->rx.sock = sock;
		conn->donefd = l->donefd;
		nd_addr_text(conn->rx.peer, sa, len);
		ret = pthread_create(&conn->thread, NULL, nd_conn_thread, conn);
	}
	if (ret) {
		nd_err("a connection is lost: no thread for it: %s",
		       strerror(ret));
		free(conn);
		close(sock);
		l->report.ret = ND_FAIL;
		nd_acceptor_pause(&l->acceptor);
		return;
	}
	conn->next = l->conns;
	l->conns = conn;
	l->active++;
}

static void nd_accept(struct nd_listener *l)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int sock;

	sock = nd_acceptor_take(&l->acceptor, (struct sockaddr *)&ss, &len);
	if (sock == -EAGAIN)
		return;
	if (sock < 0) {
		l->report.ret = ND_FAIL;
		l->accept_failed = true;
		return;
	}
	if (!l->accepted++)
		l->report.begin = nd_now();
	nd_conn_start(l, sock, (struct sockaddr *)&ss, len);
}

static void nd_reap(struct nd_listener *l)
{
	struct nd_conn **p = &l->conns, *conn;
	uint64_t count;

	if (read(l->donefd, &count, sizeof(count)) < 0)
		return;
	while ((conn = *p)) {
		if (!atomic_load(&conn->done)) {
			p = &conn->next;
			continue;
		}
		pthread_join(conn->thread, NULL);
		nd_report_add(&l->report, &conn->rx);
		*p = conn->next;
		free(conn);
		l->active--;
		nd_acceptor_resume(&l->acceptor);
	}
}

static void nd_stop(struct nd_listener *l)
{
	uint64_t one = 1;

	l->report.interrupted = true;
	atomic_store(&l->stop, true);
	if (write(l->cfg.stopfd, &one, sizeof(one)) < 0)
		nd_err("eventfd: %s", strerror(errno));
}

static void nd_progress(const struct nd_listener *l)
{
	uint64_t bytes = l->report.sum.placed + l->report.sum.fallback;
	const struct nd_conn *conn;

	if (!l->accepted)
		return;
	for (conn = l->conns; conn; conn = conn->next)
		bytes += atomic_load_explicit(&conn->rx.progress,
					      memory_order_relaxed);
	nd_report_progress(&l->report, bytes, l->active);
}

static bool nd_accepting(const struct nd_listener *l)
{
	return !l->accept_failed && !atomic_load(&l->stop) &&
	       (!l->connections || l->accepted < l->connections);
}

static void nd_serve(struct nd_listener *l)
{
	bool tty = isatty(STDERR_FILENO);
	struct pollfd pfd[] = {
		{ .fd = l->donefd, .events = POLLIN },
		{ .fd = l->sigfd, .events = POLLIN },
		{ .fd = -1, .events = POLLIN },
	};
	int timeout;

	while (l->active || nd_accepting(l)) {
		/* poll() skips negative numbers. */
		pfd[2].fd = nd_accepting(l) && l->active < ND_MAX_ACTIVE ?
			    nd_acceptor_fd(&l->acceptor) : -1;
		pfd[2].revents = 0;
		timeout = nd_acceptor_timeout(&l->acceptor);
		if (tty && (timeout < 0 || timeout > ND_PROGRESS_MS))
			timeout = ND_PROGRESS_MS;
		if (poll(pfd, ARRAY_SIZE(pfd), timeout) < 0)
			continue;
		if (pfd[1].revents && nd_signalled(l->sigfd))
			nd_stop(l);
		if (pfd[0].revents)
			nd_reap(l);
		if (pfd[2].revents && nd_accepting(l))
			nd_accept(l);
		if (tty)
			nd_progress(l);
	}
	l->report.connections = l->accepted;
}

/* Also tells which port it is if 0 was asked for. */
static void nd_say_listening(const struct nd_listener *l)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	char text[ND_ADDR_LEN] = "?", binding[128];

	if (!getsockname(l->acceptor.sock, (struct sockaddr *)&ss, &len))
		nd_addr_text(text, (struct sockaddr *)&ss, len);
	nd_err("listening on %s, %s", text,
	       nd_binding_text(&l->binding, binding, sizeof(binding)));
}

static int nd_listen_output(struct nd_rx_config *cfg, const char *output)
{
	if (!output)
		return ND_OK;
	if (!strcmp(output, "-")) {
		cfg->output = STDOUT_FILENO;
		return ND_OK;
	}
	cfg->output = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
			   0666);
	if (cfg->output >= 0)
		return ND_OK;
	nd_err("--output %s: %s", output, strerror(errno));
	return ND_FAIL;
}

/* The soft limit is there for programs that use select(). */
static void nd_listen_room(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) ||
	    rl.rlim_cur >= ND_MAX_ACTIVE + ND_OTHER_FDS)
		return;
	rl.rlim_cur = ND_MAX_ACTIVE + ND_OTHER_FDS;
	if (rl.rlim_cur > rl.rlim_max)
		rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
}

static int nd_listen_setup(struct nd_listener *l,
			   const struct nd_listen_opts *o)
{
	struct nd_rx_config *cfg = &l->cfg;
	void *map;
	int ret;

	nd_listen_room();
	l->donefd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	cfg->stopfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->donefd < 0 || cfg->stopfd < 0) {
		nd_err("eventfd: %s", strerror(errno));
		return ND_FAIL;
	}
	ret = nd_listen_output(cfg, o->output);
	if (ret)
		return ret;
	ret = o->binding ? nd_binding_fetch(&l->binding, o->binding)
			 : nd_binding_make(&l->binding, &o->bind);
	if (ret)
		return ret;
	if (cfg->verify || cfg->output >= 0) {
		if (devmem_buf_map(l->binding.buf, &map, 0)) {
			nd_err("%s", devmem_error());
			return ND_FAIL;
		}
		cfg->map = map;
	}
	l->acceptor.sock = nd_addr_listen(o->family, o->host, o->port);
	if (l->acceptor.sock < 0)
		return ND_FAIL;
	if (fcntl(l->acceptor.sock, F_SETFL, O_NONBLOCK)) {
		nd_err("O_NONBLOCK: %s", strerror(errno));
		return ND_FAIL;
	}
	ret = nd_signals(&l->sigfd);
	if (ret)
		return ret;
	nd_say_listening(l);
	return ND_OK;
}

static void nd_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

int nd_listen(int argc, char **argv)
{
	struct nd_listen_opts o = {
		.connections = 1,
		.read = 1 << 20,
		.pieces = 256,
		.expect = ND_EXPECT_ANY,
	};
	struct nd_listener l = {
		.acceptor.sock = -1,
		.sigfd = -1,
		.donefd = -1,
	};
	int ret;

	ret = nd_listen_parse(&o, argc, argv);
	if (ret == ND_HELP_WANTED)
		return nd_help(nd_listen_help);
	if (ret)
		return ret;

	l.connections = o.connections;
	l.cfg = (struct nd_rx_config) {
		.binding = &l.binding,
		.verify = o.verify,
		.seed = o.seed,
		.expect = o.expect,
		.output = -1,
		.hold = (unsigned int)o.hold,
		.pieces = (unsigned int)o.pieces,
		.read_size = o.read,
		.lowat = (int)o.lowat,
		.stopfd = -1,
		.stop = &l.stop,
	};
	ret = nd_listen_setup(&l, &o);
	if (!ret) {
		nd_serve(&l);
		ret = nd_report_print(&l.report, &l.cfg, o.json);
	}

	nd_binding_free(&l.binding);
	nd_close(l.acceptor.sock);
	nd_close(l.donefd);
	nd_close(l.sigfd);
	nd_close(l.cfg.stopfd);
	if (l.cfg.output != STDOUT_FILENO)
		nd_close(l.cfg.output);
	return ret;
}
