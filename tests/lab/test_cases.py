# SPDX-License-Identifier: GPL-2.0-only
"""What each generation of iova_bitmap does in the cases that it gets wrong, or could.

A case is one report of a client of its own.  The marks are the device's, or those
that the case dictates (engine/script).  What happened is known without iovabtop:
the marks from the device's log, the bits from the client's memory, guards
included, the pages pinned from vmstat.  iovabtop must say the same; and what
happened must be what docs/generations.md says of this generation, word for word.
"""

import errno
import functools
import re

import client
import expect
import harness
import rule

TESTS, test, suite = harness.registry()

K, M, G = 1 << 10, 1 << 20, 1 << 30
PAGE = 4 * K
DOCUMENT = "docs/generations.md"
NEXT_CALL = None


class Report:
	"""What a case asks for."""

	def __init__(self, name, length, script=(), iova=0, page_size=PAGE, offset=0, missing=(),
		     read_only=(), track=None, engine=None, hangs=False):
		self.name = name
		self.length = length
		# (IOVA, length) of marks, and NEXT_CALL; a lazy kernel has but one call
		self.script = script
		self.iova = iova
		self.page_size = page_size
		self.offset = offset		# of the bitmap in its memory page
		self.missing = missing		# (first, number) of memory pages
		self.read_only = read_only
		self.holes = (*missing, *read_only)
		self.track = track or M		# length that the device tracks from 0 on
		self.engine = engine		# None: nothing is dirty
		self.hangs = hangs		# a lazy kernel, for good

	def pages(self):
		"""As the kernel works it out: a length of 0 is the whole address space."""
		return rule.pages_of(self.length or 1 << 64, self.page_size)

	def bitmap_pages(self):
		return self.pages() if self.length else 8 * PAGE

	@functools.cached_property
	def memory_pages(self):
		return client.Bitmap.pages_of(self.bitmap_pages(), self.offset)

	def present(self, page):
		"""Whether the kernel can pin the bitmap's page of this number: asked of each of many."""
		if page >= self.memory_pages:
			return False
		for first, count in self.holes:
			if first <= page < first + count:
				return False
		return True


REPORTS = (
	Report("T1 unaligned bitmap, all dirty", 128 * G, offset=0xff1, track=128 * G,
	       engine={"pattern": "all", "merge": 1}),
	Report("T2 mark across a window's border", 128 * G, [(64 * G - PAGE, 2 * PAGE)]),
	Report("T3 length 0 at a window's base", 128 * G, [NEXT_CALL, (64 * G, 0)], hangs=True),
	Report("T3 length 0 past the window", 128 * G, [(64 * G, 0)], hangs=True),
	Report("T4 length 0 at the base", M, [(0, 0)]),
	Report("T5 mark past the range", M, [(0, 2 * M)]),
	Report("T5 bitmap that ends on a page", M, [(0, 2 * M)], offset=PAGE - M // PAGE // 8),
	Report("T6 mark from below the base", M, [(M - PAGE, 2 * PAGE)], iova=M),
	Report("T6 unaligned bitmap", M, [(M - PAGE, 2 * PAGE)], iova=M, offset=0x100),
	Report("T7 four marks past the range", M, [(M - PAGE, 2 * PAGE)] * 4),
	Report("T8 bitmap unmapped", M, [(0, PAGE), (4 * PAGE, 8 * PAGE)], missing=[(0, 1)]),
	Report("T8 bitmap read-only", M, [(0, PAGE), (4 * PAGE, 8 * PAGE)], read_only=[(0, 1)]),
	Report("T8 second half unmapped", 128 * G, [(PAGE, 2 * PAGE), (100 * G, PAGE)],
	       missing=[(512, 512)]),
	Report("T9 hole in the bitmap, all dirty", G, missing=[(1, 1)], track=G,
	       engine={"pattern": "all", "page_size": 2 * M}),
	Report("T9 hole in a single mark", G, [(0, G)], missing=[(1, 1)]),
	Report("T10 hole where nothing is dirty", G, [(0, PAGE), (384 * M - PAGE, PAGE),
						      (640 * M, 2 * PAGE)], missing=[(3, 2)]),
	Report("T11 report of length 0", 0, [(0, PAGE)]),
	Report("T12 64 KiB a bit", G, [(0, PAGE), (G - 64 * K, 64 * K)], page_size=64 * K),
	Report("T12 2 MiB a bit", G, [(0, PAGE), (G - 2 * M, 2 * M)], page_size=2 * M),
	Report("T12 4 GiB a bit", 64 * G, [(0, PAGE), (60 * G, 4 * G)], page_size=4 * G),
	Report("T12 2^62 bytes a bit", G, [(0, PAGE)], page_size=1 << 62),
	Report("T13 top of the address space", G, [(2 ** 64 - PAGE - G, PAGE),
						   (2 ** 64 - 2 * PAGE, PAGE)], iova=2 ** 64 - PAGE - G),
	Report("T13 range that ends with the address space", G, [(2 ** 64 - G, PAGE)], iova=2 ** 64 - G),
	Report("T14 2^43 bytes, two dirty pages", 1 << 43,
	       [(5 * PAGE, PAGE), *[NEXT_CALL] * 64, ((1 << 42) + PAGE, PAGE)]),
	Report("T15 three pages", 3 * PAGE, [(0, 3 * PAGE)]),
)


def make_report(number, report):
	"""In the client: its error, and the bits that are set."""
	vfio = client.Client(number)
	assert vfio.start(report.track, PAGE) == 0
	if report.engine:
		harness.write(harness.engine(number, "step"), 1)
	bitmap = client.Bitmap(report.bitmap_pages(), report.offset)
	for page, pages in report.missing:
		bitmap.remove(page, pages)
	for page, pages in report.read_only:
		bitmap.write_protect(page, pages)
	error = vfio.report(report.length, report.page_size, bitmap.address, report.iova)
	return [error, bitmap.runs()]


def dictate(number, script):
	harness.write(harness.engine(number, "script"), "clear")
	if script:
		harness.write(harness.engine(number, "script"),
			      "\n".join(f"{mark[0]:#x} {mark[1]:#x}" if mark else "-"
					for mark in script if mark or not rule.lazy()))


class Happened:
	"""A report, seen from everywhere but iovabtop."""

	def __init__(self, case, number, report):
		self.report = report
		client.set_engine(number, **(report.engine or {}))
		dictate(number, report.script)
		harness.write(harness.log_file(number), 4096)
		acquired, = harness.vmstat("nr_foll_pin_acquired")
		self.pid, (self.error, self.runs) = client.in_child(case, make_report, number, report)
		self.acquired = harness.vmstat("nr_foll_pin_acquired")[0] - acquired
		self.marks = [mark for _, _, marks in harness.log_read(number) for mark in marks]
		self.count()

	def began(self):
		"""VFIO itself refuses a range that ends with the address space."""
		return self.error != errno.EOVERFLOW

	def set_in(self, first, past):
		"""How many bits are set in [first, past)."""
		return sum(max(0, min(past, start + count) - max(first, start))
			   for start, count in self.runs)

	def count(self):
		pages, shift = self.report.pages(), self.report.page_size.bit_length() - 1
		iova = self.report.iova
		self.dirty = self.set_in(0, pages)
		self.stray = sum(count for _, count in self.runs) - self.dirty
		self.marked = self.overshoot = self.lost = 0
		covered = []
		for start, length in self.marks:
			if not length:
				continue
			first = (start - iova) >> shift		# rounds down, below the base too
			past = ((start + length - 1 - iova) >> shift) + 1
			inside = max(first, 0), min(past, pages)
			count = max(0, inside[1] - inside[0])
			self.marked += count
			self.overshoot += past - first - count
			self.lost += count - (self.set_in(*inside) if count else 0)
			if count:
				covered.append(inside)
		self.bits = len_of_union(covered)
		self.unmarked = self.dirty - sum(self.set_in(*part) for part in union(covered))

	def wild(self):
		"""A mark of length 0, or one that begins below: no rule tells what such a mark writes."""
		return any(not length or start < self.report.iova for start, length in self.marks)

	def windows(self):
		"""(number of windows, pages pinned, repins, failed pins) by the kernel's rule."""
		about = self.report
		if not self.began():
			return 0, 0, 0, 0
		if not rule.lazy():
			found = rule.windows(about.length or 1 << 64, about.page_size, about.offset,
					     about.present)
			done = sum(pages for _, pages, _ in found) == about.pages()
			return len(found), sum(pinned for _, _, pinned in found), 0, int(not done)
		played = rule.lazy_report(self.marks, about.iova, about.length, about.page_size,
					  about.offset, present=about.present)
		return (len(played.windows), sum(window.pinned for window in played.windows),
			played.repins(), played.pin_failures)

	def text(self):
		"""As the document says it."""
		if self.error:
			said = errno.errorcode[self.error]
		elif self.bits:
			said = f"{self.bits - self.lost_once():,} of {self.bits:,} bits"
		else:
			said = "no bit was due"
		for count, what in ((self.lost_once(), "lost"), (self.stray, "stray"),
				    (self.unmarked, "set though not marked")):
			if count and not (self.error and what == "lost"):
				said += f", {count:,} {what}"
		windows = self.windows()[0]
		return said + f"; {windows:,} pin{'s'[windows == 1:]}, {self.acquired:,} " \
			f"page{'s'[self.acquired == 1:]}"

	def lost_once(self):
		return self.bits - (self.dirty - self.unmarked)


def union(parts):
	merged = []
	for first, past in sorted(parts):
		if merged and first <= merged[-1][1]:
			merged[-1] = merged[-1][0], max(past, merged[-1][1])
		else:
			merged.append((first, past))
	return merged


def len_of_union(parts):
	return sum(past - first for first, past in union(parts))


def documented():
	"""Of each test that the table names: what it says of this generation."""
	column = 3 if rule.lazy() else 2
	said = {}
	for line in harness.read(DOCUMENT).splitlines():
		cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
		if len(cells) == 5 and re.fullmatch(r"`cases T.*`", cells[4]):
			said[cells[4].strip("`")] = cells[column]
	return said


def check(case, happened, row):
	about, size = happened.report, happened.report.page_size
	windows, pinned, repins, failures = happened.windows()
	total = row["total"]
	unknown = total.get("unknown", [])
	case.equal("pages pinned, by vmstat and by the rule", happened.acquired, pinned)
	for name, value in {"reports": 1, "report_errors": int(bool(happened.error)),
			    "range_bytes": about.length, "windows": windows, "repins": repins,
			    "pages_pinned": happened.acquired, "pin_failures": failures,
			    "set_calls": len(happened.marks), "marked_bytes": happened.marked * size,
			    "dirty_bytes": happened.dirty * size, "lost_bytes": happened.lost * size,
			    "overshoot_bytes": happened.overshoot * size,
			    "stray_bits": happened.stray}.items():
		if name not in unknown:
			case.equal(name, total.get(name), value)
	if not happened.unmarked and "redundant_bytes" not in unknown:
		case.equal("redundant_bytes", total.get("redundant_bytes"),
			   (happened.marked - happened.dirty - happened.lost) * size)
	excused = ("lost_bytes", "stray_bits", "redundant_bytes") if happened.wild() else ()
	case.equal("unknown without need", [name for name in unknown if name not in excused], [])
	if happened.unmarked:
		case.check("redundant_bytes" in unknown, "redundant_bytes: no account of marks explains it")
	expect.check_lossless(case, row)
	expect.check_quiet(case, row)
	for name, value in {"client": "vfio", "device": harness.device_name(0),
			    "driver": "iovab-mock"}.items():
		case.equal(name, row.get(name), value)


def check_account(case, number, happened, before):
	"""The device's account of the script is the script."""
	gone = {key: value - before[key]
		for key, value in harness.truth(number, "script_truth").items()}
	script = [mark for mark in happened.report.script if mark and happened.marks]
	case.equal("marks by script", gone["marks"], len(script))
	case.equal("of these empty", gone["empty"], sum(not length for _, length in script))
	case.equal("their bytes", gone["inside_bytes"] + gone["below_bytes"] + gone["above_bytes"],
		   sum(length for _, length in script))


@suite
def cases(results):
	wanted = [report for report in REPORTS if results.wanted("cases " + report.name)]
	if not wanted:
		return
	happened, rows = {}, {}
	with results.case("cases watch all of them") as case:
		top = harness.Top(case, "sets")
		for report in wanted:
			if report.hangs and rule.lazy():
				continue
			before = harness.truth(0, "script_truth")
			happened[report] = Happened(case, 0, report)
			check_account(case, 0, happened[report], before)
		rows = {pid: row for (_, pid), row in top.finish().items()}
	said = documented()
	for report in wanted:
		name = "cases " + report.name
		with results.case(name) as case:
			if report.hangs and rule.lazy():
				raise harness.Skip("it never returns on this kernel: part hang has it")
			case.require(report in happened, "was not run")
			case.equal(f"{DOCUMENT}", said.get(name), happened[report].text())
			row = rows.get(happened[report].pid)
			if happened[report].began():
				case.require(row, "no row")
				check(case, happened[report], row)
			else:
				case.check(not row, "a row, though there was no report")
