// SPDX-License-Identifier: GPL-2.0
/*
 * What is done once or in between, and not for each byte: binding a buffer and what
 * that takes of the host's memory, attaching a connection, giving tokens back. Owns
 * nothing that outlives a measurement.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../common_provider.h"
#include "bench.h"

#define BIND_SIZE	(512U << 20)
#define ATTACHED	256

/* What the kernel has not got left, in KiB. */
static long long memory_used(void)
{
	return meminfo("MemTotal") - meminfo("MemFree");
}

static struct devmem_nl *our_nl;
static struct ctl_nl kernel_nl;

static void bind_ours(const struct params *p, const struct devmem_buf *buf)
{
	struct devmem_bind_result res;
	const uint32_t queue = 0;

	if (devmem_nl_open(&our_nl, 0) ||
	    devmem_bind_rx(our_nl, env_ifindex(), &queue, 1, devmem_buf_fd(buf), p->chunk,
			   &res, 0))
		fail("bind-rx: %s", devmem_error());
}

static void bind_kernel(struct devmem_buf *buf)
{
	struct bound b = { .buf = buf, .size = devmem_buf_size(buf) };
	struct ctl_answer answer;
	const uint32_t queue = 0;

	kernel_bind(&kernel_nl, &b, DEVMEM_BUF_GPU, BIND_SIZE, &queue, 1, &answer);
	if (answer.err)
		fail("bind-rx of the kernel: %s: %s", strerror(answer.err), answer.text);
}

/* The binding ends a while after its socket. */
static void unbind_either(bool ours, struct devmem_buf *buf)
{
	char left[256];

	if (ours)
		devmem_nl_close(our_nl);
	else
		kernel_unbind(&kernel_nl);
	devmem_buf_free(buf);
	if (!within(5000, !live_objects(left, sizeof(left))))
		fail("still there: %s", left);
}

void control_bind(const struct params *p, unsigned int number)
{
	bool ours = !strcmp(p->who, "net/devmem");
	struct devmem_buf *buf;
	long long used;

	if (!ours)
		ask_for_split();
	if (devmem_buf_alloc(&buf, DEVMEM_BUF_GPU, BIND_SIZE, 0))
		fail("%s", devmem_error());
	used = memory_used();
	stretch_begin(number);
	if (ours)
		bind_ours(p, buf);
	else
		bind_kernel(buf);
	stretch_finish(number);
	used = memory_used() - used;
	printf("@ {\"number\": %u, \"operations\": 1, \"host_kib\": %lld}\n", number,
	       used * (1024 / (BIND_SIZE >> 20)));
	fflush(stdout);
	unbind_either(ours, buf);
}

void control_attach(const struct params *p, unsigned int number)
{
	struct conn_opts opts = { .family = p->family == 6 ? AF_INET6 : AF_INET };
	const uint32_t queue = 0;
	struct conn c[ATTACHED];
	struct bound b;
	unsigned int i;

	bind_queues(&b, DEVMEM_BUF_GPU, p->buffer, p->chunk, &queue, 1);
	for (i = 0; i < ATTACHED; i++)
		connect_with(&c[i], &opts);
	stretch_begin(number);
	for (i = 0; i < ATTACHED; i++)
		attach(c[i].rx, &b);
	stretch_finish(number);
	printf("@ {\"number\": %u, \"operations\": %d}\n", number, ATTACHED);
	fflush(stdout);
	for (i = 0; i < ATTACHED; i++)
		disconnect_pair(&c[i]);
	free_bound(&b);
}
