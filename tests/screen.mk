# SPDX-License-Identifier: GPL-2.0-only
# The live view on a real terminal (tmux), fed with made-up facts: no kernel, no root.

screen_demo := $(BUILD)/tests/live_demo
# sanitized as in tests/unit.mk
screen_objects := $(patsubst user/%.c,$(UNIT_BUILD)/%.o,$(wildcard user/live*.c)) \
		  $(addprefix $(UNIT_BUILD)/,array.o columns.o convergence.o convergence_text.o figures.o flow.o heat.o hist.o \
		    model.o names.o rounds.o rows.o text.o units.o)

$(screen_demo): tests/screen/live_demo.c $(screen_objects) $(wildcard user/*.h include/*.h)
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(USER_CFLAGS) $(UNIT_CFLAGS) $(filter %.c %.o,$^) \
		$(shell $(PKG_CONFIG) --libs ncursesw) -lm -o $@

.PHONY: test-screen
suites_need += $(screen_demo)
test-screen: $(screen_demo)
	$(Q)tests/screen/run $(screen_demo)
