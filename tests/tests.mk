# SPDX-License-Identifier: GPL-2.0-only
# The tests. `make test` (top Makefile) runs tests/run, which runs the suites.
#
#	make test-lab [KERNELS='stock ...'] [ONLY='word ...']	the lab's tests alone

-include tests/unit.mk
-include tests/ref.mk
-include tests/screen.mk
-include tests/docs.mk
-include tests/exporter.mk
-include tests/record.mk
-include tests/cost.mk

.PHONY: test-lab
test-lab: all
	$(Q)KERNELS='$(KERNELS)' tests/run lab $(ONLY)

# The same part of the lab's tests that make test has, with 1,000 attachments instead
# of 10: an hour and more.
.PHONY: test-reattach
test-reattach: all
	$(Q)IOVAB_REATTACH=1000 TIMEOUT=7200 KERNELS='$(or $(KERNELS),stock)' tests/run lab reattach
