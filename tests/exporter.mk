# SPDX-License-Identifier: GPL-2.0-only
# The exporter's tests that need no kernel: see tests/exporter/run.

EXPORTER_BUILD := $(BUILD)/tests/exporter

# what serves, without what knows the kernel; with and without sanitizers
exporter_demo_sources := tests/exporter/demo.c $(wildcard exporter/*.c) \
			 $(addprefix user/,error.c figures.c heat.c hist.c model.c names.c rows.c text.c)
exporter_demo_headers := $(wildcard exporter/*.h user/*.h include/*.h)

$(EXPORTER_BUILD)/demo: $(exporter_demo_sources) $(exporter_demo_headers)
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(EXPORTER_CFLAGS) -O2 -g $(exporter_demo_sources) $(exporter_ldlibs) -lm -o $@

$(EXPORTER_BUILD)/demo-asan: $(exporter_demo_sources) $(exporter_demo_headers)
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(EXPORTER_CFLAGS) -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all \
		$(exporter_demo_sources) $(exporter_ldlibs) -lm -o $@
