// SPDX-License-Identifier: GPL-2.0-only
/*
 * Beside the accounts stands an entry for each row of the last snapshot, with
 * its tally at that time. Row ids only grow and rows keep their order, so both
 * lists are sorted by id and one walk over both finds what is new and what left.
 *
 * A row can change its labels: a VM's name or a driver becomes known. What it
 * grows by then goes to the account with the new ones; what it had stays.
 */
#include "ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "labels.h"

struct entry {
	__u32 row_id;
	struct account *account;	/* NULL: it left, and the row has not grown since */
	struct tally before;
	struct migration migration;
};

struct ledger {
	struct account *accounts[LEDGER_MAX_ACCOUNTS];
	size_t n_accounts;
	struct account *folded;		/* one of them, or NULL */
	__u64 n_folded;

	struct entry *entries;		/* sorted by row_id */
	size_t n_entries, capacity;
	bool busy;
};

struct ledger *ledger__new(void)
{
	return calloc(1, sizeof(struct ledger));
}

static void account__free(struct account *a)
{
	if (!a)
		return;
	free(a->labels);
	free(a);
}

void ledger__free(struct ledger *l)
{
	size_t i;

	if (!l)
		return;
	for (i = 0; i < l->n_accounts; i++)
		account__free(l->accounts[i]);
	free(l->entries);
	free(l);
}

struct account *const *ledger__accounts(const struct ledger *l, size_t *n)
{
	*n = l->n_accounts;
	return l->accounts;
}

__u64 ledger__folded(const struct ledger *l)
{
	return l->n_folded;
}

bool ledger__busy(const struct ledger *l)
{
	return l->busy;
}

/* --- accounts --- */

static __u64 hash_of(const char *s)
{
	__u64 h = 14695981039346656037ULL;

	while (*s)
		h = (h ^ (unsigned char)*s++) * 1099511628211ULL;
	return h;
}

static struct account *find_account(const struct ledger *l, const char *labels, __u64 hash)
{
	size_t i;

	for (i = 0; i < l->n_accounts; i++)
		if (l->accounts[i]->hash == hash && !strcmp(l->accounts[i]->labels, labels))
			return l->accounts[i];
	return NULL;
}

static struct account *open_account(struct ledger *l, const char *labels, __u64 hash)
{
	struct account *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->labels = strdup(labels);
	if (!a->labels) {
		free(a);
		return NULL;
	}
	a->hash = hash;
	l->accounts[l->n_accounts++] = a;
	return a;
}

static struct account *folded_account(struct ledger *l)
{
	if (!l->folded)
		l->folded = open_account(l, LEDGER_FOLDED_LABELS, hash_of(LEDGER_FOLDED_LABELS));
	if (l->folded)
		l->n_folded++;
	return l->folded;
}

/* One place is kept for the account of those that do not fit. */
static struct account *get_account(struct ledger *l, const char *labels)
{
	__u64 hash = hash_of(labels);
	struct account *a = find_account(l, labels, hash);
	size_t room = LEDGER_MAX_ACCOUNTS - !l->folded;

	if (a)
		return a;
	return l->n_accounts < room ? open_account(l, labels, hash) : folded_account(l);
}

static void close_account(struct ledger *l, size_t i)
{
	struct account *a = l->accounts[i];
	size_t k;

	for (k = 0; k < l->n_entries; k++)
		if (l->entries[k].account == a)
			l->entries[k].account = NULL;
	/* keeps the order: it is that of appearance */
	memmove(&l->accounts[i], &l->accounts[i + 1],
		(--l->n_accounts - i) * sizeof(l->accounts[0]));
	account__free(a);
}

static void close_gone(struct ledger *l, __u64 now_ns)
{
	size_t i = 0;

	while (i < l->n_accounts) {
		struct account *a = l->accounts[i];

		/* the folded one stands for many, and is never gone */
		if (a != l->folded && now_ns > a->alive_ns &&
		    now_ns - a->alive_ns > LEDGER_GONE_NS)
			close_account(l, i);
		else
			i++;
	}
}

/* --- rows --- */

static bool grown(const struct entry *e, const struct tally *now)
{
	return now->fig[IOVAB_FIG_REPORTS].v != e->before.fig[IOVAB_FIG_REPORTS].v;
}

/*
 * The account for what the row grows by. One that was folded stays so, for its
 * labels have a place among the folded already.
 */
static int assign(struct ledger *l, struct entry *e, const struct iovab_row *row)
{
	char labels[LABELS_LEN];

	if (e->account && e->account == l->folded)
		return 0;
	labels__of_row(labels, row);
	if (e->account && !strcmp(e->account->labels, labels))
		return 0;
	e->account = get_account(l, labels);
	if (!e->account)
		return -ENOMEM;
	e->account->implementation = row->implementation;
	memcpy(e->account->vfio, row->vfio, sizeof(row->vfio));
	return 0;
}

static void take_now(struct account *a, const struct iovab_row *row, __u64 now_ns)
{
	a->pages_pinned_now += row->pages_pinned_now;
	a->reports_in_flight += row->reports_in_flight;
	if (row->oldest_in_flight_ns > a->oldest_in_flight_ns)
		a->oldest_in_flight_ns = row->oldest_in_flight_ns;
	if (!row->stale || row->reports_in_flight)
		a->alive_ns = now_ns;
}

static int take_row(struct ledger *l, struct entry *e, const struct iovab_row *row,
		    const struct iovab_snapshot *s)
{
	struct tally now;

	tally__of_row(&now, row, s->tier);
	if (row->stale && !row->reports_in_flight && !e->account && !grown(e, &now))
		return 0;
	if (assign(l, e, row))
		return -ENOMEM;
	l->busy |= grown(e, &now) || row->reports_in_flight;
	if (grown(e, &now))
		e->account->alive_ns = s->time_ns;
	tally__add_growth(&e->account->sum, &now, &e->before);
	e->before = now;
	migration__follow(&e->migration, row, s);
	if (e->migration.last_end_ns >= e->account->last.last_end_ns)
		e->account->last = e->migration;
	take_now(e->account, row, s->time_ns);
	return 0;
}

static int reserve_entries(struct ledger *l, size_t n)
{
	size_t capacity = l->capacity ? l->capacity : 16;
	struct entry *entries;

	while (capacity < n)
		capacity *= 2;
	if (capacity == l->capacity)
		return 0;
	entries = reallocarray(l->entries, capacity, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	l->entries = entries;
	l->capacity = capacity;
	return 0;
}

/* Takes out the entries of rows that are no longer there. */
static void drop_entries(struct ledger *l, const struct iovab_snapshot *s)
{
	size_t from, to = 0, at = 0;

	for (from = 0; from < l->n_entries; from++) {
		while (at < s->n_rows && s->rows[at].id < l->entries[from].row_id)
			at++;
		if (at == s->n_rows || s->rows[at].id != l->entries[from].row_id)
			continue;
		if (to != from)
			l->entries[to] = l->entries[from];
		to++;
	}
	l->n_entries = to;
}

static void begin_accounts(struct ledger *l)
{
	size_t i;

	for (i = 0; i < l->n_accounts; i++) {
		l->accounts[i]->pages_pinned_now = 0;
		l->accounts[i]->reports_in_flight = 0;
		l->accounts[i]->oldest_in_flight_ns = 0;
	}
	l->busy = false;
}

int ledger__update(struct ledger *l, const struct iovab_snapshot *s)
{
	int err = reserve_entries(l, s->n_rows);
	size_t i;

	if (err)
		return err;
	drop_entries(l, s);
	begin_accounts(l);
	/* the entries are the first rows now; those behind are new */
	for (i = 0; i < s->n_rows && !err; i++) {
		if (i == l->n_entries) {
			memset(&l->entries[i], 0, sizeof(l->entries[i]));
			l->entries[l->n_entries++].row_id = s->rows[i].id;
		}
		err = take_row(l, &l->entries[i], &s->rows[i], s);
	}
	close_gone(l, s->time_ns);
	return err;
}
