#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# VLANs: the tag is put in and taken out by the NICs or by the stacks, in each
# combination, and the stream is right.
. ./lib.sh

cases="all_combinations hardware_gro priority_and_untagged"

vlans() {
	modprobe 8021q || skip "no module 8021q"
	files=$(mktemp -d)
	defer rm -rf "$files"
	nsd_pair 4
	for side in "$NS_A nsd0 1" "$NS_B nsd1 2"; do
		set -- $side
		ip -n "$1" link add link "$2" name "$2.7" type vlan id 7
		ip -n "$1" addr add "10.7.0.$3/24" dev "$2.7"
		ip -n "$1" addr add "fd07::$3/64" dev "$2.7" nodad
		ip -n "$1" link set "$2.7" up
	done
}

send_and_compare() { # ADDRESS
	# it ends when the sender does, not when there is nothing to read here
	[ -p "$files/hold" ] || mkfifo "$files/hold"
	ip netns exec $NS_A busybox nc -l -p 7777 <>"$files/hold" >"$files/got" &
	receiver=$!
	within 50 listening $NS_A 7777 || fail "nobody listens"
	# in large writes: those of nc are 1 KiB, and where each is acknowledged
	# before the next there is never enough for a super-packet
	ip netns exec $NS_B ncdevmem send --input "$files/data" "$1" 7777
	wait $receiver
	cmp "$files/data" "$files/got" || fail "the stream is not what was sent"
}

counter() { nic_counter $NS_A nsd0 "$1"; }

all_combinations() {
	vlans
	head -c 2000000 /dev/urandom >"$files/data"
	for tx in on off; do
		for rx in on off; do
			ip netns exec $NS_B ethtool -K nsd1 tx-vlan-hw-insert $tx
			ip netns exec $NS_A ethtool -K nsd0 rx-vlan-hw-parse $rx
			echo "insertion by the NIC $tx, parsing by the NIC $rx"
			before=$(counter rx_gro_packets)
			send_and_compare 10.7.0.1
			send_and_compare fd07::1
			[ "$(counter rx_gro_packets)" -gt "$before" ] || fail "no super-packet came"
			[ "$(counter rx_csum_errors)" = 0 ] || fail "wrong checksums"
			ip netns exec $NS_B busybox ping -c 1 -W 10 -s 1472 10.7.0.1
		done
	done
}

hardware_gro() {
	vlans
	head -c 1000000 /dev/urandom >"$files/data"
	ip netns exec $NS_A ethtool -C nsd0 rx-usecs 1000
	for gro in on off; do
		for tso in on off; do
			ip netns exec $NS_B ethtool -K nsd1 tso $tso gso $tso
			ip netns exec $NS_A ethtool -K nsd0 rx-gro-hw $gro
			echo "hardware GRO $gro, TSO $tso"
			before=$(counter rx_gro_packets)
			send_and_compare 10.7.0.1
			send_and_compare fd07::1
			merged=$(($(counter rx_gro_packets) - before))
			if [ $gro = on ]; then
				[ $merged -gt 0 ] || fail "nothing became one"
			else
				[ $merged = 0 ] || fail "$merged packets were put together"
			fi
			[ "$(counter rx_csum_errors)" = 0 ] || fail "wrong checksums"
		done
	done
}

priority_and_untagged() {
	vlans
	ip -n $NS_B link set nsd1.7 type vlan egress 0:5
	ip netns exec $NS_B busybox ping -c 1 -W 10 10.7.0.1
	ip netns exec $NS_B busybox ping -c 1 -W 10 10.9.0.1
	ip -n $NS_A link delete nsd0.7
	refused "100% packet loss" ip netns exec $NS_B busybox ping -c 1 -W 1 10.7.0.1
	ip netns exec $NS_B busybox ping -c 1 -W 10 10.9.0.1
}

run_cases "$@"
