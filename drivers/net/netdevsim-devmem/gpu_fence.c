// SPDX-License-Identifier: GPL-2.0
/*
 * Fences of the fake GPU: each stands for work on a buffer that takes its time, and
 * signals when a timer says so. Owns them; knows nothing of the buffer's memory.
 */
#include <linux/dma-buf.h>
#include <linux/dma-fence.h>
#include <linux/dma-resv.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <uapi/linux/nsdm-gpu.h>

#include "gpu.h"

/* Those that are not freed yet. */
static atomic_t nsdm_gpu_nr_fences = ATOMIC_INIT(0);

static DEFINE_SPINLOCK(nsdm_gpu_jobs_lock);	/* protects the list; BH disabled */
static LIST_HEAD(nsdm_gpu_jobs);		/* whose timer runs */

/**
 * struct nsdm_gpu_job - work on a buffer; owner: its fence
 * @fence: held by the timer, and by whoever the dma-buf gives it to
 * @lock: of @fence
 * @timer: the end of the work
 * @node: in nsdm_gpu_jobs
 * @dmabuf: on which it is; not held, so only to be compared
 */
struct nsdm_gpu_job {
	struct dma_fence fence;
	spinlock_t lock;	/* protects what dma_fence_init() says */
	struct timer_list timer;
	struct list_head node;
	const struct dma_buf *dmabuf;
};

static const char *nsdm_gpu_fence_name(struct dma_fence *fence)
{
	return "nsdm-gpu";
}

static void nsdm_gpu_fence_free(struct rcu_head *rcu)
{
	kfree(container_of(rcu, struct nsdm_gpu_job, fence.rcu));
	atomic_dec(&nsdm_gpu_nr_fences);
	module_put(THIS_MODULE);
}

static void nsdm_gpu_fence_release(struct dma_fence *fence)
{
	call_rcu(&fence->rcu, nsdm_gpu_fence_free);
}

static const struct dma_fence_ops nsdm_gpu_fence_ops = {
	.get_driver_name	= nsdm_gpu_fence_name,
	.get_timeline_name	= nsdm_gpu_fence_name,
	.release		= nsdm_gpu_fence_release,
};

static void nsdm_gpu_fence_timer(struct timer_list *timer)
{
	struct nsdm_gpu_job *job = container_of(timer, struct nsdm_gpu_job, timer);

	spin_lock_bh(&nsdm_gpu_jobs_lock);
	list_del(&job->node);
	spin_unlock_bh(&nsdm_gpu_jobs_lock);
	dma_fence_signal(&job->fence);
	dma_fence_put(&job->fence);
}

/* Whoever asks the fence runs code of this module, so it stays until that is freed. */
int nsdm_gpu_fence_add(struct dma_buf *dmabuf, u32 usage, u32 ms)
{
	static const enum dma_resv_usage usages[] = {
		[NSDM_GPU_READS]	= DMA_RESV_USAGE_READ,
		[NSDM_GPU_WRITES]	= DMA_RESV_USAGE_WRITE,
		[NSDM_GPU_MOVES]	= DMA_RESV_USAGE_KERNEL,
	};
	struct nsdm_gpu_job *job;
	int err;

	job = kzalloc(sizeof(*job), GFP_KERNEL_ACCOUNT);
	if (!job)
		return -ENOMEM;

	dma_resv_lock(dmabuf->resv, NULL);
	err = dma_resv_reserve_fences(dmabuf->resv, 1);
	if (err) {
		dma_resv_unlock(dmabuf->resv);
		kfree(job);
		return err;
	}
	__module_get(THIS_MODULE);
	atomic_inc(&nsdm_gpu_nr_fences);
	spin_lock_init(&job->lock);
	dma_fence_init(&job->fence, &nsdm_gpu_fence_ops, &job->lock,
		       dma_fence_context_alloc(1), 1);
	timer_setup(&job->timer, nsdm_gpu_fence_timer, 0);
	dma_resv_add_fence(dmabuf->resv, &job->fence, usages[usage]);
	job->dmabuf = dmabuf;
	/* our own reference goes to the timer */
	spin_lock_bh(&nsdm_gpu_jobs_lock);
	list_add(&job->node, &nsdm_gpu_jobs);
	mod_timer(&job->timer, jiffies + msecs_to_jiffies(ms));
	spin_unlock_bh(&nsdm_gpu_jobs_lock);
	dma_resv_unlock(dmabuf->resv);
	return 0;
}

/* What the GPU does with the buffer is done as good as now. */
void nsdm_gpu_fence_idle(struct dma_buf *dmabuf)
{
	struct nsdm_gpu_job *job;

	spin_lock_bh(&nsdm_gpu_jobs_lock);
	list_for_each_entry(job, &nsdm_gpu_jobs, node)
		if (job->dmabuf == dmabuf)
			mod_timer_pending(&job->timer, jiffies);
	spin_unlock_bh(&nsdm_gpu_jobs_lock);
}

int nsdm_gpu_fence_count(void)
{
	return atomic_read(&nsdm_gpu_nr_fences);
}

/* There is no fence any more. The end of one may still be about to return. */
void nsdm_gpu_fence_exit(void)
{
	rcu_barrier();
}
