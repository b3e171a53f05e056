# SPDX-License-Identifier: GPL-2.0-only
#
# Sourced by kernels.sh: the kernels that the lab builds for itself, because
# Debian's own of these versions have no iova_bitmap.
#
#	lts	6.12, from the machine's own suites if they have it
#	newest	the highest linux-source-VERSION that Debian carries
#	kasan	lts with the kernel's checks of memory and locks (config/kasan.config); it
#		is slow, and nothing but make test-kasan asks for it
#
# Their version is the package's and a hash of the configuration, so a change of
# either builds anew.  The source package stays in $cache/sources: a change of
# the configuration needs no network, and tests take upstream's files out of it.
#
# shellcheck shell=bash disable=SC2154	# cache and here are kernels.sh's

built_lts_source=linux-source-6.12

# source_candidate PACKAGE APT...: the version that apt would download.
source_candidate() {
	local package=$1
	shift
	"$@" apt-cache show "$package" 2> /dev/null |
		awk '/^Version:/ { print $2 }' | sort -V | tail -n 1
}

source_newest() {
	newer__apt apt-cache search --names-only '^linux-source-[0-9][0-9.]*$' |
		cut -d ' ' -f 1 | sort -V | tail -n 1
}

# lts_version [MORE]: MORE is the configuration's second list.
lts_version() {
	local version
	need apt-cache apt >&2
	version=$(source_candidate $built_lts_source env)
	if [ -z "$version" ]; then
		newer__update || return 1
		version=$(source_candidate $built_lts_source newer__apt)
	fi
	[ -n "$version" ] || return 1
	echo "${built_lts_source}_${version}_$("$here/build-kernel" key "$@")"
}

role_lts__version() {
	lts_version
}

role_kasan__version() {
	lts_version kasan
}

role_newest__version() {
	local package version
	need apt-cache apt >&2
	newer__update || return 1
	package=$(source_newest)
	[ -n "$package" ] || return 1
	version=$(source_candidate "$package" newer__apt)
	echo "${package}_${version}_$("$here/build-kernel" key)"
}

# built_is_current VERSION [MORE]: whether it, from the cache, was built with the
# configuration of today.
built_is_current() {
	[ "${1##*_}" = "$("$here/build-kernel" key "${@:2}")" ]
}

role_lts__is_current() {
	built_is_current "$1"
}

role_newest__is_current() {
	built_is_current "$1"
}

role_kasan__is_current() {
	built_is_current "$1" kasan
}

# source_deb PACKAGE VERSION: prints the path of the package, downloads it first.
source_deb() {
	local package=$1 version=$2 folder=$cache/sources deb work apt=env
	deb=$folder/${package}_${version}_all.deb
	if [ ! -e "$deb" ]; then
		mkdir -p "$folder"
		work=$(mktemp -d "$folder/download.XXXXXX")
		[ -n "$(apt-cache show "$package=$version" 2> /dev/null)" ] || apt=newer__apt
		say "downloading $package $version"
		if (cd "$work" && $apt apt-get -q -o APT::Sandbox::User=root download "$package=$version" >&2); then
			mv "$work"/*.deb "$deb"
		fi
		rm -rf "$work"
	fi
	[ -e "$deb" ] && echo "$deb"
}

# built_kernel VERSION FOLDER [MORE]
built_kernel() {
	local package version deb more=${3-}
	IFS=_ read -r package version _ <<< "$1"
	deb=$(source_deb "$package" "$version") || return 1
	BUILD_OWNER=$$ "$here/build-kernel" build "$deb" "$2" "$cache/$package${more:+-$more}.log" \
		${more:+"$more"}
}

role_lts__kernel() {
	built_kernel "$@"
}

role_newest__kernel() {
	built_kernel "$@"
}

role_kasan__kernel() {
	built_kernel "$@" kasan
}

# Of a role that is built, the package that it was or will be built from; stock's is not
# otherwise needed.
source_of_role() {
	local package version
	case $1 in
	stock)
		package=linux-source-6.1
		version=$(source_candidate $package env)
		;;
	lts | newest | kasan)
		IFS=_ read -r package version _ <<< "$(version "$1" kernel)"
		;;
	*)
		die "there is no source of KERNEL='$1': it is neither stock, lts nor newest"
		;;
	esac
	[ -n "$version" ] || die "apt does not know $package (apt-get update?)"
	source_deb "$package" "$version" || die "cannot download $package $version"
}
