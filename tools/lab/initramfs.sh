#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# initramfs.sh MODULES: prints the path of the lab's initramfs for the kernel
# whose lib/modules/RELEASE is MODULES ('' for a kernel with all built in).
#
# It is made of busybox, guest-init, the agent (compiled here) and the modules
# that the guest's root needs, and kept in the cache under a hash of all that
# goes into it: a change of any part makes a new one.

set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/iovab/initramfs
PATH=$PATH:/usr/sbin:/sbin
modules=${1-}
wanted='virtio_pci 9pnet_virtio 9p virtio_console overlay'

die() {
	echo "lab: $*" >&2
	exit 1
}

need() {
	command -v "$1" > /dev/null ||
		die "$1 is missing: install it (Debian: apt-get install $2)"
}

# Prints the files of the wanted modules and of all they need, in the order to
# load them.  What is not there may be built in: guest-init finds out.
module_files() {
	local name
	[ -n "$modules" ] || return 0
	for name in $wanted; do
		modprobe -d "${modules%/lib/modules/*}" -S "${modules##*/}" -C /dev/null \
			--show-depends "$name" 2> /dev/null || true
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}

content_hash() {
	{
		echo "$modules"
		cat "$here/initramfs.sh" "$here/guest-init" "$here/agent.c" "$busybox"
		[ -z "$modules" ] || stat -c '%n %s %Y' "$modules/modules.dep"
	} | sha256sum | cut -c 1-24
}

module_copy() {
	local from=$1 to=$2
	case $from in
	*.ko) cp "$from" "$to" ;;
	*.ko.xz) xz -dc "$from" > "$to" ;;
	*.ko.zst) zstd -qdc "$from" > "$to" ;;
	*.ko.gz) gzip -dc "$from" > "$to" ;;
	esac
}

tree_fill() {
	local root=$1 file nr=100
	mkdir -p "$root/bin" "$root/modules"
	cp "$busybox" "$root/bin/busybox"
	for file in sh mount umount mkdir ln insmod uname ip hostname cp poweroff switch_root; do
		ln -s busybox "$root/bin/$file"
	done
	cp "$here/guest-init" "$root/init"
	chmod 755 "$root/init"
	${CC:-cc} -O2 -Wall -Wextra -o "$root/agent" "$here/agent.c" || return 1
	[ -z "$modules" ] || echo "$modules" > "$root/modules.path"
	while read -r file; do
		module_copy "$file" "$root/modules/$((nr++))-${file##*/}" || return 1
	done < <(module_files)
	# busybox insmod does not look at the end of a name: all are called .ko
	for file in "$root"/modules/*.ko.*; do
		[ ! -e "$file" ] || mv "$file" "${file%.ko.*}.ko"
	done
}

main() {
	local target
	need busybox busybox-static
	need cpio cpio
	need modprobe kmod
	need "${CC:-cc}" gcc
	busybox=$(command -v busybox)
	target=$cache/$(content_hash).cpio
	if [ ! -e "$target" ]; then
		mkdir -p "$cache"
		work=$(mktemp -d "$cache/work.XXXXXX")
		trap 'rm -rf "$work"' EXIT
		tree_fill "$work/root" || die "cannot build the initramfs: see the lines above"
		(cd "$work/root" && find . | cpio --quiet -o -H newc) > "$work/cpio"
		mv "$work/cpio" "$target"
	fi
	echo "$target"
}

main
