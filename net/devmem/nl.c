// SPDX-License-Identifier: GPL-2.0
/*
 * The generic netlink family: turns requests into calls of binding.c, and
 * bindings into attributes. Owns the list of bindings that a netlink socket
 * made: when the socket goes, they go.
 */
#include <linux/kmemleak.h>
#include <linux/netdevice.h>
#include <linux/pid_namespace.h>
#include <net/genetlink.h>

#include "devmem.h"
#include "generated/netdev-devmem-gen.h"

/* Most queues of one binding: no NIC of today has more rx queues. */
#define DEVMEM_MAX_QUEUES	4096

/* Protects every netlink socket's list of bindings (devmem_binding.owner_node). */
static DEFINE_MUTEX(devmem_owners_lock);

void netdev_devmem_nl_sock_priv_init(struct list_head *priv)
{
	INIT_LIST_HEAD(priv);
}

void netdev_devmem_nl_sock_priv_destroy(struct list_head *priv)
{
	struct devmem_binding *binding;

	for (;;) {
		mutex_lock(&devmem_owners_lock);
		binding = list_first_entry_or_null(priv, struct devmem_binding,
						   owner_node);
		if (binding)
			list_del_init(&binding->owner_node);
		mutex_unlock(&devmem_owners_lock);
		if (!binding)
			break;
		devmem_binding_unbind(binding);
		devmem_binding_put(binding);
	}
}

/* The list of the bindings that netlink socket @sk made. genl_sk_priv_get() is
 * not exported; this is what it does, through the table that the family shares
 * with the generic netlink core. The core frees the list with the socket.
 */
static struct list_head *devmem_nl_owner(const struct sock *sk)
{
	struct genl_family *family = &netdev_devmem_nl_family;
	struct list_head *owner, *old;

	owner = xa_load(family->sock_privs, (unsigned long)sk);
	if (owner)
		return owner;

	owner = kzalloc(family->sock_priv_size, GFP_KERNEL);
	if (!owner)
		return ERR_PTR(-ENOMEM);
	netdev_devmem_nl_sock_priv_init(owner);
	old = xa_cmpxchg(family->sock_privs, (unsigned long)sk, NULL, owner,
			 GFP_KERNEL);
	if (!old)
		return owner;
	kfree(owner);
	return xa_is_err(old) ? ERR_PTR(xa_err(old)) : old;
}

static int devmem_nl_put_stats(struct sk_buff *skb, struct devmem_binding *binding)
{
	struct devmem_stats s;
	struct nlattr *nest;

	devmem_stats_read(binding, &s);
	nest = nla_nest_start(skb, NETDEV_DEVMEM_A_BINDING_STATS);
	if (!nest)
		return -EMSGSIZE;
	if (nla_put_uint(skb, NETDEV_DEVMEM_A_STATS_PLACED_PACKETS, s.placed_packets) ||
	    nla_put_uint(skb, NETDEV_DEVMEM_A_STATS_PLACED_BYTES, s.placed_bytes) ||
	    nla_put_uint(skb, NETDEV_DEVMEM_A_STATS_FALLBACK_PACKETS, s.fallback_packets) ||
	    nla_put_uint(skb, NETDEV_DEVMEM_A_STATS_FALLBACK_BYTES, s.fallback_bytes) ||
	    nla_put_uint(skb, NETDEV_DEVMEM_A_STATS_FALLBACK_EXHAUSTED, s.fallback_exhausted) ||
	    nla_put_uint(skb, NETDEV_DEVMEM_A_STATS_FALLBACK_NOMEM, s.fallback_nomem) ||
	    nla_put_uint(skb, NETDEV_DEVMEM_A_STATS_FALLBACK_HEADER, s.fallback_header) ||
	    nla_put_uint(skb, NETDEV_DEVMEM_A_STATS_FALLBACK_ROUTE, s.fallback_route) ||
	    nla_put_uint(skb, NETDEV_DEVMEM_A_STATS_FALLBACK_INACTIVE, s.fallback_inactive) ||
	    nla_put_uint(skb, NETDEV_DEVMEM_A_STATS_URG_CLEARED, s.urg_cleared) ||
	    nla_put_uint(skb, NETDEV_DEVMEM_A_STATS_FORWARD_DROPS, s.forward_drops) ||
	    nla_put_uint(skb, NETDEV_DEVMEM_A_STATS_PRESSURE, s.pressure) ||
	    nla_put_uint(skb, NETDEV_DEVMEM_A_STATS_FALLBACK_AGAIN, s.fallback_again) ||
	    nla_put_uint(skb, NETDEV_DEVMEM_A_STATS_FALLBACK_SEQUENCE, s.fallback_sequence) ||
	    nla_put_uint(skb, NETDEV_DEVMEM_A_STATS_FALLBACK_PAUSED, s.fallback_paused)) {
		nla_nest_cancel(skb, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

/* As the task that asks sees it. Who listens to notifications may see several. */
static int devmem_nl_put_pid(struct sk_buff *skb, const struct devmem_binding *binding,
			     const struct genl_info *info)
{
	struct pid_namespace *pidns = task_active_pid_ns(current);

	if (info->genlhdr->cmd != NETDEV_DEVMEM_CMD_BIND_GET)
		return 0;
	return nla_put_u32(skb, NETDEV_DEVMEM_A_BINDING_PID,
			   pidns ? pid_nr_ns(binding->pid, pidns) : 0);
}

static int devmem_nl_fill(struct sk_buff *skb, struct devmem_binding *binding,
			  const struct genl_info *info, int flags)
{
	void *hdr;
	u32 i;

	hdr = genlmsg_put(skb, info->snd_portid, info->snd_seq,
			  &netdev_devmem_nl_family, flags, info->genlhdr->cmd);
	if (!hdr)
		return -EMSGSIZE;

	/* queues that were given back are not the binding's any more */
	for (i = 0; READ_ONCE(binding->bound) && i < binding->nr_queues; i++)
		if (nla_put_u32(skb, NETDEV_DEVMEM_A_BINDING_QUEUE,
				binding->queues[i]))
			goto err_cancel;

	if (nla_put_u32(skb, NETDEV_DEVMEM_A_BINDING_ID, binding->id) ||
	    nla_put_u32(skb, NETDEV_DEVMEM_A_BINDING_IFINDEX, binding->ifindex) ||
	    nla_put_u32(skb, NETDEV_DEVMEM_A_BINDING_CHUNK_SIZE,
			devmem_binding_chunk_size(binding)) ||
	    nla_put_uint(skb, NETDEV_DEVMEM_A_BINDING_SIZE,
			 (u64)binding->nr_chunks << binding->chunk_shift) ||
	    nla_put_u32(skb, NETDEV_DEVMEM_A_BINDING_STATE,
			READ_ONCE(binding->state)) ||
	    devmem_nl_put_pid(skb, binding, info) ||
	    nla_put_string(skb, NETDEV_DEVMEM_A_BINDING_COMM, binding->comm) ||
	    nla_put_u32(skb, NETDEV_DEVMEM_A_BINDING_FLOWS,
			READ_ONCE(binding->nr_flows)) ||
	    nla_put_u32(skb, NETDEV_DEVMEM_A_BINDING_CHUNKS, binding->nr_chunks) ||
	    nla_put_u32(skb, NETDEV_DEVMEM_A_BINDING_CHUNKS_FREE,
			devmem_pool_free_chunks(binding)) ||
	    devmem_nl_put_stats(skb, binding))
		goto err_cancel;

	genlmsg_end(skb, hdr);
	return 0;

err_cancel:
	genlmsg_cancel(skb, hdr);
	return -EMSGSIZE;
}

/* What describes a binding of @nr_queues. */
static size_t devmem_nl_size(u32 nr_queues)
{
	return NLMSG_DEFAULT_SIZE + nr_queues * nla_total_size(sizeof(u32));
}

static struct sk_buff *devmem_nl_msg(const struct devmem_binding *binding)
{
	return genlmsg_new(devmem_nl_size(binding->nr_queues), GFP_KERNEL);
}

/* Tell listeners in @net. A lost notification is no error: bind-get tells. */
void devmem_nl_notify(struct devmem_binding *binding, struct net *net, int cmd)
{
	struct genl_info info;
	struct sk_buff *skb;

	if (!genl_has_listeners(&netdev_devmem_nl_family, net,
				NETDEV_DEVMEM_NLGRP_BINDINGS))
		return;

	skb = devmem_nl_msg(binding);
	if (!skb)
		return;
	genl_info_init_ntf(&info, &netdev_devmem_nl_family, cmd);
	if (devmem_nl_fill(skb, binding, &info, 0)) {
		nlmsg_free(skb);
		return;
	}
	genlmsg_multicast_netns(&netdev_devmem_nl_family, net, skb, 0,
				NETDEV_DEVMEM_NLGRP_BINDINGS, GFP_KERNEL);
}

/* The queues of a request: an array that the caller frees. */
static int devmem_nl_get_queues(const struct genl_info *info, u32 **queues, u32 *nr)
{
	const struct nlattr *attr;
	u32 n = 0;
	int rem;

	nlmsg_for_each_attr_type(attr, NETDEV_DEVMEM_A_BINDING_QUEUE,
				 info->nlhdr, GENL_HDRLEN, rem)
		n++;
	if (n > DEVMEM_MAX_QUEUES) {
		NL_SET_ERR_MSG_FMT(info->extack, "%u queues: more than %u", n,
				   DEVMEM_MAX_QUEUES);
		return -E2BIG;
	}

	*queues = kcalloc(n, sizeof(**queues), GFP_KERNEL);
	if (!*queues)
		return -ENOMEM;
	*nr = n;

	n = 0;
	nlmsg_for_each_attr_type(attr, NETDEV_DEVMEM_A_BINDING_QUEUE,
				 info->nlhdr, GENL_HDRLEN, rem)
		(*queues)[n++] = nla_get_u32(attr);
	return 0;
}

static int devmem_nl_check_chunk_size(const struct genl_info *info, u32 size)
{
	if (!is_power_of_2(size) || size < 1U << DEVMEM_CHUNK_SHIFT_MIN ||
	    size > 1U << DEVMEM_CHUNK_SHIFT_MAX) {
		NL_SET_ERR_MSG_ATTR_FMT(info->extack,
					info->attrs[NETDEV_DEVMEM_A_BINDING_CHUNK_SIZE],
					"chunk size %u is not a power of two from %u to %u",
					size, 1U << DEVMEM_CHUNK_SHIFT_MIN,
					1U << DEVMEM_CHUNK_SHIFT_MAX);
		return -EINVAL;
	}
	return 0;
}

static int devmem_nl_check_request(struct genl_info *info)
{
	if (GENL_REQ_ATTR_CHECK(info, NETDEV_DEVMEM_A_BINDING_IFINDEX) ||
	    GENL_REQ_ATTR_CHECK(info, NETDEV_DEVMEM_A_BINDING_FD)) {
		NL_SET_ERR_MSG(info->extack, "ifindex and fd must be given");
		return -EINVAL;
	}
	if (!info->attrs[NETDEV_DEVMEM_A_BINDING_QUEUE]) {
		GENL_SET_ERR_MSG(info, "no queue given");
		return -EINVAL;
	}
	return 0;
}

static int devmem_nl_reply_bound(struct genl_info *info,
				 const struct devmem_binding *binding)
{
	struct sk_buff *rsp;
	void *hdr;

	rsp = genlmsg_new(NLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!rsp)
		return -ENOMEM;
	hdr = genlmsg_iput(rsp, info);
	if (!hdr ||
	    nla_put_u32(rsp, NETDEV_DEVMEM_A_BINDING_ID, binding->id) ||
	    nla_put_u32(rsp, NETDEV_DEVMEM_A_BINDING_CHUNK_SIZE,
			devmem_binding_chunk_size(binding)) ||
	    nla_put_u32(rsp, NETDEV_DEVMEM_A_BINDING_CHUNKS, binding->nr_chunks)) {
		nlmsg_free(rsp);
		return -EMSGSIZE;
	}
	genlmsg_end(rsp, hdr);
	return genlmsg_reply(rsp, info);
}

int netdev_devmem_nl_bind_rx_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct devmem_bind_args args = { .net = genl_info_net(info) };
	struct devmem_binding *binding;
	netdevice_tracker tracker;
	struct list_head *owner;
	u32 *queues = NULL;
	u32 ifindex;
	int err;

	err = devmem_nl_check_request(info);
	if (err)
		return err;

	owner = devmem_nl_owner(NETLINK_CB(skb).sk);
	if (IS_ERR(owner))
		return PTR_ERR(owner);

	args.fd = (int)nla_get_u32(info->attrs[NETDEV_DEVMEM_A_BINDING_FD]);
	if (info->attrs[NETDEV_DEVMEM_A_BINDING_CHUNK_SIZE]) {
		args.chunk_size = nla_get_u32(info->attrs[NETDEV_DEVMEM_A_BINDING_CHUNK_SIZE]);
		err = devmem_nl_check_chunk_size(info, args.chunk_size);
		if (err)
			return err;
	}

	ifindex = nla_get_u32(info->attrs[NETDEV_DEVMEM_A_BINDING_IFINDEX]);
	args.netdev = netdev_get_by_index(args.net, ifindex, &tracker, GFP_KERNEL);
	if (!args.netdev) {
		NL_SET_ERR_MSG_ATTR_FMT(info->extack,
					info->attrs[NETDEV_DEVMEM_A_BINDING_IFINDEX],
					"no interface %u in this network namespace",
					ifindex);
		return -ENODEV;
	}

	err = devmem_nl_get_queues(info, &queues, &args.nr_queues);
	if (err)
		goto out;
	args.queues = queues;

	binding = devmem_binding_create(&args, info->extack);
	if (IS_ERR(binding)) {
		err = PTR_ERR(binding);
		goto out;
	}

	/* without the id the caller could not use it */
	err = devmem_nl_reply_bound(info, binding);
	if (err) {
		devmem_binding_unbind(binding);
		devmem_binding_put(binding);
		goto out;
	}

	mutex_lock(&devmem_owners_lock);
	list_add_tail(&binding->owner_node, owner);
	mutex_unlock(&devmem_owners_lock);
out:
	kfree(queues);
	netdev_put(args.netdev, &tracker);
	return err;
}

int netdev_devmem_nl_bind_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct devmem_binding *binding;
	struct sk_buff *rsp;
	u32 id;
	int err;

	if (GENL_REQ_ATTR_CHECK(info, NETDEV_DEVMEM_A_BINDING_ID)) {
		GENL_SET_ERR_MSG(info, "no id given");
		return -EINVAL;
	}

	id = nla_get_u32(info->attrs[NETDEV_DEVMEM_A_BINDING_ID]);
	binding = devmem_binding_lookup(genl_info_net(info), id);
	if (!binding) {
		NL_SET_ERR_MSG_ATTR_FMT(info->extack,
					info->attrs[NETDEV_DEVMEM_A_BINDING_ID],
					"no binding %u in this network namespace", id);
		return -ENOENT;
	}

	err = -ENOMEM;
	rsp = devmem_nl_msg(binding);
	if (!rsp)
		goto out;
	err = devmem_nl_fill(rsp, binding, info, 0);
	if (err) {
		nlmsg_free(rsp);
		goto out;
	}
	err = genlmsg_reply(rsp, info);
out:
	devmem_binding_put(binding);
	return err;
}

/* A message of the dump has room for the largest binding, if its reader has. */
int netdev_devmem_nl_bind_get_start(struct netlink_callback *cb)
{
	u64 cookie = genl_info_net(genl_info_dump(cb))->net_cookie;
	struct devmem_binding *binding;
	unsigned long id = 0;
	u32 most = 0;

	for (; (binding = devmem_binding_next(&id)); id++) {
		if (binding->net_cookie == cookie)
			most = max(most, binding->nr_queues);
		devmem_binding_put(binding);
	}
	cb->min_dump_alloc = devmem_nl_size(most);
	return 0;
}

int netdev_devmem_nl_bind_get_dumpit(struct sk_buff *skb,
				     struct netlink_callback *cb)
{
	const struct genl_info *info = genl_info_dump(cb);
	const struct nlattr *attr = info->attrs[NETDEV_DEVMEM_A_BINDING_IFINDEX];
	int ifindex = attr ? nla_get_u32(attr) : 0;
	u64 cookie = genl_info_net(info)->net_cookie;
	struct devmem_binding *binding;
	unsigned long id = cb->args[0];
	int err = 0;

	for (; (binding = devmem_binding_next(&id)); id++) {
		if (binding->net_cookie == cookie &&
		    (!ifindex || binding->ifindex == ifindex))
			err = devmem_nl_fill(skb, binding, info, NLM_F_MULTI);
		devmem_binding_put(binding);
		if (err)
			break;
	}
	cb->args[0] = id;
	return err;
}

int devmem_nl_init(void)
{
	int err;

	err = genl_register_family(&netdev_devmem_nl_family);
	if (err)
		return err;
	/* kmemleak does not look into a module's __ro_after_init */
	kmemleak_not_leak(netdev_devmem_nl_family.sock_privs);
	return 0;
}

void devmem_nl_exit(void)
{
	genl_unregister_family(&netdev_devmem_nl_family);
}
