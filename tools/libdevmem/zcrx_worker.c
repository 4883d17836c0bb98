// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Owns the thread that the kernel ties a ring to (IORING_SETUP_SINGLE_ISSUER, which
 * zero-copy receive takes): it does what other threads ask for, one at a time. Must not
 * know how a ring works.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "zcrx.h"

/* What somebody asks for, and waits for. */
struct worker_job {
	struct zcrx_pieces *got;	/* NULL: flush */
	int sock;
	size_t most;
	int ret;
	bool done;
};

struct devmem_worker {
	struct devmem_ring *ring;
	pthread_t thread;
	pthread_mutex_t lock;		/* protects what follows */
	pthread_cond_t wake;		/* the thread: @job, @stop */
	pthread_cond_t woken;		/* who asks: @job, @ready, @stop */
	struct worker_job *job;
	bool ready;
	bool made;
	bool stop;
};

struct worker_start {
	struct devmem_worker *worker;
	const struct zcrx_area *area;
};

static void worker_do(struct devmem_worker *w, struct worker_job *job)
{
	if (job->got)
		job->ret = devmem_ring_pull(w->ring, job->sock, job->most, job->got);
	else
		devmem_ring_flush(w->ring);
}

/* Until it is to stop. Under the lock. */
static void worker_serve(struct devmem_worker *w)
{
	struct worker_job *job;

	for (;;) {
		while (!w->job && !w->stop)
			pthread_cond_wait(&w->wake, &w->lock);
		job = w->job;
		if (!job)
			return;
		pthread_mutex_unlock(&w->lock);
		worker_do(w, job);
		pthread_mutex_lock(&w->lock);
		job->done = true;
		w->job = NULL;
		pthread_cond_broadcast(&w->woken);
	}
}

static void *worker_thread(void *arg)
{
	const struct worker_start *start = arg;
	struct devmem_worker *w = start->worker;
	bool made = devmem_ring_make(w->ring, start->area);

	pthread_mutex_lock(&w->lock);
	w->made = made;
	w->ready = true;
	pthread_cond_broadcast(&w->woken);
	if (made)
		worker_serve(w);
	pthread_mutex_unlock(&w->lock);
	devmem_ring_unmake(w->ring);
	return NULL;
}

/* Return: of the job; or -ESHUTDOWN. */
static int worker_ask(struct devmem_worker *w, struct worker_job *job)
{
	pthread_mutex_lock(&w->lock);
	while (w->job && !w->stop)
		pthread_cond_wait(&w->woken, &w->lock);
	if (w->stop) {
		job->ret = -ESHUTDOWN;
	} else {
		w->job = job;
		pthread_cond_signal(&w->wake);
		while (!job->done)
			pthread_cond_wait(&w->woken, &w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	return job->ret;
}

int devmem_worker_pull(struct devmem_worker *w, int sock, size_t most, struct zcrx_pieces *got)
{
	struct worker_job job = { .got = got, .sock = sock, .most = most };

	got->nr = 0;
	got->err = 0;
	return worker_ask(w, &job);
}

void devmem_worker_flush(struct devmem_worker *w)
{
	struct worker_job job = { .got = NULL };

	worker_ask(w, &job);
}

/* Signals are for threads of the program. */
static int worker_start(struct devmem_worker *w, struct worker_start *start)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&w->thread, NULL, worker_thread, start);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err ? devmem_fail(err, "a thread to receive with: %s", strerror(err)) : 0;
}

int devmem_worker_open(struct devmem_worker **worker, struct devmem_ring *ring,
		       const struct zcrx_area *area)
{
	struct devmem_worker *w = calloc(1, sizeof(*w));
	struct worker_start start = { .worker = w, .area = area };
	int ret;

	if (!w)
		return devmem_fail(ENOMEM, "out of memory");
	w->ring = ring;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	pthread_cond_init(&w->woken, NULL);
	ret = worker_start(w, &start);
	if (ret) {
		devmem_worker_free(w);
		return ret;
	}
	pthread_mutex_lock(&w->lock);
	while (!w->ready)
		pthread_cond_wait(&w->woken, &w->lock);
	pthread_mutex_unlock(&w->lock);
	if (!w->made) {
		ret = devmem_ring_why(ring, area);
		devmem_worker_close(w);
		devmem_worker_free(w);
		return ret;
	}
	*worker = w;
	return 0;
}

void devmem_worker_close(struct devmem_worker *w)
{
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_broadcast(&w->wake);
	pthread_cond_broadcast(&w->woken);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
}

void devmem_worker_free(struct devmem_worker *w)
{
	if (!w)
		return;
	pthread_cond_destroy(&w->woken);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	free(w);
}
