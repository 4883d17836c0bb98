// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Owns the pages of a buffer that a ring receives into: who has pieces of them, and when
 * they go back. The kernel counts what it has told of a page, and wants as many entries
 * back; a piece may be given out in several parts, so those are counted here. Must not
 * know what a connection is.
 */
#include <stdlib.h>

#include "internal.h"
#include "zcrx.h"

struct pages_page {
	uint32_t refs;		/* pieces that users have, or that wait for them */
	uint32_t told;		/* pieces that the ring has told of since it went back */
	bool late;
};

struct devmem_pages {
	struct devmem_ring *ring;
	uint32_t size;		/* of each */
	uint32_t nr;
	struct pages_page *page;
	uint32_t *late;		/* those that go back when the kernel has room */
	uint32_t nr_late;
};

struct devmem_pages *devmem_pages_alloc(struct devmem_ring *ring, uint32_t nr, uint32_t size)
{
	struct devmem_pages *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->ring = ring;
	p->nr = nr;
	p->size = size;
	p->page = calloc(nr, sizeof(*p->page));
	p->late = calloc(nr, sizeof(*p->late));
	if (p->page && p->late)
		return p;
	devmem_pages_free(p);
	return NULL;
}

void devmem_pages_free(struct devmem_pages *p)
{
	if (!p)
		return;
	free(p->page);
	free(p->late);
	free(p);
}

/* With all that was told of it. False: not now. */
static bool pages_back_one(struct devmem_pages *p, uint32_t nr)
{
	struct pages_page *page = &p->page[nr];

	while (page->told && devmem_ring_refill(p->ring, (uint64_t)nr * p->size))
		page->told--;
	return !page->told;
}

/* Those that somebody has a piece of again come another time. */
bool devmem_pages_back(struct devmem_pages *p)
{
	struct pages_page *page;

	for (; p->nr_late; p->nr_late--) {
		page = &p->page[p->late[p->nr_late - 1]];
		if (!page->refs && !pages_back_one(p, p->late[p->nr_late - 1]))
			break;
		page->late = false;
	}
	devmem_ring_publish(p->ring);
	return !p->nr_late;
}

uint32_t devmem_pages_of(const struct devmem_pages *p, const struct zcrx_piece *piece)
{
	return (uint32_t)(piece->offset / p->size);
}

void devmem_pages_told(struct devmem_pages *p, const struct zcrx_pieces *got)
{
	struct pages_page *page;
	unsigned int i;

	for (i = 0; i < got->nr; i++) {
		page = &p->page[devmem_pages_of(p, &got->piece[i])];
		page->refs++;
		page->told++;
	}
}

void devmem_pages_get(struct devmem_pages *p, uint32_t nr)
{
	p->page[nr].refs++;
}

bool devmem_pages_put(struct devmem_pages *p, uint32_t nr)
{
	struct pages_page *page = &p->page[nr];

	if (nr >= p->nr || !page->refs)
		return false;
	if (--page->refs || page->late)
		return true;
	page->late = true;
	p->late[p->nr_late++] = nr;
	devmem_pages_back(p);
	return true;
}
