# SPDX-License-Identifier: GPL-2.0-only
"""Takes a report's bitmap away from under it: another process is made to run
one mprotect, while one of its threads sits in the ioctl that asks for the report.
That thread is held on its way out of there until the bitmap can be written again, as
other things of its own may be in the same page.

x86-64 alone, as the lab is.  The thread that runs the call must be blocked in a
system call of its own: the instruction before its program counter is then
`syscall`.  It comes back from there with EINTR.
"""

import contextlib
import ctypes
import os
import signal
import struct

import harness

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)

ATTACH, DETACH, SINGLESTEP, GETREGS, SETREGS = 16, 17, 9, 12, 13
SEIZE, INTERRUPT = 0x4206, 0x4207
WALL = 0x40000000
PROT_READ, PROT_WRITE, SYS_MPROTECT, SYS_IOCTL = 1, 2, 10, 16
EINTR = 4

# struct user_regs_struct
REGISTERS = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags "
	     "rsp ss fs_base gs_base ds es fs gs").split()

DEVICE_FEATURE = 0x3b75
GET, LOGGING_REPORT = 1 << 16, 8


def ptrace(request, tid, data=None):
	if libc.ptrace(request, tid, None, data) < 0:
		raise OSError(ctypes.get_errno(), f"ptrace {request} of {tid}")


def get_registers(tid):
	data = ctypes.create_string_buffer(8 * len(REGISTERS))
	ptrace(GETREGS, tid, ctypes.cast(data, ctypes.c_void_p))
	return dict(zip(REGISTERS, struct.unpack(f"{len(REGISTERS)}Q", data.raw)))


def set_registers(tid, registers):
	data = ctypes.create_string_buffer(struct.pack(f"{len(REGISTERS)}Q",
						       *(registers[name] for name in REGISTERS)))
	ptrace(SETREGS, tid, ctypes.cast(data, ctypes.c_void_p))


def system_call(tid, number, *arguments):
	"""Runs it in thread @tid, which is blocked; what it returned."""
	ptrace(ATTACH, tid)
	try:
		os.waitpid(tid, WALL)
		before = get_registers(tid)
		with open(f"/proc/{tid}/mem", "rb") as memory:
			memory.seek(before["rip"] - 2)
			if memory.read(2) != b"\x0f\x05":
				raise harness.Unmet(f"thread {tid} is in no system call")
		call = {**before, "rax": number, "orig_rax": (1 << 64) - 1, "rip": before["rip"] - 2}
		call.update(zip(("rdi", "rsi", "rdx"), arguments))
		set_registers(tid, call)
		ptrace(SINGLESTEP, tid)
		os.waitpid(tid, WALL)
		result = get_registers(tid)["rax"]
		set_registers(tid, {**before, "rax": (1 << 64) - EINTR, "orig_rax": (1 << 64) - 1})
	finally:
		ptrace(DETACH, tid)
	return result


def report_in_flight(pid, length):
	"""Who asks for a report over @length bytes now: the thread, and its bitmap's address."""
	for tid in os.listdir(f"/proc/{pid}/task"):
		try:
			words = harness.read(f"/proc/{pid}/task/{tid}/syscall").split()
		except (FileNotFoundError, ProcessLookupError):
			continue	# it has ended
		if len(words) < 4 or words[0] != str(SYS_IOCTL) or int(words[2], 16) != DEVICE_FEATURE:
			continue
		with open(f"/proc/{pid}/mem", "rb") as memory:
			memory.seek(int(words[3], 16))
			_, flags, _, asked, _, bitmap = struct.unpack("IIQQQQ", memory.read(40))
		if flags == GET | LOGGING_REPORT and asked == length:
			return int(tid), bitmap
	return None


def protect(pid, address, size, protection):
	"""The pages of @size bytes from @address on."""
	first = address & -4096
	result = system_call(pid, SYS_MPROTECT, first, (address + size - first + 4095) & -4096,
			     protection)
	if result:
		raise harness.Unmet(f"mprotect in {pid}: {result - (1 << 64)}")


@contextlib.contextmanager
def read_only(pid, tid, address, size):
	"""The bitmap of thread @tid's report, which must be over before the end of this."""
	ptrace(SEIZE, tid)
	try:
		ptrace(INTERRUPT, tid)		# it sleeps where no signal wakes it
		protect(pid, address, size, PROT_READ)
		yield
		harness.wait_until(lambda: os.waitpid(tid, WALL | os.WNOHANG)[0], "the report's return")
		protect(pid, address, size, PROT_READ | PROT_WRITE)
		ptrace(DETACH, tid)
	except BaseException:
		# else nobody could wait for the end of the process, of which this is a thread
		os.kill(pid, signal.SIGKILL)
		os.waitpid(tid, WALL)
		raise
