// SPDX-License-Identifier: GPL-2.0
/*
 * What unread payload is charged as. TCP takes all that waits in a socket for host memory
 * and charges it: to the receive buffer, from which the window follows, and to the socket's
 * memory cgroup and tcp_mem. The first is as right for payload in the dma-buf as for any;
 * the others are about memory of the host, which that is not. Owns the difference:
 * devmem_sock.uncharged and .settled.
 *
 * A packet is charged when TCP queues it, whole, and uncharged when it is freed, whole:
 * sk_forward_alloc is the socket's stock of what was charged. So what lies in the buffer
 * is handed back to the stock once it is queued, from where the excess goes back to the
 * cgroup, and taken from it again just before the packet is freed. That the stock is
 * negative between is nothing to anybody: all under the socket lock.
 */
#include <linux/skbuff.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "devmem.h"

/* So much of a socket's unread payload may stay charged: then one that is read as it
 * comes has no work with all this, and another little.
 */
#define DEVMEM_CHARGE_BATCH	(256U * 1024)

/* Bytes of a queued packet that lie in the buffer. */
static u32 devmem_charge_placed(const struct sk_buff *skb)
{
	return devmem_frag_placed(skb) ? skb->data_len : 0;
}

/* Has the payload of a queued packet been uncharged? */
static bool devmem_charge_settled(const struct devmem_sock *ds, const struct sk_buff *skb)
{
	return !after(TCP_SKB_CB(skb)->end_seq, ds->settled);
}

static void devmem_charge_settle(struct sock *sk, struct devmem_sock *ds)
{
	struct sk_buff *skb, *tail = skb_peek_tail(&sk->sk_receive_queue);
	u32 size = 0;

	skb_queue_reverse_walk(&sk->sk_receive_queue, skb) {
		if (devmem_charge_settled(ds, skb))
			break;
		size += devmem_charge_placed(skb);
	}
	if (tail)
		ds->settled = TCP_SKB_CB(tail)->end_seq;
	ds->uncharged += size;
	sk_mem_uncharge(sk, size);
}

/* TCP says that there is something to read. The socket lock is held. */
static void devmem_charge_data_ready(struct sock *sk)
{
	struct devmem_sock *ds = devmem_sk(sk);

	if (tcp_sk(sk)->rcv_nxt - ds->settled >= DEVMEM_CHARGE_BATCH)
		devmem_charge_settle(sk, ds);
	ds->data_ready(sk);
}

/* The reader is through with @skb, which is about to be freed. */
void devmem_charge_read(struct sock *sk, const struct sk_buff *skb)
{
	struct devmem_sock *ds = devmem_sk(sk);
	u32 size;

	if (!ds->uncharged || !devmem_charge_settled(ds, skb))
		return;
	size = devmem_charge_placed(skb);
	ds->uncharged -= size;
	sk_mem_charge(sk, size);
}

/* It has come as far as tp->copied_seq: there is nothing to settle before that. */
void devmem_charge_read_on(struct sock *sk)
{
	struct devmem_sock *ds = devmem_sk(sk);
	u32 copied = tcp_sk(sk)->copied_seq;

	if (after(copied, ds->settled))
		ds->settled = copied;
}

/* All is charged again: what is queued may be freed by others, or be of another
 * connection from now on.
 */
void devmem_charge_reset(struct sock *sk)
{
	struct devmem_sock *ds = devmem_sk(sk);

	sk_mem_charge(sk, ds->uncharged);
	ds->uncharged = 0;
	ds->settled = tcp_sk(sk)->rcv_nxt;
}

/* The ULP comes. */
void devmem_charge_begin(struct sock *sk)
{
	struct devmem_sock *ds = devmem_sk(sk);

	devmem_charge_reset(sk);
	write_lock_bh(&sk->sk_callback_lock);
	ds->data_ready = sk->sk_data_ready;
	WRITE_ONCE(sk->sk_data_ready, devmem_charge_data_ready);
	write_unlock_bh(&sk->sk_callback_lock);
}

/* It goes. */
void devmem_charge_end(struct sock *sk)
{
	struct devmem_sock *ds = devmem_sk(sk);

	devmem_charge_reset(sk);
	write_lock_bh(&sk->sk_callback_lock);
	if (sk->sk_data_ready == devmem_charge_data_ready)
		WRITE_ONCE(sk->sk_data_ready, ds->data_ready);
	write_unlock_bh(&sk->sk_callback_lock);
}
