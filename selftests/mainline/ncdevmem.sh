#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The kernel's own devmem client, as it is, on our NIC: its probe, its receiver
# with validation, and then the same stream through net/devmem on the same NIC.
. ./lib_mainline.sh

QUEUES=8
FIRST=4		# queues 4 and 5 are bound
NR=2
PORT=5201
BYTES=4194304
LOG=/tmp/ncdevmem.log

n=0
ok() { n=$((n + 1)); echo "ok $n $1"; }
not_ok() {
	n=$((n + 1))
	grep -v '^received\|^recvmsg\|^total\|^Validated' $LOG | tail -n 20 | sed 's/^/# /'
	echo "not ok $n $1"
}

# What its validation expects at the end of each seven bytes, and how it is asked to
# probe, differ among kernels.
LAST=0
ADDRESS="-s $LOCAL_V4"
if [ -e "$TESTS/drivers/net/hw/ncdevmem.c" ]; then
	LAST=10
	ADDRESS=
fi

# "ncdevmem: TEXT" is how it complains. Its exit status says nothing without -l.
probe() {
	timeout 60 /opt/kernel/ncdevmem $ADDRESS -f nsd0 -t $FIRST -q $NR >$LOG 2>&1
	if grep -q '^/*[a-z/]*ncdevmem: ' $LOG; then not_ok probe; else ok probe; fi
}

# All of it, and no byte of it in host memory: the client would call that an error.
receive() { # NAME SERVER CLIENT BYTES SIZE
	timeout 200 /opt/kernel/ncdevmem -l -s "$2" -c "$3" -p $PORT -f nsd0 -t $FIRST -q $NR -v 7 \
		>$LOG 2>&1 &
	server=$!
	tries=0
	until grep -q '^Waiting or connection' $LOG || [ $tries = 300 ]; do
		tries=$((tries + 1))
		sleep 0.1
	done
	ip netns exec peer python3 ./send.py "$2" $PORT "$4" "$5" $LAST || echo "sender failed" >>$LOG
	wait $server
	status=$?
	if [ $status = 0 ] && grep -q 'client exited' $LOG &&
	   grep -q "total_received=$4\$" $LOG && grep -q '^Validated buffer' $LOG &&
	   ! grep -q 'Failed validation\|sender failed' $LOG; then
		ok "$1"
	else
		echo "# exit status $status, $(grep -c '^received' $LOG) pieces"
		not_ok "$1"
	fi
}

# The same sender, the same NIC, a moment later: net/devmem.
same_stream() { # NAME SERVER BYTES SIZE
	ncdevmem listen --dev nsd0 --queues $FIRST --output /tmp/stream "$2" $PORT >$LOG 2>&1 &
	server=$!
	ip netns exec peer python3 ./send.py "$2" $PORT "$3" "$4" || echo "sender failed" >>$LOG
	wait $server
	status=$?
	placed=$(sed -n 's/^placed *\([0-9]*\) bytes.*/\1/p' $LOG)
	want=$(python3 -c "import hashlib
print(hashlib.sha256((bytes([1, 2, 3, 4, 5, 6, 0]) * ($3 // 7 + 1))[:$3]).hexdigest())")
	if [ $status = 0 ] && [ "${placed:-0}" -gt 0 ] &&
	   [ "$(sha256sum /tmp/stream | cut -d' ' -f1)" = "$want" ]; then
		echo "# placed $placed of $3 bytes"
		ok "$1"
	else
		echo "# exit status $status, placed '$placed'"
		not_ok "$1"
	fi
	rm -f /tmp/stream
}

set_up $QUEUES
echo "1..7"
probe
receive "receive over IPv4" $LOCAL_V4 $REMOTE_V4 $BYTES 65536
receive "receive over IPv6" $LOCAL_V6 $REMOTE_V6 $BYTES 65536
receive "segments of 1 to 8192 bytes over IPv4" $LOCAL_V4 $REMOTE_V4 1048576 8192
receive "segments of 1 to 8192 bytes over IPv6" $LOCAL_V6 $REMOTE_V6 1048576 8192
same_stream "the same stream through net-devmem over IPv4" $LOCAL_V4 $BYTES 65536
same_stream "the same stream through net-devmem over IPv6" $LOCAL_V6 $BYTES 65536
exit 0
