# SPDX-License-Identifier: GPL-2.0-only
"""What iovabtop must say about a run of migrate, by tier.

From the device's own account (truth), the bits that the client counted, and
the kernel's rule for windows.
"""

import re

import harness
import rule

TIERS = ("windows", "density", "sets")

COUNTERS = {
	"windows": ("reports", "report_errors", "range_bytes", "windows", "repins",
		    "pages_pinned", "pin_failures"),
	"density": ("windows_clean", "scan_skipped", "dirty_bytes"),
	"sets": ("set_calls", "marked_bytes", "redundant_bytes", "lost_bytes", "overshoot_bytes",
		 "stray_bits", "empty_marks", "wild_marks"),
}

# The keys of a scope, in the order of the contract, with the lowest tier that has them.
SCOPE_KEYS = (
	("reports", "windows"), ("report_errors", "windows"), ("report_ns", "windows"),
	("range_bytes", "windows"), ("windows", "windows"), ("windows_clean", "density"),
	("repins", "windows"), ("pages_pinned", "windows"), ("pin_ns", "windows"),
	("pin_failures", "windows"), ("scan_skipped", "density"), ("dirty_bytes", "density"),
	("density", "density"), ("set_calls", "sets"), ("marked_bytes", "sets"),
	("redundant_bytes", "sets"), ("lost_bytes", "sets"), ("overshoot_bytes", "sets"),
	("stray_bits", "sets"), ("empty_marks", "sets"), ("wild_marks", "sets"),
	("density_histogram", "density"), ("phases", "windows"), ("lost_by", "sets"),
	("run_pages", "sets"), ("order", "sets"), ("what_if", "sets"),
)

LINE_KEYS = ("schema", "time", "elapsed_s", "interval_s", "tier", "client", "device", "driver",
	     "vfio", "devices", "devices_unlisted", "hwpt", "pid", "comm", "vm", "implementation",
	     "range", "page_size", "total", "interval", "phase", "pages_pinned_now",
	     "reports_in_flight", "oldest_report_s", "stale", "convergence", "events_lost", "losses",
	     "cost", "budget")


# So many windows of a report are remembered, to tell repins by: see iovabtop(8).
WHAT_IF_STARTS = 1536


def may_be_unknown(name, total):
	"""Repins that another policy would have had, where it would have had too many windows."""
	found = re.fullmatch(r"what_if\.(\w+)\.repins", name)
	return bool(found) and total["what_if"][found[1]]["windows"] > WHAT_IF_STARTS


def includes(tier, other):
	return TIERS.index(tier) >= TIERS.index(other)


def measured(tier):
	"""All counters of a tier."""
	return [name for level in TIERS if includes(tier, level) for name in COUNTERS[level]]


def in_order(keys, contract):
	places = [contract.index(key) for key in keys if key in contract]
	return len(places) == len(keys) and places == sorted(places)


def check_form(case, row):
	"""Keys: all that the tier has, none above it, in the contract's order."""
	case.check(in_order(list(row), LINE_KEYS), f"keys of the line: {list(row)}")
	for scope in ("total", "interval"):
		if scope not in row:
			continue
		keys = [key for key in row[scope] if key != "unknown"]
		absent = {"report_ns", "pin_ns", "density"}	# with nothing to divide by
		wanted = [key for key, tier in SCOPE_KEYS if includes(row["tier"], tier)]
		got = [key for key in keys if key not in absent]
		case.equal(f"keys of {scope}", got, [key for key in wanted if key not in absent])
		case.check(in_order(keys, [key for key, _ in SCOPE_KEYS]),
			   f"order of the keys of {scope}: {keys}")


def check_rows(case, rows, results):
	"""Each of these results of migrate has a row, and their processes have no others."""
	keys = {(result["device"], result["pid"]) for result in results}
	pids = {pid for _, pid in keys}
	case.equal("rows", {key for key in rows if key[1] in pids}, keys)


def check_lossless(case, row):
	case.equal("events_lost", row["events_lost"], 0)
	case.equal("losses", {k: v for k, v in row["losses"].items() if v}, {})


def check_quiet(case, row):
	"""Nothing is under way."""
	case.equal("pages_pinned_now", row["pages_pinned_now"], 0)
	case.equal("reports_in_flight", row["reports_in_flight"], 0)


def lazy_windows(result, offset, preset):
	"""What the rule says of all reports of a run of migrate."""
	sums = dict.fromkeys(("windows", "repins", "pages_pinned", "windows_clean"), 0)
	for iova, length, marks in result["calls"]:
		report = rule.lazy_report(marks, iova, length, result["page_size"], offset, preset)
		sums["windows"] += len(report.windows)
		sums["repins"] += report.repins()
		sums["pages_pinned"] += sum(window.pinned for window in report.windows)
		sums["windows_clean"] += sum(not window.dirty for window in report.windows)
	return sums


class Expected:
	"""Sums over runs of one row."""

	def __init__(self, tier):
		self.tier = tier
		self.total = dict.fromkeys(measured(tier), 0)
		if not rule.lazy():
			# known only to who looks where bits are
			self.total.pop("windows_clean", None)

	def add(self, name, value):
		if name in self.total:
			self.total[name] += value

	def add_lazy_windows(self, result, sections, rounds, offset, preset):
		if "calls" not in result:
			raise harness.Unmet(result["log_trouble"])
		calls = [(iova, length) for iova, length, _ in result["calls"]]
		if calls != list(sections) * rounds:
			raise harness.Unmet(f"the log has {len(calls)} calls, not those of {rounds} "
					    f"rounds of {sections}")
		if "lazy" not in result:	# it takes its time, and is the same at each tier
			result["lazy"] = lazy_windows(result, offset, preset)
		for name, value in result["lazy"].items():
			self.add(name, value)

	def add_eager_windows(self, result, sections, rounds, offset):
		for _, length in sections:
			found = rule.windows(length, result["page_size"], offset)
			self.add("windows", rounds * len(found))
			self.add("pages_pinned", rounds * sum(pinned for _, _, pinned in found))

	def add_migrate(self, result, sections, rounds, offset=0, beyond_section=0, preset=0):
		"""A run of migrate: @rounds reports of each section.

		@beyond_section: bytes that the device's account calls marked because they
		are in its tracked range, though the report's range ended before them.
		"""
		truth, size = result["truth"], result["page_size"]
		for _, length in sections:
			self.add("reports", rounds)
			self.add("range_bytes", rounds * length)
		if rule.lazy():
			self.add_lazy_windows(result, sections, rounds, offset, preset)
		else:
			self.add_eager_windows(result, sections, rounds, offset)
		dirty = result["new_bits"] * size
		marked = truth["marked_bytes"] - beyond_section
		lost = truth["cross_bytes"] - beyond_section
		self.add("dirty_bytes", dirty)
		self.add("set_calls", truth["marks"])
		self.add("marked_bytes", marked)
		self.add("lost_bytes", lost)
		self.add("overshoot_bytes", truth["overshoot_bytes"] + beyond_section)
		self.add("stray_bits", result["stray_bits"])
		self.add("redundant_bytes", marked - dirty - lost)

	def check(self, case, row, ended=True):
		total = row["total"]
		case.equal("tier", row["tier"], self.tier)
		check_form(case, row)
		for name, value in self.total.items():
			case.equal(name, total.get(name), value)
		unknown = [name for name in total.get("unknown", ()) if not may_be_unknown(name, total)]
		case.check(not unknown, f"unknown: {unknown}")
		if total.get("reports"):
			case.equal("report_ns.count", total["report_ns"]["count"], total["reports"])
			case.equal("pin_ns.count", total.get("pin_ns", {}).get("count", 0),
				   total["windows"] + total["pin_failures"])
		self.check_sums(case, total)
		if ended:
			check_quiet(case, row)

	def check_what_if(self, case, total):
		"""What is computed for the kernel's own policy is what it did."""
		if total["report_errors"] or total["pin_failures"] or total["empty_marks"]:
			return
		case.equal("what_if.reports", total["what_if"]["reports"], total["reports"])
		own = total["what_if"]["lazy" if rule.lazy() else "eager"]
		case.equal("what_if of the kernel's policy", own,
			   {name: total[name] for name in own})

	def check_sums(self, case, total):
		"""What must hold between figures, whatever they are."""
		if includes(self.tier, "density"):
			histogram = total["density_histogram"] or [0]
			case.equal("sum of density_histogram", sum(histogram),
				   total["windows"] - total["scan_skipped"])
			case.equal("clean windows in density_histogram", histogram[0],
				   total["windows_clean"])
			if total["range_bytes"]:
				ratio = total["dirty_bytes"] / total["range_bytes"]
				case.check(abs(total["density"] - ratio) <= 1e-9 * ratio,
					   f"density: expected {ratio}, saw {total['density']}")
		if includes(self.tier, "sets"):
			self.check_what_if(case, total)
			order = sum(total["order"].values())
			case.check(total["set_calls"] - total["reports"] <= order <= total["set_calls"],
				   f"order: {total['order']} of {total['set_calls']} marks")
			runs = sum(total["run_pages"])
			case.check((runs > 0) == (total["marked_bytes"] > 0) and
				   runs <= total["set_calls"],
				   f"run_pages: {runs} runs of {total['set_calls']} marks")
