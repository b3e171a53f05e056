# SPDX-License-Identifier: GPL-2.0-only
# Unit tests of what runs without a kernel, under ASan and UBSan.
#
#	make test-unit			builds and runs them all
#	make test-unit UPDATE_GOLDEN=1	rewrites tests/golden/ (look at the diff)
#	make bench-model		CPU time of a refresh, with no sanitizer; a part of test-unit

BUILD ?= build
UNIT_BUILD := $(BUILD)/tests/unit
UNIT_CFLAGS = -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
	      -fno-sanitize-recover=all

unit_tests := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
# what is under test: nothing of it knows libbpf or the screen
unit_user := budget measure options json_text model rows figures hist heat names text units columns flow plain summary json \
	     array json_value error pack chunk policy follow follow_view hot tables recording prune recorder untrusted replay rounds study study_text study_json \
	     convergence convergence_text
unit_objects := $(unit_user:%=$(UNIT_BUILD)/%.o) $(UNIT_BUILD)/fixture.o $(UNIT_BUILD)/scene.o

$(UNIT_BUILD)/%.o: user/%.c
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(USER_CFLAGS) $(UNIT_CFLAGS) -MMD -MP -c $< -o $@

$(UNIT_BUILD)/%.o: tests/unit/%.c
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(USER_CFLAGS) $(UNIT_CFLAGS) -iquote tests/unit -iquote tests/record -MMD -MP -c $< -o $@

$(UNIT_BUILD)/scene.o: tests/record/scene.c
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(USER_CFLAGS) $(UNIT_CFLAGS) -MMD -MP -c $< -o $@

$(unit_tests:%=$(UNIT_BUILD)/%): $(UNIT_BUILD)/%: $(UNIT_BUILD)/%.o $(unit_objects)
	$(say) LINK $@
	$(Q)$(CC) $(UNIT_CFLAGS) -Wl,--wrap=reallocarray $^ -lcmocka -ljansson -lsqlite3 -lzstd -lm -o $@

# What the BPF programs count, compiled for this machine by their own compiler
bpf_tests := $(patsubst tests/bpf/%.c,$(UNIT_BUILD)/%,$(wildcard tests/bpf/test_*.c))

$(bpf_tests): $(UNIT_BUILD)/%: tests/bpf/%.c tests/bpf/host.h $(wildcard bpf/*.h include/*.h)
	$(say) CLANG $@
	@mkdir -p $(@D)
	$(Q)$(CLANG) -std=gnu11 -D_GNU_SOURCE $(UNIT_CFLAGS) -Wall -Wno-unknown-attributes -Wno-unused \
		-iquote tests/bpf -Ibpf -Iinclude $< -lcmocka -o $@

.PHONY: test-unit bench-model
suites_need += $(unit_tests:%=$(UNIT_BUILD)/%) $(bpf_tests) $(UNIT_BUILD)/bench_model
test-unit: $(unit_tests:%=$(UNIT_BUILD)/%) $(bpf_tests) $(UNIT_BUILD)/bench_model
	$(Q)UPDATE_GOLDEN=$(UPDATE_GOLDEN) tests/unit/run $^

$(UNIT_BUILD)/bench_model: tests/unit/bench_model.c $(BUILD)/libiovab.a
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(USER_CFLAGS) $(CFLAGS) $^ -ljansson -lsqlite3 -lzstd -lm -o $@

bench-model: $(UNIT_BUILD)/bench_model
	$(Q)$<

-include $(wildcard $(UNIT_BUILD)/*.d)
