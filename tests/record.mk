# SPDX-License-Identifier: GPL-2.0-only
# Tests of recordings from outside: written, killed, truncated, shown.
#
#	make test-record [ONLY='word ...']

RECORD_BUILD := $(BUILD)/tests/record

$(RECORD_BUILD)/%.o: tests/record/%.c
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(USER_CFLAGS) $(CFLAGS) -iquote tests/record -MMD -MP -c $< -o $@

$(RECORD_BUILD)/make_recording: $(RECORD_BUILD)/make_recording.o $(RECORD_BUILD)/scene.o $(BUILD)/libiovab.a
	$(say) LINK $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(lib_libs) -lm -o $@

# Where clang has no libFuzzer the test says that it is skipped
record_fuzzed := array error pack chunk policy follow hot tables untrusted replay model rows figures hist heat names text units rounds convergence
$(RECORD_BUILD)/fuzz_replay: tests/record/fuzz_replay.c $(record_fuzzed:%=user/%.c)
	$(say) CLANG $@
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(USER_CFLAGS) -O1 -g -DPOLICY_MAX_WORK=1000 -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all $^ -lsqlite3 -lzstd -lm -o $@ 2>$@.log || rm -f $@

.PHONY: test-record
record_tests := $(RECORD_BUILD)/make_recording $(RECORD_BUILD)/fuzz_replay
suites_need += $(record_tests)
test-record: $(BUILD)/iovab $(BUILD)/iovabtop $(record_tests)
	$(Q)tests/record/run $(ONLY)

-include $(wildcard $(RECORD_BUILD)/*.d)
