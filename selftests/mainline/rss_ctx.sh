#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Some checks want a share of the packets of 16 connections on certain queues:
# whether hashing gives it is chance, on any NIC. A case that has failed in such
# checks alone is excused if it passes when the file runs again, three times at
# most. A failure of any other kind stays one.
. ./lib_mainline.sh
set_up 64
ethtool -L nsd0 combined 8
cd "$TESTS/drivers/net/hw" || exit 1

# Each case's result: the first failure that was no chance, or else the best.
merge() {
	awk '
	function chance(line) {
		return line ~ /^# Check failed/ && line ~ /\([12]\/2\)|traffic distributed/
	}
	/^# (Check failed|Exception)/ && !chance($0) { hard = 1 }
	/^(not )?ok / {
		good = $1 == "ok"; text = $0; sub(/^(not )?ok [0-9]+ /, "", text)
		name = text; sub(/ #.*/, "", name)
		if (!(name in best)) order[++n] = name
		if (!(name in final) && (good || !(name in best) || hard))
			best[name] = (good ? "ok" : "not ok") SUBSEP text
		if (!good && hard) final[name] = 1
		hard = 0
	}
	END {
		print "1.." n
		for (i = 1; i <= n; i++) {
			split(best[order[i]], part, SUBSEP)
			print part[1], i, part[2]
			failed += part[1] != "ok" && !(order[i] in final)
		}
		exit failed > 0		# is there something to gain?
	}' /tmp/rss_ctx.*
}

for attempt in 1 2 3; do
	python3 ./rss_ctx.py > /tmp/rss_ctx.$attempt 2>&1
	grep -v '^ok \|^1\.\.\|^KTAP' /tmp/rss_ctx.$attempt | sed "s/^#* */# attempt $attempt: /;s/^not ok/# &/"
	merge > /tmp/rss_ctx_merged && break
done
cat /tmp/rss_ctx_merged
exit 0
