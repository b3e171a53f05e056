# SPDX-License-Identifier: GPL-2.0-only
# What watching costs, measured in the lab: docs/cost.md.
#
#	make bench		the whole table, in instructions, and as ratios of time
#	make test-lab ONLY=cost	the goals alone, as make test holds them

COST_BUILD := $(BUILD)/tests/cost

$(COST_BUILD)/empty.bpf.o: tests/cost/empty.bpf.c
	$(say) CLANG $@
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -c $< -o $@

$(COST_BUILD)/empty.skel.h: $(COST_BUILD)/empty.bpf.o
	$(say) SKEL $@
	$(Q)$(BPFTOOL) gen skeleton $< name empty_bpf > $@

$(COST_BUILD)/empty: tests/cost/empty.c $(COST_BUILD)/empty.skel.h
	$(say) CCLD $@
	$(Q)$(CC) $(CFLAGS) $(USER_CFLAGS) -iquote $(COST_BUILD) $< -o $@ -lbpf

$(COST_BUILD)/marks/made: tests/lab/workloads.py
	$(say) GEN $@
	$(Q)$< $(@D)
	$(Q)touch $@

.PHONY: cost-programs bench
cost-programs: $(COST_BUILD)/empty $(COST_BUILD)/marks/made

bench: deps-bench
	$(Q)$(MAKE) -s --no-print-directory all cost-programs
	$(Q)tests/cost/bench
