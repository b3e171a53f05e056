# SPDX-License-Identifier: GPL-2.0-only
"""What watching costs, held against the goals; and that what is cheap is right, too.

Under -icount (tests/lab_parts.py), where the guest's clock counts instructions: cost.py
says how.  A goal is held as a ratio to the empty program of this run.  The whole table is
made by `make bench`.
"""

import cost
import harness
import workloads

TESTS, test, suite = harness.registry()

G = 1 << 30
TIERS = ("windows", "density", "sets")
SHAPE = workloads.Shape()
# where each mark is counted here, too
SMALL = workloads.Shape(2 * G)
# what the goals of the tiers without marks are made of
FEW = ("no marks", "a mark a word", "ascending")


class Measured:
	"""All that is attached, attached once."""

	def __init__(self, case):
		self.loads = [cost.Workload(name, SHAPE) for name in workloads.WORKLOADS]
		self.reporter = cost.Reporter(SHAPE)
		bare = self.costs(workloads.WORKLOADS)
		with cost.Empty(case):
			self.empty = (self.costs(["ascending"])["ascending"] - bare["ascending"]) / SHAPE.marks
		self.extra = {}
		for tier in TIERS:
			with cost.Iovabtop(case, tier):
				costs = self.costs(workloads.WORKLOADS if tier == "sets" else FEW)
			self.extra[tier] = {name: took - bare[name] for name, took in costs.items()}
		self.reporter.close()

	def costs(self, names):
		"""A kernel thread's turn is more than the lowest goals, which FEW are for, allow in all
		marks together; for the others an instruction a mark is near enough."""
		return {load.name: self.reporter.agreed_cost(load, 500 if load.name in FEW else SHAPE.marks)
			for load in self.loads if load.name in names}


def count_each(case, reporter):
	"""A row has all reports of one process: what each workload adds to it."""
	before, added = None, {}
	top = harness.Top(case, "sets", delay=0.2)
	for name in workloads.WORKLOADS:
		reporter.load(cost.Workload(name, SMALL))
		reporter.report()
		reports = len(added) + 1
		harness.wait_until(lambda: any(row["total"]["reports"] == reports for row in top.lines()),
				   f"report {reports} is shown")
		total = cost.counted(top.lines()[-1]["total"])
		added[name] = difference(total, before)
		before = total
	top.finish()
	return added


def difference(now, before):
	if before is None:
		return now
	if isinstance(now, dict):
		return {key: difference(now[key], before[key]) for key in now}
	if isinstance(now, list):
		return [difference(a, b) for a, b in zip(now, before)]
	return now - before


@suite
def goals(results):
	names = [f"cost {name}" for name, _ in cost.GOALS]
	if not any(results.wanted(name) for name in names):
		return
	measured = None
	with results.case("cost the empty program is the floor") as case:
		measured = Measured(case)
		# 127 on 6.1 in the lab; what is not near it was not measured in instructions
		case.check(100 < measured.empty < 200, f"the empty program: {measured.empty:.1f} a mark")
		print(f"# the empty program: {measured.empty:.1f} instructions a mark")
	for name, limit in cost.GOALS:
		with results.case(f"cost {name}") as case:
			case.require(measured, "nothing was measured")
			figure = cost.goal_figures(measured.extra, SHAPE)[name]
			ratio, most = figure / measured.empty, limit / cost.FLOOR
			case.check(ratio <= most, f"{figure:.2f} instructions, {ratio:.4f} times the empty "
				   f"program; at most {most:.4f}")


@suite
def totals(results):
	names = [f"cost right for {name}" for name in workloads.WORKLOADS]
	if not any(results.wanted(name) for name in names):
		return
	added = {}
	with results.case("cost count each workload") as case:
		# what it reports to warm up is not to be counted
		reporter = cost.Reporter(SMALL)
		added = count_each(case, reporter)
		reporter.close()
	for name, workload in workloads.WORKLOADS.items():
		with results.case(f"cost right for {name}") as case:
			case.require(name in added, "was not run")
			expected = cost.Account(workload(SMALL), SMALL).totals()
			for key, value in expected.items():
				case.equal(key, added[name][key], value)
