# SPDX-License-Identifier: GPL-2.0-only
"""A VFIO client of its own, for what migrate does not do: it looks where in the
bitmap the bits are, and hands the kernel bitmaps with memory missing.

Each client lives in a child process, so that it is an owner of its own.
"""

import ctypes
import fcntl
import json
import os
import re
import struct
import traceback

import harness

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int,
		      ctypes.c_int, ctypes.c_long)
libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)

# linux/vfio.h
SET_IOMMU, GROUP_SET_CONTAINER, GROUP_GET_DEVICE_FD, DEVICE_FEATURE = (
	0x3b66, 0x3b68, 0x3b6a, 0x3b75)
TYPE1_V2 = 3
GET, SET = 1 << 16, 1 << 17
LOGGING_START, LOGGING_STOP, LOGGING_REPORT = 6, 7, 8

PAGE = 4096


def add_run(runs, first, count):
	if runs and sum(runs[-1]) == first:
		runs[-1][1] += count
	else:
		runs.append([first, count])


def add_runs(runs, data, first):
	"""Appends [first bit, number of bits] of each run of set bits in @data, which begins at bit @first."""
	for match in re.finditer(rb"\xff+|[^\0\xff]", data):
		at = first + match.start() * 8
		if match[0][0] == 0xff:
			add_run(runs, at, len(match[0]) * 8)
			continue
		for bit in range(8):
			if match[0][0] >> bit & 1:
				add_run(runs, at + bit, 1)


ZERO = bytes(16 * PAGE)


def bits_set(data):
	"""In parts, of which most are zero: this is much the quickest to see it."""
	parts = (data[at:at + len(ZERO)] for at in range(0, len(data), len(ZERO)))
	return sum(int.from_bytes(part, "little").bit_count() for part in parts if part != ZERO)


class Bitmap:
	"""A report's bitmap between guards, zeroed, of which pages can be missing or read-only.

	A page's number is that of the memory page that it begins in, or one after it.
	"""

	GUARD = 4	# pages before and behind: more than the kernel pins of a right report

	@classmethod
	def pages_of(cls, bits, offset):
		"""That can be written, from the one on that the bitmap begins in."""
		return (offset + (bits + 7) // 8 + PAGE - 1) // PAGE + cls.GUARD

	def __init__(self, bits, offset=0):
		self.pages = self.GUARD + self.pages_of(bits, offset)
		self.map = libc.mmap(None, (self.pages + 1) * PAGE, 3, 0x22, -1, 0)
		if libc.mprotect(self.map + self.pages * PAGE, PAGE, 0):
			raise OSError(ctypes.get_errno(), "mprotect")
		self.address = self.map + self.GUARD * PAGE + offset
		self.offset = offset
		self.missing = set()

	def remove(self, page, pages):
		if libc.munmap(self.map + (self.GUARD + page) * PAGE, pages * PAGE):
			raise OSError(ctypes.get_errno(), "munmap")
		self.missing.update(range(self.GUARD + page, self.GUARD + page + pages))

	def write_protect(self, page, pages):
		if libc.mprotect(self.map + (self.GUARD + page) * PAGE, pages * PAGE, 1):
			raise OSError(ctypes.get_errno(), "mprotect")

	def bits(self, first, count):
		"""How many of @count bits from @first on are set; @first is a multiple of 8."""
		data = ctypes.string_at(self.address + first // 8, (count + 7) // 8)
		past = data[-1] >> count % 8 if count % 8 else 0
		return bits_set(data) - past.bit_count()

	def runs(self):
		"""Runs of set bits, counted from the bitmap's first; what is before it is negative."""
		runs = []
		before = (self.GUARD * PAGE + self.offset) * 8
		step = 1 if self.missing else 64
		zero = bytes(step * PAGE)
		for page in range(0, self.pages, step):
			if page in self.missing:
				continue
			data = ctypes.string_at(self.map + page * PAGE,
						min(step, self.pages - page) * PAGE)
			if data != zero:	# most are, and this is much the quickest to see it
				add_runs(runs, data, page * PAGE * 8 - before)
		return runs


class Client:
	def __init__(self, number):
		group = os.path.basename(os.readlink(
			f"/sys/devices/platform/{harness.device_name(number)}/iommu_group"))
		self.container = os.open("/dev/vfio/vfio", os.O_RDWR)
		self.group = os.open("/dev/vfio/" + group, os.O_RDWR)
		fcntl.ioctl(self.group, GROUP_SET_CONTAINER, struct.pack("i", self.container))
		fcntl.ioctl(self.container, SET_IOMMU, TYPE1_V2)
		name = bytearray(harness.device_name(number).encode() + b"\0")
		self.device = fcntl.ioctl(self.group, GROUP_GET_DEVICE_FD, name)

	def feature(self, flags, data=b""):
		"""0 or the error's number."""
		try:
			fcntl.ioctl(self.device, DEVICE_FEATURE,
				    bytearray(struct.pack("II", 8 + len(data), flags) + data))
		except OSError as error:
			return error.errno
		return 0

	def start(self, length, page_size, iova=0):
		ranges = ctypes.create_string_buffer(struct.pack("QQ", iova, length))
		return self.feature(SET | LOGGING_START,
				    struct.pack("QIIQ", page_size, 1, 0, ctypes.addressof(ranges)))

	def report(self, length, page_size, address, iova=0):
		return self.feature(GET | LOGGING_REPORT,
				    struct.pack("QQQQ", iova, length, page_size, address))

	def stop(self):
		return self.feature(SET | LOGGING_STOP)


def in_child(case, function, *args):
	"""Runs function(*args) in a child. Its pid, and what it returned."""
	path = os.path.join(case.folder, "child.json")
	pid = os.fork()
	if not pid:
		try:
			with open(path, "w") as file:
				json.dump(function(*args), file)
			os._exit(0)
		except BaseException:
			with open(path + ".error", "w") as file:
				file.write(traceback.format_exc())
			os._exit(1)
	_, status = os.waitpid(pid, 0)
	if status:
		raise harness.Unmet(f"client ended with {status}: "
				    f"{harness.read(path + '.error')[-300:]}")
	return pid, json.loads(harness.read(path))


def set_engine(number, **settings):
	"""The whole engine: what is not given gets its default."""
	defaults = {"pattern": "sequential", "order": "ascending", "merge": 0, "rate": 0, "seed": 1,
		    "fault_redundant": 0, "fault_overshoot": 0, "fault_cross": 0,
		    "fault_delay_ms": 0, "fault_hold": 0, "stop": 0, "page_size": PAGE}
	for file, value in {**defaults, **settings}.items():
		harness.write(harness.engine(number, file), value)
