// SPDX-License-Identifier: GPL-2.0-only
/* Names of the model's enumerations, as in the JSON contract. */
#include "model.h"

const char *model__client_name(enum iovab_client c)
{
	switch (c) {
	case IOVAB_CLIENT_VFIO:
		return "vfio";
	case IOVAB_CLIENT_IOMMUFD:
		return "iommufd";
	case IOVAB_CLIENT_REF:
		return "ref";
	default:
		return NULL;
	}
}

const char *model__implementation_name(enum iovab_implementation i)
{
	return i == IOVAB_IMPL_REFERENCE ? "reference" : "kernel";
}

const char *model__tier_name(enum iovab_tier t)
{
	switch (t) {
	case IOVAB_TIER_WINDOWS:
		return "windows";
	case IOVAB_TIER_DENSITY:
		return "density";
	case IOVAB_TIER_SETS:
		return "sets";
	}
	return "?";
}

const char *model__phase_name(enum iovab_phase p)
{
	switch (p) {
	case IOVAB_PHASE_PRECOPY:
		return "precopy";
	case IOVAB_PHASE_STOP_COPY:
		return "stop-copy";
	default:
		return NULL;
	}
}

const char *model__policy_name(enum iovab_policy_id p)
{
	switch (p) {
	case IOVAB_POLICY_EAGER:
		return "eager";
	case IOVAB_POLICY_LAZY:
		return "lazy";
	case IOVAB_POLICY_CACHED:
		return "cached";
	default:
		return "?";
	}
}

const char *model__lost_name(enum iovab_lost reason)
{
	switch (reason) {
	case IOVAB_LOST_WINDOW:
		return "window";
	case IOVAB_LOST_PIN:
		return "pin";
	case IOVAB_LOST_BELOW:
		return "below";
	default:
		return "?";
	}
}

const char *model__lost_text(enum iovab_lost reason, enum iovab_implementation i)
{
	if (i == IOVAB_IMPL_REFERENCE)
		return "the report had failed, as its error says";
	switch (reason) {
	case IOVAB_LOST_WINDOW:
		return "outside of the window that was pinned";
	case IOVAB_LOST_PIN:
		return "the bitmap's memory could not be pinned";
	case IOVAB_LOST_BELOW:
		return "the mark began before the report's range";
	default:
		return "?";
	}
}

static const struct {
	const char *name;
	size_t offset;
	bool counts;	/* makes totals too small */
} losses[] = {
#define LOSS(field, counts) { #field, offsetof(struct iovab_losses, field), counts }
	LOSS(slots_full, true),
	LOSS(sources_full, true),
	LOSS(joined_late, true),
	LOSS(marks_unowned, true),
	LOSS(pins_unowned, true),
	LOSS(starts_full, true),
	LOSS(names_cut, false),		/* the row is there, under a shorter name */
	LOSS(events_dropped, false),	/* the strip misses windows, no total does */
	LOSS(marks_dropped, false),	/* counted, but not in the recording */
	LOSS(recursion_missed, true),
	LOSS(callers_full, true),
	LOSS(results_missed, true),
	LOSS(ends_missed, true),
#undef LOSS
};

_Static_assert(sizeof(losses) / sizeof(losses[0]) == MODEL_LOSSES, "a name for each loss");

const char *model__loss_name(unsigned int i)
{
	return losses[i].name;
}

__u64 model__loss(const struct iovab_losses *l, unsigned int i)
{
	return *(const __u64 *)((const char *)l + losses[i].offset);
}

void model__set_loss(struct iovab_losses *l, unsigned int i, __u64 v)
{
	*(__u64 *)((char *)l + losses[i].offset) = v;
}

bool model__loss_counts(unsigned int i)
{
	return losses[i].counts;
}
