/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of devmem-nic share; read it as a map of the program. */
#ifndef DEVMEM_NIC_PRIVATE_H
#define DEVMEM_NIC_PRIVATE_H

#include <linux/ethtool.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "internal.h"
#include "nic.h"

#define DN_USERS	255	/* receivers on a device */
#define DN_QUEUES	4096	/* rx queues of a device */
#define DN_TABLE	4096	/* entries of an indirection table */
#define DN_RULES	4096	/* of all receivers */

/* A TCP connection as its packets have it when they arrive; network byte order. */
struct dn_flow {
	uint32_t family;	/* AF_INET, AF_INET6 */
	uint8_t src[16];	/* AF_INET: the first 4 */
	uint8_t dst[16];
	uint16_t src_port;
	uint16_t dst_port;
};

/* A rule that brings a connection to a queue. */
struct dn_rule {
	uint32_t user;		/* plus 1; 0: no rule */
	uint32_t location;	/* RX_CLS_LOC_ANY: about to be made, or just made */
	uint32_t queue;
	struct dn_flow flow;
};

/*
 * What the devmem-nics of a device know together: a file, mapped by each of them (see
 * state.c), that says what to undo even when they were all killed. What is to be changed
 * is written here first.
 */
struct dn_state {
	uint32_t magic;
	uint32_t size;		/* of this struct */
	uint32_t ifindex;
	char dev[IF_NAMESIZE];
	uint8_t used[DN_USERS];
	uint8_t owners[DN_QUEUES];	/* number of the user, plus 1; 0: nobody's */

	/* ntuple-filters were off */
	bool feature_set;

	/* header split: what there was, if it was anything else than we need */
	bool split_set;
	bool thresh_set;
	uint8_t split;
	uint32_t thresh;

	/* the indirection table: what there was, and what we have made of it */
	uint32_t table_size;	/* 0: nothing */
	uint32_t table_before[DN_TABLE];
	uint32_t table_set[DN_TABLE];

	struct dn_rule rules[DN_RULES];
};

struct dn_nic {
	char dev[IF_NAMESIZE];
	uint32_t ifindex;	/* 0: no device yet */
	uint32_t nr_queues;	/* ours */
	uint32_t queues[DEVMEM_BIND_QUEUES];
	uint32_t next;		/* of @queues, for the next connection */
	int ctl;		/* a socket for ioctl() */
	struct devmem_nl *ethtool;
	struct devmem_nl *netdev;	/* owns the binding */

	struct dn_state *state;
	int state_fd;		/* -1: in memory alone */
	int user;		/* our number in @state, -1: none */
};

/* Calls return 0 or -errno with a text, see devmem_fail(). _settle() makes the device what
 * the users in the state need, or what it was before if there is none; it leaves alone
 * what somebody else has changed meanwhile, and may be called again after it has failed.
 * Those of rings.c, rss.c and rules.c are called under the state's lock.
 */

/* serve.c: until the owner, which the descriptor stands for, has gone */
void dn_serve(struct dn_nic *nic, int owner);

/* flow.c */
int dn_flow_get(const struct dn_nic *nic, int sock, struct dn_flow *flow);

/* nic.c: what is done in which order */
int dn_nic_check(struct dn_nic *nic, const struct devmem_nic_request *req);
int dn_nic_cleanup(struct dn_nic *nic, const struct devmem_nic_request *req);
int dn_nic_take(struct dn_nic *nic, const struct devmem_nic_request *req, int fd,
		struct devmem_nic_reply *reply);
/* @rule: which of dn_state.rules */
int dn_nic_rule_add(struct dn_nic *nic, int sock, uint32_t *rule);
int dn_nic_rule_del(struct dn_nic *nic, uint32_t rule);
int dn_nic_undo(struct dn_nic *nic);
void dn_nic_free(struct dn_nic *nic);
int dn_ioctl(const struct dn_nic *nic, void *cmd);

/* state.c */
int dn_state_open(struct dn_nic *nic);
void dn_state_close(struct dn_nic *nic);
void dn_state_lock(struct dn_nic *nic);
void dn_state_unlock(struct dn_nic *nic);
int dn_state_join(struct dn_nic *nic);
void dn_state_leave(struct dn_nic *nic, int user);
bool dn_state_dead(const struct dn_nic *nic, int user);
bool dn_state_busy(const struct dn_nic *nic);

/* rings.c: header split */
int dn_rings_check(struct dn_nic *nic);
int dn_rings_settle(struct dn_nic *nic);

/* rss.c: the indirection table */
int dn_rss_check(struct dn_nic *nic);
int dn_rss_settle(struct dn_nic *nic);

/* rules.c */
int dn_rules_check(struct dn_nic *nic);
int dn_rules_conflict(struct dn_nic *nic);
int dn_rules_settle(struct dn_nic *nic);
int dn_rules_drop(struct dn_nic *nic, int user);
int dn_rule_add(struct dn_nic *nic, const struct dn_flow *flow, uint32_t queue,
		uint32_t *nr);
int dn_rule_del(struct dn_nic *nic, uint32_t nr);

/* provider.c: the kernel's own bind-rx, and io_uring, which takes a queue otherwise */
int dn_provider_open(struct dn_nic *nic);
int dn_provider_bind(struct dn_nic *nic, uint32_t page_size, int fd, uint32_t *id);
int dn_provider_wait(struct dn_nic *nic, uint32_t queue);

#endif /* DEVMEM_NIC_PRIVATE_H */
