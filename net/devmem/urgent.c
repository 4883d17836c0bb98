// SPDX-License-Identifier: GPL-2.0
/*
 * The urgent pointer of a socket with the ULP: TCP ignores every one. It would look
 * at the byte that the pointer names, also if that lies in a later segment, and in
 * placed payload that is a BUG(). The defence stands in the socket, so that it holds
 * on whatever way a segment came there, and for the orphan that close() leaves.
 *
 * TCP ignores a pointer that is not beyond the one it knows of. So it is told of one
 * that has been dealt with and that lies further ahead than any segment can name: the
 * mark. The byte that a pointer meant stays in the stream. Owns tp->urg_data and
 * tp->urg_seq as long as the ULP is there.
 */
#include <linux/tcp.h>
#include <net/tcp.h>

#include "devmem.h"

/* The mark's distance from what the reader has got: beyond all that a segment can
 * name, which is a window (1 GiB at most) and 64 KiB, and still ahead as sequence
 * numbers are compared.
 */
#define DEVMEM_URGENT_AHEAD	0x7ffeffffU
/* Least distance from what TCP has got for payload to be placed. Only a recv() that
 * began before the ULP came can read on without moving the mark.
 */
#define DEVMEM_URGENT_MARGIN	0x20000000U

/* Set the mark, or move it on as far as the reader has come. The socket lock is held.
 *
 * Return: 0, or -EBUSY: there is an urgent byte that the reader has not passed yet.
 */
int devmem_urgent_ignore(struct sock *sk)
{
	struct tcp_sock *tp = tcp_sk(sk);

	if (tp->urg_data && tp->urg_data != TCP_URG_READ &&
	    !after(tp->copied_seq, tp->urg_seq))
		return -EBUSY;

	WRITE_ONCE(tp->urg_seq, tp->copied_seq + DEVMEM_URGENT_AHEAD);
	WRITE_ONCE(tp->urg_data, TCP_URG_READ);

	/* TCP itself goes back to header prediction only without urg_data. It is right
	 * with the mark, too: no segment with URG is as predicted. The rest is what
	 * tcp_fast_path_check() asks.
	 */
	if (!tp->pred_flags && sk->sk_state == TCP_ESTABLISHED &&
	    RB_EMPTY_ROOT(&tp->out_of_order_queue) && tp->rcv_wnd &&
	    atomic_read(&sk->sk_rmem_alloc) < sk->sk_rcvbuf)
		tcp_fast_path_on(tp);
	return 0;
}

/* Does the mark stand? Without the socket lock. */
bool devmem_urgent_ignored(const struct sock *sk)
{
	const struct tcp_sock *tp = tcp_sk(sk);

	return READ_ONCE(tp->urg_data) == TCP_URG_READ &&
	       after(READ_ONCE(tp->urg_seq) - DEVMEM_URGENT_MARGIN, READ_ONCE(tp->rcv_nxt));
}
