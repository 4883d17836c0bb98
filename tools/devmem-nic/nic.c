// SPDX-License-Identifier: GPL-2.0
/*
 * Owns the order in which a device is set up for a receiver, and undone: what can be
 * refused without a trace comes first, no queue is bound while traffic of others may
 * still reach it, and nothing that a binding or a ring needs is taken away under it. Must not
 * know how any of it is done.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "devmem-nic.h"

/* Return: 0 or -errno, without a text. */
int dn_ioctl(const struct dn_nic *nic, void *cmd)
{
	struct ifreq ifr = { .ifr_data = cmd };

	memcpy(ifr.ifr_name, nic->dev, sizeof(ifr.ifr_name));
	return ioctl(nic->ctl, SIOCETHTOOL, &ifr) ? -errno : 0;
}

static int dn_nic_privilege(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	if (!syscall(SYS_capget, &head, data) && data[0].effective & 1U << CAP_NET_ADMIN)
		return 0;
	return devmem_fail(EPERM, "setting a device up takes CAP_NET_ADMIN");
}

static int dn_nic_open(struct dn_nic *nic, const char *dev)
{
	int ret, err;

	if (nic->ifindex)
		return devmem_fail(EINVAL, "%s: in use", nic->dev);
	ret = dn_nic_privilege();
	if (ret)
		return ret;
	memcpy(nic->dev, dev, sizeof(nic->dev));
	nic->ctl = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (nic->ctl < 0)
		nic->ctl = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (nic->ctl < 0) {
		err = errno;
		return devmem_fail(err, "socket: %s", strerror(err));
	}
	nic->ifindex = if_nametoindex(dev);
	if (!nic->ifindex) {
		err = errno;
		return devmem_fail(err, "%s: %s", dev, strerror(err));
	}
	ret = devmem_nl_open_family(&nic->ethtool, "ethtool", "it takes Linux 5.6 or newer");
	return ret ? ret : dn_provider_open(nic);
}

void dn_nic_free(struct dn_nic *nic)
{
	dn_state_close(nic);
	devmem_nl_close(nic->ethtool);
	devmem_nl_close(nic->netdev);
	if (nic->ctl >= 0)
		close(nic->ctl);
	*nic = (struct dn_nic) { .ctl = -1, .state_fd = -1, .user = -1 };
}

/* The queues of one that is down are not there to be bound. */
static int dn_nic_up(const struct dn_nic *nic)
{
	struct ifreq ifr = { .ifr_flags = 0 };
	int err;

	memcpy(ifr.ifr_name, nic->dev, sizeof(ifr.ifr_name));
	if (ioctl(nic->ctl, SIOCGIFFLAGS, &ifr)) {
		err = errno;
		return devmem_fail(err, "%s: %s", nic->dev, strerror(err));
	}
	if (ifr.ifr_flags & IFF_UP)
		return 0;
	return devmem_fail(ENETDOWN, "%s is down: ip link set %s up", nic->dev, nic->dev);
}

static int dn_nic_queues(struct dn_nic *nic, const struct devmem_nic_request *req)
{
	struct ethtool_rxnfc rings = { .cmd = ETHTOOL_GRXRINGS };
	uint32_t i;

	if (dn_ioctl(nic, &rings) || !rings.data)
		return devmem_fail(EOPNOTSUPP, "%s: its driver does not tell its rx queues",
				   nic->dev);
	if (req->nr_queues > DEVMEM_BIND_QUEUES)
		return devmem_fail(EINVAL, "%u rx queues: more than %u", req->nr_queues,
				   DEVMEM_BIND_QUEUES);
	if (rings.data == 1)
		return devmem_fail(EINVAL, "%s: has one rx queue, which other traffic needs; for more: ethtool -L %s",
				   nic->dev, nic->dev);
	nic->nr_queues = req->nr_queues ? req->nr_queues : 1;
	memcpy(nic->queues, req->queues, req->nr_queues * sizeof(nic->queues[0]));
	if (!req->nr_queues)
		nic->queues[0] = (uint32_t)rings.data - 1;
	for (i = 0; i < nic->nr_queues; i++)
		if (nic->queues[i] >= rings.data || nic->queues[i] >= DN_QUEUES)
			return devmem_fail(ERANGE, "%s: no rx queue %u, there are %u",
					   nic->dev, nic->queues[i], (uint32_t)rings.data);
	return 0;
}

/*
 * A queue keeps pages that were given back, as many as its ring is long or some more, for
 * itself: with too few of them one queue could have all, and the others starve for good.
 */
static int dn_nic_pages(const struct dn_nic *nic, const struct devmem_nic_request *req)
{
	struct ethtool_ringparam ring = { .cmd = ETHTOOL_GRINGPARAM };
	uint64_t need;

	if (nic->nr_queues == 1 || dn_ioctl(nic, &ring))
		return 0;
	need = 2ULL * nic->nr_queues * ring.rx_pending;
	if (req->pages >= need)
		return 0;
	return devmem_fail(ENOBUFS, "%s: %u queues with rings of %u need a buffer of %lu pages, this one has %u: make it larger, or take one queue",
			   nic->dev, nic->nr_queues, ring.rx_pending, (unsigned long)need,
			   req->pages);
}

/* What would be missing, as far as that can be seen without changing anything. */
static int dn_nic_look(struct dn_nic *nic, const struct devmem_nic_request *req)
{
	int ret;

	ret = dn_rings_check(nic);
	if (!ret)
		ret = dn_nic_up(nic);
	if (!ret)
		ret = dn_nic_queues(nic, req);
	if (!ret)
		ret = dn_rules_check(nic);
	if (!ret)
		ret = dn_rss_check(nic);
	return ret;
}

int dn_nic_check(struct dn_nic *nic, const struct devmem_nic_request *req)
{
	int ret = dn_nic_open(nic, req->dev);

	if (!ret)
		ret = dn_nic_look(nic, req);
	dn_nic_free(nic);
	return ret;
}

static int dn_nic_settle(struct dn_nic *nic)
{
	bool busy = dn_state_busy(nic);
	int ret = 0, err;

	if (busy) {
		ret = dn_rules_settle(nic);
		if (!ret)
			ret = dn_rings_settle(nic);
		return ret ? ret : dn_rss_settle(nic);
	}
	/* on the way back one that fails does not keep the others from it */
	ret = dn_rss_settle(nic);
	err = dn_rings_settle(nic);
	if (err)
		ret = err;
	err = dn_rules_settle(nic);
	return err ? err : ret;
}

/* Its owner may be there still, and receive by io_uring. */
static bool dn_nic_receives(struct dn_nic *nic, int user)
{
	uint32_t i;

	for (i = 0; i < DN_QUEUES; i++)
		if (nic->state->owners[i] == user + 1 && dn_provider_wait(nic, i))
			return true;
	return false;
}

/* What was left by those that were killed. */
static int dn_nic_bury(struct dn_nic *nic)
{
	int user, ret;

	for (user = 0; user < DN_USERS; user++) {
		if (!dn_state_dead(nic, user) || dn_nic_receives(nic, user))
			continue;
		ret = dn_rules_drop(nic, user);
		if (ret)
			return ret;
		dn_state_leave(nic, user);
	}
	return 0;
}

int dn_nic_cleanup(struct dn_nic *nic, const struct devmem_nic_request *req)
{
	int ret = dn_nic_open(nic, req->dev);

	if (!ret)
		ret = dn_state_open(nic);
	if (!ret) {
		dn_state_lock(nic);
		ret = dn_nic_bury(nic);
		if (!ret)
			ret = dn_nic_settle(nic);
		dn_state_unlock(nic);
	}
	dn_nic_free(nic);
	return ret;
}

static int dn_nic_claim(struct dn_nic *nic)
{
	uint32_t i;
	int ret;

	for (i = 0; i < nic->nr_queues; i++)
		if (nic->state->owners[nic->queues[i]])
			return devmem_fail(EBUSY, "%s: rx queue %u is another receiver's",
					   nic->dev, nic->queues[i]);
	ret = dn_state_join(nic);
	for (i = 0; !ret && i < nic->nr_queues; i++)
		nic->state->owners[nic->queues[i]] = (uint8_t)(nic->user + 1);
	return ret;
}

/* Return: as dn_nic_undo(), with the state locked. */
static int dn_nic_leave(struct dn_nic *nic)
{
	int ret;

	if (nic->user >= 0) {
		ret = dn_rules_drop(nic, nic->user);
		if (ret)
			return ret;
		devmem_nl_close(nic->netdev);
		nic->netdev = NULL;
		dn_state_leave(nic, nic->user);
	}
	/* who is still there sets the device back when he goes */
	return dn_nic_settle(nic);
}

static int dn_nic_wait(struct dn_nic *nic)
{
	uint32_t i;
	int ret = 0;

	for (i = 0; !ret && i < nic->nr_queues; i++)
		ret = dn_provider_wait(nic, nic->queues[i]);
	return ret;
}

static int dn_nic_setup(struct dn_nic *nic, const struct devmem_nic_request *req,
			int fd, struct devmem_nic_reply *reply)
{
	int ret;

	ret = dn_nic_bury(nic);
	if (!ret)
		ret = dn_nic_look(nic, req);
	if (!ret)
		ret = dn_nic_claim(nic);
	if (!ret)
		ret = dn_nic_pages(nic, req);
	if (!ret)
		ret = dn_rules_conflict(nic);
	if (!ret)
		ret = dn_nic_wait(nic);
	if (!ret)
		ret = dn_nic_settle(nic);
	reply->queue = nic->queues[0];
	if (ret || req->what == DEVMEM_NIC_CLAIM)
		return ret;
	return dn_provider_bind(nic, req->page_size, fd, &reply->id);
}

int dn_nic_take(struct dn_nic *nic, const struct devmem_nic_request *req, int fd,
		struct devmem_nic_reply *reply)
{
	char text[512];
	int ret, left = 0;

	if (fd < 0 && req->what == DEVMEM_NIC_BIND)
		return devmem_fail(EBADF, "bind: no dma-buf came along");
	ret = dn_nic_open(nic, req->dev);
	if (!ret)
		ret = dn_state_open(nic);
	if (!ret) {
		dn_state_lock(nic);
		ret = dn_nic_setup(nic, req, fd, reply);
		snprintf(text, sizeof(text), "%s", devmem_error());
		if (ret)
			left = dn_nic_leave(nic);
		dn_state_unlock(nic);
		if (ret)
			devmem_fail(-ret, "%s", text);
	}
	/* what is left is undone when the owner has gone */
	if (ret && !left)
		dn_nic_free(nic);
	return ret;
}

int dn_nic_rule_add(struct dn_nic *nic, int sock, uint32_t *rule)
{
	struct dn_flow flow;
	int ret;

	if (nic->user < 0)
		return devmem_fail(EINVAL, "devmem-nic: a rule before a binding");
	ret = dn_flow_get(nic, sock, &flow);
	if (ret)
		return ret;
	dn_state_lock(nic);
	ret = dn_rule_add(nic, &flow, nic->queues[nic->next++ % nic->nr_queues], rule);
	dn_state_unlock(nic);
	return ret;
}

int dn_nic_rule_del(struct dn_nic *nic, uint32_t rule)
{
	int ret;

	if (nic->user < 0)
		return devmem_fail(EINVAL, "devmem-nic: a rule before a binding");
	dn_state_lock(nic);
	ret = dn_rule_del(nic, rule);
	dn_state_unlock(nic);
	return ret;
}

int dn_nic_undo(struct dn_nic *nic)
{
	int ret;

	if (!nic->state)
		return 0;
	/* not under a ring of its owner */
	ret = nic->user >= 0 && nic->netdev ? dn_nic_wait(nic) : 0;
	if (ret)
		return ret;
	dn_state_lock(nic);
	ret = dn_nic_leave(nic);
	dn_state_unlock(nic);
	/* a device that is not there has nothing left */
	return ret == -ENODEV ? 0 : ret;
}
