# SPDX-License-Identifier: GPL-2.0-only
#
# What must be installed before the targets that do all of their own set-up:
# tools/deps/packages is the list.

.PHONY: deps deps-demo deps-test deps-bench
deps:
	@tools/deps/check build

deps-demo:
	@tools/deps/check build lab

deps-test:
	@tools/deps/check build lab test kernel

deps-bench:
	@tools/deps/check build lab bench
