# SPDX-License-Identifier: GPL-2.0-only
"""iommufd as a client: a row a HWPT, with the devices that are attached to it.

One iovabtop watches most of it. All is one process's, so each test's HWPTs have numbers
of their own.
"""

import collections
import os

import expect
import harness
import iommufd
import watched

TESTS, test, suite = harness.registry()

LENGTH = 2 << 20


def devices(*names):
	return sorted(device.name for device in names)


def lines_of(top, hwpt):
	"""About HWPTs with this number."""
	return [line for line in top.lines() if line.get("client") == "iommufd" and line["hwpt"] == hwpt]


class Watch:
	"""A test's context, and what iovabtop has to show of its HWPTs."""

	def __init__(self, case, context, top):
		self.case = case
		self.context = context
		self.top = top
		self.reports = collections.Counter()	# by HWPT
		self.dirty = collections.Counter()

	def report(self, hwpt, pages):
		"""Counts dirty pages by the bitmap: on 7.2 one entry may stand for several."""
		self.context.mark(hwpt, pages, LENGTH)
		dirty = self.context.report(hwpt, LENGTH)
		self.case.check(dirty >= len(pages),
				f"dirty pages in the bitmap: {dirty}, {len(pages)} were made dirty")
		self.reports[hwpt] += 1
		self.dirty[hwpt] += dirty

	def row(self, hwpt, what):
		"""As it is after the last report."""
		def current():
			rows = lines_of(self.top, hwpt)
			return rows and rows[-1]["total"]["reports"] == self.reports[hwpt] and rows[-1]
		return harness.wait_until(current, f"a row of HWPT {hwpt}: {what}")

	def report_and_look(self, hwpt, attached, what, pages=(0, 1, 9)):
		"""The devices of a HWPT at its last report; None: unknown."""
		self.report(hwpt, pages)
		row = self.row(hwpt, what)
		seen = row.get("devices")
		self.case.equal(f"devices of HWPT {hwpt}, {what}",
				sorted(seen) if seen is not None else None, attached)
		self.case.equal(f"device of HWPT {hwpt}, {what}", row.get("device"),
				attached[0] if attached and len(attached) == 1 else None)
		return row


@test
def iommufd_loaded_later(case):
	"""The client comes after iovabtop, which attaches to it by itself. While it is not loaded."""
	if os.path.exists("/dev/iommu"):
		raise harness.Skip("iommufd is loaded already")
	if "iova_bitmap_set" not in harness.read("/proc/kallsyms"):
		raise harness.Skip("the facility is not there before its clients")
	top = harness.Top(case, "windows", delay=0.2)
	iommufd.require()
	context = iommufd.Context()
	device = context.device(context.ioas)
	hwpt = context.tracked(device)
	context.replace(device, hwpt)
	harness.wait_until(lambda: "iommufd_entry" in harness.bpf_attached(), "iommufd's programs")
	Watch(case, context, top).report_and_look(hwpt, devices(device), "iommufd loaded later")
	context.close()
	top.finish()


def attached_before_after_and_elsewhere(case):
	"""Before iovabtop, after it, moved to another HWPT, and gone."""
	iommufd.require()
	context = iommufd.Context()
	first = context.device(context.ioas)
	one = context.tracked(first)
	context.replace(first, one)
	second = context.device(one)
	watch = Watch(case, context, (yield)["sets"])
	row = watch.report_and_look(one, devices(first, second), "attached before")
	case.equal("pid, comm", (row["pid"], row["comm"]), (os.getpid(), harness.read("/proc/self/comm").strip()))
	third = context.device(one)
	watch.report_and_look(one, devices(first, second, third), "one attached after")
	other = context.tracked(first)
	context.replace(second, other)
	watch.report_and_look(one, devices(first, third), "one moved away")
	watch.report_and_look(other, devices(second), "moved here")
	context.destroy(third.handle)
	row = watch.report_and_look(one, devices(first), "one gone", pages=range(100))
	case.equal("range and page size", (row["range"], row["page_size"]),
		   ({"iova": iommufd.APERTURE, "length": LENGTH}, iommufd.PAGE))
	total = row["total"]
	marked = watch.dirty[one] * iommufd.PAGE
	for name, value in {"reports": 4, "report_errors": 0, "range_bytes": 4 * LENGTH,
			    "dirty_bytes": marked, "marked_bytes": marked, "lost_bytes": 0,
			    "redundant_bytes": 0, "stray_bits": 0, "windows": 4}.items():
		case.equal(name, total[name], value)
	expect.check_lossless(case, row)
	context.close()


def contexts_are_told_apart(case):
	"""Two contexts of one process have HWPTs with the same number."""
	iommufd.require()
	contexts = [iommufd.Context(20), iommufd.Context(20)]
	attached = [context.device(context.ioas) for context in contexts]
	hwpts = [context.tracked(device) for context, device in zip(contexts, attached)]
	case.equal("the same number", len(set(hwpts)), 1)
	for context, device, hwpt in zip(contexts, attached, hwpts):
		context.replace(device, hwpt)
	top = (yield)["sets"]
	watches = [Watch(case, context, top) for context in contexts]
	for count, (watch, hwpt) in enumerate(zip(watches, hwpts)):
		watch.report(hwpt, range(5 * (count + 1)))

	def last():
		rows = {line.get("device"): line for line in lines_of(top, hwpts[0])}
		return [row["total"]["reports"] for row in rows.values()] == [1, 1] and rows

	rows = harness.wait_until(last, "two rows")
	for device, watch, hwpt in zip(attached, watches, hwpts):
		total = rows[device.name]["total"]
		case.equal(f"dirty_bytes of {device.name}", total["dirty_bytes"],
			   watch.dirty[hwpt] * iommufd.PAGE)
	for context in contexts:
		context.close()


def many_objects_and_devices(case):
	"""More ids than a node of the kernel's array has room for, and more devices than are named."""
	iommufd.require()
	context = iommufd.Context(150)
	first = context.device(context.ioas)
	hwpt = context.tracked(first)
	context.replace(first, hwpt)
	others = [context.device(hwpt) for _ in range(3)]
	watch = Watch(case, context, (yield)["sets"])
	watch.report_and_look(hwpt, devices(first, *others), "behind 150 objects")
	others += [context.device(hwpt) for _ in range(16)]
	watch.report(hwpt, [7])
	row = watch.row(hwpt, "more devices")
	case.equal("named and unlisted", (len(row["devices"]), row.get("devices_unlisted")), (16, 4))
	names = set(devices(first, *others))
	case.check(len(set(row["devices"]) & names) == 16, f"names: {row['devices']}")
	context.close()


def nested(case):
	"""A device whose HWPT is nested in the one that is asked for writes through it."""
	iommufd.require()
	context = iommufd.Context(40)
	first = context.device(context.ioas)
	try:
		parent = context.tracked(first, iommufd.NEST_PARENT)
		inner = context.hwpt(first, parent=parent, data=b"\0" * 4)
	except OSError as error:
		raise harness.Skip(f"the mock IOMMU nests no HWPT in one that tracks: {error}") from None
	context.replace(first, inner)
	watch = Watch(case, context, (yield)["sets"])
	watch.report_and_look(parent, devices(first), "by a nested HWPT")
	context.close()


def attached_by_pasid(case):
	"""Such attachments are not followed: the devices are unknown, not incomplete."""
	iommufd.require()
	context = iommufd.Context(60)
	try:
		device = context.device(context.ioas, iommufd.DEVICE_PASID)
		plain = context.hwpt(device, iommufd.ALLOC_PASID)
		hwpt = context.tracked(device, iommufd.ALLOC_PASID)
		context.replace(device, plain)
		context.pasid_attach(device, 5, hwpt)
	except OSError as error:
		raise harness.Skip(f"this kernel's mock IOMMU attaches no PASID: {error}") from None
	watch = Watch(case, context, (yield)["sets"])
	watch.report_and_look(hwpt, None, "attached by PASID")
	context.close()


@suite
def all_hwpts(results):
	tests = watched.wanted(results, "hwpt", dict.fromkeys(
		(attached_before_after_and_elsewhere, contexts_are_told_apart, many_objects_and_devices,
		 nested, attached_by_pasid), ["sets"]))
	watched.run_all(results, "hwpt watch all HWPTs", tests,
			lambda case, tier: harness.Top(case, tier, delay=0.2))
