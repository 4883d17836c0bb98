#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Channels by the tool itself: what is shown, what is refused and how it is said.
. ./lib.sh

cases="shown table_follows table_stays too_many rule_in_use context_in_use
	bound_in_use while_down uneven_queues by_default bad_links"

tool() { ip netns exec "$NS_A" ethtool "$@"; }

# The number of combined channels; with "max", how many there may be
combined() { # LINE
	tool -l nsd0 | awk '$1 == "Combined:" { print $2 }' | sed -n "${1:-2}p"
}

# The queues in the indirection table, in order, each once
table_queues() { # [context N]
	tool -x nsd0 "$@" | sed -n 's/^ *[0-9]*: //p' |
		tr -s ' ' '\n' | grep . | sort -nu | xargs
}

is() { # WANTED IS
	[ "$1" = "$2" ] || fail "'$2' instead of '$1'"
}

# Uniprocessor kernels show no rx queues
queues_shown() { # COUNT LINK KIND
	[ -e "/sys/class/net/lo/queues/$3-0" ] || return 0
	is "$1" "$(ip netns exec "$NS_A" sh -c "ls -d /sys/class/net/$2/queues/$3-*" | wc -l)"
}

shown() {
	nsd_pair 4
	is 4 "$(combined 1)"
	is 4 "$(combined)"
	tool -L nsd0 combined 3
	is 3 "$(combined)"
	is 4 "$(combined 1)"
	queues_shown 3 nsd0 rx
	queues_shown 3 nsd0 tx
	ip netns exec "$NS_B" ping -c 3 -i 0.1 -q 10.9.0.1
}

table_follows() {
	nsd_pair 4
	is "0 1 2 3" "$(table_queues)"
	tool -L nsd0 combined 2
	is "0 1" "$(table_queues)"
	tool -L nsd0 combined 3
	is "0 1 2" "$(table_queues)"
	tool -X nsd0 equal 2
	tool -X nsd0 default
	tool -L nsd0 combined 4
	is "0 1 2 3" "$(table_queues)"
}

table_stays() {
	nsd_pair 4
	tool -X nsd0 weight 1 0 1
	is "0 2" "$(table_queues)"
	refused "too low for existing indirection table (2)" tool -L nsd0 combined 2
	tool -L nsd0 combined 3
	is "0 2" "$(table_queues)"
	tool -L nsd0 combined 4
	is "0 2" "$(table_queues)"
	tool -L nsd0 combined 3
	refused "nvalid argument" tool -X nsd0 equal 4
	is "0 2" "$(table_queues)"
	tool -X nsd0 start 1 equal 2
	is "1 2" "$(table_queues)"
}

too_many() {
	nsd_pair 4
	refused "exceeds maximum" tool -L nsd0 combined 5
	refused "no RX or TX channel" tool -L nsd0 combined 0
	refused "exceeds maximum" tool -L nsd0 rx 1
	is 4 "$(combined)"
}

rule_in_use() {
	nsd_pair 4
	tool -N nsd0 flow-type tcp4 dst-port 80 action 3 loc 5
	refused "too low for existing ntuple filter" tool -L nsd0 combined 3
	tool -N nsd0 delete 5
	tool -L nsd0 combined 3
	# which ethtool says, but not by its exit status
	tool -N nsd0 flow-type tcp4 dst-port 80 action 3 2>&1 | grep "nvalid argument"
	tool -n nsd0 | grep "Total 0 rules"
}

context_in_use() {
	nsd_pair 4
	tool -X nsd0 context new start 2 equal 2
	is "2 3" "$(table_queues context 1)"
	refused "too low for existing indirection table (3)" tool -L nsd0 combined 3
	tool -X nsd0 context 1 equal 2
	tool -L nsd0 combined 3
	is "0 1" "$(table_queues context 1)"
}

bound_in_use() {
	nsd_pair 4
	ip netns exec "$NS_A" ncdevmem listen --dev nsd0 --queues 2 5201 >/dev/null &
	within 50 listening "$NS_A" 5201 || fail "nobody listens"
	refused "busy" tool -L nsd0 combined 2
	is 4 "$(combined)"
	tool -L nsd0 combined 3
	kill $!
	wait $! || :
	tool -L nsd0 combined 2
	refused "out of range" ip netns exec "$NS_A" ncdevmem listen --dev nsd0 --queues 2 5201
}

while_down() {
	nsd_pair 4
	ip -n "$NS_A" link set nsd0 down
	tool -L nsd0 combined 1
	ip -n "$NS_A" link set nsd0 up
	within 50 has_carrier "$NS_A" nsd0
	ip netns exec "$NS_B" ping -c 1 -w 30 -q 10.9.0.1
	ip -n "$NS_A" link set nsd0 down
	tool -L nsd0 combined 4
	ip -n "$NS_A" link set nsd0 up
	within 50 has_carrier "$NS_A" nsd0
	ip netns exec "$NS_B" ping -c 1 -w 30 -q 10.9.0.1
	is "0 1 2 3" "$(table_queues)"
}

# More queues of one kind than of the other
uneven_queues() {
	nsd_pair 4
	ip -n "$NS_A" link add nsd2 numrxqueues 6 numtxqueues 2 type netdevsim-devmem
	defer ip -n "$NS_A" link delete nsd2
	is "2 4 0" "$(tool -l nsd2 | awk '/^Current/ { now = 1 }
		now { v[$1] = $2 } END { print v["Combined:"], v["RX:"], v["TX:"] }' | sed 's#n/a#0#')"
	ip -n "$NS_A" link set nsd2 up
	tool -L nsd2 combined 1 rx 2
	queues_shown 3 nsd2 rx
	queues_shown 1 nsd2 tx
	tool -L nsd2 combined 2 rx 0
	queues_shown 2 nsd2 rx
	tool -L nsd2 rx 4
	queues_shown 6 nsd2 rx
}

# Without numbers there is room for 64, and some are in use; one number is for both.
by_default() {
	nsd_pair
	ip -n "$NS_A" link add nsd2 type netdevsim-devmem
	defer ip -n "$NS_A" link delete nsd2
	is 64 "$(tool -l nsd2 | sed -n 's/^Combined:[^0-9]*//p' | head -1)"
	queues_shown "$(nproc)" nsd2 rx
	queues_shown "$(nproc)" nsd2 tx
	ip -n "$NS_A" link set nsd2 up
	tool -L nsd2 combined 64
	queues_shown 64 nsd2 rx
	queues_shown 64 nsd2 tx
	tool -L nsd2 combined 1
	queues_shown 1 nsd2 tx
	ip -n "$NS_A" link delete nsd2
	ip -n "$NS_A" link add nsd2 numrxqueues 3 type netdevsim-devmem
	queues_shown 3 nsd2 rx
	queues_shown 3 nsd2 tx
}

# A link that cannot be says why, and is not there
bad_links() {
	nsd_pair 4
	link() { ip -n "$NS_A" link add nsd5 "$@"; }
	refused "65 queues, at most 64" link numrxqueues 65 type netdevsim-devmem
	refused "65 queues, at most 64" link numtxqueues 65 type netdevsim-devmem
	refused "link lo is not of kind netdevsim-devmem" link link lo type netdevsim-devmem
	refused "link nsd0 is paired with nsd1" link link nsd0 type netdevsim-devmem
	! ip -n "$NS_A" link show nsd5 || fail "nsd5 is there"
}

run_cases "$@"
