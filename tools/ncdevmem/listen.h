/* SPDX-License-Identifier: GPL-2.0 */
/* Between listen.c, which runs connections, and report.c, which sums them up. */
#ifndef NCDEVMEM_LISTEN_H
#define NCDEVMEM_LISTEN_H

#include "ncdevmem.h"

struct nd_report {
	struct nd_rx_stats sum;		/* of the connections that ended */
	uint64_t connections;
	uint64_t attached;
	double begin;			/* 0: nobody came */
	double end;
	enum nd_exit ret;
	bool interrupted;
};

/* report.c */
void nd_report_add(struct nd_report *r, const struct nd_rx *rx);
void nd_report_progress(const struct nd_report *r, uint64_t bytes,
			unsigned int active);
int nd_report_print(const struct nd_report *r, const struct nd_rx_config *cfg,
		    bool json);

#endif /* NCDEVMEM_LISTEN_H */
