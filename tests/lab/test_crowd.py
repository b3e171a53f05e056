# SPDX-License-Identifier: GPL-2.0-only
"""As many reports in flight at once as are promised, and then more than there is room for.

The devices hold them until all are there.
"""

import json
import os
import re
import time

import client
import harness
import rule
from crowd import WRITES, Crowd

TESTS, test, suite = harness.registry()

DEVICES, REPORTS, PROCESSES = 1000, 10000, 10
ROOM = int(re.search(r"IOVAB_MAX_REPORTS\s+(\d+)", harness.read("include/iovab.h"))[1])
LATE_DEVICES, LATE = 10, ROOM - REPORTS + 100	# of these 100 find no room
RSS_KB = 32 << 10
TAIL_BYTES = 8 << 20		# of the output, more than two intervals


class Top(harness.Top):
	"""Of its many rows only those of the last whole interval are looked at."""

	seen = 0, 0

	def tail(self):
		with open(self.out_path, "rb") as file:
			file.seek(max(0, os.path.getsize(self.out_path) - TAIL_BYTES))
			lines = file.read()
		return lines[:lines.rfind(b"\n") + 1]

	def interval(self):
		"""Its lines: looked for by the time of the last one, for they are megabytes."""
		text = self.tail()
		if self.running():	# the last one may still be on its way
			text = text[:first_of_last(text)]
		return text[first_of_last(text):]

	def in_flight(self):
		size = os.path.getsize(self.out_path)
		if size != self.seen[0]:
			found = re.findall(rb'"reports_in_flight":(\d+)', self.interval())
			self.seen = size, sum(map(int, found))
		return self.seen[1]

	def rows(self):
		return [json.loads(line) for line in self.interval().splitlines()]

	def finish(self):
		self.end_well()
		return self.rows()

	def status(self, key):
		return int(re.search(rf"^{key}:\s*(\d+)", harness.read(f"/proc/{self.pid}/status"), re.M)[1])

	def cpu_s(self):
		ticks = harness.read(f"/proc/{self.pid}/stat").rpartition(")")[2].split()[11:13]
		return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def time_of_last(lines):
	"""As the last of these lines has it; b"" without any."""
	found = re.search(rb'"time":"[^"]*"', lines[lines.rfind(b"\n", 0, -1) + 1:])
	return found[0] if found else b""


def first_of_last(lines):
	"""Where the first line of the last interval begins."""
	return lines.rfind(b"\n", 0, max(0, lines.find(time_of_last(lines)))) + 1


def losses_of(rows):
	return {name: value for name, value in rows[0]["losses"].items() if value}


def check_held(case, top):
	"""All of them are shown, in little memory."""
	rows = top.rows()
	case.equal("rows", len(rows), DEVICES)
	case.equal("reports that each device has in flight, that ended",
		   {(row["reports_in_flight"], row["total"]["reports"]) for row in rows},
		   {(REPORTS // DEVICES, 0)})
	# on 6.1 a bitmap that does not begin with its page has one page more
	pinned = sum(row["pages_pinned_now"] for row in rows)
	case.check(pinned == 0 if rule.lazy() else REPORTS <= pinned <= 2 * REPORTS,
		   f"{pinned} pages are pinned")
	case.equal("losses", losses_of(rows), {})
	before = top.cpu_s()
	time.sleep(4.1)
	rss = top.status("VmRSS")
	print(f"# {rss} KiB resident, of that its own {top.status('RssAnon')}; "
	      f"{(top.cpu_s() - before) / 2 * 1e3:.0f} ms of this CPU a refresh")
	case.check(rss <= RSS_KB, f"{rss} KiB resident")


def check_ended(case, rows):
	each = {"reports": REPORTS // DEVICES, "report_errors": 0, "dirty_bytes": WRITES * client.PAGE,
		"windows": 1 if rule.lazy() else REPORTS // DEVICES, "set_calls": WRITES,
		"marked_bytes": WRITES * client.PAGE}
	case.equal("rows", len(rows), DEVICES)
	for name, value in each.items():
		case.equal(name, {row["total"][name] for row in rows}, {value})


def check_late(case, rows, losses):
	"""Those that found no room are counted, and the others in full."""
	case.equal("reports of the late", sum(row["total"]["reports"] for row in rows), ROOM - REPORTS)
	for name in ("slots_full", "callers_full"):
		case.equal(name, losses.pop(name, 0), LATE - (ROOM - REPORTS))
	case.equal("marks of the late", sum(row["total"]["set_calls"] for row in rows) +
		   losses.pop("marks_unowned", 0), WRITES * LATE_DEVICES)
	losses.pop("pins_unowned", 0)
	# all end at once, and may fill the room for events; no total misses them
	losses.pop("events_dropped", 0)
	case.equal("other losses", losses, {})


@test
def ten_thousand_reports_in_flight(case):
	if harness.preempts():
		raise harness.Skip("this kernel preempts: of calls that are preempted in crowds some are "
				   "not seen, which is counted")
	for name in ("pid_max", "threads-max"):
		harness.write(f"/proc/sys/kernel/{name}", 100000)
	harness.have_mock(DEVICES + LATE_DEVICES)
	devices = range(DEVICES + LATE_DEVICES)
	top = Top(case, "sets", delay=2)
	crowd = Crowd(case, REPORTS, devices[:DEVICES], PROCESSES)
	harness.wait_until(lambda: top.in_flight() == REPORTS, "all are in flight")
	check_held(case, top)

	late = Crowd(case, LATE, devices[DEVICES:], 1)
	harness.wait_until(lambda: top.in_flight() == ROOM, "there are as many as there is room for")
	for one in (crowd, late):
		one.release(case)
	for name in ("page_arrays", "far_slots", "callers"):
		case.equal(f"left in {name}", harness.bpftool("map", "dump", "name", name), [])
	rows = top.finish()
	case.equal("still in flight", {row["reports_in_flight"] for row in rows}, {0})
	# which of the late are without a slot and which without a caller need not be the same
	is_late = lambda row: "device" not in row or int(row["device"].rpartition(".")[2]) >= DEVICES
	check_ended(case, [row for row in rows if not is_late(row)])
	check_late(case, [row for row in rows if is_late(row)], losses_of(rows))
