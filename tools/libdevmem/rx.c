// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Owns receivers: the choice of a path, and how long a receiver is there. Must not
 * know what a path does.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static const struct devmem_path * const devmem_paths[] = {
	[DEVMEM_VIA_DEVMEM] = &devmem_path_devmem,
	[DEVMEM_VIA_COPY] = &devmem_path_copy,
	[DEVMEM_VIA_KERNEL] = &devmem_path_kernel,
	[DEVMEM_VIA_ZCRX] = &devmem_path_zcrx,
};

/* By AUTO. What is not there, or changes nothing, comes before what changes a device. */
static const enum devmem_via devmem_order[] = {
	DEVMEM_VIA_DEVMEM, DEVMEM_VIA_KERNEL, DEVMEM_VIA_ZCRX, DEVMEM_VIA_COPY,
};

const char *devmem_via_name(enum devmem_via via)
{
	if (via == DEVMEM_VIA_AUTO)
		return "auto";
	if ((unsigned int)via >= ARRAY_SIZE(devmem_paths))
		return "unknown";
	return devmem_paths[via]->name;
}

int devmem_via_parse(const char *name, enum devmem_via *via)
{
	unsigned int i;

	for (i = DEVMEM_VIA_AUTO; i < ARRAY_SIZE(devmem_paths); i++) {
		if (!strcmp(name, devmem_via_name((enum devmem_via)i))) {
			*via = (enum devmem_via)i;
			return 0;
		}
	}
	return devmem_fail(EINVAL, "path '%s': unknown, use auto, devmem, kernel, zcrx or copy", name);
}

int devmem_via_check(enum devmem_via via, const char *dev, unsigned int flags)
{
	if (flags)
		return devmem_fail(EINVAL, "flags 0x%x: none is defined", flags);
	if (via == DEVMEM_VIA_AUTO || (unsigned int)via >= ARRAY_SIZE(devmem_paths))
		return devmem_fail(EINVAL, "path %d: unknown", (int)via);
	return devmem_paths[via]->check ? devmem_paths[via]->check(dev) : 0;
}

/* A line of it begins with the path's name: "devmem: ...". */
static void devmem_pass_over(struct devmem_rx *rx, const char *name)
{
	size_t len = strlen(rx->passed_over);

	snprintf(rx->passed_over + len, sizeof(rx->passed_over) - len, "%s%s: %s",
		 len ? "\n" : "", name, devmem_error());
}

/* All that were tried, in one line. */
static int devmem_none_left(const struct devmem_rx *rx, int ret)
{
	char text[sizeof(rx->passed_over)];
	char *p = text;

	strcpy(text, rx->passed_over);
	while ((p = strchr(p, '\n')))
		*p = ';';
	return devmem_fail(-ret, "%s", text);
}

static int devmem_rx_try(struct devmem_rx *rx, const struct devmem_rx_config *config,
			 enum devmem_via via)
{
	int ret;

	rx->via = via;
	rx->path = devmem_paths[via];
	ret = rx->path->open(rx, config);
	if (ret && rx->automatic)
		devmem_pass_over(rx, rx->path->name);
	return ret;
}

static int devmem_rx_choose(struct devmem_rx *rx, const struct devmem_rx_config *config)
{
	int ret = -EINVAL;
	unsigned int i;

	if (config->via != DEVMEM_VIA_AUTO)
		return devmem_rx_try(rx, config, config->via);
	for (i = 0; ret && i < ARRAY_SIZE(devmem_order); i++)
		ret = devmem_rx_try(rx, config, devmem_order[i]);
	return ret ? devmem_none_left(rx, ret) : 0;
}

int devmem_rx_open(struct devmem_rx **rx, struct devmem_buf *buf,
		   const struct devmem_rx_config *config, unsigned int flags)
{
	struct devmem_rx *r;
	unsigned int i;
	int ret;

	if (flags)
		return devmem_fail(EINVAL, "flags 0x%x: none is defined", flags);
	if ((unsigned int)config->via >= ARRAY_SIZE(devmem_paths))
		return devmem_fail(EINVAL, "path %d: unknown", (int)config->via);
	for (i = 0; i < ARRAY_SIZE(config->reserved); i++)
		if (config->reserved[i])
			return devmem_fail(EINVAL, "receiver: reserved[%u] is %" PRIu64 ", not 0",
					   i, config->reserved[i]);
	r = calloc(1, sizeof(*r));
	if (!r)
		return devmem_fail(ENOMEM, "out of memory");
	r->buf = buf;
	r->automatic = config->via == DEVMEM_VIA_AUTO;
	r->users = 1;
	pthread_mutex_init(&r->lock, NULL);
	ret = devmem_rx_choose(r, config);
	if (ret) {
		pthread_mutex_destroy(&r->lock);
		free(r);
		return ret;
	}
	*rx = r;
	return 0;
}

void devmem_rx_get(struct devmem_rx *rx)
{
	pthread_mutex_lock(&rx->lock);
	rx->users++;
	pthread_mutex_unlock(&rx->lock);
}

void devmem_rx_put(struct devmem_rx *rx)
{
	bool last;

	pthread_mutex_lock(&rx->lock);
	last = !--rx->users;
	pthread_mutex_unlock(&rx->lock);
	if (!last)
		return;
	if (rx->path->free)
		rx->path->free(rx);
	pthread_mutex_destroy(&rx->lock);
	free(rx);
}

void devmem_rx_close(struct devmem_rx *rx)
{
	if (!rx)
		return;
	if (rx->path->close)
		rx->path->close(rx);
	devmem_rx_put(rx);
}

int devmem_rx_share(struct devmem_rx *rx, int *fd, unsigned int flags)
{
	if (flags)
		return devmem_fail(EINVAL, "flags 0x%x: none is defined", flags);
	if (rx->path->share)
		return rx->path->share(rx, fd);
	return devmem_fail(EOPNOTSUPP, "a receiver on the path '%s' has nothing to share",
			   rx->path->name);
}

enum devmem_via devmem_rx_via(const struct devmem_rx *rx)
{
	return rx->via;
}

const char *devmem_rx_passed_over(const struct devmem_rx *rx)
{
	return rx->passed_over;
}

void devmem_rx_result(const struct devmem_rx *rx, struct devmem_bind_result *res)
{
	*res = rx->res;
}

struct devmem_nl *devmem_rx_nl(const struct devmem_rx *rx)
{
	return rx->nl;
}
