# SPDX-License-Identifier: GPL-2.0-only
# The demos with a real QEMU, and the guest that the lab's tests share with them.

.PHONY: demo-qemu
demo-qemu: deps-demo
	$(Q)$(MAKE) -s --no-print-directory all
	$(Q)tools/demo/demo-qemu

# Assembled and linked as a flat file: on x86 alone, as the lab is.
$(BUILD)/demo/dirty_guest.img: tools/demo/dirty_guest.S
	@mkdir -p $(@D)
	$(call say,AS,$@)
	$(Q)as --32 -o $(@:.img=.o) $<
	$(Q)ld -m elf_i386 -Ttext=0xf0000 --oformat binary -o $@ $(@:.img=.o)
