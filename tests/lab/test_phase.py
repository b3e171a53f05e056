# SPDX-License-Identifier: GPL-2.0-only
"""The phase that a report carries: what the device's migration state says."""

import expect
import harness

TESTS, test, suite = harness.registry()

M = 1 << 20


def phases(row):
	return {name: phase["reports"] for name, phase in row["total"]["phases"].items()}


@test
def rounds_and_the_last_one(case):
	"""migrate resets its device when it opens it, as QEMU does: from there on the state is known."""
	top = harness.Top(case, "windows")
	result = harness.migrate(case, 0, "--length", M, "--rounds", 4, "--step", 3)
	row = top.finish()[result["device"], result["pid"]]
	case.equal("reports by phase", phases(row), {"precopy": 4, "stop_copy": 1})
	case.equal("phase", row.get("phase"), "stop-copy")
	stopped = row["total"]["phases"]["stop_copy"]["report_ns"]
	case.check(0 < stopped <= result["report_ns"]["stop_copy"],
		   f"downtime: {stopped} ns, the client saw {result['report_ns']['stop_copy']}")
	everything = sum(phase["report_ns"] for phase in row["total"]["phases"].values())
	case.equal("report_ns.sum is that of both phases", everything, row["total"]["report_ns"]["sum"])
	expect.check_lossless(case, row)


@test
def unknown_until_seen(case):
	"""Attached while a device is in use: no state was seen, so none is claimed."""
	worker = harness.start_migrate(case, 0, "--length", M, "--forever", "--interval-ms", 30)
	harness.wait_until(lambda: harness.truth(0)["calls"], "the first report")
	top = harness.Top(case, "windows", delay=0.2)
	row = harness.wait_until(lambda: next((line for line in top.lines() if line["total"]["reports"] > 2),
					      None), "reports")
	case.equal("reports by phase", phases(row), {"precopy": 0, "stop_copy": 0})
	case.check("phase" not in row, f"phase: {row.get('phase')}")
	worker.end(2)
	row = top.finish()[harness.device_name(0), worker.pid]
	# it stops its device before the last round, and that is seen
	case.equal("reports by phase at the end", phases(row), {"precopy": 0, "stop_copy": 1})


@test
def two_devices_two_phases(case):
	"""Each device has a state of its own, and a new owner starts anew."""
	top = harness.Top(case, "windows")
	results = harness.migrate(case, [0, 1], "--length", M, "--rounds", 2, "--step", 1)
	again = harness.migrate(case, 1, "--length", M, "--rounds", 1, "--step", 1)
	rows = top.finish()
	for result, rounds in ((results[0], 2), (results[1], 2), (again, 1)):
		case.equal(f"reports of {result['device']}, pid {result['pid']}",
			   phases(rows[result["device"], result["pid"]]),
			   {"precopy": rounds, "stop_copy": 1})
