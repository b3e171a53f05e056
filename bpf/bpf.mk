# SPDX-License-Identifier: GPL-2.0-only
# The BPF programs: an object for the facility and one for each client, and their
# skeletons for user space.

# What the uAPI headers need on a multiarch system
bpf_multiarch := $(shell $(CC) -print-multiarch 2>/dev/null)
# How libbpf calls the architecture, whose registers hold a probed function's arguments
bpf_arch := $(patsubst x86_64,x86,$(patsubst aarch64,arm64,$(patsubst ppc64le,powerpc,$(patsubst s390x,s390,$(shell uname -m)))))
BPF_CFLAGS := -O2 -g $(PLACELESS) -target bpf -D__TARGET_ARCH_$(bpf_arch) -mcpu=v3 -std=gnu11 -Wall -Iinclude -Ibpf \
	      $(if $(bpf_multiarch),-I/usr/include/$(bpf_multiarch))

BPF_SKELETONS := $(patsubst bpf/%.bpf.c,$(BUILD)/bpf/%.skel.h,$(wildcard bpf/*.bpf.c))

# make would take what only leads to a skeleton away again
.PRECIOUS: $(BUILD)/bpf/%.bpf.o

$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h include/*.h)
	$(say) CLANG $@
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -c $< -o $@

$(BUILD)/bpf/%.skel.h: $(BUILD)/bpf/%.bpf.o
	$(say) SKEL $@
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf > $@
