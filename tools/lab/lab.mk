# SPDX-License-Identifier: GPL-2.0-only
#
# make lab [CMD='...'] [KERNEL=stock] [CPUS=2] [MEM=2G] [QEMU_ARGS=...] [CMDLINE=...] [TIMEOUT=900]
# make -s lab-headers [KERNEL=stock]

# make itself ends with 2 whenever a command fails, and prints "Error N" with its
# status; tools/lab/lab, called directly, exits with that status.
#
# CMD reaches the launcher as it was typed: make expands no $ in it.
lab lab-headers: override CMD := $(value CMD)
lab lab-headers: export CMD := $(value CMD)

.PHONY: lab lab-headers
lab:
	@exec tools/lab/lab

lab-headers:
	@exec tools/lab/kernels.sh headers '$(or $(KERNEL),stock)'
