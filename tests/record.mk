# SPDX-License-Identifier: GPL-2.0-only
# Tests of recordings from outside: written, killed, truncated, shown.
#
#	make test-record

RECORD_BUILD := $(BUILD)/tests/record

$(RECORD_BUILD)/%.o: tests/record/%.c
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(USER_CFLAGS) $(CFLAGS) -iquote tests/record -MMD -MP -c $< -o $@

$(RECORD_BUILD)/make_recording: $(RECORD_BUILD)/make_recording.o $(RECORD_BUILD)/scene.o $(BUILD)/libiovab.a
	$(say) LINK $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(lib_libs) -lm -o $@

-include $(wildcard $(RECORD_BUILD)/*.d)
