#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What KCSAN says of a data race: of the module under test.
. ./race_report.sh

race_report "netem_enqueue [sch_netem]" "\
 netem_enqueue+0x1d/0x60 [sch_netem]
 tcp_v4_rcv+0x8a1/0xf40"
