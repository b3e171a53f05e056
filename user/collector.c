// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading the kernel's side once an interval.
 *
 * The counters are read with one batch call for SOURCES_AT_ONCE sources. A source to which
 * a report was being added at that moment (struct iovab_source tells) could show
 * a window without its report; it is read again by itself.
 *
 * A source whose owner is gone cannot change any more. It is reported as such
 * for LINGER_NS and then taken out of the map, so that the map holds what
 * lives; the model remembers it.
 */
#include "collector.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "array.h"
#include "budget.h"
#include "clients.h"
#include "cost.h"
#include "drain.h"
#include "identity.h"
#include "iovab.skel.h"
#include "programs.h"
#include "reference.h"

#define LINGER_NS	(60 * 1000000000ULL)

/* Each collection asks one owner in so many whether its pid still is the same process. */
#define RECHECK_EVERY	16

/* They are copied on from there; each is whole by itself. More than a bucket of the map can have. */
#define SOURCES_AT_ONCE	256

/* So many events of a kind are kept for an interval: 60 to 90 MB of them. */
#define MAX_EVENTS	(1U << 18)

/* What is remembered of a source between collections. */
struct known {
	__u32 id;
	__u64 gone_ns;		/* when its owner was found gone; 0: it lives */
	char vm[IOVAB_VM_LEN];
};

struct collector {
	struct session *session;
	struct ring_buffer *ring;
	struct drain *drain;			/* once attached, if the session wants marks; else NULL */
	struct iovab_facts facts;
	unsigned int turn;
	__u64 secret;				/* of hide() */

	struct iovab_source_key *keys;		/* SOURCES_AT_ONCE of each */
	struct iovab_source *values;
	struct iovab_source_fact *sources;	/* IOVAB_MAX_SOURCES of them, of which n_sources are taken */
	size_t n_sources;
	struct iovab_hwpt *hwpts;		/* likewise, once there is an HWPT; else NULL */
	struct known *known;			/* n_known of them */
	size_t n_known;
	struct iovab_live_fact *live;
	struct iovab_window_event *windows;
	size_t n_windows, max_windows;
	struct iovab_report_event *reports;
	size_t n_reports, max_reports;
	__u64 events_dropped;			/* no memory for them here */
	__u64 pairs_missed;			/* calls that both programs of a pair were kept out of, so far */

	struct cost *cost;
	struct budget budget;
};

static __u64 clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

struct collector *collector__new(struct session *s)
{
	struct collector *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->session = s;
	c->cost = cost__new(s);
	budget__init(&c->budget, session__budget(s), session__tier(s));
	if (getrandom(&c->secret, sizeof(c->secret), 0) != sizeof(c->secret))
		c->secret = clock_ns(CLOCK_MONOTONIC);
	c->keys = calloc(SOURCES_AT_ONCE, sizeof(*c->keys));
	c->values = calloc(SOURCES_AT_ONCE, sizeof(*c->values));
	c->sources = calloc(IOVAB_MAX_SOURCES, sizeof(*c->sources));
	c->known = calloc(IOVAB_MAX_SOURCES, sizeof(*c->known));
	c->live = calloc(IOVAB_MAX_REPORTS, sizeof(*c->live));
	if (c->keys && c->values && c->sources && c->known && c->live && c->cost)
		return c;
	collector__free(c);
	errno = ENOMEM;
	return NULL;
}

void collector__free(struct collector *c)
{
	if (!c)
		return;
	cost__free(c->cost);
	ring_buffer__free(c->ring);
	drain__free(c->drain);
	free(c->keys);
	free(c->values);
	free(c->sources);
	free(c->hwpts);
	free(c->known);
	free(c->live);
	free(c->windows);
	free(c->reports);
	free(c);
}

/* Makes room for one event more; where intervals are long there is an end to it. */
static bool make_room(void *events, size_t n, size_t *max, size_t size)
{
	return n < MAX_EVENTS && array__grow(events, n, max, size);
}

static int take_event(void *ctx, void *data, size_t size)
{
	struct collector *c = ctx;
	__u32 kind = *(const __u32 *)data;

	if (kind == IOVAB_EVENT_WINDOW && size >= sizeof(*c->windows)) {
		if (make_room(&c->windows, c->n_windows, &c->max_windows, sizeof(*c->windows)))
			memcpy(&c->windows[c->n_windows++], data, sizeof(*c->windows));
		else
			c->events_dropped++;
	} else if (kind == IOVAB_EVENT_REPORT && size >= sizeof(*c->reports)) {
		if (make_room(&c->reports, c->n_reports, &c->max_reports, sizeof(*c->reports)))
			memcpy(&c->reports[c->n_reports++], data, sizeof(*c->reports));
		else
			c->events_dropped++;
	}
	return 0;
}

void collector__drain(struct collector *c)
{
	struct iovab_bpf *bpf = session__bpf(c->session);

	if (!bpf || (!bpf->rodata->want_events && !bpf->rodata->want_reports &&
		     bpf->rodata->tier < IOVAB_TIER_SETS))
		return;
	if (!c->ring)
		c->ring = ring_buffer__new(bpf_map__fd(bpf->maps.events), take_event, c, NULL);
	if (c->ring)
		ring_buffer__consume(c->ring);
}

/* What was spent so far is held against the budget, and the tier follows. */
static void keep_budget(struct collector *c, __u64 now_ns)
{
	struct budget_sample s;
	enum iovab_tier tier;

	if (!session__attached(c->session))
		return;
	cost__sample(c->cost, now_ns);
	cost__budget_sample(c->cost, &s);
	tier = budget__take(&c->budget, &s);
	if (tier == session__tier_now(c->session))
		return;
	if (session__use_tier(c->session, tier))
		budget__refused(&c->budget);
	cost__sample(c->cost, clock_ns(CLOCK_MONOTONIC));
	cost__budget_sample(c->cost, &s);
	budget__changed(&c->budget, &s);
}

void collector__tick(struct collector *c)
{
	collector__drain(c);
	if (c->budget.limit_ppm || cost__asks(c->cost))
		keep_budget(c, clock_ns(CLOCK_MONOTONIC));
}

static void take_budget(struct collector *c)
{
	struct iovab_budget_fact *f = &c->facts.budget;

	f->limit_ppm = c->budget.limit_ppm;
	f->share_ppm = c->budget.share_ppm;
	f->drops = c->budget.drops;
	f->tier = c->budget.now;
	f->over = c->budget.over;
}

/* The map's order is stable, so what is looked for is at @hint or soon behind it. */
static struct known *find_known(struct collector *c, __u32 id, size_t hint)
{
	size_t i;

	for (i = 0; i < c->n_known; i++) {
		struct known *k = &c->known[(hint + i) % c->n_known];

		if (k->id == id)
			return k;
	}
	return NULL;
}

/* The entry for a source; asks /proc for its VM at the first sight. */
static struct known *get_known(struct collector *c, const struct iovab_source_key *key, __u32 id,
			       size_t hint)
{
	struct known *k = find_known(c, id, hint);

	if (k || c->n_known == IOVAB_MAX_SOURCES)
		return k;
	k = &c->known[c->n_known++];
	memset(k, 0, sizeof(*k));
	k->id = id;
	identity__vm(key->pid, key->owner_start_ns, k->vm, sizeof(k->vm));
	return k;
}

static struct iovab_hwpt_key hwpt_key(const struct iovab_source_key *key)
{
	return (struct iovab_hwpt_key){ .context = key->context, .hwpt = key->hwpt };
}

/* The devices of the HWPT of a source at its last report, kept as number @i; NULL: they are unknown, or it has none. */
static const struct iovab_hwpt *read_hwpt(struct collector *c, const struct iovab_source_key *source,
					  size_t i)
{
	int map = clients__hwpts(session__clients(c->session));
	struct iovab_hwpt_key key = hwpt_key(source);

	if (!key.hwpt || map < 0)
		return NULL;
	if (!c->hwpts)
		c->hwpts = calloc(IOVAB_MAX_SOURCES, sizeof(*c->hwpts));
	if (!c->hwpts || bpf_map_lookup_elem(map, &key, &c->hwpts[i]))
		return NULL;
	return &c->hwpts[i];
}

/* What the kernel's maps hold of a source goes. */
static void forget_source(struct collector *c, int map, const struct iovab_source_key *key)
{
	int hwpts = clients__hwpts(session__clients(c->session));
	struct iovab_hwpt_key hwpt = hwpt_key(key);

	bpf_map_delete_elem(map, key);
	if (hwpt.hwpt && hwpts >= 0)
		bpf_map_delete_elem(hwpts, &hwpt);
}

/*
 * What stands for a kernel address outside of this process: facts are recorded, and
 * recordings are sent around.
 */
static __u64 hide(const struct collector *c, __u64 address)
{
	__u64 h = address ? (address ^ c->secret) * 0x9E3779B97F4A7C15ULL : 0;

	h = (h ^ h >> 32) * 0xD6E8FEB86659FD93ULL;
	return h ^ h >> 32;
}

static bool owner_gone(const struct collector *c, const struct iovab_source_key *key, size_t i)
{
	if (kill(key->pid, 0) && errno == ESRCH)
		return true;
	return (c->turn + i) % RECHECK_EVERY == 0 &&
	       !identity__alive(key->pid, key->owner_start_ns);
}

/*
 * Reads a source again until no report was being added to it. That takes two
 * microseconds a report, so the loop ends; its bound is for a defect.
 */
static void read_whole(int map, const struct iovab_source_key *key, struct iovab_source *value)
{
	int i;

	for (i = 0; i < 10000 && value->folds_done != value->folds_begun; i++)
		bpf_map_lookup_elem(map, key, value);
}

/* The first @n of those that were read. */
static void take_sources(struct collector *c, int map, __u32 n)
{
	size_t i;

	for (i = 0; i < n && c->n_sources < IOVAB_MAX_SOURCES; i++) {
		size_t out = c->n_sources;
		struct iovab_source_fact *f = &c->sources[out];
		struct known *k;

		if (!c->values[i].id)
			continue;	/* just being made */
		k = get_known(c, &c->keys[i], c->values[i].id, out);
		if (!k)
			continue;
		if (!k->gone_ns && owner_gone(c, &c->keys[i], out)) {
			k->gone_ns = c->facts.time_ns;
			/* its last report may have ended after the read */
			bpf_map_lookup_elem(map, &c->keys[i], &c->values[i]);
		}
		read_whole(map, &c->keys[i], &c->values[i]);
		f->key = c->keys[i];
		f->key.context = hide(c, f->key.context);
		f->counters = c->values[i];
		memcpy(f->vm, k->vm, sizeof(f->vm));
		f->hwpt = read_hwpt(c, &c->keys[i], out);
		f->owner_gone = k->gone_ns != 0;
		c->n_sources++;
		if (k->gone_ns && c->facts.time_ns - k->gone_ns > LINGER_NS) {
			forget_source(c, map, &c->keys[i]);
			*k = c->known[--c->n_known];
		}
	}
}

static int read_sources(struct collector *c, struct iovab_bpf *bpf, struct iovab_error *e)
{
	int map = bpf_map__fd(bpf->maps.sources), err;
	__u32 cursor, *from = NULL, n;

	c->n_sources = 0;
	do {
		n = SOURCES_AT_ONCE;
		err = bpf_map_lookup_batch(map, from, &cursor, c->keys, c->values, &n, NULL);
		if (err && err != -ENOENT)
			return error__set(e, IOVAB_EXIT_FAILURE, "cannot read the counters: %s",
					  strerror(-err));
		take_sources(c, map, n);
		from = &cursor;
	} while (!err);
	c->facts.sources = c->sources;
	c->facts.n_sources = c->n_sources;
	return 0;
}

/* Those of @n slots that are taken. */
static void take_slots(struct collector *c, const volatile struct iovab_slot *s, size_t n)
{
	size_t i;

	for (i = 0; i < n && c->facts.n_live < IOVAB_MAX_REPORTS; i++) {
		struct iovab_live_fact *live = &c->live[c->facts.n_live];

		if (!s[i].key || !s[i].start_ns)
			continue;
		live->source_id = s[i].source_id;
		live->pages_pinned = s[i].pages_now;
		live->start_ns = s[i].start_ns;
		c->facts.n_live++;
	}
}

static void take_live(struct collector *c, struct iovab_bpf *bpf)
{
	const volatile struct iovab_slot *slots;
	size_t n;

	c->facts.live = c->live;
	c->facts.n_live = 0;
	if (bpf->data->reports_in_flight)
		take_slots(c, bpf->bss->slots, IOVAB_MAX_REPORTS);
	slots = reference__slots(session__reference(c->session), &n);
	take_slots(c, slots, n);
}

/*
 * Runs of the facility's programs that the kernel skipped. Of pairs (bpf/pair.h) those that
 * the other one did not make. Calls that are between their two programs may be among what
 * is covered and not be skipped, so the figure is held up; or, at an exit, be skipped
 * and not covered yet, which leaves it one too large.
 */
static __u64 facility_skipped(struct collector *c, const struct iovab_bpf *bpf)
{
	struct programs_sum sum = {};
	__s64 missed;

	programs__add(bpf->obj, &sum);
	if (!session__paired(c->session))
		return sum.recursion_missed;
	/* read last, for it tells of what was skipped before */
	missed = sum.recursion_missed - sum.kprobes_missed -
		 __atomic_load_n(&bpf->data->covered, __ATOMIC_ACQUIRE);
	if (missed > (__s64)c->pairs_missed)
		c->pairs_missed = missed;
	return c->pairs_missed;
}

/* Runs of our programs that the kernel skipped, and nobody made. */
static __u64 runs_skipped(struct collector *c, const struct iovab_bpf *bpf)
{
	struct programs_sum sum = { .recursion_missed = facility_skipped(c, bpf) };

	clients__add_programs(session__clients(c->session), &sum);
	reference__add_programs(session__reference(c->session), &sum);
	return sum.recursion_missed;
}

static void take_losses(struct collector *c, struct iovab_bpf *bpf)
{
	__u32 zero = 0;

	memcpy(&c->facts.losses, &bpf->data->losses, sizeof(c->facts.losses));
	reference__add_losses(session__reference(c->session), &c->facts.losses);
	c->facts.losses.recursion_missed = runs_skipped(c, bpf);
	bpf_map_lookup_elem(bpf_map__fd(bpf->maps.callers_lost), &zero, &c->facts.losses.callers_full);
	/* the programs count every free of a report that has no slot, for whatever reason */
	if (c->facts.losses.joined_late > c->facts.losses.slots_full)
		c->facts.losses.joined_late -= c->facts.losses.slots_full;
	else
		c->facts.losses.joined_late = 0;
	c->facts.losses.events_dropped += c->events_dropped;
	if (c->drain)
		c->facts.losses.marks_dropped += drain__dropped(c->drain);
}

/* After the events: the marks of a report that has ended are in the ring before it is. */
static int take_chunks(struct collector *c, struct iovab_bpf *bpf, struct iovab_error *e)
{
	if (!bpf->rodata->want_marks)
		return 0;
	if (!c->drain)
		c->drain = drain__new(bpf_map__fd(bpf->maps.mark_ring),
				      bpf_map__max_entries(bpf->maps.mark_ring));
	if (!c->drain)
		return error__set(e, IOVAB_EXIT_FAILURE, "cannot read the marks: %s", strerror(errno));
	c->facts.chunks = drain__take(c->drain, &c->facts.n_chunks);
	return 0;
}

static int collect_attached(struct collector *c, struct iovab_bpf *bpf, struct iovab_error *e)
{
	if (read_sources(c, bpf, e) || take_chunks(c, bpf, e))
		return -1;
	session__sweep(c->session);
	take_live(c, bpf);
	cost__facts(c->cost, &c->facts.cost);
	take_losses(c, bpf);
	c->turn++;
	return 0;
}

const struct iovab_facts *collector__collect(struct collector *c, struct iovab_error *e)
{
	struct iovab_facts *f = &c->facts;
	bool attached = session__attached(c->session);

	session__refresh(c->session);
	/* what ended before the counters are read: last events first */
	collector__drain(c);
	f->windows = c->windows;
	f->n_windows = c->n_windows;
	f->reports = c->reports;
	f->n_reports = c->n_reports;
	c->n_windows = c->n_reports = 0;

	f->time_ns = clock_ns(CLOCK_MONOTONIC);
	clock_gettime(CLOCK_REALTIME, &f->wall);
	keep_budget(c, f->time_ns);
	take_budget(c);
	f->cost.collector_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	f->tier = session__tier(c->session);
	f->state = attached ? IOVAB_STATE_ATTACHED : IOVAB_STATE_WAITING;
	f->generation = attached ? session__describe(c->session) : NULL;
	if (attached && collect_attached(c, session__bpf(c->session), e))
		return NULL;
	return f;
}
