# SPDX-License-Identifier: GPL-2.0-only
"""Rows of the reference implementation, beside the kernel's and without them.

What iovabtop says of reports through /dev/iovab-ref, at every tier, against the marks
that the mock (or the test itself) made, played through the reference's rule (ref_rule).
Three iovabtop, one a tier, watch all of them; each is made by a process of its own.
"""

import itertools
import os
import re
import subprocess
import time

import client
import expect
import harness
import ref_rule
from ref_rule import CACHED, EAGER, LAZY
from test_record import Recorder, marks, replayed
from test_ref import EFAULT, EINVAL, Bitmap, Reference, bitmap_bytes, insert_reference

TESTS, test, suite = harness.registry()

K, M, G, T = 1 << 10, 1 << 20, 1 << 30, 1 << 40
PAGE = 4096
PAGE_IOVA = 8 * PAGE * PAGE	# of a page of bitmap
WINDOW_IOVA, TABLE_IOVA = 32 * PAGE_IOVA, 512 * PAGE_IOVA
POLICIES = ("cached", "eager", "lazy")
DEVICE = 0
COUNTED = 8 * M		# bytes of bitmap; to look at a larger one takes long


def has_facility():
	return "iova_bitmap_set" in harness.kernel_symbols()


def remove_reference():
	for module in ("iovab_mock_ref", "iovab_ref"):
		if os.path.exists("/sys/module/" + module):
			subprocess.run(["rmmod", module], check=True)


def need_modules():
	if not os.path.exists(f"build/kernel/{os.uname().release}/iovab_ref.ko"):
		raise harness.Skip("there are no modules for this kernel: they cannot be built here")
	harness.have_mock(2)


class Work:
	"""Some reports of one process, and what they must come to."""

	def __init__(self, name, policy, length, iova=0, page_size=PAGE, offset=0, preset=0, holes=(),
		     bound=True):
		self.name = f"{name}, {POLICIES[policy]}"
		self.policy, self.iova, self.length, self.page_size = policy, iova, length, page_size
		self.offset, self.preset, self.holes = offset, preset, holes
		self.device = harness.device_name(DEVICE) if bound else None
		self.pid = self.trouble = None
		self.reports = []

	def bitmap(self):
		bitmap = Bitmap(bitmap_bytes(self.length, self.page_size), self.offset,
				fill=0xff if self.preset else 0)
		for page in self.holes:
			bitmap.remove(page)
		return bitmap

	def play(self, calls):
		self.reports.append(ref_rule.play(calls, self.policy, self.iova, self.length, self.page_size,
						  self.offset, self.preset, self.holes))

	def run(self, case):
		try:
			self.pid, seen = client.in_child(case, self.child)
			self.judge(case, seen)
		except harness.Unmet as unmet:
			self.trouble = str(unmet)

	def count(self, bitmap):
		return client.bits_set(bitmap.contents()) - bitmap.filled() if bitmap.pages * PAGE <= COUNTED else None

	def judge_dirty(self, case, dirty):
		if dirty is not None:
			case.equal(f"{self.name}: bits, and those that the rule knows", dirty,
				   sum(report.dirty for report in self.reports))

	def check(self, case, tier, row):
		expected = {}
		for report in self.reports:
			for name, value in report.figures().items():
				expected[name] = expected.get(name, 0) + value
		total = row["total"]
		case.equal("client and implementation", (row["client"], row["implementation"]),
			   ("ref", "reference"))
		case.equal("page_size", row["page_size"], self.page_size)
		# what does not fit a signed number is printed as text
		case.equal("range", (int(row["range"]["iova"]), row["range"]["length"]), (self.iova, self.length))
		expect.check_form(case, row)
		for name in expect.measured(tier):
			if name in expected:
				case.equal(name, total.get(name), expected[name])
		case.equal("unknown", total.get("unknown"), None)
		case.equal("pin_ns.count", total.get("pin_ns", {}).get("count", 0),
			   total["windows"] + total["pin_failures"])
		expect.check_lossless(case, row)
		expect.check_quiet(case, row)
		if tier != "windows":
			histogram = total["density_histogram"] or [0]
			case.equal("sum of density_histogram", sum(histogram), total["windows"])
			case.equal("clean windows in density_histogram", histogram[0], expected["windows_clean"])
		if tier == "sets":
			self.check_marks(case, total)

	def check_marks(self, case, total):
		case.equal("lost_by", sum(total["lost_by"].values()), total["lost_bytes"])
		case.equal("empty_marks", total["empty_marks"], self.empty())
		order = sum(total["order"].values())
		case.check(total["set_calls"] - total["reports"] <= order <= total["set_calls"],
			   f"order: {total['order']} of {total['set_calls']} marks")
		good = not total["report_errors"] and not total["pin_failures"]
		case.equal("what_if.reports", total["what_if"]["reports"], good * total["reports"])
		if good and self.policy == CACHED:
			case.equal("what_if of what it did", total["what_if"]["cached"],
				   {name: total[name] for name in ("windows", "pages_pinned", "repins")})

	def empty(self):
		return 0


class Script(Work):
	"""Marks that the test chooses, in one report."""

	def __init__(self, name, policy, length, marks, error=0, **about):
		super().__init__(name, policy, length, **about)
		self.marks, self.error = marks, error

	def child(self):
		reference = Reference()
		if self.device:
			reference.bind(DEVICE, self.policy)
		bitmap = self.bitmap()
		alloc_error, error, _ = reference.script(self.policy, self.iova, self.length, self.page_size,
							 bitmap.address, self.marks)
		return alloc_error or error, self.count(bitmap)

	def judge(self, case, seen):
		error, dirty = seen
		case.equal(f"{self.name}: error", error, self.error)
		self.play([self.marks])
		self.judge_dirty(case, dirty)

	def empty(self):
		return sum(not length for _, length in self.marks)


class Engine(Work):
	"""Rounds of what the mock device marks; its own account is a witness more."""

	def __init__(self, name, policy, length, writes, rounds=3, **settings):
		about = {key: settings.pop(key) for key in ("page_size", "offset", "preset")
			 if key in settings}
		super().__init__(name, policy, length, **about)
		self.writes, self.rounds, self.settings = writes, rounds, settings
		self.truth = None

	def run(self, case):
		client.set_engine(DEVICE, page_size=self.page_size, **self.settings)
		harness.write(harness.log_file(DEVICE), harness.LOG_ROOM)
		before = harness.truth(DEVICE)
		super().run(case)
		after = harness.truth(DEVICE)
		self.truth = {name: after[name] - before[name] for name in ("marks", "marked_bytes", "overshoot_bytes")}

	def child(self):
		reference = Reference()
		reference.bind(DEVICE, self.policy)
		bitmap = self.bitmap()
		dirty = []
		if reference.start(self.length, self.page_size):
			raise harness.Unmet("START failed")
		for _ in range(self.rounds):
			harness.write(harness.engine(DEVICE, "step"), self.writes)
			if reference.report(self.length, self.page_size, bitmap.address):
				raise harness.Unmet("REPORT failed")
			dirty.append(self.count(bitmap))
			bitmap.wipe()
		reference.close()
		return dirty

	def judge(self, case, dirty):
		calls = harness.log_read(DEVICE)
		each = len(calls) // self.rounds
		case.equal(f"{self.name}: calls", len(calls), each * self.rounds)
		for at in range(0, len(calls), each):
			self.play([marks for _, _, marks in calls[at:at + each]])
		self.judge_dirty(case, sum(dirty))

	def check(self, case, tier, row):
		super().check(case, tier, row)
		if tier == "sets":
			total = row["total"]
			case.equal("marks of the device", self.truth,
				   {"marks": total["set_calls"], "marked_bytes": total["marked_bytes"],
				    "overshoot_bytes": total["overshoot_bytes"]})


class Refusing(Work):
	"""The driver's own error, which does not stick: logging was never started."""

	def child(self):
		reference = Reference()
		reference.bind(DEVICE, self.policy)
		return reference.report(self.length, self.page_size, self.bitmap().address)

	def judge(self, case, error):
		case.equal(f"{self.name}: error", error, EINVAL)
		self.play([[]])
		self.reports[0].error = True


def scripts():
	for policy in (CACHED, EAGER, LAZY):
		yield Script("nothing is marked", policy, 200 * G, [])
		yield Script("all dirty, bitmap at 0xff1 of its page", policy, 66 * G, [(0, 66 * G)], offset=0xff1)
		yield Script("a mark at a time, ascending", policy, 66 * G,
			     [(n * PAGE, PAGE) for n in range(300)] + [(65 * G + n * PAGE, PAGE) for n in range(9)])
		yield Script("outside of the range", policy, 16 * M,
			     [(G - 3 * PAGE - 1, 5 * PAGE), (G + 16 * M - PAGE, 4 * M), (0, PAGE), (G - 1, 1),
			      (3 * G, PAGE), (G + 16 * M, 1), (G + M, 7)], iova=G, offset=0x805)
		yield Script("again and again", policy, 64 * M, [(0, 4 * PAGE), (PAGE, PAGE), (0, M), (0, M)])
		yield Script("bits that are there before", policy, 300 * G,
			     [(n * 70 * G + 13 * PAGE, 9 * PAGE) for n in range(4)], preset=1)
		yield Script("64 KiB pages, out of order", policy, 900 * G,
			     [(n * 40961 % 900 * G + 5, 70 * K) for n in range(40)], page_size=64 * K, offset=8)
		yield Script("the end of the address space", policy, M,
			     [((1 << 64) - PAGE, PAGE), ((1 << 64) - 3 * PAGE, 10 * PAGE)], iova=(1 << 64) - M, offset=1)
		yield Script("length 0, and marks behind it", policy, 70 * G,
			     [(0, PAGE), (65 * G, 0), (66 * G, PAGE), (0, 3 * PAGE), (0, 0)], error=EINVAL)
	for policy in (CACHED, LAZY):
		yield Script("a hole in the way", policy, 300 * PAGE_IOVA,
			     [(0, 2 * PAGE_IOVA), (120 * PAGE_IOVA, PAGE), (98 * PAGE_IOVA + PAGE, 5 * PAGE_IOVA),
			      (0, 2 * M), (2 * PAGE_IOVA, M), (299 * PAGE_IOVA, 3 * PAGE_IOVA)], error=EFAULT, holes=[101])
		yield Script("holes beside the marks", policy, 64 * PAGE_IOVA,
			     [(0, PAGE_IOVA), (4 * PAGE_IOVA, PAGE), (33 * PAGE_IOVA, PAGE), (0, PAGE)], holes=[3, 40, 50])
	yield Script("a hole at the beginning", EAGER, 8 * PAGE_IOVA, [(0, PAGE)], error=EFAULT, holes=[0],
		     bound=False)
	yield Script("nobody says for which device", CACHED, G, [(0, PAGE)], bound=False)
	back = [(n * TABLE_IOVA + n * 9 % 16 * WINDOW_IOVA, PAGE) for n in range(18)]
	yield Script("18 tables, twice", CACHED, 20 * TABLE_IOVA, back + back)
	yield Script("16 tables, twice", CACHED, 20 * TABLE_IOVA, back[:16] + back[:16])
	yield Script("windows side by side", CACHED, 3 * TABLE_IOVA,
		     [(n * WINDOW_IOVA - 5 * PAGE, 10 * PAGE) for n in range(1, 40)], offset=0x800)
	yield Refusing("the driver fails", CACHED, G)


def engines():
	for policy in (CACHED, EAGER):
		for order in ("ascending", "shuffled"):
			yield Engine(f"random {order}", policy, 130 * G, 500, order=order, pattern="random",
				     fault_redundant=3)
		yield Engine("dense, merged", policy, 130 * G, 3000, pattern="dense", merge=1, offset=8)
		yield Engine("overshoot and cross", policy, 66 * G, 200, fault_overshoot=70, fault_cross=9)
	yield Engine("random ascending", LAZY, 130 * G, 500, pattern="random")
	yield Engine("random descending", LAZY, 130 * G, 12, pattern="random", order="descending")


@suite
def rows(results):
	works = [work for work in (*scripts(), *engines())
		 if any(results.wanted(f"rows {tier} {work.name}") for tier in expect.TIERS)]
	if not works:
		return
	rows = {}
	with results.case("rows watch all") as case:
		need_modules()
		insert_reference()
		tops = [harness.Top(case, tier) for tier in expect.TIERS]
		for work in works:
			work.run(case)
		for top in tops:
			rows[top.tier] = top.finish()
			case.equal(f"rows at tier {top.tier}", len(rows[top.tier]), len(works))
	if len(rows) < len(expect.TIERS):
		return		# why was said
	for tier, work in itertools.product(expect.TIERS, works):
		with results.case(f"rows {tier} {work.name}") as case:
			case.require(work.reports, work.trouble or "was not run")
			row = rows.get(tier, {}).get((work.device, work.pid))
			case.require(row, f"no row for {(work.device, work.pid)}, only {list(rows.get(tier, {}))}")
			work.check(case, tier, row)


@test
def while_a_report_runs(case):
	"""A slow driver: what is pinned now, and for whom."""
	need_modules()
	reference = Reference()
	reference.bind(DEVICE, EAGER)
	client.set_engine(DEVICE, fault_delay_ms=1500)
	bitmap = Bitmap(bitmap_bytes(80 * G, PAGE), fill=0)
	case.require(reference.start(80 * G, PAGE) == 0, "START failed")
	top = harness.Top(case, "windows", delay=0.2)
	child = os.fork()
	if not child:
		os._exit(reference.report(80 * G, PAGE, bitmap.address) != 0)
	seen = set()

	def ended():
		for row in top.lines():
			if row["pid"] == child:
				seen.add((row["reports_in_flight"], row["pages_pinned_now"]))
		return os.waitpid(child, os.WNOHANG)[0]

	harness.wait_until(ended, "the report ends")
	time.sleep(0.5)
	row = top.finish().get((harness.device_name(DEVICE), child))
	case.require(row, "no row")
	expect.check_quiet(case, row)
	case.check({(1, 512), (1, 128)} <= seen, f"reports in flight, pages pinned: {seen}")
	reference.close()
	client.set_engine(DEVICE)


def attached(*names):
	try:
		return set(names) <= harness.bpf_attached()
	except subprocess.CalledProcessError:
		return False	# bpftool met a link that was just being made


def bpf_of_reference():
	return attached("report_open", "report_close", "set_entry")


@test
def marks_are_recorded(case):
	"""All of them, in order, also those that the reference refuses."""
	need_modules()
	insert_reference()
	works = [work for work in scripts() if work.name in (
		 "64 KiB pages, out of order, cached", "length 0, and marks behind it, lazy",
		 "the end of the address space, cached")]
	recorder = Recorder(case, "sets")
	for work in works:
		work.run(case)
	recorder.finish()
	recorded = marks.of_reports(recorder.path)
	case.equal("marks", [recorded[serial] for serial in sorted(recorded)], [work.marks for work in works])
	rows = replayed(case, recorder.path)
	for work in works:
		work.check(case, "sets", rows[work.device, work.pid])


@test
def the_module_comes_later(case):
	"""iovabtop is there before it; other facilities' rows, if any, go on."""
	need_modules()
	if not has_facility():
		raise harness.Skip("this kernel has no iova_bitmap: without the module iovabtop refuses")
	remove_reference()
	top = harness.Top(case, "sets", delay=0.2)
	ran = harness.migrate(case, 1, "--range", "0:0x40000000", "--rounds", 1, "--step", 50)
	insert_reference()
	harness.wait_until(bpf_of_reference, "the reference's programs are attached")
	work = Script("after it came", CACHED, G, [(0, 3 * PAGE)])
	work.run(case)
	harness.migrate(case, 1, "--range", "0:0x40000000", "--rounds", 1, "--step", 50)
	rows = top.finish()
	case.equal("rows", len(rows), 3)
	work.check(case, "sets", rows[work.device, work.pid])
	case.equal("the kernel's implementation", rows[ran["device"], ran["pid"]]["implementation"], "kernel")
	found = subprocess.run(["build/iovab", "probe"], capture_output=True, text=True, check=True).stdout
	case.check(re.search("client +ref +reports", found), f"probe: {found!r}")


@test
def the_facility_comes_later(case):
	"""In the module vfio, which is loaded after the reference's."""
	need_modules()
	if not has_facility():
		raise harness.Skip("this kernel has no iova_bitmap")
	if not re.search(r" iova_bitmap_set\t\[vfio\]", harness.read("/proc/kallsyms")):
		raise harness.Skip("the facility is built into this kernel")
	remove_reference()
	harness.remove_mock()
	subprocess.run(["insmod", f"build/kernel/{os.uname().release}/iovab_ref.ko"], check=True)
	top = harness.Top(case, "sets", delay=0.2)
	harness.wait_until(bpf_of_reference, "the reference's programs are attached")
	harness.insert_mock(2)
	insert_reference()
	harness.wait_until(lambda: attached("pin_entry", "vfio_ioctl_entry"),
			   "the facility's programs are attached")
	work = Script("after it came", CACHED, G, [(0, 3 * PAGE)])
	work.run(case)
	ran = harness.migrate(case, 1, "--range", "0:0x40000000", "--rounds", 1, "--step", 50)
	rows = top.finish()
	case.equal("rows", len(rows), 2)
	work.check(case, "sets", rows[work.device, work.pid])
	case.equal("reports of the kernel's", rows[ran["device"], ran["pid"]]["total"]["reports"], 2)
	expect.check_lossless(case, rows[ran["device"], ran["pid"]])


@test
def without_a_facility(case):
	"""The reference alone is enough to watch; probe says so."""
	need_modules()
	if has_facility():
		raise harness.Skip("this kernel has iova_bitmap")
	insert_reference()
	run = case.run("probe", ["build/iovab", "probe"])
	case.equal("probe's status", run.status, 0)
	case.check("none: this kernel has no iova_bitmap" in run.out(), f"probe: {run.out()!r}")
	run = case.run("batch", [harness.TOP, "-b", "-n", "1"])
	case.equal("status", run.status, 0)
	case.check("without iova_bitmap" in run.out(), f"saw {run.out()!r}")
