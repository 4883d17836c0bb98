#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The blocks of README.md, run as they stand, or named below with the reason why not.
. ./lib.sh

README=${README:-$PWD/README.md}
cases="all_blocks_are_known software_nics"

# What becomes of the block that begins with LINE: the case that runs it, or "-" and
# why none does.
fate() { # LINE
	case $1 in
	"make demo") echo "- starts a virtual machine, which has a mirror and a compiler only outside" ;;
	"Linux 6.12."*) echo "- what make demo prints" ;;
	"make "*"# modules and tools") echo "- needs a compiler, and installs" ;;
	"modprobe netdevsim-devmem") echo "software_nics" ;;
	*) return 1 ;;
	esac
}
KNOWN=4

# The blocks, in files 1, 2 and so on: what is indented by four, or fenced.
blocks() { # FOLDER
	awk -v folder="$1" '
	function begin() { if (!open) { open = 1; blank = ""; file = folder "/" ++n } }
	function end() { if (open) close(file); open = 0 }
	/^```/ { if (fenced) end(); else { end(); begin() }; fenced = !fenced; next }
	fenced { print > file; next }
	/^    / { begin(); printf "%s", blank > file; blank = ""; print substr($0, 5) > file; next }
	/^ *$/ { if (open) blank = blank "\n"; next }
	{ end() }' "$README"
}

block_of() { # CASE
	for _block in "$folder"/blocks/*; do
		[ "$(fate "$(head -n 1 "$_block")")" != "$1" ] || echo "$_block"
	done
}

cut_up() {
	[ -e "$README" ] || fail "no $README"
	folder=$(mktemp -d)
	defer rm -rf "$folder"
	mkdir "$folder/blocks"
	blocks "$folder/blocks"
}

all_blocks_are_known() {
	cut_up
	n=0
	for block in "$folder"/blocks/*; do
		line=$(head -n 1 "$block")
		what=$(fate "$line") ||
			fail "nothing runs the block '$line', and it is not said here why"
		echo "$line: $what"
		[ "${what%% *}" = - ] || command -v "$what" >/dev/null || fail "there is no case $what"
		n=$((n + 1))
	done
	[ $n = $KNOWN ] || fail "of $KNOWN blocks that are known here README.md has $n"
}

field() { awk -v name="$1" '$1 == name { print $2; exit }' "$folder/out"; }

# In network and mount namespaces of its own: the names are not ours.
software_nics() {
	modprobe netdevsim-devmem || skip "netdevsim-devmem is not installed"
	cut_up
	block=$(block_of software_nics)
	echo 'wait $!' | cat "$block" - > "$folder/run"
	sed 's/^/   /' "$folder/run"
	status=0
	unshare -n -m /bin/sh -e -c 'mkdir -p /run/netns; mount -t tmpfs none /run/netns; . "$0"' \
		"$folder/run" > "$folder/out" 2>&1 || status=$?
	cat "$folder/out"
	[ $status = 0 ] || fail "exit status $status"
	sent=$(field sent)
	[ "${sent:-0}" -gt 0 ] || fail "nothing was sent"
	[ "$(field received)" = "$sent" ] || fail "not all that was sent was received"
	# not what comes before the connection is attached: up to a receive window
	[ $(($(field placed) * 10)) -ge $((sent * 9)) ] || fail "not even 90 % were placed"
	[ "$(field verified)" = yes ] || fail "it was not verified"
}

run_cases "$@"
