// SPDX-License-Identifier: GPL-2.0-only
#include "probe.h"

#include <errno.h>
#include <jansson.h>
#include <sys/utsname.h>

#include "model.h"

/* The tiers, and what each adds to the one before. */
static const char *const tier_adds[] = {
	[IOVAB_TIER_WINDOWS] = "reports, latency, windows, repins, pinned pages, pin failures",
	[IOVAB_TIER_DENSITY] = "dirty, density, clean windows",
	[IOVAB_TIER_SETS] = "marked, redundant, lost, overshoot, stray bits, runs, order",
};

static const char *const method_names[] = {
	[FEATURES_TRAMPOLINE] = "trampoline",
	[FEATURES_KPROBE] = "kprobe",
};

static const char *release(struct utsname *u)
{
	return uname(u) ? "?" : u->release;
}

static void write_hooks(FILE *out, const struct features *f)
{
	size_t i;

	for (i = 0; i < FEATURES_SIGNALS; i++) {
		const struct features_hook *h = &f->hooks[i];

		fprintf(out, "%-10s %-22s ", h->signal, h->function);
		if (!h->method)
			fputs("not in this kernel, or inlined: cannot be seen\n", out);
		else if (h->why)
			fprintf(out, "%s (%s) %s\n", method_names[h->method], h->why, h->how);
		else
			fprintf(out, "%s %s\n", method_names[h->method], h->how);
	}
}

static void write_tiers(FILE *out, const struct features *f)
{
	enum iovab_tier t, best = features__best_tier(f);

	for (t = IOVAB_TIER_WINDOWS; t <= IOVAB_TIER_SETS; t++)
		fprintf(out, "tier       %-22s %s%s\n", model__tier_name(t),
			t <= best ? "" : "not here: ", tier_adds[t]);
}

static void write_reference(FILE *out, const struct features *f)
{
	fprintf(out, "client     %-22s %s\n", "ref", f->reference ?
		"reports of the reference implementation, by its own tracepoints" :
		"its module, iovab_ref, is not loaded");
}

int probe__write_text(FILE *out, const struct features *f)
{
	struct utsname u;

	fprintf(out, "kernel     %s\n", release(&u));
	if (!f->present) {
		fputs(f->expected ?
		      "facility   not there yet: the module vfio, which may bring it, is not loaded\n" :
		      "facility   none: this kernel has no iova_bitmap\n", out);
		write_reference(out, f);
	} else {
		fprintf(out, "facility   in %s, generation %s\n", f->where,
			features__describe(f->generation));
		write_hooks(out, f);
		fprintf(out, "client     %-22s %s\n", "vfio",
			f->vfio ? "reports of devices, and their phase" : "not there, or its module is not loaded");
		fprintf(out, "client     %-22s %s\n", "iommufd", f->iommufd ?
			"reports of HWPTs, with the devices attached to them" :
			"not there, or its module is not loaded");
		write_reference(out, f);
		write_tiers(out, f);
	}
	return fflush(out) ? -errno : 0;
}

static json_t *json_hooks(const struct features *f)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < FEATURES_SIGNALS; i++) {
		const struct features_hook *h = &f->hooks[i];
		json_t *o = json_pack("{s:s,s:b,s:s}", "signal", h->signal,
				      "found", h->method != FEATURES_NO_METHOD,
				      "tier", model__tier_name(h->tier));

		json_object_set_new(o, "function", json_string(h->function));
		if (h->method)
			json_object_set_new(o, "method", json_string(method_names[h->method]));
		if (h->method)
			json_object_set_new(o, "how", json_string(h->how));
		if (h->why)
			json_object_set_new(o, "why", json_string(h->why));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *json_clients(const struct features *f)
{
	json_t *list = json_array();

	if (f->vfio)
		json_array_append_new(list, json_string("vfio"));
	if (f->iommufd)
		json_array_append_new(list, json_string("iommufd"));
	if (f->reference)
		json_array_append_new(list, json_string("ref"));
	return list;
}

static json_t *json_tiers(const struct features *f)
{
	enum iovab_tier t, best = features__best_tier(f);
	json_t *list = json_array();

	for (t = IOVAB_TIER_WINDOWS; t <= best; t++)
		json_array_append_new(list, json_string(model__tier_name(t)));
	return list;
}

int probe__write_json(FILE *out, const struct features *f)
{
	struct utsname u;
	json_t *o = json_pack("{s:s,s:s,s:b}", "schema", "iovab.probe/1", "kernel", release(&u),
			      "present", f->present);
	int err;

	if (f->present) {
		json_object_set_new(o, "where", json_string(f->where));
		json_object_set_new(o, "generation", json_string(features__name(f->generation)));
		json_object_set_new(o, "hooks", json_hooks(f));
	}
	if (f->present || f->reference)
		json_object_set_new(o, "clients", json_clients(f));
	if (f->present)
		json_object_set_new(o, "tiers", json_tiers(f));
	err = !o || json_dumpf(o, out, JSON_COMPACT | JSON_ENSURE_ASCII) ||
	      fputc('\n', out) == EOF || fflush(out);
	json_decref(o);
	return err ? -(errno ? errno : ENOMEM) : 0;
}
