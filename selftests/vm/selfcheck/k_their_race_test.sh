#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What KCSAN says of a data race: the kernel's own, and no other.
. ./race_report.sh

race_report tcp_data_queue "\
 tcp_data_queue+0x1d/0x60
 tcp_rcv_established+0x35e/0xc00
 tcp_v4_rcv+0x8a1/0xf40
 netem_dequeue+0x730/0xc30 [sch_netem]"
