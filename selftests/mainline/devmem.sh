#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
. ./lib_mainline.sh
set_up 8
# One run's buffer of huge pages may not be free yet when the next one begins.
echo 256 >/proc/sys/vm/nr_hugepages
run_python drivers/net/hw devmem.py
