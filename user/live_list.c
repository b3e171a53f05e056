// SPDX-License-Identifier: GPL-2.0-only
#ifndef _GNU_SOURCE
#define _GNU_SOURCE	/* strcasestr() */
#endif
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "live_priv.h"

static bool field_contains(const char *field, size_t size, const char *needle)
{
	char copy[IOVAB_VM_LEN + 1];
	size_t len = strnlen(field, size);

	if (len >= sizeof(copy))
		len = sizeof(copy) - 1;
	memcpy(copy, field, len);
	copy[len] = '\0';
	return strcasestr(copy, needle) != NULL;
}

/* Raw bytes are compared, so that a filter finds what the record holds. */
bool list__matches(const char *filter, const struct iovab_row *row)
{
	char pid[16];

	if (!filter[0])
		return true;
	snprintf(pid, sizeof(pid), "%u", row->pid);
	return field_contains(row->device, sizeof(row->device), filter) ||
	       field_contains(row->driver, sizeof(row->driver), filter) ||
	       field_contains(row->vfio, sizeof(row->vfio), filter) ||
	       field_contains(row->comm, sizeof(row->comm), filter) ||
	       field_contains(row->vm, sizeof(row->vm), filter) ||
	       strstr(pid, filter);
}

static int list__reserve(struct live_list *list, size_t n)
{
	const struct iovab_row **rows;
	__u32 *ids;

	if (n <= list->capacity)
		return 0;
	rows = realloc(list->rows, n * sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	list->rows = rows;
	ids = realloc(list->ids, n * sizeof(*ids));
	if (!ids)
		return -ENOMEM;
	list->ids = ids;
	list->capacity = n;
	return 0;
}

/* Keeps the index on the selected id, or puts the selection on the row at the index. */
static void list__find_selected(struct live_list *list)
{
	size_t i;

	if (!list->n) {
		list->index = 0;
		return;
	}
	for (i = 0; i < list->n && list->selected; i++) {
		if (list->ids[i] == list->selected) {
			list->index = i;
			return;
		}
	}
	list__move_to(list, list->index);
}

/* The selected row is on the screen, and the screen is as full as it can be. */
static void list__scroll(struct live_list *list)
{
	if (list->index < list->top)
		list->top = list->index;
	if (list->index >= list->top + list->height)
		list->top = list->index - list->height + 1;
	if (list->top + list->height > list->n)
		list->top = list->n > list->height ? list->n - list->height : 0;
}

int list__update(struct live_list *list, const struct iovab_snapshot *snapshot)
{
	size_t i;
	int err;

	list->n = 0;
	err = list__reserve(list, snapshot->n_rows);
	if (err)
		return err;
	for (i = 0; i < snapshot->n_rows; i++) {
		if (list__matches(list->filter, &snapshot->rows[i]))
			list->rows[list->n++] = &snapshot->rows[i];
	}
	columns__sort(list->rows, list->n, list->sort, list->scope, list->reverse);
	for (i = 0; i < list->n; i++)
		list->ids[i] = list->rows[i]->id;
	list__find_selected(list);
	list__scroll(list);
	return 0;
}

void list__move_to(struct live_list *list, size_t index)
{
	if (!list->n)
		return;
	list->index = index < list->n ? index : list->n - 1;
	list->selected = list->ids[list->index];
}

void list__move(struct live_list *list, long by)
{
	if (by < 0 && (size_t)-by > list->index)
		list__move_to(list, 0);
	else
		list__move_to(list, list->index + (size_t)by);
}

void list__sort_beside(struct live_list *list, int step, enum iovab_tier tier)
{
	size_t n = columns__count();
	size_t i = 0;

	while (i < n && columns__at(i) != list->sort)
		i++;
	/* stepping below 0 wraps to a huge number and ends the loop, too */
	for (i += (size_t)step; i < n; i += (size_t)step) {
		if (columns__at(i)->tier <= tier) {
			list->sort = columns__at(i);
			list->reverse = false;
			return;
		}
	}
}

void list__free(struct live_list *list)
{
	free(list->rows);
	free(list->ids);
	list->rows = NULL;
	list->ids = NULL;
	list->n = 0;
	list->capacity = 0;
}
