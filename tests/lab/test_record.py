# SPDX-License-Identifier: GPL-2.0-only
"""A recording of a run of migrate: every total in report and replay is that of
the live view beside it, and the mock's own account."""

import contextlib
import json
import os
import re
import signal
import sqlite3
import sys

import expect
import harness
import rule
import watched

sys.path.insert(0, os.path.join(harness.REPO, "tests", "record"))
import marks

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

	# most of what attaching costs is to make the room that it asks for by itself
	BUFFER = ("--buffer", "4M")

	def __init__(self, case, tier, *args, command=()):
		self.path = os.path.join(case.folder, f"{case.count}.iovab")
		self.tier = tier
		super().__init__(case, "record-" + tier,
				 [IOVAB, "record", "-v", "-o", self.path, "-t", tier, "-d", "0.2", *self.BUFFER, *args,
				  *(["--", *command] if command else [])])
		harness.wait_until(self.attached, self.name + " attaches")

	def attached(self):
		if not self.running() and "attached" not in self.err():
			raise harness.Unmet(f"{self.name} ended: {self.err().strip()[-300:]}")
		# the file comes a moment after that line
		return "attached, tier " + self.tier in self.err() and os.path.exists(self.path)

	def finish(self):
		"""The recording's path."""
		status = self.end(signal.SIGINT)
		if status != 0:
			raise harness.Unmet(f"{self.name} ended with {status}: {self.err()[-300:]}")
		return self.path


def reported(case, path):
	"""The devices as iovab report has them, and all that it says."""
	run = case.run("report", [IOVAB, "report", "--json", path])
	case.equal("status of report", run.status, 0)
	told = json.loads(run.out())
	return by_owner(told["devices"]), told


def replayed(case, path):
	"""The rows at the end of the recording, as iovab replay shows them."""
	run = case.run("replay", [IOVAB, "replay", "--json", "--last", path])
	case.equal("status of replay", run.status, 0)
	return by_owner(lines(run))


def without_clock(scope):
	"""A latency's values are by each program's own clock; how many there are is not."""
	def counted(key, value):
		if key == "phases":
			return {phase: figures["reports"] for phase, figures in value.items()}
		return value["count"] if key.endswith("_ns") else value

	return {key: counted(key, value) for key, value in scope.items()}


def without_rates(convergence):
	"""Rates are by each program's own clock, too."""
	return {key: value for key, value in (convergence or {}).items()
		if key not in ("round_s", "share") and not key.endswith("_per_s")}


def same_row(case, what, live, seen):
	"""All that two programs can agree on: each has its own clock and its own cost."""
	for key in live:
		if key == "convergence":
			case.equal(f"{what}: {key}", without_rates(seen.get(key)), without_rates(live[key]))
			continue
		if key == "total":
			case.equal(f"{what}: total", without_clock(seen[key]), without_clock(live[key]))
		elif key not in ("time", "elapsed_s", "interval_s", "interval", "cost", "stale"):
			case.equal(f"{what}: {key}", seen.get(key), live[key])


def sums_of_events(path, cut_short):
	"""What the recorded reports add up to, and their windows, by source.

	@cut_short: the last report may not have ended, so its windows stand alone.
	"""
	names = ("windows", "repins", "pages_pinned", "pin_failures", "windows_clean", "scan_skipped",
		 "dirty_pages", "set_calls", "marked_pages", "lost_pages", "overshoot_pages",
		 "stray_bits", "length")
	sums = ", ".join(f"sum({name})" for name in names)
	with contextlib.closing(sqlite3.connect(path)) as db:
		reports = db.execute(f"SELECT device, pid, count(*), sum(windows > 0), {sums} FROM report "
				     "JOIN source ON source.id = source_id GROUP BY source_id").fetchall()
		windows = db.execute("SELECT device, pid, count(*), sum(pages_pinned), sum(dirty_pages), "
				     "sum(scan_skipped), count(DISTINCT report) FROM window JOIN source ON "
				     "source.id = source_id WHERE report IN (SELECT report FROM report) OR ? "
				     "GROUP BY source_id", (not cut_short,)).fetchall()
	return ({(row[0], row[1]): dict(zip(("reports", "with_windows", *names), row[2:])) for row in reports},
		{(row[0], row[1]): row[2:] for row in windows})


def sums_of_marks(path):
	"""How many the recording has of the reports that ended, by source."""
	with contextlib.closing(sqlite3.connect(path)) as db:
		return {row[:2]: row[2] for row in db.execute(
			"SELECT device, pid, sum(marks) FROM marks JOIN source ON source.id = source_id "
			"WHERE report IN (SELECT report FROM report) GROUP BY source_id")}


def check_events(case, tier, path, rows, cut_short=False):
	"""Reports, windows and marks, each in full, add up to the totals."""
	reports, windows = sums_of_events(path, cut_short)
	made = sums_of_marks(path)
	for key, row in rows.items():
		total, sums = row["total"], reports[key]
		case.equal(f"{tier}: marks", made.get(key, 0), total.get("set_calls", 0))
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
			    0 if scanned else total["windows"], sums["with_windows"]))


@test
def totals_equal_the_live_ones_and_the_truth(case):
	"""Two devices, two owners, all tiers: live, replay and report, to the last figure."""
	lengths = (70 * G, 5 * G)	# two windows and one
	tops = [harness.Top(case, tier, delay=0.3) for tier in expect.TIERS]
	recorders = [Recorder(case, tier) for tier in expect.TIERS]
	running = [harness.start_migrate(case, n, "--pattern", "random", "--rate", 5000, "--length",
					 lengths[n], "--rounds", 3, "--interval-ms", 50,
					 "--fault-redundant", 3 * n, "--order", "ascending")
		   for n in (0, 1)]
	results = [harness.finish_migrate(helper)[0] for helper in running]
	for tier, top, recorder in zip(expect.TIERS, tops, recorders):
		recorder.finish()
		live = top.finish()
		rows = replayed(case, recorder.path)
		top.skip_if_preempted(rows.values())
		case.equal(f"{tier}: rows", sorted(rows), sorted(live))
		for n, result in enumerate(results):
			key = result["device"], result["pid"]
			expected = expect.Expected(tier)
			expected.add_migrate(result, [(0, lengths[n])], 4)
			expected.check(case, rows[key])
			expect.check_lossless(case, rows[key])
			same_row(case, f"{tier}: replay", live[key], rows[key])
		check_events(case, tier, recorder.path, rows)
		if tier == "sets":
			check_policies(case, recorder.path, rows)
		devices, told = reported(case, recorder.path)
		case.equal(f"{tier}: ended", told["ended"], True)
		for key, row in rows.items():
			case.equal(f"{tier}: report's total", devices[key]["total"], row["total"])
			rounds = [r for m in devices[key]["migrations"] for r in m["rounds"]]
			case.equal(f"{tier}: rounds", len(rounds), 4)
			if tier != "windows":
				case.equal(f"{tier}: dirty of all rounds", sum(r["dirty_bytes"] for r in rounds),
					   row["total"]["dirty_bytes"])


@test
def ends_with_its_command(case):
	"""What the command does is recorded whole; how it ended is told; a wrong one leaves no file."""
	path = os.path.join(case.folder, "a.iovab")
	command = [harness.MIGRATE, "--device", harness.device_name(0), "--json", "--length", 70 * G,
		   "--rounds", 3, "--step", 500, "--rate", 0, "--pattern", "random"]
	before = harness.bpf_objects()
	if rule.lazy():
		harness.write(harness.log_file(0), harness.LOG_ROOM)
	run = case.run("record", [IOVAB, "record", "-o", path, "-t", "sets", "--", *command])
	case.equal("status", run.status, 0)
	case.equal("stderr", run.err(), "")
	result = json.loads(run.out())
	if rule.lazy():
		result["calls"] = harness.log_read(0)
	row = replayed(case, path)[result["device"], result["pid"]]
	expected = expect.Expected("sets")
	expected.add_migrate(result, [(0, 70 * G)], 4)
	expected.check(case, row)
	expect.check_lossless(case, row)
	harness.check_bpf_gone(case, before, "after recording")
	# on a terminal, too, --quiet leaves that alone to be told
	quiet = f"{IOVAB} record --quiet -t windows -o {path}2 -- false"
	run = case.run("script", ["script", "-qec", quiet, "/dev/null"])
	case.equal("status of record, its command failed", run.status, 0)
	case.check(re.fullmatch(r"[^\r\n]*ended with status 1\b[^\r\n]*\r\n", run.out()), f"told: {run.out()!r}")
	run = case.run("record", [IOVAB, "record", "-t", "windows", "-o", path + "3", "--", "/no/such"])
	case.equal("status of record, its command is not there", run.status, 1)
	case.check(not os.path.exists(path + "3"), "a file is left")
	run = case.run("record", [IOVAB, "record", "-t", "windows", "-o", path, "--", "true"])
	case.equal("status of record, its file is there", run.status, 1)
	case.check("is there already" in run.err(), f"stderr: {run.err()!r}")


@test
def progress_on_a_terminal(case):
	"""Elapsed, reports, windows, size and losses, in one line that is kept up to date."""
	path = os.path.join(case.folder, "a.iovab")
	command = f"{IOVAB} record -o {path} -d 0.3 -- {harness.MIGRATE} --device " \
		  f"{harness.device_name(0)} --length {70 * G} --rounds 3 --step 500 --rate 0"
	run = case.run("script", ["script", "-qec", command, "/dev/null"])
	case.equal("status", run.status, 0)
	told = [line for line in re.split(r"[\r\n]+", run.out()) if "events lost" in line]
	case.check(len(told) > 1, f"told {len(told)} times: {run.out()[-300:]!r}")
	case.check(re.search(r"^[\d.]+ m?s  4 reports  \d+ windows  [\d.]+ KiB  0 events lost", told[-1]),
		   f"the last line: {told[-1]!r}")


@test
def killed_while_it_records(case):
	"""kill -9: nothing stays in the kernel, and the file holds all but the last moment."""
	before = harness.bpf_objects()
	recorder = Recorder(case, "sets")
	# nearly always in a report, and mostly asleep there
	worker = harness.start_migrate(case, 0, "--length", 4 * G, "--pattern", "random", "--step", 200,
				       "--forever", "--fault-delay-ms", 50, "--rate", 0)
	key = harness.device_name(0), worker.pid

	def reports():
		row = replayed(case, recorder.path).get(key)
		return row and row["total"]["reports"]

	harness.wait_until(lambda: (reports() or 0) > 3, "reports are recorded", poll_s=0.3)
	seen = reports()
	recorder.end(signal.SIGKILL)
	worker.end(signal.SIGINT)
	harness.check_bpf_gone(case, before, "after kill -9")
	row = replayed(case, recorder.path)[key]
	case.check(row["total"]["reports"] >= seen, f"{row['total']['reports']} reports, {seen} before")
	check_events(case, "sets", recorder.path, {key: row}, cut_short=True)


def followed(case, path, policy, *words):
	"""What a policy would have pinned, by row."""
	run = case.run("replay", [IOVAB, "replay", "--policy", policy, *words, "--json", path])
	case.equal(f"status of replay --policy {policy}", run.status, 0)
	return by_owner(lines(run))


def check_policies(case, path, rows):
	"""From the recorded marks follows what was worked out while they were made."""
	for policy in ("eager", "lazy", "cached"):
		told = followed(case, path, policy)
		for key, row in rows.items():
			total, seen = row["total"], told[key]
			case.equal(f"{policy}: reports", seen["reports"], total["what_if"]["reports"])
			case.equal(f"{policy}: incomplete", seen["reports_incomplete"], 0)
			case.equal(f"{policy}: marks", seen["marks"], total["set_calls"])
			worked_out = total["what_if"][policy]
			# live, repins are unknown beyond so many windows
			case.equal(f"{policy}: pinned", {key: value for key, value in seen["pinned"].items()
							 if key in worked_out}, worked_out)
			if policy == ("lazy" if rule.lazy() else "eager"):
				case.equal(f"{policy}: pinned, as the kernel", seen["pinned"], seen["observed"])


MARKED = (
	("--length", 60 * G, "--step", 3000, "--order", "shuffled", "--fault-redundant", 7),
	("--length", 70 * G, "--step", 300, "--order", "shuffled", "--bitmap-offset", 264),
	("--length", 3 * G, "--step", 2000, "--order", "descending", "--fault-overshoot", 3),
	("--length", M, "--pattern", "all", "--step", 1),
	("--length", 100 * M, "--pattern", "all", "--step", 1, "--fault-cross", 2),
	("--length", G, "--tracked", 64 << 10, "--page-size", 4096, "--pattern", "dense", "--step", 300,
	 "--merge", 1),
)


def marks_are_recorded_in_full(case):
	"""Each mark that the device made, in its order; and each policy's pins follow from them."""
	yield
	made, pids = [], []
	for words in MARKED:
		harness.write(harness.log_file(0), harness.LOG_ROOM)
		result = harness.migrate(case, 0, "--pattern", "random", "--order", "ascending", "--merge", 0,
					 "--rate", 0, "--fault-redundant", 0, "--fault-overshoot", 0,
					 "--fault-cross", 0, "--fault-delay-ms", 0, "--rounds", 1, *words)
		made += [mark for _, _, call in harness.log_read(0) for mark in call]
		pids.append(result["pid"])
	path = (yield)["sets"]
	recorded = marks.of_reports(path, pids)
	seen = [mark for serial in sorted(recorded) for mark in recorded[serial]]
	case.check(len(made) > 30000, f"the test itself: {len(made)} marks")
	case.equal("marks", len(seen), len(made))
	wrong = next((n for n, pair in enumerate(zip(seen, made)) if pair[0] != pair[1]), None)
	case.check(wrong is None, f"mark {wrong} is {seen[wrong or 0]}, not {made[wrong or 0]}")
	rows = {key: row for key, row in replayed(case, path).items() if key[1] in pids}
	case.equal("rows", len(rows), len(MARKED))
	for row in rows.values():
		expect.check_lossless(case, row)
	check_policies(case, path, rows)


def keeps_up_with_many_short_reports(case):
	"""They come in many of its intervals: each is in the file, and no event was lost."""
	yield
	result = harness.migrate(case, 1, "--length", M, "--rounds", 999, "--step", 3, "--rate", 0,
				 "--fault-delay-ms", 0, "--pattern", "random")
	path = (yield)["sets"]
	key = result["device"], result["pid"]
	row = replayed(case, path)[key]
	expect.check_lossless(case, row)
	case.equal("reports", row["total"]["reports"], 1000)
	check_events(case, "sets", path, {key: row})


@suite
def in_one_recording(results):
	tests = watched.wanted(results, "record", dict.fromkeys(
		(marks_are_recorded_in_full, keeps_up_with_many_short_reports), ["sets"]))
	watched.run_all(results, "record all marks and short reports", tests, Recorder)


@test
def marks_by_kprobes(case):
	"""The other program that records them."""
	recorder = Recorder(case, "sets", "--kprobes")
	harness.write(harness.log_file(0), harness.LOG_ROOM)
	harness.migrate(case, 0, "--length", 60 * G, "--step", 500, "--rounds", 1, "--rate", 0, "--pattern",
			"random", "--order", "shuffled", "--merge", 0, "--fault-delay-ms", 0)
	made = [mark for _, _, call in harness.log_read(0) for mark in call]
	recorder.finish()
	recorded = marks.of_reports(recorder.path)
	seen = [mark for serial in sorted(recorded) for mark in recorded[serial]]
	case.check(len(made) > 400, f"the test itself: {len(made)} marks")
	case.check(seen == made, f"{len(seen)} marks, not the {len(made)} that were made")
	check_policies(case, recorder.path, replayed(case, recorder.path))


@test
def marks_that_find_no_room_are_missed(case):
	"""Nobody empties a small buffer: totals are right, and what is missing is told."""
	recorder = Recorder(case, "sets", "--buffer", "64K")
	recorder.process.send_signal(signal.SIGSTOP)
	result = harness.migrate(case, 0, "--length", 60 * G, "--step", 8000, "--rounds", 3, "--rate", 0,
				 "--pattern", "random", "--order", "shuffled", "--merge", 0,
				 "--fault-delay-ms", 0)
	recorder.process.send_signal(signal.SIGCONT)
	recorder.finish()
	key = result["device"], result["pid"]
	row = replayed(case, recorder.path)[key]
	dropped = row["losses"]["marks_dropped"]
	kept = sum(map(len, marks.of_reports(recorder.path).values()))
	case.check(dropped > 10000, f"{dropped} marks were dropped")
	case.equal("events_lost", row["events_lost"], 0)
	case.equal("marks", row["total"]["set_calls"], result["truth"]["marks"])
	case.equal("kept and dropped", kept + dropped, result["truth"]["marks"])
	told = followed(case, recorder.path, "cached")[key]
	case.equal("reports", told["reports"] + told["reports_incomplete"], 4)
	case.check(told["reports_incomplete"] > 1, f"{told['reports_incomplete']} reports are incomplete")
	run = case.run("replay", [IOVAB, "replay", "--policy", "cached", recorder.path])
	case.check("INCOMPLETE" in run.out() and "are missing" in run.out(), f"said {run.out()!r}")
