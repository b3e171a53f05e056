# SPDX-License-Identifier: GPL-2.0-only
# The kernel modules. Included by the top Makefile; sets and uses nothing of it.
#
#	make modules KHDR=/lib/modules/$(uname -r)/build
#
# builds into build/kernel/<kernel release>/: the mock device (iovab_mock.ko), the
# reference (iovab_ref.ko), its client (iovab_mock_ref.ko) and, where there is KUnit, its
# tests (iovab_ref_kunit.ko). KHDR is the folder to hand to kbuild; by default it is that
# of the lab's kernel, which KERNEL chooses. kernel/build-modules says how.

KERNEL_DIR := $(dir $(lastword $(MAKEFILE_LIST)))
KERNEL_SRCS := $(sort $(wildcard $(KERNEL_DIR)*.c $(KERNEL_DIR)*.h) $(KERNEL_DIR)Kbuild) \
	       include/iovab_bitmap.h include/iovab_policy.h include/iovab_mock.h
KERNEL_BUILD ?= build/kernel

.PHONY: modules
modules:
	@hdr="$(KHDR)"; \
	[ -n "$$hdr" ] || hdr=$$($(MAKE) -s --no-print-directory -f tools/lab/lab.mk lab-headers KERNEL="$(KERNEL)") || exit 1; \
	V="$(V)" MAKE="$(MAKE)" $(KERNEL_DIR)build-modules "$$hdr" "$(abspath $(KERNEL_BUILD))" $(KERNEL_SRCS)
