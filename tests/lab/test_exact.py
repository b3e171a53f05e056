# SPDX-License-Identifier: GPL-2.0-only
"""The exactness matrix: every total against the truth, at every tier.

Three iovabtop, one a tier, watch the whole matrix at once. Each combination is
a migrate of its own, so it has a row of its own in each of them; two migrate
run at a time, on two devices.
"""

import concurrent.futures
import itertools

import expect
import harness
import rule

TESTS, test, suite = harness.registry()

K, M, G, T = 1 << 10, 1 << 20, 1 << 30, 1 << 40

# Bits of bitmap that a kernel pins at once: a window of a bitmap that begins with its page.
WINDOW = rule.WINDOW_PAGES * rule.CPU_PAGE * 8

# Marks of any of the combinations.
LOG_ROOM = 20000

PATTERNS = ("sequential", "random", "hotspot", "sparse", "dense", "all")
ORDERS = ("ascending", "descending", "shuffled")

# What QEMU reports of a small q35 guest, a report a memory section.
QEMU_SECTIONS = ((0, 0xa0000), (0xc0000, 0xb000), (0xcb000, 0x3000), (0xce000, 0x1a000),
		 (0xe8000, 0x8000), (0xf0000, 0x10000), (0x100000, 0x3ff00000),
		 (0xfd000000, 0x1000000), (0xfebc0000, 0x1000), (4 * G, 70 * G))


def writes(many, order):
	"""How many page writes a round. A lazy kernel pins anew for a mark that comes out of order,
	up to 2 MiB of bitmap, and each such window is scanned: a few of them are as good."""
	return 12 if rule.lazy() and order != "ascending" else many


def size_name(size):
	for unit, name in ((M, "M"), (K, "K")):
		if size % unit == 0:
			return f"{size // unit}{name}"
	return str(size)


class Combination:
	"""One migrate and what it is to be checked against."""

	def __init__(self, name, *args, sections, rounds=3, offset=0, **about):
		self.name = name
		self.sections = sections
		self.rounds = rounds		# the last one included
		self.offset = offset
		self.about = about
		ranges = about.get("ranges") or [(min(iova for iova, _ in sections),
						  max(iova + size for iova, size in sections) -
						  min(iova for iova, _ in sections))]
		self.args = [*args, "--rounds", rounds - 1]
		for iova, size in ranges:
			self.args += ["--range", f"{iova:#x}:{size:#x}"]
		if list(sections) != ranges:
			for iova, size in sections:
				self.args += ["--section", f"{iova:#x}:{size:#x}"]
		if offset:
			self.args += ["--bitmap-offset", offset]
		self.result = self.trouble = None

	def run(self, migrates):
		settings = {"--pattern": "random", "--order": "ascending", "--merge": 0,
			    "--tracked": 4 * K, "--rate": 0, "--seed": 1,
			    "--step": writes(500, self.about.get("order", "ascending")),
			    "--fault-redundant": 0, "--fault-overshoot": 0, "--fault-cross": 0,
			    "--fault-delay-ms": 0}
		given = dict(zip(self.args[::2], self.args[1::2]))
		args = list(self.args)
		for option, value in settings.items():
			if option not in given:
				args += [option, value]
		try:
			self.result = migrates.run(*args, log_room=LOG_ROOM)
		except harness.Unmet as unmet:
			self.trouble = str(unmet)

	def beyond_section(self):
		"""Marks past a report's range, but in the tracked one: see Expected.add_migrate."""
		return self.result["truth"]["cross_bytes"] if self.about.get("cut") else 0

	def check(self, case, tier, row):
		result = self.result
		expected = expect.Expected(tier)
		expected.add_migrate(result, self.sections, self.rounds, self.offset,
				     self.beyond_section(), self.about.get("preset", 0))
		expected.check(case, row)
		expect.check_lossless(case, row)
		case.equal("page_size", row["page_size"], result["page_size"])
		iova, length = self.sections[-1]
		case.equal("range", row["range"], {"iova": iova, "length": length})
		if tier == "sets":
			self.check_order(case, row["total"])
		if tier != "windows" and "all" in self.args and not rule.lazy() and \
		   not self.about.get("faults"):
			# every round is full, but the last, when nothing was written
			case.equal("windows_clean", row["total"]["windows_clean"],
				   row["total"]["windows"] // self.rounds)

	def check_order(self, case, total):
		order, marks, reports = self.about.get("order"), total["set_calls"], total["reports"]
		if self.about.get("faults"):
			return
		if order == "ascending":
			case.equal("descending marks", total["order"]["descending"], 0)
		if order in ORDERS:
			case.equal("overlapping marks", total["order"]["overlapping"], 0)
		if order == "descending":
			# only the first mark of a call comes after the one before it
			calls = reports if rule.lazy() else total["windows"]
			case.check(total["order"]["ascending"] <= calls - reports,
				   f"ascending marks: {total['order']['ascending']}")
		if order == "ascending" and "all" in self.args:
			case.equal("runs", sum(total["run_pages"]), reports - reports // self.rounds)
		if order == "ascending" and "sparse" in self.args and self.about["merge"]:
			case.equal("runs", sum(total["run_pages"]), marks)


def matrix():
	"""Each pattern, page size, order and merge.

	What costs time is to look for bits: so there are three windows a report for single
	marks of 4 KiB pages, and two for the others; and a second round with writes for
	4 KiB pages.
	"""
	for pattern, page, order, merge in itertools.product(PATTERNS, (4 * K, 64 * K, 2 * M),
							     ORDERS, (0, 1)):
		windows = 1 if merge or page > 4 * K else 2	# and a piece
		length, step = (windows * WINDOW + M + 40) * page, writes(700, order)
		if pattern == "all":
			step = 1
			length = 130 * G + 4 * K if merge and page == 4 * K else 16 * M
		yield Combination(f"{pattern} {size_name(page)} {order} {'merged' if merge else 'single'}",
				  "--pattern", pattern, "--tracked", page, "--order", order,
				  "--merge", merge, "--step", step, sections=[(0, length)],
				  rounds=3 if page == 4 * K else 2, order=order, merge=merge)


def page_sizes():
	for shift in (13, 14, 15, 17, 18, 19, 20):
		page = 1 << shift
		yield Combination(f"random {size_name(page)} shuffled single",
				  "--tracked", page, "--order", "shuffled",
				  sections=[(0, (WINDOW + M) * page)], rounds=2, order="shuffled",
				  merge=0)
	for bit, tracked in ((4 * K, 64 * K), (4 * K, 2 * M), (64 * K, 2 * M)):
		yield Combination(f"{size_name(bit)} a bit of pages of {size_name(tracked)}",
				  "--page-size", bit, "--tracked", tracked,
				  sections=[(0, (WINDOW + M) * bit)], rounds=2)


def faults():
	for order, merge in itertools.product(ORDERS, (0, 1)):
		tail = [f"{order} {'merged' if merge else 'single'}", "--order", order, "--merge", merge]
		for name, *args in (("redundant", "--fault-redundant", 3),
				    ("overshoot", "--fault-overshoot", 7),
				    ("cross", "--fault-cross", 9),
				    ("all faults", "--fault-redundant", 2, "--fault-overshoot", 70,
				     "--fault-cross", 33000)):
			yield Combination(f"{name} {tail[0]}", *tail[1:], *args,
					  sections=[(0, (66 if merge else 130) * G)],
					  rounds=2 if merge else 3, order=order, faults=True)
	yield Combination("all faults 64K all", "--pattern", "all", "--step", 0, "--tracked", 64 * K,
			  "--rate", 0, "--fault-redundant", 1, "--fault-overshoot", 9,
			  "--fault-cross", 5, sections=[(0, 1100 * G)], faults=True)
	# the tracked range goes on after the report's: what crosses is outside of it
	yield Combination("cross at the end of a section", "--fault-cross", 20, "--fault-redundant", 4,
			  sections=[(0, 1 * G)], ranges=[(0, 3 * G)], cut=True, faults=True)
	for preset in (1, 2, 5, 64, 1000):
		yield Combination(f"preset {preset}", "--preset", preset, "--step", 2500,
				  "--pattern", "sequential", sections=[(0, 66 * G)], rounds=2,
				  preset=preset, faults=True)


def shapes():
	for offset in (1, 3, 7, 8, 0x800, 0xff1, 0xfff):
		yield Combination(f"bitmap offset {offset:#x}", "--step", 700, sections=[(0, 130 * G)],
				  rounds=2, offset=offset)
		yield Combination(f"bitmap offset {offset:#x} with all faults", "--fault-redundant", 3,
				  "--fault-overshoot", 3, "--fault-cross", 100,
				  sections=[(0, 66 * G)], rounds=2, offset=offset, faults=True)
	for pages in (1, 2, 3, 7, 8, 9, 63, 64, 65, 511, 513, 32767, 32769):
		# one mark a page, but for those that are a page of bitmap
		yield Combination(f"{pages} pages", "--pattern", "all", "--step", 1,
				  "--merge", int(pages > 1000), sections=[(0, pages * 4 * K)])
		yield Combination(f"{pages} pages and an overshoot", "--step", 40,
				  "--fault-overshoot", 70, sections=[(0, pages * 4 * K)],
				  offset=pages % 9, faults=True)
	yield Combination("QEMU's sections", "--step", 700, sections=QEMU_SECTIONS,
			  ranges=[(0, 0x40000000), (0xfd000000, 0x1bc1000), (4 * G, 70 * G)])
	yield Combination("a base that is not 0", "--step", 700, sections=[(0x123456000, 70 * G)])
	yield Combination("near the top of 2^57", "--step", 700,
			  sections=[((1 << 57) - 70 * G, 70 * G)])
	yield Combination("near the top of the address space", "--step", 700,
			  sections=[((1 << 63) - 140 * G, 70 * G), ((1 << 63) - 70 * G, 70 * G)])


def run_all(case, combinations):
	"""Two at a time, each worker with a device of its own."""
	def work(number):
		migrates = harness.Migrates(case, number)
		for combination in combinations[number::2]:
			combination.run(migrates)
		case.equal("migrate --each ended with", migrates.close(), 0)

	with concurrent.futures.ThreadPoolExecutor(2) as pool:
		for done in [pool.submit(work, number) for number in (0, 1)]:
			done.result()


@suite
def exact(results):
	combinations = [c for part in (matrix(), page_sizes(), faults(), shapes()) for c in part
			if any(results.wanted(f"exact {tier} {c.name}") for tier in expect.TIERS)]
	if not combinations:
		return
	rows = {}
	with results.case("exact watch all combinations") as case:
		tops = [harness.Top(case, tier) for tier in expect.TIERS]
		run_all(case, combinations)
		for top in tops:
			rows[top.tier] = top.finish()
			case.equal(f"rows at tier {top.tier}", len(rows[top.tier]), len(combinations))
	for tier, combination in itertools.product(expect.TIERS, combinations):
		with results.case(f"exact {tier} {combination.name}") as case:
			case.require(combination.result, combination.trouble or "was not run")
			key = combination.result["device"], combination.result["pid"]
			row = rows.get(tier, {}).get(key)
			case.require(row, f"no row for {key}")
			combination.check(case, tier, row)
