# SPDX-License-Identifier: GPL-2.0-only
"""The budget: a storm of reports drops a tier, what stays on is exact, the tier returns.

How long what takes under emulation is nobody's business here: a storm is as fast as
it goes, and its programs take a multiple of the limit at the tier that it is to drop.
"""

import re
import signal

import expect
import harness
import rule
from test_exporter import Exporter, device_sum

TESTS, test, _ = harness.registry()

M, G = 1 << 20, 1 << 30

# Every page marked, one at a time: what tier sets is dear for, and density is not.
# It sleeps between two reports, as QEMU does: what never sleeps holds up who takes a
# program off, for the kernel waits until no task can be inside.
MARKS = ("--length", 256 * M, "--pattern", "all", "--step", 256 * M // 4096,
	 "--interval-ms", 20)
# Reports that begin, and mark after a while: the tier drops in the middle of one.
PAGES = 16 * M // 4096
SLOW = ("--length", 16 * M, "--pattern", "all", "--step", PAGES, "--fault-delay-ms", 4000)
# Large bitmaps with next to nothing in them: what density is dear for.
SCANS = ("--length", 64 * G, "--pattern", "random", "--step", 1, "--interval-ms", 100)


def start_storm(case, number, *load):
	return harness.start_migrate(case, number, *load, "--forever", "--rate", 0)


class Storm:
	"""Forever, until it is told to end; and the device's account of it."""

	def __init__(self, case, number, *load):
		self.number = number
		self.before = harness.truth(number)
		self.helper = start_storm(case, number, *load)
		self.key = harness.device_name(number), self.helper.pid

	def end(self):
		self.helper.process.send_signal(signal.SIGINT)
		result = harness.finish_migrate(self.helper)[0]
		after = harness.truth(self.number)
		self.gone = {key: after[key] - self.before[key] for key in after}
		return result


class Watch:
	"""iovabtop with a budget, and what its lines say of it."""

	def __init__(self, case, *args):
		self.case = case
		self.top = harness.Top(case, "sets", delay=0.5, args=args)

	def budgets(self):
		return [row["budget"] for row in self.top.lines()]

	def now(self):
		lines = self.budgets()
		return lines[-1] if lines else {}

	def wait_tier(self, tier):
		try:
			harness.wait_until(lambda: self.now().get("tier_now") == tier, f"tier {tier}", 40)
		except harness.Unmet as unmet:
			raise harness.Unmet(f"{unmet}; at the end {self.now()}") from None

	def row(self, key):
		return self.top.last()[key]

	def wait_more(self, key, reports=3):
		"""So many more reports of a row, which may be there only later."""
		seen = lambda: self.top.last().get(key, {"total": {"reports": 0}})["total"]["reports"]
		have = seen()
		harness.wait_until(lambda: seen() >= have + reports, "more reports")


def check_exact(case, what, row, tier, result, gone):
	"""All that @tier measures is right; what a higher one measures is not there, but named."""
	total = row["total"]
	# a lazy kernel pins nothing for the last report, which finds nothing dirty
	truth = {"reports": result["reports"], "report_errors": 0,
		 "windows": gone["calls"] - rule.lazy(),
		 "repins": 0, "pin_failures": 0, "dirty_bytes": gone["distinct_bytes"],
		 "scan_skipped": 0, "set_calls": gone["marks"], "marked_bytes": gone["marked_bytes"],
		 "lost_bytes": 0, "stray_bits": 0}
	unknown = total.get("unknown", [])
	for level in expect.TIERS:
		for name in expect.COUNTERS[level]:
			if expect.includes(tier, level):
				case.check(name in total, f"{what}: {name} is not there")
				if name in truth:
					case.equal(f"{what}: {name}", total.get(name), truth[name])
			else:
				case.check(name not in total and name in unknown,
					   f"{what}: {name} is {total.get(name)}, unknown {unknown}")


@test
def storm_drops_a_tier_and_it_returns(case):
	limit = 0.01		# what the tier auto has by itself
	watch = Watch(case, "--tier", "auto")
	slow = Storm(case, 1, *SLOW)
	harness.wait_until(lambda: watch.top.last().get(slow.key, {}).get("reports_in_flight"),
			   "a slow report is under way")
	storm = Storm(case, 0, *MARKS)
	watch.wait_tier("density")
	case.equal("limit", watch.now()["limit"], limit)
	watch.wait_more(storm.key, 6)
	shares = [budget["share"] for budget in watch.budgets() if budget["tier_now"] == "density"]
	# the first ones are what it was dropped for
	held = [share for share in shares if share != shares[0]]
	case.check(shares[0] > limit, f"dropped for {shares[0]}")
	case.check(held and max(held) <= limit, f"the budget was not held: {shares}")
	case.equal("drops", watch.now()["drops"], 1)
	case.check("set_entry" not in harness.bpf_attached(), "the program on set is still attached")
	result = storm.end()
	harness.wait_until(lambda: watch.row(slow.key)["total"]["reports"], "a slow report's end")
	harness.write(harness.engine(1, "fault_delay_ms"), 0)
	slow_result = slow.end()
	for row in watch.top.lines():
		part = row.get("interval", {})
		if row["pid"] == slow.helper.pid and "set_calls" in part:
			case.equal("marks of an interval of slow reports whose figures are known",
				   part["set_calls"], part["reports"] * PAGES)

	watch.wait_tier("sets")
	check_exact(case, "slow reports", watch.row(slow.key), "density", slow_result, slow.gone)
	case.check("set_entry" in harness.bpf_attached(), "the program on set is not attached again")
	check_exact(case, "after a storm of marks", watch.row(storm.key), "density", result, storm.gone)
	before = harness.truth(1)
	calm = harness.migrate(case, 1, "--length", 64 * M, "--pattern", "random", "--step", 200,
			       "--rounds", 1, "--rate", 0)
	after = harness.truth(1)
	calm["gone"] = {key: after[key] - before[key] for key in after}

	storm = Storm(case, 0, *SCANS)
	watch.wait_tier("windows")
	watch.wait_more(storm.key)
	scans = storm.end()
	# what 1,000 devices add to it is in tests/unit/bench_model.c: 32 MiB are for both
	resident = int(re.search(r"VmRSS:\s+(\d+)", harness.read(f"/proc/{watch.top.pid}/status"))[1])
	case.check(resident < 18 << 10, f"{resident} KiB of memory are resident")
	rows = watch.top.finish()
	check_exact(case, "after a storm of scans", rows[storm.key], "windows", scans, storm.gone)
	check_exact(case, "between the storms", rows[calm["device"], calm["pid"]], "sets", calm,
		    calm["gone"])
	for row in rows.values():
		expect.check_lossless(case, row)
		expect.check_quiet(case, row)
	case.check(not watch.top.err().count("refused"), watch.top.err())


@test
def exporter_without_capabilities(case):
	"""It has given up all rights when the tier returns, and needs none for that."""
	exporter = Exporter(case, "--tier", "auto", "--budget", "0.2")
	exporter.wait_attached()
	storm = Storm(case, 2, *MARKS)
	harness.wait_until(lambda: "measures at tier density" in exporter.err(), "a tier is dropped")
	result = storm.end()
	samples = exporter.scrape()
	name = harness.device_name(2)
	case.equal("reports", device_sum(samples, "iovab_reports_total", 2), result["reports"])
	case.equal("lost bytes", device_sum(samples, "iovab_lost_bytes_total", 2), None)
	case.check(device_sum(samples, "iovab_unmeasured_reports_total", 2, tier="sets") > 0,
		   f"no report of {name} was unmeasured")
	case.equal("tiers dropped", samples["iovab_tier_dropped", ()] > 0, True)
	harness.wait_until(lambda: "measures at tier sets again" in exporter.err(), "it returns")
	samples = exporter.scrape()
	case.equal("tiers dropped at the end", samples["iovab_tier_dropped", ()], 0)
	case.equal("lost bytes at the end", device_sum(samples, "iovab_lost_bytes_total", 2), 0)
	case.check("set_entry" in harness.bpf_attached(), "the program on set is not attached again")
	case.equal("status", exporter.end(), 0)
