# SPDX-License-Identifier: GPL-2.0-only
"""Tests that share what watches them: to attach an iovabtop costs more than most of them do.

Such a test is a generator:

	def some_words(case):
		...			before anything is attached
		watchers = yield	attached: by name
		...
		rows = yield		ended: by name, what its finish() gave
		...

All come to their first yield, one after the other, then all to their second, then to
their ends; one may end sooner. Each finds its own rows by its devices and processes. None
may lose anything, since losses are those of the whole program, which each row shows.
"""

import contextlib

import harness


class Test:
	"""One of them, on its way."""

	def __init__(self, name, function, watchers):
		self.case = harness.Case(name)
		self.watchers = watchers
		self.steps = function(self.case)

	def go_on(self, value=None):
		with self.case.guard(), contextlib.suppress(StopIteration):
			self.steps.send(value)

	def ended(self):
		return self.steps.gi_frame is None


def wanted(results, prefix, functions):
	"""Named by its function, each with the names of what is to watch it."""
	named = {f"{prefix} {function.__name__.replace('_', ' ')}": (function, watchers)
		 for function, watchers in functions.items()}
	return {name: about for name, about in named.items() if results.wanted(name)}


def run_all(results, title, tests, start=harness.Top):
	"""@tests: by name the function, and the names of what is to watch it, of which there is one each.

	What watches is a case of its own, the @title. start(case, name) attaches it: an
	iovabtop of this tier, if nothing else is said.
	"""
	tests = [Test(name, *about) for name, about in tests.items()]

	def go_on(value=None):
		for test in tests:
			test.go_on(value)

	go_on()
	names = dict.fromkeys(name for test in tests if not test.ended() for name in test.watchers)
	watch = None
	if names:
		with results.case(title) as watch:
			watchers = {name: start(watch, name) for name in names}
			go_on(watchers)
			go_on({name: watcher.finish() for name, watcher in watchers.items()})
	for test in tests:
		test.case.close()
		if not test.ended():
			test.case.skipped = watch.skipped
			test.case.check(watch.skipped, f"not at its end: see '{title}'")
		results.conclude(test.case)
