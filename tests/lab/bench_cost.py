#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What watching costs.  In the guest: bench_cost.py count|ratio

count: under -icount.  Every watcher with every workload, in instructions over the bare
call.  ratio: on a clock that tells time.  The empty program, each tier and bpftrace in
turn, ROUNDS times; of each the ratio of its cost a mark to the empty program's of the
same round: their median, and the least and the greatest.

Prints a table and writes cost.json into the results.  tests/cost/bench runs it.
"""

import json
import os
import statistics
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import cost
import harness

ROUNDS = 3
# where time is measured: the least pattern and the worst
IN_TURN = ("ascending", "mixed")


def watchers(case):
	return {
		"empty": lambda: cost.Empty(case),
		"windows": lambda: cost.Iovabtop(case, "windows"),
		"density": lambda: cost.Iovabtop(case, "density"),
		"sets": lambda: cost.Iovabtop(case, "sets"),
		"bpftrace": lambda: cost.Script(case),
	}


def count(case, shape):
	"""{watcher: {workload: instructions}}, bare ones among them."""
	loads = [cost.Workload(name, shape) for name in cost.WORKLOADS]
	reporter = cost.Reporter(shape)
	figures = {"bare": {load.name: reporter.cost(load) for load in loads}}
	for name, watcher in watchers(case).items():
		print(f"# {name}", file=sys.stderr, flush=True)
		with watcher():
			# what it costs does not depend on the marks, and it is slow
			some = loads if name != "bpftrace" else [
				load for load in loads if load.name in ("no marks", *IN_TURN)]
			figures[name] = {load.name: reporter.cost(load) for load in some}
	reporter.close()
	return figures


def over_bare(figures):
	return {watcher: {load: took - figures["bare"][load] for load, took in loads.items()}
		for watcher, loads in figures.items() if watcher != "bare"}


def show_counts(extra, figures, shape):
	marks = {"no marks": 0, "a mark a word": shape.words}
	print(f"{'instructions a mark':22}" + "".join(f"{name:>10}" for name in ("bare call", *extra)))
	for load in cost.WORKLOADS:
		number = marks.get(load, shape.marks)
		if not number:
			continue
		bare = (figures["bare"][load] - figures["bare"]["no marks"]) / number
		print(f"  {load:20}{bare:10.1f}" +
		      "".join(f"{loads[load] / number:10.1f}" if load in loads else f"{'':10}"
			      for loads in extra.values()))
	print("instructions a word")
	for load in ("no marks", "a mark a word", "ascending"):
		print(f"  {load:30}" + "".join(
			f"{loads[load] / shape.words:10.2f}" if tier in ("windows", "density") else f"{'':10}"
			for tier, loads in extra.items()))
	print("instructions a report without marks")
	print(f"  {'':20}{figures['bare']['no marks']:10}" +
	      "".join(f"{loads['no marks']:10}" for loads in extra.values()))


def show_goals(goals):
	missed = 0
	print("goals" + " " * 36 + "measured   at most")
	for goal in goals:
		missed += not goal["met"]
		print(f"  {goal['name']:36}{goal['measured']:11.2f}{goal['limit']:10.2f}"
		      f"{'' if goal['met'] else '   MISSED'}")
	return missed


def bench_count(case, shape):
	figures = count(case, shape)
	extra = over_bare(figures)
	measured = cost.goal_figures(extra, shape)
	limits = [*cost.GOALS, ("sets: of bpftrace, ascending",
				extra["bpftrace"]["ascending"] / shape.marks / 6)]
	measured["sets: of bpftrace, ascending"] = extra["sets"]["ascending"] / shape.marks
	goals = [{"name": name, "measured": round(measured[name], 3), "limit": round(limit, 3),
		  "met": measured[name] <= limit} for name, limit in limits]
	show_counts(extra, figures, shape)
	show_goals(goals)
	return {"unit": "instructions", "reports": figures, "goals": goals}


def bench_ratio(case, shape):
	loads = [cost.Workload(name, shape) for name in IN_TURN]
	reporter = cost.Reporter(shape)
	ratios = {}
	for number in range(ROUNDS):
		figures = {"bare": {load.name: reporter.cost(load) for load in loads}}
		for name, watcher in watchers(case).items():
			with watcher():
				figures[name] = {load.name: reporter.cost(load) for load in loads}
		extra = over_bare(figures)
		for name in extra:
			for load in loads:
				ratios.setdefault(name, {}).setdefault(load.name, []).append(
					extra[name][load.name] / extra["empty"][load.name])
		print(f"# {number + 1} of {ROUNDS} rounds", file=sys.stderr, flush=True)
	reporter.close()
	print("times what the empty program costs: median (least to greatest)")
	for name, by_load in ratios.items():
		print(f"  {name:10}" + "".join(
			f"  {load} {statistics.median(some):5.2f} ({min(some):.2f} to {max(some):.2f})"
			for load, some in by_load.items()))
	return {"unit": "times the empty program", "rounds": ROUNDS, "ratios": ratios}


def main(kind):
	shape = cost.Shape()
	harness.have_mock(1)
	case = harness.Case("bench cost")
	try:
		result = {"count": bench_count, "ratio": bench_ratio}[kind](case, shape)
	finally:
		case.close()
	result.update(release=os.uname().release, cpus=os.cpu_count(),
		      range_bytes=shape.range_bytes, marks=shape.marks, words=shape.words)
	with open(os.path.join(harness.RESULTS, "cost.json"), "w") as file:
		json.dump(result, file, indent=1)


if __name__ == "__main__":
	try:
		main(sys.argv[1])
	except harness.Unmet as unmet:
		sys.exit(f"bench: {unmet}")
