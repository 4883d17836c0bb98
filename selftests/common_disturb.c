// SPDX-License-Identifier: GPL-2.0
/*
 * Owns what goes on around the streams of a stress test, see common_disturb.h.
 * Must not know of the streams.
 */
#include <string.h>

#include "common_ctl.h"
#include "common_disturb.h"
#include "common_nic.h"

/* What a setting needs may be bound. */
void disturb_setting(struct stress_rnd *rnd)
{
	static const char *const wire[] = {
		"loss", "reorder", "duplicate", "corrupt", "delay_us",
	};
	struct ethtool_coalesce coal = { .cmd = ETHTOOL_SCOALESCE };
	struct ethtool_ringparam ring = { .cmd = ETHTOOL_SRINGPARAM };
	unsigned int what = rnd_below(rnd, 8), value = rnd_below(rnd, DISTURB_MTU - 1500), i;
	uint32_t table[RSS_INDIR], main_context = 0;
	enum side side;
	int err = 0;

	stress_doing("setting %u: %u", what, value);
	switch (what) {
	case 0:
	case 1:
		err = channels_set(1 + value % DISTURB_QUEUES);
		usleep(20000);
		check_eq(channels_set(DISTURB_QUEUES), 0);
		break;
	case 2:
		ring.rx_pending = 64U << value % 7;
		ring.tx_pending = 64U << value / 7 % 7;
		err = nic_ioctl(&ring);
		break;
	case 3:
		coal.rx_coalesce_usecs = value % 500;
		coal.rx_max_coalesced_frames = value % 20;
		err = nic_ioctl(&coal);
		break;
	case 4:
		for (i = 0; i < RSS_INDIR; i++)
			table[i] = rnd_below(rnd, DISTURB_QUEUES);
		err = rss_set(&main_context, NULL, table);
		break;
	case 5:
		/* what the receiver has told the sender once must go on being true */
		side = value & 1;
		must_cmd("ip -n %s link set %s mtu %u", NS_NAME(side), DEV_NAME(side),
			 (side == RECEIVER ? DISTURB_MTU : 1500) + value);
		break;
	case 6:
		impair(RECEIVER, wire[value % ARRAY_SIZE(wire)], value % 3000);
		usleep(50000);
		impair_none(RECEIVER);
		break;
	default:
		nic_feature("rx-gro-hw", value & 1);
	}
	if (err && err != -EBUSY && err != -EINVAL)
		fail("setting %u, %u: %s", what, value, strerror(-err));
	usleep(rnd_below(rnd, 100000));
}

void disturb_link(struct stress_rnd *rnd)
{
	enum side side = rnd_below(rnd, 2);

	stress_doing("link down and up");
	must_cmd("ip -n %s link set %s down", NS_NAME(side), DEV_NAME(side));
	usleep(rnd_below(rnd, 30000));
	must_cmd("ip -n %s link set %s up", NS_NAME(side), DEV_NAME(side));
	usleep(rnd_below(rnd, 2000000));
}

void disturb_by_looking(struct stress_rnd *rnd)
{
	char text[256];

	stress_doing("look");
	check_cmp(ctl_count_bindings(), >=, 0);
	nic_counter(rnd_below(rnd, 2), "rx_packets");
	live_objects(text, sizeof(text));
	cmd("ip netns exec %s ss -tie -D /dev/null", NS_NAME(RECEIVER));
	usleep(rnd_below(rnd, 200000));
}
