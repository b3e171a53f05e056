# SPDX-License-Identifier: GPL-2.0-only
"""A VFIO client of its own, for what migrate does not do: it looks where in the
bitmap the bits are, and hands the kernel bitmaps with memory missing.

Each client lives in a child process, so that it is an owner of its own.
"""

import ctypes
import fcntl
import json
import os
import struct
import traceback

import harness

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int,
		      ctypes.c_int, ctypes.c_long)
libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)

# linux/vfio.h
SET_IOMMU, GROUP_SET_CONTAINER, GROUP_GET_DEVICE_FD, DEVICE_FEATURE = (
	0x3b66, 0x3b68, 0x3b6a, 0x3b75)
TYPE1_V2 = 3
GET, SET = 1 << 16, 1 << 17
LOGGING_START, LOGGING_STOP, LOGGING_REPORT = 6, 7, 8

PAGE = 4096


class Memory:
	"""Zeroed pages, of which some can be taken away."""

	def __init__(self, size):
		self.size = (size + PAGE - 1) // PAGE * PAGE + PAGE
		self.address = libc.mmap(None, self.size, 3, 0x22, -1, 0)

	def remove(self, page, pages):
		pages = min(pages, self.size // PAGE - page)
		if libc.munmap(self.address + page * PAGE, pages * PAGE):
			raise OSError(ctypes.get_errno(), "munmap")

	def bits(self, offset, first, count):
		"""How many of @count bits from @first on are set; @first is a multiple of 8."""
		data = ctypes.string_at(self.address + offset + first // 8, (count + 7) // 8)
		return (int.from_bytes(data, "little") & ((1 << count) - 1)).bit_count()


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

	def start(self, length, page_size):
		ranges = ctypes.create_string_buffer(struct.pack("QQ", 0, length))
		return self.feature(SET | LOGGING_START,
				    struct.pack("QIIQ", page_size, 1, 0, ctypes.addressof(ranges)))

	def report(self, length, page_size, address):
		return self.feature(GET | LOGGING_REPORT,
				    struct.pack("QQQQ", 0, length, page_size, address))

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
		    "fault_delay_ms": 0, "stop": 0, "page_size": PAGE}
	for file, value in {**defaults, **settings}.items():
		harness.write(harness.engine(number, file), value)
