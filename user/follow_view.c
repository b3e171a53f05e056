// SPDX-License-Identifier: GPL-2.0-only
#include "follow_view.h"

#include <errno.h>
#include <string.h>

#include "columns.h"
#include "flow.h"
#include "json.h"
#include "json_value.h"
#include "units.h"

#define SCHEMA	"iovab.policy/1"

/* NULL: no report of the row was seen. */
static const struct follow_row *find_row(const struct follow_view *v, const struct iovab_row *row)
{
	size_t n, i;
	const struct follow_row *rows = follow__rows(v->follow, &n);

	for (i = 0; i < n; i++)
		if (rows[i].source_id == row->source_id)
			return &rows[i];
	return NULL;
}

/* --- text --- */

static void put_pins(struct flow *f, const char *who, const struct iovab_pins *pins)
{
	char windows[IOVAB_UNITS_LEN], pages[IOVAB_UNITS_LEN], repins[IOVAB_UNITS_LEN];

	flow__words(f, "%s: %s windows, %s pages pinned, %s repins", who,
		    units__exact(windows, sizeof(windows), pins->windows),
		    units__exact(pages, sizeof(pages), pins->pages),
		    pins->repins_unknown ? "?" : units__exact(repins, sizeof(repins), pins->repins));
	flow__end(f);
}

static void put_missing(struct flow *f, __u64 n, const char *why)
{
	char count[IOVAB_UNITS_LEN];

	if (!n)
		return;
	flow__words(f, "INCOMPLETE: %s reports are not among these: %s.",
		    units__exact(count, sizeof(count), n), why);
	flow__end(f);
}

static void write_row(FILE *out, const struct follow_view *v, const struct iovab_row *row)
{
	struct flow f = { .out = out, .width = v->width, .charset = v->charset, .indent = 2 };
	const struct follow_row *r = find_row(v, row);
	char name[COLUMNS_CELL_LEN], reports[IOVAB_UNITS_LEN], marks[IOVAB_UNITS_LEN];

	columns__find("device")->format(name, sizeof(name), row, COLUMNS_TOTAL, v->charset);
	if (!r) {
		flow__words(&f, "%s: no report", name);
		flow__end(&f);
		return;
	}
	flow__words(&f, "%s: %s reports, %s marks", name,
		    units__exact(reports, sizeof(reports), r->followed),
		    units__exact(marks, sizeof(marks), r->marks));
	flow__end(&f);
	if (r->followed) {
		fputs("  ", out);
		put_pins(&f, "observed", &r->observed);
		fputs("  ", out);
		put_pins(&f, model__policy_name(v->policy->id), &r->pins);
	}
	put_missing(&f, r->incomplete, "the recording does not have all of their marks");
	put_missing(&f, r->ended_badly, "they ended with an error or had marks of length 0");
}

int follow_view__text(FILE *out, const struct follow_view *v)
{
	struct flow f = { .out = out, .width = v->width, .charset = v->charset };
	char count[IOVAB_UNITS_LEN];
	size_t i;

	if (v->policy->id == IOVAB_POLICY_CACHED)
		flow__words(&f, "Policy cached, as the reference's: pins what is marked, and keeps it in %u stretches of 2 MiB of bitmap.",
			    v->policy->tables);
	else if (v->policy->id == IOVAB_POLICY_LAZY)
		flow__words(&f, "Policy lazy, as Linux 6.11 and later: pins from the mark on, keeps one window.");
	else
		flow__words(&f, "Policy eager, as Linux 6.1 to 6.7: pins each window in turn, dirty or not.");
	flow__end(&f);
	if (v->marks_missing) {
		flow__words(&f, "%s marks are missing from the recording.",
			    units__exact(count, sizeof(count), v->marks_missing));
		flow__end(&f);
	}
	for (i = 0; i < v->snapshot->n_rows; i++)
		write_row(out, v, &v->snapshot->rows[i]);
	return ferror(out) ? -EIO : 0;
}

/* --- JSON --- */

static json_t *pins_object(const struct iovab_pins *pins, int *err)
{
	json_t *o = json_object();

	json_value__put(o, "windows", json_value__integer(pins->windows), err);
	json_value__put(o, "pages_pinned", json_value__integer(pins->pages), err);
	if (pins->repins_unknown)
		json_value__put(o, "unknown", json_pack("[s]", "repins"), err);
	else
		json_value__put(o, "repins", json_value__integer(pins->repins), err);
	return o;
}

static void put_name(json_t *o, const char *key, const char *raw, size_t size, int *err)
{
	if (raw[0])
		json_value__put(o, key, json__string(raw, size), err);
}

static json_t *row_object(const struct follow_view *v, const struct iovab_row *row, int *err)
{
	static const struct follow_row none;
	const struct follow_row *r = find_row(v, row);
	const char *client = model__client_name(row->client);
	json_t *o = json_object();

	r = r ? r : &none;
	json_value__put(o, "schema", json_string(SCHEMA), err);
	json_value__put(o, "policy", json_string(model__policy_name(v->policy->id)), err);
	if (v->policy->id == IOVAB_POLICY_CACHED)
		json_value__put(o, "windows_kept", json_integer(v->policy->tables), err);
	if (client)
		json_value__put(o, "client", json_string(client), err);
	put_name(o, "device", row->device, sizeof(row->device), err);
	if (row->hwpt)
		json_value__put(o, "hwpt", json_integer(row->hwpt), err);
	json_value__put(o, "pid", json_integer(row->pid), err);
	put_name(o, "vm", row->vm, sizeof(row->vm), err);
	json_value__put(o, "reports", json_value__integer(r->followed), err);
	json_value__put(o, "reports_incomplete", json_value__integer(r->incomplete), err);
	json_value__put(o, "reports_ended_badly", json_value__integer(r->ended_badly), err);
	json_value__put(o, "marks", json_value__integer(r->marks), err);
	json_value__put(o, "pinned", pins_object(&r->pins, err), err);
	json_value__put(o, "observed", pins_object(&r->observed, err), err);
	return o;
}

int follow_view__json(FILE *out, const struct follow_view *v)
{
	size_t i;
	int err = 0;

	for (i = 0; i < v->snapshot->n_rows && !err; i++) {
		json_t *o = row_object(v, &v->snapshot->rows[i], &err);

		err = err ? err : json_value__write_line(out, o);
		json_decref(o);
	}
	return err;
}
