# SPDX-License-Identifier: GPL-2.0-only
"""The phase that a report carries: what the device's migration state says."""

import signal

import expect
import harness
import watched

TESTS, test, suite = harness.registry()

M = 1 << 20


def phases(row):
	return {name: phase["reports"] for name, phase in row["total"]["phases"].items()}


def unknown_until_seen(case):
	"""Attached while a device is in use: no state was seen, so none is claimed."""
	calls = harness.truth(2)["calls"]
	worker = harness.start_migrate(case, 2, "--length", M, "--forever", "--interval-ms", 30)
	harness.wait_until(lambda: harness.truth(2)["calls"] > calls, "the first report")
	# a report that is under way would be a loss
	worker.process.send_signal(signal.SIGSTOP)
	top = (yield)["windows"]
	worker.process.send_signal(signal.SIGCONT)
	key = harness.device_name(2), worker.pid
	row = harness.wait_until(lambda: next((line for line in top.lines() if line["pid"] == worker.pid and
					       line["total"]["reports"] > 2), None), "reports")
	case.equal("reports by phase", phases(row), {"precopy": 0, "stop_copy": 0})
	case.check("phase" not in row, f"phase: {row.get('phase')}")
	worker.end(signal.SIGINT)
	rows = yield
	# it stops its device before the last round, and that is seen
	case.equal("reports by phase at the end", phases(rows["windows"][key]), {"precopy": 0, "stop_copy": 1})


def rounds_and_the_last_one(case):
	"""migrate resets its device when it opens it, as QEMU does: from there on the state is known."""
	yield
	result = harness.migrate(case, 0, "--length", M, "--rounds", 4, "--step", 3)
	rows = yield
	row = rows["windows"][result["device"], result["pid"]]
	case.equal("reports by phase", phases(row), {"precopy": 4, "stop_copy": 1})
	case.equal("phase", row.get("phase"), "stop-copy")
	stopped = row["total"]["phases"]["stop_copy"]["report_ns"]
	case.check(0 < stopped <= result["report_ns"]["stop_copy"],
		   f"downtime: {stopped} ns, the client saw {result['report_ns']['stop_copy']}")
	everything = sum(phase["report_ns"] for phase in row["total"]["phases"].values())
	case.equal("report_ns.sum is that of both phases", everything, row["total"]["report_ns"]["sum"])
	expect.check_lossless(case, row)


def two_devices_two_phases(case):
	"""Each device has a state of its own, and a new owner starts anew."""
	yield
	results = harness.migrate(case, [0, 1], "--length", M, "--rounds", 2, "--step", 1)
	again = harness.migrate(case, 1, "--length", M, "--rounds", 1, "--step", 1)
	rows = (yield)["windows"]
	for result, rounds in ((results[0], 2), (results[1], 2), (again, 1)):
		case.equal(f"reports of {result['device']}, pid {result['pid']}",
			   phases(rows[result["device"], result["pid"]]),
			   {"precopy": rounds, "stop_copy": 1})


@suite
def all_phases(results):
	tests = watched.wanted(results, "phase", dict.fromkeys(
		(unknown_until_seen, rounds_and_the_last_one, two_devices_two_phases), ["windows"]))
	watched.run_all(results, "phase watch all phases", tests,
			lambda case, tier: harness.Top(case, tier, delay=0.2))
