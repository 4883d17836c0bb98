/* SPDX-License-Identifier: GPL-2.0 */
/* One rule of ethtool, read as ethtool has given it; for ntuple_fuzz.c. */
#ifndef NTUPLE_MODEL_H
#define NTUPLE_MODEL_H

#include "fuzz.h"

/* A packet as the parser has understood it. */
struct packet {
	bool v6;
	bool l4;			/* whole, TCP or UDP */
	u8 proto;
	u8 src[16], dst[16];
	u8 sport[2], dport[2];
};

/* 0, or the error for fields and masks that no rule can have. */
int model_fields(const struct ethtool_rx_flow_spec *fs);

/* Is @p one of the packets that the rule means? */
bool model_hit(const struct ethtool_rx_flow_spec *fs, const struct packet *p);

#endif /* NTUPLE_MODEL_H */
