// SPDX-License-Identifier: GPL-2.0
/*
 * The memory that an rx queue receives payload into: a page pool of host pages
 * or, if the kernel's own devmem TCP has bound something to the queue, of that.
 * Owns the pool, the page that is being filled, and the operations by which the
 * kernel exchanges a queue's memory while the device is up. Knows nothing of
 * packets, nor of what the kernel has bound.
 *
 * A queue serves one of three: ordinary memory only, the kernel's provider, or
 * bindings of net/devmem beside ordinary memory. nsdm.claim decides: a binding
 * comes in nsdm_queue_bind(), a provider in nsdm_pool_create().
 */
#include <linux/ethtool.h>
#include <linux/ethtool_netlink.h>
#include <linux/log2.h>
#include <linux/netdevice.h>
#include <linux/platform_device.h>
#include <linux/rtnetlink.h>
#include <linux/sched/mm.h>
#include <net/netdev_queues.h>
#include <net/netdev_rx_queue.h>
#include <net/page_pool/helpers.h>

#include "nsdm.h"

/* What GFP_ATOMIC allocates it charges beyond any limit. */
#define NSDM_GFP_CHARGED	(GFP_NOWAIT | __GFP_ACCOUNT | __GFP_NOWARN)

/* Has the kernel bound a provider of memory to the queue, or is it about to?
 * It writes that under the settings lock; then it asks for a pool.
 */
static bool nsdm_pool_wanted(const struct nsdm_rxq *q)
{
	struct netdev_rx_queue *rxq;

	rxq = __netif_get_rx_queue(q->nd->dev, q->index);
	return READ_ONCE(rxq->mp_params.mp_ops);
}

bool nsdm_pool_provided(const struct nsdm_rxq *q)
{
	return nsdm_pool_wanted(q) || q->provided;
}

/* The first queue from @from on that is bound, by the kernel or to net/devmem, or
 * -1. The caller holds nsdm.claim.
 */
int nsdm_pool_bound(const struct nsdm *nd, u32 from)
{
	u32 i;

	for (i = from; i < nd->dev->num_rx_queues; i++)
		if (nd->rxq[i].bound || nsdm_pool_provided(&nd->rxq[i]))
			return i;
	return -1;
}

/* Claim the queue for the kernel's provider. The kernel gives us nowhere to
 * put a reason, so it goes to the log.
 */
static int nsdm_pool_claim(struct nsdm_rxq *q, bool split)
{
	struct nsdm *nd = q->nd;
	int err = 0;

	if (!split) {
		netdev_notice(nd->dev,
			      "queue %u: tcp-data-split is off: no memory provider\n",
			      q->index);
		return -EINVAL;
	}
	if (!(nd->dev->features & NETIF_F_RXCSUM)) {
		netdev_notice(nd->dev,
			      "queue %u: rx-checksumming is off: no memory provider\n",
			      q->index);
		return -EINVAL;
	}

	mutex_lock(&nd->claim);
	if (nd->xdp) {
		netdev_notice(nd->dev,
			      "queue %u runs an XDP program: no memory provider\n",
			      q->index);
		err = -EBUSY;
	} else if (q->bound) {
		netdev_notice(nd->dev,
			      "queue %u serves a binding of net/devmem: no memory provider\n",
			      q->index);
		err = -EBUSY;
	} else {
		q->provided++;
	}
	mutex_unlock(&nd->claim);

	if (!err)
		nsdm_dma_keep(nd);
	return err;
}

static void nsdm_pool_unclaim(struct nsdm_rxq *q)
{
	mutex_lock(&q->nd->claim);
	q->provided--;
	mutex_unlock(&q->nd->claim);
}

/* A pool that never came into use goes. It knows the NAPI, which polls another one
 * while the queue is open, and insists that it be disabled.
 */
static void nsdm_pool_forget_napi(struct nsdm_rxq *q, struct page_pool *pool)
{
	if (!q->active || !pool->p.napi)
		return;
	nsdm_rxq_pause(q);
	page_pool_disable_direct_recycling(pool);
	nsdm_rxq_resume(q);
}

/* Pages come from a provider if there is one and header split is on. */
static int nsdm_pool_create(struct nsdm_rxq *q, struct nsdm_mem *mem,
			    const struct netdev_queue_config *qcfg, bool split)
{
	bool provided = nsdm_pool_wanted(q);
	unsigned int page_size = max_t(unsigned int, qcfg->rx_page_size,
				       provided ? PAGE_SIZE : q->nd->rx_buf_len);
	struct page_pool_params params = {
		.order		= get_order(page_size),
		.pool_size	= max(NSDM_RING_SIZE * PAGE_SIZE / page_size, 64),
		.nid		= NUMA_NO_NODE,
		.dev		= &q->nd->dma->dev,
		.napi		= &q->napi,
		.dma_dir	= DMA_FROM_DEVICE,
		.max_len	= page_size,
		.netdev		= q->nd->dev,
		.queue_idx	= q->index,
		.flags		= PP_FLAG_DMA_MAP | PP_FLAG_DMA_SYNC_DEV,
	};
	struct page_pool *pool;
	int err;

	devmem_assert_settings_locked(q->nd->dev);

	if (provided) {
		err = nsdm_pool_claim(q, split);
		if (err)
			return err;
	}
	if (split)
		params.flags |= PP_FLAG_ALLOW_UNREADABLE_NETMEM;

	pool = page_pool_create(&params);
	if (IS_ERR(pool)) {
		if (provided)
			nsdm_pool_unclaim(q);
		return PTR_ERR(pool);
	}
	/* page_pool keeps a list of the pages that it has mapped, and unmaps
	 * them when the pool goes; but not where struct page has no room for
	 * their numbers. There what comes back later is unmapped later.
	 */
	if (!PP_DMA_INDEX_BITS)
		nsdm_dma_keep(q->nd);
	mem->q = q;
	mem->pool = pool;
	mem->page_size = page_size;
	mem->provided = provided;
	err = nsdm_xdp_pool_add(mem);
	if (err) {
		nsdm_pool_forget_napi(q, pool);
		page_pool_destroy(pool);
		if (provided)
			nsdm_pool_unclaim(q);
		memset(mem, 0, sizeof(*mem));
	}
	return err;
}

static void nsdm_pool_destroy(struct nsdm_mem *mem)
{
	nsdm_xdp_pool_del(mem);
	page_pool_destroy(mem->pool);
	if (mem->provided)
		nsdm_pool_unclaim(mem->q);
	memset(mem, 0, sizeof(*mem));
}

/* NAPI is disabled, or nobody has enabled it yet. */
static void nsdm_pool_drain(struct nsdm_rxq *q)
{
	if (!q->netmem)
		return;
	page_pool_put_full_netmem(q->mem.pool, q->netmem, false);
	q->netmem = 0;
}

int nsdm_pool_open(struct nsdm_rxq *q)
{
	struct netdev_queue_config qcfg;
	int err;

	netdev_queue_config(q->nd->dev, q->index, &qcfg);
	err = nsdm_pool_create(q, &q->mem, &qcfg, q->nd->split);
	if (!err)
		nsdm_xdp_pool_use(q);
	return err;
}

/* NAPI is disabled. Pages that are still with sockets come back to the pool
 * later; it goes with the last of them.
 */
void nsdm_pool_close(struct nsdm_rxq *q)
{
	nsdm_pool_drain(q);
	nsdm_pool_destroy(&q->mem);
}

/* A whole page, with a reference for the caller. It is charged to whoever has made
 * the link. 0: no memory, or no more for him. NAPI context.
 */
netmem_ref nsdm_pool_page(struct nsdm_rxq *q)
{
	struct mem_cgroup *memcg = q->nd->memcg, *old;
	netmem_ref netmem;

	if (memcg) {
		old = set_active_memcg(memcg);
		netmem = page_pool_alloc_netmems(q->mem.pool, NSDM_GFP_CHARGED);
		set_active_memcg(old);
	} else {
		netmem = page_pool_alloc_netmems(q->mem.pool,
						 GFP_ATOMIC | __GFP_NOWARN);
	}
	if (unlikely(!netmem))
		nsdm_rx_count(q, NSDM_RX_ALLOC_FAIL, 1);
	return netmem;
}

/* A piece of a page for up to @want bytes of payload, with a reference for the
 * caller: *@len bytes at *@off. It takes *@share bytes of the page, or it would be
 * cheap to hold many pages by little pieces. 0: no memory. NAPI context.
 */
netmem_ref nsdm_pool_get(struct nsdm_rxq *q, unsigned int want,
			 unsigned int *off, unsigned int *len,
			 unsigned int *share)
{
	netmem_ref netmem = q->netmem;

	if (!netmem) {
		netmem = nsdm_pool_page(q);
		if (unlikely(!netmem))
			return 0;
		q->netmem = netmem;
		q->netmem_off = 0;
	}
	*off = q->netmem_off;
	*len = min(want, q->mem.page_size - *off);
	*share = ALIGN(*len, nsdm_pool_share(&q->mem));
	q->netmem_off += *share;
	if (q->netmem_off >= q->mem.page_size)
		q->netmem = 0;		/* our reference becomes the caller's */
	else
		page_pool_ref_netmem(netmem);
	return netmem;
}

/* The queue's memory changes while the device is up. Its wire goes on taking
 * packets meanwhile; only the poll stands still.
 */

static int nsdm_queue_mem_alloc(struct net_device *dev,
				struct netdev_queue_config *qcfg, void *mem,
				int idx)
{
	struct nsdm *nd = netdev_priv(dev);

	if (!netif_running(dev))
		return -ENETDOWN;
	return nsdm_pool_create(&nd->rxq[idx], mem, qcfg, nd->split);
}

static void nsdm_queue_mem_free(struct net_device *dev, void *mem)
{
	struct nsdm_mem *m = mem;

	nsdm_pool_forget_napi(m->q, m->pool);
	nsdm_pool_destroy(m);
}

static int nsdm_queue_start(struct net_device *dev,
			    struct netdev_queue_config *qcfg, void *mem, int idx)
{
	struct nsdm *nd = netdev_priv(dev);
	struct nsdm_rxq *q = &nd->rxq[idx];

	swap(q->mem, *(struct nsdm_mem *)mem);
	nsdm_xdp_pool_use(q);
	nsdm_rxq_resume(q);
	return 0;
}

static int nsdm_queue_stop(struct net_device *dev, void *mem, int idx)
{
	struct nsdm *nd = netdev_priv(dev);
	struct nsdm_rxq *q = &nd->rxq[idx];

	nsdm_rxq_pause(q);
	nsdm_pool_drain(q);
	page_pool_disable_direct_recycling(q->mem.pool);
	swap(q->mem, *(struct nsdm_mem *)mem);
	return 0;
}

/* Of a kernel that knows larger pages than PAGE_SIZE: a provider may want them. */
static void __maybe_unused nsdm_default_qcfg(struct net_device *dev,
					     struct netdev_queue_config *qcfg)
{
	qcfg->rx_page_size = PAGE_SIZE;
}

static int __maybe_unused nsdm_validate_qcfg(struct net_device *dev,
					     struct netdev_queue_config *qcfg,
					     struct netlink_ext_ack *extack)
{
	if (is_power_of_2(qcfg->rx_page_size) &&
	    qcfg->rx_page_size >= PAGE_SIZE &&
	    qcfg->rx_page_size <= NSDM_RX_PAGE_MAX)
		return 0;
	NL_SET_ERR_MSG_FMT_MOD(extack,
			       "rx-page-size: %u is no power of two from %lu to %u",
			       qcfg->rx_page_size, PAGE_SIZE, NSDM_RX_PAGE_MAX);
	return -ERANGE;
}

DEVMEM_QUEUE_MEM_ALLOC(nsdm_queue_mem_alloc)
DEVMEM_QUEUE_START(nsdm_queue_start)

const struct netdev_queue_mgmt_ops nsdm_queue_mgmt_ops = {
	.ndo_queue_mem_size	= sizeof(struct nsdm_mem),
	.ndo_queue_mem_alloc	= DEVMEM_QUEUE_OP(nsdm_queue_mem_alloc),
	.ndo_queue_mem_free	= nsdm_queue_mem_free,
	.ndo_queue_start	= DEVMEM_QUEUE_OP(nsdm_queue_start),
	.ndo_queue_stop		= nsdm_queue_stop,
	DEVMEM_QUEUE_CONFIG_OPS(nsdm_default_qcfg, nsdm_validate_qcfg,
				QCFG_RX_PAGE_SIZE)
};

/* A queue that is bound has its headers split off, of each packet. */
static int nsdm_split_claim(struct nsdm *nd, bool split, u32 thresh,
			    struct netlink_ext_ack *extack)
{
	int bound = -1;

	mutex_lock(&nd->claim);
	if (!split || thresh)
		bound = nsdm_pool_bound(nd, 0);
	if (bound < 0) {
		WRITE_ONCE(nd->split, split);
		WRITE_ONCE(nd->hds_thresh, thresh);
	} else if (split) {
		NL_SET_ERR_MSG_FMT_MOD(extack,
				       "queue %d is bound: hds-thresh stays 0",
				       bound);
	} else {
		NL_SET_ERR_MSG_FMT_MOD(extack,
				       "queue %d is bound: tcp-data-split stays on",
				       bound);
	}
	mutex_unlock(&nd->claim);
	return bound < 0 ? 0 : -EBUSY;
}

void nsdm_get_split(const struct nsdm *nd,
		    struct kernel_ethtool_ringparam *ring)
{
	ring->tcp_data_split = nd->split && !nd->xdp ? ETHTOOL_TCP_DATA_SPLIT_ENABLED :
					   ETHTOOL_TCP_DATA_SPLIT_DISABLED;
	devmem_ring_put_hds_thresh(ring, nd->hds_thresh, NSDM_HDS_THRESH_MAX);
}

/* Header split on or off, and from which length on. An open device gets new pools,
 * for whether one may be given unreadable memory is decided when it is made. All
 * are made before anything changes, so that failure leaves all as it was. Under
 * the settings lock.
 */
static int nsdm_split_change(struct nsdm *nd, bool split, u32 thresh,
			     struct netlink_ext_ack *extack)
{
	struct net_device *dev = nd->dev;
	struct netdev_queue_config qcfg;
	struct nsdm_mem *mems, old;
	int err = 0;
	u32 i;

	devmem_assert_settings_locked(dev);

	if (nd->split == split || !netif_running(dev))
		return nsdm_split_claim(nd, split, thresh, extack);

	mems = kcalloc(dev->num_rx_queues, sizeof(*mems), GFP_KERNEL);
	if (!mems)
		return -ENOMEM;
	for (i = 0; i < dev->real_num_rx_queues && !err; i++) {
		if (nsdm_pool_provided(&nd->rxq[i]))
			continue;
		netdev_queue_config(dev, i, &qcfg);
		err = nsdm_pool_create(&nd->rxq[i], &mems[i], &qcfg, split);
	}
	if (!err)
		err = nsdm_split_claim(nd, split, thresh, extack);
	for (i = 0; i < dev->real_num_rx_queues; i++) {
		if (!mems[i].pool)
			continue;
		if (!err) {
			memset(&old, 0, sizeof(old));
			nsdm_queue_stop(dev, &old, i);
			nsdm_queue_start(dev, NULL, &mems[i], i);
			mems[i] = old;
		}
		nsdm_queue_mem_free(dev, &mems[i]);
	}
	kfree(mems);
	return err;
}

/* Left to the driver it is on, but for as long as there is an XDP program. On
 * 6.12 ethtool hands a setting that is not to change back to us as we have told
 * it: that is no wish. Under the settings lock.
 */
int nsdm_set_split(struct nsdm *nd, const struct kernel_ethtool_ringparam *ring,
		   struct netlink_ext_ack *extack)
{
	struct kernel_ethtool_ringparam now = {};
	u8 wish = ring->tcp_data_split;
	int err;

	nsdm_get_split(nd, &now);
	if (!DEVMEM_RING_TELLS_WISH && wish == now.tcp_data_split)
		return 0;
	if (wish == ETHTOOL_TCP_DATA_SPLIT_ENABLED && nd->xdp) {
		NL_SET_ERR_MSG_MOD(extack,
				   "an XDP program is there: tcp-data-split stays off");
		return -EINVAL;
	}
	err = nsdm_split_change(nd, wish != ETHTOOL_TCP_DATA_SPLIT_DISABLED,
				devmem_ring_hds_thresh(ring), extack);
	if (!err)
		nd->split_auto = wish == ETHTOOL_TCP_DATA_SPLIT_UNKNOWN;
	return err;
}
