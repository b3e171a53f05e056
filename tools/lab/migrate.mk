# SPDX-License-Identifier: GPL-2.0-only
# build/migrate. Included by the top Makefile; works alone, too.

MIGRATE_DIR := $(dir $(lastword $(MAKEFILE_LIST)))
MIGRATE_SRCS := $(wildcard $(MIGRATE_DIR)migrate*.c)
MIGRATE_BUILD ?= $(or $(BUILD),build)

$(MIGRATE_BUILD)/migrate: $(MIGRATE_SRCS) $(MIGRATE_DIR)migrate.h
	@mkdir -p $(@D)
	$(if $(V),,@echo "  CCLD    $@";) \
	$(or $(CC),cc) -std=gnu11 -D_GNU_SOURCE -O2 -g $(CFLAGS) \
		-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wno-missing-field-initializers \
		-o $@ $(MIGRATE_SRCS) $(LDFLAGS) -pthread -ljansson
