# SPDX-License-Identifier: GPL-2.0-only
"""What the lab's tests stand on.  Runs in the guest, standard library only.

A *case* is what is counted: one line 'PASS name', 'FAIL name: what was
expected and what was seen' or 'SKIP name: reason'.  A test function takes a
case; a suite function takes the results and opens as many as it likes.
Neither can stop the others: what it raises fails its case, and what it started
is ended with it.

A case has a folder.  The output of every helper goes there, and when the case
fails the folder is copied to the results, which come back to the host.
"""

import array
import contextlib
import ctypes
import errno
import functools
import gzip
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
import traceback

import rule

# The guest is emulated and its host may be busy: these only end what hangs.
DEADLINE_S = 90
POLL_S = 0.1	# a look takes some 8 ms of an emulated CPU

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WORK = "/run/iovab-test"
RESULTS = os.environ.get("IOVAB_RESULTS", "/tmp")
KEEP = os.path.join(RESULTS, "failed")
TIMES = os.path.join(RESULTS, "times")


class Skip(Exception):
	"""The case cannot be run here; the text says why."""


class Unmet(Exception):
	"""An expectation without which the case cannot go on."""


def wait_until(condition, what, seconds=DEADLINE_S, poll_s=POLL_S):
	"""Polls until @condition is true; returns what it returned."""
	end = time.monotonic() + seconds
	while True:
		value = condition()
		if value:
			return value
		if time.monotonic() > end:
			raise Unmet(f"{what}: not within {seconds} s")
		time.sleep(poll_s)


def read(path):
	"""By system calls alone, for this is what polls do."""
	fd = os.open(path, os.O_RDONLY)
	try:
		return b"".join(iter(lambda: os.read(fd, 1 << 20), b"")).decode(errors="replace")
	finally:
		os.close(fd)


def write(path, text):
	"""By system calls alone, for what is in sysfs is written often."""
	fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
	try:
		data = str(text).encode()
		while data:	# some files take a word at a time
			data = data[os.write(fd, data):]
	finally:
		os.close(fd)


class Helper:
	"""A program that runs beside the test, its output in files."""

	def __init__(self, case, name, argv, **options):
		case.count += 1
		self.name = f"{case.count:03d}-{name}"
		self.argv = [str(word) for word in argv]
		self.out_path = os.path.join(case.folder, self.name + ".out")
		self.err_path = os.path.join(case.folder, self.name + ".err")
		with open(os.path.join(case.folder, "commands"), "a") as log:
			log.write(f"{self.name}: {' '.join(map(ascii, self.argv))}\n")
		stdout, stdin = options.pop("stdout", None), options.pop("stdin", subprocess.DEVNULL)
		with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
			self.process = subprocess.Popen(self.argv, stdin=stdin,
							stdout=stdout or out, stderr=err, **options)
		self.pid = self.process.pid
		case.helpers.append(self)

	def running(self):
		return self.process.poll() is None

	def out(self):
		return read(self.out_path)

	def err(self):
		return read(self.err_path)

	def wait(self, seconds=DEADLINE_S):
		"""The exit status; -n: signal n killed it."""
		try:
			return self.process.wait(seconds)
		except subprocess.TimeoutExpired:
			raise Unmet(f"{self.name} did not end within {seconds} s") from None

	def end(self, number=signal.SIGTERM):
		if self.running():
			self.process.send_signal(number)
		return self.wait()


class Case:
	def __init__(self, name):
		self.name = name
		self.wrong = []
		self.skipped = None	# why
		self.seconds = 0
		self.helpers = []
		self.count = 0

	@contextlib.contextmanager
	def guard(self):
		"""What is raised inside is the case's verdict."""
		started = time.monotonic()
		try:
			yield
		except Skip as skip:
			self.skipped = str(skip)
		except Unmet as unmet:
			self.wrong.append(str(unmet))
		except Exception as error:
			last = traceback.extract_tb(error.__traceback__)[-1]
			self.wrong.append(f"{type(error).__name__}: {error} "
					  f"({os.path.basename(last.filename)}:{last.lineno})")
		finally:
			self.seconds += time.monotonic() - started

	@functools.cached_property
	def folder(self):
		"""Made when it is asked for: most cases look at what another one did."""
		path = os.path.join(WORK, self.name.replace("/", "_").replace(" ", "_"))
		os.makedirs(path, exist_ok=True)
		return path

	def check(self, good, text):
		if not good:
			self.wrong.append(text)
		return good

	def equal(self, what, seen, expected):
		return self.check(seen == expected, f"{what}: expected {expected!r}, saw {seen!r}")

	def require(self, good, text):
		if not good:
			raise Unmet(text)

	@contextlib.contextmanager
	def about(self, what):
		"""What is found wrong inside begins with this."""
		before = len(self.wrong)
		try:
			yield
		finally:
			self.wrong[before:] = [f"{what}: {text}" for text in self.wrong[before:]]

	def run(self, name, argv, **options):
		"""Runs a program to its end."""
		helper = Helper(self, name, argv, **options)
		helper.status = helper.wait()
		return helper

	def close(self):
		for helper in reversed(self.helpers):
			if helper.running():
				helper.process.kill()
				helper.process.wait()


class Results:
	def __init__(self, only=None):
		self.passed = self.failed = self.skipped = 0
		self.only = only or []
		self.times = open(TIMES, "a", buffering=1)

	def wanted(self, name):
		return not self.only or any(word in name for word in self.only)

	@contextlib.contextmanager
	def case(self, name):
		case = Case(name)
		try:
			with case.guard():
				yield case
		finally:
			case.close()
		self.conclude(case)

	def conclude(self, case):
		self.times.write(f"{case.seconds:8.2f} {case.name}\n")
		if case.wrong:
			self.failed += 1
			shown = "; ".join(case.wrong[:6])
			more = len(case.wrong) - 6
			print(f"FAIL {case.name}: {shown}" + (f"; and {more} more" if more > 0 else ""))
			with open(os.path.join(case.folder, "wrong"), "w") as file:
				file.write("\n".join(case.wrong) + "\n")
			self.keep(case)
		elif case.skipped:
			self.skipped += 1
			print(f"SKIP {case.name}: {case.skipped}")
		else:
			self.passed += 1
			print(f"PASS {case.name}")
		if "folder" in vars(case):
			shutil.rmtree(case.folder, ignore_errors=True)
		sys.stdout.flush()

	def keep(self, case):
		try:
			shutil.copytree(case.folder, os.path.join(KEEP, os.path.basename(case.folder)),
					dirs_exist_ok=True)
		except (OSError, shutil.Error) as error:
			print(f"# not all files of '{case.name}' could be kept: {error}")

	def run(self, prefix, module):
		"""The module's tests and suites, in the order of their definition."""
		for function in module.TESTS:
			name = f"{prefix} {function.__name__.replace('_', ' ')}"
			if getattr(function, "is_suite", False):
				function(self)		# asks for each case what is wanted
			elif self.wanted(name):
				with self.case(name) as case:
					function(case)

	def line(self):
		return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def registry():
	"""Two decorators and the list that they fill."""
	tests = []

	def test(function):
		tests.append(function)
		return function

	def suite(function):
		function.is_suite = True
		tests.append(function)
		return function

	return tests, test, suite


@functools.cache
def preempts():
	"""Whether tasks in the kernel lose the CPU to others without asking for it, by default."""
	try:
		with gzip.open("/proc/config.gz", "rt") as file:
			config = file.read()
	except OSError:
		return False
	return "CONFIG_PREEMPT_LAZY=y" in config or "CONFIG_PREEMPT=y" in config


# --- iovabtop ---

TOP = "build/iovabtop"


class Top(Helper):
	"""iovabtop --json beside the test, attached when it is made."""

	def __init__(self, case, tier, delay=3600, args=(), wait=True, preexec=None, missed_ok=False,
		     several=False):
		"""With @several reporters at once a kernel that preempts keeps marks out of turn, but by kprobes."""
		by_kprobes = ("--kprobes",) if several and preempts() else ()
		super().__init__(case, "iovabtop-" + tier,
				 [TOP, "--json", "-v", "-t", tier, "-d", delay, *by_kprobes, *args],
				 preexec_fn=preexec)
		self.tier = tier
		self.missed_ok = missed_ok
		self.objects = []	# of what was read of its output
		self.read_bytes = 0
		if wait:
			self.wait_attached()

	def attached(self):
		if not self.running():
			raise Unmet(f"{self.name} ended with {self.process.returncode}: "
				    f"{self.err().strip()[-300:]}")
		return "attached, tier " + self.tier in self.err()

	def wait_attached(self):
		wait_until(self.attached, self.name + " attaches")

	def lines(self):
		"""All objects that were printed in whole lines."""
		with open(self.out_path, "rb") as file:
			file.seek(self.read_bytes)
			text = file.read()
		whole = text[:text.rfind(b"\n") + 1]
		self.read_bytes += len(whole)
		self.objects += [json.loads(line.decode(errors="replace")) for line in whole.splitlines()]
		return self.objects

	def last(self):
		"""The newest object of each row, in the order of the output."""
		rows = {}
		for row in self.lines():
			rows[row.get("device"), row["pid"]] = row
		return rows

	def skip_if_preempted(self, lines):
		"""Where the kernel preempts by default, its recursion guard keeps programs out of turn.

		That is counted and shown as events lost, and test_preempt looks at it; no total
		can be right then.
		"""
		missed = max((line["losses"]["recursion_missed"] for line in lines), default=0)
		if missed and not self.missed_ok and preempts():
			raise Skip(f"this kernel preempts: its recursion guard skipped {missed} runs of "
				   "programs, which are shown as events lost")

	def end_well(self):
		"""Ends it as a user does."""
		status = self.end()
		if status != 0:
			raise Unmet(f"{self.name} ended with {status}: {self.err().strip()[-300:]}")

	def finish(self):
		"""Ends it; the rows of the last collection."""
		self.end_well()
		lines = self.lines()
		if self.tier == "sets":
			self.skip_if_preempted(lines)
		time_of_last = lines[-1]["time"] if lines else None
		return {(row.get("device"), row["pid"]): row
			for row in lines if row["time"] == time_of_last}


# --- the mock device and its client ---

MIGRATE = "build/migrate"


def engine(number, file):
	return f"/sys/devices/platform/iovab-mock.{number}/engine/{file}"


def truth(number, file="truth"):
	pairs = (line.split("=") for line in read(engine(number, file)).split())
	return {key: int(value) for key, value in pairs}


def device_name(number):
	return f"iovab-mock.{number}"


# Marks in the log of a device, in one run of migrate
LOG_ROOM = 400000
LOG_CALL, LOG_MARK = 1, 2


def log_file(number):
	return f"/sys/kernel/debug/iovab-mock/{device_name(number)}/marks"


def log_read(device):
	"""What the device was asked for and marked, in order: [iova, length, [(iova, length)...]]."""
	words = array.array("Q")
	with open(log_file(device), "rb") as file:
		words.frombytes(file.read())
	kinds, iovas, lengths = words[0::3], words[1::3], words[2::3]
	if kinds and (kinds[0] != LOG_CALL or kinds[-1] not in (LOG_CALL, LOG_MARK)):
		raise Unmet(f"the log of {device_name(device)} has no room for {iovas[-1]} records more")
	# there are many marks, and few calls
	starts = [at for at, kind in enumerate(kinds) if kind == LOG_CALL]
	return [(iovas[at], lengths[at], list(zip(iovas[at + 1:end], lengths[at + 1:end])))
		for at, end in zip(starts, [*starts[1:], len(kinds)])]


def log_attach(result):
	"""To a result of migrate; a log that was too small says so to who needs it."""
	try:
		result["calls"] = log_read(int(result["device"].rsplit(".")[-1]))
	except Unmet as unmet:
		result["log_trouble"] = str(unmet)


def start_migrate(case, numbers, *args, log_room=LOG_ROOM, **options):
	if isinstance(numbers, int):
		numbers = [numbers]
	if rule.lazy():
		for number in numbers:
			write(log_file(number), log_room)
	devices = [word for n in numbers for word in ("--device", device_name(n))]
	return Helper(case, "migrate", [MIGRATE, *devices, "--json", *args], **options)


def finish_migrate(helper, devices=1):
	"""What it printed, an object a device."""
	status = helper.wait()
	return migrate_results(helper, status, helper.out(), devices)


def migrate_results(helper, status, out, devices):
	results = [json.loads(line) for line in out.splitlines()]
	if status != 0 or len(results) != devices:
		raise Unmet(f"{helper.name} ended with {status}, {len(results)} results: "
			    f"{helper.err().strip()[-300:]}")
	for result in results:
		if result.get("agree") is False:
			raise Unmet(f"{helper.name}: the device's own account disagrees: {result}")
		if rule.lazy():
			log_attach(result)
	return results


def migrate(case, numbers, *args, **options):
	helper = start_migrate(case, numbers, *args, **options)
	count = 1 if isinstance(numbers, int) else len(numbers)
	results = finish_migrate(helper, count)
	return results[0] if isinstance(numbers, int) else results


class Migrates(Helper):
	"""Runs of one device, one after the other, each a process of its own; close() at their end.

	A kernel that preempts keeps marks out of turn where two devices share a CPU.
	"""

	def __init__(self, case, number):
		own_cpu = (lambda: os.sched_setaffinity(0, {number})) if preempts() else None
		super().__init__(case, "migrates", [MIGRATE, "--each"], stdin=subprocess.PIPE,
				 stdout=subprocess.PIPE, preexec_fn=own_cpu)
		self.number = number

	def answer(self):
		"""What the run that was asked for printed, and its exit status."""
		out, end = b"", time.monotonic() + DEADLINE_S
		while not (ended := re.search(rb"^ended (-?\d+)\n\Z", out, re.M)):
			ready, _, _ = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))
			more = os.read(self.process.stdout.fileno(), 65536) if ready else b""
			if not more:
				raise Unmet(f"{self.name}: no answer: {out[-300:]}, {self.err()[-300:]}")
			out += more
		return out[:ended.start()].decode(), int(ended[1])

	def run(self, *args, log_room=LOG_ROOM):
		if rule.lazy():
			write(log_file(self.number), log_room)
		words = " ".join(map(str, ["--device", device_name(self.number), "--json", *args]))
		os.write(self.process.stdin.fileno(), words.encode() + b"\n")
		out, status = self.answer()
		return migrate_results(self, status, out, 1)[0]

	def close(self):
		self.process.stdin.close()
		self.process.stdout.close()
		return self.wait()


def have_mock(devices):
	"""So many devices, whatever there is."""
	if not os.path.exists(engine(devices - 1, "truth")):
		remove_mock()
		insert_mock(devices)


def insert_mock(devices, *parameters):
	module = f"build/kernel/{os.uname().release}/iovab_mock.ko"
	if not os.path.exists(module):
		raise Unmet(f"{module} is missing: make modules")
	subprocess.run(["modprobe", "-a", "vfio", "vfio_iommu_type1"], check=True)
	subprocess.run(["insmod", module, f"devices={devices}", *parameters], check=True)


def remove_mock():
	for module in ("iovab_mock", "vfio_iommu_type1", "vfio"):
		if os.path.exists("/sys/module/" + module):
			subprocess.run(["rmmod", module], check=True)


# --- the kernel ---

def kernel_symbols():
	return {line.split()[2] for line in read("/proc/kallsyms").splitlines()}


def mount_debugfs():
	if not os.listdir("/sys/kernel/debug"):
		subprocess.run(["mount", "-t", "debugfs", "none", "/sys/kernel/debug"], check=True)


def vmstat(*names):
	write("/proc/sys/vm/stat_refresh", 1)	# what CPUs keep to themselves, too
	values = dict(line.split() for line in read("/proc/vmstat").splitlines())
	return [int(values[name]) for name in names]


def pins_balance():
	"""Pages pinned by pin_user_pages and not unpinned."""
	acquired, released = vmstat("nr_foll_pin_acquired", "nr_foll_pin_released")
	return acquired - released


def bpftool(*args):
	"""Tried again when what it lists comes or goes while it does, which it takes for an error."""
	for _ in range(20):
		done = subprocess.run(["bpftool", "-j", *args], capture_output=True)
		if not done.returncode:
			return json.loads(done.stdout or "[]")
		time.sleep(0.2)
	raise Unmet(f"bpftool {' '.join(args)}: {done.stderr.decode(errors='replace').strip()[-200:]}")


# of the system call bpf, which lists ids without leaving any of its own, as bpftool does
BPF = 321
NEXT_ID = {"prog": 11, "map": 12, "link": 31}
LIBC = ctypes.CDLL(None, use_errno=True)


def bpf_ids(kind):
	ids = set()
	attr = (ctypes.c_uint32 * 3)()		# start_id, next_id, open_flags
	while LIBC.syscall(BPF, NEXT_ID[kind], attr, ctypes.sizeof(attr)) == 0:
		attr[0] = attr[1]
		ids.add(attr[1])
	if ctypes.get_errno() != errno.ENOENT:
		raise OSError(ctypes.get_errno(), f"the ids of all {kind}s")
	return ids


def bpf_objects():
	"""Ids of all programs, links and maps in the kernel."""
	return {kind: bpf_ids(kind) for kind in NEXT_ID}


def bpf_attached():
	"""Names of the programs that are attached by links."""
	linked = {item.get("prog_id") for item in bpftool("link", "show")}
	return {item.get("name") for item in bpftool("prog", "show") if item["id"] in linked}


def check_bpf_gone(case, before, what):
	"""Nothing is there that was not @before; the kernel frees some a moment later."""
	def leftover():
		now = bpf_objects()
		return {kind: now[kind] - before[kind] for kind in now if now[kind] - before[kind]}

	end = time.monotonic() + 20
	left = leftover()
	while left and time.monotonic() < end:
		time.sleep(0.2)
		left = leftover()
	case.check(not left, f"{what}: left in the kernel: {left}")
