# SPDX-License-Identifier: GPL-2.0-only
# The man page and README against the program and the sources they describe.

.PHONY: test-docs
test-docs: $(BUILD)/iovabtop $(exporter_program)
	$(Q)tests/docs/run $^
