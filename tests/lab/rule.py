# SPDX-License-Identifier: GPL-2.0-only
"""What the kernel has to pin for a report.

An eager kernel (6.1 to 6.7) pins each window in turn, whatever is marked:
windows() computes them from the range alone.

A lazy one (6.11 and later) pins inside iova_bitmap_set, and only then: nothing
before the first mark; then, whenever a mark is not wholly in the window, it
unpins that and pins anew, from the byte of the mark's first bit on.  So a mark
that reaches past the range pins at each call, and one that reaches past the
window's end pins at its own place and not at the end.  lazy_report() plays the
marks through in their order, which the mock's log tells.

On both a window is 512 pages of bitmap at most, less the offset of its first
bit's byte in its page.  Its pages are counted from the bytes that are left, with
one more page when they begin inside one: so the last window of a bitmap that
begins inside a page may pin a page that it does not touch.
"""

import functools
import json
import subprocess

CPU_PAGE = 4096
WINDOW_PAGES = 512
ADDRESS_MASK = 2 ** 64 - 1

RUN_BUCKETS = 24
DENSITY_BUCKETS = 14


@functools.cache
def lazy():
	done = subprocess.run(["build/iovab", "probe", "--json"], capture_output=True, check=True)
	return json.loads(done.stdout).get("generation") == "lazy"


def pages_of(length, page_size):
	return (length - 1) // page_size + 1


def window_at(base, length, page_size, offset, present=None):
	"""(first page of the range, pages of the range, CPU pages) from the bitmap's byte @base on.

	@present tells whether a CPU page of the bitmap is there; what is not ends a pin.
	None: nothing could be pinned.
	"""
	pages = pages_of(length, page_size)
	total = (pages - 1) // 8 + 1
	at = (offset + base) % CPU_PAGE
	pinned = min((total - base + CPU_PAGE - 1) // CPU_PAGE + (at != 0), WINDOW_PAGES)
	if present:
		number = (offset + base) // CPU_PAGE
		pinned = next((n for n in range(pinned) if not present(number + n)), pinned)
		if not pinned:
			return None
	size = min(total - base, pinned * CPU_PAGE - at)
	return base * 8, min(size * 8, pages - base * 8), pinned


def windows(length, page_size, offset=0, present=None):
	"""An eager kernel's: (first page of the range, pages of the range, CPU pages pinned) of each.

	They end where a page of the bitmap is not @present: there the report fails.
	"""
	pages = pages_of(length, page_size)
	found, first = [], 0
	while first < pages:
		window = window_at(first // 8, length, page_size, offset, present)
		if not window:
			break
		found.append(window)
		first += window[1]
	return found


class Bits:
	"""The bitmap of a report, as far as something is set in it.

	In chunks of a byte a bit; but what is set a bit at a time, and is not in one of them,
	is kept as it is.
	"""

	CHUNK = 4096
	ALL = b"\1" * CHUNK

	def __init__(self, preset):
		self.preset = preset
		self.chunks = {}
		self.single = set()

	def chunk(self, number):
		"""To be written to."""
		found = self.chunks.get(number)
		if found is None:
			found = self.chunks[number] = bytearray(self.CHUNK)
			if self.preset:
				first = -number * self.CHUNK % self.preset
				found[first::self.preset] = b"\1" * len(found[first::self.preset])
			self.take_in(found, number)
		elif found is self.ALL:
			found = self.chunks[number] = bytearray(found)
		return found

	def take_in(self, chunk, number):
		"""What was set of it a bit at a time."""
		start = number * self.CHUNK
		taken = [bit for bit in self.single if start <= bit < start + self.CHUNK]
		for bit in taken:
			chunk[bit - start] = 1
		self.single.difference_update(taken)

	def set(self, first, past):
		"""How many bits from @first to before @past are new."""
		if past == first + 1:
			return self.set_one(first)
		new = 0
		while first < past:
			number, at = divmod(first, self.CHUNK)
			count = min(self.CHUNK - at, past - first)
			new += self.set_in(number, at, at + count)
			first += count
		return new

	def set_one(self, bit):
		number = bit // self.CHUNK
		if not self.preset and number not in self.chunks:
			new = bit not in self.single
			self.single.add(bit)
		else:
			chunk, at = self.chunk(number), bit % self.CHUNK
			new = not chunk[at]
			chunk[at] = 1
		return new

	def set_in(self, number, at, past):
		"""Of one chunk."""
		if past - at == self.CHUNK and not (number in self.chunks or self.single or self.preset):
			self.chunks[number] = self.ALL
			return self.CHUNK
		chunk = self.chunk(number)
		# most are all new, and that is much the quickest to see
		new = chunk.count(0, at, past) if chunk.find(1, at, past) >= 0 else past - at
		chunk[at:past] = self.ALL[:past - at]
		return new


class Window:
	def __init__(self, report, first, pages, pinned, skipped):
		self.first = first		# page of the report
		self.pages = pages		# of the report
		self.pinned = pinned		# CPU pages
		self.room = (pinned * CPU_PAGE - skipped) * 8	# bits to the end of the last one
		self.dirty = 0			# bits newly set
		self.iova = report.iova + (first << report.shift)
		# the last bit may stand for less than a page
		self.last = min(self.iova + (pages << report.shift), report.iova + report.length) - 1


class LazyReport:
	"""One report on a lazy kernel: its windows in order, and how many pins failed."""

	def __init__(self, iova, length, page_size, offset=0, preset=0, present=None):
		self.iova, self.length, self.page_size = iova, length, page_size
		self.shift = page_size.bit_length() - 1
		self.pages = pages_of(length, page_size)
		self.offset = offset
		self.present = present		# of a CPU page of the bitmap; None: all are there
		self.bits = Bits(preset)
		self.windows = []
		self.window = None
		self.pin_failures = 0

	def pin(self, start):
		"""Pins for a mark at @start. False: that is not in the range, or nothing is there."""
		page = ((start - self.iova) & ADDRESS_MASK) >> self.shift
		if page // 8 >= (self.pages - 1) // 8 + 1:
			return False
		self.window = None
		found = window_at(page // 8, self.length, self.page_size, self.offset, self.present)
		if not found:
			self.pin_failures += 1
			return False
		skipped = (self.offset + page // 8) % CPU_PAGE
		self.window = Window(self, *found, skipped)
		self.windows.append(self.window)
		return True

	def mark(self, start, length):
		while True:
			last = (start + length - 1) & ADDRESS_MASK
			window = self.window
			if not window or start < window.iova or last > window.last:
				if not self.pin(start):
					return
				window = self.window
			first_bit = (start - window.iova) >> self.shift
			last_bit = ((last - window.iova) & ADDRESS_MASK) >> self.shift
			past = min(last_bit + 1, window.room)
			window.dirty += self.bits.set(window.first + first_bit,
						      min(window.first + past, self.pages))
			if last_bit < window.room:
				return
			left = (last_bit - window.room + 1) << self.shift
			start, length = start + length - left, left

	def repins(self):
		return len(self.windows) - len({window.first for window in self.windows})


def lazy_report(marks, *about, **more):
	"""A LazyReport through which @marks, (iova, length), have been played."""
	report = LazyReport(*about, **more)
	for start, length in marks:
		report.mark(start, length)
	return report


def density_bucket(dirty, pages):
	"""include/iovab.h: bucket i is (2^-(14-i), 2^-(13-i)], 1 takes what is less, 0 is clean."""
	if not dirty:
		return 0
	return next(i for i in range(1, DENSITY_BUCKETS)
		    if i == DENSITY_BUCKETS - 1 or dirty * 2 ** (13 - i) <= pages)


def trimmed(histogram):
	"""As JSON shows it: without the empty buckets at the end."""
	while histogram and not histogram[-1]:
		histogram = histogram[:-1]
	return histogram
