#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Shared by the scripts: where things are, and how they complain.

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=$TOP/build

# What guests read, they read as nobody.
umask a+rx

say() { echo "${0##*/}: $*" >&2; }
die() { say "$*"; exit 1; }

# Run a command silently; show what it said only if it fails, or with V=1.
quietly() {
	local out rc=0

	if [ -n "${V:-}" ]; then
		"$@" >&2
		return
	fi
	out=$("$@" 2>&1) || rc=$?
	[ "$rc" = 0 ] || printf '%s\n' "$out" | tail -n 30 >&2
	return "$rc"
}

# One writer at a time under build/, over all scripts and terminals.
lock_build() {
	[ -z "${DEVMEM_LOCKED:-}" ] || return 0
	mkdir -p "$BUILD"
	exec 9>"$BUILD/.lock"
	flock 9
	export DEVMEM_LOCKED=1
}

# Fetch the package of a kernel's source and unpack of it what tar is told into DIR,
# which is made anew. APT_SUITE is apt-private's.
unpack_kernel_source() { # PACKAGE DIR TAR-ARGUMENT...
	local package=$1 dir=$2

	shift 2
	rm -rf "$dir"
	mkdir -p "$dir/deb"
	say "fetching $package"
	(cd "$dir/deb" && quietly "$TOP/scripts/apt-private" get -q download "$package") ||
		die "no package $package: see build/apt${APT_SUITE:+-$APT_SUITE}/update.log"
	say "unpacking it"
	dpkg-deb --fsys-tarfile "$dir"/deb/*.deb | tar -xO "./usr/src/$package.tar.xz" |
		xz -dc -T0 | tar -x -C "$dir" --strip-components=1 "$@" ||
		die "$package does not hold what it should: $*"
	rm -rf "$dir/deb"
}
