# SPDX-License-Identifier: GPL-2.0-only
"""A recording of a run of migrate: every total in report and replay is that of
the live view beside it, and the mock's own account."""

import contextlib
import json
import os
import signal
import sqlite3

import expect
import harness

TESTS, test, suite = harness.registry()

M, G = 1 << 20, 1 << 30
IOVAB = "build/iovab"


def lines(run):
	return [json.loads(line) for line in run.out().splitlines()]


def by_owner(rows):
	"""The newest object of each row."""
	return {(row.get("device"), row["pid"]): row for row in rows}


class Recorder(harness.Helper):
	"""iovab record, attached when it is made."""

	def __init__(self, case, tier, *args, command=()):
		self.path = os.path.join(case.folder, f"{case.count}.iovab")
		self.tier = tier
		super().__init__(case, "record-" + tier,
				 [IOVAB, "record", "-v", "-o", self.path, "-t", tier, "-d", "0.2", *args,
				  *(["--", *command] if command else [])])
		harness.wait_until(self.attached, self.name + " attaches")

	def attached(self):
		if not self.running() and "attached" not in self.err():
			raise harness.Unmet(f"{self.name} ended: {self.err().strip()[-300:]}")
		return "attached, tier " + self.tier in self.err()

	def finish(self):
		status = self.end(signal.SIGINT)
		if status != 0:
			raise harness.Unmet(f"{self.name} ended with {status}: {self.err()[-300:]}")


def replayed(case, path):
	"""The rows at the end of the recording, as iovab replay shows them."""
	run = case.run("replay", [IOVAB, "replay", "--json", "--last", path])
	case.equal("status of replay", run.status, 0)
	return by_owner(lines(run))


def without_clock(scope):
	"""A latency's values are by each program's own clock; how many there are is not."""
	return {key: value["count"] if key.endswith("_ns") else value for key, value in scope.items()}


def same_row(case, what, live, seen):
	"""All that two programs can agree on: each has its own clock and its own cost."""
	for key in live:
		if key == "total":
			case.equal(f"{what}: total", without_clock(seen[key]), without_clock(live[key]))
		elif key not in ("time", "elapsed_s", "interval_s", "interval", "cost", "stale"):
			case.equal(f"{what}: {key}", seen.get(key), live[key])


def sums_of_events(path):
	"""What the recorded reports add up to, by source."""
	names = ("windows", "repins", "pages_pinned", "pin_failures", "windows_clean", "scan_skipped",
		 "dirty_pages", "set_calls", "marked_pages", "lost_pages", "overshoot_pages",
		 "stray_bits", "length")
	sums = ", ".join(f"sum({name})" for name in names)
	with contextlib.closing(sqlite3.connect(path)) as db:
		reports = db.execute(f"SELECT device, pid, count(*), {sums} FROM report JOIN source ON "
				     "source.id = source_id GROUP BY source_id").fetchall()
		windows = db.execute("SELECT device, pid, count(*), sum(pages_pinned), sum(dirty_pages), "
				     "sum(scan_skipped), count(DISTINCT report) FROM window JOIN source ON "
				     "source.id = source_id GROUP BY source_id").fetchall()
	return ({(row[0], row[1]): dict(zip(("reports", *names), row[2:])) for row in reports},
		{(row[0], row[1]): row[2:] for row in windows})


def check_events(case, tier, path, rows):
	"""Reports and windows, each in full, add up to the totals."""
	reports, windows = sums_of_events(path)
	for key, row in rows.items():
		total, sums = row["total"], reports[key]
		for name, figure in (("reports", "reports"), ("windows", "windows"), ("repins", "repins"),
				     ("pages_pinned", "pages_pinned"), ("length", "range_bytes"),
				     ("windows_clean", "windows_clean"), ("set_calls", "set_calls")):
			case.equal(f"{tier}: sum of {name}", sums[name], total.get(figure, 0))
		for name, figure in (("dirty_pages", "dirty_bytes"), ("marked_pages", "marked_bytes"),
				     ("lost_pages", "lost_bytes")):
			case.equal(f"{tier}: sum of {name}", sums[name] * row["page_size"],
				   total.get(figure, 0))
		scanned = tier != "windows"
		case.equal(f"{tier}: windows", windows[key],
			   (total["windows"], total["pages_pinned"], sums["dirty_pages"],
			    0 if scanned else total["windows"], total["reports"]))


@test
def totals_equal_the_live_ones_and_the_truth(case):
	"""Two devices, two owners, all tiers: live, replay and report, to the last figure."""
	for tier in expect.TIERS:
		top = harness.Top(case, tier, delay=0.3)
		recorder = Recorder(case, tier)
		running = [harness.start_migrate(case, n, "--pattern", "random", "--rate", 20000,
						 "--length", (70 + n) * G, "--rounds", 5,
						 "--interval-ms", 50, "--fault-redundant", 3 * n,
						 "--order", "ascending") for n in (0, 1)]
		results = [harness.finish_migrate(helper)[0] for helper in running]
		recorder.finish()
		live = top.finish()
		rows = replayed(case, recorder.path)
		case.equal(f"{tier}: rows", sorted(rows), sorted(live))
		for n, result in enumerate(results):
			key = result["device"], result["pid"]
			expected = expect.Expected(tier)
			expected.add_migrate(result, [(0, (70 + n) * G)], 6)
			expected.check(case, rows[key])
			expect.check_lossless(case, rows[key])
			same_row(case, f"{tier}: replay", live[key], rows[key])
		check_events(case, tier, recorder.path, rows)
