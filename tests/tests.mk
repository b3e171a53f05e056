# SPDX-License-Identifier: GPL-2.0-only
# The tests. `make test` (top Makefile) runs tests/run, which runs the suites.
#
#	make test-lab [KERNELS='stock ...'] [ONLY='word ...']	the lab's tests alone
#	make test-kasan		the reference's, on a kernel that watches itself

-include tests/unit.mk
-include tests/ref.mk
-include tests/screen.mk
-include tests/docs.mk
-include tests/exporter.mk
-include tests/record.mk
-include tests/cost.mk

# What the suites that need no lab are made of, so that these can be run side by side
.PHONY: tests-built
tests-built: $(suites_need)

.PHONY: test-lab
test-lab: all
	$(Q)KERNELS='$(KERNELS)' tests/run lab $(ONLY)

# What it takes to record marks: half an hour.
.PHONY: bench-marks
bench-marks:
	$(Q)KERNEL='$(or $(KERNEL),stock)' tests/lab/bench-marks cost
	$(Q)KERNEL='$(or $(KERNEL),stock)' tests/lab/bench-marks size

# The reference's tests on a kernel with KASAN, lockdep and kmemleak. Nothing else wants
# that kernel: the first time it is built, which takes a while.
.PHONY: test-kasan
test-kasan: all
	$(Q)KERNELS=kasan tests/run lab kasan

# The reference's bitmaps against the kernel's, as make test has it, with 1,000 states of
# the mock's engine instead of 300.
.PHONY: test-states
test-states: all
	$(Q)IOVAB_STATES=1000 KERNELS='$(or $(KERNELS),stock)' tests/run lab 'reference same as the kernel on random states'

# The same part of the lab's tests that make test has, with 1,000 attachments instead
# of 6: most of an hour.
.PHONY: test-reattach
test-reattach: all
	$(Q)IOVAB_REATTACH=1000 TIMEOUT=7200 KERNELS='$(or $(KERNELS),stock)' tests/run lab reattach
