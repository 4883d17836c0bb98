/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a bind-rx that is well-formed must be answered, by what is documented:
 * files that a request can name, and which of them and of the queues are taken.
 */
#ifndef SELFTESTS_NETLINK_MODEL_H
#define SELFTESTS_NETLINK_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#define MODEL_QUEUES	8	/* of the device */
#define MODEL_SOCKETS	4
#define MODEL_FILES	32
#define ASKED_MAX	64

/* A request, as far as it is well-formed. */
struct asked {
	bool has_ifindex;
	bool has_fd;
	bool has_chunk;
	uint32_t ifindex;
	int fd;
	uint32_t chunk;
	uint32_t queues[ASKED_MAX];
	unsigned int nr_queues;
};

/* Files of all kinds, open until the process ends. */
void model_open_files(void);

/* One that can be bound; one that cannot, or a number that is none; or either. */
int model_file(bool good, bool bad);

/* The errno, 0 for success; *@either: or success, for that depends on where the
 * exporter's memory lies.
 */
int model_expect(const struct asked *a, bool *either);

/* Socket @owner has got what it asked for. */
void model_bound(const struct asked *a, unsigned int owner);

/* Socket @owner is closed. */
void model_closed(unsigned int owner);

#endif /* SELFTESTS_NETLINK_MODEL_H */
