# SPDX-License-Identifier: GPL-2.0-only
# The live view on a real terminal (tmux), fed with made-up facts: no kernel, no root.

screen_demo := $(BUILD)/tests/live_demo
screen_sources := tests/screen/live_demo.c $(wildcard user/live*.c) \
		  $(addprefix user/,array.c columns.c convergence.c convergence_text.c figures.c flow.c heat.c hist.c \
		    model.c names.c rounds.c rows.c text.c units.c)

$(screen_demo): $(screen_sources) $(wildcard user/*.h include/*.h)
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE $(WARNINGS) -iquote include -iquote user \
		$(shell $(PKG_CONFIG) --cflags ncursesw) -O1 -g \
		-fsanitize=address,undefined -fno-sanitize-recover=all \
		$(screen_sources) $(shell $(PKG_CONFIG) --libs ncursesw) -lm -o $@

.PHONY: test-screen
suites_need += $(screen_demo)
test-screen: $(screen_demo)
	$(Q)tests/screen/run $(screen_demo)
