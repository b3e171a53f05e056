# SPDX-License-Identifier: GPL-2.0-only
"""iommufd as a client: a row a HWPT, with the devices that are attached to it."""

import os

import expect
import harness
import iommufd

TESTS, test, suite = harness.registry()

LENGTH = 2 << 20


def rows_of(top):
	"""The last rows of iommufd, by HWPT."""
	rows = {}
	for line in top.lines():
		if line.get("client") == "iommufd":
			rows[line["hwpt"]] = line
	return rows


def devices(*names):
	return sorted(device.name for device in names)


def report(case, context, hwpt, pages):
	"""How many pages are dirty, by the bitmap: on 7.2 one entry may stand for several."""
	context.mark(hwpt, pages, LENGTH)
	dirty = context.report(hwpt, LENGTH)
	case.check(dirty >= len(pages), f"dirty pages in the bitmap: {dirty}, {len(pages)} were made dirty")
	look.dirty[hwpt] = look.dirty.get(hwpt, 0) + dirty
	return dirty


def look(case, top, hwpt, attached, what):
	"""The devices of a HWPT at its last report; None: unknown."""
	def current():
		row = rows_of(top).get(hwpt)
		return row if row and row["total"]["reports"] == look.reports[hwpt] else None
	row = harness.wait_until(current, f"a row of HWPT {hwpt}: {what}")
	seen = row.get("devices")
	case.equal(f"devices of HWPT {hwpt}, {what}", sorted(seen) if seen is not None else None,
		   attached)
	case.equal(f"device of HWPT {hwpt}, {what}", row.get("device"),
		   attached[0] if attached and len(attached) == 1 else None)
	return row


look.reports, look.dirty = {}, {}


def report_and_look(case, context, top, hwpt, attached, what, pages=(0, 1, 9)):
	report(case, context, hwpt, pages)
	look.reports[hwpt] = look.reports.get(hwpt, 0) + 1
	return look(case, top, hwpt, attached, what)


@test
def iommufd_loaded_later(case):
	"""The client comes after iovabtop, which attaches to it by itself. While it is not loaded."""
	if os.path.exists("/dev/iommu"):
		raise harness.Skip("iommufd is loaded already")
	if "iova_bitmap_set" not in harness.read("/proc/kallsyms"):
		raise harness.Skip("the facility is not there before its clients")
	look.reports.clear()
	look.dirty.clear()
	top = harness.Top(case, "windows", delay=0.2)
	iommufd.require()
	context = iommufd.Context()
	device = context.device(context.ioas)
	hwpt = context.tracked(device)
	context.replace(device, hwpt)
	harness.wait_until(lambda: "iommufd_entry" in harness.bpf_attached(), "iommufd's programs")
	report_and_look(case, context, top, hwpt, devices(device), "iommufd loaded later")
	context.close()
	top.finish()


@test
def attached_before_after_and_elsewhere(case):
	"""Before iovabtop, after it, moved to another HWPT, and gone."""
	iommufd.require()
	look.reports.clear()
	look.dirty.clear()
	context = iommufd.Context()
	first = context.device(context.ioas)
	one = context.tracked(first)
	context.replace(first, one)
	second = context.device(one)
	top = harness.Top(case, "sets", delay=0.2)
	row = report_and_look(case, context, top, one, devices(first, second), "attached before")
	case.equal("pid, comm", (row["pid"], row["comm"]), (os.getpid(), harness.read("/proc/self/comm").strip()))
	third = context.device(one)
	report_and_look(case, context, top, one, devices(first, second, third), "one attached after")
	other = context.tracked(first)
	context.replace(second, other)
	report_and_look(case, context, top, one, devices(first, third), "one moved away")
	report_and_look(case, context, top, other, devices(second), "moved here")
	context.destroy(third.handle)
	row = report_and_look(case, context, top, one, devices(first), "one gone", pages=range(100))
	case.equal("range and page size", (row["range"], row["page_size"]),
		   ({"iova": iommufd.APERTURE, "length": LENGTH}, iommufd.PAGE))
	total = row["total"]
	marked = look.dirty[one] * iommufd.PAGE
	for name, value in {"reports": 4, "report_errors": 0, "range_bytes": 4 * LENGTH,
			    "dirty_bytes": marked, "marked_bytes": marked, "lost_bytes": 0,
			    "redundant_bytes": 0, "stray_bits": 0, "windows": 4}.items():
		case.equal(name, total[name], value)
	expect.check_lossless(case, row)
	context.close()
	top.finish()


@test
def contexts_are_told_apart(case):
	"""Two contexts of one process have HWPTs with the same number."""
	iommufd.require()
	contexts = [iommufd.Context(), iommufd.Context()]
	attached = [context.device(context.ioas) for context in contexts]
	hwpts = [context.tracked(device) for context, device in zip(contexts, attached)]
	case.equal("the same number", len(set(hwpts)), 1)
	for context, device, hwpt in zip(contexts, attached, hwpts):
		context.replace(device, hwpt)
	top = harness.Top(case, "density", delay=0.2)
	dirty = [report(case, context, hwpt, range(5 * (count + 1)))
		 for count, (context, hwpt) in enumerate(zip(contexts, hwpts))]
	harness.wait_until(lambda: len({line.get("device") for line in top.lines()}) == 2, "two rows")
	top.finish()
	last = {line.get("device"): line for line in top.lines() if line.get("client") == "iommufd"}
	for count, device in enumerate(attached):
		case.equal(f"dirty_bytes of {device.name}", last[device.name]["total"]["dirty_bytes"],
			   dirty[count] * iommufd.PAGE)
	for context in contexts:
		context.close()


@test
def many_objects_and_devices(case):
	"""More ids than a node of the kernel's array has room for, and more devices than are named."""
	iommufd.require()
	look.reports.clear()
	look.dirty.clear()
	context = iommufd.Context()
	for _ in range(150):
		context.call(iommufd.IOAS_ALLOC, "II", 0, 0)
	first = context.device(context.ioas)
	hwpt = context.tracked(first)
	context.replace(first, hwpt)
	others = [context.device(hwpt) for _ in range(3)]
	top = harness.Top(case, "windows", delay=0.2)
	report_and_look(case, context, top, hwpt, devices(first, *others), "behind 150 objects")
	others += [context.device(hwpt) for _ in range(16)]
	report(case, context, hwpt, [7])
	row = harness.wait_until(lambda: next((line for line in top.lines()
					       if line["total"]["reports"] == 2), None), "the second report")
	case.equal("named and unlisted", (len(row["devices"]), row.get("devices_unlisted")), (16, 4))
	names = set(devices(first, *others))
	case.check(len(set(row["devices"]) & names) == 16, f"names: {row['devices']}")
	context.close()
	top.finish()


@test
def nested(case):
	"""A device whose HWPT is nested in the one that is asked for writes through it."""
	iommufd.require()
	look.reports.clear()
	look.dirty.clear()
	context = iommufd.Context()
	first = context.device(context.ioas)
	try:
		parent = context.tracked(first, iommufd.NEST_PARENT)
		inner = context.hwpt(first, parent=parent, data=b"\0" * 4)
	except OSError as error:
		raise harness.Skip(f"the mock IOMMU nests no HWPT in one that tracks: {error}") from None
	context.replace(first, inner)
	top = harness.Top(case, "windows", delay=0.2)
	report_and_look(case, context, top, parent, devices(first), "by a nested HWPT")
	context.close()
	top.finish()


@test
def attached_by_pasid(case):
	"""Such attachments are not followed: the devices are unknown, not incomplete."""
	iommufd.require()
	look.reports.clear()
	look.dirty.clear()
	context = iommufd.Context()
	try:
		device = context.device(context.ioas, iommufd.DEVICE_PASID)
		plain = context.hwpt(device, iommufd.ALLOC_PASID)
		hwpt = context.tracked(device, iommufd.ALLOC_PASID)
		context.replace(device, plain)
		context.pasid_attach(device, 5, hwpt)
	except OSError as error:
		raise harness.Skip(f"this kernel's mock IOMMU attaches no PASID: {error}") from None
	top = harness.Top(case, "windows", delay=0.2)
	report_and_look(case, context, top, hwpt, None, "attached by PASID")
	context.close()
	top.finish()
