#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The demo, inside the virtual machine: two hosts as network namespaces, a plain
# TCP sender on one, on the other a listener whose payload the NIC puts into the
# dma-buf that the process owns. The last line is for machines.

BYTES=${BYTES:-268435456}
PORT=5201
RX=receiver
TX=sender

main() {
	load
	cable
	show
	stream
	verdict
}

give_up() {
	echo "demo: $*"
	dmesg | tail -n 20
	exit 1
}

try() { "$@" || give_up "failed: $*"; }

load() {
	try insmod /modules/netdev-devmem.ko
	try insmod /modules/netdevsim-devmem.ko
}

host() { # NETNS LINK ADDRESS
	try ip netns add "$1"
	try ip link set "$2" netns "$1"
	try ip -n "$1" addr add "$3/24" dev "$2"
	try ip -n "$1" link set "$2" up
}

cable() {
	try ip link add nsd0 numrxqueues 8 numtxqueues 8 type netdevsim-devmem
	try ip link add nsd1 link nsd0 numrxqueues 8 numtxqueues 8 type netdevsim-devmem
	host $RX nsd0 10.9.0.1
	host $TX nsd1 10.9.0.2
}

show() {
	cat <<-EOF
	Linux $(uname -r), modules netdev-devmem and netdevsim-devmem

	  sender   10.9.0.2  nsd1   ncdevmem send: plain connect() and send()
	     |
	  receiver 10.9.0.1  nsd0   ncdevmem listen: binds a dma-buf of 64 MiB to rx queues 0-3,
	                            attaches the connection, checks every byte in the dma-buf

	EOF
}

# One figure out of the listener's JSON
figure() { sed -n "s/.*\"$1\": \"\{0,1\}\([^,}\"]*\).*/\1/p" /tmp/listen.json; }

await_listener() {
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		ip netns exec $RX ss -Hltn "sport = :$PORT" | grep -q . && return
		kill -0 "$listener" 2>/dev/null || break
		sleep 0.1
	done
	give_up "the listener does not listen"
}

stream() {
	ip netns exec $RX ncdevmem listen --dev nsd0 --queues 0-3 \
		--verify pattern:1 --expect "$BYTES" --json 10.9.0.1 $PORT >/tmp/listen.json &
	listener=$!
	await_listener
	ip netns exec $TX ncdevmem send --bytes "$BYTES" --pattern:1 10.9.0.1 $PORT ||
		give_up "the sender failed"
	wait $listener || give_up "the listener failed"
}

verdict() {
	bytes=$(figure bytes_total)
	placed=$(figure bytes_placed)
	fallback=$(figure bytes_fallback)
	seconds=$(figure seconds)
	verified=no
	[ "$(figure verified)" = true ] && verified=yes

	echo
	awk -v b="$bytes" -v p="$placed" -v f="$fallback" -v s="$seconds" \
	    -v pieces="$(figure pieces)" -v tokens="$(figure tokens)" \
	    -v calls="$(figure recv_calls)" -v v=$verified 'BEGIN {
		printf "received            %12d bytes in %.2f s, %.0f MB/s\n", b, s, b / s / 1e6
		printf "placed by the NIC   %12d bytes in the dma-buf, %.3f %%\n", p, 100 * p / b
		printf "fell back           %12d bytes to host memory\n", f
		printf "described by        %12d pieces, %d tokens, %d calls of recvmsg()\n", pieces, tokens, calls
		printf "every byte checked  %12s\n", v }'
	echo
	echo "demo: bytes=$bytes placed=$placed fallback=$fallback verified=$verified seconds=$seconds"
	[ "$verified" = yes ] && [ "$bytes" -ge "$BYTES" ] && [ $((placed * 1000)) -ge $((bytes * 999)) ]
}

main
