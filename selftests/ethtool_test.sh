#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What the tool shows of the device and its settings, what it refuses, and how
# that is said. Channels have a file of their own.
. ./lib.sh

cases="info link rings coalescing coalescing_delays not_there rules rss_default
	rss_weight contexts gone_with_link"

tool() { ip netns exec "$NS_A" ethtool "$@"; }

has() { # PATTERN COMMAND...
	_pattern=$1
	shift
	_said=$("$@" 2>&1) || fail "'$*': $_said"
	echo "$_said" | grep -q -e "$_pattern" || fail "'$*' said: $_said (no '$_pattern')"
}

info() {
	nsd_pair
	has "^driver: netdevsim-devmem$" tool -i nsd0
	has "^bus-info: netdevsim-devmem\.[0-9]" tool -i nsd0
	has "^supports-statistics: yes$" tool -i nsd0
	has "software-transmit" tool -T nsd0
	has "software-receive" tool -T nsd0
	has "ntuple-filters: on$" tool -k nsd0
	has "receive-hashing: on$" tool -k nsd0
	_mac=$(mac "$NS_A" nsd0)
	ip -n "$NS_A" link set nsd0 address 02:00:00:00:00:01
	has "Permanent address: $_mac$" tool -P nsd0
}

link() {
	nsd_pair
	has "Speed: 100000Mb/s" tool nsd0
	has "Duplex: Full" tool nsd0
	has "Supported link modes: *100000baseCR4/Full" tool nsd0
	has "Auto-negotiation: off" tool nsd0
	has "Link detected: yes" tool nsd0
	ip -n "$NS_B" link set nsd1 down
	has "Link detected: no" tool nsd0
	has "Speed: Unknown" tool nsd0
	refused "not supported" tool -s nsd0 speed 10000
}

ring() { # WHAT COLUMN
	tool -g nsd0 | awk -v what="$1:" '$1 == what { print $2 }' | sed -n "$2p"
}

rings() {
	nsd_pair
	[ "$(ring RX 1) $(ring RX 2) $(ring TX 1) $(ring TX 2)" = "4096 1024 4096 1024" ]
	tool -G nsd0 rx 64 tx 4096
	[ "$(ring RX 2) $(ring TX 2)" = "64 4096" ]
	refused "is no power of two from 64 to 4096" tool -G nsd0 rx 32
	refused "is no power of two from 64 to 4096" tool -G nsd0 tx 1000
	refused "exceeds maximum" tool -G nsd0 rx 8192
	refused "exceeds maximum" tool -G nsd0 rx-mini 1
	[ "$(ring RX 2) $(ring TX 2)" = "64 4096" ]
}

coalescing() {
	nsd_pair
	has "^rx-usecs:.0" tool -c nsd0
	tool -C nsd0 rx-usecs 50 rx-frames 32
	has "^rx-usecs:.50" tool -c nsd0
	has "^rx-frames:.32" tool -c nsd0
	has "^Adaptive RX: n/a" tool -c nsd0
	refused "at most 10000" tool -C nsd0 rx-usecs 10001
	refused "at most 4096" tool -C nsd0 rx-frames 5000
	refused "unsupported parameter" tool -C nsd0 tx-usecs 10
	refused "unsupported parameter" tool -C nsd0 adaptive-rx on
	has "^rx-usecs:.50" tool -c nsd0
}

# No packets but those of the test: what is delayed takes along what comes behind it
nobody_else() {
	for _ns in "$NS_A" "$NS_B"; do
		ip netns exec "$_ns" sysctl -qw net.ipv6.conf.all.disable_ipv6=1
	done
	ip -n "$NS_A" neigh replace 10.9.0.2 lladdr "$(mac "$NS_B" nsd1)" dev nsd0 nud permanent
	ip -n "$NS_B" neigh replace 10.9.0.1 lladdr "$(mac "$NS_A" nsd0)" dev nsd1 nud permanent
}

mac() { # NETNS LINK
	ip -n "$1" -o link show "$2" | sed 's/.*ether //;s/ .*//'
}

# The shortest of some round trips, one after the other, in microseconds
round_trip() {
	for _ in 1 2 3 4 5 6 7 8; do
		ip netns exec "$NS_B" ping -c 1 -q 10.9.0.1
	done | sed -n 's#.*= *\([0-9]*\)\.\([0-9]*\)/.*#\1\2#p' | sed 's/^0*\(.\)/\1/' |
		sort -n | head -n 1
}

# Half of the delay is allowed for: the machine may be slow, but not always more so
quick() { [ "$(round_trip)" -lt $((delayed - 10000)) ]; }

# On the way there and on the way back: the longest delay there is
both() {
	tool -C nsd0 "$@"
	ip netns exec "$NS_B" ethtool -C nsd1 "$@"
}

coalescing_delays() {
	nsd_pair
	nobody_else
	both rx-usecs 10000
	delayed=$(round_trip)
	[ "$delayed" -ge 20000 ] || fail "no delay by rx-usecs"
	both rx-frames 1
	within 100 quick || fail "rx-frames does not end the delay"
	both rx-frames 0 rx-usecs 0
	within 100 quick || fail "slow without coalescing"
}

not_there() {
	nsd_pair
	refused "not supported" tool -a nsd0
	refused "not supported" tool -A nsd0 rx on
	refused "not supported" tool -m nsd0
	refused "not supported" tool -d nsd0
}

rules() {
	nsd_pair
	has "Total 0 rules" tool -n nsd0
	has "Added rule with ID 0" tool -N nsd0 flow-type tcp4 dst-port 80 action 2
	tool -N nsd0 flow-type udp6 src-ip fd09::2 action -1 loc 7
	has "Added rule with ID 1" tool -N nsd0 flow-type ip4 src-ip 10.0.0.0 m 0.255.255.255 action 1
	has "Total 3 rules" tool -n nsd0
	has "Rule Type: TCP over IPv4" tool -n nsd0 rule 0
	has "Action: Direct to queue 2" tool -n nsd0 rule 0
	has "Action: Drop" tool -n nsd0 rule 7
	has "Src IP addr: 10.0.0.0 mask: 0.255.255.255" tool -n nsd0 rule 1
	tool -N nsd0 delete 0
	has "Total 2 rules" tool -n nsd0
	has "Cannot delete" sh -c "! ip netns exec $NS_A ethtool -N nsd0 delete 0 2>&1"
	tool -K nsd0 ntuple off
	has "Total 0 rules" tool -n nsd0
}

# How often each queue is in the table
shares() { # QUEUE [context N]
	_queue=$1
	shift
	tool -x nsd0 "$@" | sed -n 's/^ *[0-9]*: //p' | tr -s ' ' '\n' | grep -cx "$_queue" || :
}

rss_default() {
	nsd_pair
	tool -X nsd0 hkey "$(printf '%02x:' $(seq 1 39))28"
	has "^01:02:03:04:05:06:07" tool -x nsd0
	has "toeplitz: on" tool -x nsd0
	tool -X nsd0 equal 2
	[ "$(shares 0) $(shares 1) $(shares 2)" = "64 64 0" ]
	tool -X nsd0 default
	[ "$(shares 0) $(shares 1) $(shares 2) $(shares 3)" = "32 32 32 32" ]
	has "^01:02:03:04:05:06:07" tool -x nsd0
	refused "." tool -X nsd0 hkey 01:02
	refused "not supported" tool -X nsd0 hfunc xor
	refused "nvalid" tool -X nsd0 equal 5
	has "4-tuple\|L4 bytes 0 & 1" tool -n nsd0 rx-flow-hash tcp4
	tool -N nsd0 rx-flow-hash tcp4 sd
	has "IP SA" tool -n nsd0 rx-flow-hash tcp4
	! tool -n nsd0 rx-flow-hash tcp4 | grep "L4 bytes"
}

rss_weight() {
	nsd_pair
	tool -X nsd0 weight 1 7
	[ "$(shares 0) $(shares 1)" = "16 112" ]
	tool -X nsd0 weight 1 0 0 1
	[ "$(shares 0) $(shares 1) $(shares 2) $(shares 3)" = "64 0 0 64" ]
	refused "nvalid" tool -X nsd0 weight 1 1 1 1 1
}

contexts() {
	nsd_pair
	has "New RSS context is 1" tool -X nsd0 context new
	[ "$(shares 3 context 1)" = 32 ]
	has "New RSS context is 2" tool -X nsd0 context new start 2 equal 2
	[ "$(shares 2 context 2) $(shares 3 context 2)" = "64 64" ]
	has "Added rule with ID 0" tool -N nsd0 flow-type tcp4 dst-port 80 context 2
	has "RSS Context ID: 2" tool -n nsd0 rule 0
	refused "busy" tool -X nsd0 context 2 delete
	tool -X nsd0 context 1 delete
	tool -N nsd0 delete 0
	tool -X nsd0 context 2 delete
	refused "." tool -x nsd0 context 2
}

# Rules and contexts need not be removed first
gone_with_link() {
	nsd_pair
	tool -X nsd0 context new equal 2
	tool -X nsd0 context new
	tool -N nsd0 flow-type tcp4 dst-port 80 context 1
	tool -N nsd0 flow-type tcp6 dst-port 80 action 1
	tool -K nsd0 ntuple off
	tool -X nsd0 context 1 delete
	tool -K nsd0 ntuple on
	tool -N nsd0 flow-type tcp4 dst-port 80 context 2
	ip netns exec "$NS_B" ping -A -c 200 -q 10.9.0.1 &
	ip -n "$NS_A" link delete nsd0
	kill $! 2>/dev/null || :
	wait
}

run_cases "$@"
