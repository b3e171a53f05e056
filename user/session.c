// SPDX-License-Identifier: GPL-2.0-only
#include "session.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clients.h"
#include "iovab.skel.h"
#include "model.h"
#include "reference.h"
#include "targets.h"

#define MAX_HOOKS 16

struct session {
	struct session_options opts;
	struct features features;
	struct iovab_bpf *bpf;
	struct clients *clients;
	struct reference *reference;	/* NULL: not attached */
	char trouble[256];		/* what works in part only, of our own; "": nothing */
	struct bpf_link *links[MAX_HOOKS];	/* as in hooks; NULL: not attached */
	struct bpf_link *seconds[MAX_HOOKS];	/* likewise, of the pairs: the trampolines' */
	bool attached;				/* to the facility */
	enum iovab_tier tier_now;
	__u64 times_off;			/* how often the marks' program was taken off */
};

/*
 * The hooks, in the order in which they are attached: what opens a report
 * comes last, so that a report that was opened is seen to its end.
 */
static const struct hook {
	size_t trampoline, kprobe;	/* offsets in struct iovab_bpf's progs */
	enum features_signal signal;	/* whose function it is */
	enum iovab_tier tier;		/* the lowest that needs it */
	unsigned int generations;	/* the kernels that have it: bits */
} hooks[] = {
#define EAGER	(1U << IOVAB_EAGER)
#define LAZY	(1U << IOVAB_LAZY)
#define HOOK(name, signal, tier, generations) \
	{ offsetof(struct iovab_bpf, progs.name), offsetof(struct iovab_bpf, progs.name##_kprobe), \
	  FEATURES_##signal, IOVAB_TIER_##tier, generations }
	HOOK(set_entry, SET, SETS, EAGER | LAZY),
	HOOK(free_entry, FREE, WINDOWS, EAGER | LAZY),
	HOOK(for_each_exit, FOR_EACH, WINDOWS, EAGER | LAZY),
	HOOK(for_each_entry, FOR_EACH, WINDOWS, EAGER | LAZY),
	HOOK(unpin_entry, UNPIN, WINDOWS, EAGER | LAZY),
	HOOK(gup_exit, PIN, WINDOWS, LAZY),
	HOOK(gup_entry, PIN, WINDOWS, LAZY),
	HOOK(alloc_exit, ALLOC, WINDOWS, EAGER | LAZY),	/* opens on a lazy kernel */
	HOOK(pin_exit, PIN, WINDOWS, EAGER),
	HOOK(pin_entry, PIN, WINDOWS, EAGER),		/* opens on an eager one */
#undef HOOK
};

#define N_HOOKS (sizeof(hooks) / sizeof(hooks[0]))
_Static_assert(N_HOOKS <= MAX_HOOKS, "room for every link");

static bool hook_wanted(const struct session *s, const struct hook *h)
{
	return s->opts.tier >= h->tier && h->generations & 1U << s->features.generation;
}

static bool marks_wanted(const struct session *s)
{
	return s->opts.want_marks && s->opts.tier >= IOVAB_TIER_SETS;
}

static bool hook_paired(const struct session *s, const struct hook *h)
{
	return s->features.hooks[h->signal].paired;
}

/* Its program for a trampoline. */
static struct bpf_program *hook_second(const struct session *s, const struct hook *h)
{
	return *(struct bpf_program **)((char *)s->bpf + h->trampoline);
}

/* Its program for the way that was chosen. */
static struct bpf_program *hook_program(const struct session *s, const struct hook *h)
{
	bool kprobe = s->features.hooks[h->signal].method == FEATURES_KPROBE;

	if (h->signal == FEATURES_SET && marks_wanted(s))
		return kprobe ? s->bpf->progs.set_entry_recorded_kprobe : s->bpf->progs.set_entry_recorded;
	return kprobe ? *(struct bpf_program **)((char *)s->bpf + h->kprobe) : hook_second(s, h);
}

static __u64 tier_word(const struct session *s)
{
	return IOVAB_TIER_WORD(s->tier_now, s->times_off);
}

static bool verbose;

static int print_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	if (!verbose || level == LIBBPF_DEBUG)
		return 0;
	return vfprintf(stderr, format, args);
}

struct session *session__new(const struct session_options *opts, struct iovab_error *e)
{
	struct session *s;

	verbose = opts->verbose;
	/*
	 * Large arrays are mappings of their own, which grow in place and go back whole. What
	 * libbpf frees would raise the limit above all of ours.
	 */
	mallopt(M_MMAP_THRESHOLD, 128 << 10);
	libbpf_set_print(print_libbpf);
	if (features__check_access(e))
		return NULL;
	s = calloc(1, sizeof(*s));
	if (!s) {
		error__set(e, IOVAB_EXIT_FAILURE, "out of memory");
		return NULL;
	}
	s->opts = *opts;
	s->tier_now = opts->tier;
	if (features__probe(&s->features, e)) {
		free(s);
		return NULL;
	}
	return s;
}

static void detach(struct session *s)
{
	size_t i;

	/* the openers first: no report begins any more that will not be seen to end */
	for (i = MAX_HOOKS; i--;) {
		bpf_link__destroy(s->links[i]);
		bpf_link__destroy(s->seconds[i]);
		s->links[i] = s->seconds[i] = NULL;
	}
	s->attached = false;
	reference__free(s->reference);
	s->reference = NULL;
	clients__free(s->clients);
	s->clients = NULL;
	iovab_bpf__destroy(s->bpf);
	s->bpf = NULL;
}

void session__free(struct session *s)
{
	if (!s)
		return;
	detach(s);
	free(s);
}

static unsigned int log2_page_size(void)
{
	return __builtin_ctzl(sysconf(_SC_PAGESIZE));
}

static int fail(struct session *s, struct iovab_error *e, const char *what, int err)
{
	detach(s);
	if (err == -EPERM || err == -EACCES)
		return error__set(e, IOVAB_EXIT_PRIVILEGE,
				  "the kernel does not permit to %s: %s; run as root, or see --verbose",
				  what, strerror(-err));
	return error__set(e, IOVAB_EXIT_NO_BPF,
			  "cannot %s: %s; --verbose shows what the kernel said", what,
			  strerror(-err));
}

static bool uses_kprobes(const struct session *s)
{
	size_t i;

	for (i = 0; i < N_HOOKS; i++)
		if (hook_wanted(s, &hooks[i]) && s->features.hooks[hooks[i].signal].method == FEATURES_KPROBE)
			return true;
	return false;
}

/* What nobody asked for has no maps, or ones of the least size. */
static void size_maps(struct session *s)
{
	if (s->opts.tier < IOVAB_TIER_SETS)
		bpf_map__set_max_entries(s->bpf->maps.what_ifs, 1);
	/* the facility may come, and take the maps over */
	if (session__paired(s) || !s->features.present)
		bpf_map__set_max_entries(s->bpf->maps.scratch,
					 2 * bpf_map__max_entries(s->bpf->maps.scratch));
	if (s->opts.max_sources)
		bpf_map__set_max_entries(s->bpf->maps.sources, s->opts.max_sources);
	bpf_map__set_autocreate(s->bpf->maps.calls, uses_kprobes(s));
	bpf_map__set_autocreate(s->bpf->maps.walks, uses_kprobes(s));
	if (s->opts.ring_bytes)
		bpf_map__set_max_entries(s->bpf->maps.events, s->opts.ring_bytes);
	if (!marks_wanted(s)) {
		bpf_map__set_max_entries(s->bpf->maps.run_buffers, 1);
		bpf_map__set_max_entries(s->bpf->maps.mark_ring, sysconf(_SC_PAGESIZE));
	} else if (s->opts.mark_ring_bytes) {
		bpf_map__set_max_entries(s->bpf->maps.mark_ring, s->opts.mark_ring_bytes);
	}
}

_Static_assert(offsetof(struct iovab_bpf__bss, slots) < offsetof(struct iovab_bpf__bss, series),
	       "the series come last");

/* The series are there in the tier sets; below it only the first, for there must be something at their address. */
static size_t bss_size(const struct session *s)
{
	return s->opts.tier >= IOVAB_TIER_SETS ? sizeof(struct iovab_bpf__bss) :
						 offsetof(struct iovab_bpf__bss, series.of[1]);
}

/*
 * The map of .bss. libbpf would make it as large as the section, and write zeros of the
 * same size over the zeros that are in it.
 */
static int make_bss(struct session *s)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "iovab.bss", sizeof(__u32), bss_size(s), 1, &opts);
	int err;

	if (fd < 0)
		return fd;
	err = bpf_map__reuse_fd(s->bpf->maps.bss, fd);
	close(fd);
	return err;
}

/*
 * Of .bss the slots stay mapped; what is mapped is resident, and who needs series maps some
 * at a time (cost.c). libbpf has mapped all or nothing, as it does with what it was handed.
 */
static int map_bss(struct session *s)
{
	size_t page = sysconf(_SC_PAGESIZE), all = sizeof(struct iovab_bpf__bss);
	size_t mapped = (offsetof(struct iovab_bpf__bss, series) + page - 1) & ~(page - 1);
	char *bss = (char *)s->bpf->bss;

	if (mmap(bss, mapped, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		 bpf_map__fd(s->bpf->maps.bss), 0) == MAP_FAILED ||
	    mmap(bss + mapped, all - mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		 -1, 0) == MAP_FAILED)
		return -errno;
	return 0;
}

/* All maps but the variables'. */
static int take_maps(struct iovab_bpf *to, struct iovab_bpf *from)
{
	struct bpf_map *map, *other = NULL;
	int err;

	bpf_object__for_each_map(map, to->obj) {
		if (bpf_map__is_internal(map) || !bpf_map__autocreate(map))
			continue;
		other = bpf_object__find_map_by_name(from->obj, bpf_map__name(map));
		if (!other)
			return -ENOENT;
		err = bpf_map__fd(other) < 0 ? 0 : bpf_map__reuse_fd(map, bpf_map__fd(other));
		if (err)
			return err;
	}
	return 0;
}

static void autoload_hook(const struct session *s, const struct hook *h)
{
	bool wanted = hook_wanted(s, h);

	bpf_program__set_autoload(hook_program(s, h), wanted);
	if (hook_paired(s, h))
		bpf_program__set_autoload(hook_second(s, h), wanted);
}

/*
 * Where there is no facility, no program is wanted, and what is loaded are the maps alone,
 * for the reference. If they were, and the facility has come, its programs take them over.
 */
static int load(struct session *s, struct iovab_error *e)
{
	struct iovab_bpf *maps = s->bpf;
	size_t i;
	int err;

	if (!s->clients)
		s->clients = clients__new();
	s->bpf = s->clients ? iovab_bpf__open() : NULL;
	if (!s->bpf) {
		err = -errno;
		iovab_bpf__destroy(maps);
		return fail(s, e, "open the BPF programs", err);
	}
	s->bpf->rodata->tier = s->opts.tier;
	s->bpf->rodata->lazy = s->features.generation == IOVAB_LAZY;
	s->bpf->rodata->index_bytes = s->features.index_bytes;
	s->bpf->rodata->cpu_page_shift = log2_page_size();
	s->bpf->rodata->paired = session__paired(s);
	s->bpf->rodata->want_events = s->opts.want_events;
	s->bpf->rodata->want_marks = marks_wanted(s);
	s->bpf->rodata->want_reports = s->opts.want_reports;
	s->bpf->rodata->direct_map_var = s->features.direct_map_var;
	s->bpf->rodata->page_map_var = s->features.page_map_var;
	size_maps(s);
	for (i = 0; i < N_HOOKS; i++)
		autoload_hook(s, &hooks[i]);
	bpf_program__set_autoload(s->bpf->progs.sweep, s->features.present && s->features.preempts);
	err = make_bss(s);
	if (!err && maps)
		err = take_maps(s->bpf, maps);
	if (!err)
		err = iovab_bpf__load(s->bpf);
	if (!err)
		err = map_bss(s);
	iovab_bpf__destroy(maps);
	if (err)
		return fail(s, e, "load the BPF programs", err);
	s->bpf->data->tier_word = tier_word(s);
	return 0;
}

/* Names the first function that the tier needs and the kernel has not. */
static int refuse_tier(const struct session *s, struct iovab_error *e)
{
	const struct features_hook *h = s->features.hooks;

	while (h->method || h->tier > s->opts.tier)
		h++;
	return error__set(e, IOVAB_EXIT_NO_FACILITY,
			  "this kernel has no %s to attach to (%s), or has it inlined; 'iovab probe' shows which tier works here",
			  h->function, h->signal);
}

/* Those clients that were found; before the facility's programs begin to ask for whom. */
static void attach_clients(struct session *s)
{
	s->bpf->data->vfio_callback = s->features.vfio_callback;
	s->bpf->data->iommufd_callback = s->features.iommufd_callback;
	clients__attach(s->clients, &s->features, s->bpf);
}

/* Of a pair first the one for which there need be no word of the other. */
static int attach_hook(struct session *s, size_t i)
{
	if (hook_paired(s, &hooks[i])) {
		s->seconds[i] = bpf_program__attach(hook_second(s, &hooks[i]));
		if (!s->seconds[i])
			return -errno;
	}
	s->links[i] = bpf_program__attach(hook_program(s, &hooks[i]));
	return s->links[i] ? 0 : -errno;
}

static int attach_hooks(struct session *s, struct iovab_error *e)
{
	char what[96];
	size_t i;
	int err;

	for (i = 0; i < N_HOOKS; i++) {
		err = hook_wanted(s, &hooks[i]) ? attach_hook(s, i) : 0;
		if (err) {
			snprintf(what, sizeof(what), "attach %s to %s",
				 bpf_program__name(hook_program(s, &hooks[i])),
				 bpf_program__section_name(hook_program(s, &hooks[i])) + 1);
			return fail(s, e, what, err);
		}
	}
	s->attached = true;
	return 0;
}

/*
 * Reports that begin from here on are measured at the lower tier. Only then the hooks
 * that nobody needs any more go: their way in alone costs as much as they do.
 */
static void lower_tier(struct session *s, enum iovab_tier tier)
{
	size_t i;

	s->times_off += s->tier_now == IOVAB_TIER_SETS;
	s->tier_now = tier;
	s->bpf->data->tier_word = tier_word(s);
	reference__use_tier(s->reference, tier_word(s));
	for (i = 0; i < N_HOOKS; i++) {
		if (hooks[i].tier <= tier)
			continue;
		bpf_link__destroy(s->links[i]);
		s->links[i] = NULL;
	}
}

/* The hooks first: a report that begins at the higher tier is seen by all of them. */
static int raise_tier(struct session *s, enum iovab_tier tier)
{
	size_t i;
	int err;

	for (i = 0; s->attached && i < N_HOOKS; i++) {
		if (s->links[i] || !hook_wanted(s, &hooks[i]) || hooks[i].tier > tier)
			continue;
		err = attach_hook(s, i);
		if (err) {
			snprintf(s->trouble, sizeof(s->trouble),
				 "cannot return to tier %s: attaching %s again is refused (%s)",
				 model__tier_name(tier), bpf_program__name(hook_program(s, &hooks[i])),
				 strerror(-err));
			return err;
		}
	}
	err = reference__use_tier(s->reference, IOVAB_TIER_WORD(tier, s->times_off));
	if (err)
		return err;
	s->tier_now = tier;
	s->bpf->data->tier_word = tier_word(s);
	return 0;
}

int session__use_tier(struct session *s, enum iovab_tier tier)
{
	if (!session__attached(s) || tier == s->tier_now || tier > s->opts.tier)
		return 0;
	if (tier > s->tier_now)
		return raise_tier(s, tier);
	lower_tier(s, tier);
	return 0;
}

static int open_targets(const struct session *s)
{
	const char *where = s->features.where;

	return targets__open(strcmp(where, "vmlinux") ? where : NULL);
}

static int load_and_attach(struct session *s, struct iovab_error *e)
{
	int err = open_targets(s);

	if (err)
		return fail(s, e, "read the kernel's type information", err);
	err = load(s, e);
	if (!err)
		attach_clients(s);
	targets__close();
	/* the kernel's type information was several MiB of heap, which would stay */
	malloc_trim(0);
	return err ? err : attach_hooks(s, e);
}

static int attach_facility(struct session *s, struct iovab_error *e)
{
	struct iovab_error again = {};

	if (features__best_tier(&s->features) < s->opts.tier)
		return refuse_tier(s, e);
	if (s->opts.kprobes)
		features__use_kprobes(&s->features, "asked for");
	if (!load_and_attach(s, e))
		return 0;
	if (s->features.kprobes || e->code != IOVAB_EXIT_NO_BPF)
		return -1;
	/* an architecture without trampolines, or one of them is taken: the other way */
	features__use_kprobes(&s->features, "trampolines do not work here");
	if (load_and_attach(s, &again))
		return -1;
	*e = (struct iovab_error){};
	return 0;
}

/* If it is there. Beside the facility its refusal is no reason to end, but one to say so. */
static int attach_reference(struct session *s)
{
	if (s->reference || !features__reference_loaded() || s->trouble[0])
		return 0;
	s->reference = reference__attach(s->bpf);
	if (s->reference)
		return 0;
	snprintf(s->trouble, sizeof(s->trouble),
		 "the reference implementation (iovab_ref) cannot be watched: %s; --verbose shows what the kernel said",
		 strerror(errno));
	return -errno;
}

/* The facility is not there: the maps, and the programs of the reference. */
static int attach_reference_alone(struct session *s, struct iovab_error *e)
{
	int err;

	if (load(s, e))
		return -1;
	err = attach_reference(s);
	return err ? fail(s, e, "watch the reference implementation", err) : 0;
}

int session__attach(struct session *s, struct iovab_error *e)
{
	if (session__attached(s))
		return 0;
	if (!s->features.present && (features__module_loaded() || features__reference_loaded()) &&
	    features__probe(&s->features, e))
		return -1;
	if (s->features.present) {
		if (attach_facility(s, e))
			return -1;
		attach_reference(s);
		return 0;
	}
	return features__reference_loaded() ? attach_reference_alone(s, e) : 1;
}

/* The module that may bring the facility has come, after the reference. */
static void facility_came(struct session *s)
{
	struct iovab_error e = {};

	if (features__probe(&s->features, &e)) {
		if (s->features.present)
			detach(s);	/* it is of a kind that we do not know */
	} else if (s->features.present) {
		attach_facility(s, &e);
	}
}

void session__refresh(struct session *s)
{
	if (!session__attached(s) || !features__client_came(&s->features))
		return;
	if (!s->features.present)
		facility_came(s);
	else
		features__find_symbols(&s->features);
	if (!session__attached(s))
		return;
	/* without them no program is loaded, and the client says so */
	open_targets(s);
	attach_clients(s);
	targets__close();
	attach_reference(s);
}

bool session__paired(const struct session *s)
{
	return s->features.hooks[FEATURES_FREE].paired;
}

void session__sweep(struct session *s)
{
	int fd = s->attached ? bpf_program__fd(s->bpf->progs.sweep) : -1;
	LIBBPF_OPTS(bpf_test_run_opts, opts);

	if (fd >= 0)
		bpf_prog_test_run_opts(fd, &opts);
}

bool session__attached(const struct session *s)
{
	return s->attached || s->reference;
}

bool session__complete(const struct session *s)
{
	if (!s->features.present)
		return s->reference && !s->features.expected;
	return s->attached && s->features.vfio;
}

const char *session__describe(const struct session *s)
{
	return s->features.present ? features__describe(s->features.generation) :
				     "without iova_bitmap (the reference implementation alone)";
}

const struct features *session__features(const struct session *s)
{
	return &s->features;
}

__u64 session__budget(const struct session *s)
{
	return s->opts.budget_ppm;
}

enum iovab_tier session__tier(const struct session *s)
{
	return s->opts.tier;
}

enum iovab_tier session__tier_now(const struct session *s)
{
	return s->tier_now;
}

struct iovab_bpf *session__bpf(struct session *s)
{
	return s->bpf;
}

const struct clients *session__clients(const struct session *s)
{
	return s->clients;
}

const struct reference *session__reference(const struct session *s)
{
	return s->reference;
}

const char *session__warning(const struct session *s)
{
	const char *error = s->clients ? clients__error(s->clients) : NULL;

	return error || !s->trouble[0] ? error : s->trouble;
}
