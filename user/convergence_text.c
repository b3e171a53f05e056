// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "columns.h"
#include "convergence.h"

const char *convergence__short(const struct iovab_migration *m)
{
	if (!m->n)
		return units__absent(IOVAB_VALUE_NOT_MEASURED);
	switch (m->verdict) {
	case IOVAB_VERDICT_EARLY:
		return "early";
	case IOVAB_VERDICT_CONVERGES:
		return "yes";
	case IOVAB_VERDICT_STUCK:
		return m->hinders ? "NO" : "(no)";
	case IOVAB_VERDICT_ENDED:
		return "ended";
	case IOVAB_VERDICT_UNKNOWN:
		return units__absent(IOVAB_VALUE_UNKNOWN);
	default:
		return units__absent(IOVAB_VALUE_NOT_MEASURED);
	}
}

static const char *bytes(char buf[IOVAB_UNITS_LEN], struct iovab_ratio r)
{
	struct iovab_value v = { r.state, r.v > 0 ? (__u64)(r.v + 0.5) : 0 };

	return units__value(buf, IOVAB_UNITS_LEN, v, UNITS_BYTES, TEXT_ASCII);
}

static const char *rate(char buf[IOVAB_UNITS_LEN], struct iovab_ratio r)
{
	const char *absent = units__absent(r.state);

	return absent ? absent : units__bytes_per_second(buf, IOVAB_UNITS_LEN, r.v);
}

static const char *length(char buf[IOVAB_UNITS_LEN], struct iovab_ratio s, enum text_charset cs)
{
	const char *absent = units__absent(s.state);

	return absent ? absent : units__duration(buf, IOVAB_UNITS_LEN, (__u64)(s.v * 1e9), cs);
}

/* The two halves of the rounds that were judged. */
static void put_rounds(struct flow *f, const struct iovab_migration *m)
{
	char early[IOVAB_UNITS_LEN], late[IOVAB_UNITS_LEN];

	flow__words(f, "a round leaves %s dirty (mean of %zu), those before left %s.",
		    bytes(late, m->all_late_bytes), m->judged / 2, bytes(early, m->all_early_bytes));
}

static void put_verdict(struct flow *f, const struct iovab_migration *m)
{
	switch (m->verdict) {
	case IOVAB_VERDICT_EARLY:
		flow__words(f, "Too early to tell, after %zu round%s.", m->n, m->n == 1 ? "" : "s");
		break;
	case IOVAB_VERDICT_CONVERGES:
		flow__words(f, "It does:");
		put_rounds(f, m);
		break;
	case IOVAB_VERDICT_STUCK:
		flow__words(f, m->hinders ? "IT DOES NOT CONVERGE:" :
					    "It does not converge, because of another device:");
		put_rounds(f, m);
		break;
	case IOVAB_VERDICT_ENDED:
		flow__words(f, "It came to its end, with the device stopped, after %zu round%s.", m->n,
			    m->n == 1 ? "" : "s");
		break;
	case IOVAB_VERDICT_UNKNOWN:
		flow__words(f, "Unknown, for not every bitmap was read.");
		break;
	default:
		flow__words(f, "Not measured at this tier.");
		break;
	}
}

/* A round sends what the one before it left: so long would the VM have to stand for that. */
static void put_need(struct flow *f, const struct iovab_migration *m)
{
	char need[IOVAB_UNITS_LEN], round[IOVAB_UNITS_LEN];

	if (m->verdict == IOVAB_VERDICT_STUCK)
		flow__words(f, "More than %s must be sent for its devices alone, or a downtime as long "
			    "as a round allowed, %s.", rate(need, m->all_needed_per_s),
			    length(round, m->round_s, f->charset));
	else if (m->verdict == IOVAB_VERDICT_ENDED && m->stuck_rounds)
		flow__words(f, "After %zu of them what a round dirties did not fall: more than %s was "
			    "needed for its devices alone.", m->stuck_rounds,
			    rate(need, m->all_stuck_per_s));
	else if (m->all_needed_per_s.state == IOVAB_VALUE_KNOWN)
		flow__words(f, "More than %s must be sent for its devices alone.",
			    rate(need, m->all_needed_per_s));
}

static void put_share(struct flow *f, const struct iovab_migration *m)
{
	char share[IOVAB_UNITS_LEN];

	if (m->devices < 2 || m->share.state != IOVAB_VALUE_KNOWN)
		return;
	flow__words(f, "Of that %s is this device's, of %zu.",
		    units__percent(share, sizeof(share), m->share.v), m->devices);
}

static void put_bandwidth(struct flow *f, const struct iovab_migration *m, __u64 bandwidth)
{
	char sent[IOVAB_UNITS_LEN], ns[IOVAB_UNITS_LEN];

	if (!bandwidth || m->all_needed_per_s.state != IOVAB_VALUE_KNOWN)
		return;
	units__bytes_per_second(sent, sizeof(sent), (double)bandwidth);
	if (m->all_needed_per_s.v >= (double)bandwidth)
		flow__words(f, "At %s it does not converge: as much is dirtied as is sent.", sent);
	else if (m->has_stop && m->stop.dirty_bytes.state == IOVAB_VALUE_KNOWN)
		flow__words(f, "At %s it converges, and what was dirty at the end takes %s to send.", sent,
			    units__duration(ns, sizeof(ns), (__u64)((double)m->stop.dirty_bytes.v /
								    (double)bandwidth * 1e9),
					    f->charset));
	else
		flow__words(f, "At %s it converges, as far as devices go.", sent);
}

void convergence__put(struct flow *f, const struct iovab_migration *m, __u64 bandwidth)
{
	put_verdict(f, m);
	put_need(f, m);
	put_share(f, m);
	put_bandwidth(f, m, bandwidth);
}

/* --- all that do not converge --- */

static bool is_stuck(const struct iovab_row *row)
{
	return row->migration.n && row->migration.verdict == IOVAB_VERDICT_STUCK;
}

static bool same_migration(const struct iovab_row *a, const struct iovab_row *b)
{
	return a->pid == b->pid && a->migration.all_start_ns == b->migration.all_start_ns;
}

static void put_owner(struct flow *f, const struct iovab_row *row)
{
	char text[TEXT_ESCAPED_LEN];

	if (row->vm[0]) {
		text__escape(text, sizeof(text), row->vm, sizeof(row->vm), f->charset);
		flow__words(f, "VM %s,", text);
	}
	flow__words(f, "pid %u,", row->pid);
}

static void put_device(struct flow *f, const struct iovab_row *row, const char *behind)
{
	char name[COLUMNS_CELL_LEN], share[IOVAB_UNITS_LEN];

	columns__find("device")->format(name, sizeof(name), row, COLUMNS_TOTAL, f->charset);
	flow__words(f, "%s (%s)%s", name, units__ratio_percent(share, sizeof(share), row->migration.share),
		    behind);
}

/* @first: the first row of the migration. */
static void put_devices(struct flow *f, const struct iovab_snapshot *s, const struct iovab_row *first)
{
	const struct iovab_row *row, *last = NULL;

	flow__words(f, "hindered by");
	for (row = first; row < s->rows + s->n_rows; row++) {
		if (!is_stuck(row) || !row->migration.hinders || !same_migration(first, row))
			continue;
		if (last)
			put_device(f, last, ",");
		last = row;
	}
	if (last)
		put_device(f, last, ":");
}

/* What matters most comes first: on a screen it may be cut. */
bool convergence__put_stuck(struct flow *f, const struct iovab_snapshot *s, size_t i)
{
	const struct iovab_row *row = &s->rows[i];
	char late[IOVAB_UNITS_LEN], need[IOVAB_UNITS_LEN], round[IOVAB_UNITS_LEN];
	size_t j;

	if (!is_stuck(row))
		return false;
	for (j = 0; j < i; j++)
		if (is_stuck(&s->rows[j]) && same_migration(&s->rows[j], row))
			return false;
	flow__words(f, "DOES NOT CONVERGE:");
	put_owner(f, row);
	put_devices(f, s, row);
	flow__words(f, "%s a round, not falling in %zu rounds; needs more than %s, or %s of downtime",
		    bytes(late, row->migration.all_late_bytes), row->migration.judged,
		    rate(need, row->migration.all_needed_per_s),
		    length(round, row->migration.round_s, f->charset));
	return true;
}

size_t convergence__write_stuck(FILE *out, const struct iovab_snapshot *s, unsigned int width,
				enum text_charset cs)
{
	struct flow f = { .out = out, .width = width, .charset = cs, .indent = 2 };
	size_t i, n = 0;

	for (i = 0; i < s->n_rows; i++) {
		n += convergence__put_stuck(&f, s, i);
		flow__end(&f);
	}
	return n;
}
