/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Clients: the programs around the ioctls of those who ask for reports (VFIO,
 * iommufd), which tell the facility's programs for what they ask.
 *
 * Each client's are an object of their own that is loaded when the client is
 * there, be it as a module that comes long after the facility. Without them
 * reports are counted all the same, for a process whose device is unknown.
 */
#ifndef IOVAB_CLIENTS_H
#define IOVAB_CLIENTS_H

#include <linux/types.h>
#include <stdbool.h>

#include "features.h"
#include "programs.h"

struct clients;
struct iovab_bpf;

/* None is attached yet. NULL with errno set. */
struct clients *clients__new(void);
void clients__free(struct clients *c);

/*
 * Attaches the clients that @f has and that are not attached yet. Their programs
 * share maps with the facility's, which must be loaded. What one refused is in
 * clients__error(); it is not tried again.
 */
void clients__attach(struct clients *c, const struct features *f, struct iovab_bpf *bpf);

/* Why a client's programs are missing, in a line; NULL: none is. */
const char *clients__error(const struct clients *c);

/* The map of HWPTs (struct iovab_hwpt_key to struct iovab_hwpt), or -1. */
int clients__hwpts(const struct clients *c);

/* Adds what the kernel knows of their programs. */
void clients__add_programs(const struct clients *c, struct programs_sum *sum);

#endif /* IOVAB_CLIENTS_H */
