# SPDX-License-Identifier: GPL-2.0-only
# iovab-exporter: the view for Prometheus. It needs libraries that the other
# programs do not; where one is missing it is left out, and make says so.

exporter_libs := libmicrohttpd gnutls yaml-0.1 libcrypt libcap-ng libsystemd
exporter_missing := $(shell for l in $(exporter_libs); do \
			    $(PKG_CONFIG) --exists $$l 2> /dev/null || echo $$l; done)
exporter_cflags = $(eval exporter_cflags := $(shell $(PKG_CONFIG) --cflags $(exporter_libs)))$(exporter_cflags)
exporter_ldlibs = $(eval exporter_ldlibs := $(shell $(PKG_CONFIG) --libs $(exporter_libs)) -pthread)$(exporter_ldlibs)

exporter_objects := $(patsubst exporter/%.c,$(BUILD)/exporter/%.o,$(wildcard exporter/*.c))
EXPORTER_CFLAGS = $(USER_CFLAGS) -iquote exporter $(exporter_cflags)

ifeq ($(strip $(exporter_missing)),)
exporter_program := $(BUILD)/iovab-exporter
all: $(exporter_program)
else
.PHONY: exporter-left-out
all: exporter-left-out
exporter-left-out:
	@echo "iovab-exporter is left out: pkg-config does not know $(strip $(exporter_missing)); tools/deps/packages names the packages"
endif

$(BUILD)/exporter/%.o: exporter/%.c
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(EXPORTER_CFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/tools/iovab-exporter.o: USER_CFLAGS += -iquote exporter $(exporter_cflags)

$(BUILD)/iovab-exporter: $(BUILD)/tools/iovab-exporter.o $(exporter_objects) $(BUILD)/libiovab.a
	$(say) LINK $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -Wl,--as-needed $^ $(exporter_ldlibs) $(lib_libs) -lelf -lz -lm -o $@

-include $(wildcard $(BUILD)/exporter/*.d)
