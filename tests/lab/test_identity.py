# SPDX-License-Identifier: GPL-2.0-only
"""Whose a row is: device, driver, vfioN, pid, comm, VM; with names as hostile as they come."""

import os

import expect
import harness
import watched

TESTS, test, suite = harness.registry()

FIRST = 8	# of the devices that get names


def vfio_name(number):
	return os.listdir(f"/sys/devices/platform/{harness.device_name(number)}/vfio-dev")[0]


def who_it_is(case):
	top = (yield)["density"]
	worker = harness.start_migrate(case, 5, "--length", "1M", "--forever", "--interval-ms", 20,
				       "-name", "guest=web-17,debug-threads=on")
	key = harness.device_name(5), worker.pid
	harness.wait_until(lambda: key in top.last(), "the row")
	row = top.last()[key]
	case.equal("migrate's status", worker.end(2), 0)
	for name, value in {"schema": "iovab.device/1", "client": "vfio", "driver": "iovab-mock",
			    "device": harness.device_name(5), "vfio": vfio_name(5), "pid": worker.pid,
			    "comm": "migrate", "vm": "web-17", "implementation": "kernel"}.items():
		case.equal(name, row.get(name), value)
	case.check("stale" not in row, "stale while its owner lives")
	harness.wait_until(lambda: top.last()[key].get("stale"), "the row is stale when its owner is gone")
	case.equal("vm of a stale row", top.last()[key].get("vm"), "web-17")


def one_device_two_owners(case):
	"""One after the other: two rows, each with its own figures."""
	yield
	runs = [harness.migrate(case, 5, "--length", "16M", "--step", step, "--pattern", "sequential",
				"--rounds", 2) for step in (10, 20)]
	rows = (yield)["density"]
	expect.check_rows(case, rows, runs)
	for run, pages in zip(runs, (20, 40)):
		row = rows[run["device"], run["pid"]]
		case.equal("dirty_bytes", row["total"]["dirty_bytes"], pages * 4096)


def rows_of_names(case, top, arguments):
	"""The row of each of the devices from FIRST on, by device: one a list of arguments."""
	workers = [harness.start_migrate(case, number, "--length", "1M", "--forever", "--interval-ms", 50, *args)
		   for number, args in enumerate(arguments, FIRST)]
	keys = {(harness.device_name(number), worker.pid) for number, worker in enumerate(workers, FIRST)}
	harness.wait_until(lambda: keys <= top.last().keys(), "the rows")
	rows = {device: row for (device, pid), row in top.last().items() if (device, pid) in keys}
	for worker in workers:
		case.equal("migrate's status", worker.end(2), 0)
	return rows


@suite
def all_owners(results):
	"""Among others a device for each name."""
	cases = {
		"VM without a name": ((), "comm", "migrate"),
		"VM with commas": (("-name", "guest=a,,b,,c,process=x"), "vm", "a,b,c"),
		"VM that is a bare word": (("-name", "plain"), "vm", "plain"),
		"VM with quotes and backslash": (("-name", 'guest="\\x'), "vm", '"\\x'),
		"VM with an escape sequence": (("-name", "guest=\x1b[2Jx\ny"), "vm", "\x1b[2Jx\ny"),
		"VM that is no UTF-8": (("-name", "guest=\udcff\udcfex"), "vm", "\ufffd\ufffdx"),
		"VM beyond ASCII": (("-name", "guest=\u00e4\u65e5"), "vm", "\u00e4\u65e5"),
		"comm with an escape sequence": (("--comm", "\x1b[31mred\x07"), "comm", "\x1b[31mred\x07"),
		"comm with newline and quotes": (("--comm", 'a\nb"c\\d'), "comm", 'a\nb"c\\d'),
		"comm that is no UTF-8": (("--comm", "a\udcff\udcc3"), "comm", "a\ufffd\ufffd"),
		"comm like a parenthesis": (("--comm", ") R 1 2 (x"), "comm", ") R 1 2 (x"),
	}
	cases = {f"identity {name}": case for name, case in cases.items() if results.wanted(f"identity {name}")}
	rows = {}

	def all_names(case):
		top = (yield)["density"]
		rows.update(rows_of_names(case, top, [args for args, _, _ in cases.values()]))

	tests = watched.wanted(results, "identity", dict.fromkeys((who_it_is, one_device_two_owners),
								  ["density"]))
	if cases:
		tests["identity all names at once"] = all_names, ["density"]
	watched.run_all(results, "identity watch all owners", tests,
			lambda case, tier: harness.Top(case, tier, delay=0.2))
	for number, (name, (_, key, expected)) in enumerate(cases.items(), FIRST):
		with results.case(name) as case:
			row = rows.get(harness.device_name(number), {})
			case.equal(key, row.get(key), expected)
			if "without" in name:
				case.check("vm" not in row, f"vm is there: {row.get('vm')!r}")


@test
def hostile_names_in_plain_output(case):
	"""No byte of a name reaches the terminal as it is."""
	top = harness.Helper(case, "iovabtop", [harness.TOP, "-b", "-v", "-d", "3600"],
			     env={**os.environ, "LC_ALL": "C.UTF-8"})
	harness.wait_until(lambda: "attached" in top.err(), "iovabtop attaches")
	harness.migrate(case, 5, "--length", "1M", "--comm", "\x1b]0;x\x07\n\udc9b[2J", "--rounds", 1,
			"-name", "guest=\x1b[2J\u202e\r")
	top.end()
	with open(top.out_path, "rb") as file:
		text = file.read().decode("utf-8")	# and it is UTF-8
	case.check(harness.device_name(5) in text, "no row")
	bad = sorted({char for char in text if not char.isprintable() and char != "\n"})
	case.equal("characters that are not printable", bad, [])


@test
def only_this_device(case):
	"""--device by name, by pattern, and by vfioN together with --pid."""
	worker = harness.start_migrate(case, [6, 7], "--length", "1M", "--forever", "--interval-ms", 50)
	tops = [harness.Top(case, "windows", args=args)
		for args in (("--device", "iovab-mock.5"), ("--device", "iovab-mock.[56]"),
			     ("--device", vfio_name(6), "--pid", worker.pid))]
	calls = harness.truth(6)["calls"]
	harness.wait_until(lambda: harness.truth(6)["calls"] > calls + 1, "two reports")
	case.equal("migrate's status", worker.end(2), 0)
	owners = {n: harness.migrate(case, n, "--length", "1M", "--rounds", 1)["pid"] for n in (5, 6, 7)}
	by_worker = harness.device_name(6), worker.pid
	five, six = ((harness.device_name(n), owners[n]) for n in (5, 6))
	for top, expected in zip(tops, ({five}, {five, six, by_worker}, {by_worker})):
		case.equal(" ".join(top.argv[-4:]), set(top.finish()), expected)
