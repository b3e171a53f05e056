# SPDX-License-Identifier: GPL-2.0-only
"""QEMU itself as the client: a guest migrates from one to another, in the lab.

Three accounts of one migration must agree: QEMU's (dirty-sync-count, and a line
of its trace for each section of memory it asked about), the devices' own, and
iovabtop's.  And memory itself is held against them: all of the guest's memory on
both sides, byte by byte.

Each test runs by each way into VFIO that the kernel has: group and container, and
iommufd with the devices' cdevs.
"""

import contextlib
import functools
import json
import os
import subprocess
import sys
import tempfile

import expect
import harness
import inject
import rule
import test_record

sys.path.insert(0, os.path.join(harness.REPO, "tools/lab"))
import qemu_vm

TESTS, test, suite = harness.registry()

MIB = 1 << 20
PAGE = 4096
MEMORY_MIB = 16
SECTIONS = 6		# of this machine and guest; check_sections looks
SOURCE, TARGET = (0, 1), (2, 3)

# the guest itself writes to the 8 MiB behind these
AREAS = (2 * MIB, 6 * MIB)
ENGINES = {0: {"area": f"{AREAS[0]}:{4 * MIB}", "pattern": "random", "rate": 1500},
	   1: {"area": f"{AREAS[1]}:{2 * MIB}", "pattern": "sequential", "rate": 700}}
# less than the guest alone writes: a migration does not end on it
NARROW = {"max_bandwidth": 4 * MIB, "downtime_limit": 1}
# all of the hot area is written to again in the time that the link takes for it
LINK = 12 * MIB		# bytes a second
HOT_BYTES = 2 * MIB
HOT_AND_COLD = {0: {"area": f"{AREAS[0]}:{HOT_BYTES}", "rate": 8000},
		1: {"area": f"{AREAS[1]}:{MIB}", "rate": 60}}
OFF = {"order": "ascending", "merge": 0, "rate": 0, "seed": 1, "stop": 0, "memory": 1, "area": "0:0",
       "page_size": PAGE, "fault_redundant": 0, "fault_overshoot": 0, "fault_cross": 0,
       "fault_delay_ms": 0, "fault_hold": 0, "fault_unlogged": 0}


def has_iommufd():
	return os.path.exists("/dev/iommu") and os.path.isdir("/dev/vfio/devices")


def have_devices():
	"""Four mocks; on a bus named mdev where there is an iommufd: QEMU asks for that."""
	subprocess.run(["modprobe", "-q", "iommufd"], check=False)
	if not os.path.exists(harness.engine(3, "truth")):
		harness.insert_mock(4, f"bus={'mdev' if os.path.exists('/dev/iommu') else 'platform'}")


def ways(function):
	"""A test by group and one by iommufd."""
	@functools.wraps(function)
	def run(results):
		for way in ("group", "iommufd"):
			name = f"qemu {way} {function.__name__.replace('_', ' ')}"
			if not results.wanted(name):
				continue
			with results.case(name) as case:
				if not os.environ.get("IOVAB_QEMU"):
					raise harness.Skip("no QEMU of 9.1 or newer: see what tools/lab/qemu-client says")
				have_devices()
				if way == "iommufd" and not has_iommufd():
					raise harness.Skip("this kernel has no iommufd with device cdevs")
				function(case, way == "iommufd")
	return suite(run)


class Pair:
	"""A running source with its guest booted, and targets as they are asked for."""

	def __init__(self, case, iommufd, devices=SOURCE, memory_mib=MEMORY_MIB):
		self.case, self.iommufd, self.memory_mib = case, iommufd, memory_mib
		self.vms = []
		self.count = 0
		self.sockets = tempfile.TemporaryDirectory()
		self.targets = TARGET[:len(devices)]
		self.source = self.start("web-17", devices)

	def start(self, name, devices, **options):
		vm = qemu_vm.Vm(self.case.folder, name, [harness.device_name(n) for n in devices],
				self.memory_mib, self.iommufd, **options)
		self.vms.append(vm)
		return vm.connect()

	def target(self):
		"""A new one, that waits for the guest; (vm, uri)."""
		self.count += 1
		uri = f"unix:{self.sockets.name}/migration-{self.count}"
		return self.start(f"target-{self.count}", self.targets, incoming=uri, paused=True), uri

	def move(self, until=None, **parameters):
		"""The guest moves, not before @until is true; (the target, query-migrate's answer)."""
		target, uri = self.target()
		wide = {"max_bandwidth": 64 * MIB, "downtime_limit": 500, **parameters}
		self.source.set_parameters(**(NARROW if until else wide))
		self.source.migrate(uri)
		if until:
			harness.wait_until(until, "enough is written while the guest moves")
			self.source.set_parameters(**wide)
		state = self.source.wait_migration()
		target.wait_migration()
		return target, state

	def end(self):
		for vm in self.vms:
			vm.end()
		self.sockets.cleanup()


@contextlib.contextmanager
def pair(case, iommufd, engines=None, **options):
	for number in (*SOURCE, *TARGET):
		settings = {**OFF, **ENGINES.get(number, {}), **(engines or {}).get(number, {})}
		for file, value in settings.items():
			harness.write(harness.engine(number, file), value)
	made = None
	try:
		made = Pair(case, iommufd, **options)
		made.source.wait_guest()
		yield made
	except qemu_vm.VmError as error:
		raise harness.Unmet(str(error)) from None
	finally:
		if made:
			made.end()


def check_sections(case, vm):
	"""QEMU asked about all of memory, section by section; each at each sync."""
	asked = vm.reports()
	sections = set(asked)
	case.equal("sections", len(sections), SECTIONS)
	case.check(sum(size for _, size in sections) >= MEMORY_MIB * MIB, f"sections: {sections}")
	return len(asked)


class Account:
	"""What the devices of the source did since this was made."""

	def __init__(self, numbers=SOURCE):
		self.before = {number: harness.truth(number) for number in numbers}

	def gone(self, number):
		now = harness.truth(number)
		return {key: now[key] - self.before[number][key] for key in now}


def check_rows(case, top, vm, account, reports):
	"""Each device's row: the owner is QEMU, the figures are the device's own."""
	rows = top.finish()
	case.equal("rows", sorted(rows), [(harness.device_name(n), vm.pid) for n in account.before])
	for number in account.before:
		row = rows.get((harness.device_name(number), vm.pid))
		if row:
			check_row(case, row, account.gone(number), reports)
	return rows


def check_phases(case, rows, precopy, migrations):
	"""A round with the VM stopped for each migration that ended; its reports are downtime.

	@precopy: reports while the device ran, as far as its state was set or asked for
	after iovabtop was attached; of the others the phase is not known.
	"""
	stopped = SECTIONS * len(migrations)
	downtime_ns = sum(state["downtime"] for state in migrations) * 1000000
	for (device, _), row in rows.items():
		phases = row["total"]["phases"]
		case.equal(f"{device} reports by phase",
			   {name: phase["reports"] for name, phase in phases.items()},
			   {"precopy": precopy, "stop_copy": stopped})
		case.equal(f"{device} phase", row.get("phase"), "stop-copy")
		took = phases["stop_copy"]["report_ns"]
		case.check(0 < took <= downtime_ns,
			   f"{device} {took} ns in stop-copy reports, of {downtime_ns} ns of downtime")


def check_row(case, row, gone, reports):
	total, device = row["total"], row["device"]
	for name, value in {"client": "vfio", "driver": "iovab-mock", "vm": "web-17",
			    "comm": "qemu-system-x86", "page_size": PAGE}.items():
		case.equal(f"{device} {name}", row.get(name), value)
	figures = {"reports": reports, "report_errors": 0, "pin_failures": 0,
		   "dirty_bytes": gone["distinct_bytes"], "set_calls": gone["marks"],
		   "marked_bytes": gone["marked_bytes"], "redundant_bytes": 0, "lost_bytes": 0,
		   "overshoot_bytes": 0, "stray_bits": 0}
	for name in expect.measured(row["tier"]):
		if name in figures:
			case.equal(f"{device} {name}", total[name], figures[name])
	case.equal(f"{device} calls of its own account", gone["calls"], reports)
	case.check(gone["memory_writes"] > 100 and gone["distinct_bytes"] > 100 * PAGE,
		   f"the test itself: {device} wrote {gone}")
	expect.check_lossless(case, row)
	expect.check_quiet(case, row)


@ways
def three_accounts_and_memory(case, iommufd):
	"""Two devices in one QEMU; reports, dirty bytes and owner; no page differs.

	iovabtop is there before QEMU, which resets the devices: all phases are known.
	"""
	top = harness.Top(case, "sets")
	with pair(case, iommufd) as vms:
		account = Account()
		target, state = vms.move(lambda: all(account.gone(number)["distinct_bytes"] > 200 * PAGE
						     for number in SOURCE))
		reports = state["ram"]["dirty-sync-count"] * SECTIONS
		case.equal("reports in QEMU's trace", check_sections(case, vms.source), reports)
		case.check(state["ram"]["dirty-sync-count"] >= 3, f"the test itself: {state}")
		rows = check_rows(case, top, vms.source, account, reports)
		check_phases(case, rows, reports - SECTIONS, [state])
		case.equal("pages that differ, the first ones", qemu_vm.differing_pages(vms.source, target)[:5], [])


def convergences(lines, after=""):
	"""What the lines after the time @after say of each device's migration, in order."""
	found = {harness.device_name(number): [] for number in SOURCE}
	for line in lines:
		if "convergence" in line and line["time"] > after:
			found[line["device"]].append(line["convergence"])
	return found


def is_stuck(top):
	"""Both rows say so in their newest line: a round is over in one before it is in the other."""
	told = convergences(top.lines()).values()
	return all(device and device[-1].get("verdict") == "does-not-converge" for device in told)


def check_stuck(case, what, hot, cold, syncs):
	"""What is said of the hot device and of the cold one, after so many dirty syncs."""
	for name, told in (("hot", hot), ("cold", cold)):
		case.equal(f"{what}: {name} verdict", told.get("verdict"), "does-not-converge")
		case.equal(f"{what}: {name} hinders", told.get("hinders"), name == "hot")
		case.equal(f"{what}: {name} devices", told.get("devices"), 2)
		case.check(5 <= told["rounds"] <= syncs, f"{what}: {told['rounds']} rounds of {syncs}")
	case.check(hot["share"] > 0.9 and HOT_BYTES * 0.8 < hot["late_bytes"] <= HOT_BYTES,
		   f"{what}: of {HOT_BYTES} hot bytes {hot}")
	# nothing else is sent as fast as this, so the link carries all of it
	case.check(0.1 * LINK < hot["needed_bytes_per_s"] < 1.5 * LINK,
		   f"{what}: needs {hot['needed_bytes_per_s']}, the link carries {LINK}")


def check_recording(case, path, syncs):
	"""The report and a replay name it, too: in JSON and in words."""
	def run(*argv):
		done = case.run("read", argv)
		case.equal(f"status of {argv[:2]}", done.status, 0)
		return done.out()

	report = json.loads(run("build/iovab", "report", "--json", path))
	migrations = {row["device"]: row["migrations"] for row in report["devices"]}
	hot, cold = (migrations[harness.device_name(number)] for number in SOURCE)
	case.equal("report: migrations", (len(hot), len(cold)), (1, 1))
	check_stuck(case, "report", hot[0]["convergence"], cold[0]["convergence"], syncs)
	hindered = f"hindered by {harness.device_name(0)} ("
	for what, text in (("report", run("build/iovab", "report", path)),
			   ("table and summary", run("build/iovabtop", "--batch", "--replay", path,
						     "--speed", "1000000"))):
		words = " ".join(text.split())
		case.check("DOES NOT CONVERGE: VM web-17, pid " in words and hindered in words,
			   f"{what}: {text[-2000:]}")
		case.check(words.count(hindered) == words.count("hindered by"), f"{what}: {text[-2000:]}")
		summary = words[words.rfind("DOES NOT CONVERGE: VM"):]
		case.check(hindered in summary, f"{what}, at its end: {summary}")


def check_not_named(case, told, old, syncs):
	"""What came after the one of @old rounds is not named: each begins anew, and ends."""
	for device, said in told.items():
		rounds = [now["rounds"] for now in said]
		case.check(max(rounds) <= max(old, *syncs), f"{device}: rounds {rounds}, {old} and then {syncs}")
		case.check(not [now for now in said if now["rounds"] < old
				and now.get("verdict") == "does-not-converge"], f"{device}: {said}")
		case.equal(f"{device} at the end", (said[-1].get("verdict"), rounds[-1]), ("ended", syncs[-1]))


@ways
def cancel_retry_resume(case, iommufd):
	"""One that cannot converge is named so; cancelled, tried again, and moved once more.

	Its hot set, of one device, is dirty again by the time that the link has carried it.
	With a link that is wide enough nothing is named.  And the oracle sees what is wrong: in
	the last move not every write is logged, and pages differ on the other side.
	"""
	with pair(case, iommufd, HOT_AND_COLD) as vms:
		account = Account()
		top = harness.Top(case, "density", delay=0.5)
		recorder = test_record.Recorder(case, "density")
		source = vms.source
		target, uri = vms.target()
		source.set_parameters(max_bandwidth=LINK, downtime_limit=1)
		source.migrate(uri)
		harness.wait_until(lambda: is_stuck(top), "named as one that does not converge")
		recorder.finish()
		syncs = source.migration()["ram"]["dirty-sync-count"]
		told = convergences(top.lines())
		check_stuck(case, "live", *(told[harness.device_name(number)][-1] for number in SOURCE), syncs)
		check_recording(case, recorder.path, syncs)
		source.command("migrate_cancel")
		source.wait_migration("cancelled")
		cancelled = len(source.reports())
		case.equal("logging after the cancel", harness.read(harness.engine(0, "logging")), "0\n")
		target.end()
		before = top.lines()[-1]["time"]
		target, retried = vms.move()
		case.equal("pages that differ, the first ones", qemu_vm.differing_pages(source, target)[:5], [])
		target.end()
		# few enough that hardly a page is logged a moment later all the same
		harness.write(harness.engine(0, "rate"), 500)
		harness.write(harness.engine(0, "fault_unlogged"), 5)
		source.command("cont")
		target, resumed = vms.move(lambda: account.gone(0)["memory_unlogged"] > 100)
		reports = cancelled + SECTIONS * sum(state["ram"]["dirty-sync-count"]
						     for state in (retried, resumed))
		case.check(cancelled >= 3 * SECTIONS and not cancelled % SECTIONS,
			   f"reports before the cancel: {cancelled}")
		case.equal("reports in QEMU's trace", check_sections(case, source), reports)
		rows = check_rows(case, top, source, account, reports)
		check_not_named(case, convergences(top.lines(), before), cancelled // SECTIONS,
				[state["ram"]["dirty-sync-count"] for state in (retried, resumed)])
		# the state is set for the first time when the retried one stops the device
		check_phases(case, rows, SECTIONS * (resumed["ram"]["dirty-sync-count"] - 1),
			     [retried, resumed])
		differ, unlogged = qemu_vm.differing_pages(source, target), account.gone(0)["memory_unlogged"]
		case.check(0 < len(differ) <= unlogged,
			   f"{len(differ)} pages differ, {unlogged} writes were not logged")
		case.check(all(AREAS[0] <= at < AREAS[0] + HOT_BYTES for at in differ),
			   f"pages that differ: {[hex(at) for at in differ]}")


def hold_report(pid, size):
	"""One over @size bytes, which the device then holds: who asks for it, and its bitmap."""
	def held():
		if not inject.report_in_flight(pid, size):
			return None
		harness.write(harness.engine(0, "fault_hold"), 1)
		found = inject.report_in_flight(pid, size)
		if not found:
			harness.write(harness.engine(0, "fault_hold"), 0)
		return found

	harness.write(harness.engine(0, "fault_delay_ms"), 300)
	found = harness.wait_until(held, "a report over the memory")
	harness.write(harness.engine(0, "fault_delay_ms"), 0)
	return found


@ways
def lost_by_the_kernel(case, iommufd):
	"""A bitmap that cannot be written to any more, where pins are on demand.

	The kernel loses the marks and reports success. iovab says how many bytes, and
	no page outside of them differs.
	"""
	have_devices()
	if not rule.lazy():
		raise harness.Skip("this kernel pins the bitmap before it marks: nothing is lost")
	size = MEMORY_MIB * MIB - MIB
	with pair(case, iommufd, devices=(0,)) as vms:
		account = Account((0,))
		top = harness.Top(case, "sets")
		target, uri = vms.target()
		source = vms.source
		source.set_parameters(**NARROW)
		source.migrate(uri)
		harness.wait_until(lambda: source.migration().get("ram", {}).get("dirty-sync-count", 0) > 1,
				   "a round")
		thread, bitmap = hold_report(source.pid, size)
		harness.write(harness.engine(0, "rate"), 0)
		before = account.gone(0)
		with inject.read_only(source.pid, thread, bitmap, size // PAGE // 8):
			harness.write(harness.engine(0, "fault_hold"), 0)
			harness.wait_until(lambda: account.gone(0)["calls"] > before["calls"], "that report")
		lost = account.gone(0)["distinct_bytes"] - before["distinct_bytes"]
		source.set_parameters(max_bandwidth=1024 * MIB, downtime_limit=2000)
		state = source.wait_migration()
		target.wait_migration()
		total = top.finish()[harness.device_name(0), source.pid]["total"]
		gone = account.gone(0)
		for name, value in {"reports": state["ram"]["dirty-sync-count"] * SECTIONS,
				    "lost_bytes": lost, "dirty_bytes": gone["distinct_bytes"] - lost,
				    "marked_bytes": gone["marked_bytes"], "redundant_bytes": 0,
				    "report_errors": 0}.items():
			case.equal(name, total[name], value)
		case.check(lost > 0 and total["pin_failures"] > 0,
			   f"the test itself: {lost} bytes lost, {total['pin_failures']} pins failed")
		differ = qemu_vm.differing_pages(source, target)
		case.check(0 < len(differ) * PAGE <= lost,
			   f"{len(differ)} pages differ, {lost} bytes were lost")
