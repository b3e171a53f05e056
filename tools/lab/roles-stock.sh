# SPDX-License-Identifier: GPL-2.0-only
#
# Sourced by kernels.sh: Debian's own kernels newer than 6.1.  They are configured
# without IOMMUFD and so have no iova_bitmap: what the tools say there is tested;
# the reference implementation can run there (make modules KERNEL=stock-lts).
#
#	stock-lts	6.12, from the machine's own suites
#	stock-newest	what linux-image-amd64 of the newest suite installs
#
# Their version is RELEASE_VERSION, as that of the role stock.
#
# shellcheck shell=bash disable=SC2154	# cache and here are kernels.sh's

# meta_release PATTERN: of apt-cache show's output, "RELEASE VERSION" of the newest.
meta_release() {
	awk -v pattern="linux-image-$1" '
		/^Version:/ { version = $2 }
		/^Depends:/ && match($0, pattern) {
			print version, substr($0, RSTART + 12, RLENGTH - 12)
		}' | sort -V | tail -n 1 | awk '{ print $2 "_" $1 }'
}

role_stock-lts__version() {
	need apt-cache apt >&2
	apt-cache show linux-image-6.12-amd64 2> /dev/null | meta_release '6[.]12[.][^ ,]+' | grep .
}

role_stock-newest__version() {
	newer__update || return 1
	newer__apt apt-cache show linux-image-amd64 2> /dev/null |
		meta_release '[0-9][^ ,]+' | grep .
}

# Newer Debians split the kernel's package: prints those that hold files.
image_packages() {
	local release=$1 version=$2
	echo "linux-image-$release=$version"
	apt-cache show "linux-image-$release=$version" | sed -n 's/^Depends://p' | tr ',' '\n' |
		awk -v release="$release" -v version="$version" '
			$1 ~ "^linux-(base|binary|modules)-" && index($1, release) { print $1 "=" version }'
}

# move_one TO FROM...: the first FROM that is there.
move_one() {
	local to=$1 from
	shift
	for from in "$@"; do
		[ -e "$from" ] || continue
		mv "$from" "$to"
		return
	done
	say "no $(basename "$to") in the kernel's package"
	return 1
}

image_unpack() {
	local release=${1%%_*} version=${1#*_} into=$2 deb=$2/deb packages modules
	mapfile -t packages < <(image_packages "$release" "$version")
	debs_unpack "$deb" "${packages[@]}" || return 1
	modules=$deb/usr/lib/modules/$release
	[ -d "$modules" ] || modules=$deb/lib/modules/$release
	move_one "$into/bzImage" "$deb/boot/vmlinuz-$release" "$modules/vmlinuz" || return 1
	move_one "$into/config" "$deb/boot/config-$release" "$modules/config" || return 1
	move_one "$into/System.map" "$deb/boot/System.map-$release" "$modules/System.map" || return 1
	mkdir -p "$into/lib/modules"
	mv "$modules" "$into/lib/modules/" || return 1
	rm -rf "$deb"
	vmlinux_make "$into"
	modules_prune "$into/lib/modules/$release"
	depmod -b "$into" "$release"
}

# The packages' links are relative and stay right in the cache; only the Makefile
# names folders by absolute paths.
headers_unpack() {
	local release=${1%%_*} version=${1#*_} into=$2 base makefile
	base=${release%-*}
	makefile=$into/usr/src/linux-headers-$release/Makefile
	debs_unpack "$into" "linux-headers-$release=$version" \
		"linux-headers-$base-common=$version" "linux-kbuild-$base=$version" || return 1
	# shellcheck disable=SC2016
	sed -i -e '1i usr_src := $(abspath $(dir $(abspath $(lastword $(MAKEFILE_LIST))))/..)' \
		-e 's,/usr/src/,$(usr_src)/,g' "$makefile"
	rm -rf "${into:?}/usr/share"
	kbuild_runs "$into/usr/lib/linux-kbuild-$base" "$release"
}

# The programs in linux-kbuild want the C library of their own Debian.
kbuild_runs() {
	local program
	for program in scripts/mod/modpost tools/bpf/resolve_btfids/resolve_btfids; do
		[[ -e $1/$program && $(ldd "$1/$program" 2>&1) == *'not found'* ]] || continue
		say "modules for $2 cannot be built here: its linux-kbuild needs a newer C library (KERNEL=newest can)"
		return 1
	done
}

role_stock-lts__kernel() {
	image_unpack "$@"
}

role_stock-lts__headers() {
	headers_unpack "$@"
}

role_stock-newest__kernel() {
	APT_CONFIG=$cache/apt/apt.conf image_unpack "$@"
}

role_stock-newest__headers() {
	APT_CONFIG=$cache/apt/apt.conf headers_unpack "$@"
}
