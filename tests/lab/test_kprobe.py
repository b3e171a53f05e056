# SPDX-License-Identifier: GPL-2.0-only
"""The other way in: kprobes instead of trampolines. The figures are the same."""

import client
import expect
import harness
import watched
from crowd import Crowd

TESTS, test, suite = harness.registry()

M, G = 1 << 20, 1 << 30


def attached_kinds():
	links = {item.get("prog_id") for item in harness.bpftool("link", "show")}
	return {item["type"] for item in harness.bpftool("prog", "show") if item["id"] in links}


def each_tier(case):
	yield
	case.equal("kinds of programs attached", attached_kinds(), {"kprobe"})
	result = harness.migrate(case, 0, "--length", 70 * G, "--step", 500, "--rounds", 3,
				 "--pattern", "sequential", "--order", "ascending",
				 "--fault-redundant", 7, "--fault-cross", 0)
	rows = yield
	for tier in expect.TIERS:
		with case.about(f"tier {tier}"):
			row = rows[tier][result["device"], result["pid"]]
			expected = expect.Expected(tier)
			expected.add_migrate(result, [(0, 70 * G)], 4)
			expected.check(case, row)
			expect.check_lossless(case, row)
			case.equal("phase", row.get("phase"), "stop-copy")


def report_unmapped(number):
	memory = client.Bitmap(M // client.PAGE)
	device = client.Client(number)
	device.start(M, client.PAGE)
	harness.write(harness.engine(number, "step"), 5)
	memory.remove(0, 1)
	return device.report(M, client.PAGE, memory.address)


def a_pin_that_fails(case):
	"""In alloc, or in set: the report ends, and what was lost is counted."""
	yield
	client.set_engine(0, pattern="sequential")
	pid, error = client.in_child(case, report_unmapped, 0)
	rows = yield
	row = rows["sets"][harness.device_name(0), pid]
	total = row["total"]
	case.equal("reports, errors", (total["reports"], total["report_errors"]), (1, int(error != 0)))
	case.check(total["pin_failures"] > 0, f"pin_failures: {total['pin_failures']}")
	lost = 0 if error else 5 * client.PAGE
	case.equal("lost_by", total["lost_by"], {"window_bytes": 0, "pin_bytes": lost, "below_bytes": 0})
	expect.check_quiet(case, row)


@suite
def both(results):
	tests = watched.wanted(results, "kprobe", {each_tier: expect.TIERS, a_pin_that_fails: ["sets"]})
	watched.run_all(results, "kprobe watch both", tests,
			lambda case, tier: harness.Top(case, tier, args=("--kprobes",)))


@test
def more_calls_than_it_tells_of(case):
	"""The kernel tells the return of ten calls at once; how the others ended is not known, and counted."""
	reports = 30
	top = harness.Top(case, "windows", delay=0.3, args=("--kprobes",))
	crowd = Crowd(case, reports, [0], 1)

	def row():
		rows = [row for row in top.last().values() if row["pid"] == crowd.helpers[0].pid]
		return rows[0] if rows else None

	try:
		harness.wait_until(lambda: row() and row()["reports_in_flight"] == reports, "all are in flight")
		case.equal("results missed", row()["losses"]["results_missed"], 0)
		# each ends with an error: it was killed
		crowd.helpers[0].end(9)
	finally:
		crowd.hold(False)
	harness.wait_until(lambda: row()["total"]["reports"] == reports, "all have ended")
	top.end()
	errors, missed = row()["total"]["report_errors"], row()["losses"]["results_missed"]
	case.equal("reports seen to fail, and not seen to end", errors + missed, reports)
	case.check(0 < missed < reports, f"{missed} results were missed")
	case.equal("events lost", row()["events_lost"], missed)
