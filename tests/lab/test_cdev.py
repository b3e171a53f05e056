# SPDX-License-Identifier: GPL-2.0-only
"""The devices through iommufd and their cdevs, instead of container and group.

What the kernel does with the bitmap is the same, and so must every figure be:
migrate compares the bits with the device's account, these tests compare both
with iovabtop. A device is a VFIO device still: the client is `vfio`.
"""

import os
import subprocess

import expect
import harness
import watched

TESTS, test, suite = harness.registry()

K, M, G = 1 << 10, 1 << 20, 1 << 30

SECTIONS = ((0, 0xc3000), (1 * M, 70 * G - 1 * M))
RANGE = f"0:{70 * G:#x}"


def require_cdev():
	"""Skips where there is no way in."""
	subprocess.run(["modprobe", "-q", "iommufd"], check=False)
	if not os.path.exists("/dev/iommu"):
		raise harness.Skip("this kernel has no iommufd (no /dev/iommu)")
	if not os.path.isdir("/dev/vfio/devices"):
		raise harness.Skip("this kernel has no device cdev (no /dev/vfio/devices)")


def section_args(sections):
	return [word for iova, size in sections for word in ("--section", f"{iova:#x}:{size:#x}")]


def run(case, numbers, *args):
	return harness.migrate(case, numbers, "--iommufd", "--range", RANGE, *section_args(SECTIONS),
			       "--seed", 7, "--rate", 0, "--fault-redundant", 3,
			       "--fault-overshoot", 0, "--fault-cross", 0, "--fault-delay-ms", 0, *args)


def check_row(case, row, result, tier, rounds):
	expected = expect.Expected(tier)
	expected.add_migrate(result, SECTIONS, rounds)
	expected.check(case, row)
	expect.check_lossless(case, row)
	for name, value in {"client": "vfio", "driver": "iovab-mock", "comm": "migrate",
			    "page_size": 4096}.items():
		case.equal(name, row.get(name), value)
	case.equal("reports of the device's own account", result["truth"]["calls"],
		   rounds * len(SECTIONS))


def every_tier(case):
	"""Patterns and orders, merged and not: each figure equals bits and account."""
	require_cdev()
	yield
	# a few writes do where each mark pins anew, and each such window is scanned
	shapes = (("random", "ascending", 0, 600), ("hotspot", "descending", 1, 20),
		  ("dense", "ascending", 1, 600))
	runs = [run(case, 0, "--pattern", pattern, "--order", order, "--merge", merge, "--step", step,
		    "--rounds", 3) for pattern, order, merge, step in shapes]
	for result, (_, _, _, step) in zip(runs, shapes):
		case.check(result["agree"] and result["new_bits"] > 1000 * step // 600,
			   f"the test itself: {result}")
	rows = yield
	for tier in expect.TIERS:
		with case.about(f"tier {tier}"):
			expect.check_rows(case, rows[tier], runs)
			for result in runs:
				check_row(case, rows[tier][result["device"], result["pid"]], result, tier, 4)


def two_devices_in_one_iommufd(case):
	require_cdev()
	yield
	results = run(case, [2, 3], "--pattern", "random", "--order", "ascending", "--merge", 0,
		      "--step", 800, "--rounds", 3)
	rows = (yield)["sets"]
	expect.check_rows(case, rows, results)
	for result in results:
		check_row(case, rows[result["device"], result["pid"]], result, "sets", 4)


def group_and_cdev_the_same(case):
	"""The same work by both ways: the same figures."""
	require_cdev()
	yield
	options = ("--pattern", "random", "--order", "ascending", "--merge", 0, "--step", 500,
		   "--rounds", 2)
	by_cdev = run(case, 0, *options)
	by_group = harness.migrate(case, 0, "--range", RANGE, *section_args(SECTIONS), "--seed", 7,
				   "--rate", 0, "--fault-redundant", 3, *options)
	rows = (yield)["sets"]
	totals = [rows[result["device"], result["pid"]]["total"] for result in (by_cdev, by_group)]
	for name in expect.measured("sets"):
		case.equal(name, totals[0][name], totals[1][name])
	case.check(totals[0]["dirty_bytes"] > 0, "the test itself: nothing was dirty")


@suite
def all_devices(results):
	tests = watched.wanted(results, "cdev", {every_tier: expect.TIERS, two_devices_in_one_iommufd: ["sets"],
						 group_and_cdev_the_same: ["sets"]})
	watched.run_all(results, "cdev watch all devices", tests)


@test
def no_iommufd(case):
	"""Where there is none, one line says why; elsewhere the same with the file hidden."""
	command = [harness.MIGRATE, "--device", harness.device_name(0), "--iommufd", "--rounds", 1]
	if os.path.exists("/dev/iommu"):
		command = ["unshare", "-m", "sh", "-c", "mount -t tmpfs none /dev && exec \"$@\"", "sh",
			   *command]
	done = case.run("migrate", command)
	case.equal("status", done.status, 2)
	case.equal("lines on stderr", len(done.err().splitlines()), 1)
	for word in ("/dev/iommu", "CONFIG_IOMMUFD"):
		case.check(word in done.err(), f"{word!r} is not in {done.err()!r}")
