# SPDX-License-Identifier: GPL-2.0-only
# build/migrate and build/crowd, the clients, and build/hammer, which is in the way of who
# watches them. Included by the top Makefile; works alone, too.

MIGRATE_DIR := $(dir $(lastword $(MAKEFILE_LIST)))
MIGRATE_SRCS := $(wildcard $(MIGRATE_DIR)migrate*.c)
MIGRATE_BUILD ?= $(or $(BUILD),build)

CROWD_SRCS := $(addprefix $(MIGRATE_DIR),crowd.c migrate_sysfs.c migrate_vfio.c migrate_engine.c)

$(MIGRATE_BUILD)/migrate: $(MIGRATE_SRCS) $(MIGRATE_DIR)migrate.h
$(MIGRATE_BUILD)/crowd: $(CROWD_SRCS) $(MIGRATE_DIR)migrate.h
$(MIGRATE_BUILD)/hammer: $(MIGRATE_DIR)hammer.c
$(MIGRATE_BUILD)/migrate $(MIGRATE_BUILD)/crowd $(MIGRATE_BUILD)/hammer:
	@mkdir -p $(@D)
	$(if $(V),,@echo "  CCLD    $@";) \
	$(or $(CC),cc) -std=gnu11 -D_GNU_SOURCE -O2 -g $(CFLAGS) \
		-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wno-missing-field-initializers \
		-o $@ $(filter %.c,$^) $(LDFLAGS) -pthread -ljansson
