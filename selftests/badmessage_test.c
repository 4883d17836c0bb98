// SPDX-License-Identifier: GPL-2.0
/*
 * Netlink messages that are not well-formed, and look-ups of what is not there.
 * Knows nothing of sockets.
 */
#include <errno.h>
#include <linux/genetlink.h>
#include <string.h>

#include "common_probe.h"

/* ---- messages that are not well-formed --------------------------------- */

static void put_nothing(struct probe *p, uint32_t unused)
{
	(void)p;
	(void)unused;
}

/* Attribute @attr with @len bytes instead of 4. */
static void put_len(struct probe *p, uint32_t attr, uint16_t len)
{
	static const char zero[256];

	put_without(p, attr);
	mnl_attr_put(p->nlh, (uint16_t)attr, len, zero);
}

static void put_empty(struct probe *p, uint32_t attr)
{
	put_len(p, attr, 0);
}

static void put_short(struct probe *p, uint32_t attr)
{
	put_len(p, attr, 3);
}

static void put_long(struct probe *p, uint32_t attr)
{
	put_len(p, attr, 8);
}

static void put_huge(struct probe *p, uint32_t attr)
{
	put_len(p, attr, 256);
}

/* A request that makes sense, and an attribute that does not belong there. */
static void put_extra(struct probe *p, uint32_t attr)
{
	put_queue(p, 0);
	mnl_attr_put_u32(p->nlh, (uint16_t)attr, 1);
}

static void put_nested(struct probe *p, uint32_t attr)
{
	put_without(p, attr);
	mnl_attr_put_u32(p->nlh, (uint16_t)(attr | NLA_F_NESTED), 0);
}

/* The last attribute claims @extra bytes more than the message has. */
static void put_beyond(struct probe *p, uint32_t extra)
{
	struct nlattr *last;

	put_queue(p, 0);
	last = (void *)((char *)p->nlh + p->nlh->nlmsg_len - 8);
	last->nla_len = (uint16_t)(last->nla_len + extra);
}

/* The last attribute says that it is shorter than its own header. */
static void put_stunted(struct probe *p, uint32_t len)
{
	struct nlattr *last;

	put_queue(p, 0);
	last = (void *)((char *)p->nlh + p->nlh->nlmsg_len - 8);
	last->nla_len = (uint16_t)len;
}

static void put_tail(struct probe *p, uint32_t len)
{
	put_queue(p, 0);
	memset((char *)p->nlh + p->nlh->nlmsg_len, 0, len);
	p->nlh->nlmsg_len += len;
}

static void put_cmd(struct probe *p, uint32_t cmd)
{
	struct genlmsghdr *genl = mnl_nlmsg_get_payload(p->nlh);

	put_queue(p, 0);
	genl->cmd = (uint8_t)cmd;
}

static void put_dump(struct probe *p, uint32_t unused)
{
	(void)unused;
	put_queue(p, 0);
	p->nlh->nlmsg_flags |= NLM_F_DUMP;
}

static void put_reserved(struct probe *p, uint32_t value)
{
	struct genlmsghdr *genl = mnl_nlmsg_get_payload(p->nlh);

	put_queue(p, 0);
	genl->reserved = (uint16_t)value;
}

static void put_get(struct probe *p, uint32_t id)
{
	struct genlmsghdr *genl = mnl_nlmsg_get_payload(p->nlh);

	genl->cmd = NETDEV_DEVMEM_CMD_BIND_GET;
	mnl_attr_put_u32(p->nlh, A(ID), id);
}

static void put_get_nothing(struct probe *p, uint32_t unused)
{
	struct genlmsghdr *genl = mnl_nlmsg_get_payload(p->nlh);

	(void)unused;
	genl->cmd = NETDEV_DEVMEM_CMD_BIND_GET;
}

static const struct row messages_rows[] = {
	ROW("message: no attribute", put_nothing, 0, EINVAL, "ifindex and fd must be given"),
	ROW("message: no ifindex", put_without, A(IFINDEX), EINVAL,
	  "ifindex and fd must be given"),
	ROW("message: no fd", put_without, A(FD), EINVAL, "ifindex and fd must be given"),
	ROW("message: ifindex empty", put_empty, A(IFINDEX), EINVAL,
	  "invalid attribute length", A(IFINDEX)),
	ROW("message: queue of 3 bytes", put_short, A(QUEUE), EINVAL,
	  "invalid attribute length", A(QUEUE)),
	ROW("message: fd of 8 bytes", put_long, A(FD), EINVAL,
	  "invalid attribute length", A(FD)),
	ROW("message: chunk size of 256 bytes", put_huge, A(CHUNK_SIZE), EINVAL,
	  "invalid attribute length", A(CHUNK_SIZE)),
	ROW("message: nested ifindex", put_nested, A(IFINDEX), EINVAL,
	  "NLA_F_NESTED not expected", A(IFINDEX)),
	ROW("message: id in a bind", put_extra, A(ID), EINVAL,
	  "Unsupported attribute", A(ID)),
	ROW("message: size in a bind", put_extra, A(SIZE), EINVAL,
	  "Unknown attribute type", A(SIZE)),
	ROW("message: unknown attribute", put_extra, A(MAX) + 100, EINVAL,
	  "Unknown attribute type", A(MAX) + 100),
	ROW("message: attribute beyond its end", put_beyond, 4, EINVAL,
	  "bytes leftover after parsing attributes"),
	ROW("message: attribute shorter than its header", put_stunted, 2, EINVAL,
	  "bytes leftover after parsing attributes"),
	ROW("message: trailing bytes", put_tail, 3, EINVAL,
	  "bytes leftover after parsing attributes"),
	ROW("message: reserved header bits", put_reserved, 1, EINVAL,
	  "genlmsghdr.reserved field is not 0"),
	ROW("message: command 0", put_cmd, 0, EOPNOTSUPP, ""),
	ROW("message: a notification's command", put_cmd, NETDEV_DEVMEM_CMD_BIND_NTF,
	  EOPNOTSUPP, ""),
	ROW("message: command 200", put_cmd, 200, EOPNOTSUPP, ""),
	ROW("message: bind as a dump", put_dump, 0, EOPNOTSUPP, ""),
};

static void messages(void)
{
	probe_rows(messages_rows, ARRAY_SIZE(messages_rows));
}

static const struct row lookups_rows[] = {
	ROW("get: unknown id", put_get, 0x7fffffff, ENOENT,
	  "no binding 2147483647 in this network namespace", A(ID)),
	ROW("get: id 0", put_get, 0, ERANGE, "integer out of range", A(ID)),
	ROW("get: no id", put_get_nothing, 0, EINVAL, "no id given"),
};

static void lookups(void)
{
	probe_rows(lookups_rows, ARRAY_SIZE(lookups_rows));
}

static const struct ktap_case cases[] = {
	KTAP_CASE(messages),
	KTAP_CASE(lookups),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, probe_setup, cases, ARRAY_SIZE(cases));
}
