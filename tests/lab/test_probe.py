# SPDX-License-Identifier: GPL-2.0-only
"""iovab probe: what it says is what kallsyms and iovabtop say."""

import json
import os

import harness

TESTS, test, suite = harness.registry()

PROBE = ["build/iovab", "probe"]


@test
def every_hook_is_a_symbol(case):
	harness.insert_mock(1)
	run = case.run("probe", [*PROBE, "--json"])
	case.equal("status and stderr", (run.status, run.err()), (0, ""))
	found = json.loads(run.out())
	case.equal("schema", found["schema"], "iovab.probe/1")
	case.equal("kernel", found["kernel"], os.uname().release)
	case.equal("signals", [hook["signal"] for hook in found["hooks"]],
		   ["alloc", "free", "for_each", "set", "pin", "unpin"])
	symbols = harness.kernel_symbols()
	for hook in found["hooks"]:
		function = hook.get("function")
		case.check(hook["found"] == (function is None or function in symbols),
			   f"{hook}: kallsyms says otherwise")
	case.equal("vfio is a client", "vfio" in found["clients"],
		   "vfio_device_log_read_and_clear" in symbols)
	case.equal("tiers", found["tiers"], ["windows", "density", "sets"])


@test
def text_says_the_same(case):
	lines = case.run("probe", PROBE).out().splitlines()
	hooks = json.loads(case.run("probe", [*PROBE, "--json"]).out())["hooks"]
	for hook in hooks:
		case.check(any(line.split()[:2] == [hook["signal"], hook.get("function", "-")] and
			       line.endswith(hook["how"]) for line in lines),
			   f"no line for {hook}")


@test
def addresses_hidden_from_all(case):
	"""The kernel then answers for no symbol, and its list has the names alone: they are what is asked."""
	harness.have_mock(1)
	before = case.run("probe", [*PROBE, "--json"]).out()
	case.check("\"vfio\"" in before, f"no client: {before}")
	file = "/proc/sys/kernel/kptr_restrict"
	restrict = harness.read(file)
	harness.write(file, 2)
	try:
		hidden = case.run("probe", [*PROBE, "--json"]).out()
	finally:
		harness.write(file, restrict)
	case.equal("probe", hidden, before)


@test
def nothing_is_attached(case):
	before = harness.bpf_objects()
	case.run("probe", PROBE)
	harness.check_bpf_gone(case, before, "after a probe")


@test
def no_facility(case):
	"""vfio is not loaded: it may come; no such module either: it cannot."""
	harness.remove_mock()
	if "iova_bitmap_set" in harness.kernel_symbols():
		raise harness.Skip("the facility is built into this kernel")
	run = case.run("probe", PROBE)
	case.equal("status", run.status, 0)
	case.check("not there yet" in run.out(), f"saw {run.out()!r}")
	case.equal("present", json.loads(case.run("probe", [*PROBE, "--json"]).out())["present"], False)
	empty = os.path.join(case.folder, "modules")
	os.mkdir(empty)
	harness.write(os.path.join(empty, "modules.dep"), "kernel/fs/some.ko:\n")
	run = case.run("probe", ["unshare", "-m", "sh", "-c",
				 f"mount --bind {empty} /lib/modules/{os.uname().release} && exec build/iovab probe"])
	case.equal("status", run.status, 4)
	case.check("CONFIG_" in run.err() and len(run.err().splitlines()) == 1, f"saw {run.err()!r}")
