// SPDX-License-Identifier: GPL-2.0
/*
 * Socket options of a socket with the ULP: attach, information, the return of
 * tokens, and the kernel's own options that would not go together with placed
 * payload.
 */
#include <linux/sockptr.h>
#include <linux/tcp.h>
#include <linux/uio.h>
#include <net/inet_connection_sock.h>
#include <net/tcp.h>

#include "devmem.h"

/* The part of DEVMEM_ATTACH that needs the binding. Holds the socket lock. */
static int devmem_attach_to(struct sock *sk, struct devmem_sock *ds,
			    struct devmem_binding *binding, int dmabuf_fd)
{
	struct devmem_flow *flow;
	int err;

	flow = devmem_flow_create(binding, sk);
	if (!flow)
		return -ENOMEM;

	err = devmem_flow_add_rule(flow, dmabuf_fd);
	if (err) {
		devmem_flow_put(flow);
		return err;
	}
	ds->received = tcp_sk(sk)->bytes_received;
	devmem_charge_reset(sk);
	WRITE_ONCE(ds->flow, flow);
	devmem_flow_arm(flow);
	return 0;
}

/* A socket that was connected anew has lost what keeps urgent pointers from TCP, and
 * may have got one since.
 */
static int devmem_attach_settle(struct sock *sk)
{
	sk_flush_backlog(sk);
	return devmem_sk_connected(sk) ? devmem_urgent_ignore(sk) : -ENOTCONN;
}

/* The struct as this kernel knows it; what the caller knows beyond must be 0. */
static int devmem_attach_copy(struct devmem_attach *attach, sockptr_t optval,
			      unsigned int optlen)
{
	int ret;

	if (optlen < DEVMEM_ATTACH_SIZE_VER0)
		return -EINVAL;
	/* copy_struct_from_sockptr() of 6.12 does not look at the tail */
	if (optlen > sizeof(*attach)) {
		ret = check_zeroed_sockptr(optval, sizeof(*attach),
					   optlen - sizeof(*attach));
		if (ret <= 0)
			return ret ?: -E2BIG;
	}
	if (copy_from_sockptr(attach, optval, sizeof(*attach)))
		return -EFAULT;
	return attach->flags & ~DEVMEM_ATTACH_REPORT_LOST || attach->reserved ? -EINVAL : 0;
}

static int devmem_attach(struct sock *sk, sockptr_t optval, unsigned int optlen)
{
	struct devmem_sock *ds = devmem_sk(sk);
	struct devmem_binding *binding;
	struct devmem_attach attach;
	struct dma_buf *dmabuf;
	int err;

	/* a struct that has grown takes what older callers leave out as 0 */
	BUILD_BUG_ON(sizeof(attach) != DEVMEM_ATTACH_SIZE_VER0);
	err = devmem_attach_copy(&attach, optval, optlen);
	if (err)
		return err;
	if (ds->flow)
		return -EISCONN;

	/* say what is wrong with the descriptor whatever the binding's state */
	dmabuf = devmem_dmabuf_get(attach.dmabuf_fd);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	dma_buf_put(dmabuf);

	binding = devmem_binding_lookup(sock_net(sk), attach.binding_id);
	if (!binding)
		return -ENOENT;

	err = devmem_attach_settle(sk) ?:
	      devmem_route_check(sk, binding->ifindex) ?:
	      devmem_attach_to(sk, ds, binding, attach.dmabuf_fd);
	if (!err)
		ds->report_lost = attach.flags & DEVMEM_ATTACH_REPORT_LOST;
	devmem_binding_put(binding);
	return err;
}

static int devmem_dontneed(struct sock *sk, sockptr_t optval, unsigned int optlen)
{
	u32 left = DEVMEM_MAX_DONTNEED_TOKENS;
	struct devmem_tokens *tokens;
	struct dmabuf_token *ranges;
	unsigned int i, nr;
	u32 count;
	int done = 0;

	if (!optlen || optlen % sizeof(*ranges) ||
	    optlen / sizeof(*ranges) > DEVMEM_MAX_DONTNEED_RANGES)
		return -EINVAL;
	ranges = memdup_sockptr(optval, optlen);
	if (IS_ERR(ranges))
		return PTR_ERR(ranges);

	tokens = &devmem_sk(sk)->tokens;
	nr = optlen / sizeof(*ranges);
	for (i = 0; i < nr && left; i++) {
		count = min(ranges[i].token_count, left);
		done += devmem_tokens_release(tokens, ranges[i].token_start, count);
		left -= count;
	}
	kfree(ranges);
	return done;
}

/* Options that make TCP read or rewrite payload, or that swap the operations
 * under the ULP.
 */
static int devmem_setsockopt_refused(int level, int optname)
{
	if (level == SOL_TCP) {
		switch (optname) {
		case TCP_MD5SIG:
		case TCP_MD5SIG_EXT:
		case TCP_AO_ADD_KEY:
		case TCP_AO_DEL_KEY:
		case TCP_AO_INFO:
		case TCP_AO_REPAIR:
		case TCP_REPAIR:
			return -EOPNOTSUPP;
		}
	}
	if (level == SOL_IPV6 && optname == IPV6_ADDRFORM)
		return -EBUSY;
	return 0;
}

int devmem_setsockopt(struct sock *sk, int level, int optname,
		      sockptr_t optval, unsigned int optlen)
{
	int err;

	switch (level) {
	case SOL_DEVMEM:
		if (optname != DEVMEM_ATTACH)
			return -ENOPROTOOPT;
		lock_sock(sk);
		err = devmem_attach(sk, optval, optlen);
		release_sock(sk);
		return err;
	case SOL_SOCKET:
		if (optname == SO_DEVMEM_DONTNEED)
			return devmem_dontneed(sk, optval, optlen);
		return sock_setsockopt(sk->sk_socket, level, optname, optval,
				       optlen);
	}
	err = devmem_setsockopt_refused(level, optname);
	if (err)
		return err;
	return devmem_sk(sk)->base->setsockopt(sk, level, optname, optval, optlen);
}

static void devmem_fill_info(struct sock *sk, struct devmem_info *info)
{
	struct devmem_sock *ds = devmem_sk(sk);
	const struct devmem_flow *flow;
	u64 received;

	lock_sock(sk);
	info->pieces = ds->pieces;
	info->lost_bytes = ds->lost;
	info->tokens_held = READ_ONCE(ds->tokens.held);
	if (rcu_access_pointer(sk->sk_rx_dst))
		info->rx_ifindex = sk->sk_rx_dst_ifindex;
	flow = ds->flow;
	if (flow) {
		info->binding_id = flow->binding->id;
		info->state = READ_ONCE(flow->binding->state);
		info->queue = flow->queue;
		info->chunk_size = devmem_binding_chunk_size(flow->binding);
		info->placed_bytes = READ_ONCE(flow->placed_bytes);
		info->fallback_bytes = READ_ONCE(flow->fallback_bytes);
		/* the device's rule may have matched none of what TCP has got, which
		 * counts the peer's FIN as a byte
		 */
		received = tcp_sk(sk)->bytes_received - ds->received -
			   sock_flag(sk, SOCK_DONE);
		if (received > info->placed_bytes)
			info->fallback_bytes = max(info->fallback_bytes,
						   received - info->placed_bytes);
	}
	release_sock(sk);
}

int devmem_getsockopt(struct sock *sk, int level, int optname,
		      char __user *optval, int __user *optlen)
{
	struct devmem_info info = {};
	int len;

	/* hands out pages of payload: there are none that can be mapped */
	if (level == SOL_TCP && optname == TCP_ZEROCOPY_RECEIVE)
		return -EOPNOTSUPP;
	if (level != SOL_DEVMEM)
		return devmem_sk(sk)->base->getsockopt(sk, level, optname,
						       optval, optlen);
	if (optname != DEVMEM_INFO)
		return -ENOPROTOOPT;
	if (get_user(len, optlen))
		return -EFAULT;
	if (len < DEVMEM_INFO_SIZE_VER0)
		return -EINVAL;
	len = min_t(int, len, sizeof(info));
	devmem_fill_info(sk, &info);
	if (put_user(len, optlen) || copy_to_user(optval, &info, len))
		return -EFAULT;
	return 0;
}
