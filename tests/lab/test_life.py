# SPDX-License-Identifier: GPL-2.0-only
"""Many at once, one after the other, killed, late: totals stay right."""

import re
import signal
import threading
import time

import client
import expect
import harness
import rule
import watched

TESTS, test, suite = harness.registry()

M, G = 1 << 20, 1 << 30


def check_truth(case, row, before, after):
	"""A row at tier sets against the device's account of the same time."""
	gone = {key: after[key] - before[key] for key in after}
	total = row["total"]
	case.equal("set_calls", total["set_calls"], gone["marks"])
	case.equal("marked_bytes", total["marked_bytes"], gone["marked_bytes"])
	case.equal("dirty_bytes", total["dirty_bytes"], gone["distinct_bytes"])
	if not rule.lazy():
		case.equal("windows", total["windows"], gone["calls"])


def dry_device(case):
	"""Two reports over 200 GiB, nothing dirty: 4 windows a report, all clean; or no window."""
	windows = 0 if rule.lazy() else 8
	yield
	result = harness.migrate(case, 0, "--length", 200 * G, "--rounds", 1, "--step", 0)
	rows = yield
	key = result["device"], result["pid"]
	for tier in ("windows", "density"):
		with case.about(f"tier {tier}"):
			total = rows[tier][key]["total"]
			case.equal("reports", total["reports"], 2)
			case.equal("windows", total["windows"], windows)
	case.check("windows_clean" not in rows["windows"][key]["total"], "windows_clean at tier windows")
	total = rows["density"][key]["total"]
	case.equal("windows_clean", total["windows_clean"], windows)
	case.equal("dirty_bytes", total["dirty_bytes"], 0)
	case.equal("density", total["density"], 0)
	case.equal("density_histogram", total["density_histogram"], rule.trimmed([windows]))


def windows_seen(number, length, offset, bitmap):
	"""[dirty pages, pages] of the windows of a report that has just ended."""
	if not rule.lazy():
		return [[bitmap.bits(first, pages), pages]
			for first, pages, _ in rule.windows(length, client.PAGE, offset)]
	(iova, _, marks), = harness.log_read(number)
	played = rule.lazy_report(marks, iova, length, client.PAGE, offset)
	dirty = bitmap.bits(0, rule.pages_of(length, client.PAGE))
	assert dirty == sum(window.dirty for window in played.windows)
	return [[window.dirty, window.pages] for window in played.windows]


def look_at_windows(number, length, offset, steps):
	"""Dirty pages of each window of each report, seen by the client itself."""
	vfio = client.Client(number)
	assert vfio.start(length, client.PAGE) == 0
	seen = []
	for pattern, writes in steps:
		harness.write(harness.log_file(number), harness.LOG_ROOM)
		if pattern == "script":
			harness.write(harness.engine(number, "script"), writes)
			pattern, writes = "random", 0
		harness.write(harness.engine(number, "pattern"), pattern)
		if writes:
			harness.write(harness.engine(number, "step"), writes)
		bitmap = client.Bitmap(rule.pages_of(length, client.PAGE), offset)
		assert vfio.report(length, client.PAGE, bitmap.address) == 0
		seen += windows_seen(number, length, offset, bitmap)
	assert vfio.stop() == 0
	return seen


def clean_windows_and_density_by_window(case):
	"""The client looks at each window's bits: clean windows and histogram follow from them."""
	yield
	made = []
	for number, offset, length in ((0, 0, 150 * G + 20 * 4096), (1, 0xff1, 70 * G + 4096)):
		client.set_engine(number, merge=1)	# nothing here looks at single marks
		# on a lazy kernel only a page that is marked again makes a clean window
		steps = (("script", f"0 4096\n{length - G} 4096\n0 4096\n"), ("sequential", 5),
			 ("sequential", 40000), ("random", 3), ("random", 5000), ("hotspot", 100),
			 ("sparse", 900), ("dense", 300000), ("all", 1), ("random", 0), ("sequential", 1))
		made.append((number, *client.in_child(case, look_at_windows, number, length, offset, steps)))
	rows = (yield)["density"]
	for number, pid, seen in made:
		histogram = [0] * rule.DENSITY_BUCKETS
		for dirty, pages in seen:
			histogram[rule.density_bucket(dirty, pages)] += 1
		total = rows[harness.device_name(number), pid]["total"]
		case.equal("windows", total["windows"], len(seen))
		case.equal("windows_clean", total["windows_clean"], histogram[0])
		case.equal("density_histogram", total["density_histogram"], rule.trimmed(histogram))
		case.equal("dirty_bytes", total["dirty_bytes"],
			   sum(dirty for dirty, _ in seen) * client.PAGE)
		case.check(0 < histogram[0] < len(seen), f"the test itself: {histogram}")


@suite
def windows(results):
	tests = watched.wanted(results, "life", {dry_device: ["windows", "density"],
						 clean_windows_and_density_by_window: ["density"]})
	watched.run_all(results, "life watch windows", tests)


def four_processes_four_devices(case):
	"""Different patterns, dirtying all the time, at once: each row equals its own truth."""
	yield
	patterns = ("sequential", "random", "hotspot", "dense")
	running = [harness.start_migrate(case, n, "--pattern", pattern, "--rate", 3000 * (n + 1),
					 "--length", (20 + 40 * n) * G, "--rounds", 4,
					 "--interval-ms", 40, "--order", ("ascending", "shuffled")[n % 2],
					 "--fault-redundant", n)
		   for n, pattern in enumerate(patterns)]
	results = [harness.finish_migrate(helper)[0] for helper in running]
	rows = (yield)["sets"]
	expect.check_rows(case, rows, results)
	for n, result in enumerate(results):
		expected = expect.Expected("sets")
		expected.add_migrate(result, [(0, (20 + 40 * n) * G)], 5)
		row = rows[result["device"], result["pid"]]
		case.check(result["truth"]["marks"] > 0, "the test itself: nothing was marked")
		expected.check(case, row)
		expect.check_lossless(case, row)


def two_devices_one_process(case):
	yield
	results = harness.migrate(case, [2, 3], "--pattern", "random", "--rate", 20000, "--length",
				  70 * G, "--rounds", 3, "--interval-ms", 30, "--fault-redundant", 0,
				  "--order", "ascending")
	rows = (yield)["sets"]
	case.equal("owners", len({result["pid"] for result in results}), 1)
	for result in results:
		expected = expect.Expected("sets")
		expected.add_migrate(result, [(0, 70 * G)], 4)
		row = rows[result["device"], result["pid"]]
		expected.check(case, row)
		expect.check_lossless(case, row)


def many_devices(case):
	"""64 devices of eight processes, a few short reports each."""
	yield
	groups = [list(range(first, first + 8)) for first in range(4, 68, 8)]
	running = [harness.start_migrate(case, group, "--length", 4 * M, "--rounds", 3, "--step", 50,
					 "--pattern", "random", log_room=2000) for group in groups]
	results = [result for helper in running for result in harness.finish_migrate(helper, 8)]
	rows = (yield)["sets"]
	case.equal("results", len(results), 64)
	expect.check_rows(case, rows, results)
	for result in results:
		expected = expect.Expected("sets")
		expected.add_migrate(result, [(0, 4 * M)], 4)
		row = rows[result["device"], result["pid"]]
		expected.check(case, row)
		expect.check_lossless(case, row)


@suite
def several_at_once(results):
	"""By one iovabtop; by one each where its programs may miss their turn, which leaves no total right."""
	functions = (four_processes_four_devices, two_devices_one_process, many_devices)
	groups = {function.__name__.replace("_", " "): [function] for function in functions} \
		if harness.preempts() else {"several at once": functions}
	for words, group in groups.items():
		tests = watched.wanted(results, "life", dict.fromkeys(group, ["sets"]))
		watched.run_all(results, f"life watch {words}", tests,
				lambda case, tier: harness.Top(case, tier, several=True))


def heap_kb(pid):
	"""Its own memory in use; not the pages of files and maps that it has looked at."""
	for line in harness.read(f"/proc/{pid}/status").splitlines():
		if line.startswith("RssAnon"):
			return int(line.split()[1])
	return 0


def thousands_of_reports(case):
	"""In a row, so that objects' addresses are used again: exact, and nothing leaks."""
	# one huge page made of small ones would look like a leak
	harness.write("/sys/kernel/mm/transparent_hugepage/enabled", "never")
	top = (yield)["sets"]
	balance = harness.pins_balance()
	first = harness.migrate(case, 0, "--length", M, "--rounds", 499, "--step", 3, "--rate", 0,
				"--fault-delay-ms", 0, "--pattern", "random")
	key = first["device"], first["pid"]
	harness.wait_until(lambda: top.last().get(key, {}).get("stale"), "all of the first row")
	rss = heap_kb(top.pid)
	result = harness.migrate(case, 0, "--length", M, "--rounds", 2499, "--step", 3,
				 "--pattern", "random")
	key = result["device"], result["pid"]
	harness.wait_until(lambda: top.last().get(key, {}).get("stale"), "all of its row")
	grown = heap_kb(top.pid) - rss
	case.equal("pages pinned and not unpinned", harness.pins_balance(), balance)
	# the room for the events of an interval follows the most that came in one; a leak of
	# 100 bytes a report would be more
	case.check(grown <= 240, f"memory in use grew by {grown} KiB from {rss}")
	entries = [m for m in harness.bpftool("map", "show") if m.get("name") == "sources"]
	case.equal("maps named sources", len(entries), 1)
	dump = harness.bpftool("map", "dump", "id", str(entries[0]["id"]))
	# the first one's is taken out a minute after its owner was gone
	case.check(len(dump) in (1, 2), f"{len(dump)} sources in the map")
	row = (yield)["sets"][key]
	case.equal("reports", row["total"]["reports"], 2500)
	expected = expect.Expected("sets")
	expected.add_migrate(result, [(0, M)], 2500)
	expected.check(case, row)
	expect.check_lossless(case, row)


def intervals_add_up(case):
	"""What a row showed before its first interval, and all intervals, are its total."""
	top = (yield)["sets"]
	result = harness.migrate(case, 0, "--length", 4 * G, "--rate", 5000, "--pattern", "random",
				 "--rounds", 20, "--interval-ms", 80, "--step", 0)
	final = (yield)["sets"][result["device"], result["pid"]]
	rows = [row for row in top.lines() if row["pid"] == result["pid"]]
	case.check(len(rows) >= 4, f"the test itself: {len(rows)} intervals")
	for name in expect.measured("sets"):
		seen = sum(row["interval"][name] for row in rows if "interval" in row)
		if "interval" not in rows[0]:
			seen += rows[0]["total"][name]
		case.equal(f"sum of {name}", seen, final["total"][name])
		totals = [row["total"][name] for row in rows]
		case.check(totals == sorted(totals), f"{name} went back")
	elapsed = [row["elapsed_s"] for row in rows]
	case.check(elapsed == sorted(elapsed), "elapsed_s went back")
	for row in rows:
		expect.check_form(case, row)


def report_and_unmap(number, length, steps, delay_s):
	"""The bitmap is taken away while the device takes its time before its first mark."""
	memory = client.Bitmap(length // client.PAGE)
	device = client.Client(number)
	device.start(length, client.PAGE)
	harness.write(harness.engine(number, "step"), steps)
	calls = harness.truth(number)["calls"]
	thread = threading.Thread(target=lambda: (time.sleep(delay_s), memory.remove(0, memory.pages_of(
		length // client.PAGE, 0))))
	thread.start()
	error = device.report(length, client.PAGE, memory.address)
	thread.join()
	return error, harness.truth(number)["calls"] - calls


def bitmap_unmapped_while_it_is_pinned(case):
	"""User space cannot read it any more, but its pages are there until they are unpinned."""
	if rule.lazy():
		raise harness.Skip("nothing is pinned on this kernel while the device takes its time")
	if "vmemmap_base" not in harness.read("/proc/kallsyms"):
		raise harness.Skip("this kernel does not say where its struct pages are")
	yield
	client.set_engine(0, pattern="sequential", fault_delay_ms=1500)
	pid, (error, calls) = client.in_child(case, report_and_unmap, 0, 64 * M, 100, 0.5)
	case.equal("error and calls", (error, calls), (0, 1))
	total = (yield)["sets"][harness.device_name(0), pid]["total"]
	for name, value in {"scan_skipped": 0, "dirty_bytes": 100 * client.PAGE, "windows_clean": 0,
			    "marked_bytes": 100 * client.PAGE, "redundant_bytes": 0}.items():
		case.equal(name, total.get(name), value)


def pins_are_those_that_the_kernel_counts(case):
	"""Orders, offsets and faults: pages pinned are vmstat's, on a kernel of any generation."""
	yield
	base = ["--rate", 0, "--tracked", 4 << 10, "--fault-delay-ms", 0, "--merge", 0,
		"--step", 30 if rule.lazy() else 300,
		"--fault-cross", 0]
	plain = ["--fault-redundant", 0, "--fault-overshoot", 0]
	runs = (
		(200 * G, 0, [*plain, "--pattern", "random", "--order", "ascending"]),
		(200 * G, 0, [*plain, "--pattern", "random", "--order", "shuffled"]),
		(200 * G, 0xff1, [*plain, "--pattern", "random", "--order", "descending"]),
		(70 * G, 0, ["--pattern", "hotspot", "--order", "shuffled", "--preset", 7,
			     "--fault-redundant", 3, "--fault-overshoot", 0]),
		(70 * G, 5, ["--pattern", "sequential", "--order", "ascending", "--merge", 1,
			     "--fault-redundant", 0, "--fault-overshoot", 9]),
		(66 * G, 0, [*plain, "--pattern", "sparse", "--order", "ascending", "--tracked", 2 << 20,
			     "--page-size", 4 << 10]),
		(200 * G, 0, [*plain, "--order", "ascending", "--step", 0]),
	)
	acquired, = harness.vmstat("nr_foll_pin_acquired")
	results = [harness.migrate(case, 0, "--length", length, "--rounds", 1, "--bitmap-offset", offset,
				   *base, *args) for length, offset, args in runs]
	acquired = harness.vmstat("nr_foll_pin_acquired")[0] - acquired
	rows = (yield)["sets"]
	for (length, offset, _), result in zip(runs, results):
		expected = expect.Expected("sets")
		expected.add_migrate(result, [(0, length)], 2, offset)
		expected.check(case, rows[result["device"], result["pid"]])
	case.equal("pages pinned", sum(rows[result["device"], result["pid"]]["total"]["pages_pinned"]
				       for result in results), acquired)


@suite
def one_after_the_other(results):
	# the first looks at all that iovabtop keeps
	tests = watched.wanted(results, "life", dict.fromkeys(
		(thousands_of_reports, intervals_add_up, bitmap_unmapped_while_it_is_pinned,
		 pins_are_those_that_the_kernel_counts), ["sets"]))
	watched.run_all(results, "life watch one after the other", tests,
			lambda case, tier: harness.Top(case, tier, delay=0.2))


@test
def killed_in_the_middle_of_a_report(case):
	"""kill -9 of a client in its report, while two others report."""
	balance = harness.pins_balance()
	top = harness.Top(case, "sets", delay=0.2)
	for number in range(3):
		client.set_engine(number)
	before = harness.truth(0)
	victim = harness.start_migrate(case, 0, "--length", 70 * G, "--step", 1000, "--pattern", "random",
				       "--fault-delay-ms", 60000)
	others = [harness.start_migrate(case, n, "--length", 6 * G, "--rate", 5000, "--pattern", "random",
					"--rounds", 12, "--interval-ms", 100) for n in (1, 2)]
	key = harness.device_name(0), victim.pid

	def in_report():
		row = top.last().get(key)
		return row and row["reports_in_flight"] == 1 and row

	row = harness.wait_until(in_report, "iovabtop shows the victim's report")
	case.equal("pages pinned now, in the report", row["pages_pinned_now"], 0 if rule.lazy() else 512)
	case.check(row["oldest_report_s"] >= 0, "no age of the oldest report")
	victim.end(signal.SIGKILL)
	results = [harness.finish_migrate(helper)[0] for helper in others]
	rows = top.finish()
	check_truth(case, rows[key], before, harness.truth(0))
	expect.check_quiet(case, rows[key])
	expect.check_lossless(case, rows[key])
	case.equal("victim's reports", rows[key]["total"]["reports"], 1)
	case.equal("stale", rows[key].get("stale"), True)
	for result in results:
		expected = expect.Expected("sets")
		expected.add_migrate(result, [(0, 6 * G)], 13)
		expected.check(case, rows[result["device"], result["pid"]])
	case.equal("pages pinned and not unpinned", harness.pins_balance(), balance)


@test
def iovabtop_killed(case):
	"""kill -9 in the middle of reports leaves nothing; the next one counts from then on."""
	before = harness.bpf_objects()
	# nearly always in a report, and mostly asleep there
	worker = harness.start_migrate(case, 0, "--length", 4 * G, "--pattern", "random", "--step", 200,
				       "--forever", "--fault-delay-ms", 50, "--rate", 0)
	top = harness.Top(case, "sets", delay=0.2)
	key = harness.device_name(0), worker.pid
	harness.wait_until(lambda: key in top.last() and top.last()[key]["total"]["reports"] > 3,
			   "reports are counted")
	now = harness.bpf_objects()
	case.check(len(now["prog"] - before["prog"]) >= 6 and len(now["link"] - before["link"]) >= 6,
		   f"the test itself: {now}")
	top.end(signal.SIGKILL)
	harness.check_bpf_gone(case, before, "after kill -9")
	calls = harness.truth(0)["calls"]
	harness.wait_until(lambda: harness.truth(0)["calls"] > calls + 10, "reports go on")
	start = harness.truth(0)
	second = harness.Top(case, "sets", delay=0.2)
	attached = harness.truth(0)
	harness.wait_until(lambda: key in second.last() and
			   second.last()[key]["total"]["reports"] > 3, "reports are counted again")
	worker.end(signal.SIGINT)
	end = harness.truth(0)
	row = second.finish()[key]
	case.check(end["marks"] - start["marks"] >= row["total"]["set_calls"] >=
		   end["marks"] - attached["marks"] - 2000,
		   f"set_calls {row['total']['set_calls']} since {start}, {attached}, until {end}")
	case.check(row["total"]["dirty_bytes"] <= end["distinct_bytes"] - start["distinct_bytes"],
		   "counted more than there was")
	expect.check_quiet(case, row)
	harness.check_bpf_gone(case, before, "after the second one")


@test
def attached_in_the_middle_of_a_report(case):
	"""That report is not counted but told; the next ones are exact."""
	client.set_engine(0, fault_hold=1)
	dirtied = harness.truth(0)["dirtied_bytes"]
	worker = harness.start_migrate(case, 0, "--length", G, "--step", 100, "--rounds", 4,
				       "--pattern", "random")
	try:
		harness.wait_until(lambda: harness.truth(0)["dirtied_bytes"] > dirtied, "the first step")
		time.sleep(0.3)		# from the step to the report; what is missed fails below
		tops = [harness.Top(case, tier) for tier in ("density", "sets")]
	finally:
		harness.write(harness.engine(0, "fault_hold"), 0)
	result = harness.finish_migrate(worker)[0]
	for top in tops:
		row = top.finish()[result["device"], result["pid"]]
		case.equal(f"{top.tier}: reports", row["total"]["reports"], result["reports"] - 1)
		case.equal(f"{top.tier}: joined_late", row["losses"]["joined_late"], 1)
		case.check(row["events_lost"] > 0, f"{top.tier}: events_lost is 0")
		expect.check_quiet(case, row)
		if top.tier == "sets":
			case.equal("marks counted and unowned",
				   row["total"]["set_calls"] + row["losses"]["marks_unowned"],
				   result["truth"]["marks"])


@test
def ended_by_a_signal(case):
	"""SIGTERM and SIGINT: exit 0, nothing left; plain output closes with a summary."""
	before = harness.bpf_objects()
	for number in (signal.SIGTERM, signal.SIGINT):
		top = harness.Helper(case, "iovabtop", [harness.TOP, "-b", "-v", "-d", "3600"])
		harness.wait_until(lambda: "attached" in top.err(), "iovabtop attaches")
		harness.migrate(case, 1, "--length", 70 * G, "--rounds", 1, "--step", 30, "--rate", 0)
		case.equal(f"status after {number!r}", top.end(number), 0)
		case.check(harness.device_name(1) in top.out(), f"summary: {top.out()[-500:]!r}")
		# two reports, and the last one was dry: two windows each, or the one that was marked
		windows = r"1 window\b.*\b0" if rule.lazy() else r"4 windows\b.*\b3"
		case.check(re.search(rf"^Of {windows} \(", top.out(), re.M),
			   f"summary: {top.out()[-500:]!r}")
	harness.check_bpf_gone(case, before, "after a signal")


@test
def map_of_sources_full(case):
	top = harness.Top(case, "windows", args=("--max-rows", 2))
	results = [harness.migrate(case, n, "--length", M, "--rounds", 2, "--step", 0, "--rate", 0)
		   for n in range(4)]
	rows = top.finish()
	case.equal("rows", sorted(rows), sorted((r["device"], r["pid"]) for r in results[:2]))
	for row in rows.values():
		case.equal("reports", row["total"]["reports"], 3)
		case.equal("sources_full", row["losses"]["sources_full"], 6)
		case.equal("events_lost", row["events_lost"], 6)
