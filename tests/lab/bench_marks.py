# SPDX-License-Identifier: GPL-2.0-only
"""What it takes to record marks. Runs in the guest.

	bench_marks.py size	64 GiB fully dirty, a mark a page, in two orders: bytes a
				mark in the file, and what was lost
	bench_marks.py cost	instructions of the reporting thread a mark and a report, with
				and without marks and events recorded. Needs -icount, one CPU

Exits with 1 if more bytes were taken than is promised, or if anything was lost.
"""

import contextlib
import json
import os
import signal
import sqlite3
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import harness
import test_record

G = 1 << 30
# bytes a mark, at most
PROMISED = {"ascending": 1, "shuffled": 6}


def migrate(case, length, order, rounds=1):
	"""Reports of all pages. What migrate printed."""
	helper = harness.Helper(case, "migrate",
				[harness.MIGRATE, "--device", harness.device_name(0), "--json",
				 "--length", length, "--pattern", "all", "--step", 1, "--rounds", rounds, "--order", order,
				 "--merge", 0, "--rate", 0, "--fault-delay-ms", 0])
	status = helper.wait()
	if status:
		raise harness.Unmet(f"migrate ended with {status}: {helper.err()[-300:]}")
	return json.loads(helper.out())


def in_file(path):
	"""Marks, runs and bytes of their chunks."""
	with contextlib.closing(sqlite3.connect(path)) as db:
		return db.execute("SELECT sum(marks), sum(runs), sum(length(data)), count(*) FROM marks").fetchone()


def measure_size(case, length):
	for order, most in PROMISED.items():
		recorder = test_record.Recorder(case, "sets")
		began = time.monotonic()
		result = migrate(case, length, order)
		took = time.monotonic() - began
		recorder.finish()
		row = test_record.replayed(case, recorder.path)[result["device"], result["pid"]]
		marks, runs, size, chunks = in_file(recorder.path)
		lost = {name: n for name, n in row["losses"].items() if n}
		made = result["truth"]["marks"]
		print(f"{order}: {made} marks, {marks} recorded as {runs} runs in {chunks} chunks, "
		      f"{size / made:.4f} bytes a mark (of the file {os.path.getsize(recorder.path) / made:.4f}), "
		      f"events lost: {lost or 0}, {took:.0f} s", flush=True)
		case.equal(f"{order}: marks", marks, made)
		case.equal(f"{order}: lost", lost, {})
		case.check(os.path.getsize(recorder.path) < most * made, f"{order}: more than {most} bytes a mark")
		told = test_record.followed(case, recorder.path, "cached")[result["device"], result["pid"]]
		case.equal(f"{order}: cached", told["pinned"], row["total"]["what_if"]["cached"])


def watched(case, tier, words):
	"""Whoever watches, or nobody; sleeping, since its own work is not the reporting thread's."""
	if words is None:
		return None
	watcher = harness.Top(case, tier) if words == "top" else test_record.Recorder(case, tier, *words)
	watcher.process.send_signal(signal.SIGSTOP)
	return watcher


def let_go(watcher):
	if watcher:
		watcher.process.send_signal(signal.SIGCONT)
		watcher.finish()


def measure_marks(case):
	for order in PROMISED:
		for what, words in (("not watched", None), ("tier sets", ("--no-marks",)), ("and recorded", ())):
			watcher = watched(case, "sets", words)
			result = migrate(case, 4 * G, order)
			let_go(watcher)
			print(f"{order}: {what}: {result['report_ns']['max'] / result['truth']['marks']:.1f} "
			      "instructions a mark", flush=True)


def measure_events(case):
	"""Reports of one window each."""
	for what, words in (("not watched", None), ("watched", "top"), ("and recorded", ())):
		watcher = watched(case, "windows", words)
		result = migrate(case, 1 << 20, "ascending", rounds=1000)
		let_go(watcher)
		print(f"tier windows: {what}: {result['report_ns']['sum'] / result['reports']:.0f} "
		      "instructions a report", flush=True)


def main(what):
	# 16 million marks take their time where everything is emulated
	harness.Helper.wait.__defaults__ = (1500,)
	results = harness.Results()
	harness.have_mock(1)
	with results.case("bench marks") as case:
		if what == "size":
			measure_size(case, 64 * G)
		else:
			measure_marks(case)
			measure_events(case)
	return results.failed


if __name__ == "__main__":
	if len(sys.argv) != 2 or sys.argv[1] not in ("size", "cost"):
		sys.exit(__doc__)
	sys.exit(main(sys.argv[1]))
