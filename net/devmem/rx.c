// SPDX-License-Identifier: GPL-2.0
/*
 * recvmsg() of a socket with the ULP: walks the receive queue, copies what lies
 * in host memory, reports what was placed, and lets TCP know how far the reader
 * has come. Everything else about receiving is TCP's own.
 *
 * Bytes count as read only after their control message is with the user, so
 * nothing is lost to a short control buffer, a full token table or a bad
 * pointer.
 */
#include <linux/errqueue.h>
#include <linux/sched/signal.h>
#include <linux/tcp.h>
#include <linux/uio.h>
#include <net/busy_poll.h>
#include <net/inet_common.h>
#include <net/tcp.h>

#include "devmem.h"

enum devmem_piece_kind {
	DEVMEM_PIECE_NONE,
	DEVMEM_PIECE_LINEAR,		/* copied to the iovec */
	DEVMEM_PIECE_PLACED,		/* lies in the buffer */
};

/* One recvmsg() under way. */
struct devmem_reader {
	struct sock *sk;
	struct devmem_sock *ds;
	struct msghdr *msg;
	int flags;
	size_t len;			/* bytes the caller still wants */
	size_t copied;			/* bytes it gets */
	size_t done;			/* of those, not yet told to TCP */
	u32 seq;			/* of the next byte */
	struct devmem_frag_cursor at;	/* in the skb that is walked */
	bool fin;			/* the peer's FIN was reached */
	bool has_ts;
	struct scm_timestamping_internal ts;

	/* the piece being collected: not yet with the user; for a placed one
	 * that is not peeked at, the reader holds a reference on its chunk
	 */
	enum devmem_piece_kind kind;
	struct devmem_piece piece;
};

static size_t devmem_cmsg_len(const struct msghdr *msg, size_t len)
{
	if (msg->msg_flags & MSG_CMSG_COMPAT)
		return sizeof(struct compat_cmsghdr) + len;
	return CMSG_LEN(len);
}

/* Room that control messages after the pieces may want. */
static size_t devmem_trailer_len(const struct devmem_reader *r)
{
	size_t len = 0;

	if (tcp_sk(r->sk)->recvmsg_inq)
		len += CMSG_SPACE(sizeof(int));
	if (sock_flag(r->sk, SOCK_RCVTSTAMP))
		len += CMSG_SPACE(sizeof(struct __kernel_timespec));
	if (READ_ONCE(r->sk->sk_tsflags) & (SOF_TIMESTAMPING_SOFTWARE |
					    SOF_TIMESTAMPING_RAW_HARDWARE))
		len += CMSG_SPACE(sizeof(struct scm_timestamping64));
	return len;
}

static bool devmem_reader_has_room(const struct devmem_reader *r)
{
	const struct msghdr *msg = r->msg;
	size_t need = devmem_cmsg_len(msg, sizeof(struct dmabuf_cmsg));

	if (r->copied)
		need += devmem_trailer_len(r);
	return msg->msg_control && msg->msg_controllen >= need;
}

/* Describe the collected piece, which lies in the buffer. The reader's reference on
 * the chunk becomes a token; there is none for bytes that the exporter has taken away
 * with the memory. Who has not said that he looks for those must not get past them.
 */
static int devmem_reader_describe(struct devmem_reader *r, struct dmabuf_cmsg *cmsg)
{
	struct devmem_chunk *chunk = r->piece.chunk;
	struct devmem_binding *binding = chunk->binding;
	bool lost = READ_ONCE(binding->revoked);

	cmsg->dmabuf_id = binding->id;
	cmsg->frag_offset = ((u64)devmem_chunk_index(chunk) << binding->chunk_shift) +
			    r->piece.off;
	if (lost)
		cmsg->flags = DEVMEM_CMSG_LOST;
	if (!(r->flags & MSG_PEEK)) {
		if (lost)
			devmem_chunk_put(chunk);
		else
			cmsg->frag_token = devmem_tokens_issue(&r->ds->tokens, chunk);
	}
	return lost && !r->ds->report_lost ? -EIO : 0;
}

/* Count a piece that the user knows of. */
static void devmem_reader_given(struct devmem_reader *r, const struct dmabuf_cmsg *cmsg)
{
	if (cmsg->frag_token)
		r->ds->pieces++;
	else if (cmsg->flags & DEVMEM_CMSG_LOST && !(r->flags & MSG_PEEK))
		r->ds->lost += cmsg->frag_size;
}

/* Hand the collected piece to the user. If that fails its bytes are unread. */
static int devmem_reader_flush(struct devmem_reader *r)
{
	struct dmabuf_cmsg cmsg = { .frag_size = r->piece.len };
	int type = SCM_DEVMEM_LINEAR;
	int err = 0;

	if (r->kind == DEVMEM_PIECE_NONE)
		return 0;

	if (r->kind == DEVMEM_PIECE_PLACED) {
		type = SCM_DEVMEM_DMABUF;
		err = devmem_reader_describe(r, &cmsg);
	}

	r->kind = DEVMEM_PIECE_NONE;
	if (!err)
		err = put_cmsg(r->msg, SOL_SOCKET, type, sizeof(cmsg), &cmsg);
	if (!err) {
		devmem_reader_given(r, &cmsg);
		return 0;
	}

	if (cmsg.frag_token)
		devmem_tokens_release(&r->ds->tokens, cmsg.frag_token, 1);
	r->seq -= cmsg.frag_size;
	r->copied -= cmsg.frag_size;
	r->done -= cmsg.frag_size;
	r->len += cmsg.frag_size;
	r->fin = false;		/* it comes after them */
	return err;
}

static int devmem_reader_begin(struct devmem_reader *r,
			       enum devmem_piece_kind kind)
{
	int err;

	err = devmem_reader_flush(r);
	if (err)
		return err;
	if (!devmem_reader_has_room(r))
		return -EMSGSIZE;
	if (kind == DEVMEM_PIECE_PLACED && !(r->flags & MSG_PEEK))
		return devmem_tokens_reserve(&r->ds->tokens);
	return 0;
}

static int devmem_reader_take_placed(struct devmem_reader *r,
				     const struct devmem_piece *piece)
{
	u32 n = min_t(size_t, piece->len, r->len);
	int err;

	/* without the flag the caller could not make sense of what it gets */
	if (!(r->flags & MSG_SOCK_DEVMEM))
		return -EFAULT;

	if (r->kind == DEVMEM_PIECE_PLACED && r->piece.chunk == piece->chunk &&
	    r->piece.off + r->piece.len == piece->off) {
		r->piece.len += n;
		return n;
	}

	err = devmem_reader_begin(r, DEVMEM_PIECE_PLACED);
	if (err)
		return err;
	if (!(r->flags & MSG_PEEK))
		devmem_chunk_get(piece->chunk);
	r->kind = DEVMEM_PIECE_PLACED;
	r->piece = *piece;
	r->piece.len = n;
	return n;
}

static int devmem_reader_take_host(struct devmem_reader *r, struct sk_buff *skb,
				   u32 offset)
{
	u32 end = skb_frags_readable(skb) ? skb->len : skb_headlen(skb);
	bool describe = r->flags & MSG_SOCK_DEVMEM;
	u32 n;
	int err;

	/* unreadable, and not placed by us: another stack's */
	if (offset >= end)
		return -EFAULT;

	if (describe && r->kind != DEVMEM_PIECE_LINEAR) {
		err = devmem_reader_begin(r, DEVMEM_PIECE_LINEAR);
		if (err)
			return err;
	}

	n = min_t(size_t, end - offset, r->len);
	if (skb_copy_datagram_msg(skb, offset, r->msg, n))
		return -EFAULT;
	if (describe) {
		if (r->kind != DEVMEM_PIECE_LINEAR)
			r->piece.len = 0;
		r->kind = DEVMEM_PIECE_LINEAR;
		r->piece.len += n;
	}
	return n;
}

/* Whatever has led a packet here: what was placed for another stays out of sight. */
static bool devmem_reader_owns(const struct devmem_reader *r,
			       const struct devmem_piece *piece)
{
	return r->ds->flow && r->ds->flow->number == piece->owner;
}

/* Take some bytes at @offset of @skb. Returns their number, at least 1. */
static int devmem_reader_take(struct devmem_reader *r, struct sk_buff *skb,
			      u32 offset)
{
	struct devmem_piece piece;

	if (r->flags & MSG_TRUNC)
		return min_t(size_t, skb->len - offset, r->len);
	if (devmem_frag_find(skb, offset, &r->at, &piece) && devmem_reader_owns(r, &piece))
		return devmem_reader_take_placed(r, &piece);
	return devmem_reader_take_host(r, skb, offset);
}

static void devmem_reader_note_ts(struct devmem_reader *r, struct sk_buff *skb)
{
	if (!TCP_SKB_CB(skb)->has_rxtstamp)
		return;
	r->has_ts = true;
	r->ts.ts[0] = devmem_tstamp(skb->tstamp);
	r->ts.ts[2] = devmem_tstamp(skb_hwtstamps(skb)->hwtstamp);
}

/* Take what is queued, as far as it goes. Returns 0 when the queue is empty,
 * 1 when the reader has all it wants or reached the end, or an error.
 */
static int devmem_reader_walk(struct devmem_reader *r)
{
	struct sk_buff *skb;
	u32 offset;
	int n;

	skb_queue_walk(&r->sk->sk_receive_queue, skb) {
		offset = r->seq - TCP_SKB_CB(skb)->seq;
		memset(&r->at, 0, sizeof(r->at));
		if (offset < skb->len) {
			if (!r->len)
				return 1;
			devmem_reader_note_ts(r, skb);
		}
		while (offset < skb->len) {
			if (!r->len)
				return 1;
			n = devmem_reader_take(r, skb, offset);
			if (n < 0)
				return n;
			offset += n;
			r->seq += n;
			r->len -= n;
			r->copied += n;
			r->done += n;
		}
		if (TCP_SKB_CB(skb)->tcp_flags & TCPHDR_FIN) {
			r->fin = true;
			return 1;
		}
	}
	/* a reader that asks for no bytes waits for some all the same */
	return r->copied && !r->len;
}

/* Tell TCP: it frees what was read and opens the window. */
static void devmem_reader_commit(struct devmem_reader *r)
{
	struct tcp_sock *tp = tcp_sk(r->sk);
	u32 seq = tp->copied_seq;
	size_t left = r->done;
	struct sk_buff *skb;
	u32 rest;

	if (r->flags & MSG_PEEK) {
		sk_peek_offset_fwd(r->sk, r->done);
		r->done = 0;
		return;
	}

	skb_queue_walk(&r->sk->sk_receive_queue, skb) {
		rest = skb->len - (seq - TCP_SKB_CB(skb)->seq);
		if (left < rest)
			break;
		devmem_charge_read(r->sk, skb);
		devmem_frag_release(skb);
		left -= rest;
		seq += rest;
		if (!left)
			break;
	}

	sk_peek_offset_bwd(r->sk, r->done);
	/* one more than the data makes TCP step over the FIN */
	if (r->done || r->fin)
		tcp_read_done(r->sk, r->done + r->fin);
	r->done = 0;
	r->seq = tp->copied_seq;
	devmem_charge_read_on(r->sk);
	devmem_urgent_ignore(r->sk);
}

/* May the reader sleep for more? 0, or what recvmsg() ends with: 1 stands for
 * "what was copied".
 */
static int devmem_reader_may_wait(const struct devmem_reader *r, long timeo)
{
	struct sock *sk = r->sk;

	if (r->copied)
		return !timeo || sk->sk_err || sk->sk_state == TCP_CLOSE ||
		       (sk->sk_shutdown & RCV_SHUTDOWN) ||
		       signal_pending(current);

	if (sock_flag(sk, SOCK_DONE))
		return 1;
	if (sk->sk_err)
		return sock_error(sk);
	if (sk->sk_shutdown & RCV_SHUTDOWN)
		return 1;
	if (sk->sk_state == TCP_CLOSE)
		return -ENOTCONN;
	if (!timeo)
		return -EAGAIN;
	if (signal_pending(current))
		return sock_intr_errno(timeo);
	return 0;
}

static void devmem_reader_start(struct devmem_reader *r)
{
	r->seq = tcp_sk(r->sk)->copied_seq;
	if (r->flags & MSG_PEEK)
		r->seq += max(sk_peek_offset(r->sk, r->flags), 0);
}

static int devmem_reader_run(struct devmem_reader *r)
{
	struct sock *sk = r->sk;
	struct tcp_sock *tp = tcp_sk(sk);
	int target = sock_rcvlowat(sk, r->flags & MSG_WAITALL, r->len);
	long timeo = sock_rcvtimeo(sk, r->flags & MSG_DONTWAIT);
	u32 copied_seq;
	int ret, err;

	devmem_reader_start(r);
	for (;;) {
		ret = devmem_reader_walk(r);
		err = devmem_reader_flush(r);
		devmem_reader_commit(r);
		if (ret || err)
			break;

		if (r->copied >= target && !READ_ONCE(sk->sk_backlog.tail))
			break;
		ret = devmem_reader_may_wait(r, timeo);
		if (ret)
			break;

		copied_seq = tp->copied_seq;
		if (r->copied >= target) {
			__sk_flush_backlog(sk);
		} else {
			ret = sk_wait_data(sk, &timeo,
					   skb_peek_tail(&sk->sk_receive_queue));
			if (ret < 0)
				break;
		}

		/* the lock was dropped: somebody else may have read on */
		if (tp->copied_seq != copied_seq) {
			if ((r->flags & MSG_PEEK) && r->copied)
				break;
			devmem_reader_start(r);
		}
	}

	if (r->copied)
		return r->copied;
	return err ?: min(ret, 0);
}

static void devmem_put_timestamp(struct devmem_reader *r)
{
	struct scm_timestamping_internal *ts = &r->ts;
	struct timespec64 sw = devmem_tstamp_to_timespec64(ts->ts[0]);
	bool has_sw = devmem_tstamp_is_set(ts->ts[0]);
	bool has_hw = devmem_tstamp_is_set(ts->ts[2]);
	const struct sock *sk = r->sk;
	bool is_new = sock_flag(sk, SOCK_TSTAMP_NEW);
	u32 flags = READ_ONCE(sk->sk_tsflags);
	struct msghdr *msg = r->msg;
	bool any = false;

	if (has_sw && sock_flag(sk, SOCK_RCVTSTAMP)) {
		if (sock_flag(sk, SOCK_RCVTSTAMPNS)) {
			/* both layouts are two 64-bit words here */
			struct __kernel_timespec t = {
				.tv_sec = sw.tv_sec,
				.tv_nsec = sw.tv_nsec,
			};

			put_cmsg(msg, SOL_SOCKET,
				 is_new ? SO_TIMESTAMPNS_NEW : SO_TIMESTAMPNS_OLD,
				 sizeof(t), &t);
		} else {
			struct __kernel_sock_timeval t = {
				.tv_sec = sw.tv_sec,
				.tv_usec = sw.tv_nsec / NSEC_PER_USEC,
			};

			put_cmsg(msg, SOL_SOCKET,
				 is_new ? SO_TIMESTAMP_NEW : SO_TIMESTAMP_OLD,
				 sizeof(t), &t);
		}
	}

	if (has_sw && (flags & SOF_TIMESTAMPING_SOFTWARE) &&
	    (flags & SOF_TIMESTAMPING_RX_SOFTWARE ||
	     !(flags & SOF_TIMESTAMPING_OPT_RX_FILTER)))
		any = true;
	else
		ts->ts[0] = devmem_tstamp(0);

	if (has_hw &&
	    (flags & SOF_TIMESTAMPING_RAW_HARDWARE) &&
	    (flags & SOF_TIMESTAMPING_RX_HARDWARE ||
	     !(flags & SOF_TIMESTAMPING_OPT_RX_FILTER)))
		any = true;
	else
		ts->ts[2] = devmem_tstamp(0);

	if (!any)
		return;
	if (is_new)
		put_cmsg_scm_timestamping64(msg, ts);
	else
		put_cmsg_scm_timestamping(msg, ts);
}

/* How much is there to read; after the peer's FIN at least 1, for the end of
 * the stream is worth a call.
 */
static int devmem_inq(struct sock *sk)
{
	const struct tcp_sock *tp = tcp_sk(sk);
	int inq;

	lock_sock(sk);
	inq = tp->rcv_nxt - tp->copied_seq;
	release_sock(sk);
	if (!inq && sock_flag(sk, SOCK_DONE))
		inq = 1;
	return inq;
}

static int devmem_recv_locked(struct devmem_reader *r)
{
	if (r->sk->sk_state == TCP_LISTEN)
		return -ENOTCONN;
	/* urgent data is part of the stream: urgent.c */
	if (r->flags & MSG_OOB)
		return -EINVAL;
	if (tcp_sk(r->sk)->repair)
		return -EPERM;
	if (tcp_sk(r->sk)->recvmsg_inq)
		r->msg->msg_get_inq = 1;
	return devmem_reader_run(r);
}

int devmem_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags)
{
	struct devmem_reader r = {
		.sk = sk,
		.ds = devmem_sk(sk),
		.msg = msg,
		.flags = flags,
		/* the result is an int */
		.len = min_t(size_t, len, INT_MAX),
	};
	int ret;

	if (flags & MSG_ERRQUEUE)
		return devmem_recv_error(sk, msg, len);

	if (sk_can_busy_loop(sk) &&
	    skb_queue_empty_lockless(&sk->sk_receive_queue) &&
	    sk->sk_state == TCP_ESTABLISHED)
		sk_busy_loop(sk, flags & MSG_DONTWAIT);

	lock_sock(sk);
	ret = devmem_recv_locked(&r);
	release_sock(sk);
	if (ret < 0)
		return ret;

	if (r.has_ts)
		devmem_put_timestamp(&r);
	if (msg->msg_get_inq) {
		msg->msg_inq = devmem_inq(sk);
		if (tcp_sk(sk)->recvmsg_inq)
			put_cmsg(msg, SOL_TCP, TCP_CM_INQ, sizeof(msg->msg_inq),
				 &msg->msg_inq);
	}
	return ret;
}
