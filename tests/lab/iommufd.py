# SPDX-License-Identifier: GPL-2.0-only
"""A client of iommufd, with the mock IOMMU of the kernel's own test
(CONFIG_IOMMUFD_TEST): HWPTs that track dirty pages, devices that are attached to
them, and pages made dirty by request.
"""

import ctypes
import fcntl
import os
import struct
import subprocess

import harness

# linux/iommufd.h, and drivers/iommu/iommufd/iommufd_test.h
DESTROY, IOAS_ALLOC, IOAS_MAP, HWPT_ALLOC, SET_TRACKING, GET_BITMAP, TEST = (
	0x3b80, 0x3b81, 0x3b85, 0x3b89, 0x3b8b, 0x3b8c, 0x3ba0)
MOCK_DOMAIN, MOCK_DOMAIN_REPLACE, MARK_DIRTY, PASID_ATTACH = 2, 10, 13, 18
MOCK_DOMAIN_FLAGS, DEVICE_PASID = 12, 1 << 2
NEST_PARENT, DIRTY_TRACKING, ALLOC_PASID = 1 << 0, 1 << 1, 1 << 3
DATA_SELFTEST = 0xdead

APERTURE = 1 << 24
PAGE = 4096
MOCK_PAGE = 2048		# the mock IOMMU's own; since 7.2 two of them are one entry
TEST_BYTES = 128	# more than any kernel's structure: the rest must be 0


def require():
	"""Loads iommufd. Skips where there is none, or one without its test."""
	subprocess.run(["modprobe", "-q", "iommufd"], check=False)
	if not os.path.exists("/dev/iommu"):
		raise harness.Skip("this kernel has no iommufd")
	if not os.path.exists("/sys/bus/iommufd_mock"):
		raise harness.Skip("this kernel's iommufd has no mock IOMMU (CONFIG_IOMMUFD_TEST)")


class Device:
	"""A mock device: its object, the test's handle, and the kernel's name for it."""

	def __init__(self, handle, object_id, name):
		self.handle = handle
		self.object_id = object_id
		self.name = name


class Context:
	"""Objects are numbered in the order of their making: @objects come before all others."""

	def __init__(self, objects=0):
		self.fd = os.open("/dev/iommu", os.O_RDWR)
		for _ in range(objects):
			self.call(IOAS_ALLOC, "II", 0, 0)
		self.memory = ctypes.create_string_buffer(8 << 20)
		self.ioas = self.call(IOAS_ALLOC, "II", 0, 0)[1]
		start = (ctypes.addressof(self.memory) + 4095) & ~4095
		# writable, readable, at a fixed IOVA
		self.call(IOAS_MAP, "IIIQQQ", 7, self.ioas, 0, start, 4 << 20, APERTURE)

	def close(self):
		os.close(self.fd)

	def call(self, command, form, *values):
		"""The command's structure, its size in front, as the kernel left it: without that."""
		form = "=I" + form
		data = bytearray(struct.pack(form, struct.calcsize(form), *values))
		fcntl.ioctl(self.fd, command, data)
		return struct.unpack(form, data)[1:]

	def test(self, operation, object_id, form, *values):
		data = struct.pack("=IIII", TEST_BYTES, operation, object_id, 0) + struct.pack(form, *values)
		data = bytearray(data.ljust(TEST_BYTES, b"\0"))
		fcntl.ioctl(self.fd, TEST, data)
		return struct.unpack_from(form, data, 16)

	def device(self, target, flags=0):
		"""A new device, attached to an IOAS or a HWPT."""
		before = set(device_names())
		handle, _, object_id, _ = self.test(MOCK_DOMAIN_FLAGS, target, "=IIII", 0, 0, 0, flags)
		name, = set(device_names()) - before
		return Device(handle, object_id, name)

	def replace(self, device, target):
		self.test(MOCK_DOMAIN_REPLACE, device.handle, "=I", target)

	def pasid_attach(self, device, pasid, target):
		self.test(PASID_ATTACH, device.handle, "=II", pasid, target)

	def hwpt(self, device, flags=0, parent=None, data=b""):
		buffer = ctypes.create_string_buffer(data, max(len(data), 1))
		return self.call(HWPT_ALLOC, "IIIIIIIQII", flags, device.object_id,
				 parent or self.ioas, 0, 0, DATA_SELFTEST if data else 0, len(data),
				 ctypes.addressof(buffer) if data else 0, 0, 0)[3]

	def tracked(self, device, flags=0):
		"""A HWPT that tracks dirty pages, for devices like this one."""
		hwpt = self.hwpt(device, flags | DIRTY_TRACKING)
		self.call(SET_TRACKING, "III", 1, hwpt, 0)
		return hwpt

	def destroy(self, object_id):
		self.call(DESTROY, "I", object_id)

	def mark(self, hwpt, pages, length):
		"""Makes these pages of the first @length bytes dirty."""
		bits = bytearray(length // MOCK_PAGE // 8 + 8)
		for page in pages:
			bit = page * (PAGE // MOCK_PAGE)
			bits[bit // 8] |= 1 << bit % 8
		buffer = ctypes.create_string_buffer(bytes(bits), len(bits))
		self.test(MARK_DIRTY, hwpt, "=IIQQQQQ", 0, 0, APERTURE, length, MOCK_PAGE,
			  ctypes.addressof(buffer), 0)

	def report(self, hwpt, length):
		"""How many pages are dirty, by the bitmap."""
		size = length // PAGE // 8
		buffer = ctypes.create_string_buffer(size)
		self.call(GET_BITMAP, "IIIQQQQ", hwpt, 0, 0, APERTURE, length, PAGE,
			  ctypes.addressof(buffer))
		return int.from_bytes(buffer.raw, "little").bit_count()


def device_names():
	return os.listdir("/sys/bus/iommufd_mock/devices")
