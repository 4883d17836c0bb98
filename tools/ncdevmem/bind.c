// SPDX-License-Identifier: GPL-2.0
/*
 * Owns "ncdevmem bind": hold a binding and hand its dma-buf to other
 * processes. Must not know about TCP connections.
 */
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "ncdevmem.h"

static const char nd_bind_help[] =
"Usage: ncdevmem bind [options] --dev IFNAME\n"
"Bind a buffer to rx queues (CAP_NET_ADMIN) and hold it for other processes\n"
"until a signal arrives.\n"
"\n"
"  --dev IFNAME       device\n"
"  --via PATH         devmem (default), or kernel: by the kernel's own means; DEV is\n"
"                     set up for that meanwhile\n"
"  --queues LIST      its rx queues, as 0,2,4-7 (default 0; for kernel the last)\n"
"  --buffer KIND      heap, udmabuf (4 KiB pages), hugetlb or gpu\n"
"                     (default heap)\n"
"  --size SIZE        of the buffer (default 64M)\n"
"  --chunk SIZE       power of two, 4K to 2M (default: the kernel's choice)\n"
"  --socket PATH      UNIX socket that hands the dma-buf and the binding's id\n"
"                     to whoever connects, as 'ncdevmem listen --binding PATH'\n"
"  --group GROUP      group of PATH, by name or number (default: our own)\n"
"  --mode OCTAL       permissions of PATH (default 0600, with --group 0660)\n"
"  --json             describe the binding as one JSON object, at the start\n"
"  -h, --help         this text\n"
"\n"
"Who may connect to PATH may receive into the buffer, and read and change all\n"
"of it, also what others receive there: the kernel has no weaker right to a\n"
"dma-buf. Let in only those who trust each other; give others a binding of\n"
"their own.\n"
"\n"
"The first line on stdout is the binding's id. Exit status: 0 ended by a\n"
"signal, 1 failure, 2 usage.\n"
"\n"
"Example:\n"
"  ncdevmem bind --dev nsd0 --queues 0-3 --socket /run/nd.sock --group nd\n";

enum {
	ND_OPT_SOCKET = ND_OPT_PRIVATE,
	ND_OPT_GROUP,
	ND_OPT_MODE,
	ND_OPT_JSON,
};

static const struct option nd_bind_long[] = {
	{ "dev",	required_argument, NULL, ND_OPT_DEV },
	{ "queues",	required_argument, NULL, ND_OPT_QUEUES },
	{ "buffer",	required_argument, NULL, ND_OPT_BUFFER },
	{ "size",	required_argument, NULL, ND_OPT_SIZE },
	{ "chunk",	required_argument, NULL, ND_OPT_CHUNK },
	{ "via",	required_argument, NULL, ND_OPT_VIA },
	{ "socket",	required_argument, NULL, ND_OPT_SOCKET },
	{ "group",	required_argument, NULL, ND_OPT_GROUP },
	{ "mode",	required_argument, NULL, ND_OPT_MODE },
	{ "json",	no_argument, NULL, ND_OPT_JSON },
	{ "help",	no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

struct nd_bind_opts {
	struct nd_binding_opts bind;
	const char *socket;
	gid_t group;
	uint64_t mode;
	bool mode_given;
	bool json;
};

#define ND_HELP_WANTED	(-1)

/* A name, or a number. */
static int nd_bind_group(struct nd_bind_opts *o, const char *arg)
{
	const struct group *group;
	uint64_t gid;
	char *end;

	errno = 0;
	group = getgrnam(arg);
	if (group) {
		o->group = group->gr_gid;
		return ND_OK;
	}
	if (!nd_number(arg, 10, &gid, &end) || *end)
		return nd_usage("--group '%s': there is no such group", arg);
	if (gid >= ND_NO_GROUP)
		return nd_usage("--group '%s': not between 0 and %u", arg,
				ND_NO_GROUP - 1);
	o->group = (gid_t)gid;
	return ND_OK;
}

static int nd_bind_option(struct nd_bind_opts *o, int opt, const char *arg)
{
	switch (opt) {
	case 'h':
		return ND_HELP_WANTED;
	case ND_OPT_SOCKET:
		o->socket = arg;
		return ND_OK;
	case ND_OPT_GROUP:
		return nd_bind_group(o, arg);
	case ND_OPT_MODE:
		o->mode_given = true;
		return nd_parse_octal("--mode", arg, 0777, &o->mode);
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
	if (o->bind.via != DEVMEM_VIA_DEVMEM && o->bind.via != DEVMEM_VIA_KERNEL)
		return nd_usage("--via %s: there is no binding to hold on this path",
				devmem_via_name(o->bind.via));
	if (!o->socket && (o->mode_given || o->group != ND_NO_GROUP))
		return nd_usage("--group and --mode need --socket");
	if (!o->mode_given)
		o->mode = o->group == ND_NO_GROUP ? 0600 : 0660;
	return ND_OK;
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

static void nd_bind_hand_out(const struct nd_binding *b, int conn)
{
	int ret = nd_binding_hand_out(b, conn);

	/* Somebody who only looks whether we are here goes at once. */
	if (ret && ret != -EPIPE && ret != -ECONNRESET)
		nd_err("handing out the dma-buf: %s", strerror(-ret));
	close(conn);
}

/* Return: is the binding no more? */
static bool nd_bind_event(const struct nd_binding *b,
			  const struct devmem_event *ev)
{
	if (ev->info.id != b->id)
		return false;
	if (ev->cmd == NETDEV_DEVMEM_CMD_PRESSURE_NTF)
		nd_err("binding %u: %u of %u chunks free", b->id,
		       ev->info.chunks_free, ev->info.chunks);
	if (ev->cmd != NETDEV_DEVMEM_CMD_UNBIND_NTF)
		return false;
	nd_err("binding %u: %s", b->id, devmem_state_name(ev->info.state));
	return ev->info.state == NETDEV_DEVMEM_STATE_CLOSING;
}

/* Until a signal, or until the binding is no more. */
static int nd_bind_serve(const struct nd_binding *b, int sock, int sigfd)
{
	struct devmem_nl *nl = devmem_rx_nl(b->rx);
	struct nd_acceptor acceptor = { .sock = sock };	/* may be -1 */
	struct devmem_event ev;
	struct pollfd pfd[] = {
		{ .fd = sigfd, .events = POLLIN },
		{ .fd = nl ? devmem_nl_event_fd(nl) : -1, .events = POLLIN },
		{ .fd = -1, .events = POLLIN },
	};
	int ret;

	for (;;) {
		pfd[2].fd = nd_acceptor_fd(&acceptor);
		pfd[2].revents = 0;
		if (poll(pfd, ARRAY_SIZE(pfd),
			 nd_acceptor_timeout(&acceptor)) < 0)
			continue;
		if (pfd[0].revents && nd_signalled(sigfd))
			return ND_OK;
		if (pfd[1].revents) {
			ret = devmem_nl_event(nl, &ev, 0, 0);
			if (!ret && nd_bind_event(b, &ev))
				return ND_FAIL;
			if (ret && ret != -ETIMEDOUT && ret != -EINTR) {
				nd_err("%s", devmem_error());
				return ND_FAIL;
			}
		}
		if (pfd[2].revents) {
			ret = nd_acceptor_take(&acceptor, NULL, NULL);
			if (ret >= 0)
				nd_bind_hand_out(b, ret);
			else if (ret != -EAGAIN)
				return ND_FAIL;
		}
	}
}

int nd_bind(int argc, char **argv)
{
	struct nd_bind_opts o = { .group = ND_NO_GROUP };
	struct nd_unix sock = { .sock = -1 };
	struct nd_binding b = { .rx = NULL };
	int sigfd = -1, ret;

	ret = nd_bind_parse(&o, argc, argv);
	if (ret == ND_HELP_WANTED)
		return nd_help(nd_bind_help);
	if (ret)
		return ret;

	ret = nd_binding_make(&b, &o.bind);
	if (ret)
		return ret;
	ret = nd_signals(&sigfd);
	if (ret)
		goto out;
	if (devmem_rx_nl(b.rx) && devmem_nl_subscribe(devmem_rx_nl(b.rx), 0)) {
		nd_err("%s", devmem_error());
		ret = ND_FAIL;
		goto out;
	}
	if (o.socket) {
		sock.path = o.socket;
		sock.mode = (mode_t)o.mode;
		sock.group = o.group;
		ret = nd_unix_listen(&sock);
		if (ret)
			goto out;
	}
	ret = nd_bind_say(&b, o.json);
	if (!ret)
		ret = nd_bind_serve(&b, sock.sock, sigfd);
	nd_unix_close(&sock);
out:
	nd_binding_free(&b);
	if (sigfd >= 0)
		close(sigfd);
	return ret;
}
