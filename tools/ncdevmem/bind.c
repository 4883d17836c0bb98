// SPDX-License-Identifier: GPL-2.0
/*
 * Owns "ncdevmem bind": hold a binding and hand its dma-buf to other
 * processes. Must not know about TCP connections.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ncdevmem.h"

static const char nd_bind_help[] =
"Usage: ncdevmem bind [options] --dev IFNAME\n"
"Bind a buffer to rx queues (CAP_NET_ADMIN) and hold it for other processes\n"
"until a signal arrives.\n"
"\n"
"  --dev IFNAME       device\n"
"  --queues LIST      its rx queues, as 0,2,4-7 (default 0)\n"
"  --buffer KIND      heap, udmabuf (4 KiB pages), hugetlb or gpu\n"
"                     (default heap)\n"
"  --size SIZE        of the buffer (default 64M)\n"
"  --chunk SIZE       power of two, 4K to 2M (default: the kernel's choice)\n"
"  --socket PATH      UNIX socket that hands the dma-buf and the binding's id\n"
"                     to whoever connects, as 'ncdevmem listen --binding PATH'\n"
"  --mode OCTAL       permissions of PATH (default 0600): who may connect may\n"
"                     receive into the buffer, and read all of it\n"
"  --json             describe the binding as one JSON object, at the start\n"
"  -h, --help         this text\n"
"\n"
"The first line on stdout is the binding's id. Exit status: 0 ended by a\n"
"signal, 1 failure, 2 usage.\n"
"\n"
"Example:\n"
"  ncdevmem bind --dev nsd0 --queues 0-3 --socket /run/nd.sock --mode 0660\n";

enum {
	ND_OPT_SOCKET = ND_OPT_PRIVATE,
	ND_OPT_MODE,
	ND_OPT_JSON,
};

static const struct option nd_bind_long[] = {
	{ "dev",	required_argument, NULL, ND_OPT_DEV },
	{ "queues",	required_argument, NULL, ND_OPT_QUEUES },
	{ "buffer",	required_argument, NULL, ND_OPT_BUFFER },
	{ "size",	required_argument, NULL, ND_OPT_SIZE },
	{ "chunk",	required_argument, NULL, ND_OPT_CHUNK },
	{ "socket",	required_argument, NULL, ND_OPT_SOCKET },
	{ "mode",	required_argument, NULL, ND_OPT_MODE },
	{ "json",	no_argument, NULL, ND_OPT_JSON },
	{ "help",	no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

struct nd_bind_opts {
	struct nd_binding_opts bind;
	const char *socket;
	mode_t mode;
	bool json;
};

#define ND_HELP_WANTED	(-1)

static int nd_bind_option(struct nd_bind_opts *o, int opt, const char *arg)
{
	unsigned long mode;
	char *end;

	switch (opt) {
	case 'h':
		return ND_HELP_WANTED;
	case ND_OPT_SOCKET:
		o->socket = arg;
		return ND_OK;
	case ND_OPT_MODE:
		mode = strtoul(arg, &end, 8);
		if (end == arg || *end || mode > 0777)
			return nd_usage("--mode '%s': must be octal, up to 0777",
					arg);
		o->mode = (mode_t)mode;
		return ND_OK;
	case ND_OPT_JSON:
		o->json = true;
		return ND_OK;
	case '?':
	case ':':
		return ND_USAGE;
	default:
		return nd_binding_option(&o->bind, opt, arg);
	}
}

static int nd_bind_parse(struct nd_bind_opts *o, int argc, char **argv)
{
	int opt, ret;

	nd_binding_defaults(&o->bind);
	while ((opt = getopt_long(argc, argv, "h", nd_bind_long,
				  NULL)) != -1) {
		ret = nd_bind_option(o, opt, optarg);
		if (ret)
			return ret;
	}
	if (argc != optind)
		return nd_usage("'%s': bind takes options only; see ncdevmem bind --help",
				argv[optind]);
	if (!o->bind.dev)
		return nd_usage("--dev IFNAME is needed");
	return ND_OK;
}

/* A socket that nobody listens on is what a killed predecessor left. */
static void nd_unlink_stale(const struct sockaddr_un *sun)
{
	struct stat st;
	int fd;

	if (lstat(sun->sun_path, &st) || !S_ISSOCK(st.st_mode))
		return;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) &&
	    errno == ECONNREFUSED)
		unlink(sun->sun_path);
	close(fd);
}

static int nd_bind_socket(const char *path, mode_t mode)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	mode_t old;
	int fd, ret;

	if (strlen(path) >= sizeof(sun.sun_path)) {
		nd_err("--socket %s: path longer than %zu", path,
		       sizeof(sun.sun_path) - 1);
		return -1;
	}
	strcpy(sun.sun_path, path);

	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		nd_err("--socket %s: %s", path, strerror(errno));
		return -1;
	}
	nd_unlink_stale(&sun);

	/* Never wider than asked for, not even for a moment. */
	old = umask(0777 & ~mode);
	ret = bind(fd, (struct sockaddr *)&sun, sizeof(sun));
	umask(old);
	if (ret) {
		nd_err("--socket %s: %s", path, strerror(errno));
		close(fd);
		return -1;
	}
	if (listen(fd, 128)) {
		nd_err("--socket %s: %s", path, strerror(errno));
		unlink(path);
		close(fd);
		return -1;
	}
	return fd;
}

static int nd_bind_say(const struct nd_binding *b, bool json)
{
	struct nd_json j = { .f = stdout };

	if (json) {
		nd_json_open(&j, NULL, '{');
		nd_binding_json(b, &j);
		nd_json_close(&j, '}');
		putchar('\n');
	} else {
		printf("%u\n", b->id);
	}
	if (!fflush(stdout) && !ferror(stdout))
		return ND_OK;
	nd_err("stdout: write error");
	return ND_FAIL;
}

static void nd_bind_hand_out(const struct nd_binding *b, int sock)
{
	int conn, ret;

	conn = accept(sock, NULL, NULL);
	if (conn < 0)
		return;
	ret = nd_binding_hand_out(b, conn);
	/* Somebody who only looks whether we are here goes at once. */
	if (ret && ret != -EPIPE && ret != -ECONNRESET)
		nd_err("handing out the dma-buf: %s", strerror(-ret));
	close(conn);
}

/* Until a signal, or until the binding is no more. */
static int nd_bind_serve(const struct nd_binding *b, int sock, int sigfd)
{
	struct devmem_event ev;
	struct pollfd pfd[] = {
		{ .fd = sigfd, .events = POLLIN },
		{ .fd = sock, .events = POLLIN },	/* may be -1 */
		{ .fd = -1, .events = POLLIN },
	};

	if (devmem_nl_subscribe(b->nl, 0)) {
		nd_err("%s", devmem_error());
		return ND_FAIL;
	}
	pfd[2].fd = devmem_nl_event_fd(b->nl);

	for (;;) {
		if (poll(pfd, ARRAY_SIZE(pfd), -1) < 0)
			continue;
		if (pfd[0].revents && nd_signalled(sigfd))
			return ND_OK;
		if (pfd[1].revents)
			nd_bind_hand_out(b, sock);
		if (!pfd[2].revents || devmem_nl_event(b->nl, &ev, 0, 0) ||
		    ev.info.id != b->id)
			continue;
		if (ev.cmd == NETDEV_DEVMEM_CMD_PRESSURE_NTF) {
			nd_err("binding %u: %u of %u chunks free", b->id,
			       ev.info.chunks_free, ev.info.chunks);
		} else if (ev.cmd == NETDEV_DEVMEM_CMD_UNBIND_NTF) {
			nd_err("binding %u: %s", b->id,
			       devmem_state_name(ev.info.state));
			if (ev.info.state == NETDEV_DEVMEM_STATE_CLOSING)
				return ND_FAIL;
		}
	}
}

int nd_bind(int argc, char **argv)
{
	struct nd_bind_opts o = { .mode = 0600 };
	int sigfd = -1, sock = -1, ret;
	struct nd_binding b = { .nl = NULL };

	ret = nd_bind_parse(&o, argc, argv);
	if (ret == ND_HELP_WANTED)
		return nd_help(nd_bind_help);
	if (ret)
		return ret;

	ret = nd_signals(&sigfd);
	if (ret)
		return ret;
	ret = nd_binding_make(&b, &o.bind);
	if (ret)
		goto out_signals;
	if (o.socket) {
		sock = nd_bind_socket(o.socket, o.mode);
		if (sock < 0) {
			ret = ND_FAIL;
			goto out_binding;
		}
	}
	ret = nd_bind_say(&b, o.json);
	if (!ret)
		ret = nd_bind_serve(&b, sock, sigfd);

	if (sock >= 0) {
		unlink(o.socket);
		close(sock);
	}
out_binding:
	nd_binding_free(&b);
out_signals:
	close(sigfd);
	return ret;
}
