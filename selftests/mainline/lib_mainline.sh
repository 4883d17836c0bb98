# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
#
# For tests that are the kernel's own: the local NIC nsd0 here, its link partner
# nsd1 in the network namespace "peer", as README.rst of drivers/net wants it.

TESTS=/src/tools/testing/selftests
export NETIF=nsd0 LOCAL_V4=192.0.2.1 REMOTE_V4=192.0.2.2
export LOCAL_V6=2001:db8::1 REMOTE_V6=2001:db8::2
export REMOTE_TYPE=netns REMOTE_ARGS=peer
export PYTHONDONTWRITEBYTECODE=1

tear_down() {
	ip link delete nsd0 2>/dev/null
	ip link delete nsd1 2>/dev/null
	ip netns delete peer 2>/dev/null
}

set_up() { # QUEUES
	trap tear_down EXIT
	trap 'exit 1' TERM INT
	set -e
	ip netns add peer
	ip link add nsd0 numrxqueues "$1" numtxqueues "$1" type netdevsim-devmem
	ip link add nsd1 link nsd0 numrxqueues "$1" numtxqueues "$1" type netdevsim-devmem
	ip link set nsd1 netns peer
	ip -n peer link set lo up
	ip addr add $LOCAL_V4/24 dev nsd0
	ip addr add $LOCAL_V6/64 dev nsd0 nodad
	ip -n peer addr add $REMOTE_V4/24 dev nsd1
	ip -n peer addr add $REMOTE_V6/64 dev nsd1 nodad
	# the address of a link that goes down is still there when it comes up
	echo 1 > /proc/sys/net/ipv6/conf/nsd0/keep_addr_on_down
	ip link set nsd0 up
	ip -n peer link set nsd1 up
	ethtool -G nsd0 tcp-data-split on
	set +e
}

# Exits with its status. What this kernel's source does not have is skipped. Cases
# that want what is not here are left out, and named, where the source's library can
# do that.
run_python() { # FOLDER FILE [REASON CASE...]
	if [ ! -e "$TESTS/$1/$2" ]; then
		echo "1..1"
		echo "ok 1 $2 # SKIP not in this kernel's source"
		exit 4
	fi
	cd "$TESTS/$1" || exit 1
	file=$2
	if [ $# -gt 3 ] && grep -q 'hlt:T:' "$TESTS/net/lib/py/ksft.py"; then
		reason=$3
		shift 3
		echo "# left out: $*: $reason"
		for name; do
			set -- "$@" -T "$name"
			shift
		done
	else
		set --
	fi
	python3 "./$file" "$@"
	status=$?
	exit $status
}
