// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes of guest memory: the device's DMA made real.
 *
 * With `memory` set a page that the pattern chooses is written before it is
 * logged, through the client's own mapping of that IOVA (vfio_dma_rw). In this
 * order a report between the two can only find too little, and the next one
 * finds the rest. Each write puts the count of all writes so far somewhere into
 * the page, so no write leaves a page as it was.
 *
 * What fails (nothing is mapped there) is not logged, and counted. The fault
 * `unlogged` leaves out the log of every Nth write: the page differs on the
 * destination unless something else dirties it afterwards.
 *
 * For a client of the container vfio_dma_rw asks for its own process or a
 * kernel thread; so all of this runs in a work.
 */
#include "mock.h"

/*
 * Writes into the page at @granule; true: it is to be logged. Caller holds
 * step_lock and sem, in a kernel thread.
 */
bool mock_memory__write(struct mock_engine *engine, const struct mock_settings *settings,
			u64 granule)
{
	struct mock_device *mock = container_of(engine, struct mock_device, engine);
	u64 count = ++engine->memory_writes;
	u64 offset = count * sizeof(count) % MOCK_GRANULE_BYTES;
	bool logged = !settings->unlogged || count % settings->unlogged;
	int err;

	granule += count % mock_engine__page_granules(engine);
	err = vfio_dma_rw(&mock->vdev, (granule << MOCK_GRANULE_SHIFT) + offset, &count,
			  sizeof(count), true);
	mock_truth__add_memory(&engine->truth, err, logged);
	return !err && logged;
}
