// SPDX-License-Identifier: GPL-2.0
/*
 * The ABI that must never change: sizes, offsets and numbers, as programs have
 * them compiled in. Uses nothing of the kernel but its headers, and asks the
 * running one for the numbers that it knows.
 */
#include <errno.h>
#include <linux/netdev-devmem.h>
#include <linux/nsdm-gpu.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <fcntl.h>
#include <unistd.h>

#include "common.h"
#include "common_ctl.h"

#define sizeof_member(type, member)	sizeof(((type *)0)->member)

#define check_member(type, member, offset, size)			\
	do {								\
		check_eq(offsetof(type, member), offset);		\
		check_eq(sizeof_member(type, member), size);		\
	} while (0)

static void devmem_attach_layout(void)
{
	check_eq(sizeof(struct devmem_attach), 16);
	check_eq(DEVMEM_ATTACH_SIZE_VER0, 16);
	check_member(struct devmem_attach, binding_id, 0, 4);
	check_member(struct devmem_attach, dmabuf_fd, 4, 4);
	check_member(struct devmem_attach, flags, 8, 4);
	check_member(struct devmem_attach, reserved, 12, 4);
	check_cmp((typeof(((struct devmem_attach *)0)->dmabuf_fd))-1, <, 0);
	check_cmp((typeof(((struct devmem_attach *)0)->binding_id))-1, >, 0);
}

static void devmem_info_layout(void)
{
	check_eq(sizeof(struct devmem_info), 64);
	check_eq(DEVMEM_INFO_SIZE_VER0, 48);
	check_member(struct devmem_info, binding_id, 0, 4);
	check_member(struct devmem_info, state, 4, 4);
	check_member(struct devmem_info, queue, 8, 4);
	check_member(struct devmem_info, chunk_size, 12, 4);
	check_member(struct devmem_info, placed_bytes, 16, 8);
	check_member(struct devmem_info, fallback_bytes, 24, 8);
	check_member(struct devmem_info, pieces, 32, 8);
	check_member(struct devmem_info, tokens_held, 40, 8);
	check_member(struct devmem_info, lost_bytes, 48, 8);
	check_member(struct devmem_info, rx_ifindex, 56, 4);
	check_member(struct devmem_info, reserved, 60, 4);
}

static void socket_numbers(void)
{
	check(!strcmp(DEVMEM_ULP_NAME, "devmem"));
	check_eq(SOL_DEVMEM, 0x4e44);
	check_eq(DEVMEM_ATTACH, 1);
	check_eq(DEVMEM_INFO, 2);
	check_eq(DEVMEM_ATTACH_REPORT_LOST, 1);
	check_eq(DEVMEM_CMSG_LOST, 1);
	check_eq(DEVMEM_MAX_TOKENS, 1048576);
	check_eq(DEVMEM_MAX_DONTNEED_RANGES, 128);
	check_eq(DEVMEM_MAX_DONTNEED_TOKENS, 1024);
}

/* <asm/socket.h>, <linux/socket.h> and <linux/uio.h> of Linux 6.12. */
static void kernel_numbers(void)
{
	check_eq(SO_DEVMEM_LINEAR, 78);
	check_eq(SCM_DEVMEM_LINEAR, 78);
	check_eq(SO_DEVMEM_DMABUF, 79);
	check_eq(SCM_DEVMEM_DMABUF, 79);
	check_eq(SO_DEVMEM_DONTNEED, 80);
	check_eq(MSG_SOCK_DEVMEM, 0x2000000);

	check_eq(sizeof(struct devmem_cmsg), 24);
	check_member(struct devmem_cmsg, frag_offset, 0, 8);
	check_member(struct devmem_cmsg, frag_size, 8, 4);
	check_member(struct devmem_cmsg, frag_token, 12, 4);
	check_member(struct devmem_cmsg, dmabuf_id, 16, 4);
	check_member(struct devmem_cmsg, flags, 20, 4);

	check_eq(sizeof(struct devmem_range), 8);
	check_member(struct devmem_range, token_start, 0, 4);
	check_member(struct devmem_range, token_count, 4, 4);
}

static void netlink_names(void)
{
	check(!strcmp(NETDEV_DEVMEM_FAMILY_NAME, "netdev-devmem"));
	check(!strcmp(NETDEV_DEVMEM_MCGRP_BINDINGS, "bindings"));
	check_eq(NETDEV_DEVMEM_FAMILY_VERSION, 1);

	check_eq(NETDEV_DEVMEM_CMD_BIND_RX, 1);
	check_eq(NETDEV_DEVMEM_CMD_BIND_GET, 2);
	check_eq(NETDEV_DEVMEM_CMD_BIND_NTF, 3);
	check_eq(NETDEV_DEVMEM_CMD_UNBIND_NTF, 4);
	check_eq(NETDEV_DEVMEM_CMD_PRESSURE_NTF, 5);

	check_eq(NETDEV_DEVMEM_STATE_ACTIVE, 0);
	check_eq(NETDEV_DEVMEM_STATE_MOVING, 1);
	check_eq(NETDEV_DEVMEM_STATE_REVOKED, 2);
	check_eq(NETDEV_DEVMEM_STATE_CLOSING, 3);
}

static void netlink_attributes(void)
{
	static const int binding[] = {
		0,
		NETDEV_DEVMEM_A_BINDING_ID,
		NETDEV_DEVMEM_A_BINDING_IFINDEX,
		NETDEV_DEVMEM_A_BINDING_QUEUE,
		NETDEV_DEVMEM_A_BINDING_FD,
		NETDEV_DEVMEM_A_BINDING_CHUNK_SIZE,
		NETDEV_DEVMEM_A_BINDING_SIZE,
		NETDEV_DEVMEM_A_BINDING_STATE,
		NETDEV_DEVMEM_A_BINDING_PID,
		NETDEV_DEVMEM_A_BINDING_COMM,
		NETDEV_DEVMEM_A_BINDING_FLOWS,
		NETDEV_DEVMEM_A_BINDING_CHUNKS,
		NETDEV_DEVMEM_A_BINDING_CHUNKS_FREE,
		NETDEV_DEVMEM_A_BINDING_STATS,
	};
	static const int stats[] = {
		0,
		NETDEV_DEVMEM_A_STATS_PLACED_PACKETS,
		NETDEV_DEVMEM_A_STATS_PLACED_BYTES,
		NETDEV_DEVMEM_A_STATS_FALLBACK_PACKETS,
		NETDEV_DEVMEM_A_STATS_FALLBACK_BYTES,
		NETDEV_DEVMEM_A_STATS_FALLBACK_EXHAUSTED,
		NETDEV_DEVMEM_A_STATS_FALLBACK_NOMEM,
		NETDEV_DEVMEM_A_STATS_FALLBACK_HEADER,
		NETDEV_DEVMEM_A_STATS_FALLBACK_ROUTE,
		NETDEV_DEVMEM_A_STATS_FALLBACK_INACTIVE,
		NETDEV_DEVMEM_A_STATS_URG_CLEARED,
		NETDEV_DEVMEM_A_STATS_FORWARD_DROPS,
		NETDEV_DEVMEM_A_STATS_PRESSURE,
		NETDEV_DEVMEM_A_STATS_FALLBACK_AGAIN,
		NETDEV_DEVMEM_A_STATS_FALLBACK_SEQUENCE,
		NETDEV_DEVMEM_A_STATS_FALLBACK_PAUSED,
	};
	size_t i;

	for (i = 1; i < ARRAY_SIZE(binding); i++)
		check_eq(binding[i], i);
	for (i = 1; i < ARRAY_SIZE(stats); i++)
		check_eq(stats[i], i);
}

static void gpu_layout(void)
{
	check_eq(sizeof(struct nsdm_gpu_alloc), 24);
	check_member(struct nsdm_gpu_alloc, size, 0, 8);
	check_member(struct nsdm_gpu_alloc, flags, 8, 4);
	check_member(struct nsdm_gpu_alloc, order, 12, 4);
	check_member(struct nsdm_gpu_alloc, fd, 16, 4);
	check_member(struct nsdm_gpu_alloc, reserved, 20, 4);
	check_eq(sizeof(struct nsdm_gpu_revoke), 8);
	check_member(struct nsdm_gpu_revoke, fd, 0, 4);
	check_member(struct nsdm_gpu_revoke, flags, 4, 4);
	check_eq(sizeof(struct nsdm_gpu_fence), 16);
	check_member(struct nsdm_gpu_fence, fd, 0, 4);
	check_member(struct nsdm_gpu_fence, usage, 4, 4);
	check_member(struct nsdm_gpu_fence, ms, 8, 4);
	check_member(struct nsdm_gpu_fence, reserved, 12, 4);

	check_eq(NSDM_GPU_ALLOC, 0xc01856d0);
	check_eq(NSDM_GPU_REVOKE, 0x400856d1);
	check_eq(NSDM_GPU_FENCE, 0x401056d2);
	check_eq(NSDM_GPU_ORDER_MAX, 9);
	check_eq(NSDM_GPU_SIZE_MAX, 4294967296);
	check_eq(NSDM_GPU_NO_ATTACH, 1);
	check_eq(NSDM_GPU_MAP_ENOMEM, 2);
	check_eq(NSDM_GPU_MAP_EIO, 4);
	check_eq(NSDM_GPU_MAP_ODD_LEN, 8);
	check_eq(NSDM_GPU_MAP_ODD_START, 16);
	check_eq(NSDM_GPU_MAP_NO_RAM, 32);
	check_eq(NSDM_GPU_MAP_SHORT, 64);
	check_eq(NSDM_GPU_PIN_MOVES, 128);
	check_eq(NSDM_GPU_MAP_MOVES, 256);
	check_eq(NSDM_GPU_NO_ATTACH_524, 512);
	check_eq(NSDM_GPU_PIN_524, 1024);
	check_eq(NSDM_GPU_MAP_524, 2048);
	check_eq(NSDM_GPU_MAP_EINTR, 4096);
	check_eq(NSDM_GPU_P2P_ONLY, 8192);
	check_eq(NSDM_GPU_PCI_ONLY, 16384);
	check_eq(NSDM_GPU_REVOKE_AGAIN, 1);
	check_eq(NSDM_GPU_READS, 0);
	check_eq(NSDM_GPU_WRITES, 1);
	check_eq(NSDM_GPU_MOVES, 2);
	check_eq(NSDM_GPU_IDLE, 3);
}

static void gpu_bad_fences(int dev, int buffer)
{
	struct nsdm_gpu_fence bad[] = {
		{ .fd = dev },
		{ .fd = buffer, .usage = NSDM_GPU_IDLE + 1 },
		{ .fd = buffer, .ms = NSDM_GPU_FENCE_MS_MAX + 1 },
		{ .fd = buffer, .reserved = 1 },
	};
	struct nsdm_gpu_fence fence = { .fd = -1 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		check_errno(ioctl(dev, NSDM_GPU_FENCE, &bad[i]), EINVAL);
	check_errno(ioctl(dev, NSDM_GPU_FENCE, &fence), EBADF);
	check_errno(ioctl(dev, NSDM_GPU_FENCE, NULL), EFAULT);
	fence.fd = buffer;
	fence.ms = NSDM_GPU_FENCE_MS_MAX;
	check_eq(ioctl(dev, NSDM_GPU_FENCE, &fence), 0);
	check_eq(live_object("gpu_fences"), 1);
}

/* What the fake GPU refuses. */
static void gpu_bad_input(void)
{
	static const struct {
		struct nsdm_gpu_alloc alloc;
		const char *what;
	} bad[] = {
		{ { .size = 0 }, "size 0" },
		{ { .size = 1 }, "size 1" },
		{ { .size = 4095 }, "size 4095" },
		{ { .size = 4096, .order = 1 }, "half a block" },
		{ { .size = NSDM_GPU_SIZE_MAX + 4096 }, "too large" },
		{ { .size = ~0xfffULL }, "2^64 - 4096" },
		{ { .size = 4096, .order = 10 }, "order 10" },
		{ { .size = 4096, .order = ~0U }, "order -1" },
		{ { .size = 4096, .flags = 1U << 31 }, "unknown flag" },
		{ { .size = 4096, .reserved = 1 }, "reserved" },
		{ { .size = 8192, .flags = NSDM_GPU_MAP_ODD_LEN |
		    NSDM_GPU_MAP_ODD_START }, "two changes of addresses" },
	};
	int dev = must(open("/dev/nsdm-gpu", O_RDWR | O_CLOEXEC)), fd;
	struct nsdm_gpu_revoke revoke = { .fd = dev };
	struct nsdm_gpu_alloc alloc;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		alloc = bad[i].alloc;
		if (ioctl(dev, NSDM_GPU_ALLOC, &alloc) != -1 || errno != EINVAL)
			fail("%s: %s", bad[i].what, strerror(errno));
	}
	check_errno(ioctl(dev, NSDM_GPU_ALLOC, NULL), EFAULT);
	check_errno(ioctl(dev, NSDM_GPU_ALLOC + 1, &alloc), ENOTTY);

	check_errno(ioctl(dev, NSDM_GPU_REVOKE, &revoke), EINVAL);
	revoke.fd = -1;
	check_errno(ioctl(dev, NSDM_GPU_REVOKE, &revoke), EBADF);
	check_errno(ioctl(dev, NSDM_GPU_REVOKE, NULL), EFAULT);
	fd = ctl_gpu_alloc(1 << 20, 0, 0);
	check_cmp(fd, >=, 0);
	revoke.fd = fd;
	revoke.flags = 2;
	check_errno(ioctl(dev, NSDM_GPU_REVOKE, &revoke), EINVAL);
	revoke.flags = 0;
	check_eq(ioctl(dev, NSDM_GPU_REVOKE, &revoke), 0);
	check_errno(ioctl(dev, NSDM_GPU_REVOKE, &revoke), ENODEV);
	revoke.flags = NSDM_GPU_REVOKE_AGAIN;
	check_eq(ioctl(dev, NSDM_GPU_REVOKE, &revoke), 0);
	gpu_bad_fences(dev, fd);
	close(fd);
	check_eq(live_object("gpu_buffers"), 0);
	check(within(2000, !live_object("gpu_fences")));
}

/* The module that runs knows the commands and the ULP of the headers, and no
 * command beyond.
 */
static void running_kernel(void)
{
	static struct ctl_nl nl;
	struct ctl_answer a;
	struct nlmsghdr *nlh;
	char ulp[256] = "";
	int fd;

	check_eq(ctl_nl_open(&nl), 0);
	nlh = ctl_request(&nl, NETDEV_DEVMEM_CMD_MAX + 1);
	check_eq(ctl_talk(&nl, nlh, &a), 0);
	check_eq(a.err, EOPNOTSUPP);
	nlh = ctl_request(&nl, NETDEV_DEVMEM_CMD_BIND_RX);
	check_eq(ctl_talk(&nl, nlh, &a), 0);
	check_eq(a.err, EINVAL);

	fd = must(open("/proc/sys/net/ipv4/tcp_available_ulp", O_RDONLY));
	must(read(fd, ulp, sizeof(ulp) - 1));
	if (!strstr(ulp, DEVMEM_ULP_NAME))
		fail("ULPs: %s", ulp);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(devmem_attach_layout),
	KTAP_CASE(devmem_info_layout),
	KTAP_CASE(socket_numbers),
	KTAP_CASE(kernel_numbers),
	KTAP_CASE(netlink_names),
	KTAP_CASE(netlink_attributes),
	KTAP_CASE(gpu_layout),
	KTAP_CASE(gpu_bad_input),
	KTAP_CASE(running_kernel),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, NULL, cases, ARRAY_SIZE(cases));
}
