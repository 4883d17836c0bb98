// SPDX-License-Identifier: GPL-2.0
/*
 * Owns "ncdevmem show": bindings and their counters, notifications, waiting
 * for a binding to end. Must not know how bindings are made.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <net/if.h>
#include <string.h>
#include <time.h>

#include "ncdevmem.h"

static const char nd_show_help[] =
"Usage: ncdevmem show [options]\n"
"Show bindings of device memory to network devices, and rx queues that have such\n"
"memory by the kernel's own means.\n"
"\n"
"  --dev IFNAME       only those on this device\n"
"  --id N             only this one, with all its counters\n"
"  --watch            print notifications as they come, until a signal\n"
"  --wait SECONDS     with --id: wait until its queues are free again\n"
"  --json             JSON: one object; with --watch one for each event\n"
"  -h, --help         this text\n"
"\n"
"Exit status: 0 all well, 1 failure (with --wait also: time is up), 2 usage.\n"
"\n"
"Examples:\n"
"  ncdevmem show --dev nsd0\n"
"  ncdevmem show --id 7 --json\n"
"  ncdevmem show --id 7 --wait 5\n";

enum {
	ND_OPT_ID = ND_OPT_PRIVATE,
	ND_OPT_WATCH,
	ND_OPT_WAIT,
	ND_OPT_JSON,
};

static const struct option nd_show_long[] = {
	{ "dev",	required_argument, NULL, ND_OPT_DEV },
	{ "id",		required_argument, NULL, ND_OPT_ID },
	{ "watch",	no_argument, NULL, ND_OPT_WATCH },
	{ "wait",	required_argument, NULL, ND_OPT_WAIT },
	{ "json",	no_argument, NULL, ND_OPT_JSON },
	{ "help",	no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

struct nd_show_opts {
	const char *dev;
	uint32_t ifindex;
	uint64_t id;
	uint64_t wait;
	bool wait_given;
	bool watch;
	bool json;
};

struct nd_show_state {
	struct nd_json j;
	bool header;
	bool queues;
};

/* Counters by name, in the order in which they are shown. */
static const struct {
	const char *name;
	size_t offset;
} nd_counters[] = {
#define ND_COUNTER(f) { #f, offsetof(struct devmem_bind_info, stats.f) }
	ND_COUNTER(placed_packets),
	ND_COUNTER(placed_bytes),
	ND_COUNTER(fallback_packets),
	ND_COUNTER(fallback_bytes),
	ND_COUNTER(fallback_exhausted),
	ND_COUNTER(fallback_nomem),
	ND_COUNTER(fallback_header),
	ND_COUNTER(fallback_route),
	ND_COUNTER(fallback_inactive),
	ND_COUNTER(fallback_again),
	ND_COUNTER(fallback_sequence),
	ND_COUNTER(fallback_paused),
	ND_COUNTER(urg_cleared),
	ND_COUNTER(forward_drops),
	ND_COUNTER(pressure),
#undef ND_COUNTER
};

#define ND_HELP_WANTED	(-1)

static uint64_t nd_counter(const struct devmem_bind_info *info, unsigned int i)
{
	uint64_t v;

	memcpy(&v, (const char *)info + nd_counters[i].offset, sizeof(v));
	return v;
}

static int nd_show_option(struct nd_show_opts *o, int opt, const char *arg)
{
	switch (opt) {
	case 'h':
		return ND_HELP_WANTED;
	case ND_OPT_DEV:
		o->dev = arg;
		return ND_OK;
	case ND_OPT_ID:
		return nd_parse_uint("--id", arg, 1, UINT32_MAX, &o->id);
	case ND_OPT_WATCH:
		o->watch = true;
		return ND_OK;
	case ND_OPT_WAIT:
		o->wait_given = true;
		return nd_parse_uint("--wait", arg, 0, 86400, &o->wait);
	case ND_OPT_JSON:
		o->json = true;
		return ND_OK;
	default:
		return ND_USAGE;
	}
}

static int nd_show_parse(struct nd_show_opts *o, int argc, char **argv)
{
	int opt, ret;

	while ((opt = getopt_long(argc, argv, "h", nd_show_long,
				  NULL)) != -1) {
		ret = nd_show_option(o, opt, optarg);
		if (ret)
			return ret;
	}
	if (argc != optind)
		return nd_usage("'%s': show takes options only; see ncdevmem show --help",
				argv[optind]);
	if (o->wait_given && !o->id)
		return nd_usage("--wait needs --id");
	if (o->watch && o->wait_given)
		return nd_usage("--watch and --wait exclude each other");
	if (!o->dev)
		return ND_OK;
	o->ifindex = if_nametoindex(o->dev);
	if (o->ifindex)
		return ND_OK;
	nd_err("--dev %s: %s", o->dev, strerror(errno));
	return ND_FAIL;
}

static const char *nd_show_dev(char name[IF_NAMESIZE],
			       const struct devmem_bind_info *info)
{
	if (!if_indextoname(info->ifindex, name))
		snprintf(name, IF_NAMESIZE, info->ifindex ? "if%u" : "-",
			 info->ifindex);
	return name;
}

/* 0,2,4-7 */
static const char *nd_show_queues(char *text, size_t size,
				  const struct devmem_bind_info *info)
{
	unsigned int nr = info->nr_queues, i, last;
	size_t len = 0;

	if (nr > DEVMEM_BIND_QUEUES)
		nr = DEVMEM_BIND_QUEUES;
	snprintf(text, size, "-");
	for (i = 0; i < nr && len < size; i = last + 1) {
		for (last = i; last + 1 < nr &&
		     info->queues[last + 1] == info->queues[last] + 1; last++)
			;
		len += (size_t)snprintf(text + len, size - len,
					last > i ? "%s%u-%u" : "%s%u",
					i ? "," : "", info->queues[i],
					info->queues[last]);
	}
	return text;
}

static void nd_show_json(struct nd_json *j, const char *name,
			 const struct devmem_bind_info *info)
{
	char dev[IF_NAMESIZE];
	unsigned int i;

	nd_json_open(j, name, '{');
	nd_json_uint(j, "id", info->id);
	nd_json_uint(j, "ifindex", info->ifindex);
	nd_json_string(j, "dev", nd_show_dev(dev, info));
	nd_json_open(j, "queues", '[');
	for (i = 0; i < info->nr_queues && i < DEVMEM_BIND_QUEUES; i++)
		nd_json_uint(j, NULL, info->queues[i]);
	nd_json_close(j, ']');
	nd_json_string(j, "state", devmem_state_name(info->state));
	nd_json_uint(j, "size", info->size);
	nd_json_uint(j, "chunk_size", info->chunk_size);
	nd_json_uint(j, "chunks", info->chunks);
	nd_json_uint(j, "chunks_free", info->chunks_free);
	nd_json_uint(j, "flows", info->flows);
	nd_json_uint(j, "pid", info->pid);
	nd_json_string(j, "comm", info->comm);
	nd_json_open(j, "stats", '{');
	for (i = 0; i < ARRAY_SIZE(nd_counters); i++)
		nd_json_uint(j, nd_counters[i].name, nd_counter(info, i));
	nd_json_close(j, '}');
	nd_json_close(j, '}');
}

/* Names of processes may contain anything. */
static const char *nd_show_comm(char text[DEVMEM_COMM_LEN],
				const struct devmem_bind_info *info)
{
	unsigned int i;

	for (i = 0; i < DEVMEM_COMM_LEN - 1 && info->comm[i]; i++)
		if (info->comm[i] < ' ' || info->comm[i] > '~')
			text[i] = '?';
		else
			text[i] = info->comm[i];
	text[i] = '\0';
	return i ? text : "-";
}

static int nd_show_row(const struct devmem_bind_info *info, void *arg)
{
	char dev[IF_NAMESIZE], queues[64], comm[DEVMEM_COMM_LEN];
	char size[ND_BYTES_LEN], chunk[ND_BYTES_LEN];
	char placed[ND_BYTES_LEN], fallback[ND_BYTES_LEN];
	struct nd_show_state *s = arg;

	if (!s->header)
		printf("%-5s %-10s %-10s %-8s %10s %10s %13s %5s %7s %-15s %10s %10s\n",
		       "ID", "DEV", "QUEUES", "STATE", "SIZE", "CHUNK",
		       "FREE", "FLOWS", "PID", "COMMAND", "PLACED",
		       "FALLBACK");
	s->header = true;
	printf("%-5u %-10s %-10s %-8s %10s %10s %6u/%-6u %5u %7u %-15s %10s %10s\n",
	       info->id, nd_show_dev(dev, info),
	       nd_show_queues(queues, sizeof(queues), info),
	       devmem_state_name(info->state), nd_bytes(size, info->size),
	       nd_bytes(chunk, info->chunk_size), info->chunks_free,
	       info->chunks, info->flows, info->pid, nd_show_comm(comm, info),
	       nd_bytes(placed, info->stats.placed_bytes),
	       nd_bytes(fallback, info->stats.fallback_bytes));
	return 0;
}

static int nd_show_element(const struct devmem_bind_info *info, void *arg)
{
	struct nd_show_state *s = arg;

	nd_show_json(&s->j, NULL, info);
	return 0;
}

static const char *nd_show_provider(const struct devmem_queue_info *info)
{
	return info->io_uring ? "zcrx" : "kernel";
}

static int nd_show_queue_row(const struct devmem_queue_info *info, void *arg)
{
	const struct devmem_bind_info dev = { .ifindex = info->ifindex };
	struct nd_show_state *s = arg;
	char name[IF_NAMESIZE];

	if (!s->queues)
		printf("%s%-10s %-6s %-8s %s\n", s->header ? "\n" : "", "DEV", "QUEUE", "VIA",
		       "ID");
	s->queues = true;
	printf("%-10s %-6u %-8s ", nd_show_dev(name, &dev), info->queue, nd_show_provider(info));
	if (info->binding_id)
		printf("%u\n", info->binding_id);
	else
		puts("-");
	return 0;
}

static int nd_show_queue_element(const struct devmem_queue_info *info, void *arg)
{
	const struct devmem_bind_info dev = { .ifindex = info->ifindex };
	struct nd_show_state *s = arg;
	char name[IF_NAMESIZE];

	nd_json_open(&s->j, NULL, '{');
	nd_json_uint(&s->j, "ifindex", info->ifindex);
	nd_json_string(&s->j, "dev", nd_show_dev(name, &dev));
	nd_json_uint(&s->j, "queue", info->queue);
	nd_json_string(&s->j, "via", nd_show_provider(info));
	if (info->binding_id)
		nd_json_uint(&s->j, "id", info->binding_id);
	else
		nd_json_null(&s->j, "id");
	nd_json_close(&s->j, '}');
	return 0;
}

/* A machine without net/devmem (@nl is NULL) may have the others, and the other way
 * round.
 */
static int nd_show_all(struct devmem_nl *nl, const struct nd_show_opts *o)
{
	struct nd_show_state s = { .j.f = stdout };
	int ret = 0, queues;

	if (o->json) {
		nd_json_open(&s.j, NULL, '{');
		nd_json_open(&s.j, "bindings", '[');
	}
	if (nl)
		ret = devmem_bind_dump(nl, o->ifindex,
				       o->json ? nd_show_element : nd_show_row, &s, 0);
	if (o->json) {
		nd_json_close(&s.j, ']');
		nd_json_open(&s.j, "queues", '[');
	}
	queues = ret ? 0 : devmem_queue_dump(o->ifindex, o->json ? nd_show_queue_element :
							nd_show_queue_row, &s, 0);
	if (o->json) {
		nd_json_close(&s.j, ']');
		nd_json_close(&s.j, '}');
		putchar('\n');
	}
	if (nl && (queues == -ENOENT || queues == -EOPNOTSUPP))
		return ret;
	return ret ? ret : queues;
}

static int nd_show_one(struct devmem_nl *nl, const struct nd_show_opts *o)
{
	struct nd_show_state s = { .j.f = stdout };
	struct devmem_bind_info info;
	unsigned int i;
	int ret;

	ret = devmem_bind_get(nl, (uint32_t)o->id, &info, 0);
	if (ret)
		return ret;
	if (o->json) {
		nd_show_json(&s.j, NULL, &info);
		putchar('\n');
		return 0;
	}
	nd_show_row(&info, &s);
	for (i = 0; i < ARRAY_SIZE(nd_counters); i++)
		printf("  %-20s %" PRIu64 "\n", nd_counters[i].name,
		       nd_counter(&info, i));
	return 0;
}

static const char *nd_show_event_name(uint8_t cmd)
{
	switch (cmd) {
	case NETDEV_DEVMEM_CMD_BIND_NTF:
		return "bind";
	case NETDEV_DEVMEM_CMD_UNBIND_NTF:
		return "unbind";
	case NETDEV_DEVMEM_CMD_PRESSURE_NTF:
		return "pressure";
	default:
		return "unknown";
	}
}

static void nd_show_event(const struct devmem_event *ev, bool json)
{
	struct nd_json j = { .f = stdout };
	char dev[IF_NAMESIZE], queues[64], comm[DEVMEM_COMM_LEN], when[16];
	time_t now = time(NULL);
	struct tm tm;

	if (json) {
		nd_json_open(&j, NULL, '{');
		nd_json_string(&j, "event", nd_show_event_name(ev->cmd));
		nd_show_json(&j, "binding", &ev->info);
		nd_json_close(&j, '}');
		putchar('\n');
		return;
	}
	if (!localtime_r(&now, &tm) ||
	    !strftime(when, sizeof(when), "%H:%M:%S", &tm))
		when[0] = '\0';
	printf("%s %-8s id %u dev %s queues %s state %s free %u/%u (%s)\n",
	       when, nd_show_event_name(ev->cmd), ev->info.id,
	       nd_show_dev(dev, &ev->info),
	       nd_show_queues(queues, sizeof(queues), &ev->info),
	       devmem_state_name(ev->info.state), ev->info.chunks_free,
	       ev->info.chunks, nd_show_comm(comm, &ev->info));
}

static int nd_show_watch(struct devmem_nl *nl, const struct nd_show_opts *o)
{
	struct devmem_event ev;
	int ret;

	ret = devmem_nl_subscribe(nl, 0);
	if (ret)
		return ret;
	for (;;) {
		ret = devmem_nl_event(nl, &ev, -1, 0);
		if (ret == -EINTR)
			continue;
		if (ret)
			return ret;
		if ((o->ifindex && ev.info.ifindex != o->ifindex) ||
		    (o->id && ev.info.id != o->id))
			continue;
		nd_show_event(&ev, o->json);
		if (fflush(stdout))
			return 0;
	}
}

static int nd_show_asked(struct devmem_nl *nl, const struct nd_show_opts *o)
{
	if (o->wait_given)
		return devmem_nl_wait(nl, (uint32_t)o->id, (int)o->wait * 1000, 0);
	return o->watch ? nd_show_watch(nl, o) : nd_show_one(nl, o);
}

int nd_show(int argc, char **argv)
{
	struct nd_show_opts o = { .dev = NULL };
	struct devmem_nl *nl;
	bool all;
	int ret;

	ret = nd_show_parse(&o, argc, argv);
	if (ret == ND_HELP_WANTED)
		return nd_help(nd_show_help);
	if (ret)
		return ret;

	all = !o.wait_given && !o.watch && !o.id;
	ret = devmem_nl_open(&nl, 0);
	if (ret) {
		nd_err("%s", devmem_error());
		nl = NULL;
	}
	if (all)
		ret = nd_show_all(nl, &o);
	else if (!ret)
		ret = nd_show_asked(nl, &o);
	if (ret && (nl || all))
		nd_err("%s", devmem_error());
	devmem_nl_close(nl);
	if (fflush(stdout) || ferror(stdout)) {
		nd_err("stdout: write error");
		return ND_FAIL;
	}
	return ret ? ND_FAIL : ND_OK;
}
