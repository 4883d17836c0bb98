#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
. ./lib_mainline.sh
set_up 8
run_python drivers/net ping.py \
	"a program for BPF, which only clang makes" \
	test_xdp_generic_sb test_xdp_generic_mb test_xdp_native_sb test_xdp_native_mb
