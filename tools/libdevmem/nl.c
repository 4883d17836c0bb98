// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Owns the netlink transport: sockets, the family's numbers, one request with
 * its replies, extack. Must not know what the attributes of a binding mean.
 */
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

int devmem_nl_socket(struct mnl_socket **sock)
{
	struct mnl_socket *s;
	int one = 1, err;

	s = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	if (!s) {
		err = errno;
		return devmem_fail(err, "generic netlink socket: %s",
				   strerror(err));
	}
	if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0) {
		err = errno;
		mnl_socket_close(s);
		return devmem_fail(err, "generic netlink socket: bind: %s",
				   strerror(err));
	}

	/* Best effort: without these the errors are the same, less verbose. */
	mnl_socket_setsockopt(s, NETLINK_EXT_ACK, &one, sizeof(one));
	mnl_socket_setsockopt(s, NETLINK_CAP_ACK, &one, sizeof(one));
	*sock = s;
	return 0;
}

struct nlmsghdr *devmem_nl_request(struct devmem_nl *nl, void *buf,
				   uint8_t cmd, uint16_t flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *genl;

	nlh->nlmsg_type = nl->family;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = ++nl->seq;

	genl = mnl_nlmsg_put_extra_header(nlh, sizeof(*genl));
	genl->cmd = cmd;
	genl->version = NETDEV_DEVMEM_FAMILY_VERSION;
	return nlh;
}

/* Find the attributes of an ACK or DONE that say more than an errno. */
static void devmem_nl_extack(struct devmem_nl *nl, const struct nlmsghdr *nlh,
			     size_t fixed)
{
	const struct nlattr *attr;

	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS) ||
	    mnl_nlmsg_get_payload_len(nlh) < fixed)
		return;

	mnl_attr_for_each(attr, nlh, fixed) {
		uint16_t len = mnl_attr_get_payload_len(attr);

		switch (mnl_attr_get_type(attr)) {
		case NLMSGERR_ATTR_MSG:
			snprintf(nl->error, sizeof(nl->error), "%.*s", len,
				 (const char *)mnl_attr_get_payload(attr));
			return;
		case NLMSGERR_ATTR_MISS_TYPE:
			if (len >= sizeof(uint32_t))
				snprintf(nl->error, sizeof(nl->error),
					 "attribute %u is missing",
					 mnl_attr_get_u32(attr));
			break;
		default:
			break;
		}
	}
}

static int devmem_nl_ack(struct devmem_nl *nl, const char *what,
			 const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);
	size_t fixed = sizeof(*e);
	int err;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*e))
		return devmem_fail(EBADMSG, "%s: truncated acknowledgment", what);
	err = -e->error;
	if (!err)
		return 0;

	/* Unless capped, the request follows the errno. */
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
		fixed += e->msg.nlmsg_len - sizeof(struct nlmsghdr);
	snprintf(nl->error, sizeof(nl->error), "%s%s", strerror(err),
		 err == EPERM ? "; it takes CAP_NET_ADMIN" : "");
	devmem_nl_extack(nl, nlh, fixed);
	return devmem_fail(err, "%s: %s", what, nl->error);
}

static int devmem_nl_done(struct devmem_nl *nl, const char *what,
			  const struct nlmsghdr *nlh)
{
	const int *res = mnl_nlmsg_get_payload(nlh);

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*res) || *res >= 0)
		return 0;
	snprintf(nl->error, sizeof(nl->error), "%s", strerror(-*res));
	devmem_nl_extack(nl, nlh, sizeof(*res));
	return devmem_fail(-*res, "%s: %s", what, nl->error);
}

/* One message of the answer. DEVMEM_NL_CONTINUE: there is more to come. */
static int devmem_nl_one(struct devmem_nl *nl, const char *what,
			 const struct nlmsghdr *nlh, devmem_nl_reply_t reply,
			 void *arg, int *stop)
{
	switch (nlh->nlmsg_type) {
	case NLMSG_ERROR:
		return devmem_nl_ack(nl, what, nlh);
	case NLMSG_DONE:
		return devmem_nl_done(nl, what, nlh);
	case NLMSG_NOOP:
	case NLMSG_OVERRUN:
		return DEVMEM_NL_CONTINUE;
	default:
		/* A caller that has seen enough: drain the rest. */
		if (reply && !*stop)
			*stop = reply(nlh, arg);
		return DEVMEM_NL_CONTINUE;
	}
}

/*
 * Send @nlh (with NLM_F_ACK or NLM_F_DUMP) and hand each reply to @reply until
 * the acknowledgment or the end of the dump. A non-zero return value of @reply
 * is returned, unless the kernel reports an error.
 */
int devmem_nl_talk(struct devmem_nl *nl, const char *what,
		   struct nlmsghdr *nlh, devmem_nl_reply_t reply, void *arg)
{
	unsigned int portid = mnl_socket_get_portid(nl->requests);
	uint32_t seq = nlh->nlmsg_seq;
	int ret, err, stop = 0;
	ssize_t n;

	nl->error[0] = '\0';
	do {
		n = mnl_socket_sendto(nl->requests, nlh, nlh->nlmsg_len);
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		err = errno;
		snprintf(nl->error, sizeof(nl->error), "%s", strerror(err));
		return devmem_fail(err, "%s: netlink send: %s", what,
				   strerror(err));
	}

	for (;;) {
		const struct nlmsghdr *msg = (void *)nl->buf;
		int len;

		n = mnl_socket_recvfrom(nl->requests, nl->buf, DEVMEM_NL_BUF);
		if (n < 0) {
			err = errno;
			if (err == EINTR)
				continue;
			snprintf(nl->error, sizeof(nl->error), "%s",
				 strerror(err));
			return devmem_fail(err, "%s: netlink receive: %s", what,
					   strerror(err));
		}

		for (len = (int)n; mnl_nlmsg_ok(msg, len);
		     msg = mnl_nlmsg_next(msg, &len)) {
			/* The tail of an exchange that broke off earlier. */
			if (msg->nlmsg_seq != seq || msg->nlmsg_pid != portid)
				continue;
			ret = devmem_nl_one(nl, what, msg, reply, arg, &stop);
			if (ret != DEVMEM_NL_CONTINUE)
				return ret ? ret : stop;
		}
	}
}

static void devmem_nl_parse_groups(struct devmem_nl *nl,
				   const struct nlattr *groups)
{
	const struct nlattr *group, *attr;

	mnl_attr_for_each_nested(group, groups) {
		const char *name = NULL;
		uint32_t id = 0;

		mnl_attr_for_each_nested(attr, group) {
			switch (mnl_attr_get_type(attr)) {
			case CTRL_ATTR_MCAST_GRP_NAME:
				if (!mnl_attr_validate(attr, MNL_TYPE_NUL_STRING))
					name = mnl_attr_get_str(attr);
				break;
			case CTRL_ATTR_MCAST_GRP_ID:
				if (!mnl_attr_validate(attr, MNL_TYPE_U32))
					id = mnl_attr_get_u32(attr);
				break;
			default:
				break;
			}
		}
		if (name && !strcmp(name, NETDEV_DEVMEM_MCGRP_BINDINGS))
			nl->mcgrp = id;
	}
}

static int devmem_nl_family(const struct nlmsghdr *nlh, void *arg)
{
	struct devmem_nl *nl = arg;
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(struct genlmsghdr)) {
		switch (mnl_attr_get_type(attr)) {
		case CTRL_ATTR_FAMILY_ID:
			if (!mnl_attr_validate(attr, MNL_TYPE_U16))
				nl->family = mnl_attr_get_u16(attr);
			break;
		case CTRL_ATTR_MCAST_GROUPS:
			devmem_nl_parse_groups(nl, attr);
			break;
		default:
			break;
		}
	}
	return 0;
}

static int devmem_nl_resolve(struct devmem_nl *nl, const char *family, const char *remedy)
{
	char req[256];
	struct nlmsghdr *nlh;
	struct genlmsghdr *genl;
	int ret;

	nlh = devmem_nl_request(nl, req, CTRL_CMD_GETFAMILY, NLM_F_ACK);
	nlh->nlmsg_type = GENL_ID_CTRL;
	genl = mnl_nlmsg_get_payload(nlh);
	genl->version = 1;
	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, family);

	ret = devmem_nl_talk(nl, "netlink family", nlh, devmem_nl_family, nl);
	if (ret == -ENOENT || (!ret && !nl->family))
		return devmem_fail(ENOENT, "netlink family %s not found; %s", family, remedy);
	return ret;
}

int devmem_nl_open_family(struct devmem_nl **nl, const char *family, const char *remedy)
{
	struct devmem_nl *n;
	int ret;

	n = calloc(1, sizeof(*n));
	if (!n)
		return devmem_fail(ENOMEM, "out of memory");
	n->buf = malloc(DEVMEM_NL_BUF);
	if (!n->buf) {
		ret = devmem_fail(ENOMEM, "out of memory");
		goto err_free;
	}
	ret = devmem_nl_socket(&n->requests);
	if (ret)
		goto err_free;
	ret = devmem_nl_resolve(n, family, remedy);
	if (ret)
		goto err_free;
	*nl = n;
	return 0;

err_free:
	devmem_nl_close(n);
	return ret;
}

int devmem_nl_open(struct devmem_nl **nl, unsigned int flags)
{
	if (flags)
		return devmem_fail(EINVAL, "flags 0x%x: none is defined", flags);
	return devmem_nl_open_family(nl, NETDEV_DEVMEM_FAMILY_NAME,
				     "load the module netdev-devmem");
}

void devmem_nl_close(struct devmem_nl *nl)
{
	if (!nl)
		return;
	devmem_nl_unsubscribe(nl);
	if (nl->requests)
		mnl_socket_close(nl->requests);
	free(nl->buf);
	free(nl);
}

const char *devmem_nl_error(const struct devmem_nl *nl)
{
	return nl->error;
}
