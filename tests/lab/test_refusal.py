# SPDX-License-Identifier: GPL-2.0-only
"""A kernel that has no iova_bitmap, nor its vfio module: Debian's own 6.12 and later.

While vfio is not loaded, nobody can know what is in it.
"""

import subprocess

import harness

TESTS, test, suite = harness.registry()


def check_line(case, text):
	for word in ("iova_bitmap", "CONFIG_IOMMUFD"):
		case.check(word in text, f"{word!r} is not in {text!r}")


def check_refused(case, name, *argv):
	before = harness.bpf_objects()
	run = case.run(name, argv)
	case.equal("exit status", run.status, 4)
	case.equal("lines on stderr", len(run.err().splitlines()), 1)
	check_line(case, run.err())
	harness.check_bpf_gone(case, before, "refused")
	return run


@test
def vfio_loaded_while_iovabtop_waits(case):
	before = harness.bpf_objects()
	top = harness.Top(case, "sets", delay=0.2, wait=False)
	harness.wait_until(lambda: "waiting" in top.err(), "iovabtop says that it waits")
	subprocess.run(["modprobe", "vfio"], check=True)
	case.equal("exit status", top.wait(), 4)
	check_line(case, top.err().splitlines()[-1])
	harness.check_bpf_gone(case, before, "refused")


@test
def the_facility_is_not_there(case):
	"""The test itself: it is the kernel that lacks it."""
	subprocess.run(["modprobe", "vfio"], check=True)
	symbols = harness.kernel_symbols()
	case.equal("symbols", [name for name in symbols if name.startswith("iova_bitmap")], [])


@test
def iovabtop(case):
	for options in (("-b", "-n", "1"), ("--json", "-n", "1"), ("-b", "-n", "1", "-t", "sets")):
		run = check_refused(case, "iovabtop", harness.TOP, *options)
		case.equal("stdout", run.out(), "")


@test
def probe(case):
	check_refused(case, "probe", "build/iovab", "probe")
	check_refused(case, "probe", "build/iovab", "probe", "--json")
