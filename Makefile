# SPDX-License-Identifier: GPL-2.0-only
#
# iovab: see README.md. The targets that people use:
#
#	make		the programs, into build/
#	make demo	build, boot the lab, watch two devices migrate
#	make demo-qemu	the same with a real QEMU and its guest
#	make test	every test, closing with 'N passed, N failed, N skipped'
#	make test-SUITE	one of unit, reference, screen, docs, exporter, record, lab
#	make bench	what watching costs, in the lab: docs/cost.md
#	make fuzz-reference, make bench-reference	tests/ref.mk says more
#	make lab	a shell in the lab; CMD='...' runs one command in it
#	make modules	the kernel modules, for the lab's kernel
#	make install	into $(DESTDIR)$(PREFIX)
#
# V=1 shows the commands. Outputs go under build/.

MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := all

BUILD := build
PREFIX ?= /usr/local
VERSION := 0.1

CC ?= cc
CLANG ?= clang
# Debian keeps bpftool where a user's PATH does not look
BPFTOOL ?= $(firstword $(shell PATH="$$PATH:/usr/sbin:/sbin" command -v bpftool) bpftool)
PKG_CONFIG ?= pkg-config

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-7s %s\n'
endif

# Asked once, and only for the goals that compile something
libs_wanted := libbpf jansson ncursesw sqlite3 libprotobuf-c libzstd
lib_cflags = $(eval lib_cflags := $(shell $(PKG_CONFIG) --cflags $(libs_wanted)))$(lib_cflags)
lib_libs = $(eval lib_libs := $(shell $(PKG_CONFIG) --libs $(libs_wanted)))$(lib_libs)

CFLAGS ?= -O2 -g
# what is built does not tell, or depend on, where that was
PLACELESS := -ffile-prefix-map=$(CURDIR)=.
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	    -Wno-unused-parameter -Wvla
USER_CFLAGS = -std=gnu11 -D_GNU_SOURCE -DIOVAB_VERSION='"$(VERSION)"' $(PLACELESS) \
	      $(WARNINGS) -iquote include -iquote user -iquote $(BUILD)/bpf $(lib_cflags)

include tools/deps.mk
include bpf/bpf.mk
include user/user.mk
include exporter/exporter.mk
include user/page.mk
include kernel/kernel.mk
include tools/lab/lab.mk
include tools/lab/migrate.mk
include tools/demo/demo.mk
include tests/tests.mk

.PHONY: all demo test install clean
all: $(BUILD)/iovabtop $(BUILD)/iovab

demo: deps-demo
	$(Q)$(MAKE) -s --no-print-directory all
	$(Q)tools/demo/demo

# What an earlier run has compiled from the same text, in another clone too, is not again
test: export CCACHE_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/iovab/ccache
test: export CCACHE_BASEDIR = $(CURDIR)
test: export CCACHE_MAXSIZE = 300M
test: deps-test
	$(Q)$(MAKE) -s -j$(shell nproc) --no-print-directory all tests-built \
		CC='ccache $(CC)' CLANG='ccache $(CLANG)'
	$(Q)tests/run

install: all
	install -D -m 0755 $(BUILD)/iovabtop $(DESTDIR)$(PREFIX)/sbin/iovabtop
	install -D -m 0755 $(BUILD)/iovab $(DESTDIR)$(PREFIX)/sbin/iovab
	install -D -m 0644 docs/iovabtop.8 $(DESTDIR)$(PREFIX)/share/man/man8/iovabtop.8
	install -D -m 0644 docs/iovab.8 $(DESTDIR)$(PREFIX)/share/man/man8/iovab.8
ifneq ($(exporter_program),)
	install -D -m 0755 $(exporter_program) $(DESTDIR)$(PREFIX)/sbin/iovab-exporter
	install -D -m 0644 docs/iovab-exporter.8 $(DESTDIR)$(PREFIX)/share/man/man8/iovab-exporter.8
	install -D -m 0644 packaging/systemd/iovab-exporter.socket $(DESTDIR)$(PREFIX)/lib/systemd/system/iovab-exporter.socket
	sed 's,^ExecStart=/usr/sbin/,ExecStart=$(PREFIX)/sbin/,' packaging/systemd/iovab-exporter.service \
		> $(DESTDIR)$(PREFIX)/lib/systemd/system/iovab-exporter.service
	chmod 0644 $(DESTDIR)$(PREFIX)/lib/systemd/system/iovab-exporter.service
endif

clean:
	rm -rf $(BUILD)
