# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
#
# For self-tests written in shell. A file says what its cases are and defines a
# function for each:
#
#	. ./lib.sh
#	cases="deleted_link moved_link"
#	deleted_link() {
#		nsd_pair
#		ip -n "$NS_A" link delete nsd0
#	}
#	...
#	run_cases "$@"
#
# A case runs in a shell of its own under "set -e": it fails with the first
# command that does, or by "fail REASON"; "skip REASON" ends it, too. What it
# prints becomes diagnostics. "defer COMMAND" runs when the case ends, last
# first: write it right after the change that it undoes.

KTAP_SKIP=4
NS_A=devmem-a
NS_B=devmem-b

fail() { echo "failed: $*"; exit 1; }
skip() { echo "skipped: $*"; exit $KTAP_SKIP; }

DEFERRED=
defer() {
	DEFERRED="$*
$DEFERRED"
}

run_deferred() {
	status=$?
	set +e
	eval "$DEFERRED"
	exit $status
}

# 0 as soon as COMMAND succeeds, 1 when it has not within TENTHS of a second
within() { # TENTHS COMMAND... (SLOW times as long)
	_tenths=$(($1 * ${SLOW:-1}))
	shift
	until "$@" >/dev/null 2>&1; do
		_tenths=$((_tenths - 1))
		[ $_tenths -gt 0 ] || return 1
		sleep 0.1
	done
}

# The command must fail, and say PATTERN
refused() { # PATTERN COMMAND...
	_pattern=$1
	shift
	if _said=$("$@" 2>&1); then
		fail "'$*' succeeded"
	fi
	echo "$_said" | grep -q -e "$_pattern" || fail "'$*' said: $_said (no '$_pattern')"
}

# Two namespaces, nsd0 in $NS_A and nsd1 in $NS_B, paired, addressed and up:
# 10.9.0.1 and 10.9.0.2, fd09::1 and fd09::2.
nsd_pair() { # [QUEUES]
	_queues=${1:-4}
	ip netns add $NS_A
	defer ip netns delete $NS_A
	ip netns add $NS_B
	defer ip netns delete $NS_B
	ip link add nsd0 numrxqueues "$_queues" numtxqueues "$_queues" type netdevsim-devmem
	defer "ip link delete nsd0 2>/dev/null"
	ip link add nsd1 link nsd0 numrxqueues "$_queues" numtxqueues "$_queues" type netdevsim-devmem
	defer "ip link delete nsd1 2>/dev/null"
	nsd_up $NS_A nsd0 1
	nsd_up $NS_B nsd1 2
	within 50 has_carrier $NS_A nsd0
	within 50 has_carrier $NS_B nsd1
}

nsd_up() { # NETNS LINK HOST
	ip link set "$2" netns "$1"
	ip -n "$1" link set lo up
	ip -n "$1" addr add "10.9.0.$3/24" dev "$2"
	ip -n "$1" addr add "fd09::$3/64" dev "$2" nodad
	ip -n "$1" link set "$2" up
}

has_carrier() { ip -n "$1" link show "$2" | grep -q LOWER_UP; }

# One of the counters that "ethtool -S" shows
nic_counter() { # NETNS LINK NAME
	ip netns exec "$1" ethtool -S "$2" | awk -v name="$3:" '$1 == name { print $2 }'
}

# Is anybody listening on the TCP port?
listening() { # NETNS PORT
	ip netns exec "$1" ss -Hltn "sport = :$2" | grep -q .
}

run_cases() { # [CASE]
	[ -z "${1:-$KTAP_CASE}" ] || cases=${1:-$KTAP_CASE}
	_status=$(mktemp)
	echo "KTAP version 1"
	echo "1..$(echo "$cases" | wc -w)"
	_n=0 _failed=0
	for _case in $cases; do
		_n=$((_n + 1))
		{
			(
				trap run_deferred EXIT
				set -e
				"$_case"
			) 2>&1
			echo $? > "$_status"
		} | sed 's/^/# /'
		_name=$(echo "$_case" | tr _ ' ')
		case $(cat "$_status") in
		0)	echo "ok $_n - $_name" ;;
		"$KTAP_SKIP") echo "ok $_n - $_name # SKIP" ;;
		*)	echo "not ok $_n - $_name"; _failed=1 ;;
		esac
	done
	rm -f "$_status"
	exit $_failed
}
