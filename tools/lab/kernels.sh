#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Resolves the lab's kernels: from a role, or a path, to files on this machine.
#
#	kernels.sh image KERNEL		prints NAME=value lines:
#		image=	the file for QEMU's -kernel
#		modules=	its lib/modules/RELEASE, empty when there is none
#	kernels.sh headers KERNEL	prints the folder to hand to kbuild
#	kernels.sh source ROLE		prints the linux-source package, a file (stock, lts, newest)
#
# A role's kernel comes from a Debian package that is downloaded, never
# installed, and unpacked, or built (roles-built.sh), into a cache:
#
#	$XDG_CACHE_HOME/iovab/ROLE/current		the version in use
#	$XDG_CACHE_HOME/iovab/ROLE/VERSION/kernel	bzImage, vmlinux, config, lib/modules
#	$XDG_CACHE_HOME/iovab/ROLE/VERSION/headers	usr/src, usr/lib
#
# A folder appears there by rename, whole or not at all, under a role's lock:
# several labs may start at once.  apt is asked only when nothing is cached or
# when its lists are newer than `current`; with a warm cache no network is needed.
#
# To add a role: a function role_NAME__version that prints the package version
# to use, and role_NAME__kernel and role_NAME__headers that fill a folder; without
# the latter the headers are in the kernel's folder, as build/.  If there is
# role_NAME__is_current VERSION, it says whether a version in the cache will do.

set -euo pipefail

cache=${XDG_CACHE_HOME:-$HOME/.cache}/iovab
here=$(cd "$(dirname "$0")" && pwd)
PATH=$PATH:/usr/sbin:/sbin

die() {
	echo "lab: $*" >&2
	exit 1
}

say() {
	echo "lab: $*" >&2
}

need() {
	command -v "$1" > /dev/null ||
		die "$1 is missing: install it (Debian: apt-get install $2)"
}

# debs_unpack FOLDER PACKAGE=VERSION...: downloads, and unpacks all into FOLDER.
debs_unpack() {
	local into=$1 debs deb
	shift
	need apt-get apt
	need dpkg-deb dpkg
	debs=$(mktemp -d "$cache/debs.XXXXXX")
	say "downloading $*"
	# Without a sandbox user apt need not be able to write as _apt here.
	if ! (cd "$debs" && apt-get -q -o APT::Sandbox::User=root download "$@" >&2); then
		rm -rf "$debs"
		return 1
	fi
	mkdir -p "$into"
	for deb in "$debs"/*.deb; do
		dpkg-deb -x "$deb" "$into"
	done
	rm -rf "$debs"
}

# cached ROLE VERSION PART: prints the folder, and fills it when it is missing.
cached() {
	local role=$1 version=$2 part=$3
	local folder=$cache/$role/$version/$part unfinished
	[ -d "$folder" ] || (
		flock 9
		[ ! -d "$folder" ] || exit 0
		mkdir -p "${folder%/*}"
		unfinished=$(mktemp -d "$cache/$role/$version/$part.XXXXXX")
		# may run while a role's function has locals of its own
		trap 'rm -rf "$unfinished"; rmdir --ignore-fail-on-non-empty "${unfinished%/*}"' EXIT
		"role_${role}__$part" "$version" "$unfinished" ||
			die "cannot make $part of kernel '$role' $version: see the lines above (no network? old apt lists? try apt-get update)"
		chmod 755 "$unfinished"
		mv -T "$unfinished" "$folder"
	) 9> "$cache/lock-$role" || exit 1
	echo "$folder"
}

# Says whether apt has learnt something since FILE was written.
apt_lists_newer() {
	command -v apt-cache > /dev/null && [ /var/lib/apt/lists -nt "$1" ]
}

# Says whether VERSION, from the cache, will do without asking apt.
is_current() {
	local role=$1 version=$2
	! apt_lists_newer "$cache/$role/current" || return 1
	! declare -F "role_${role}__is_current" > /dev/null ||
		"role_${role}__is_current" "$version"
}

# version ROLE PART: the version to use.  A newer one that cannot be had now is
# no reason to fail while an older one is in the cache.
version() {
	local role=$1 part=$2 current=$cache/$1/current old='' new
	[ ! -e "$current" ] || read -r old < "$current"
	if [ -n "$old" ] && is_current "$role" "$old"; then
		echo "$old"
		return
	fi
	new=$("role_${role}__version") || new=
	[ -n "$new" ] || new=$old
	[ -n "$new" ] ||
		die "apt does not know kernel '$role' (apt-get update?); or name a bzImage: KERNEL=/path/to/bzImage"
	if [ -n "$old" ] && [ "$new" != "$old" ] && ! (cached "$role" "$new" "$part" > /dev/null); then
		say "keeping $old of kernel '$role'"
		new=$old
	fi
	mkdir -p "$cache/$role"
	echo "$new" > "$current.$$"
	mv "$current.$$" "$current"
	echo "$new"
}

# --- stock: what linux-image-amd64 of Debian 12 installs, 6.1 ---------------

# Prints "VERSION IMAGE-PACKAGE" of the newest linux-image-amd64 for 6.1.
stock_candidate() {
	apt-cache show linux-image-amd64 2> /dev/null | awk '
		/^Version:/ { version = $2 }
		/^Depends:/ && match($0, /linux-image-6\.1\.[^ ,]+/) {
			print version, substr($0, RSTART, RLENGTH)
		}' | sort -V | tail -n 1
}

# The ABI is part of the package's name, so it is part of the version here.
role_stock__version() {
	local version package
	need apt-cache apt >&2
	read -r version package < <(stock_candidate) || return 1
	echo "${package#linux-image-}_$version"
}

# Leaves out drivers of hardware that no lab has: 390 MB become 100.
modules_prune() {
	local keep='base|block|char|dma|dma-buf|iommu|md|net|nvdimm|nvme|pci|ptp|uio|vdpa|vfio|vhost|virt|virtio'
	local kernel=$1/kernel folder
	rm -rf "$kernel/sound" "$kernel"/drivers/net/{ethernet,wireless,usb,can}
	for folder in "$kernel"/drivers/*/; do
		folder=${folder%/}
		[[ ${folder##*/} =~ ^($keep)$ ]] || rm -rf "$folder"
	done
}

# vmlinux_extract BZIMAGE: prints the kernel out of it, when that is in xz or zstd.
# Its size follows what is compressed, in 4 bytes.
vmlinux_extract() {
	local sectors offset bytes unpack=(xz -dc --single-stream)
	sectors=$(od -An -tu1 -j 497 -N 1 "$1" | tr -d ' ')
	offset=$(od -An -tu4 -j 584 -N 4 "$1" | tr -d ' ')
	bytes=$(od -An -tu4 -j 588 -N 4 "$1" | tr -d ' ')
	offset=$(((sectors + 1) * 512 + offset))
	[ "$(od -An -tx4 -j $offset -N 4 "$1" | tr -d ' ')" != fd2fb528 ] || unpack=(zstd -dc)
	command -v "${unpack[0]}" > /dev/null || return 1
	dd if="$1" bs=1M iflag=skip_bytes,count_bytes status=none \
		skip=$offset count=$((bytes - 4)) | "${unpack[@]}"
}

# Without an accelerator a guest takes 3 s to unpack itself.  QEMU starts a
# kernel with PVH from its ELF file, which is unpacked here, once.
vmlinux_make() {
	local folder=$1
	grep -q '^CONFIG_PVH=y' "$folder/config" || return 0
	if ! vmlinux_extract "$folder/bzImage" > "$folder/vmlinux" ||
	   [ "$(head -c 4 "$folder/vmlinux" | tail -c 3)" != ELF ]; then
		rm -f "$folder/vmlinux"		# the bzImage boots as well
	fi
}

role_stock__kernel() {
	local release=${1%%_*} version=${1#*_} into=$2
	need depmod kmod
	need xz xz-utils
	debs_unpack "$into/deb" "linux-image-$release=$version" || return 1
	mv "$into/deb/boot/vmlinuz-$release" "$into/bzImage"
	mv "$into/deb/boot/System.map-$release" "$into/System.map"
	mv "$into/deb/boot/config-$release" "$into/config"
	mkdir -p "$into/lib"
	mv "$into/deb/lib/modules" "$into/lib/modules"
	rm -rf "$into/deb"
	vmlinux_make "$into"
	modules_prune "$into/lib/modules/$release"
	depmod -b "$into" "$release"
}

# The packages' links are relative and stay right in the cache; only the
# Makefile names its other half by an absolute path.
role_stock__headers() {
	local release=${1%%_*} version=${1#*_} into=$2
	local common=linux-headers-${release%-*}-common
	local makefile=$into/usr/src/linux-headers-$release/Makefile
	debs_unpack "$into" "linux-headers-$release=$version" "$common=$version" \
		"linux-kbuild-6.1=$version" || return 1
	# shellcheck disable=SC2016
	echo 'include $(dir $(lastword $(MAKEFILE_LIST)))../'"$common/Makefile" > "$makefile"
	rm -rf "${into:?}/usr/share" "${into:?}/lib"
}

# --- the command line --------------------------------------------------------

image_of_path() {
	local image=$1 release folder
	release=$(image_release "$image")
	[ -n "$release" ] || die "$image is not a bzImage: give KERNEL=stock or the path of an x86 bzImage"
	folder=$(cd "$(dirname "$image")" && pwd)
	image=$folder/${image##*/}
	echo "image=$image"
	for folder in "$folder/lib/modules/$release" "${folder%/*}/lib/modules/$release" \
		      "/lib/modules/$release"; do
		[ ! -d "$folder" ] || break
	done
	[ -d "$folder" ] || folder=
	echo "modules=$folder"
}

# The release stands in the bzImage's header: offset 0x20e, from 0x200 on.
image_release() {
	local offset
	[ "$(od -An -c -j 514 -N 4 "$1" 2> /dev/null | tr -d ' ')" = HdrS ] || return 0
	offset=$(od -An -tu2 -j 526 -N 2 "$1" | tr -d ' ')
	dd if="$1" bs=1 skip=$((offset + 512)) count=64 status=none | tr -s '\0 ' '\n' | sed -n 1p
}

headers_of_path() {
	local image=$1 release folder
	release=$(image_release "$image")
	folder=$(cd "$(dirname "$image")" && pwd)
	for folder in "${folder%/arch/*/boot}" "/lib/modules/$release/build"; do
		[ ! -e "$folder/Makefile" ] || break
	done
	[ -e "$folder/Makefile" ] ||
		die "no kbuild folder for $image ($release): it is neither in a built kernel tree nor in /lib/modules/$release/build"
	echo "$folder"
}

# part_folder ROLE PART: prints the folder, and fills it when it is missing.
part_folder() {
	local role=$1 part=$2 where
	declare -F "role_${role}__$part" > /dev/null || part=kernel
	where=$(version "$role" "$part") || return 1
	cached "$role" "$where" "$part"
}

image_of_role() {
	local where file=bzImage
	where=$(part_folder "$1" kernel) || exit 1
	[ ! -e "$where/vmlinux" ] || file=vmlinux
	echo "image=$where/$file"
	echo "modules=$(echo "$where"/lib/modules/*)"
}

# Of a package's two halves the one for this release has the configuration.
headers_of_role() {
	local where folder
	where=$(part_folder "$1" headers) || exit 1
	for folder in "$where/build" "$where"/usr/src/linux-headers-*; do
		[ ! -e "$folder/.config" ] || break
	done
	[ -e "$folder/.config" ] || die "no kbuild folder in $where: remove that folder and try again"
	echo "$folder"
}

is_role() {
	declare -F "role_$1__version" > /dev/null
}

roles() {
	declare -F | sed -n 's/.* role_\(.*\)__version$/\1/p' | tr '\n' ' '
}

main() {
	local part=${1-} kernel=${2-}
	[[ $part = @(image|headers|source) ]] || die "usage: kernels.sh image|headers|source KERNEL"
	mkdir -p "$cache" || die "cannot write the cache $cache: set XDG_CACHE_HOME"
	if [ "$part" = source ]; then
		source_of_role "$kernel"
	elif is_role "$kernel"; then
		"${part}_of_role" "$kernel"
	elif [ -f "$kernel" ]; then
		"${part}_of_path" "$kernel"
	else
		die "KERNEL='$kernel' is neither a known kernel ($(roles)) nor a file"
	fi
}

. "$here/newer-suites.sh"
. "$here/roles-built.sh"
. "$here/roles-stock.sh"

main "$@"
