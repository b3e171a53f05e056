// SPDX-License-Identifier: GPL-2.0-only
/*
 * One family after the other, as the formats want it, and in each all accounts.
 * What an account does not know is left out: an absent series says so, a 0
 * would say something else.
 */
#include "metrics.h"

#include <stddef.h>
#include <string.h>

#include "labels.h"
#include "process.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* --- counters of accounts --- */

static const struct counter {
	struct exposition_family family;
	enum iovab_figure figure;
} counters[] = {
#define COUNTER(name, unit, figure, help) \
	{ { "iovab_" name, EXPOSITION_COUNTER, unit, help }, IOVAB_FIG_##figure }
	COUNTER("reports", NULL, REPORTS, "Reports of dirty pages that ended, with or without an error."),
	COUNTER("report_errors", NULL, REPORT_ERRORS, "Reports that ended with an error."),
	COUNTER("range_bytes", "bytes", RANGE_BYTES, "IOVA that reports asked about."),
	COUNTER("windows", NULL, WINDOWS, "Windows of bitmap that were pinned."),
	COUNTER("clean_windows", NULL, WINDOWS_CLEAN, "Windows in which no bit was newly set. Tiers density and sets."),
	COUNTER("repins", NULL, REPINS, "Windows whose first IOVA had been pinned before in the same report."),
	COUNTER("pin_failures", NULL, PIN_FAILURES, "Pins of bitmap that failed."),
	COUNTER("scan_skipped_windows", NULL, SCAN_SKIPPED, "Windows whose bitmap could not be read: what follows from it is unknown. Tiers density and sets."),
	COUNTER("dirty_bytes", "bytes", DIRTY_BYTES, "Memory whose bit went from 0 to 1 in the bitmap. Tiers density and sets."),
	COUNTER("marks", NULL, SET_CALLS, "Calls of the driver that mark pages. Tier sets."),
	COUNTER("marked_bytes", "bytes", MARKED_BYTES, "Memory that marks covered inside the range, each mark counted. Tier sets."),
	COUNTER("redundant_bytes", "bytes", REDUNDANT_BYTES, "Memory that was marked, but neither dirty nor lost. Tier sets."),
	COUNTER("lost_bytes", "bytes", LOST_BYTES, "Memory that was marked, but whose bit did not reach the bitmap. Tier sets."),
	COUNTER("overshoot_bytes", "bytes", OVERSHOOT_BYTES, "Memory that marks covered outside of the range. Tier sets."),
	COUNTER("stray", NULL, STRAY_BITS, "Bits that were written outside of the bitmap: user memory overwritten. Tier sets."),
	COUNTER("empty_marks", NULL, EMPTY_MARKS, "Marks of length 0, for which the kernel may set any bits. Tier sets."),
	COUNTER("wild_marks", NULL, WILD_MARKS, "Marks for which the kernel sets bits that are not theirs, empty ones too. Tier sets."),
#undef COUNTER
};

static const struct exposition_family
rounds = { "iovab_rounds", EXPOSITION_COUNTER, NULL,
	"Passes over the memory: a report that does not begin above the one before begins one." },
pinned_pages_total = { "iovab_pinned_pages", EXPOSITION_COUNTER_BESIDE_GAUGE, NULL,
	"CPU pages of bitmap that were pinned, each pin counted." },
pinned_pages = { "iovab_pinned_pages", EXPOSITION_GAUGE, NULL,
	"CPU pages of bitmap that are pinned now." },
in_flight = { "iovab_reports_in_flight", EXPOSITION_GAUGE, NULL,
	"Reports that are under way now." },
oldest = { "iovab_oldest_report_age_seconds", EXPOSITION_GAUGE, "seconds",
	"Age of the oldest report that is under way; absent if there is none." },
report_duration = { "iovab_report_duration_seconds", EXPOSITION_HISTOGRAM, "seconds",
	"Duration of reports, from the bitmap object's allocation to its freeing." },
pin_duration = { "iovab_pin_duration_seconds", EXPOSITION_HISTOGRAM, "seconds",
	"Duration of pins of bitmap, failed ones too." },
density = { "iovab_window_density_ratio", EXPOSITION_HISTOGRAM, "ratio",
	"Part of the pages of a window that were newly dirty, of windows that were read. Tiers density and sets." },
unmeasured = { "iovab_unmeasured_reports", EXPOSITION_COUNTER, NULL,
	"Reports that were not measured at this tier, since it was dropped to keep to the budget: the counters of the tier do not have them." },
lost_by = { "iovab_lost_reason_bytes", EXPOSITION_COUNTER, "bytes",
	"Lost memory by reason, of devices that lost any. Tier sets." },
what_if_reports = { "iovab_what_if_reports", EXPOSITION_COUNTER, NULL,
	"Reports whose marks were followed through other policies of pinning. Tier sets." },
what_if_windows = { "iovab_what_if_windows", EXPOSITION_COUNTER, NULL,
	"Windows that a policy would have pinned in these reports. Tier sets." },
what_if_pages = { "iovab_what_if_pinned_pages", EXPOSITION_COUNTER, NULL,
	"CPU pages of bitmap that a policy would have pinned in these reports. Tier sets." },
what_if_repins = { "iovab_what_if_repins", EXPOSITION_COUNTER, NULL,
	"Windows that a policy would have pinned again in these reports; absent if there were too many to tell. Tier sets." },
device_info = { "iovab_device", EXPOSITION_INFO, NULL,
	"What a device is: its name below /dev/vfio/devices, and whose implementation of the bitmap it uses." };

/* --- the last migration --- */

static const struct exposition_family
migration_end = { "iovab_last_migration_end_timestamp_seconds", EXPOSITION_GAUGE, "seconds",
	"When the last report of the last migration ended, in Unix time." },
migration_rounds = { "iovab_last_migration_rounds", EXPOSITION_GAUGE, NULL,
	"Rounds of the last migration, so far if it goes on." },
migration_peak = { "iovab_last_migration_peak_dirty_bytes_per_second", EXPOSITION_GAUGE, NULL,
	"Most dirty memory a second from one round to the next of the last migration. Tiers density and sets." },
migration_downtime = { "iovab_last_migration_downtime_seconds", EXPOSITION_GAUGE, "seconds",
	"Time of the last migration's reports with the device stopped: their part of the downtime; absent if no phase is known." };

/* --- what concerns the whole --- */

static const struct exposition_family
up = { "iovab_up", EXPOSITION_GAUGE, NULL,
	"1 if dirty tracking is watched, or will be as soon as the module vfio is there; 0 if it cannot be: the log says why." },
attached = { "iovab_attached", EXPOSITION_GAUGE, NULL,
	"1 if the programs are attached to the kernel." },
build_info = { "iovab_build", EXPOSITION_INFO, NULL, "Version of iovab-exporter." },
tier_info = { "iovab_tier", EXPOSITION_GAUGE, NULL,
	"1 for the tier of cost at which it measures now." },
tier_dropped = { "iovab_tier_dropped", EXPOSITION_GAUGE, NULL,
	"How many tiers this is below the one that was asked for, to keep to the budget." },
tier_drops = { "iovab_tier_drops", EXPOSITION_COUNTER, NULL,
	"How often a tier was dropped." },
budget_limit = { "iovab_budget_ratio", EXPOSITION_GAUGE, "ratio",
	"Part of one CPU that the BPF programs may take." },
budget_used = { "iovab_budget_used_ratio", EXPOSITION_GAUGE, "ratio",
	"Part of one CPU that they took, in the last second or the part of it that was too much." },
budget_over = { "iovab_budget_exceeded", EXPOSITION_GAUGE, NULL,
	"1 if they take too much at the lowest tier, too, where there is nothing to drop." },
events_lost = { "iovab_events_lost", EXPOSITION_COUNTER, NULL,
	"Events that are missing from the counters, which are too small by them." },
losses_total = { "iovab_losses", EXPOSITION_COUNTER, NULL,
	"Everything that was missed, by kind; iovab-exporter(8) says which kinds make counters too small." },
folded = { "iovab_folded_sources", EXPOSITION_COUNTER, NULL,
	"Devices with their owner that were counted under folded=\"yes\", since there are too many." },
bpf_run = { "iovab_bpf_run_seconds", EXPOSITION_COUNTER, "seconds",
	"CPU time of the BPF programs, within the time that iovab_bpf_sampled_seconds_total counts." },
bpf_runs = { "iovab_bpf_runs", EXPOSITION_COUNTER, NULL,
	"Runs of the BPF programs." },
bpf_sampled = { "iovab_bpf_sampled_seconds", EXPOSITION_COUNTER, "seconds",
	"Time for which the cost of the BPF programs is known." },
looks = { "iovab_collections", EXPOSITION_COUNTER, NULL,
	"How often the kernel's counters were read: at each scrape and in between." },
look_duration = { "iovab_collection_duration_seconds", EXPOSITION_GAUGE, "seconds",
	"How long the collection for this scrape took." };

/* --- the web server --- */

static const struct exposition_family
web_accepted = { "iovab_web_connections_accepted", EXPOSITION_COUNTER, NULL,
	"Connections of HTTP clients that were accepted." },
web_connections = { "iovab_web_connections", EXPOSITION_GAUGE, NULL,
	"Connections of HTTP clients that are open now." },
web_scrapes = { "iovab_web_scrapes", EXPOSITION_COUNTER, NULL,
	"Scrapes that were answered, this one not counted, by format." },
web_drops = { "iovab_web_drops", EXPOSITION_COUNTER, NULL,
	"Connections and requests that were turned away, by reason." },
web_config = { "iovab_web_config_read", EXPOSITION_GAUGE, NULL,
	"1 if the last reading of the web configuration file succeeded; 0: an older one is in force." };

static const char *const drop_names[WEB_DROPS] = {
	"evicted", "refused", "slow", "unauthorized", "busy", "invalid",
};

static const char *const format_names[EXPOSITION_FORMATS] = { "text", "openmetrics" };

/* --- the process, with the names that all exporters share --- */

static const struct exposition_family
process_cpu = { "process_cpu_seconds", EXPOSITION_COUNTER, "seconds",
	"CPU time of this process, user and system." },
process_memory = { "process_resident_memory_bytes", EXPOSITION_GAUGE, "bytes",
	"Memory of this process that is resident." },
process_fds = { "process_open_fds", EXPOSITION_GAUGE, NULL,
	"File descriptors that this process has open." },
process_start = { "process_start_time_seconds", EXPOSITION_GAUGE, "seconds",
	"When this process started, in Unix time." };

/* --- accounts --- */

struct accounts {
	struct account *const *a;
	size_t n;
	enum iovab_tier tier, tier_now;		/* that was asked for, and the one in force */
};

#define for_each_account(a, accounts)						\
	for (size_t i_ = 0; i_ < (accounts).n && ((a) = (accounts).a[i_]); i_++)

static bool any_known(struct accounts all, enum iovab_figure f)
{
	const struct account *a;

	for_each_account(a, all)
		if (a->sum.fig[f].state == IOVAB_VALUE_KNOWN)
			return true;
	return false;
}

static void write_figure(struct exposition *x, struct accounts all,
			 const struct exposition_family *family, enum iovab_figure f)
{
	const struct account *a;

	/* no family without a sample; and while its tier is dropped a figure is not known */
	if (model__figure_tier(f) > all.tier_now || !any_known(all, f))
		return;
	exposition__family(x, family);
	for_each_account(a, all)
		if (a->sum.fig[f].state == IOVAB_VALUE_KNOWN)
			exposition__count(x, a->labels, a->sum.fig[f].v);
}

static void write_reports(struct exposition *x, struct accounts all)
{
	char sum[EXPOSITION_NUMBER_LEN];
	const struct account *a;

	exposition__family(x, &report_duration);
	for_each_account(a, all) {
		exposition__format_seconds(sum, a->sum.report_ns);
		exposition__histogram(x, a->labels, tally__report_edges(),
				      TALLY_REPORT_BUCKETS - 1, a->sum.report, sum);
	}
	exposition__family(x, &pin_duration);
	for_each_account(a, all) {
		exposition__format_seconds(sum, a->sum.pin_ns);
		exposition__histogram(x, a->labels, tally__pin_edges(), TALLY_PIN_BUCKETS - 1,
				      a->sum.pin, sum);
	}
}

static void write_density(struct exposition *x, struct accounts all)
{
	char sum[EXPOSITION_NUMBER_LEN];
	const struct account *a;
	bool begun = false;

	for_each_account(a, all) {
		if (!a->sum.density_measured || all.tier_now < IOVAB_TIER_DENSITY)
			continue;
		if (!begun)
			exposition__family(x, &density);
		begun = true;
		exposition__format_real(sum, (double)a->sum.density_sum / IOVAB_DENSITY_ONE);
		exposition__histogram(x, a->labels, tally__density_edges(),
				      TALLY_DENSITY_BUCKETS - 1, a->sum.density, sum);
	}
}

/* A sample with a label more than the account has. */
static void write_account_by(struct exposition *x, const struct account *a, const char *label,
			     const char *value, __u64 v)
{
	char labels[LABELS_LEN];
	size_t len = strlen(a->labels);

	memcpy(labels, a->labels, len + 1);
	labels__append(labels, len, label, value, strlen(value));
	exposition__count(x, labels, v);
}

/* From the start on, so that the first ones make an increase. */
static void write_unmeasured(struct exposition *x, struct accounts all)
{
	const struct account *a;
	enum iovab_tier t;

	if (all.tier < IOVAB_TIER_DENSITY)
		return;
	exposition__family(x, &unmeasured);
	for_each_account(a, all)
		for (t = IOVAB_TIER_DENSITY; t <= all.tier; t++)
			write_account_by(x, a, "tier", model__tier_name(t), a->sum.below[t]);
}

static void write_lost_by(struct exposition *x, struct accounts all)
{
	const struct account *a;
	bool begun = false;
	enum iovab_lost why;

	for_each_account(a, all) {
		if (!a->sum.fig[IOVAB_FIG_LOST_BYTES].v)
			continue;
		if (!begun)
			exposition__family(x, &lost_by);
		begun = true;
		for (why = 0; why < IOVAB_LOST_REASONS; why++)
			write_account_by(x, a, "reason", model__lost_name(why), a->sum.lost_by[why]);
	}
}

static void write_policies(struct exposition *x, struct accounts all,
			   const struct exposition_family *family, size_t offset, bool repins)
{
	const struct account *a;
	enum iovab_policy_id p;
	bool begun = false;

	for_each_account(a, all) {
		for (p = 0; p < IOVAB_POLICIES; p++) {
			const struct iovab_pins *pins = &a->sum.what_if[p];

			if (!a->sum.marks_measured || (repins && pins->repins_unknown))
				continue;
			if (!begun)
				exposition__family(x, family);
			begun = true;
			write_account_by(x, a, "policy", model__policy_name(p),
					 *(const __u64 *)((const char *)pins + offset));
		}
	}
}

static void write_what_if(struct exposition *x, struct accounts all)
{
	const struct account *a;

	exposition__family(x, &what_if_reports);
	for_each_account(a, all)
		if (a->sum.marks_measured)
			exposition__count(x, a->labels, a->sum.what_if_reports);
	write_policies(x, all, &what_if_windows, offsetof(struct iovab_pins, windows), false);
	write_policies(x, all, &what_if_pages, offsetof(struct iovab_pins, pages), false);
	write_policies(x, all, &what_if_repins, offsetof(struct iovab_pins, repins), true);
}

static void write_now(struct exposition *x, struct accounts all)
{
	const struct account *a;
	bool begun = false;

	exposition__family(x, &pinned_pages);
	for_each_account(a, all)
		exposition__count(x, a->labels, a->pages_pinned_now);
	exposition__family(x, &in_flight);
	for_each_account(a, all)
		exposition__count(x, a->labels, a->reports_in_flight);
	for_each_account(a, all) {
		if (!a->reports_in_flight)
			continue;
		if (!begun)
			exposition__family(x, &oldest);
		begun = true;
		exposition__seconds(x, a->labels, a->oldest_in_flight_ns);
	}
}

/* The accounts that saw a migration, and of these the ones of which a figure is known. */
static void write_migrations(struct exposition *x, struct accounts all)
{
	const struct account *a;
	bool any = false, peak = false, downtime = false;

	for_each_account(a, all) {
		any |= a->last.last_end_ns != 0;
		peak |= a->last.peak.state == IOVAB_VALUE_KNOWN;
		downtime |= a->last.downtime_ns.state == IOVAB_VALUE_KNOWN;
	}
	if (!any)
		return;
	exposition__family(x, &migration_end);
	for_each_account(a, all)
		if (a->last.last_end_ns)
			exposition__seconds(x, a->labels, a->last.end_unix_ns);
	exposition__family(x, &migration_rounds);
	for_each_account(a, all)
		if (a->last.last_end_ns)
			exposition__count(x, a->labels, a->last.rounds);
	if (peak)
		exposition__family(x, &migration_peak);
	for_each_account(a, all)
		if (a->last.peak.state == IOVAB_VALUE_KNOWN)
			exposition__real(x, a->labels, a->last.peak.v);
	if (downtime)
		exposition__family(x, &migration_downtime);
	for_each_account(a, all)
		if (a->last.downtime_ns.state == IOVAB_VALUE_KNOWN)
			exposition__seconds(x, a->labels, a->last.downtime_ns.v);
}

static void write_info(struct exposition *x, struct accounts all)
{
	const struct account *a;

	exposition__family(x, &device_info);
	for_each_account(a, all) {
		char labels[LABELS_LEN];
		size_t len = strlen(a->labels);
		const char *implementation = model__implementation_name(a->implementation);

		memcpy(labels, a->labels, len + 1);
		len = labels__append(labels, len, "vfio", a->vfio, sizeof(a->vfio));
		labels__append(labels, len, "implementation", implementation,
			       strlen(implementation));
		exposition__count(x, labels, 1);
	}
}

static void write_accounts(struct exposition *x, struct accounts all)
{
	const struct account *a;
	size_t i;

	if (!all.n)
		return;
	write_info(x, all);
	for (i = 0; i < ARRAY_LEN(counters); i++)
		write_figure(x, all, &counters[i].family, counters[i].figure);
	exposition__family(x, &rounds);
	for_each_account(a, all)
		exposition__count(x, a->labels, a->sum.rounds);
	write_figure(x, all, &pinned_pages_total, IOVAB_FIG_PAGES_PINNED);
	write_now(x, all);
	write_reports(x, all);
	write_density(x, all);
	write_unmeasured(x, all);
	if (all.tier_now >= IOVAB_TIER_SETS) {
		write_lost_by(x, all);
		write_what_if(x, all);
	}
	write_migrations(x, all);
}

/* --- the whole --- */

static void write_one(struct exposition *x, const struct exposition_family *f, __u64 v)
{
	exposition__family(x, f);
	exposition__count(x, NULL, v);
}

static void write_one_seconds(struct exposition *x, const struct exposition_family *f, __u64 ns)
{
	exposition__family(x, f);
	exposition__seconds(x, NULL, ns);
}

static void write_by(struct exposition *x, const char *label, const char *value, __u64 v)
{
	char labels[LABELS_LEN];

	labels__append(labels, 0, label, value, strlen(value));
	exposition__count(x, labels, v);
}

static void write_losses(struct exposition *x, const struct iovab_snapshot *s)
{
	unsigned int i;

	write_one(x, &events_lost, s->events_lost);
	exposition__family(x, &losses_total);
	for (i = 0; i < MODEL_LOSSES; i++)
		write_by(x, "kind", model__loss_name(i), model__loss(&s->losses, i));
}

static void write_cost(struct exposition *x, const struct watch *w)
{
	const struct iovab_cost_fact *cost = &w->snapshot->cost;

	write_one(x, &bpf_runs, cost->bpf_runs);
	if (cost->bpf_sampled_ns) {
		write_one_seconds(x, &bpf_run, cost->bpf_run_ns);
		write_one_seconds(x, &bpf_sampled, cost->bpf_sampled_ns);
	}
}

static void write_one_real(struct exposition *x, const struct exposition_family *f, double v)
{
	exposition__family(x, f);
	exposition__real(x, NULL, v);
}

static void write_tier(struct exposition *x, const struct iovab_snapshot *s)
{
	const struct iovab_budget_fact *b = &s->budget;

	exposition__family(x, &tier_info);
	write_by(x, "tier", model__tier_name(model__tier_now(s)), 1);
	if (!b->limit_ppm)
		return;
	write_one(x, &tier_dropped, s->tier - model__tier_now(s));
	write_one(x, &tier_drops, b->drops);
	write_one_real(x, &budget_limit, (double)b->limit_ppm / 1e6);
	write_one_real(x, &budget_used, (double)b->share_ppm / 1e6);
	write_one(x, &budget_over, b->over);
}

static void write_self(struct exposition *x, const struct watch *w)
{
	const struct iovab_snapshot *s = w->snapshot;

	write_one(x, &up, s != NULL);
	write_one(x, &attached, s && s->state == IOVAB_STATE_ATTACHED);
	exposition__family(x, &build_info);
	write_by(x, "version", IOVAB_VERSION, 1);
	write_one(x, &looks, w->looks);
	write_one_seconds(x, &look_duration, w->look_ns);
	if (!s)
		return;
	write_tier(x, s);
	write_losses(x, s);
	write_one(x, &folded, ledger__folded(w->ledger));
	write_cost(x, w);
}

static void write_web(struct exposition *x, const struct web_counts *web)
{
	size_t i;

	write_one(x, &web_accepted, web->accepted);
	write_one(x, &web_connections, web->connections);
	exposition__family(x, &web_scrapes);
	for (i = 0; i < EXPOSITION_FORMATS; i++)
		write_by(x, "format", format_names[i], web->scrapes[i]);
	exposition__family(x, &web_drops);
	for (i = 0; i < WEB_DROPS; i++)
		write_by(x, "reason", drop_names[i], web->drops[i]);
	write_one(x, &web_config, web->config_read);
}

/* --- the process --- */

/* What /proc does not tell is left out. */
static void write_process(struct exposition *x)
{
	__u64 memory = process__resident_bytes(), fds = process__open_fds();
	__u64 start = process__start_unix_ns();

	write_one_seconds(x, &process_cpu, process__cpu_ns());
	if (memory)
		write_one(x, &process_memory, memory);
	if (fds)
		write_one(x, &process_fds, fds);
	if (start)
		write_one_seconds(x, &process_start, start);
}

void metrics__write(struct exposition *x, const struct watch *w, const struct web_counts *web)
{
	struct accounts all = {};

	write_self(x, w);
	if (w->snapshot) {
		all.a = ledger__accounts(w->ledger, &all.n);
		all.tier = w->snapshot->tier;
		all.tier_now = model__tier_now(w->snapshot);
		write_accounts(x, all);
	}
	if (web)
		write_web(x, web);
	write_process(x);
	exposition__end(x);
}
