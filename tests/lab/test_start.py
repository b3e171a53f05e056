# SPDX-License-Identifier: GPL-2.0-only
"""Before the facility is there: these run first, with no vfio in the kernel."""

import os

import expect
import harness

TESTS, test, suite = harness.registry()

G = 1 << 30


def require_module():
	"""The facility is not in the kernel, nor loaded."""
	if "iova_bitmap_alloc" in harness.kernel_symbols():
		raise harness.Skip("the facility is built into this kernel")


def require_no_vfio():
	if os.path.exists("/sys/module/vfio"):
		raise harness.Skip("vfio is in this kernel or loaded")


@test
def a_kernel_without_iova_bitmap(case):
	"""No vfio, and by modules.dep none that could be loaded: exit 4."""
	require_no_vfio()
	require_module()
	modules = "/lib/modules/" + os.uname().release
	run = case.run("iovabtop", ["unshare", "-m", "sh", "-c",
			f"mount -t tmpfs none {modules} && touch {modules}/modules.dep && "
			f"exec {harness.TOP} -b -n 1"])
	case.equal("exit status", run.status, 4)
	case.equal("lines on stderr", len(run.err().splitlines()), 1)
	case.check("no iova_bitmap" in run.err(), f"stderr: {run.err()!r}")
	case.equal("stdout", run.out(), "")


@test
def vfio_loaded_later(case):
	"""It waits, says so once, attaches by itself, and counts all of the first report on."""
	require_no_vfio()
	require_module()
	top = harness.Top(case, "sets", delay=0.2, wait=False)
	harness.wait_until(lambda: "waiting" in top.err(), "iovabtop says that it waits")
	plain = case.run("iovabtop", [harness.TOP, "-b", "-n", "1", "-d", "0.2"])
	case.equal("status of a plain run while waiting", plain.status, 0)
	case.check("waiting" in plain.out().lower(), f"plain output: {plain.out()[:200]!r}")
	case.check(top.running(), "iovabtop ended")
	harness.insert_mock(4)
	top.wait_attached()
	result = harness.migrate(case, 0, "--length", 70 * G, "--step", 300, "--pattern", "random")
	row = top.finish()[result["device"], result["pid"]]
	expected = expect.Expected("sets")
	expected.add_migrate(result, [(0, 70 * G)], 4)
	expected.check(case, row)
	expect.check_lossless(case, row)
	case.equal("times it said that it waits", top.err().count("waiting"), 1)


@test
def vfio_loaded_after_attaching(case):
	"""The facility is built in, its client a module: attached before that, it counts all of it."""
	if "iova_bitmap_alloc" not in harness.kernel_symbols():
		raise harness.Skip("the facility is in the module that is loaded later")
	require_no_vfio()
	top = harness.Top(case, "sets", delay=0.2)
	harness.insert_mock(4)
	# what the client asks for before that is counted for an unknown device
	harness.wait_until(lambda: any(name.startswith("vfio_ioctl_entry")
				       for name in harness.bpf_attached()), "the client is attached to")
	result = harness.migrate(case, 0, "--length", 70 * G, "--step", 300, "--pattern", "random")
	row = top.finish()[result["device"], result["pid"]]
	expected = expect.Expected("sets")
	expected.add_migrate(result, [(0, 70 * G)], 4)
	expected.check(case, row)
	expect.check_lossless(case, row)
	case.equal("client", row.get("client"), "vfio")
