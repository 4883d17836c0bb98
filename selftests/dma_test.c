// SPDX-License-Identifier: GPL-2.0
/*
 * No DMA goes to memory that is not mapped any more, whenever a buffer goes under a
 * stream: the IOMMU of the software GPU sees each, and its warning fails this file.
 * Must not know how net/devmem waits for the NIC.
 */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"
#include "common_ctl.h"

#define SEED	0x646d61ULL
#define BUFFER	(4U << 20)
#define ROUNDS	24
#define LONGEST	262144
#define ENDLESS	(1ULL << 40)

static struct bound b;
static struct conn c;
static struct rx rx;

static void take_back(void)
{
	check_eq(ctl_gpu_revoke(devmem_buf_fd(b.buf)), 0);
}

static void give_up(void)
{
	unbind(&b);
}

/* The buffer stays allocated when @end has ended its use. */
static void ends(void (*end)(void), int family)
{
	pid_t pid;
	int round;

	for (round = 0; round < ROUNDS; round++) {
		bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, 65536);
		connect_with(&c, &(struct conn_opts){ .family = family, .rcvbuf = 2 << 20 });
		attach(c.rx, &b);
		rx_init(&rx, c.rx, &b, SEED);
		rx.lossy = end == take_back;
		pid = send_start(&c, ENDLESS, SEED, 1 << 20, 0);
		rx_all(&rx, 300000 + (uint64_t)round * 10000);
		check_cmp(rx.placed, >, 0);
		end();
		check(within(2000, !live_object("gpu_maps")));
		rx_all(&rx, 100000);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		disconnect_pair(&c);
		rx_free(&rx);
		free_bound(&b);
		check(within(2000, !live_object("gpu_buffers")));
	}
}

static void revoked(void)
{
	ends(take_back, AF_INET);
}

static void unbound(void)
{
	ends(give_up, AF_INET6);
}

/* The longest packets there are, so that each DMA takes long. */
static void setup(void)
{
	env_setup(4);
	env_enter(SENDER);
	check_eq(ctl_gso_max(DEV_NAME(SENDER), LONGEST), 0);
	env_enter(RECEIVER);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(revoked, .timeout = 60),
	KTAP_CASE(unbound, .timeout = 60),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
