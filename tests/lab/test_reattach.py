# SPDX-License-Identifier: GPL-2.0-only
"""iovabtop attached and detached again and again, while reports go on.

IOVAB_REATTACH says how often (5); `make test-reattach` does it 1,000 times.
"""

import os
import time

import client
import harness

TESTS, test, suite = harness.registry()

M = 1 << 20
TIMES = int(os.environ.get("IOVAB_REATTACH") or 5)
WARM = 3		# the kernel keeps some memory from the first ones

# What a leak in the kernel would show in, KiB.
MEMORY = ("Slab", "VmallocUsed", "Percpu", "KernelStack", "PageTables")
GROWTH_KB = 700 + 5 * TIMES	# seen: 320 at most
SETTLE_S = 5


def kernel_memory_kb():
	"""Without what it only keeps for later."""
	harness.write("/proc/sys/vm/drop_caches", 3)
	values = dict(line.split(":") for line in harness.read("/proc/meminfo").splitlines())
	return {name: int(values[name].split()[0]) for name in MEMORY if name in values}


def settled_memory_kb():
	"""Much is freed late, as by RCU: when for some seconds there was not less, all is."""
	least, since = kernel_memory_kb(), time.monotonic()
	while time.monotonic() < since + SETTLE_S:
		time.sleep(0.5)
		memory = kernel_memory_kb()
		if sum(memory.values()) < sum(least.values()) - 64:
			least, since = memory, time.monotonic()
	return least


def check_memory(case, before):
	"""What was there @before is; what is freed late has its time."""
	def grown():
		now = kernel_memory_kb()
		return {name: now[name] - before[name] for name in before}

	try:
		harness.wait_until(lambda: sum(grown().values()) < GROWTH_KB, "all memory is given back", 60)
	except harness.Unmet as unmet:
		raise harness.Unmet(f"{unmet}: the kernel's grew by {grown()} KiB") from None
	return sum(grown().values())


def attach_once(case, number):
	"""Counts all reports that begin after it has attached, and no others."""
	started = harness.truth(0)["calls"]
	top = harness.Top(case, "sets")
	attached = harness.truth(0)["calls"]
	harness.wait_until(lambda: harness.truth(0)["calls"] >= attached + 3, "reports go on")
	ending = harness.truth(0)["calls"]
	rows = list(top.finish().values())
	ended = harness.truth(0)["calls"]
	case.helpers.remove(top)
	if not case.equal(f"attachment {number}: rows", len(rows), 1):
		return
	row, = rows
	reports = row["total"]["reports"]
	# the one that was under way when it attached is not counted, and told
	case.check(ending - attached - 1 <= reports <= ended - started,
		   f"attachment {number}: {reports} reports of {ending - attached} to {ended - started}")
	lost = {name: count for name, count in row["losses"].items()
		if count and name not in ("joined_late", "marks_unowned", "pins_unowned")}
	case.equal(f"attachment {number}: losses", lost, {})
	# nor are those that came while it attached its programs, which takes its time
	joined_late = row["losses"]["joined_late"]
	case.check(joined_late <= attached - started + 1 and
		   reports + joined_late <= ended - started + 1,
		   f"attachment {number}: {joined_late} joined late of {attached - started} while it attached")


@test
def again_and_again_under_load(case):
	client.set_engine(0)
	before = harness.bpf_objects()
	worker = harness.start_migrate(case, 0, "--length", 64 * M, "--pattern", "random", "--step", 50,
				       "--forever", "--interval-ms", 40)
	harness.wait_until(lambda: harness.truth(0)["calls"] > 3, "reports")
	for number in range(1, TIMES + 1):
		attach_once(case, number)
		case.require(len(case.wrong) < 3, "no use in going on")
		if number == WARM:
			harness.check_bpf_gone(case, before, f"after {number} attachments")
			memory = settled_memory_kb()
		if number % 100 == 0:
			print(f"# attached {number} times", flush=True)
	harness.check_bpf_gone(case, before, f"after {TIMES} attachments")
	grown = check_memory(case, memory)
	worker.end(2)
	print(f"# {TIMES} attachments, the kernel's memory grew by {grown} KiB", flush=True)
