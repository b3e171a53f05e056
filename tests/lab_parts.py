# SPDX-License-Identifier: GPL-2.0-only
"""The parts of the lab's suite: what shares a boot, on which kernels, and how.

The longest first.  Also read in the guest, by tests/lab/guest.py.
"""

import os
import subprocess

# Kernels without the facility: there is nothing to see but the refusal.
WITHOUT_FACILITY = ("stock-lts", "stock-newest")
# for which no module can be built here, since their kbuild wants a newer C library
WITHOUT_MODULES = ("stock-newest",)
EAGER = ("stock",)

# One thread emulates all of a guest's CPUs: two guests then share two CPUs, and QEMU
# does not crash a guest that detaches a busy function on another CPU.
ONE_THREAD = "-accel tcg,thread=single"


class Part:
	"""@tests: prefix of the tests' names, module in tests/lab, devices to have (None: the
	tests see to it), in their order.  @places: of the guests at a time it takes so many,
	since others would take too much of the time that it measures.
	"""

	def __init__(self, name, *tests, places=1, cpus=2, mem="2G", cmdline="",
		     qemu_args=ONE_THREAD, timeout_s=1200, refusal=False, lazy_only=False,
		     kernels=None, needs=None):
		self.name = name
		self.tests = tests
		self.places = places
		self.refusal = refusal		# for kernels without the facility, and only for them
		self.lazy_only = lazy_only
		self.kernels = kernels		# None: all others
		self.needs = needs		# a function of repository and kernel: variables to set,
						# or a text: why it cannot be run
		self.variables = {"CPUS": str(cpus), "MEM": mem, "TIMEOUT": str(timeout_s),
				  "CMDLINE": cmdline, "QEMU_ARGS": qemu_args}

	def is_for(self, kernel):
		if self.kernels is not None:
			return kernel in self.kernels
		if self.lazy_only and kernel in EAGER:
			return False
		return self.refusal == (kernel in WITHOUT_FACILITY)

	def is_named(self, words):
		"""By its own name, or by one of what it holds: by itself, or a test's name begins so."""
		begun = {word.split(" ", 1)[0] for word in words}
		return self.name in words or any(prefix in begun for prefix, _, _ in self.tests)

	def prepare(self, repo, kernel):
		"""What the host has to see to. None, or why the part cannot be run."""
		found = self.needs(repo, kernel) if self.needs else {}
		if isinstance(found, str):
			return found
		self.variables.update(found)
		return None

	def environment(self):
		"""The user's own words for the lab are kept."""
		joined = {name: f"{os.environ.get(name, '')} {self.variables[name]}".strip()
			  for name in ("CMDLINE", "QEMU_ARGS")}
		own = {"TIMEOUT": os.environ["TIMEOUT"]} if os.environ.get("TIMEOUT") else {}
		return {**self.variables, **joined, **own}


def qemu_client(repo, _kernel):
	"""Which QEMU is to be the client in the guest."""
	found = subprocess.run(["tools/lab/qemu-client"], cwd=repo, stdout=subprocess.PIPE, text=True)
	return {"IOVAB_QEMU": found.stdout.strip()}


def cost_programs(repo, _kernel):
	"""The program that everything is held against."""
	built = subprocess.run(["make", "-s", "--no-print-directory", "cost-programs"], cwd=repo)
	return "the empty program cannot be built" if built.returncode else {}


def upstream_selftest(repo, kernel):
	"""Upstream's test of iommufd, compiled from this kernel's source."""
	found = subprocess.run(["tools/lab/upstream-selftest", kernel], cwd=repo, text=True,
			       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
	if found.returncode:
		return (found.stderr.strip().splitlines() or ["upstream-selftest failed"])[-1]
	return {"IOVAB_SELFTEST": found.stdout.strip()}


def few_states(_repo, _kernel):
	"""A kernel that watches itself is slow."""
	return {"IOVAB_STATES": "50"}


PARTS = (
	# first those that find clients' modules not loaded, last the one that locks the kernel down
	Part("life", ("hwpt", "test_hwpt", None), ("probe", "test_probe", None),
	     ("start", "test_start", None), ("life", "test_life", 70), ("phase", "test_phase", 3),
	     ("kprobe", "test_kprobe", 2), ("cdev", "test_cdev", 70), ("identity", "test_identity", None),
	     ("screen", "test_screen", None), ("record", "test_record", 2), ("place", "test_places", None)),
	Part("exact", ("exact", "test_exact", 2), ("cases", "test_cases", 2),
	     ("reattach", "test_reattach", 2), ("rows", "test_refrows", None),
	     ("reference", "test_ref", 2)),
	# the last one wants many devices
	Part("exporter", ("exporter", "test_exporter", 4), ("crowd", "test_crowd", None)),
	Part("qemu", ("qemu", "test_qemu", None), mem="3G", needs=qemu_client),
	# what its programs take of a CPU's time is the test
	Part("budget", ("budget", "test_budget", 4), places=2),
	# one CPU whose clock counts instructions
	Part("cost", ("cost", "test_cost", 1), cpus=1, qemu_args="-icount shift=0,sleep=off",
	     kernels=("stock",), needs=cost_programs),
	Part("upstream", ("upstream", "test_upstream", None), kernels=("newest",), needs=upstream_selftest),
	Part("refusal", ("refusal", "test_refusal", None), ("rows", "test_refrows", None), refusal=True),
	# each of its two reports that never return takes a CPU
	Part("hang", ("hang", "test_hang", 2), cpus=3, lazy_only=True),
	Part("preempt", ("preempt", "test_preempt", 2), cmdline="preempt=full"),
	# not a kernel of make test: make test-kasan
	Part("kasan", ("kasan", "test_kasan", None), cpus=2, mem="4G", cmdline="kasan_multi_shot",
	     timeout_s=3000, kernels=("kasan",), needs=few_states),
)
