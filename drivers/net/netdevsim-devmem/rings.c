// SPDX-License-Identifier: GPL-2.0
/*
 * How much is on the way to a queue, and when it is looked at: ethtool -g and
 * -G, -c and -C. Owns nsdm.rx_ring, tx_ring, rx_usecs and rx_frames, which
 * queue.c obeys, and rx_buf_len, which pool.c does. Knows nothing of queues.
 */
#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/log2.h>

#include "nsdm.h"

#define NSDM_RING_MIN		64
#define NSDM_RING_MAX		4096
#define NSDM_USECS_MAX		10000
#define NSDM_RX_BUF_MAX		SZ_64K

void nsdm_get_ringparam(struct net_device *dev, struct ethtool_ringparam *ring,
			struct kernel_ethtool_ringparam *kernel_ring,
			struct netlink_ext_ack *extack)
{
	const struct nsdm *nd = netdev_priv(dev);

	ring->rx_pending = nd->rx_ring;
	ring->rx_max_pending = NSDM_RING_MAX;
	ring->tx_pending = nd->tx_ring;
	ring->tx_max_pending = NSDM_RING_MAX;
	kernel_ring->rx_buf_len = nd->rx_buf_len;
	nsdm_get_split(nd, kernel_ring);
}

static int nsdm_check_ring(const char *what, u32 entries,
			   struct netlink_ext_ack *extack)
{
	if (entries >= NSDM_RING_MIN && entries <= NSDM_RING_MAX &&
	    is_power_of_2(entries))
		return 0;
	NL_SET_ERR_MSG_FMT_MOD(extack,
			       "%s ring: %u is no power of two from %u to %u",
			       what, entries, NSDM_RING_MIN, NSDM_RING_MAX);
	return -EINVAL;
}

/* An open device has its page pools. */
static int nsdm_check_buf_len(const struct nsdm *nd, u32 len,
			      struct netlink_ext_ack *extack)
{
	if (len == nd->rx_buf_len)
		return 0;
	if (len < PAGE_SIZE || len > NSDM_RX_BUF_MAX || !is_power_of_2(len)) {
		NL_SET_ERR_MSG_FMT_MOD(extack,
				       "rx-buf-len: %u is no power of two from %lu to %u",
				       len, PAGE_SIZE, NSDM_RX_BUF_MAX);
		return -EINVAL;
	}
	/* a piece holds all of its page, and is charged for half of it */
	if (len > PAGE_SIZE && !capable(CAP_NET_ADMIN)) {
		NL_SET_ERR_MSG_FMT_MOD(extack,
				       "rx-buf-len: %u needs the host's CAP_NET_ADMIN",
				       len);
		return -EPERM;
	}
	if (netif_running(nd->dev)) {
		NL_SET_ERR_MSG_MOD(extack,
				   "rx-buf-len can be set while the device is down");
		return -EBUSY;
	}
	if (nd->xdp) {
		NL_SET_ERR_MSG_FMT_MOD(extack,
				       "an XDP program is there: rx-buf-len stays %lu",
				       PAGE_SIZE);
		return -EBUSY;
	}
	return 0;
}

int nsdm_set_ringparam(struct net_device *dev, struct ethtool_ringparam *ring,
		       struct kernel_ethtool_ringparam *kernel_ring,
		       struct netlink_ext_ack *extack)
{
	struct nsdm *nd = netdev_priv(dev);
	int err;

	err = nsdm_check_ring("rx", ring->rx_pending, extack) ?:
	      nsdm_check_ring("tx", ring->tx_pending, extack) ?:
	      nsdm_check_buf_len(nd, kernel_ring->rx_buf_len, extack) ?:
	      nsdm_set_split(nd, kernel_ring, extack);
	if (err)
		return err;
	WRITE_ONCE(nd->rx_ring, ring->rx_pending);
	WRITE_ONCE(nd->tx_ring, ring->tx_pending);
	nd->rx_buf_len = kernel_ring->rx_buf_len;
	return 0;
}

int nsdm_get_coalesce(struct net_device *dev, struct ethtool_coalesce *coal,
		      struct kernel_ethtool_coalesce *kernel_coal,
		      struct netlink_ext_ack *extack)
{
	const struct nsdm *nd = netdev_priv(dev);

	coal->rx_coalesce_usecs = nd->rx_usecs;
	coal->rx_max_coalesced_frames = nd->rx_frames;
	return 0;
}

int nsdm_set_coalesce(struct net_device *dev, struct ethtool_coalesce *coal,
		      struct kernel_ethtool_coalesce *kernel_coal,
		      struct netlink_ext_ack *extack)
{
	struct nsdm *nd = netdev_priv(dev);

	if (coal->rx_coalesce_usecs > NSDM_USECS_MAX) {
		NL_SET_ERR_MSG_FMT_MOD(extack, "rx-usecs is at most %u",
				       NSDM_USECS_MAX);
		return -ERANGE;
	}
	if (coal->rx_max_coalesced_frames > NSDM_RING_MAX) {
		NL_SET_ERR_MSG_FMT_MOD(extack, "rx-frames is at most %u",
				       NSDM_RING_MAX);
		return -ERANGE;
	}
	WRITE_ONCE(nd->rx_usecs, coal->rx_coalesce_usecs);
	WRITE_ONCE(nd->rx_frames, coal->rx_max_coalesced_frames);
	return 0;
}
