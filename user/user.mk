# SPDX-License-Identifier: GPL-2.0-only
# The collector library and the programs on it.

user_objects := $(patsubst user/%.c,$(BUILD)/user/%.o,$(wildcard user/*.c))

$(BUILD)/user/%.o: user/%.c
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(USER_CFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

# The trace format, as C; only trace.c knows it
PROTOC_C ?= protoc-c
$(BUILD)/user/trace.pb-c.c: user/trace.proto
	$(say) PROTOC $@
	@mkdir -p $(@D)
	$(Q)$(PROTOC_C) -Iuser --c_out=$(@D) $<

$(BUILD)/user/trace.pb-c.o: $(BUILD)/user/trace.pb-c.c
	$(say) CC $@
	$(Q)$(CC) $(USER_CFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/user/trace.o: $(BUILD)/user/trace.pb-c.c
$(BUILD)/user/trace.o: USER_CFLAGS += -iquote $(BUILD)/user
user_objects += $(BUILD)/user/trace.pb-c.o

# only these know the programs
$(addprefix $(BUILD)/user/,session.o clients.o reference.o collector.o cost.o symbols.o): $(BPF_SKELETONS)

$(BUILD)/libiovab.a: $(user_objects)
	$(say) AR $@
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/tools/%.o: tools/%.c
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(USER_CFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/iovabtop $(BUILD)/iovab: $(BUILD)/%: $(BUILD)/tools/%.o $(BUILD)/libiovab.a
	$(say) LINK $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -Wl,--as-needed $^ $(lib_libs) -lelf -lz -lm -o $@

-include $(wildcard $(BUILD)/user/*.d $(BUILD)/tools/*.d)
