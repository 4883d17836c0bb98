#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
. ./lib_mainline.sh
if [ ! -d /sys/kernel/debug/fail_function ]; then
	echo "1..1"
	echo "ok 1 pp_alloc_fail.test_pp_alloc # SKIP kernel without function error injection"
	exit 4
fi
set_up 8
run_python drivers/net/hw pp_alloc_fail.py
