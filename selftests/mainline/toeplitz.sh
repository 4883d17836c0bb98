#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
. ./lib_mainline.sh
set_up 8
run_python drivers/net/hw toeplitz.py \
	"a NIC without interrupts" \
	test.rss_tcp_ipv4 test.rss_tcp_ipv6 test.rss_udp_ipv4 test.rss_udp_ipv6 test.rps_tcp_ipv4 test.rps_tcp_ipv6 test.rps_udp_ipv4 test.rps_udp_ipv6
