# SPDX-License-Identifier: GPL-2.0-only
"""The live screen on real data, in tmux. The keys in all detail: tests/screen."""

import os
import re
import shutil
import subprocess

import harness

TESTS, test, suite = harness.registry()

DEVICES = (5, 6)


class Screen:
	"""iovabtop in a terminal of its own."""

	def __init__(self, case, columns, lines, *args):
		if not shutil.which("tmux"):
			raise harness.Skip("tmux is missing")
		self.case = case
		self.socket = "/run/iovab-test.tmux"
		self.status = os.path.join(case.folder, "status")
		self.errors = os.path.join(case.folder, "screen.err")
		command = f"{harness.TOP} {' '.join(args)} 2>{self.errors}; echo $? >{self.status}; exec cat"
		self.tmux("-f", "/dev/null", "new-session", "-d", "-s", "s", "-x", str(columns),
			  "-y", str(lines), command)
		self.tmux("set", "-g", "status", "off")

	def tmux(self, *args):
		done = subprocess.run(["tmux", "-u", "-S", self.socket, *args], capture_output=True,
				      env={**os.environ, "LC_ALL": "C.UTF-8"}, text=True)
		if done.returncode:
			raise harness.Unmet(f"tmux {args[0]}: {done.stderr.strip()}")
		return done.stdout

	def text(self):
		return self.tmux("capture-pane", "-t", "s", "-p")

	def keys(self, *keys):
		self.tmux("send-keys", "-t", "s", *keys)

	def shows(self, condition, what):
		"""Until the screen's text meets the condition; a look at it is a program's run."""
		try:
			harness.wait_until(lambda: condition(self.text()), what, 30, poll_s=0.2)
		except harness.Unmet:
			harness.write(os.path.join(self.case.folder, "screen"), self.text())
			raise harness.Unmet(f"the screen does not show {what}") from None

	def sees(self, pattern):
		self.shows(lambda text: re.search(pattern, text, re.M), repr(pattern))

	def sees_rows(self, *names):
		"""The devices, from the top."""
		self.shows(lambda text: re.findall(r"^ ?(iovab-mock\.\d+)", text, re.M) == list(names),
			   f"the rows {' '.join(names)}")

	def ends_with(self, status):
		harness.wait_until(lambda: os.path.exists(self.status) and harness.read(self.status),
				   "the end of iovabtop", 30)
		self.case.equal("exit status", int(harness.read(self.status)), status)

	def close(self):
		subprocess.run(["tmux", "-S", self.socket, "kill-server"], capture_output=True)


@test
def two_devices_live(case):
	"""Header, rows, sort, filter, detail with histograms and strip, resize, quit."""
	before = harness.bpf_objects()
	screen = Screen(case, 120, 40, "-d", "0.3", "-t", "sets")
	try:
		screen.sees(r"^ ?iovabtop +tier sets")
		workers = [harness.start_migrate(case, n, "--length", "6G", "--forever", "--interval-ms", 200,
						 "--rate", 400 * n, "--pattern", "random")
			   for n in DEVICES]
		for n in DEVICES:
			screen.sees(rf"^ ?{re.escape(harness.device_name(n))}\b")
		# a kernel that preempts loses some
		screen.sees(r"events lost \d" if harness.preempts() else r"events lost 0\b")
		screen.keys("N")
		screen.sees_rows("iovab-mock.5", "iovab-mock.6")
		screen.keys("r")
		screen.sees_rows("iovab-mock.6", "iovab-mock.5")
		screen.keys("/", "mock.5", "Enter")
		screen.sees_rows("iovab-mock.5")
		screen.keys("Enter")
		screen.sees(rf"owner +pid {workers[0].pid} migrate")
		screen.sees(r"total +[\u2591\u2592\u2593\u2588\u00b7]{40}")	# the strip
		screen.tmux("resize-window", "-t", "s", "-x", "90", "-y", "100")
		screen.sees(r"(?i)latency")
		screen.sees(r"(?i)density")
		screen.keys("q")
		screen.sees(r"^ ?iovab-mock\.5\b")
		screen.tmux("resize-window", "-t", "s", "-x", "20", "-y", "4")
		screen.sees(r"(?i)small")
		screen.tmux("resize-window", "-t", "s", "-x", "120", "-y", "40")
		screen.sees(r"^ ?iovab-mock\.5\b")
		screen.keys("q")
		screen.ends_with(0)
		screen.sees(r"(?i)windows")	# the summary stays behind
		case.equal("stderr", harness.read(screen.errors), "")
	finally:
		screen.close()
	for worker in workers:
		worker.end(2)
	harness.check_bpf_gone(case, before, "after quit")
