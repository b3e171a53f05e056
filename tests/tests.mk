# SPDX-License-Identifier: GPL-2.0-only
# The tests. `make test` (top Makefile) runs tests/run, which runs the suites.
#
#	make test-lab [KERNELS='stock ...'] [ONLY='word ...']	the lab's tests alone

-include tests/unit.mk
-include tests/ref.mk
-include tests/screen.mk
-include tests/docs.mk
-include tests/record.mk

.PHONY: test-lab
test-lab: all
	$(Q)KERNELS='$(KERNELS)' tests/run lab $(ONLY)
