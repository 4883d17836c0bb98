/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The settings of nsd0 by ethtool's ioctl, and single packets that show what
 * they do: each is made by hand, sent by nsd1, and looked for with the hash and
 * the queue it should have at nsd0, where nobody answers it.
 */
#ifndef SELFTESTS_COMMON_NIC_H
#define SELFTESTS_COMMON_NIC_H

#include <linux/ethtool.h>
#include <stdbool.h>
#include <stdint.h>

#include "common.h"

#define RSS_KEY		40
#define RSS_INDIR	128
#define RULES_MAX	1024

struct packet {
	int family;		/* AF_INET or AF_INET6 */
	uint8_t proto;		/* IPPROTO_*, of the IP header */
	const char *saddr;
	const char *daddr;
	uint16_t sport;		/* TCP and UDP */
	uint16_t dport;
	bool fragment;		/* IPv4: the first of several */
};

/* Send it as from nsd1 and wait for it at nsd0. True: it has
 * come, with @queue (unless ANY_QUEUE) and @hash (if that is not NULL).
 */
#define ANY_QUEUE	(~0U)
bool packet_comes(const struct packet *p, const uint32_t *hash,
		  unsigned int queue);

/* Send it, and another one behind it. True: the other one has come alone. */
bool packet_dropped(const struct packet *p);

/* The Toeplitz hash, bit by bit as the RSS specification has it, of these
 * RXH_* fields.
 */
uint32_t toeplitz(const uint8_t *key, const struct packet *p, uint64_t fields);

/* An ethtool command on nsd0. Returns 0 or -errno. */
int nic_ioctl(void *command);

/* Key and table of a context, 0 being the default one; NULL: leave it be.
 * *@context ETH_RXFH_CONTEXT_ALLOC: a new one, whose number comes back.
 */
int rss_set(uint32_t *context, const uint8_t *key, const uint32_t *indir);
void rss_get(uint32_t context, uint8_t *key, uint32_t *indir);
int rss_delete(uint32_t context);
int rss_fields_set(uint32_t flow_type, uint64_t fields);
uint64_t rss_fields_get(uint32_t flow_type);

/* A rule at fs->location, which tells afterwards where it went. */
int rule_add(struct ethtool_rx_flow_spec *fs, uint32_t context);
int rule_delete(uint32_t location);
int rule_get(uint32_t location, struct ethtool_rx_flow_spec *fs,
	     uint32_t *context);
/* The locations in use, ascending. Returns their number, or -errno if that is
 * more than @max.
 */
int rule_list(uint32_t *locations, unsigned int max);
unsigned int rule_count(void);

int channels_set(unsigned int combined);

/* A feature by the name that the kernel has for it, e.g. "rx-gro-hw". */
void nic_feature(const char *name, bool on);

/* The kernel threads that poll nsd0, which must be threaded, run on CPU 0 only,
 * and so does the caller.
 */
void nic_pin_pollers(void);

/* While it is the caller's own they do not run unless he sleeps, or the kernel lets
 * others in, as it does now and then. Returns false if that may have been so.
 */
void nic_own_cpu(void);
bool nic_share_cpu(void);

/* A socket that sends frames of any kind from the other side's NIC, and waits for no
 * queueing discipline.
 */
int nic_raw_socket(void);

#endif /* SELFTESTS_COMMON_NIC_H */
