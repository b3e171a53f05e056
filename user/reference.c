// SPDX-License-Identifier: GPL-2.0-only
#include "reference.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>

#include "iovab.skel.h"
#include "ref.skel.h"

/* Where numbers begin that the facility's programs do not come to. */
#define FIRST_SOURCE	(1U << 31)
#define FIRST_REPORT	(1ULL << 48)

#define MAX_LINKS	16

struct reference {
	struct ref_bpf *bpf;
	struct bpf_link *links[MAX_LINKS];
	size_t n_links;
	struct bpf_link *set_link;	/* the program's on set; NULL: the tier does without */
};

static int share_maps(struct ref_bpf *ref, struct iovab_bpf *bpf)
{
	const struct {
		struct bpf_map *map, *facilitys;
	} shared[] = {
		{ ref->maps.sources, bpf->maps.sources },
		{ ref->maps.events, bpf->maps.events },
		{ ref->maps.mark_ring, bpf->maps.mark_ring },
		{ ref->maps.cost, bpf->maps.cost },
		{ ref->maps.window_starts, bpf->maps.window_starts },
	};
	size_t i;
	int err = 0;

	for (i = 0; !err && i < sizeof(shared) / sizeof(shared[0]); i++)
		err = bpf_map__reuse_fd(shared[i].map, bpf_map__fd(shared[i].facilitys));
	return err;
}

/* The one on set: another one records marks, too. */
static struct bpf_program *set_program(const struct ref_bpf *ref)
{
	return ref->rodata->want_marks ? ref->progs.set_entry_recorded : ref->progs.set_entry;
}

static int load(struct ref_bpf *ref, struct iovab_bpf *bpf)
{
	int err;

	ref->rodata->tier = bpf->rodata->tier;
	ref->rodata->lazy = true;	/* it pins what is marked, or clips as if it did */
	ref->rodata->cpu_page_shift = bpf->rodata->cpu_page_shift;
	ref->rodata->want_events = bpf->rodata->want_events;
	ref->data->tier_word = bpf->data->tier_word;
	ref->rodata->want_reports = bpf->rodata->want_reports;
	ref->rodata->want_marks = bpf->rodata->want_marks;
	ref->data->last_source_id = FIRST_SOURCE;
	ref->data->last_serial = FIRST_REPORT;
	if (ref->rodata->tier < IOVAB_TIER_SETS)
		bpf_map__set_max_entries(ref->maps.what_ifs, 1);
	else
		bpf_program__set_autoload(set_program(ref), true);
	if (!ref->rodata->want_marks)
		bpf_map__set_max_entries(ref->maps.run_buffers, 1);
	err = share_maps(ref, bpf);
	return err ? err : ref_bpf__load(ref);
}

static int attach_set(struct reference *r)
{
	r->set_link = bpf_program__attach(set_program(r->bpf));
	return r->set_link ? 0 : -errno;
}

/* The one that opens a report comes first in the object, and is attached last. */
static int attach(struct reference *r)
{
	struct bpf_program *prog = NULL;

	while ((prog = bpf_object__prev_program(r->bpf->obj, prog))) {
		if (bpf_program__fd(prog) < 0)
			continue;
		if (prog == set_program(r->bpf)) {
			if (attach_set(r))
				return -errno;
			continue;
		}
		if (r->n_links == MAX_LINKS)
			return -E2BIG;
		r->links[r->n_links] = bpf_program__attach(prog);
		if (!r->links[r->n_links])
			return -errno;
		r->n_links++;
	}
	return 0;
}

struct reference *reference__attach(struct iovab_bpf *bpf)
{
	struct reference *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return NULL;
	r->bpf = ref_bpf__open();
	err = r->bpf ? load(r->bpf, bpf) : -errno;
	if (!err)
		err = attach(r);
	if (!err)
		return r;
	reference__free(r);
	errno = -err;
	return NULL;
}

void reference__free(struct reference *r)
{
	if (!r)
		return;
	while (r->n_links)
		bpf_link__destroy(r->links[--r->n_links]);
	bpf_link__destroy(r->set_link);
	ref_bpf__destroy(r->bpf);
	free(r);
}

int reference__use_tier(struct reference *r, __u64 tier_word)
{
	int err = 0;

	if (!r)
		return 0;
	if (IOVAB_TIER_OF(tier_word) >= IOVAB_TIER_SETS) {
		err = r->set_link ? 0 : attach_set(r);
		if (!err)
			r->bpf->data->tier_word = tier_word;
		return err;
	}
	r->bpf->data->tier_word = tier_word;
	bpf_link__destroy(r->set_link);
	r->set_link = NULL;
	return 0;
}

const volatile struct iovab_slot *reference__slots(const struct reference *r, size_t *n)
{
	*n = 0;
	if (!r)
		return NULL;
	if (r->bpf->data->reports_in_flight)
		*n = sizeof(r->bpf->bss->slots) / sizeof(r->bpf->bss->slots[0]);
	return r->bpf->bss->slots;
}

const volatile struct iovab_series *reference__series(const struct reference *r)
{
	return r ? r->bpf->bss->series.of : NULL;
}

void reference__add_losses(const struct reference *r, struct iovab_losses *sum)
{
	const __u64 *losses = r ? (const __u64 *)&r->bpf->data->losses : NULL;
	size_t i;

	for (i = 0; losses && i < sizeof(*sum) / sizeof(*losses); i++)
		((__u64 *)sum)[i] += losses[i];
}

void reference__add_programs(const struct reference *r, struct programs_sum *sum)
{
	if (r)
		programs__add(r->bpf->obj, sum);
}
