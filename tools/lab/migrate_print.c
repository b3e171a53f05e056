// SPDX-License-Identifier: GPL-2.0-only
/* What a run found, as a line of text or a JSON object. */
#include "migrate.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

static const char *human_bytes(uint64_t bytes, char *text, size_t size)
{
	static const char * const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = bytes;
	unsigned int unit = 0;

	while (value >= 1024 && unit < 6) {
		value /= 1024;
		unit++;
	}
	snprintf(text, size, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return text;
}

static const char *agreement_text(enum migrate_agreement agreement)
{
	switch (agreement) {
	case AGREEMENT_YES:
		return "the device's account agrees";
	case AGREEMENT_NO:
		return "the device's account DISAGREES";
	default:
		return "nothing to compare them with";
	}
}

void migrate_print__text(const struct migrate_device *device)
{
	uint64_t new_bits = device->count.bits - device->count.preset_bits;
	char dirty[32], page[32];

	printf("%s: %" PRIu64 " reports in %" PRIu64 " precopy rounds and the last, pages of %s: %" PRIu64
	       " dirty pages (%s), %" PRIu64 " stray bits; reports took %.3f ms, the longest %.3f ms, those while stopped %.3f ms; %s\n",
	       device->name, device->reports, device->rounds,
	       human_bytes(device->page_bytes, page, sizeof(page)), new_bits,
	       human_bytes(new_bits * device->page_bytes, dirty, sizeof(dirty)),
	       device->count.stray_bits, device->report_ns / 1e6, device->report_ns_max / 1e6,
	       device->stop_copy_ns / 1e6, agreement_text(device->agreement));
}

static json_t *truth_object(const struct engine_truth *truth)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			 "calls", (json_int_t)truth->calls,
			 "marks", (json_int_t)truth->marks,
			 "marked_bytes", (json_int_t)truth->marked_bytes,
			 "overshoot_bytes", (json_int_t)truth->overshoot_bytes,
			 "cross_bytes", (json_int_t)truth->cross_bytes,
			 "distinct_bytes", (json_int_t)truth->distinct_bytes,
			 "dirtied_bytes", (json_int_t)truth->dirtied_bytes,
			 "dropped_bytes", (json_int_t)truth->dropped_bytes);
}

static json_t *device_object(const struct migrate_device *device)
{
	uint64_t new_bits = device->count.bits - device->count.preset_bits;

	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:{s:I, s:I, s:I}}",
			 "device", device->name,
			 "pid", (json_int_t)getpid(),
			 "page_size", (json_int_t)device->page_bytes,
			 "tracked_page_size", (json_int_t)device->tracked_bytes,
			 "reports", (json_int_t)device->reports,
			 "rounds", (json_int_t)device->rounds + 1,
			 "bits", (json_int_t)device->count.bits,
			 "preset_bits", (json_int_t)device->count.preset_bits,
			 "new_bits", (json_int_t)new_bits,
			 "bytes", (json_int_t)(new_bits * device->page_bytes),
			 "stray_bits", (json_int_t)device->count.stray_bits,
			 "report_ns",
			 "sum", (json_int_t)device->report_ns,
			 "max", (json_int_t)device->report_ns_max,
			 "stop_copy", (json_int_t)device->stop_copy_ns);
}

/* One line. What is not known (truth, agree) is absent. */
int migrate_print__json(const struct migrate_device *device)
{
	json_t *object = device_object(device);
	int err = object ? 0 : -1;

	if (!err && device->engine_path)
		err = json_object_set_new(object, "truth", truth_object(&device->truth));
	if (!err && device->agreement != AGREEMENT_UNKNOWN)
		err = json_object_set_new(object, "agree",
					  json_boolean(device->agreement == AGREEMENT_YES));
	if (!err)
		err = json_dumpf(object, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
	json_decref(object);
	if (err)
		return migrate_error(ENOMEM, "%s: cannot print the result", device->name);
	putchar('\n');
	return 0;
}
