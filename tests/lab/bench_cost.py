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
import rule
from workloads import REPINNING, Shape, WORKLOADS

ROUNDS = 3
# where time is measured: the least pattern and the worst
IN_TURN = ("ascending", "mixed")
# marks of a workload of which each pins a window and has it scanned
FEW_MARKS = 512


def watchers(case):
	return {
		"empty": lambda: cost.Empty(case),
		"windows": lambda: cost.Iovabtop(case, "windows"),
		"density": lambda: cost.Iovabtop(case, "density"),
		"sets": lambda: cost.Iovabtop(case, "sets"),
		"bpftrace": lambda: cost.Script(case),
	}


def workloads(shape):
	return [cost.Workload(name, shape, FEW_MARKS if rule.lazy() and name in REPINNING else None)
		for name in WORKLOADS]


def count(case, loads, shape):
	"""{watcher: {workload: instructions}}, bare ones among them."""
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


def show_counts(extra, figures, loads, shape):
	print(f"{'instructions a mark':22}" + "".join(f"{name:>12}" for name in ("bare call", *extra)))
	for load in loads:
		if not load.marks:
			continue
		few = f" ({load.marks})" if load.marks < shape.words else ""
		bare = (figures["bare"][load.name] - figures["bare"]["no marks"]) / load.marks
		print(f"  {load.name + few:20}{bare:12.1f}" +
		      "".join(f"{costs[load.name] / load.marks:12.1f}" if load.name in costs else f"{'':12}"
			      for costs in extra.values()))
	print("instructions a word")
	for load in ("no marks", "a mark a word", "ascending"):
		print(f"  {load:32}" + "".join(
			f"{costs[load] / shape.words:12.2f}" if tier in ("windows", "density") else f"{'':12}"
			for tier, costs in extra.items()))
	print("instructions a report without marks")
	print(f"  {'':20}{figures['bare']['no marks']:12}" +
	      "".join(f"{costs['no marks']:12}" for costs in extra.values()))


def show_goals(goals):
	print("goals" + " " * 36 + "measured   at most")
	for goal in goals:
		print(f"  {goal['name']:36}{goal['measured']:11.2f}{goal['limit']:10.2f}"
		      f"{'' if goal['met'] else '   MISSED'}")


def goals_of(extra, shape):
	measured = cost.goal_figures(extra, shape)
	limits = [*cost.GOALS, ("sets: of bpftrace, ascending",
				extra["bpftrace"]["ascending"] / shape.marks / 6)]
	measured["sets: of bpftrace, ascending"] = extra["sets"]["ascending"] / shape.marks
	return [{"name": name, "measured": round(measured[name], 3), "limit": round(limit, 3),
		 "met": measured[name] <= limit} for name, limit in limits]


def bench_count(case, shape):
	loads = workloads(shape)
	figures = count(case, loads, shape)
	extra = over_bare(figures)
	show_counts(extra, figures, loads, shape)
	result = {"unit": "instructions", "reports": figures,
		  "workloads": {load.name: load.marks for load in loads}}
	# they are for windows that are pinned one after the other
	if not rule.lazy():
		result["goals"] = goals_of(extra, shape)
		show_goals(result["goals"])
	return result


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
	shape = Shape()
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
