# SPDX-License-Identifier: GPL-2.0-only
"""What the reference implementation has to pin for a report, and what comes of it.

Written from its documentation (kernel/ref_bitmap.c), not from its code: pages of the
bitmap in tables of 512; cached: windows of 32 pages on a grid, of 16 tables that are
kept; eager: each table in turn; lazy: one table, which begins at the mark's byte.
A window is one pin that succeeded.  @holes are pages of memory that are not there.
"""

import rule

TABLE, WINDOW, KEPT = 512, 32, 16
PAGE_BITS = 8 * rule.CPU_PAGE
CACHED, EAGER, LAZY = range(3)


class Failed(Exception):
	"""The report has an error from here on."""


class Report:
	def __init__(self, policy, iova, length, page_size, offset=0, preset=0, holes=()):
		self.policy, self.iova, self.length, self.page_size = policy, iova, length, page_size
		self.pages = rule.pages_of(length, page_size)	# bits
		self.skew = offset % rule.CPU_PAGE * 8
		self.last_page = (self.pages - 1 + self.skew) // PAGE_BITS
		self.holes = holes
		self.bits = rule.Bits(preset)
		self.tables = {}	# (first page, last page, first bit), in order of use
		self.pinned = {}	# page: its window, [first bit, pages, dirty]
		self.first_bits = set()
		self.error = False
		self.pin_failures = self.repins = self.clean = self.windows = self.cpu_pages = 0
		self.marks = self.marked = self.dirty = self.lost = self.overshoot = 0
		if policy == EAGER:
			self.pin_ahead(0)

	# --- what is pinned ---

	def first_bit(self, page):
		return max(page * PAGE_BITS - self.skew, 0)

	def pin(self, table, first, last, needed):
		"""Pins [first, last], as far as it is there; @needed pages must be."""
		page = first
		while page <= last:
			if page in self.pinned:
				page += 1
				continue
			got = 0
			while page + got <= last and page + got not in self.pinned and page + got not in self.holes:
				got += 1
			if got:
				bit = max(self.first_bit(page), table[2])
				window = [bit, got, 0]
				self.windows += 1
				self.cpu_pages += got
				self.repins += bit in self.first_bits
				self.first_bits.add(bit)
				self.pinned.update(dict.fromkeys(range(page, page + got), window))
				page += got
				continue
			self.pin_failures += 1
			if page > needed[-1]:
				return
			if page in needed:
				raise Failed
			page = needed[0]

	def unpin(self, table):
		windows = {id(window): window for page in range(table[0], table[1] + 1)
			   if (window := self.pinned.pop(page, None))}
		self.clean += sum(not window[2] for window in windows.values())

	def end(self):
		for table in list(self.tables):
			self.unpin(table)
		self.tables = {}

	def fail(self):
		self.error = True
		self.end()

	def pin_ahead(self, page):
		"""Eager's next window, from the table's first page on."""
		table = self.turn_to(self.first_bit(page))
		try:
			self.pin(table, table[0], table[1], range(table[0], table[1] + 1))
		except Failed:
			self.fail()

	def turn_to(self, bit):
		page = (bit + self.skew) // PAGE_BITS
		for table in self.tables:
			last = self.last_bit(table[1])
			if table[2] <= bit <= last:
				self.tables[table] = self.tables.pop(table)	# it is the newest now
				return table
		if len(self.tables) == (KEPT if self.policy == CACHED else 1):
			oldest = next(iter(self.tables))
			self.unpin(oldest)
			del self.tables[oldest]
		first = page if self.policy == LAZY else page - page % TABLE
		table = (first, min(first + TABLE - 1, self.last_page),
			 bit - bit % 8 if self.policy == LAZY else self.first_bit(first))
		self.tables[table] = True
		return table

	def last_bit(self, page):
		return min(self.first_bit(page + 1) - 1, self.pages - 1)

	# --- marks ---

	def set_page(self, bit, last):
		"""Bits of one page."""
		table = self.turn_to(bit)
		page = (bit + self.skew) // PAGE_BITS
		if page not in self.pinned:
			size = WINDOW if self.policy == CACHED else TABLE
			first = table[0] + (page - table[0]) // size * size
			self.pin(table, first, min(first + size - 1, table[1]), range(page, page + 1))
		new = self.bits.set(bit, last + 1)
		self.dirty += new
		self.pinned[page][2] += new

	def mark(self, start, length):
		self.marks += 1
		if not length:
			if not self.error:
				self.fail()
			return
		first = (start - self.iova) // self.page_size
		last = (min(start + length, 1 << 64) - 1 - self.iova) // self.page_size
		self.overshoot += max(min(last, -1) - first + 1, 0) + max(last - max(first, self.pages) + 1, 0)
		first, last = max(first, 0), min(last, self.pages - 1)
		if first > last:
			return
		self.marked += last - first + 1
		while not self.error and first <= last:
			end = min(last, self.last_bit((first + self.skew) // PAGE_BITS))
			try:
				self.set_page(first, end)
			except Failed:
				self.fail()
				break
			first = end + 1
		self.lost += last - first + 1

	def figures(self):
		size = self.page_size
		return {"reports": 1, "report_errors": int(self.error), "range_bytes": self.length,
			"windows": self.windows, "repins": self.repins, "pages_pinned": self.cpu_pages,
			"pin_failures": self.pin_failures, "windows_clean": self.clean, "scan_skipped": 0,
			"dirty_bytes": self.dirty * size, "set_calls": self.marks,
			"marked_bytes": self.marked * size, "lost_bytes": self.lost * size,
			"redundant_bytes": (self.marked - self.dirty - self.lost) * size,
			"overshoot_bytes": self.overshoot * size, "stray_bits": 0, "wild_marks": 0}


def play(calls, policy, iova, length, *about, **more):
	"""A report whose driver marks this in each of its calls: eager calls it for each table."""
	report = Report(policy, iova, length, *about, **more)
	if report.error:
		calls = []	# alloc failed
	tables = range(0, report.last_page + 1, TABLE) if policy == EAGER else (0,)
	for number, page in enumerate(tables):
		if number:
			report.pin_ahead(page)
		if report.error:
			break
		for mark in calls[number] if number < len(calls) else ():
			report.mark(*mark)
		if report.error:
			break
	report.end()
	return report
