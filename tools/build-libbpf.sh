#!/usr/bin/env bash
# Builds the shared library libbpf from the Linux source that Debian packages.
#
#   build-libbpf.sh [DIRECTORY]          default: ${XDG_CACHE_HOME:-~/.cache}/policyc/lib
#   build-libbpf.sh --find [DIRECTORY]   print which library is to be used; status 1: none yet
#
# policyc loads programs through libbpf 1.4 or newer; where DIRECTORY or the system has that,
# nothing is done. LINUX_SOURCE names an archive linux-source-*.tar.xz to use instead of
# downloading one, FORCE=1 builds in any case. Exit status 3: something is missing.
set -euo pipefail

oldest=1.4
package=linux-source-6.12
only_find=
if [ "${1-}" = --find ]; then
	only_find=yes
	shift
fi
directory=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/policyc/lib}

give_up() {
	echo "build-libbpf: $1" >&2
	exit 3
}

# new_enough LIBRARY: whether the file behind libbpf.so.1 is of that version
new_enough() {
	local file version
	file=$(basename "$(readlink -f "$1")")
	version=${file#libbpf.so.}
	[ "$version" != "$file" ] &&
		[ "$(printf '%s\n' $oldest "$version" | sort -V | head -n 1)" = $oldest ]
}

# The library to use, in DIRECTORY or else the system's; nothing if both are too old.
find_libbpf() {
	local candidate
	for candidate in "$directory/libbpf.so.1" \
		"$( (PATH=$PATH:/sbin:/usr/sbin ldconfig -p) 2>/dev/null |
			sed -n 's/^\tlibbpf\.so\.1 (.*=> //p' | head -n 1)"; do
		if [ -e "$candidate" ] && new_enough "$candidate"; then
			echo "$candidate"
			return
		fi
	done
}

found=$(find_libbpf)
if [ -n "$only_find" ]; then
	echo "$found"
	[ -n "$found" ]
	exit
fi
if [ -n "$found" ] && [ -z "${FORCE-}" ]; then
	echo "$found is new enough."
	exit 0
fi

missing=()
need() {	# COMMAND-OR-FILE PACKAGE
	command -v "$1" >/dev/null || [ -e "$1" ] || missing+=("$2")
}
need gcc gcc
need make make
need xz xz-utils
need pkg-config pkg-config
need /usr/include/libelf.h libelf-dev
need /usr/include/zlib.h zlib1g-dev
if [ ${#missing[@]} != 0 ]; then
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		give_up "missing packages; as root: apt-get install ${missing[*]}"
	fi
	echo "Installing ${missing[*]} ..."
	apt-get update -qq >/dev/null 2>&1 || true
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
		"${missing[@]}" >/dev/null || give_up "apt-get could not install ${missing[*]}"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
archive=${LINUX_SOURCE-}
if [ -z "$archive" ]; then
	command -v apt-get >/dev/null ||
		give_up "without apt-get, install libbpf $oldest or newer from your distribution"
	[ "$(id -u)" != 0 ] || apt-get update -qq >/dev/null 2>&1 || true
	echo "Downloading $package ..."
	(cd "$work" && apt-get -qq -o APT::Sandbox::User="$(id -un)" download $package) ||
		give_up "apt-get could not download $package"
	dpkg -x "$work"/$package*.deb "$work/unpacked"
	archive=$work/unpacked/usr/src/$package.tar.xz
fi
echo "Building libbpf from $(basename "$archive") ..."
top=$(basename "$archive" .tar.xz)
tar -C "$work" -xf "$archive" "$top"/{Makefile,tools,scripts,include/uapi}
make -s -C "$work/$top/tools/lib/bpf" -j"$(nproc)" prefix=/usr \
	DESTDIR="$work/installed" libdir=/usr/lib install install_headers >"$work/log" 2>&1 || {
	tail -n 20 "$work/log" >&2
	give_up "libbpf did not build"
}
mkdir -p "$directory/include"
cp -dr "$work/installed/usr/include/bpf" "$directory/include"
cp -d "$work"/installed/usr/lib/libbpf.so* "$directory"
strip --strip-unneeded "$directory"/libbpf.so.1
echo "$(readlink -f "$directory/libbpf.so.1") is ready."
