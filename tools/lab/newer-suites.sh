# SPDX-License-Identifier: GPL-2.0-only
#
# Sourced by kernels.sh and qemu-client: asks apt about Debian's suites newer than the machine's.
#
#	newer__apt PROGRAM ARGUMENT...	runs apt-get or apt-cache on these suites
#	newer__update			sees to it that their lists are there
#
# A second configuration of apt lies in $cache/apt: lists, cache and sources of
# its own, no installed packages.  Its mirror and its proxies are those of the
# machine's own apt, whose lists and state are only read.  Nothing is ever
# installed from there; what is downloaded is unpacked.
#
# shellcheck shell=bash disable=SC2154	# cache and here are the including script's

newer_suites='unstable testing stable-backports'
newer_lists_days=1

# Debian's mirror, as the machine's own sources name it.
newer_mirror() {
	# shellcheck disable=SC2016
	apt-get indextargets --format '$(CREATED_BY) $(ORIGIN) $(LABEL) $(REPO_URI)' 2> /dev/null |
		awk '$1 == "Packages" && $2 == "Debian" && $3 == "Debian" { print $4; exit }'
}

# The file is written anew each time: the machine's mirror may have changed.
newer_configure() {
	local folder=$cache/apt mirror suite keys=/usr/share/keyrings/debian-archive-keyring.gpg
	need apt-get apt
	mirror=$(newer_mirror)
	[ -n "$mirror" ] ||
		die "apt's sources name no Debian mirror, or its lists are missing: try apt-get update"
	mkdir -p "$folder"/{lists,archives}/partial
	touch "$folder/status"
	for suite in $newer_suites; do
		if [ -e "$keys" ]; then
			echo "deb [signed-by=$keys] $mirror $suite main"
		else
			echo "deb $mirror $suite main"
		fi
	done > "$folder/sources.list"
	cat > "$folder/apt.conf" <<-END
		Dir::State::lists "$folder/lists";
		Dir::State::status "$folder/status";
		Dir::Cache "$folder";
		Dir::Etc::sourcelist "$folder/sources.list";
		Dir::Etc::sourceparts "/dev/null";
		Dir::Etc::preferences "/dev/null";
		Dir::Etc::preferencesparts "/dev/null";
		APT::Sandbox::User "root";
		APT::Default-Release "";
		Acquire::Languages "none";
		Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
		Acquire::IndexTargets::deb::DEP-11-icons::DefaultEnabled "false";
	END
}

newer__apt() {
	APT_CONFIG=$cache/apt/apt.conf "$@"
}

# A suite that the mirror lacks is no error while another one is there, and old
# lists are better than none.
newer__update() {
	local stamp=$cache/apt/updated
	(
		flock 8
		[ -z "$(find "$stamp" -mtime -$newer_lists_days 2> /dev/null)" ] || exit 0
		newer_configure
		say "reading the lists of Debian's $newer_suites"
		newer__apt apt-get -q update > "$cache/apt/update.log" 2>&1 ||
			say "not all could be read: see $cache/apt/update.log"
		newer__apt apt-cache show linux-image-amd64 > /dev/null 2>&1 || exit 1
		touch "$stamp"
	) 8> "$cache/lock-apt"
}
