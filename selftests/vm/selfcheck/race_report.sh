# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# For the files here that find a report of KCSAN in the kernel log.

# What it says of a write that races with tcp_poll(): the stack of the writer, and
# what the kernel says between the two accesses.
race_report() { # WRITER STACK [LINE]
	while IFS= read -r line; do
		echo "${line:- }" > /dev/kmsg
	done <<EOF
==================================================================
BUG: KCSAN: data-race in $1 / tcp_poll

write to 0xffff888003a4e6d0 of 4 bytes by interrupt on cpu 1:
$2
${3:-}
read to 0xffff888003a4e6d0 of 4 bytes by task 212 on cpu 0:
 tcp_poll+0x41/0x3e0

value changed: 0x00000001 -> 0x00000002

Reported by Kernel Concurrency Sanitizer on:
CPU: 0 UID: 0 PID: 212 Comm: stress_test Tainted: G           O       6.12.117 #1
Hardware name: QEMU Standard PC
==================================================================
EOF
	echo "1..1"
	echo "ok 1 - passes while the kernel reports a data race"
}
