# SPDX-License-Identifier: GPL-2.0-only
"""What a report costs, with and without somebody who watches.

A *workload* is a report and the marks that the mock device sets in it, in a loop with
nothing between them (workloads.py, kernel/mock_load.c).  A *watcher* is what is attached
meanwhile.  What a watcher costs is the report's time with it less the time without.

With QEMU's -icount and shift=0 the guest's clock counts instructions: a nanosecond is
one.  So a time is a count then, of all that ran in the guest between the two looks at
the clock: a timer tick every four million instructions is in it, with and without.
Else it is time, on a machine that others use too, and only ratios of what was measured
in turn mean something.
"""

import bisect
import ctypes
import os
import subprocess
import time

import client
import harness
from workloads import ASCENDING, MARK_BYTES, OTHERS, PAGE_BYTES, marks_of

K = 1 << 10

WARM_UP = 20		# reports
MOST_TRIES = 12

EMPTY = "build/tests/cost/empty"
KEYED = "tests/cost/keyed.bt"


class Workload:
	def __init__(self, name, shape, most=None):
		"""@most: so many of its marks, from the middle."""
		self.name = name
		self.bytes = marks_of(name, shape)
		self.marks = len(self.bytes) // MARK_BYTES
		if most and most < self.marks:
			first = (self.marks - most) // 2
			self.bytes = self.bytes[first * MARK_BYTES:(first + most) * MARK_BYTES]
			self.marks = most


class Reporter:
	"""A client of device @number, which reports what is loaded."""

	def __init__(self, shape, number=0):
		harness.mount_debugfs()
		client.set_engine(number)
		self.shape = shape
		self.path = f"/sys/kernel/debug/iovab-mock/{harness.device_name(number)}/load"
		self.client = client.Client(number)
		self.bitmap = client.Bitmap(shape.pages)
		if self.client.start(shape.range_bytes, PAGE_BYTES):
			raise harness.Unmet("logging does not start")
		# this interpreter, too, gets quicker at what it does again and again
		for _ in range(WARM_UP):
			self.report()

	def load(self, workload):
		with open(self.path, "wb", buffering=0) as file:
			if workload.bytes:
				file.write(workload.bytes)

	def report(self):
		"""What one report took, ns."""
		ctypes.memset(self.bitmap.address, 0, self.shape.words * 8)
		began = time.perf_counter_ns()
		error = self.client.report(self.shape.range_bytes, PAGE_BYTES, self.bitmap.address)
		took = time.perf_counter_ns() - began
		if error:
			raise harness.Unmet(f"a report fails: {os.strerror(error)}")
		return took

	def warm(self, workload):
		self.load(workload)
		self.report()

	def cost(self, workload):
		"""The least of three, after one that warms up: what is in it too is other people's."""
		self.warm(workload)
		return min(self.report() for _ in range(3))

	def agreed_cost(self, workload, tolerance):
		"""The least, as soon as two agree: mostly after two, where instructions are counted."""
		self.warm(workload)
		taken = sorted((self.report(), self.report()))
		while len(taken) < MOST_TRIES and taken[1] - taken[0] > tolerance:
			bisect.insort(taken, self.report())
		return taken[0]

	def close(self):
		self.client.stop()
		for descriptor in (self.client.device, self.client.group, self.client.container):
			os.close(descriptor)
		with open(self.path, "wb"):
			pass


# --- watchers: each a context in which it is attached ---

class Bare:
	def __enter__(self):
		return self

	def __exit__(self, *_):
		pass


class Empty:
	"""The empty program."""

	def __init__(self, case):
		self.case = case

	def __enter__(self):
		# it waits for the end of its input
		ours, self.ours = os.pipe()
		self.helper = harness.Helper(self.case, "empty", [EMPTY], preexec_fn=lambda: os.dup2(ours, 0))
		os.close(ours)
		harness.wait_until(self.attached, "the empty program attaches")
		return self

	def attached(self):
		if not self.helper.running():
			raise harness.Unmet(f"{EMPTY} ended: {self.helper.err().strip()[-300:]}")
		return "attached" in self.helper.out()

	def __exit__(self, *_):
		os.close(self.ours)
		self.helper.wait()
		settle()


class Iovabtop:
	def __init__(self, case, tier, *args):
		self.case, self.tier, self.args = case, tier, args

	def __enter__(self):
		self.top = harness.Top(self.case, self.tier, args=self.args)
		settle()
		return self

	def __exit__(self, kind, *_):
		if kind:
			self.top.end()
		else:
			self.rows = self.top.finish()
		settle()


class Script:
	"""bpftrace."""

	def __init__(self, case):
		self.case = case

	def __enter__(self):
		# Once without a deadline: its libraries are large, and while a guest under -icount
		# waits for a file of the host, its clock jumps from one timer to the next.
		subprocess.run(["bpftrace", "-d", KEYED], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
		self.helper = harness.Helper(self.case, "bpftrace", ["bpftrace", KEYED])
		harness.wait_until(self.attached, "bpftrace attaches")
		return self

	def attached(self):
		if not self.helper.running():
			raise harness.Unmet(f"bpftrace ended: {self.helper.err().strip()[-300:]}")
		if "Attaching" not in self.helper.out():
			return False
		return any(prog.get("type") == "kprobe" for prog in harness.bpftool("prog", "show"))

	def __exit__(self, *_):
		self.helper.end(2)
		settle()


def settle():
	"""What was attached or detached is done with a moment later, by the kernel's own work."""
	time.sleep(0.3)


# --- goals ---

# What the empty program costs a mark on stock 6.1: a ratio to it is a goal / this
FLOOR = 127

# name, the most that it may be, in instructions; what it is of is said by the name
GOALS = (
	("windows: a mark", 0.05),
	("windows: a report of one window", 15000),
	("density: a mark", 0.05),
	("density: a word with dirty bits", 28),
	("density: a word without", 20),
	*((f"sets: a mark, {name}", 165) for name in ASCENDING),
	*((f"sets: a mark, {name}", 195) for name in OTHERS),
)


def goal_figures(extra, shape):
	"""By a goal's name: what was measured. @extra: by watcher and workload, over the bare call."""
	def beyond_words(tier):
		few, many = extra[tier]["a mark a word"], extra[tier]["ascending"]
		return (many - few) / (shape.marks - shape.words)

	figures = {
		"windows: a mark": beyond_words("windows"),
		"windows: a report of one window": extra["windows"]["no marks"],
		"density: a mark": beyond_words("density"),
		"density: a word with dirty bits": extra["density"]["ascending"] / shape.words,
		"density: a word without": extra["density"]["no marks"] / shape.words,
	}
	for name in (*ASCENDING, *OTHERS):
		figures[f"sets: a mark, {name}"] = extra["sets"][name] / shape.marks
	return figures


# --- what the tier sets must have counted ---

BITMAP_PAGE_BITS = 8 * 4 * K
KEPT_WINDOW_PAGES = 32		# of bitmap: struct iovab_policy, cached
RUN_BUCKETS = 24


class Account:
	"""Of one report's marks, all of whole pages and inside the range, worked out one by one."""

	def __init__(self, marks, shape):
		self.set_calls = self.marked_bytes = 0
		self.order = {"ascending": 0, "descending": 0, "overlapping": 0}
		self.runs = [0] * RUN_BUCKETS
		self.lazy_windows = self.lazy_pages = 0
		self.kept = set()
		last_page = shape.pages // BITMAP_PAGE_BITS
		before = run = None
		lazy_first = lazy_past = 0	# bits
		for iova, length in marks:
			end = iova + length
			self.set_calls += 1
			self.marked_bytes += length
			if before and iova >= before[1]:
				self.order["ascending"] += 1
			elif before:
				self.order["descending" if end <= before[0] else "overlapping"] += 1
			if before and iova == before[1]:
				run += length
			else:
				self.end_run(run)
				run = length
			before = iova, end
			bit, past = iova // PAGE_BYTES, end // PAGE_BYTES
			if bit < lazy_first or past > lazy_past:
				lazy_first, page = bit & ~7, bit // BITMAP_PAGE_BITS
				pages = min(-(-(shape.pages // 8 - lazy_first // 8) // (4 * K)) +
					    bool(lazy_first % BITMAP_PAGE_BITS), 512)
				self.lazy_windows += 1
				self.lazy_pages += pages
				lazy_past = min((page + pages) * BITMAP_PAGE_BITS, shape.pages)
			for page in range(bit // BITMAP_PAGE_BITS, (past - 1) // BITMAP_PAGE_BITS + 1):
				self.kept.add(page // KEPT_WINDOW_PAGES)
		self.end_run(run)
		self.kept_pages = sum(min(KEPT_WINDOW_PAGES, last_page - window * KEPT_WINDOW_PAGES)
				      for window in self.kept)

	def end_run(self, run):
		if run:
			self.runs[min((run // PAGE_BYTES).bit_length() - 1, RUN_BUCKETS - 1)] += 1

	def totals(self):
		return {
			"set_calls": self.set_calls, "marked_bytes": self.marked_bytes,
			"order": self.order, "run_pages": self.runs,
			"lazy": [self.lazy_windows, self.lazy_pages],
			"cached": [len(self.kept), self.kept_pages],
		}


def counted(total):
	"""The same, out of what iovabtop says."""
	what_if = {name: [total["what_if"][name]["windows"], total["what_if"][name]["pages_pinned"]]
		   for name in ("lazy", "cached")}
	runs = total["run_pages"] + [0] * (RUN_BUCKETS - len(total["run_pages"]))
	return {**{name: total[name] for name in ("set_calls", "marked_bytes", "order")},
		"run_pages": runs, **what_if}
