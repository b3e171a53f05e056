# SPDX-License-Identifier: GPL-2.0-only
# The reference implementation in user space: the kernel's sources as they are, over a
# shim for pages and memory (tests/ref/shim.h).
#
#	make test-reference	unit tests under ASan and UBSan, with 4 and 64 KiB pages; a short fuzz
#	make fuzz-reference [RUNS=10000000]	the long one
#	make bench-reference	against the kernel's own code of 6.1 and of the newest release,
#				out of the linux-source packages, in instructions and in time

BUILD ?= build
REF_BUILD := $(BUILD)/tests/ref

# every kernel header that the sources include; each is the shim
ref_headers := linux/compiler.h linux/err.h linux/ktime.h linux/log2.h linux/minmax.h linux/mm.h linux/mm_types.h linux/module.h \
	       linux/sched.h linux/sched/mm.h linux/sched/signal.h linux/slab.h linux/string.h \
	       linux/tracepoint.h linux/uaccess.h trace/define_trace.h
ref_shims := $(ref_headers:%=$(REF_BUILD)/shim/%)
ref_sources := kernel/ref_bitmap.c kernel/ref_tables.c kernel/ref_pages.c
ref_deps := $(ref_sources) $(wildcard kernel/ref*.h include/iovab_bitmap.h include/iovab_policy.h tests/ref/*.h) \
	    $(ref_shims)

REF_CFLAGS = -std=gnu11 -D_GNU_SOURCE $(WARNINGS) -Wno-sign-compare -g -fno-omit-frame-pointer \
	     -I$(REF_BUILD)/shim -iquote kernel -iquote include -iquote tests/ref
REF_SANITIZE := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all

$(ref_shims):
	@mkdir -p $(@D)
	@echo '#include "shim.h"' > $@

# what replays marks, held against the reference
$(REF_BUILD)/policy.o: user/policy.c $(wildcard user/*.h include/*.h)
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(USER_CFLAGS) $(REF_SANITIZE) -g -c $< -o $@

$(REF_BUILD)/test_ref: tests/ref/test_ref.c tests/ref/shim.c $(ref_deps) $(REF_BUILD)/policy.o
	$(say) CC $@
	$(Q)$(CC) $(REF_CFLAGS) -iquote user $(REF_SANITIZE) $(filter %.c %.o,$^) -lcmocka -o $@

$(REF_BUILD)/test_ref_64k: tests/ref/test_ref.c tests/ref/shim.c $(ref_deps) $(REF_BUILD)/policy.o
	$(say) CC $@
	$(Q)$(CC) $(REF_CFLAGS) -iquote user -DSHIM_PAGE_SHIFT=16 $(REF_SANITIZE) $(filter %.c %.o,$^) -lcmocka -o $@

# as small as can be: CPU pages of 64 bytes
REF_SMALL := -DSHIM_PAGE_SHIFT=6 -DIOVAB_TABLE_BYTES=1024 -DIOVAB_WINDOW_BYTES=256 -DIOVAB_TABLES_MAX=4

$(REF_BUILD)/fuzz: tests/ref/fuzz.c tests/ref/shim.c $(ref_deps)
	$(say) CLANG $@
	$(Q)$(CLANG) $(REF_CFLAGS) $(REF_SMALL) -O2 -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all $(filter %.c,$^) -o $@

.PHONY: test-reference
# For a machine of the other byte order, if there is a compiler for it
BIG_ENDIAN_CC ?= s390x-linux-gnu-gcc
$(REF_BUILD)/replay_big_endian: tests/ref/replay_seeds.c tests/ref/fuzz.c tests/ref/shim.c $(ref_deps)
	$(say) CC $@
	$(Q)$(BIG_ENDIAN_CC) $(REF_CFLAGS) $(REF_SMALL) -O2 -static $(filter %.c,$^) -o $@ 2> $@.log || rm -f $@

ref_tests := $(REF_BUILD)/test_ref $(REF_BUILD)/test_ref_64k $(REF_BUILD)/fuzz $(REF_BUILD)/replay_big_endian
suites_need += $(ref_tests)
test-reference: $(ref_tests)
	$(Q)FUZZ=$(REF_BUILD)/fuzz REPLAY=$(REF_BUILD)/replay_big_endian tests/unit/run \
		$(REF_BUILD)/test_ref $(REF_BUILD)/test_ref_64k tests/ref/fuzz_short tests/ref/big_endian

# --- benchmarks ---

REF_BENCH_CFLAGS = $(filter-out -fno-omit-frame-pointer,$(REF_CFLAGS)) -O2 -fno-strict-aliasing -DSHIM_BENCH
ref_bench_shims := $(REF_BUILD)/kernel-shim/linux/highmem.h $(REF_BUILD)/kernel-shim/linux/mm.h \
		   $(REF_BUILD)/kernel-shim/linux/slab.h

$(ref_bench_shims):
	@mkdir -p $(@D)
	@echo '#include "bench_kernel.h"' > $@

$(REF_BUILD)/source-%/release:
	$(say) SOURCE $@
	$(Q)tests/ref/kernel-source $* $(@D)

# the kernel's names, so that two releases fit one program: old_set, new_set ...
ref_renamed = $(foreach call,alloc for_each set free,-Diova_bitmap_$(call)=$(1)_$(call))

define ref_kernel_object
$(REF_BUILD)/kernel_$(1).o: $(REF_BUILD)/source-$(2)/release tests/ref/bench_kernel.h tests/ref/shim.h $(ref_bench_shims)
	$$(say) CC $$@
	$$(Q)$$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g -fno-strict-aliasing -DSHIM_BENCH $$(call ref_renamed,$(1)) \
		-I$(REF_BUILD)/kernel-shim -I$(REF_BUILD)/source-$(2) -iquote tests/ref -include bench_kernel.h \
		-c $(REF_BUILD)/source-$(2)/iova_bitmap.c -o $$@
endef
$(eval $(call ref_kernel_object,old,stock))
$(eval $(call ref_kernel_object,new,newest))

$(REF_BUILD)/bench: tests/ref/bench.c $(REF_BUILD)/kernel_old.o $(REF_BUILD)/kernel_new.o $(ref_deps)
	$(say) CC $@
	$(Q)$(CC) $(REF_BENCH_CFLAGS) $(filter %.c %.o,$^) -o $@

.PHONY: bench-reference fuzz-reference
bench-reference: deps-bench
	$(Q)$(MAKE) -s --no-print-directory $(REF_BUILD)/bench
	$(Q)tests/ref/bench-table $(REF_BUILD)

RUNS ?= 10000000
fuzz-reference: $(REF_BUILD)/fuzz
	$(Q)tests/ref/corpus unpack $(REF_BUILD)/corpus
	$(Q)cd $(REF_BUILD) && ./fuzz -runs=$(RUNS) -max_len=512 corpus
