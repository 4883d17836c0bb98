#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
echo "1..1"
sleep 1000
