// SPDX-License-Identifier: GPL-2.0
/*
 * See common_nft.h. Owns the table "t"; must not know what its rules are for.
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"
#include "common_nft.h"

static const char *name_of(int family)
{
	return family == AF_INET ? "ip" : "ip6";
}

static void flush(void *unused)
{
	(void)unused;
	env_enter(SENDER);
	cmd("nft flush ruleset");
	env_enter(RECEIVER);
	cmd("nft flush ruleset");
}

static bool has_program(const char *name)
{
	char path[4096], dirs[4096], *dir, *save;

	snprintf(dirs, sizeof(dirs), "%s", getenv("PATH") ?: "");
	for (dir = strtok_r(dirs, ":", &save); dir; dir = strtok_r(NULL, ":", &save))
		if (snprintf(path, sizeof(path), "%s/%s", dir, name) < (int)sizeof(path) &&
		    !access(path, X_OK))
			return true;
	return false;
}

void nft_table(int family)
{
	static bool deferred;

	if (!has_program("nft"))
		skip("this machine has no nft");
	if (!deferred)
		defer(flush, NULL);
	deferred = true;
	if (cmd("nft add table %s t", name_of(family)))
		skip("this kernel has no nftables for %s", name_of(family));
}

void nft_add(int family, const char *what, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (cmd("nft add %s %s t %s", what, name_of(family), text))
		skip("this kernel has no %s '%s'", what, text);
}

void nft_delete(int family)
{
	must_cmd("nft delete table %s t", name_of(family));
}

void nft_forget_connections(void)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	char buf[4096];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg;
	ssize_t n;

	check(nl);
	must(mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID));
	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = AF_UNSPEC;
	nfg->version = NFNETLINK_V0;
	must(mnl_socket_sendto(nl, nlh, nlh->nlmsg_len));
	n = must(mnl_socket_recvfrom(nl, buf, sizeof(buf)));
	if (mnl_cb_run(buf, (size_t)n, 0, mnl_socket_get_portid(nl), NULL, NULL) < 0)
		skip("connections cannot be forgotten: %s", strerror(errno));
	mnl_socket_close(nl);
}
