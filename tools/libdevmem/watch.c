// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Owns what a subscriber has been told: each binding that it knows to be there.
 * When notifications were lost, comparing this with a dump gives those that
 * make up for them. Must not know of the socket that they come through.
 */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"

struct devmem_known {
	struct devmem_bind_info info;
	bool seen;		/* in the dump under way */
	struct devmem_known *next;
};

struct devmem_missed {
	struct devmem_event ev;
	struct devmem_missed *next;
};

static struct devmem_known **devmem_known_find(struct devmem_watch *w,
					       uint32_t id)
{
	struct devmem_known **p = &w->known;

	while (*p && (*p)->info.id != id)
		p = &(*p)->next;
	return p;
}

static void devmem_known_forget(struct devmem_known **p)
{
	struct devmem_known *k = *p;

	*p = k->next;
	free(k);
}

/* Its queues are free: no notification will come any more. */
static bool devmem_has_ended(const struct devmem_bind_info *info)
{
	return info->state == NETDEV_DEVMEM_STATE_CLOSING && !info->nr_queues;
}

static int devmem_known_set(struct devmem_known **p,
			    const struct devmem_bind_info *info)
{
	if (!*p) {
		*p = calloc(1, sizeof(**p));
		if (!*p)
			return devmem_fail(ENOMEM, "out of memory");
	}
	(*p)->info = *info;
	(*p)->seen = true;
	return 0;
}

int devmem_watch_told(struct devmem_watch *w, const struct devmem_event *ev)
{
	struct devmem_known **p = devmem_known_find(w, ev->info.id);

	if (ev->cmd == NETDEV_DEVMEM_CMD_UNBIND_NTF &&
	    ev->info.state == NETDEV_DEVMEM_STATE_CLOSING) {
		if (*p)
			devmem_known_forget(p);
		return 0;
	}
	return devmem_known_set(p, &ev->info);
}

static int devmem_watch_miss(struct devmem_watch *w, uint8_t cmd,
			     const struct devmem_bind_info *info)
{
	struct devmem_missed *m = calloc(1, sizeof(*m)), **p = &w->missed;

	if (!m)
		return devmem_fail(ENOMEM, "out of memory");
	m->ev.cmd = cmd;
	m->ev.info = *info;
	while (*p)
		p = &(*p)->next;
	*p = m;
	return 0;
}

/* One binding of the dump: what about it were we not told? */
static int devmem_watch_compare(const struct devmem_bind_info *info, void *arg)
{
	struct devmem_watch *w = arg;
	struct devmem_known **p = devmem_known_find(w, info->id), *k = *p;
	int ret = 0;

	if (devmem_has_ended(info))
		return 0;	/* as if it were not in the dump */
	if (!k)
		ret = devmem_watch_miss(w, NETDEV_DEVMEM_CMD_BIND_NTF, info);
	else if (info->state == NETDEV_DEVMEM_STATE_REVOKED &&
		 k->info.state != NETDEV_DEVMEM_STATE_REVOKED)
		ret = devmem_watch_miss(w, NETDEV_DEVMEM_CMD_UNBIND_NTF, info);
	else if (info->stats.pressure > k->info.stats.pressure)
		ret = devmem_watch_miss(w, NETDEV_DEVMEM_CMD_PRESSURE_NTF, info);
	return ret ? ret : devmem_known_set(p, info);
}

/* What the dump does not have has ended. */
static int devmem_watch_sweep(struct devmem_watch *w)
{
	struct devmem_known **p = &w->known;
	int ret;

	while (*p) {
		if ((*p)->seen) {
			p = &(*p)->next;
			continue;
		}
		(*p)->info.state = NETDEV_DEVMEM_STATE_CLOSING;
		(*p)->info.nr_queues = 0;
		(*p)->info.flows = 0;
		ret = devmem_watch_miss(w, NETDEV_DEVMEM_CMD_UNBIND_NTF,
					&(*p)->info);
		if (ret)
			return ret;
		devmem_known_forget(p);
	}
	return 0;
}

/* May be repeated after an error: what was found until then stays found. */
int devmem_watch_look(struct devmem_watch *w, struct devmem_nl *nl)
{
	struct devmem_known *k;
	int ret;

	for (k = w->known; k; k = k->next)
		k->seen = false;
	ret = devmem_bind_dump(nl, 0, devmem_watch_compare, w, 0);
	return ret ? ret : devmem_watch_sweep(w);
}

bool devmem_watch_next(struct devmem_watch *w, struct devmem_event *ev)
{
	struct devmem_missed *m = w->missed;

	if (!m)
		return false;
	if (ev)
		*ev = m->ev;
	w->missed = m->next;
	free(m);
	return true;
}

void devmem_watch_clear(struct devmem_watch *w)
{
	while (devmem_watch_next(w, NULL))
		;
	while (w->known)
		devmem_known_forget(&w->known);
}
