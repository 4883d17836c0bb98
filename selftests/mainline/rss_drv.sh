#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
. ./lib_mainline.sh
set_up 8
run_python drivers/net/hw rss_drv.py
