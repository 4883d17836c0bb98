// SPDX-License-Identifier: GPL-2.0
/*
 * Flows: an attached socket as the NIC sees it, and the rule that names it. A
 * flow is created unarmed, gets a rule, is armed once, disarmed once. Knows
 * nothing of packets or of the ULP.
 */
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/tcp.h>
#include <net/inet_hashtables.h>
#include <net/inet_sock.h>
#include <net/ipv6.h>

#include "devmem.h"
#include "trace.h"

static void devmem_flow_fill_key(struct devmem_flow_key *key, const struct sock *sk)
{
	const struct inet_sock *inet = inet_sk(sk);

	key->sport = inet->inet_dport;
	key->dport = inet->inet_sport;
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6 && !ipv6_addr_v4mapped(&sk->sk_v6_daddr)) {
		key->family = AF_INET6;
		memcpy(key->saddr, &sk->sk_v6_daddr, sizeof(key->saddr));
		memcpy(key->daddr, &sk->sk_v6_rcv_saddr, sizeof(key->daddr));
		return;
	}
#endif
	key->family = AF_INET;
	key->saddr[0] = inet->inet_daddr;
	key->daddr[0] = inet->inet_rcv_saddr;
}

/* Rules are the device's, for all of its bindings. */
static unsigned int devmem_max_flows = 4096;
module_param_named(max_flows, devmem_max_flows, uint, 0644);
MODULE_PARM_DESC(max_flows, "Most sockets attached to one binding (4096)");

static atomic64_t devmem_flow_numbers = ATOMIC64_INIT(0);

/* Process context, after a grace period: nobody sees the flow any more. */
static void devmem_flow_free_work(struct work_struct *work)
{
	struct devmem_flow *flow =
		container_of(to_rcu_work(work), struct devmem_flow, free_work);

	devmem_binding_put(flow->binding);
	devmem_dev_put(flow->ddev);
	kfree(flow);
	devmem_object_add(DEVMEM_OBJ_FLOWS, -1);
}

/* Any context. */
void devmem_flow_put(struct devmem_flow *flow)
{
	if (refcount_dec_and_test(&flow->ref))
		queue_rcu_work(devmem_wq, &flow->free_work);
}

void devmem_flow_del_rule(struct devmem_flow *flow)
{
	struct devmem_dev *ddev = flow->ddev;

	lockdep_assert_held(&ddev->lock);

	if (!flow->ruled)
		return;
	WRITE_ONCE(flow->armed, false);
	flow->ruled = false;
	list_del(&flow->node);
	flow->binding->nr_flows--;
	ddev->ops->flow_del(ddev->netdev, flow->queue, &flow->key, flow);
	trace_devmem_detach(flow);
	devmem_flow_put(flow);
}

/* Remove the rules of flows that were disarmed. One work item for all of a device's:
 * they wait for one lock.
 */
void devmem_flow_gone_work(struct work_struct *work)
{
	struct devmem_dev *ddev = container_of(work, struct devmem_dev, gone_work);
	struct llist_node *gone = llist_del_all(&ddev->gone);
	struct devmem_flow *flow, *tmp;

	mutex_lock(&ddev->lock);
	llist_for_each_entry_safe(flow, tmp, gone, gone_node) {
		devmem_flow_del_rule(flow);
		devmem_flow_put(flow);
	}
	mutex_unlock(&ddev->lock);
	devmem_dev_put(ddev);
}

/* The socket lock is held. The caller owns the result. */
struct devmem_flow *devmem_flow_create(struct devmem_binding *binding, struct sock *sk)
{
	struct devmem_flow *flow;

	flow = kzalloc(sizeof(*flow), GFP_KERNEL_ACCOUNT);
	if (!flow)
		return NULL;

	refcount_set(&flow->ref, 1);
	devmem_flow_fill_key(&flow->key, sk);
	devmem_nat_to_wire(sock_net(sk), &flow->key);
	flow->number = atomic64_inc_return(&devmem_flow_numbers);
	flow->sk = sk;
	flow->binding = binding;
	flow->ddev = binding->ddev;
	refcount_inc(&binding->ref);
	refcount_inc(&binding->ddev->ref);
	INIT_LIST_HEAD(&flow->node);
	INIT_RCU_WORK(&flow->free_work, devmem_flow_free_work);
	devmem_object_add(DEVMEM_OBJ_FLOWS, 1);
	return flow;
}

/* Flows that were disarmed, but whose rules still wait to be removed, stand in the
 * way of others, and of a new connection with the same addresses and ports.
 */
static void devmem_flow_evict(struct devmem_dev *ddev)
{
	struct devmem_flow *flow, *tmp;

	list_for_each_entry_safe(flow, tmp, &ddev->flows, node)
		if (READ_ONCE(flow->gone))
			devmem_flow_del_rule(flow);
}

static int devmem_flow_tell(struct devmem_flow *flow)
{
	struct devmem_dev *ddev = flow->ddev;

	if (flow->binding->nr_flows >= READ_ONCE(devmem_max_flows))
		return -EDQUOT;
	return ddev->ops->flow_add(ddev->netdev, flow->queue, &flow->key, flow);
}

/* Tell the device. @dmabuf_fd shows that the caller may receive into the
 * binding's buffer. Errors as for DEVMEM_ATTACH.
 */
int devmem_flow_add_rule(struct devmem_flow *flow, int dmabuf_fd)
{
	struct devmem_binding *binding = flow->binding;
	struct devmem_dev *ddev = flow->ddev;
	struct dma_buf *dmabuf;
	u32 nth;
	int err;

	dmabuf = devmem_dmabuf_get(dmabuf_fd);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);

	mutex_lock(&ddev->lock);
	err = -ESHUTDOWN;
	if (!binding->bound)
		goto out;
	err = -EACCES;
	if (binding->dmabuf != dmabuf)
		goto out;
	err = -ESHUTDOWN;
	if (READ_ONCE(binding->state) != NETDEV_DEVMEM_STATE_ACTIVE)
		goto out;

	nth = binding->next_queue % binding->nr_queues;
	flow->queue = binding->queues[nth];
	flow->magazine = &binding->magazines[nth];
	err = devmem_flow_tell(flow);
	if (err == -EEXIST || err == -ENOSPC || err == -EDQUOT) {
		devmem_flow_evict(ddev);
		err = devmem_flow_tell(flow);
	}
	if (err)
		goto out;

	binding->next_queue++;
	binding->nr_flows++;
	flow->ruled = true;
	refcount_inc(&flow->ref);	/* the rule's */
	list_add_tail(&flow->node, &ddev->flows);
	trace_devmem_attach(flow);
out:
	mutex_unlock(&ddev->lock);
	dma_buf_put(dmabuf);
	return err;
}

/* From here on payload is placed. The socket lock is held. Does nothing if the
 * binding was unbound since the rule was added.
 */
void devmem_flow_arm(struct devmem_flow *flow)
{
	mutex_lock(&flow->ddev->lock);
	if (flow->ruled)
		smp_store_release(&flow->armed, true);	/* (A) */
	mutex_unlock(&flow->ddev->lock);
}

/* The socket goes: payload goes to host memory from here on, and the rule is removed
 * soon. Any context, any number of times. The caller holds a reference.
 */
void devmem_flow_disarm(struct devmem_flow *flow)
{
	struct devmem_dev *ddev = flow->ddev;

	WRITE_ONCE(flow->armed, false);
	if (xchg(&flow->gone, true))	/* (D) */
		return;
	refcount_inc(&flow->ref);
	llist_add(&flow->gone_node, &ddev->gone);
	refcount_inc(&ddev->ref);
	if (!queue_work(devmem_wq, &ddev->gone_work))
		devmem_dev_put(ddev);
}

/* The flow's socket with a reference, or NULL if it has gone. RCU read side. */
struct sock *devmem_flow_get_sk(const struct devmem_flow *flow)
{
	struct sock *sk = flow->sk;

	if (!refcount_inc_not_zero(&sk->sk_refcnt))
		return NULL;
	smp_mb__after_atomic();	/* (D) */
	if (likely(!READ_ONCE(flow->gone)))
		return sk;
	/* perhaps another's by now */
	sock_gen_put(sk);
	return NULL;
}
