# SPDX-License-Identifier: GPL-2.0-only
"""The reference implementation in a kernel, through /dev/iovab-ref: the cases T1 to
T21 against a naive oracle, the same engine states as through the kernel's own path,
what happens when memory is missing, and its KUnit tests.
"""

import ctypes
import fcntl
import os
import random
import re
import struct
import subprocess

import client
import harness

TESTS, test, suite = harness.registry()

K, M, G, T = 1 << 10, 1 << 20, 1 << 30, 1 << 40
PAGE = 4096
TOP = 1 << 64
EFAULT, EINVAL, ENOMEM, EOPNOTSUPP = 14, 22, 12, 95
POLICIES = ("cached", "eager", "lazy")
STATES = int(os.environ.get("IOVAB_STATES") or 300)

# include/iovab_mock.h
BIND = 1 << 30 | 80 << 16 | 0xb7 << 8 | 0
SCRIPT = 3 << 30 | 64 << 16 | 0xb7 << 8 | 1
KEEP = 1

libc = client.libc
libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


def insert_reference():
	for module in ("iovab_ref", "iovab_mock_ref"):
		if not os.path.exists("/sys/module/" + module):
			subprocess.run(["insmod", f"build/kernel/{os.uname().release}/{module}.ko"], check=True)


class Bitmap:
	"""Memory for @size bytes at @offset of a page, between two pages that nobody may touch.

	Filled with @fill; None: with zeros, by the kernel, when it is touched.
	"""

	FILL = 0xa4

	def __init__(self, size, offset=0, fill=FILL):
		self.size, self.offset, self.fill = size, offset % PAGE, fill or 0
		self.pages = (self.offset + size + PAGE - 1) // PAGE
		self.mapped = (self.pages + 2) * PAGE
		self.mapping = libc.mmap(None, self.mapped, 3, 0x22, -1, 0)
		self.memory = self.mapping + PAGE
		self.address = self.memory + self.offset
		for guard in (self.mapping, self.memory + self.pages * PAGE):
			if libc.mprotect(guard, PAGE, 0):
				raise OSError(ctypes.get_errno(), "mprotect")
		self.holes = set()
		if fill is not None:	# else nobody touches it
			self.wipe()

	def wipe(self):
		ctypes.memset(self.memory, self.fill, self.pages * PAGE)

	def filled(self):
		"""How many bits are set before anything is marked."""
		return self.fill.bit_count() * self.pages * PAGE

	def remove(self, page):
		if libc.munmap(self.memory + page * PAGE, PAGE):
			raise OSError(ctypes.get_errno(), "munmap")
		self.holes.add(page)

	def contents(self):
		"""All bytes of its pages; a hole's are as they were."""
		pieces, at = [], 0
		for hole in sorted(self.holes):
			pieces += self.bytes_of(at, hole), bytes([self.fill]) * PAGE
			at = hole + 1
		return b"".join((*pieces, self.bytes_of(at, self.pages)))

	def bytes_of(self, page, past):
		return ctypes.string_at(self.memory + page * PAGE, (past - page) * PAGE)

	def expected(self, iova, length, page_size, marks):
		"""The same with the bits of @marks, by numbers that do not overflow."""
		value = bytearray([self.fill]) * (self.pages * PAGE)
		for start, size in marks:
			low, high = max(start, iova), min(start + size, iova + length)
			if low < high:
				self.set_bits(value, (low - iova) // page_size, (high - 1 - iova) // page_size)
		return bytes(value)

	def set_bits(self, value, bit, last):
		"""One after the other, but for stretches of 64 Ki."""
		while bit <= last:
			if bit % 8 == 0 and bit + 65535 <= last:
				at = self.offset + bit // 8
				value[at:at + 8192] = b"\xff" * 8192
				bit += 65536
			else:
				value[self.offset + bit // 8] |= 1 << bit % 8
				bit += 1

	def close(self):
		libc.munmap(self.mapping, self.mapped)


def bitmap_bytes(length, page_size):
	return ((length - 1) // page_size) // 8 + 1


class Reference:
	def __init__(self):
		insert_reference()
		self.fd = os.open("/dev/iovab-ref", os.O_RDWR)

	def bind(self, number, policy, flags=0):
		fcntl.ioctl(self.fd, BIND, struct.pack("4I64s", 80, flags, policy, 0,
						       harness.device_name(number).encode()))

	def feature(self, flags, data=b""):
		try:
			fcntl.ioctl(self.fd, client.DEVICE_FEATURE,
				    bytearray(struct.pack("II", 8 + len(data), flags) + data))
		except OSError as error:
			return error.errno
		return 0

	def report(self, length, page_size, address):
		return self.feature(client.GET | client.LOGGING_REPORT,
				    struct.pack("QQQQ", 0, length, page_size, address))

	def start(self, length, page_size):
		ranges = ctypes.create_string_buffer(struct.pack("QQ", 0, length))
		return self.feature(client.SET | client.LOGGING_START,
				    struct.pack("QIIQ", page_size, 1, 0, ctypes.addressof(ranges)))

	def script(self, policy, iova, length, page_size, address, marks):
		"""What alloc, what for_each and what each set returned, as numbers of errors."""
		packed = b"".join(struct.pack("QQii", start % TOP, size, 0, 0) for start, size in marks)
		table = ctypes.create_string_buffer(packed, max(len(packed), 1))
		control = bytearray(struct.pack("IIQQQQQIiiI", 64, policy, iova, length, page_size, address,
						ctypes.addressof(table), len(marks), 0, 0, 0))
		fcntl.ioctl(self.fd, SCRIPT, control)
		alloc_error, error = struct.unpack_from("ii", control, 52)
		errors = [struct.unpack_from("i", table, 24 * i + 16)[0] for i in range(len(marks))]
		return -alloc_error, -error, [-one for one in errors]

	def close(self):
		os.close(self.fd)


# --- the cases ---------------------------------------------------------------------------

class Script:
	"""A report of marks, and what should come out of it."""

	def __init__(self, name, length, marks, iova=0, page_size=PAGE, offset=0, holes=(), error=0,
		     kept=None, policies=(0, 1, 2)):
		self.name, self.iova, self.length, self.marks = name, iova, length, marks
		self.page_size, self.offset, self.holes, self.error = page_size, offset, holes, error
		self.kept = marks if kept is None else kept	# what is in the bitmap at the end
		self.policies = policies

	def run(self, case, reference, policy):
		bitmap = Bitmap(bitmap_bytes(self.length, self.page_size), self.offset)
		for page in self.holes:
			bitmap.remove(page)
		before = harness.pins_balance()
		alloc_error, error, errors = reference.script(policy, self.iova, self.length, self.page_size,
							      bitmap.address, self.marks)
		case.equal("pages pinned and not unpinned", harness.pins_balance() - before, 0)
		case.equal("the report's error", alloc_error or error, self.error)
		if error:
			first = next((i for i, one in enumerate(errors) if one), len(errors))
			case.equal("set's errors from the first on", set(errors[first:]) - {error}, set())
		kept = () if alloc_error else self.kept
		case.check(bitmap.contents() == bitmap.expected(self.iova, self.length, self.page_size, kept),
			   "the bitmap is not the oracle's")
		bitmap.close()


PAGE_IOVA = PAGE * 8 * PAGE
LAZY = (0, 2)		# policies that pin what is marked

SCRIPTS = (
	Script("T1 offset in the page, all dirty", 66 * G, [(0, 66 * G)], offset=0xff1),
	Script("T2 across a window's border", 70 * G, [(64 * G - PAGE, 2 * PAGE), (4 * G - PAGE, 2 * PAGE),
						       (PAGE_IOVA - PAGE, 2 * PAGE)]),
	Script("T3 length 0 on an unpinned window", 70 * G, [(0, PAGE), (65 * G, 0), (66 * G, PAGE)],
	       error=EINVAL, kept=[(0, PAGE)]),
	Script("T4 length 0 at iova 0", M, [(0, 0), (0, PAGE)], offset=64, error=EINVAL, kept=[]),
	Script("T5 longer than the range", M, [(0, 2 * M)]),
	Script("T5 ends on a page", M, [(0, 2 * M)], offset=PAGE - 32),
	Script("T6 straddles the base from below", M, [(G - 3 * PAGE, 5 * PAGE), (0, PAGE)], iova=G, offset=0x805),
	Script("T7 overshoots four times", 16 * M, [(16 * M - PAGE, 4 * M)] * 4),
	Script("T8 bitmap unmapped", 64 * M, [(0, PAGE), (M, PAGE)], holes=[0], error=EFAULT, kept=[]),
	Script("T8 bitmap unmapped, nothing dirty", 64 * M, [], holes=[0], policies=LAZY),
	Script("T9 hole in the second page", 8 * PAGE_IOVA, [(0, 8 * PAGE_IOVA)], holes=[1], error=EFAULT,
	       kept=[(0, PAGE_IOVA)]),
	Script("T10 partial pins", 8 * PAGE_IOVA, [(0, PAGE_IOVA), (4 * PAGE_IOVA, 4 * PAGE_IOVA)], holes=[3],
	       policies=LAZY),
	Script("T12 64 KiB pages", 100 * 64 * K, [(0, 1), (64 * K - 1, 2), (99 * 64 * K, 9 * M)], page_size=64 * K),
	Script("T12 2 MiB pages", 100 * 2 * M, [(0, 1), (2 * M - 1, 2), (99 * 2 * M, G)], page_size=2 * M),
	Script("T12 4 GiB pages", 100 * 4 * G, [(0, 1), (4 * G - 1, 2), (99 * 4 * G, T)], page_size=4 * G, offset=3),
	Script("T12 pages of 2^63 bytes", TOP - 1, [(5, 1), (TOP - 3, 2)], page_size=1 << 63),
	Script("T13 top of the address space", M, [(TOP - PAGE, PAGE), (TOP - 3 * PAGE, 10 * PAGE), (TOP - 2 * M, M + 1)],
	       iova=TOP - M, offset=1),
	Script("T14 two pages of 8 TiB", 8 * T, [(3 * T + 5 * M, PAGE), (7 * T + 12345 * M, PAGE)], page_size=64 * K,
	       policies=LAZY),
	Script("T15 three pages", 3 * PAGE, [(0, 3 * PAGE)], offset=0xffe),
	Script("T16 iova not on a page", 1000 * PAGE + 77,
	       [(0x12345, 1), (0x12345 + 3 * PAGE - 1, 2), (0x12000 + 200 * PAGE, PAGE)], iova=0x12345),
	Script("T20 by bytes", 700 * PAGE, [(9 * PAGE, PAGE), (63 * PAGE, 20 * PAGE), (100 * PAGE, 7 * PAGE)], offset=3),
)


@suite
def cases(results):
	with results.case("reference is loaded") as case:
		reference = Reference()
	for script in SCRIPTS:
		for policy in script.policies:
			name = f"reference {script.name}, {POLICIES[policy]}"
			if results.wanted(name):
				with results.case(name) as case:
					script.run(case, reference, policy)
	reference.close()


@test
def refuses_T11_and_T17(case):
	"""What is no report."""
	reference = Reference()
	bitmap = Bitmap(PAGE)
	for policy in range(len(POLICIES)):
		for iova, length, page_size in ((0, 0, PAGE), (G, 0, PAGE), (TOP - M, M + 1, PAGE), (0, M, 0),
						(0, M, 3), (0, M, 4097), (0, M, 6 * PAGE), (0, M, TOP - 1)):
			seen = reference.script(policy, iova, length, page_size, bitmap.address, [])
			case.equal(f"{iova:#x} {length:#x} {page_size:#x}", seen[0], EINVAL)
		case.equal("no user memory", reference.script(policy, 0, M, PAGE, TOP - 16, [])[0], EFAULT)
	reference.close()
	bitmap.close()


# --- the same states as the kernel's ----------------------------------------------------------

def random_state(number):
	"""One state of the engine, where it differs from the defaults; the range, how many writes."""
	page_size = random.choice((4 * K, 4 * K, 4 * K, 16 * K, 64 * K, 2 * M))
	pages = random.randint(1, 60000) if random.randrange(10) else random.randint(1, 20 * M)
	for file, value in {"pattern": random.choice(("sequential", "random", "hotspot", "sparse", "dense")),
			    "order": random.choice(("ascending", "descending", "shuffled")),
			    "merge": random.randrange(2), "seed": random.getrandbits(32),
			    "page_size": page_size, "fault_redundant": random.choice((0, 0, 3))}.items():
		harness.write(harness.engine(number, file), value)
	return page_size, pages * page_size, random.randint(1, 300)


def compare_state(case, vfio, reference, state):
	"""The reference's bitmaps, then the kernel's, which clears the engine."""
	page_size, length, writes = random_state(0)
	offset = random.randrange(PAGE)
	bitmap = Bitmap(bitmap_bytes(length, page_size), offset, fill=0)
	case.require(vfio.start(length, page_size) == 0, "START failed")
	harness.write(harness.engine(0, "step"), writes)
	seen = {}
	for policy, name in enumerate(POLICIES):
		bitmap.wipe()
		reference.bind(0, policy, KEEP)
		case.require(reference.report(length, page_size, bitmap.address) == 0, f"{name}: REPORT failed")
		seen[name] = bitmap.contents()
	bitmap.wipe()
	error = vfio.report(length, page_size, bitmap.address)
	if error == EOPNOTSUPP:
		raise harness.Skip("this kernel has no iova_bitmap: its REPORT says EOPNOTSUPP")
	case.equal("the kernel's REPORT", error, 0)
	kernels = bitmap.contents()
	bitmap.close()
	vfio.stop()
	case.require(any(kernels), f"state {state}: nothing was dirty")
	for name, contents in seen.items():
		case.check(contents == kernels, f"state {state}: {name} is not the kernel's bitmap "
			   f"({length:#x} bytes, {page_size} a page, offset {offset:#x})")


@test
def same_as_the_kernel_on_random_states(case):
	"""States of one engine, through the kernel and under each policy; make test-states has 1,000."""
	random.seed(4)
	client.set_engine(0)
	vfio = client.Client(0)
	reference = Reference()
	before = harness.pins_balance()
	for state in range(STATES):
		compare_state(case, vfio, reference, state)
		if case.wrong:
			break
	case.equal("pages pinned and not unpinned", harness.pins_balance() - before, 0)
	reference.close()


@test
def logging_through_the_device(case):
	"""START, REPORT and STOP need no VFIO; a descriptor's logging ends with it."""
	reference = Reference()
	reference.bind(1, 0)
	bitmap = Bitmap(bitmap_bytes(G, PAGE), fill=0)
	client.set_engine(1)
	case.equal("START", reference.start(G, PAGE), 0)
	harness.write(harness.engine(1, "step"), 9)
	case.equal("REPORT", reference.report(G, PAGE, bitmap.address), 0)
	case.equal("bits", int.from_bytes(bitmap.contents(), "little").bit_count(), 9)
	case.equal("wrong argument", reference.feature(client.GET | client.LOGGING_START), EINVAL)
	case.equal("no such feature", reference.feature(client.GET | 99), 25)
	reference.close()
	case.equal("logging", harness.read(harness.engine(1, "logging")).strip(), "0")
	bitmap.close()


# --- what goes wrong ----------------------------------------------------------------------------

MARKS = [(0, PAGE), (3 * G, 2 * PAGE), (70 * G, PAGE), (20 * G, 9 * PAGE), (130 * G, PAGE)]
FAIL_NTH = "/proc/thread-self/fail-nth"
FAULTS = ("failslab", "fail_page_alloc")


def report_with_failure(reference, policy, bitmap, length, marks, nth):
	"""One report in which the @nth allocation fails. What came out; whether it failed at all."""
	packed = b"".join(struct.pack("QQii", start, size, 0, 0) for start, size in marks)
	table = ctypes.create_string_buffer(packed)
	control = bytearray(struct.pack("IIQQQQQIiiI", 64, policy, 0, length, PAGE, bitmap.address,
					ctypes.addressof(table), len(marks), 0, 0, 0))
	file = os.open(FAIL_NTH, os.O_RDWR)
	os.write(file, str(nth).encode())
	try:
		fcntl.ioctl(reference.fd, SCRIPT, control)
		error = 0
	except OSError as caught:
		error = -caught.errno
	failed = int(os.pread(file, 32, 0)) == 0
	os.write(file, b"0")
	os.close(file)
	alloc_error, for_each_error = struct.unpack_from("ii", control, 52)
	return -(error or alloc_error or for_each_error), failed


def inject(kind):
	"""Of allocations that may wait only those of @kind are counted, and fail."""
	harness.mount_debugfs()
	for one in FAULTS:
		folder = f"/sys/kernel/debug/{one}/"
		if os.path.exists(folder):
			harness.write(folder + "ignore-gfp-wait", "N" if one == kind else "Y")
	if kind == "fail_page_alloc":
		harness.write(f"/sys/kernel/debug/{kind}/min-order", 0)
		harness.write(f"/sys/kernel/debug/{kind}/ignore-gfp-highmem", "N")


def sweep(case, kind, length, marks, fill):
	"""Every failure point: an error comes out, or the bitmap is whole; no pin is left.

	Returns what came out: policies and errors.
	"""
	if not os.path.exists(FAIL_NTH):
		raise harness.Skip("this kernel injects no faults (CONFIG_FAULT_INJECTION)")
	inject(kind)
	reference = Reference()
	swept = set()
	for policy in range(len(POLICIES)):
		for nth in range(1, 2000):
			bitmap = Bitmap(bitmap_bytes(length, PAGE), fill=fill)
			before = harness.pins_balance()
			error, failed = report_with_failure(reference, policy, bitmap, length, marks, nth)
			case.equal(f"{POLICIES[policy]}, allocation {nth}: pages left pinned",
				   harness.pins_balance() - before, 0)
			case.check(error in (0, ENOMEM, EFAULT), f"allocation {nth}: error {error}")
			whole = bitmap.contents() == bitmap.expected(0, length, PAGE, marks)
			case.check(whole or error, f"{POLICIES[policy]}, allocation {nth}: bits are missing, and no error")
			swept.add((policy, error))
			bitmap.close()
			if not failed:
				break
		case.check(nth > 2, f"{POLICIES[policy]}: only {nth - 1} allocations could fail")
	reference.close()
	return swept


@test
def each_allocation_fails_in_turn(case):
	"""Memory for its own objects."""
	swept = sweep(case, "failslab", 140 * G, MARKS, Bitmap.FILL)
	case.check((0, ENOMEM) in swept, f"no allocation's failure came out: {swept}")


@test
def each_page_allocation_fails_in_turn(case):
	"""Pages, of the bitmap too: nobody has touched it, so that each pin needs some."""
	swept = sweep(case, "fail_page_alloc", 40 * PAGE_IOVA, [(0, PAGE), (8 * PAGE_IOVA - PAGE, 2 * PAGE),
								(39 * PAGE_IOVA, 9 * PAGE)], None)
	for policy, name in enumerate(POLICIES):
		errors = {error for one, error in swept if one == policy}
		case.check(errors - {0}, f"{name}: no pin failed: {errors}")


@test
def a_hole_at_each_page_in_turn(case):
	"""Every place where a pin can fail: the report says so, no pin is left."""
	reference = Reference()
	length = 12 * PAGE_IOVA
	for policy in range(len(POLICIES)):
		for page in range(12):
			bitmap = Bitmap(bitmap_bytes(length, PAGE))
			bitmap.remove(page)
			before = harness.pins_balance()
			alloc_error, error, _ = reference.script(policy, 0, length, PAGE, bitmap.address, [(0, length)])
			case.equal(f"{POLICIES[policy]}, page {page}", alloc_error or error, EFAULT)
			case.equal(f"{POLICIES[policy]}, page {page}: pages left pinned",
				   harness.pins_balance() - before, 0)
			kept = [] if alloc_error or not page else [(0, page * PAGE_IOVA)]
			case.check(bitmap.contents() == bitmap.expected(0, length, PAGE, kept),
				   f"{POLICIES[policy]}, page {page}: not the oracle's bitmap")
			bitmap.close()
	reference.close()


# --- tracepoints -----------------------------------------------------------------------------------

TRACING = "/sys/kernel/tracing"


@test
def tracepoints(case):
	"""Pages of the pin events are vmstat's; each is unpinned; each mark and error is told."""
	if not os.path.exists(TRACING + "/events"):
		subprocess.run(["mount", "-t", "tracefs", "none", TRACING], check=True)
	reference = Reference()
	bitmap = Bitmap(bitmap_bytes(140 * G, PAGE))
	harness.write(TRACING + "/trace", "")
	harness.write(TRACING + "/events/iovab_ref/enable", 1)
	acquired, = harness.vmstat("nr_foll_pin_acquired")
	reference.script(0, 0, 140 * G, PAGE, bitmap.address, MARKS + [(0, 0)])
	acquired = harness.vmstat("nr_foll_pin_acquired")[0] - acquired
	harness.write(TRACING + "/events/iovab_ref/enable", 0)
	trace = harness.read(TRACING + "/trace")
	pinned = [int(got) for got in re.findall(r"iovab_ref_pin: .* got=(-?\d+)", trace)]
	unpinned = [int(pages) for pages in re.findall(r"iovab_ref_unpin: .* pages=(\d+)", trace)]
	case.equal("pages of pins", sum(pinned), acquired)
	case.equal("windows", len(pinned), len(MARKS) - 1)	# the first two marks share one
	case.equal("pages of unpins", sorted(unpinned), sorted(pinned))
	case.equal("marks", len(re.findall("iovab_ref_set: ", trace)), len(MARKS) + 1)
	case.equal("errors", re.findall(r"iovab_ref_error: .* error=(-?\d+)", trace), [f"-{EINVAL}"])
	reference.close()
	bitmap.close()


# --- KUnit --------------------------------------------------------------------------------------------

@suite
def kunit(results):
	"""The module's own tests, a case each; results are in the kernel's log."""
	module = f"build/kernel/{os.uname().release}/iovab_ref_kunit.ko"
	if not results.wanted("reference kunit"):
		return
	log = ""
	with results.case("reference kunit") as case:
		if not os.path.exists(module):
			raise harness.Skip("this kernel has no KUnit")
		insert_reference()
		before = harness.pins_balance()
		# the log has a limit: what was in it must not push the tests' lines out
		subprocess.run(["dmesg", "--clear"], check=True)
		subprocess.run(["modprobe", "kunit", "enable=1", "autorun=1"], check=True)
		subprocess.run(["insmod", module], check=True)
		case.equal("pages pinned and not unpinned", harness.pins_balance() - before, 0)
		log = subprocess.run(["dmesg", "--notime"], capture_output=True, text=True, check=True).stdout
		totals = re.findall(r"# Totals: pass:(\d+) fail:(\d+) skip:(\d+) total:(\d+)", log)
		case.equal("closing lines", len(totals), 1)
		case.require(int(totals[0][0]) >= 60, f"only {totals[0][0]} passed")
		case.equal("failed, skipped", totals[0][1:3], ("0", "0"))
	for verdict, name in re.findall(r"^    (ok|not ok) \d+ (\w+)", log, re.M):
		with results.case(f"reference kunit {name}") as case:
			case.equal("its verdict", verdict, "ok")
