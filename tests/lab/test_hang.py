# SPDX-License-Identifier: GPL-2.0-only
"""Reports that never return, shown while they hang.

From 6.11 on a mark of length 0 can send iova_bitmap_set round for ever, and
nothing ends the process.  So this has a boot of its own, each hanging report
takes a CPU of the guest for good, and what the tests start is not waited for:
to take BPF programs out, the kernel waits for the task that never rests.
"""

import os
import signal
import time

import client
import harness
import rule
import test_cases

TESTS, test, suite = harness.registry()

G, PAGE = test_cases.G, test_cases.PAGE
LENGTH = 128 * G

# By the case of test_cases: device and marks.
HANGS = (
	("T3 length 0 past the window", 0, [(64 * G, 0)]),
	("T3 length 0 at a window's base", 1, [(64 * G, PAGE), (64 * G, 0)]),
)


def report_for_ever(number):
	"""A child in its report; its pid."""
	pid = os.fork()
	if pid:
		return pid
	try:
		null = os.open("/dev/null", os.O_RDWR)
		for fd in (0, 1, 2):
			os.dup2(null, fd)
		vfio = client.Client(number)
		vfio.start(test_cases.M, PAGE)
		vfio.report(LENGTH, PAGE, client.Bitmap(LENGTH // PAGE).address)
	finally:
		os._exit(1)


def running(pid):
	"""Not ended, be it that nobody has waited for it."""
	return harness.read(f"/proc/{pid}/stat").rpartition(")")[2].split()[0] not in "ZX"


def check_shown(case, top, number, pid):
	"""The row is there though no report has ended, and the report's age grows."""
	key = harness.device_name(number), pid

	def shown():
		row = top.last().get(key)
		return row and row["reports_in_flight"] == 1 and row["oldest_report_s"] >= 1 and row

	first = harness.wait_until(shown, "the row of the report that hangs")
	time.sleep(3)
	last = top.last()[key]
	case.equal("reports", last["total"]["reports"], 0)
	case.equal("reports in flight", last["reports_in_flight"], 1)
	grown = last["oldest_report_s"] - first["oldest_report_s"]
	passed = last["elapsed_s"] - first["elapsed_s"]
	case.check(passed >= 1 and abs(grown - passed) < 0.5,
		   f"oldest_report_s grew by {grown} in {passed} s")
	case.equal("pages pinned now", last["pages_pinned_now"], 512)
	case.check("stale" not in last, "stale while its owner is there")


@suite
def hangs(results):
	if not results.wanted("hang T3"):
		return
	# not a case's own: it is not to be ended with one
	keeper = harness.Case("hang watch")
	top = None
	for name, number, marks in HANGS:
		with results.case("hang " + name) as case:
			if not rule.lazy():
				raise harness.Skip("it returns on this kernel: part cases has it")
			if not top:
				top = harness.Top(keeper, "sets", delay=0.5)
			client.set_engine(number)
			test_cases.dictate(number, marks)
			pid = report_for_ever(number)
			check_shown(case, top, number, pid)
			os.kill(pid, signal.SIGKILL)
			time.sleep(2)
			case.check(running(pid), "it has ended")
			case.equal(test_cases.DOCUMENT, test_cases.documented().get("cases " + name),
				   "never returns, and nothing can kill it")
