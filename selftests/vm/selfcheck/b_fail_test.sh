#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
echo "1..1"
echo "not ok 1 - fails"
exit 1
