/* SPDX-License-Identifier: GPL-2.0-only */
/* The strip that shows where in IOVA space the dirty pages are. */
#ifndef IOVAB_HEAT_H
#define IOVAB_HEAT_H

#include "model.h"

/*
 * Adds the dirty pages of one window. Returns false, and leaves the strip as it
 * was, if the event says nothing that could be placed: the scan was skipped, or
 * its length or page size make no sense.
 */
bool heat__add(struct iovab_heat *heat, const struct iovab_window_event *window);

/* A new interval begins. */
void heat__next_interval(struct iovab_heat *heat);

#endif /* IOVAB_HEAT_H */
