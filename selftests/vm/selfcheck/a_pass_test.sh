#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
echo "1..2"
echo "ok 1 - passes"
echo "ok 2 - has no hardware # SKIP none here"
