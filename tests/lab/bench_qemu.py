#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Does iovabtop make a migration longer? In the guest: bench_qemu.py [PAIRS [group|iommufd]]

A QEMU moves its guest to another one, goes on, moves it again: PAIRS times (10)
without iovabtop and with it, in its default tier, in turn.  QEMU's own total
time and downtime of each are printed, and of their paired differences the mean
with its interval of 95 %.  Zero inside the interval: no difference was seen; the
interval is then what a difference would have had to be to be seen.

The devices dirty so little that each migration has the same few rounds: else one
round more or less would be all that is measured.  On the host:

	tests/lab/bench-qemu [PAIRS [group|iommufd]]
"""

import os
import shutil
import statistics
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import harness
import test_qemu
from test_qemu import qemu_vm

ENGINES = {0: {"rate": 400}, 1: {"rate": 200}}
MEMORY_MIB = 64

# Student's t for 95 %, by the number of pairs - 1
STUDENT = {4: 2.776, 9: 2.262, 14: 2.145, 19: 2.093, 29: 2.045}


def move(vms, case, watched):
	"""(total ms, downtime ms) of one move, after which the source goes on."""
	top = harness.Helper(case, "iovabtop", [harness.TOP, "--json", "-v"]) if watched else None
	if top:
		harness.wait_until(lambda: "attached" in top.err(), "iovabtop attaches")
	target, state = vms.move(max_bandwidth=256 * test_qemu.MIB, downtime_limit=2000)
	target.end()
	if top:
		top.end()
	vms.source.command("cont")
	return state["total-time"], state["downtime"], state["ram"]["dirty-sync-count"]


def interval(values):
	"""Half of it."""
	spread = statistics.stdev(values) / len(values) ** 0.5
	return STUDENT.get(len(values) - 1, 2.0) * spread


def show(name, without, with_):
	differences = [b - a for a, b in zip(without, with_)]
	half = interval(differences)
	mean = statistics.mean(differences)
	print(f"{name}: without {statistics.mean(without):.0f} ms (sd {statistics.stdev(without):.0f}), "
	      f"with {statistics.mean(with_):.0f} ms (sd {statistics.stdev(with_):.0f}); "
	      f"difference {mean:+.0f} +/- {half:.0f} ms: "
	      f"{'none seen' if abs(mean) <= half else 'SEEN'}")


def main(pairs, iommufd):
	test_qemu.have_devices()
	case = harness.Case("bench qemu")
	runs = {False: [], True: []}
	try:
		with test_qemu.pair(case, iommufd, ENGINES, memory_mib=MEMORY_MIB) as vms:
			move(vms, case, False)		# the first one is not like the others
			for number in range(pairs):
				for watched in (False, True) if number % 2 else (True, False):
					runs[watched].append(move(vms, case, watched))
				print(f"# {number + 1} of {pairs} pairs, total and downtime in ms, rounds: "
				      f"{runs[False][-1]} without, {runs[True][-1]} with iovabtop", flush=True)
	finally:
		case.close()
		shutil.rmtree(case.folder, ignore_errors=True)
	for index, name in enumerate(("total time", "downtime")):
		show(name, *([run[index] for run in runs[watched]] for watched in (False, True)))


if __name__ == "__main__":
	try:
		main(int(sys.argv[1]) if len(sys.argv) > 1 else 10, sys.argv[2:] == ["iommufd"])
	except (harness.Unmet, qemu_vm.VmError, ValueError) as error:
		sys.exit(f"bench: {error}")
