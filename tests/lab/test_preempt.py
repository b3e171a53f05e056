# SPDX-License-Identifier: GPL-2.0-only
"""Two reporters on one CPU of a kernel that preempts everywhere (preempt=full).

The kernel runs a tracing program once at a time on a CPU: a mark that comes while
another task was preempted inside the program is skipped, and counted as such.
So counted and skipped must add up to what the devices did.

A kprobe's program is skipped where another task was preempted in a system call on a BPF
map, which a hammer sees to: what begins and ends reports and windows has both.
"""

import json
import os
import time

import client
import harness
import rule
from crowd import Crowd

TESTS, test, suite = harness.registry()

G = 1 << 30
TRIES = 8

# The trampolines' programs beside which there is one of a kprobe's
PAIRED = ("alloc_exit", "pin_entry", "pin_exit", "gup_entry", "gup_exit", "free_entry")

# Those that know of whom a report is
NAMING = ("for_each_entry", "vfio_ioctl_entr")


def on_cpu_0():
	os.sched_setaffinity(0, {0})


def misses():
	"""By program of iovab: how often the kernel skipped it."""
	return {prog["name"]: prog.get("recursion_misses", 0) for prog in harness.bpftool("prog", "show")
		if prog.get("type") == "tracing"}


def report_both(case):
	"""Marks of two devices, as fast as they can."""
	workers = [harness.start_migrate(case, n, "--length", G, "--pattern", "all", "--step", 1,
					 "--rounds", 2, log_room=0, preexec_fn=on_cpu_0) for n in (0, 1)]
	return [harness.finish_migrate(worker)[0] for worker in workers]


def prepare(case):
	case.require("preempt=full" in harness.read("/proc/cmdline"),
		     "the test itself: the kernel was not started with preempt=full")
	for number in (0, 1):
		client.set_engine(number)


def check_reports(case, rows, results, unnamed=0):
	"""No report is missed, nor taken for somebody else's; of so many it may be unknown whose."""
	for result in results:
		device, pid = result["device"], result["pid"]
		reports = {key: row["total"]["reports"] for key, row in rows.items() if key[1] == pid}
		case.equal(f"reports of {device} of {pid}", sum(reports.values()), result["truth"]["calls"])
		case.check(set(reports) <= {(device, pid), (None, pid)}, f"rows of {pid}: {reports}")
		unnamed -= reports.get((None, pid), 0)
	case.check(unnamed >= 0, f"{-unnamed} reports more have no device than were kept from the programs that name it")


def marks_counted(rows, results):
	pids = {result["pid"] for result in results}
	return sum(row["total"]["set_calls"] for (_, pid), row in rows.items() if pid in pids)


@test
def counted_and_skipped_are_all(case):
	prepare(case)
	top = harness.Top(case, "sets", missed_ok=True)
	results = []
	for _ in range(TRIES):
		results += report_both(case)
		missed = misses()
		if missed.get("set_entry", 0) and len(results) >= 4:
			break
	rows = top.finish()
	marks = sum(result["truth"]["marks"] for result in results)
	case.check(missed.get("set_entry", 0) > 0, f"the test itself: no mark was skipped: {missed}")
	check_reports(case, rows, results, sum(missed.get(name, 0) for name in NAMING))
	row = next(iter(rows.values()))
	counted = marks_counted(rows, results)
	losses = row["losses"]
	# what was kept from one of a pair of programs the other one may have done
	pairs = sum(missed.get(name, 0) for name in PAIRED)
	case.check(sum(missed.values()) - pairs <= losses["recursion_missed"] <= sum(missed.values()),
		   f"recursion_missed: {losses['recursion_missed']} of {missed}")
	case.equal(f"marks: {counted} counted, {missed['set_entry']} skipped", counted + missed["set_entry"],
		   marks)
	case.equal("marks and reports without an owner", (losses["marks_unowned"], losses["joined_late"]),
		   (0, 0))
	case.check(row["events_lost"] > 0, "events_lost is 0")
	print(f"# {missed['set_entry']} of {marks} marks skipped")


@test
def nothing_is_skipped_by_kprobes(case):
	prepare(case)
	top = harness.Top(case, "sets", args=("--kprobes",), missed_ok=True)
	results = report_both(case) + report_both(case)
	rows = top.finish()
	check_reports(case, rows, results)
	case.equal("marks", marks_counted(rows, results), sum(result["truth"]["marks"] for result in results))
	case.equal("events lost", {row["events_lost"] for row in rows.values()}, {0})


@test
def probe_says_how(case):
	hooks = json.loads(case.run("probe", ["build/iovab", "probe", "--json"]).out())["hooks"]
	case.equal("methods", {hook["signal"]: hook["method"] for hook in hooks},
		   {"alloc": "kprobe", "free": "kprobe", "pin": "kprobe", "unpin": "kprobe",
		    "for_each": "trampoline", "set": "trampoline"})
	case.equal("reasons", {hook["signal"]: hook.get("why") for hook in hooks if hook.get("why")},
		   {"unpin": "this kernel preempts",
		    **dict.fromkeys(("alloc", "free", "pin"), "this kernel preempts; a trampoline besides")})


def start_reports(case, number, rounds):
	return harness.start_migrate(case, number, "--length", G, "--pattern", "sequential", "--step", 20,
				     "--rounds", rounds, preexec_fn=on_cpu_0)


def start_hammer(case):
	"""It shares the CPU with those who report, and is preempted inside its calls."""
	return harness.Helper(case, "hammer", ["build/hammer", 0])


@test
def somebody_else_uses_maps(case):
	"""Programs of kprobes are skipped most of the time then; each call has a second one."""
	prepare(case)
	top = harness.Top(case, "density", delay=0.3, missed_ok=True, preexec=on_cpu_0)
	hammer = start_hammer(case)
	result = harness.finish_migrate(start_reports(case, 0, 60))[0]
	hammer.end(9)
	row = top.finish().get((result["device"], result["pid"]))
	case.require(row, f"no row for {result['device']}")
	total, truth = row["total"], result["truth"]
	# the last one, with nothing to mark, has a window only where that is pinned ahead
	clean = int(not rule.lazy())
	case.equal("reports, windows, clean ones, dirty bytes",
		   (total["reports"], total["windows"], total["windows_clean"], total["dirty_bytes"]),
		   (truth["calls"], truth["calls"] - 1 + clean, clean, truth["distinct_bytes"]))
	case.equal("in flight, pages pinned", (row["reports_in_flight"], row["pages_pinned_now"]), (0, 0))
	case.equal("losses", {name: n for name, n in row["losses"].items() if n}, {})


def ends_hammered(case, top):
	"""Reports end while the hammer is at it: the row of their process, and how many there were."""
	reports = 8
	crowd = Crowd(case, reports, [0], 1, preexec_fn=on_cpu_0)

	def row():
		rows = [row for row in top.last().values() if row["pid"] == crowd.helpers[0].pid]
		return rows[0] if rows else None

	harness.wait_until(lambda: row() and row()["reports_in_flight"] == reports, "all are in flight")
	hammer = start_hammer(case)
	time.sleep(0.3)
	crowd.hold(False)
	crowd.helpers[0].wait()
	hammer.end(9)
	harness.wait_until(lambda: not row()["reports_in_flight"], "none is in flight", 5)
	return row(), reports


@test
def what_was_missed_all_the_same(case):
	"""By kprobes alone: reports whose end was missed are lost, and not in flight for ever."""
	prepare(case)
	top = harness.Top(case, "windows", delay=0.3, args=("--kprobes",), missed_ok=True)
	seen = reports = 0
	for _ in range(TRIES):
		row, more = ends_hammered(case, top)
		seen += row["total"]["reports"]
		reports += more
		if seen < reports:
			break
	case.check(seen < reports, "the test itself: the end of each was seen")
	case.equal("reports whose end was missed", row["losses"]["ends_missed"], reports - seen)
