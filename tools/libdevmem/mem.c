// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Owns bytes' way into buffers, out of them and from one to another, by what each
 * buffer's exporter offers. Must not know where they come from.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "internal.h"

int devmem_buf_check(const struct devmem_buf *buf, uint64_t offset, uint64_t size)
{
	uint64_t end = devmem_buf_size(buf);

	if (offset <= end && size <= end - offset)
		return 0;
	return devmem_fail(ERANGE, "%" PRIu64 " bytes at %" PRIu64 " of a buffer that has %" PRIu64,
			   size, offset, end);
}

int devmem_buf_write(struct devmem_buf *buf, uint64_t offset, const void *src,
		     size_t size, unsigned int flags)
{
	void *map;
	int ret;

	if (flags)
		return devmem_fail(EINVAL, "flags 0x%x: none is defined", flags);
	ret = devmem_buf_check(buf, offset, size);
	if (!ret)
		ret = devmem_buf_map_write(buf, &map);
	if (!ret)
		ret = devmem_buf_sync(buf, DEVMEM_SYNC_START | DEVMEM_SYNC_WRITE);
	if (ret)
		return ret;
	memcpy((char *)map + offset, src, size);
	return devmem_buf_sync(buf, DEVMEM_SYNC_END | DEVMEM_SYNC_WRITE);
}

int devmem_buf_read(struct devmem_buf *buf, uint64_t offset, void *dst,
		    size_t size, unsigned int flags)
{
	void *map;
	int ret;

	if (flags)
		return devmem_fail(EINVAL, "flags 0x%x: none is defined", flags);
	ret = devmem_buf_check(buf, offset, size);
	if (!ret)
		ret = devmem_buf_map(buf, &map, 0);
	if (!ret)
		ret = devmem_buf_sync(buf, DEVMEM_SYNC_START | DEVMEM_SYNC_READ);
	if (ret)
		return ret;
	memcpy(dst, (char *)map + offset, size);
	return devmem_buf_sync(buf, DEVMEM_SYNC_END | DEVMEM_SYNC_READ);
}

static int devmem_gather_check(struct devmem_buf *dst, uint64_t offset,
			       struct devmem_buf *src,
			       const struct devmem_span *spans, unsigned int nr)
{
	uint64_t sum = 0;
	unsigned int i;
	int ret;

	if (src == dst)
		return devmem_fail(EINVAL, "gather: from a buffer into itself");
	for (i = 0; i < nr; i++) {
		ret = devmem_buf_check(src, spans[i].offset, spans[i].size);
		if (ret)
			return ret;
		if (__builtin_add_overflow(sum, spans[i].size, &sum))
			return devmem_fail(ERANGE, "gather: more than 2^64 bytes");
	}
	return devmem_buf_check(dst, offset, sum);
}

int devmem_buf_gather(struct devmem_buf *dst, uint64_t offset,
		      struct devmem_buf *src, const struct devmem_span *spans,
		      unsigned int nr, unsigned int flags)
{
	void *to, *from;
	unsigned int i;
	int ret, end;

	if (flags)
		return devmem_fail(EINVAL, "flags 0x%x: none is defined", flags);
	ret = devmem_gather_check(dst, offset, src, spans, nr);
	if (!ret)
		ret = devmem_buf_map_write(dst, &to);
	if (!ret)
		ret = devmem_buf_map(src, &from, 0);
	if (!ret)
		ret = devmem_buf_sync(src, DEVMEM_SYNC_START | DEVMEM_SYNC_READ);
	if (ret)
		return ret;
	ret = devmem_buf_sync(dst, DEVMEM_SYNC_START | DEVMEM_SYNC_WRITE);
	if (!ret) {
		for (i = 0; i < nr; i++) {
			memcpy((char *)to + offset, (char *)from + spans[i].offset,
			       spans[i].size);
			offset += spans[i].size;
		}
		ret = devmem_buf_sync(dst, DEVMEM_SYNC_END | DEVMEM_SYNC_WRITE);
	}
	end = devmem_buf_sync(src, DEVMEM_SYNC_END | DEVMEM_SYNC_READ);
	return ret ? ret : end;
}
