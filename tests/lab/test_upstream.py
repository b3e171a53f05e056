# SPDX-License-Identifier: GPL-2.0-only
"""Upstream's own test of iommufd, with iovabtop beside it.

It drives iova_bitmap through iommufd and a mock IOMMU that is none of ours.  With
iovabtop at any tier it must say the same as without, and what iovabtop counts must
be what the kernel's own tracer counts in the same run: the function profiler the
reports and marks, the function tracer the pins that iova_bitmap_set asked for.
"""

import gzip
import os
import re
import subprocess

import expect
import harness

TESTS, test, suite = harness.registry()

TRACING = "/sys/kernel/tracing"
PINS = TRACING + "/instances/iovab"	# a tracer of its own, beside the profiler
PROFILED = ("iova_bitmap_alloc", "iova_bitmap_set")
PINNED = "pin_user_pages_fast <-iova_bitmap_set"
HUGE_PAGES = 128
SECONDS = 300

# Of upstream's tests, those that ask for a queue of page faults.
NEEDS_IOPF = (".alloc_hwpt_nested", ".viommu_alloc_nested_iopf", ".pasid_attach")


def has_iopf():
	with gzip.open("/proc/config.gz", "rt") as file:
		return "CONFIG_IOMMU_IOPF=y\n" in file


def selftest():
	path = os.environ.get("IOVAB_SELFTEST")
	if not path:
		raise harness.Skip("IOVAB_SELFTEST does not name it (tests/run does)")
	subprocess.run(["modprobe", "-q", "iommufd"], check=False)
	if not os.path.exists("/dev/iommu") or not os.path.exists("/sys/kernel/debug/fail_iommufd"):
		raise harness.Skip("this kernel has no IOMMUFD_TEST")
	harness.write("/proc/sys/vm/nr_hugepages", HUGE_PAGES)
	return path


class Profile:
	"""The tracer's counts from begin() to end()."""

	def begin(self):
		os.makedirs(PINS, exist_ok=True)
		harness.write(TRACING + "/set_ftrace_filter", "\n".join(PROFILED))
		harness.write(PINS + "/set_ftrace_filter", "pin_user_pages_fast")
		harness.write(PINS + "/buffer_size_kb", 16384)
		harness.write(PINS + "/trace", "")
		harness.write(PINS + "/current_tracer", "function")
		harness.write(TRACING + "/function_profile_enabled", 1)

	def end(self):
		harness.write(TRACING + "/function_profile_enabled", 0)
		self.hits = dict.fromkeys(PROFILED, 0)
		folder = TRACING + "/trace_stat"
		for name in os.listdir(folder):
			for line in harness.read(f"{folder}/{name}").splitlines():
				words = line.split()
				if words and words[0] in self.hits:
					self.hits[words[0]] += int(words[1])
		trace = harness.read(PINS + "/trace")
		self.pins = trace.count(PINNED)
		entries = re.search(r"entries-in-buffer/entries-written: (\d+)/(\d+)", trace)
		self.complete = entries and entries[1] == entries[2]
		harness.write(PINS + "/current_tracer", "nop")


def verdicts(case, path):
	"""What the test says of each of its tests."""
	helper = harness.Helper(case, "iommufd", [path])
	helper.wait(SECONDS)
	found = {name: verdict for verdict, name in
		 re.findall(r"^((?:not )?ok) \d+ (\S+)", helper.out(), re.M)}
	case.check(any("dirty_tracking" in name for name in found), f"no test of dirty tracking: {len(found)}")
	return found


def check_counts(case, top, profile):
	time_of_last = top.lines()[-1]["time"]
	rows = [row for row in top.lines() if row["time"] == time_of_last]
	case.check(profile.complete, "the test itself: the tracer's buffer was too small")
	case.check(min(*profile.hits.values(), profile.pins) > 0, f"the test itself: {profile.hits}, "
		   f"{profile.pins} pins")

	def total(name):
		return sum(row["total"][name] for row in rows)

	case.equal("reports", total("reports"), profile.hits["iova_bitmap_alloc"])
	case.equal("windows and failed pins", total("windows") + total("pin_failures"), profile.pins)
	if top.tier == "sets":
		case.equal("set_calls", total("set_calls"), profile.hits["iova_bitmap_set"])
	case.equal("clients", {row.get("client") for row in rows}, {"iommufd"})
	expect.check_lossless(case, rows[0])
	print(f"# tier {top.tier}: {total('reports')} reports, {profile.hits['iova_bitmap_set']} marks, "
	      f"{total('windows')} windows, {len(rows)} rows")


@suite
def upstream(results):
	alone = {}
	with results.case("upstream test alone") as case:
		alone = verdicts(case, selftest())
		bad = {name for name, verdict in alone.items() if verdict != "ok"}
		excused = {name for name in bad if name.endswith(NEEDS_IOPF) and not has_iopf()}
		print(f"# {len(alone)} tests, {len(excused)} of them fail for want of CONFIG_IOMMU_IOPF")
		case.equal("failed without iovabtop", sorted(bad - excused), [])
	for tier in expect.TIERS:
		with results.case(f"upstream test at tier {tier}") as case:
			path = selftest()
			top, profile = harness.Top(case, tier), Profile()
			profile.begin()
			beside = verdicts(case, path)
			profile.end()
			top.finish()
			case.equal("verdicts", beside, alone)
			check_counts(case, top, profile)
