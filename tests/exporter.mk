# SPDX-License-Identifier: GPL-2.0-only
# The exporter's tests that need no kernel: see tests/exporter/run.

EXPORTER_BUILD := $(BUILD)/tests/exporter

# what serves, over made-up facts
$(EXPORTER_BUILD)/demo: tests/exporter/demo.c $(exporter_objects) $(BUILD)/libiovab.a
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(EXPORTER_CFLAGS) $(CFLAGS) $^ $(exporter_ldlibs) -lm -o $@

# unit tests: the exporter's and the model's files, as in tests/unit.mk
exporter_unit_objects := $(patsubst exporter/%.c,$(EXPORTER_BUILD)/%.o,$(wildcard exporter/*.c)) \
			 $(addprefix $(UNIT_BUILD)/,array.o convergence.o error.o figures.o heat.o hist.o model.o names.o \
			   rounds.o rows.o text.o)
exporter_unit_tests := $(patsubst tests/exporter/%.c,$(EXPORTER_BUILD)/%,$(wildcard tests/exporter/test_*.c))

$(EXPORTER_BUILD)/%.o: exporter/%.c
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(EXPORTER_CFLAGS) $(UNIT_CFLAGS) -MMD -MP -c $< -o $@

$(EXPORTER_BUILD)/%.o: tests/exporter/%.c
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(EXPORTER_CFLAGS) $(UNIT_CFLAGS) -iquote tests/unit -MMD -MP -c $< -o $@

# the same as demo, with sanitizers
$(EXPORTER_BUILD)/demo-asan: $(EXPORTER_BUILD)/demo.o $(exporter_unit_objects)
	$(say) LINK $@
	$(Q)$(CC) $(UNIT_CFLAGS) $^ $(exporter_ldlibs) -lm -o $@

$(exporter_unit_tests): %: %.o $(exporter_unit_objects) $(UNIT_BUILD)/fixture.o
	$(say) LINK $@
	$(Q)$(CC) $(UNIT_CFLAGS) -Wl,--wrap=reallocarray $^ -lcmocka $(exporter_ldlibs) -lm -o $@

exporter_fuzz_sources := tests/exporter/fuzz.c \
			 $(addprefix exporter/,accept.c labels.c listen.c web_config.c) \
			 $(addprefix user/,error.c names.c text.c)

$(EXPORTER_BUILD)/fuzz: $(exporter_fuzz_sources) $(wildcard exporter/*.h user/*.h include/*.h)
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(EXPORTER_CFLAGS) -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		$(exporter_fuzz_sources) $(exporter_ldlibs) -o $@

.PHONY: test-exporter
ifeq ($(strip $(exporter_missing)),)
exporter_tests := $(exporter_unit_tests) $(EXPORTER_BUILD)/demo $(EXPORTER_BUILD)/demo-asan $(exporter_program)
suites_need += $(exporter_tests)
test-exporter: $(exporter_tests)
	$(Q)$(MAKE) -s --no-print-directory $(EXPORTER_BUILD)/fuzz > $(EXPORTER_BUILD)/fuzz.log 2>&1 || true
	$(Q)BUILD=$(BUILD) tests/exporter/run $(ONLY)
else
test-exporter:
	@echo "SKIP exporter: it was not built: pkg-config does not know $(strip $(exporter_missing))"
	@echo "0 passed, 0 failed, 1 skipped"
endif

-include $(wildcard $(EXPORTER_BUILD)/*.d)
