# SPDX-License-Identifier: GPL-2.0-only
# The BPF programs: one object, and its skeleton for user space.

# What the uAPI headers need on a multiarch system
bpf_multiarch := $(shell $(CC) -print-multiarch 2>/dev/null)
BPF_CFLAGS := -O2 -g -target bpf -mcpu=v3 -std=gnu11 -Wall -Iinclude -Ibpf \
	      $(if $(bpf_multiarch),-I/usr/include/$(bpf_multiarch))

$(BUILD)/bpf/iovab.bpf.o: bpf/iovab.bpf.c $(wildcard bpf/*.h) include/iovab.h
	$(say) CLANG $@
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -c $< -o $@

$(BUILD)/bpf/iovab.skel.h: $(BUILD)/bpf/iovab.bpf.o
	$(say) SKEL $@
	$(Q)$(BPFTOOL) gen skeleton $< name iovab_bpf > $@
