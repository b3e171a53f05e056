# SPDX-License-Identifier: GPL-2.0-only
"""A real QEMU as VFIO's client, inside the lab: two of them, one migrates to the other.

Used by the demo and by the lab's tests.  IOVAB_QEMU names the folder that
tools/lab/qemu-client printed on the host; build/demo/dirty_guest.img is the guest,
which is its own firmware.

Vm is one QEMU, driven through QMP.  Errors are VmError, with what QEMU itself said.
"""

import functools
import json
import os
import re
import signal
import socket
import subprocess
import time

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GUEST = os.path.join(REPO, "build/demo/dirty_guest.img")
START_S = 60
ANSWER_S = 60
PAGE, PIECE = 4096, 1 << 20


class VmError(Exception):
	"""What QEMU refused, or that it ended."""


def qemu_folder():
	folder = os.environ.get("IOVAB_QEMU", "")
	if not os.path.exists(os.path.join(folder, "usr/bin/qemu-system-x86_64")):
		raise VmError("IOVAB_QEMU names no QEMU: run tools/lab/qemu-client on the host "
			      "and pass on what it prints")
	return folder


class Qmp:
	"""One connection: commands and their answers; events are put aside."""

	def __init__(self, path):
		self.socket = socket.socket(socket.AF_UNIX)
		self.socket.settimeout(ANSWER_S)
		self.socket.connect(path)
		self.file = self.socket.makefile("r")
		self.events = []
		self.file.readline()		# the greeting
		self.command("qmp_capabilities")

	def command(self, name, **arguments):
		text = json.dumps({"execute": name, "arguments": arguments})
		self.socket.sendall(text.encode())
		while True:
			line = self.file.readline()
			if not line:
				raise VmError(f"{name}: QEMU closed the connection")
			answer = json.loads(line)
			if "event" in answer:
				self.events.append(answer)
			elif "error" in answer:
				raise VmError(f"{name}: {answer['error']['desc']}")
			else:
				return answer["return"]


class Vm:
	"""A QEMU with VFIO devices.  @devices: their names; @incoming: waits for a migration."""

	def __init__(self, folder, name, devices, memory_mib, iommufd=False, incoming=None,
		     paused=False):
		self.folder = os.path.join(folder, name)
		os.makedirs(self.folder, exist_ok=True)
		self.name = name
		self.devices = devices
		self.memory_bytes = memory_mib << 20
		self.trace_path = os.path.join(self.folder, "trace")
		self.log_path = os.path.join(self.folder, "log")
		self.qmp_path = os.path.join(self.folder, "qmp")
		self.argv = self.command_line(memory_mib, iommufd, incoming, paused)
		with open(self.log_path, "wb") as log:
			self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log,
							stderr=log, start_new_session=True)
		self.pid = self.process.pid
		self.qmp = None

	def command_line(self, memory_mib, iommufd, incoming, paused):
		qemu = qemu_folder()
		argv = [os.path.join(qemu, "usr/bin/qemu-system-x86_64"),
			"-L", os.path.join(qemu, "usr/share/qemu"),
			"-L", os.path.join(qemu, "usr/share/seabios"),
			"-name", f"guest={self.name},debug-threads=on",
			"-machine", "pc,accel=tcg", "-cpu", "max", "-m", str(memory_mib),
			"-nodefaults", "-no-user-config", "-display", "none",
			"-bios", GUEST,
			"-qmp", f"unix:{self.qmp_path},server=on,wait=off",
			"-D", self.trace_path, "-trace", "vfio_*"]
		if iommufd:
			argv += ["-object", "iommufd,id=iommufd0"]
		for number, device in enumerate(self.devices):
			argv += ["-device", f"vfio-pci,id=vf{number},enable-migration=on,"
				 f"sysfsdev=/sys/devices/platform/{device}" +
				 (",iommufd=iommufd0" if iommufd else "")]
		if incoming:
			argv += ["-incoming", incoming]
		if paused:
			argv += ["-S"]
		return argv

	def log(self):
		with open(self.log_path, errors="replace") as file:
			return file.read()

	def connect(self):
		"""Waits until it answers."""
		end = time.monotonic() + START_S
		while not self.qmp:
			if self.process.poll() is not None:
				raise VmError(f"QEMU {self.name} ended with {self.process.returncode}: "
					      f"{self.log().strip()[-400:]}")
			if time.monotonic() > end:
				raise VmError(f"QEMU {self.name} does not answer")
			try:
				self.qmp = Qmp(self.qmp_path)
			except OSError:
				time.sleep(0.1)
		os.unlink(self.qmp_path)
		return self

	def command(self, name, **arguments):
		return self.qmp.command(name, **arguments)

	@functools.cached_property
	def memory_address(self):
		"""Where the guest's memory is in QEMU's own."""
		text = self.command("human-monitor-command", **{"command-line": "gpa2hva 0"})
		found = re.search(r"\(pc\.ram\) is (0x[0-9a-f]+)", text)
		if not found:
			raise VmError(f"gpa2hva: {text.strip()}")
		return int(found[1], 16)

	def memory(self, address, count):
		"""@count bytes of guest memory, out of the process: much quicker than pmemsave."""
		with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as file:
			data = os.pread(file.fileno(), count, self.memory_address + address)
		if len(data) != count:
			raise VmError(f"{len(data)} bytes of memory at {address:#x}, not {count}")
		return data

	def wait_guest(self):
		"""Until the guest writes to its memory."""
		end = time.monotonic() + START_S
		while self.memory(0x800000, 4) == bytes(4):
			if time.monotonic() > end:
				raise VmError(f"the guest of {self.name} does not boot")
			time.sleep(0.1)

	# Migration

	def set_parameters(self, **parameters):
		self.command("migrate-set-parameters",
			     **{key.replace("_", "-"): value for key, value in parameters.items()})

	def migrate(self, uri):
		self.command("migrate", uri=uri)

	def migration(self):
		return self.command("query-migrate")

	def wait_migration(self, wanted="completed", seconds=120):
		"""query-migrate's answer once the status is @wanted."""
		end = time.monotonic() + seconds
		while True:
			state = self.migration()
			if state.get("status") == wanted:
				return state
			if state.get("status") in ("completed", "failed", "cancelled"):
				raise VmError(f"migration {state['status']}, not {wanted}: "
					      f"{state.get('error-desc', 'no reason given')}")
			if time.monotonic() > end:
				raise VmError(f"migration is {state.get('status')} after {seconds} s")
			time.sleep(0.05)

	def reports(self):
		"""(iova, bytes) of each report, from QEMU's own trace."""
		with open(self.trace_path, errors="replace") as file:
			text = file.read()
		return [(int(iova, 16), int(size, 16)) for iova, size in
			re.findall(r"vfio_get_dirty_bitmap iova=(0x[0-9a-f]+) size= (0x[0-9a-f]+)", text)]

	def end(self, number=signal.SIGKILL):
		if self.process.poll() is None:
			self.process.send_signal(number)
		self.process.wait()
		if self.qmp:
			self.qmp.socket.close()


def differing_pages(one, other):
	"""The addresses of the pages of memory that are not the same in both."""
	pages = []
	for piece in range(0, one.memory_bytes, PIECE):
		there, here = (vm.memory(piece, PIECE) for vm in (one, other))
		if there != here:
			pages += [piece + at for at in range(0, PIECE, PAGE)
				  if there[at:at + PAGE] != here[at:at + PAGE]]
	return pages
