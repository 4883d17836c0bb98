// SPDX-License-Identifier: GPL-2.0
/*
 * Owns "ncdevmem doctor": what this machine, kernel and device can do for a receiver, a
 * row for each, and what to do about what is missing. Changes nothing. Must not know how
 * anything is received.
 */
#include <errno.h>
#include <getopt.h>
#include <libmnl/libmnl.h>
#include <linux/capability.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "ncdevmem.h"

static const char nd_doctor_help[] =
"Usage: ncdevmem doctor [options] [DEV]\n"
"Say what this machine can do for a receiver, through the device DEV if there is\n"
"one, and what to do about what is missing. Changes nothing.\n"
"\n"
"  --json      print one JSON object\n"
"  -h, --help  this text\n"
"\n"
"Exit status: 0 payload can be placed in device memory through DEV, or DEV was\n"
"not given, 1 it cannot, 2 usage.\n"
"\n"
"Example:\n"
"  ncdevmem doctor nsd0\n";

enum { ND_OPT_JSON = ND_OPT_PRIVATE };

static const struct option nd_doctor_long[] = {
	{ "json",	no_argument, NULL, ND_OPT_JSON },
	{ "help",	no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* Small enough for any machine, and in whole pages of each kind. */
#define ND_TRIED_SIZE	(2U << 20)

enum nd_finding { ND_GOOD, ND_BAD, ND_NOTE };

static const char * const nd_finding_names[] = {
	[ND_GOOD] = "ok",
	[ND_BAD] = "no",
	[ND_NOTE] = "note",
};

struct nd_doctor {
	struct nd_json json;
	bool as_json;
	const char *dev;
	unsigned int ifindex;
};

static void nd_row(struct nd_doctor *d, const char *what, enum nd_finding finding,
		   const char *fmt, ...) __attribute__((format(printf, 4, 5)));

static void nd_row(struct nd_doctor *d, const char *what, enum nd_finding finding,
		   const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!d->as_json) {
		printf("%-16s %-5s %s\n", what, nd_finding_names[finding], text);
		return;
	}
	nd_json_open(&d->json, NULL, '{');
	nd_json_string(&d->json, "what", what);
	nd_json_string(&d->json, "finding", nd_finding_names[finding]);
	nd_json_string(&d->json, "text", text);
	nd_json_close(&d->json, '}');
}

static bool nd_net_admin(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	return !syscall(SYS_capget, &head, data) &&
	       data[0].effective & 1U << CAP_NET_ADMIN;
}

static void nd_doctor_machine(struct nd_doctor *d)
{
	struct utsname name;

	if (!uname(&name))
		nd_row(d, "kernel", ND_NOTE, "%s %s", name.release, name.machine);
	if (nd_net_admin())
		nd_row(d, "privilege", ND_GOOD, "CAP_NET_ADMIN: may bind");
	else
		nd_row(d, "privilege", ND_BAD,
		       "CAP_NET_ADMIN is missing: receives into bindings of others only ('ncdevmem bind --socket'), or by copying");
}

static void nd_doctor_memory(struct nd_doctor *d)
{
	static const enum devmem_buf_kind kinds[] = {
		DEVMEM_BUF_HEAP, DEVMEM_BUF_UDMABUF, DEVMEM_BUF_HUGETLB, DEVMEM_BUF_GPU,
		DEVMEM_BUF_HOST,
	};
	struct devmem_buf *buf;
	char what[32];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		snprintf(what, sizeof(what), "memory %s", devmem_buf_kind_name(kinds[i]));
		if (devmem_buf_alloc(&buf, kinds[i], ND_TRIED_SIZE, 0)) {
			nd_row(d, what, ND_BAD, "%s", devmem_error());
			continue;
		}
		nd_row(d, what, ND_GOOD, "%s", kinds[i] == DEVMEM_BUF_HOST ?
		       "for the path copy only" : "can be had");
		devmem_buf_free(buf);
	}
}

/* What rtnetlink says of the device. */
struct nd_link {
	uint32_t gro;
	uint32_t gro_ipv4;
	uint32_t mtu;
	uint32_t rx_queues;
};

static int nd_link_attr(const struct nlattr *attr, void *arg)
{
	struct nd_link *link = arg;

	switch (mnl_attr_get_type(attr)) {
	case IFLA_MTU:
		link->mtu = mnl_attr_get_u32(attr);
		break;
	case IFLA_NUM_RX_QUEUES:
		link->rx_queues = mnl_attr_get_u32(attr);
		break;
	case 58:	/* IFLA_GRO_MAX_SIZE, not in each libc's headers */
		link->gro = mnl_attr_get_u32(attr);
		break;
	case 64:	/* IFLA_GRO_IPV4_MAX_SIZE */
		link->gro_ipv4 = mnl_attr_get_u32(attr);
		break;
	}
	return MNL_CB_OK;
}

static int nd_link_reply(const struct nlmsghdr *nlh, void *arg)
{
	return mnl_attr_parse(nlh, sizeof(struct ifinfomsg), nd_link_attr, arg);
}

static bool nd_link_get(unsigned int ifindex, struct nd_link *link)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	char buf[32768];
	struct ifinfomsg *info;
	struct nlmsghdr *nlh;
	bool there = false;
	ssize_t n;

	memset(link, 0, sizeof(*link));
	if (!nl)
		return false;
	nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = RTM_GETLINK;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	nlh->nlmsg_seq = 1;
	info = mnl_nlmsg_put_extra_header(nlh, sizeof(*info));
	info->ifi_index = (int)ifindex;
	if (!mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) &&
	    mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) >= 0) {
		n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		there = n > 0 && mnl_cb_run(buf, (size_t)n, 1, mnl_socket_get_portid(nl),
					    nd_link_reply, link) >= 0 && link->mtu;
	}
	mnl_socket_close(nl);
	return there;
}

#define ND_GRO_DEFAULT	65536

static void nd_doctor_link(struct nd_doctor *d)
{
	struct nd_link link;

	if (!nd_link_get(d->ifindex, &link)) {
		nd_row(d, "device", ND_BAD, "%s: the kernel does not describe it", d->dev);
		return;
	}
	/* the kernel does not tell the queues of a machine with one CPU */
	if (link.rx_queues)
		nd_row(d, "device", ND_NOTE, "%s: MTU %u, %u rx queues", d->dev, link.mtu,
		       link.rx_queues);
	else
		nd_row(d, "device", ND_NOTE, "%s: MTU %u", d->dev, link.mtu);
	if (link.gro <= ND_GRO_DEFAULT && link.gro_ipv4 <= ND_GRO_DEFAULT)
		nd_row(d, "merging", ND_NOTE,
		       "packets are merged up to 64 KiB; longer ones cost less, where nothing between device and socket minds: ip link set dev %s gro_max_size 524280 gro_ipv4_max_size 524280 (iproute2 from 6.3 on)",
		       d->dev);
	else
		nd_row(d, "merging", ND_GOOD,
		       "packets are merged up to %u bytes, for IPv4 %u", link.gro,
		       link.gro_ipv4);
}

static bool nd_doctor_path(struct nd_doctor *d, enum devmem_via via, const char *able)
{
	char what[32];
	int ret;

	snprintf(what, sizeof(what), "path %s", devmem_via_name(via));
	ret = devmem_via_check(via, d->dev, 0);
	if (ret >= 0)
		nd_row(d, what, ND_GOOD, "%s %s%s%s", d->dev ? d->dev : "", able,
		       ret ? "; taken now: " : "", ret ? devmem_error() : "");
	else if (!d->dev && ret == -EINVAL)
		nd_row(d, what, ND_NOTE, "name a device to ask about that");
	else
		nd_row(d, what, ND_BAD, "%s", devmem_error());
	return ret >= 0;
}

/* Return: can payload be placed? */
static bool nd_doctor_paths(struct nd_doctor *d)
{
	bool places = nd_doctor_path(d, DEVMEM_VIA_DEVMEM, "places payload in device memory");

	places |= nd_doctor_path(d, DEVMEM_VIA_KERNEL,
				 "has what the kernel's own device-memory receive needs; whether its driver has that is seen when it binds");
	places |= nd_doctor_path(d, DEVMEM_VIA_ZCRX,
				 "has what io_uring's zero-copy receive needs; whether its driver has that is seen when it gets a queue");
	nd_row(d, "path copy", ND_GOOD, "on any device, by the CPU");
	return places;
}

static int nd_doctor_parse(struct nd_doctor *d, int argc, char **argv)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "h", nd_doctor_long, NULL)) != -1) {
		switch (opt) {
		case 'h':
			return -1;
		case ND_OPT_JSON:
			d->as_json = true;
			break;
		default:
			return ND_USAGE;
		}
	}
	if (argc - optind > 1)
		return nd_usage("doctor takes one DEV; see ncdevmem doctor --help");
	if (argc == optind)
		return ND_OK;
	d->dev = argv[optind];
	d->ifindex = if_nametoindex(d->dev);
	if (d->ifindex)
		return ND_OK;
	nd_err("%s: %s", d->dev, strerror(errno));
	return ND_FAIL;
}

int nd_doctor(int argc, char **argv)
{
	struct nd_doctor d = { .json.f = stdout };
	bool places;
	int ret;

	ret = nd_doctor_parse(&d, argc, argv);
	if (ret)
		return ret < 0 ? nd_help(nd_doctor_help) : ret;

	if (d.as_json) {
		nd_json_open(&d.json, NULL, '{');
		nd_json_open(&d.json, "rows", '[');
	}
	nd_doctor_machine(&d);
	nd_doctor_memory(&d);
	if (d.dev)
		nd_doctor_link(&d);
	places = nd_doctor_paths(&d);
	if (d.as_json) {
		nd_json_close(&d.json, ']');
		nd_json_bool(&d.json, "places", places && d.dev);
		nd_json_close(&d.json, '}');
		putchar('\n');
	}
	if (fflush(stdout) || ferror(stdout)) {
		nd_err("stdout: write error");
		return ND_FAIL;
	}
	return places || !d.dev ? ND_OK : ND_FAIL;
}
