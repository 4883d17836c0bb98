/* SPDX-License-Identifier: LGPL-2.1 OR MIT */
/*
 * Between the library and the program devmem-nic, which sets a NIC up for a receiver
 * and undoes that when the receiver has gone, however it went.
 *
 * The library starts the program with one end of a pair of SOCK_SEQPACKET sockets as
 * descriptor DEVMEM_NIC_FD. Each request gets one reply. When no more requests can come
 * the program undoes what it has done, and closes its end when that is over.
 */
#ifndef LIBDEVMEM_NIC_H
#define LIBDEVMEM_NIC_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdint.h>

#include "libdevmem.h"

#define DEVMEM_NIC_PROGRAM	"devmem-nic"
#define DEVMEM_NIC_FD		3
#define DEVMEM_NIC_VERSION	1	/* of what follows; both sides must have the same */

/**
 * enum devmem_nic_what - what is asked for
 * @DEVMEM_NIC_CHECK: is anything missing on @dev? Changes nothing
 * @DEVMEM_NIC_BIND: set @dev up, and bind the dma-buf that comes as SCM_RIGHTS. Once
 * @DEVMEM_NIC_RULE_ADD: the connection whose socket comes as SCM_RIGHTS comes through one
 *	of the queues, until it ends, or
 * @DEVMEM_NIC_RULE_DEL: it does not any more: @rule, from the reply to RULE_ADD
 * @DEVMEM_NIC_SHARE: whoever has the other end of the pair of sockets of which one comes as
 *	SCM_RIGHTS may ask for RULE_ADD and RULE_DEL, too; its rules end with it
 * @DEVMEM_NIC_CLEANUP: undo on @dev what programs like this have left that were killed
 * @DEVMEM_NIC_CLAIM: as BIND, but the owner of the receiver gives the queue its memory:
 *	@queue of the reply. Once, and not after BIND
 */
enum devmem_nic_what {
	DEVMEM_NIC_CHECK,
	DEVMEM_NIC_BIND,
	DEVMEM_NIC_RULE_ADD,
	DEVMEM_NIC_RULE_DEL,
	DEVMEM_NIC_SHARE,
	DEVMEM_NIC_CLEANUP,
	DEVMEM_NIC_CLAIM,
};

struct devmem_nic_request {
	uint32_t version;
	uint32_t what;
	char dev[IF_NAMESIZE];
	uint32_t page_size;	/* rx-page-size; 0: the kernel's own */
	uint32_t pages;		/* of the buffer */
	uint32_t nr_queues;	/* 0: the last queue there is */
	uint32_t queues[DEVMEM_BIND_QUEUES];
	uint32_t rule;
};

struct devmem_nic_reply {
	uint32_t version;
	int32_t ret;		/* 0 or -errno, with @text */
	uint32_t id;		/* BIND: of the binding */
	uint32_t rule;		/* RULE_ADD: its number */
	uint32_t queue;		/* CLAIM: the first one */
	char text[512];
};

#endif /* LIBDEVMEM_NIC_H */
