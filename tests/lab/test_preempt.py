# SPDX-License-Identifier: GPL-2.0-only
"""Two reporters on one CPU of a kernel that preempts everywhere (preempt=full).

The kernel runs a tracing program once at a time on a CPU: a mark that comes while
another task was preempted inside the program is skipped, and counted as such.
So counted and skipped must add up to what the devices did.
"""

import os

import client
import harness

TESTS, test, suite = harness.registry()

G = 1 << 30
TRIES = 8


def on_cpu_0():
	os.sched_setaffinity(0, {0})


def misses():
	"""By program of iovab: how often the kernel skipped it."""
	return {prog["name"]: prog.get("recursion_misses", 0) for prog in harness.bpftool("prog", "show")
		if prog.get("type") == "tracing"}


def report_both(case):
	"""Marks of two devices, as fast as they can."""
	workers = [harness.start_migrate(case, n, "--length", G, "--pattern", "all", "--step", 1,
					 "--rounds", 2, preexec_fn=on_cpu_0) for n in (0, 1)]
	return [harness.finish_migrate(worker)[0] for worker in workers]


@test
def counted_and_skipped_are_all(case):
	case.require("preempt=full" in harness.read("/proc/cmdline"),
		     "the test itself: the kernel was not started with preempt=full")
	for number in (0, 1):
		client.set_engine(number)
	top = harness.Top(case, "sets", delay=0.5, missed_ok=True)
	results = []
	for _ in range(TRIES):
		results += report_both(case)
		missed = misses()
		if missed.get("set_entry", 0) and len(results) >= 4:
			break
	rows = top.finish()
	marks = sum(result["truth"]["marks"] for result in results)
	keys = [(result["device"], result["pid"]) for result in results]
	case.check(missed.get("set_entry", 0) > 0, f"the test itself: no mark was skipped: {missed}")
	row = next(iter(rows.values()))
	counted = sum(rows[key]["total"]["set_calls"] for key in keys if key in rows)
	losses = row["losses"]
	case.equal("recursion_missed", losses["recursion_missed"], sum(missed.values()))
	case.equal(f"marks: {counted} counted, {missed['set_entry']} skipped, {losses['marks_unowned']} unowned",
		   counted + missed["set_entry"] + losses["marks_unowned"], marks)
	case.check(row["events_lost"] > 0, "events_lost is 0")
	print(f"# {missed['set_entry']} of {marks} marks skipped")
