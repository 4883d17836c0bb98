// SPDX-License-Identifier: GPL-2.0
/*
 * The TCP ULP "devmem": which of a socket's operations are ours, and when the
 * socket comes and goes. Knows nothing of payload (rx.c) or options (sockopt.c).
 *
 * The ULP leaves the socket in close(), not when TCP is done with it: an orphan
 * that waits for its peer would pin the module for minutes.
 */
#include <linux/module.h>
#include <linux/netfilter.h>
#include <linux/tcp.h>
#include <linux/wait.h>
#include <net/inet_common.h>
#include <net/inet_connection_sock.h>
#include <net/ipv6.h>
#include <net/mptcp.h>
#include <net/tcp.h>
#include <net/transp_v6.h>

#include "devmem.h"

enum {
	DEVMEM_IPV4,
	DEVMEM_IPV6,
	DEVMEM_FAMILIES
};

/* Copies of the families' own, with ours put in. Write-once: the protos at init,
 * the ops with the family's first socket, for inet6_stream_ops is not exported.
 */
static struct proto devmem_prots[DEVMEM_FAMILIES];
static struct proto_ops devmem_proto_ops[DEVMEM_FAMILIES];
static const struct proto_ops *devmem_base_ops[DEVMEM_FAMILIES];
static DEFINE_MUTEX(devmem_ulp_lock);	/* protects the ops until they are set */

DEVMEM_PROTO_RECVMSG(devmem_recvmsg)

bool devmem_sk_has_ulp(const struct sock *sk)
{
	return READ_ONCE(sk->sk_prot)->recvmsg ==
	       DEVMEM_PROTO_RECVMSG_OP(devmem_recvmsg);
}

/* NULL if the socket has no ULP of ours. Under the socket lock or RCU. */
struct devmem_sock *devmem_sk(const struct sock *sk)
{
	return (__force struct devmem_sock *)
		rcu_dereference_raw(inet_csk(sk)->icsk_ulp_data);
}

/* Payload will not be placed any more. Softirq or process context. */
static void devmem_ulp_stop(struct sock *sk)
{
	struct devmem_sock *ds = devmem_sk(sk);

	if (ds && ds->flow)
		devmem_flow_disarm(ds->flow);
}

/* The connection ends; its addresses and ports may be another's in a moment. */
static void devmem_unhash(struct sock *sk)
{
	devmem_ulp_stop(sk);
	devmem_sk(sk)->base->unhash(sk);
}

static void devmem_sock_free(struct devmem_sock *ds)
{
	if (ds->flow) {
		devmem_flow_disarm(ds->flow);
		devmem_flow_put(ds->flow);
	}
	devmem_tokens_destroy(&ds->tokens);
	kfree_rcu(ds, rcu);
	devmem_object_add(DEVMEM_OBJ_SOCKETS, -1);
}

static int devmem_disconnect(struct sock *sk, int flags)
{
	struct devmem_sock *ds = devmem_sk(sk);
	struct devmem_flow *flow = ds->flow;

	/* the tokens stay: they are the reader's until it gives them back */
	if (flow) {
		WRITE_ONCE(ds->flow, NULL);
		devmem_flow_disarm(flow);
		devmem_flow_put(flow);
	}
	devmem_charge_reset(sk);
	return ds->base->disconnect(sk, flags);
}

/* Does a placed packet of the flow with number @owner, which looks like one of NFPROTO
 * @pf now, belong to the socket? Under RCU, whatever socket it is.
 */
bool devmem_sk_owns(const struct sock *sk, u64 owner, u8 pf)
{
	const struct devmem_flow *flow;
	const struct devmem_sock *ds;

	if (!sk_fullsock(sk) || !devmem_sk_has_ulp(sk))
		return false;
	ds = devmem_sk(sk);
	flow = ds ? READ_ONCE(ds->flow) : NULL;
	return flow && flow->number == owner &&
	       pf == (flow->key.family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6);
}

/* Give the socket back as it was, but for the mark that urgent.c has made: placed
 * payload may be on its way to the orphan. The flow's memory outlasts a grace period,
 * for the guard looks at it without a lock.
 */
static struct devmem_sock *devmem_ulp_remove(struct sock *sk)
{
	struct inet_connection_sock *icsk = inet_csk(sk);
	struct devmem_sock *ds = devmem_sk(sk);

	devmem_charge_end(sk);
	WRITE_ONCE(sk->sk_prot, ds->base);
	if (sk->sk_socket) {
		WRITE_ONCE(sk->sk_socket->ops, ds->base_ops);
		clear_bit(SOCK_CUSTOM_SOCKOPT, &sk->sk_socket->flags);
	}
	rcu_assign_pointer(icsk->icsk_ulp_data, NULL);
	return ds;
}

/* What nobody has read lets go of its chunks now: close() may only park these
 * packets, on the CPU that they came in on, until that receives something else.
 * And what waits for a gap to be filled waits on in the orphan, as long as the
 * peer is silent; as does the last packet, when options of IPv6 have been asked for.
 */
static void devmem_ulp_drop_unread(struct sock *sk)
{
	struct sk_buff *skb;
	struct rb_node *node;

	sk_flush_backlog(sk);
	skb_queue_walk(&sk->sk_receive_queue, skb)
		devmem_frag_release(skb);
	for (node = rb_first(&tcp_sk(sk)->out_of_order_queue); node; node = rb_next(node))
		devmem_frag_release(rb_to_skb(node));
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6)
		kfree_skb(xchg(&inet6_sk(sk)->pktoptions, NULL));
#endif
}

static void devmem_close(struct sock *sk, long timeout)
{
	struct devmem_sock *ds;
	struct proto *base;

	lock_sock(sk);
	devmem_ulp_stop(sk);
	devmem_ulp_drop_unread(sk);
	ds = devmem_ulp_remove(sk);
	base = ds->base;
	inet_csk(sk)->icsk_ulp_ops = NULL;
	devmem_sock_free(ds);
	release_sock(sk);

	base->close(sk, timeout);
	/* devmem_exit() waits until this task has left the module's text */
	module_put(THIS_MODULE);
}

/* TCP is done with a socket that was never closed. */
static void devmem_ulp_release(struct sock *sk)
{
	if (devmem_sk(sk))
		devmem_sock_free(devmem_ulp_remove(sk));
}

/* Payload may lie where no CPU can read it, and spliced data would look like
 * the end of the stream.
 */
static ssize_t devmem_splice_read(struct socket *sock, loff_t *ppos,
				  struct pipe_inode_info *pipe, size_t size,
				  unsigned int flags)
{
	return -EOPNOTSUPP;
}

static int devmem_read_sock(struct sock *sk, read_descriptor_t *desc,
			    sk_read_actor_t recv_actor)
{
	return -EOPNOTSUPP;
}

static int devmem_read_skb(struct sock *sk, skb_read_actor_t recv_actor)
{
	return -EOPNOTSUPP;
}

static int devmem_mmap(struct file *file, struct socket *sock,
		       struct vm_area_struct *vma)
{
	return -EOPNOTSUPP;
}

static int devmem_ulp_family(const struct sock *sk)
{
	if (sk->sk_prot == &tcp_prot)
		return DEVMEM_IPV4;
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_prot == &tcpv6_prot)
		return DEVMEM_IPV6;
#endif
	return -EOPNOTSUPP;
}

/* Sockets whose segments are hashed, duplicated or rewritten need payload that
 * can be read. One that was a listener once has no reference that a packet could hold.
 */
static bool devmem_ulp_unfit(const struct sock *sk)
{
	const struct tcp_sock *tp = tcp_sk(sk);

	if (sk_is_mptcp(sk) || tp->repair || sock_flag(sk, SOCK_RCU_FREE))
		return true;
#ifdef CONFIG_TCP_MD5SIG
	if (rcu_access_pointer(tp->md5sig_info))
		return true;
#endif
#ifdef CONFIG_TCP_AO
	if (rcu_access_pointer(tp->ao_info))
		return true;
#endif
	return false;
}

/* Also a connection that the peer has closed for its part, whose bytes wait to be
 * read; and one with bytes in its SYN, by TCP Fast Open, for which accept() does not wait
 * until it is established.
 */
bool devmem_sk_connected(const struct sock *sk)
{
	return (1 << sk->sk_state) & (TCPF_ESTABLISHED | TCPF_FIN_WAIT1 |
				      TCPF_FIN_WAIT2 | TCPF_CLOSE_WAIT | TCPF_SYN_RECV);
}

static void devmem_ulp_build_ops(int family, const struct proto_ops *ops)
{
	struct proto_ops *o = &devmem_proto_ops[family];

	*o = *ops;
	o->splice_read = devmem_splice_read;
	o->read_sock = devmem_read_sock;
	o->read_skb = devmem_read_skb;
	o->mmap = devmem_mmap;
}

/* False if somebody else has swapped the socket's ops before us. */
static bool devmem_ulp_take_ops(int family, const struct proto_ops *ops)
{
	bool same;

	mutex_lock(&devmem_ulp_lock);
	if (!devmem_base_ops[family]) {
		devmem_ulp_build_ops(family, ops);
		devmem_base_ops[family] = ops;
	}
	same = devmem_base_ops[family] == ops;
	mutex_unlock(&devmem_ulp_lock);
	return same;
}

/* Who sleeps in recv() or splice() of the socket is in TCP's own, which cannot read
 * placed payload: recv() would say EFAULT, but splice() that the stream has ended. It
 * says EFAULT, too, if it is woken with that error before there is any; of several only
 * one is. Who waits for room to send sleeps alike, and must not be woken so.
 */
static void devmem_ulp_wake_reader(struct sock *sk)
{
	struct wait_queue_head *wq = sk_sleep(sk);
	struct wait_queue_entry *entry;
	bool asleep = false;

	/* who has been woken by data gets that */
	if (sk->sk_write_pending || !skb_queue_empty(&sk->sk_receive_queue))
		return;
	spin_lock_irq(&wq->lock);
	list_for_each_entry(entry, &wq->head, entry)
		asleep |= entry->func == woken_wake_function;
	spin_unlock_irq(&wq->lock);
	if (asleep) {
		WRITE_ONCE(sk->sk_err, EFAULT);
		sk_error_report(sk);
	}
}

static int devmem_ulp_init_sock(struct sock *sk)
{
	struct socket *sock = sk->sk_socket;
	int family = devmem_ulp_family(sk);
	struct devmem_sock *ds;

	if (!devmem_sk_connected(sk) || !sock)
		return -ENOTCONN;
	if (family < 0)
		return family;
	if (devmem_ulp_unfit(sk) || !devmem_ulp_take_ops(family, sock->ops))
		return -EOPNOTSUPP;
	if (tcp_sk(sk)->urg_data)
		return -EBUSY;

	ds = kzalloc(sizeof(*ds), GFP_KERNEL_ACCOUNT);
	if (!ds)
		return -ENOMEM;
	ds->base = sk->sk_prot;
	ds->base_ops = sock->ops;
	devmem_tokens_init(&ds->tokens);
	devmem_object_add(DEVMEM_OBJ_SOCKETS, 1);

	rcu_assign_pointer(inet_csk(sk)->icsk_ulp_data, ds);
	WRITE_ONCE(sk->sk_prot, &devmem_prots[family]);
	WRITE_ONCE(sock->ops, &devmem_proto_ops[family]);
	set_bit(SOCK_CUSTOM_SOCKOPT, &sock->flags);
	devmem_urgent_ignore(sk);	/* nothing is urgent now */
	devmem_charge_begin(sk);
	devmem_ulp_wake_reader(sk);
	return 0;
}

static struct tcp_ulp_ops devmem_ulp_ops = {
	.name		= DEVMEM_ULP_NAME,
	.owner		= THIS_MODULE,
	.init		= devmem_ulp_init_sock,
	.release	= devmem_ulp_release,
};

static void devmem_ulp_build_prot(int family, const struct proto *prot)
{
	struct proto *p = &devmem_prots[family];

	*p = *prot;
	p->recvmsg = DEVMEM_PROTO_RECVMSG_OP(devmem_recvmsg);
	p->setsockopt = devmem_setsockopt;
	p->getsockopt = devmem_getsockopt;
	p->unhash = devmem_unhash;
	p->close = devmem_close;
	p->disconnect = devmem_disconnect;
}

int devmem_ulp_init(void)
{
	devmem_ulp_build_prot(DEVMEM_IPV4, &tcp_prot);
#if IS_ENABLED(CONFIG_IPV6)
	devmem_ulp_build_prot(DEVMEM_IPV6, &tcpv6_prot);
#endif
	return tcp_register_ulp(&devmem_ulp_ops);
}

void devmem_ulp_exit(void)
{
	tcp_unregister_ulp(&devmem_ulp_ops);
}

MODULE_ALIAS_TCP_ULP("devmem");
