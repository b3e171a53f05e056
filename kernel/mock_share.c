// SPDX-License-Identifier: GPL-2.0-only
/*
 * Engines for other modules: found by their device's name, and what may be done to them.
 *
 * An engine that somebody has got is not destroyed until it is put: the device's removal
 * waits, as it does while somebody has it open through VFIO.
 */
#include <linux/export.h>
#include <linux/list.h>
#include <linux/wait.h>

#include "mock.h"

static LIST_HEAD(engines);
static DEFINE_MUTEX(engines_lock);	/* guards the list, and each engine's users */
static DECLARE_WAIT_QUEUE_HEAD(engine_unused);

void mock_share__add(struct mock_engine *engine)
{
	mutex_lock(&engines_lock);
	list_add_tail(&engine->shared, &engines);
	mutex_unlock(&engines_lock);
}

/* Nobody can get it any more; waits until nobody has it. */
void mock_share__remove(struct mock_engine *engine)
{
	mutex_lock(&engines_lock);
	list_del(&engine->shared);
	mutex_unlock(&engines_lock);
	wait_event(engine_unused, !READ_ONCE(engine->users));
	/* who put it last has let go of the lock, too */
	mutex_lock(&engines_lock);
	mutex_unlock(&engines_lock);
}

/* The engine of the device named so, or NULL. End with mock_share__put. */
struct mock_engine *mock_share__get(const char *device)
{
	struct mock_engine *engine, *found = NULL;

	mutex_lock(&engines_lock);
	list_for_each_entry(engine, &engines, shared) {
		if (strcmp(dev_name(engine->dev), device))
			continue;
		engine->users++;
		found = engine;
		break;
	}
	mutex_unlock(&engines_lock);
	return found;
}
EXPORT_SYMBOL_GPL(mock_share__get);

void mock_share__put(struct mock_engine *engine)
{
	mutex_lock(&engines_lock);
	WRITE_ONCE(engine->users, engine->users - 1);
	wake_up_all(&engine_unused);
	mutex_unlock(&engines_lock);
}
EXPORT_SYMBOL_GPL(mock_share__put);

EXPORT_SYMBOL_GPL(mock_engine__start);
EXPORT_SYMBOL_GPL(mock_engine__stop);
EXPORT_SYMBOL_GPL(mock_marks__report_to);
