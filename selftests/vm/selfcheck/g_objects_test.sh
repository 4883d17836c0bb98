#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
echo "binding 1" > "$OBJECTS/sch_netem/objects"
echo "1..1"
echo "ok 1 - passes and leaks an object"
