// SPDX-License-Identifier: GPL-2.0
/*
 * Owns the helpers of tests of control paths, see common_ctl.h. Must not know
 * what any case expects.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/genetlink.h>
#include <linux/memfd.h>
#include <linux/netdev-devmem.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/udmabuf.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common_ctl.h"
#include "ktap.h"

#define CTL_HUGE_SIZE	(2UL << 20)

/* ---- netlink ----------------------------------------------------------- */

struct nlmsghdr *ctl_request(struct ctl_nl *nl, uint8_t cmd)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(nl->req);
	struct genlmsghdr *genl;

	nlh->nlmsg_type = nl->family;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_seq = ++nl->seq;
	genl = mnl_nlmsg_put_extra_header(nlh, sizeof(*genl));
	genl->cmd = cmd;
	genl->version = NETDEV_DEVMEM_FAMILY_VERSION;
	return nlh;
}

/* The type of the attribute at @offset of the request. */
static uint16_t ctl_blamed(const struct nlmsghdr *req, uint32_t offset)
{
	const struct nlattr *attr = (const void *)((const char *)req + offset);

	if (offset + sizeof(*attr) > req->nlmsg_len)
		return 0;
	return mnl_attr_get_type(attr);
}

static void ctl_parse_ack(const struct nlmsghdr *request, const struct nlmsghdr *ack,
			  struct ctl_answer *answer)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(ack);
	const struct nlattr *attr;

	answer->err = -e->error;
	if (!(ack->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	mnl_attr_for_each(attr, ack, sizeof(*e)) {
		switch (mnl_attr_get_type(attr)) {
		case NLMSGERR_ATTR_MSG:
			snprintf(answer->text, sizeof(answer->text), "%.*s",
				 mnl_attr_get_payload_len(attr),
				 (const char *)mnl_attr_get_payload(attr));
			break;
		case NLMSGERR_ATTR_OFFS:
			answer->attr = ctl_blamed(request, mnl_attr_get_u32(attr));
			break;
		default:
			break;
		}
	}
}

static void ctl_parse_reply(struct ctl_nl *nl, const struct nlmsghdr *nlh,
			    struct ctl_answer *answer)
{
	const struct nlattr *attr;

	if (nlh->nlmsg_type == GENL_ID_CTRL) {
		mnl_attr_for_each(attr, nlh, sizeof(struct genlmsghdr))
			if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID)
				nl->family = mnl_attr_get_u16(attr);
		return;
	}
	mnl_attr_for_each(attr, nlh, sizeof(struct genlmsghdr)) {
		if (mnl_attr_get_payload_len(attr) != sizeof(uint32_t))
			continue;
		switch (mnl_attr_get_type(attr)) {
		case NETDEV_DEVMEM_A_BINDING_ID:
			answer->id = mnl_attr_get_u32(attr);
			break;
		case NETDEV_DEVMEM_A_BINDING_CHUNK_SIZE:
			answer->chunk_size = mnl_attr_get_u32(attr);
			break;
		case NETDEV_DEVMEM_A_BINDING_CHUNKS:
			answer->chunks = mnl_attr_get_u32(attr);
			break;
		default:
			break;
		}
	}
}

int ctl_talk(struct ctl_nl *nl, const struct nlmsghdr *nlh,
	     struct ctl_answer *answer)
{
	char buf[16 * 1024];
	struct nlmsghdr *msg;
	ssize_t n;
	int len;

	memset(answer, 0, sizeof(*answer));
	if (mnl_socket_sendto(nl->sock, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	for (;;) {
		n = mnl_socket_recvfrom(nl->sock, buf, sizeof(buf));
		if (n < 0)
			return -errno;
		len = (int)n;
		for (msg = (void *)buf; mnl_nlmsg_ok(msg, len);
		     msg = mnl_nlmsg_next(msg, &len)) {
			if (msg->nlmsg_seq != nlh->nlmsg_seq)
				continue;
			if (msg->nlmsg_type == NLMSG_ERROR) {
				ctl_parse_ack(nlh, msg, answer);
				return 0;
			}
			if (msg->nlmsg_type == NLMSG_DONE)
				return 0;
			ctl_parse_reply(nl, msg, answer);
		}
	}
}

static int ctl_resolve(struct ctl_nl *nl)
{
	struct nlmsghdr *nlh = ctl_request(nl, CTRL_CMD_GETFAMILY);
	struct ctl_answer answer;
	int ret;

	nlh->nlmsg_type = GENL_ID_CTRL;
	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, NETDEV_DEVMEM_FAMILY_NAME);
	ret = ctl_talk(nl, nlh, &answer);
	if (ret)
		return ret;
	return nl->family ? 0 : -ENOENT;
}

int ctl_nl_open(struct ctl_nl *nl)
{
	struct timeval timeout = { .tv_sec = patient(5) };
	int one = 1, ret;

	memset(nl, 0, sizeof(*nl));
	nl->sock = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	if (!nl->sock)
		return -errno;
	if (mnl_socket_bind(nl->sock, 0, MNL_SOCKET_AUTOPID) < 0) {
		ret = -errno;
		goto err_close;
	}
	mnl_socket_setsockopt(nl->sock, NETLINK_EXT_ACK, &one, sizeof(one));
	mnl_socket_setsockopt(nl->sock, NETLINK_CAP_ACK, &one, sizeof(one));
	setsockopt(mnl_socket_get_fd(nl->sock), SOL_SOCKET, SO_RCVTIMEO,
		   &timeout, sizeof(timeout));
	ret = ctl_resolve(nl);
	if (!ret)
		return 0;

err_close:
	ctl_nl_close(nl);
	return ret;
}

void ctl_nl_close(struct ctl_nl *nl)
{
	if (nl->sock)
		mnl_socket_close(nl->sock);
	nl->sock = NULL;
}

int ctl_bind(struct ctl_nl *nl, uint32_t ifindex, uint32_t queue, int fd,
	     uint32_t chunk_size, struct ctl_answer *answer)
{
	struct nlmsghdr *nlh = ctl_request(nl, NETDEV_DEVMEM_CMD_BIND_RX);

	mnl_attr_put_u32(nlh, NETDEV_DEVMEM_A_BINDING_IFINDEX, ifindex);
	mnl_attr_put_u32(nlh, NETDEV_DEVMEM_A_BINDING_QUEUE, queue);
	mnl_attr_put_u32(nlh, NETDEV_DEVMEM_A_BINDING_FD, (uint32_t)fd);
	if (chunk_size)
		mnl_attr_put_u32(nlh, NETDEV_DEVMEM_A_BINDING_CHUNK_SIZE,
				 chunk_size);
	return ctl_talk(nl, nlh, answer);
}

/* Messages of the family in the answer to the dump. */
static int ctl_count_dump(struct ctl_nl *nl)
{
	struct nlmsghdr *nlh = ctl_request(nl, NETDEV_DEVMEM_CMD_BIND_GET);
	char buf[64 * 1024];
	struct nlmsghdr *msg;
	int len, count = 0;
	ssize_t n;

	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	if (mnl_socket_sendto(nl->sock, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	for (;;) {
		n = mnl_socket_recvfrom(nl->sock, buf, sizeof(buf));
		if (n < 0)
			return -errno;
		len = (int)n;
		for (msg = (void *)buf; mnl_nlmsg_ok(msg, len);
		     msg = mnl_nlmsg_next(msg, &len)) {
			if (msg->nlmsg_type == NLMSG_DONE ||
			    msg->nlmsg_type == NLMSG_ERROR)
				return count;
			count += msg->nlmsg_type == nl->family;
		}
	}
}

int ctl_count_bindings(void)
{
	static struct ctl_nl nl;
	int ret;

	ret = ctl_nl_open(&nl);
	if (ret)
		return ret;
	ret = ctl_count_dump(&nl);
	ctl_nl_close(&nl);
	return ret;
}

/* IFLA_*, by number: not every machine's headers have the last two. */
#define LINK_GSO_MAX		41
#define LINK_GRO_MAX		58
#define LINK_GSO_IPV4_MAX	63
#define LINK_GRO_IPV4_MAX	64

static int ctl_link_max(const char *dev, uint16_t attr, uint16_t attr4, uint32_t bytes)
{
	struct ctl_answer answer;
	struct ctl_nl nl = { 0 };
	struct ifinfomsg *info;
	struct nlmsghdr *nlh;
	int err = -ENOBUFS;

	nl.sock = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!nl.sock)
		return -errno;
	nlh = mnl_nlmsg_put_header(nl.req);
	nlh->nlmsg_type = RTM_SETLINK;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_seq = ++nl.seq;
	info = mnl_nlmsg_put_extra_header(nlh, sizeof(*info));
	info->ifi_index = (int)if_nametoindex(dev);
	mnl_attr_put_u32(nlh, attr, bytes);
	mnl_attr_put_u32(nlh, attr4, bytes);
	if (!mnl_socket_bind(nl.sock, 0, MNL_SOCKET_AUTOPID))
		err = ctl_talk(&nl, nlh, &answer) ?: -answer.err;
	mnl_socket_close(nl.sock);
	return err;
}

int ctl_gso_max(const char *dev, uint32_t bytes)
{
	return ctl_link_max(dev, LINK_GSO_MAX, LINK_GSO_IPV4_MAX, bytes);
}

int ctl_gro_max(const char *dev, uint32_t bytes)
{
	return ctl_link_max(dev, LINK_GRO_MAX, LINK_GRO_IPV4_MAX, bytes);
}

/* ---- buffers ----------------------------------------------------------- */

static int ctl_gpu_ioctl(unsigned long cmd, void *arg)
{
	int fd = open("/dev/nsdm-gpu", O_RDWR | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, cmd, arg))
		ret = -errno;
	close(fd);
	return ret;
}

int ctl_gpu_alloc(uint64_t size, unsigned int order, unsigned int flags)
{
	struct nsdm_gpu_alloc alloc = {
		.size = size,
		.order = order,
		.flags = flags,
		.fd = -1,
	};
	int ret = ctl_gpu_ioctl(NSDM_GPU_ALLOC, &alloc);

	return ret ? ret : alloc.fd;
}

int ctl_gpu_revoke(int fd)
{
	struct nsdm_gpu_revoke revoke = { .fd = fd };

	return ctl_gpu_ioctl(NSDM_GPU_REVOKE, &revoke);
}

int ctl_gpu_revoke_again(int fd)
{
	struct nsdm_gpu_revoke revoke = { .fd = fd, .flags = NSDM_GPU_REVOKE_AGAIN };

	return ctl_gpu_ioctl(NSDM_GPU_REVOKE, &revoke);
}

int ctl_gpu_fence(int fd, unsigned int usage, unsigned int ms)
{
	struct nsdm_gpu_fence fence = { .fd = fd, .usage = usage, .ms = ms };

	return ctl_gpu_ioctl(NSDM_GPU_FENCE, &fence);
}

static int ctl_udmabuf(int memfd, const struct ctl_part *parts, unsigned int nr)
{
	struct udmabuf_create_list *list;
	unsigned int i;
	int dev, fd;

	dev = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	if (dev < 0)
		return -errno;
	list = calloc(1, sizeof(*list) + nr * sizeof(list->list[0]));
	list->flags = UDMABUF_FLAGS_CLOEXEC;
	list->count = nr;
	for (i = 0; i < nr; i++) {
		list->list[i].memfd = (uint32_t)memfd;
		list->list[i].offset = parts[i].offset;
		list->list[i].size = parts[i].len;
	}
	fd = ioctl(dev, UDMABUF_CREATE_LIST, list);
	if (fd < 0)
		fd = -errno;
	free(list);
	close(dev);
	return fd;
}

int ctl_parts_alloc(const struct ctl_part *parts, unsigned int nr)
{
	int memfd, fd;

	memfd = memfd_create("parts", MFD_CLOEXEC | MFD_ALLOW_SEALING |
			     MFD_HUGETLB | MFD_HUGE_2MB);
	if (memfd < 0)
		return -errno;
	if (ftruncate(memfd, CTL_HUGE_SIZE) ||
	    fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK))
		fd = -errno;
	else
		fd = ctl_udmabuf(memfd, parts, nr);
	close(memfd);
	return fd;
}

/* ---- processes --------------------------------------------------------- */

int ctl_drop_privileges(void)
{
	if (setgroups(0, NULL) || setresgid(65534, 65534, 65534) ||
	    setresuid(65534, 65534, 65534))
		return -errno;
	return 0;
}

int ctl_send_fd(int sock, int fd)
{
	char control[CMSG_SPACE(sizeof(fd))] = "", byte = 'f';
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return sendmsg(sock, &msg, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

int ctl_recv_fd(int sock)
{
	char control[CMSG_SPACE(sizeof(int))] = "", byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;
	int fd;

	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) != 1)
		return -EPIPE;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!cmsg || cmsg->cmsg_type != SCM_RIGHTS)
		return -ENODATA;
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	return fd;
}
