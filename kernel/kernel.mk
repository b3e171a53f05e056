# SPDX-License-Identifier: GPL-2.0-only
# The kernel modules. Included by the top Makefile; sets and uses nothing of it.
#
#   make modules KHDR=/lib/modules/$(uname -r)/build
#
# builds into build/kernel/<kernel release>/: the mock device (iovab_mock.ko), the
# reference (iovab_ref.ko), its client (iovab_mock_ref.ko) and, where there is KUnit, its
# tests (iovab_ref_kunit.ko). KHDR is the folder to hand to kbuild; by default it is that
# of the lab's kernel, which KERNEL chooses.
# kbuild writes beside the sources, so they are copied first; a copy is renewed
# only when its source is newer, so nothing is compiled twice. All is, when the
# folder is another one: a kernel that was built anew may keep its release, but its
# modules would not load. Packaged headers have no vmlinux to make BTF from: then kbuild
# is not asked to.

KERNEL_DIR := $(dir $(lastword $(MAKEFILE_LIST)))
KERNEL_SRCS := $(sort $(wildcard $(KERNEL_DIR)*.c $(KERNEL_DIR)*.h) $(KERNEL_DIR)Kbuild) \
	       include/iovab_bitmap.h include/iovab_policy.h include/iovab_mock.h
KERNEL_BUILD ?= build/kernel

.PHONY: modules
modules:
	@set -e; \
	hdr="$(KHDR)"; \
	[ -n "$$hdr" ] || hdr=$$($(MAKE) -s --no-print-directory -f tools/lab/lab.mk lab-headers KERNEL="$(KERNEL)"); \
	rel=$$(sed -n 's/.*UTS_RELEASE "\(.*\)"/\1/p' "$$hdr/include/generated/utsrelease.h" 2>/dev/null) || :; \
	[ -n "$$rel" ] || { echo "modules: no kernel headers in '$$hdr'" \
		"(include/generated/utsrelease.h is missing): set KHDR to the folder that kbuild needs" >&2; exit 1; }; \
	out="$(abspath $(KERNEL_BUILD))/$$rel"; \
	[ "$$(cat "$$out/.built-against" 2>/dev/null)" = "$$hdr" ] || rm -rf "$$out"; \
	mkdir -p "$$out"; \
	echo "$$hdr" > "$$out/.built-against"; \
	cp -pu $(KERNEL_SRCS) "$$out"; \
	$(if $(V),,echo "  KMOD    $(KERNEL_BUILD)/$$rel/";) \
	$(MAKE) $(if $(V),V=1,-s) --no-print-directory -C "$$hdr" M="$$out" \
		$$([ -e "$$hdr/vmlinux" ] || echo CONFIG_DEBUG_INFO_BTF_MODULES=) modules
