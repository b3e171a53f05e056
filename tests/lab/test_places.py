# SPDX-License-Identifier: GPL-2.0-only
"""Bad input and bad places: one line that says why, the documented exit code,
and nothing left attached. The last test locks the kernel down for good.
"""

import ctypes
import os

import harness

TESTS, test, suite = harness.registry()

CAP_PERFMON, CAP_BPF, CAP_SYS_ADMIN, CAP_LAST = 38, 39, 21, 40
PR_CAPBSET_DROP = 24


def keep_caps(*keep):
	"""For preexec_fn: root, but with these capabilities alone."""
	def drop():
		libc = ctypes.CDLL(None)
		for cap in range(CAP_LAST + 1):
			if cap not in keep:
				libc.prctl(PR_CAPBSET_DROP, cap, 0, 0, 0)
	return drop


def check_refusal(case, run, status, *words):
	case.equal("exit status", run.status, status)
	case.equal("stdout", run.out(), "")
	lines = run.err().splitlines()
	case.equal("lines on stderr", len(lines), 1)
	line = lines[0] if lines else ""
	case.check(line.startswith("iovabtop: ") and line.isprintable(), f"stderr: {line!r}")
	for word in words:
		case.check(word in line, f"{word!r} is not in: {line!r}")


@suite
def wrong_words(results):
	wrong = (("--tier", "x"), ("--tier", "\x1b[31mx\n"), ("--delay", "0"), ("--delay", "nan"),
		 ("--delay", "-1"), ("--delay", "1s"), ("--delay", "1e9"), ("--count", "0"),
		 ("--count", "-1"), ("--count", "x"), ("--count", "99999999999"), ("--pid", "x"),
		 ("--pid", "\x1b]0;"), ("--sort", "nosuch"), ("--sort", "\x1b[2J"), ("--nosuch",),
		 ("-Z",), ("--count",), ("word",), ("\x1b[2J",), ("-n", ""), ("--delay", ""))
	for words in wrong:
		name = "place wrong words " + " ".join(map(ascii, words))
		if not results.wanted(name):
			continue
		with results.case(name) as case:
			check_refusal(case, case.run("iovabtop", [harness.TOP, *words]), 2)


@test
def help_and_version(case):
	for option in ("--help", "--version"):
		run = case.run("iovabtop", [harness.TOP, option], preexec_fn=keep_caps())
		case.equal(option, (run.status, run.err(), bool(run.out())), (0, "", True))


@test
def not_root(case):
	before = harness.bpf_objects()
	run = case.run("iovabtop", ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
				    harness.TOP, "-b", "-n", "1"])
	check_refusal(case, run, 3, "CAP_BPF", "CAP_PERFMON", "CAP_SYS_ADMIN", "root")
	harness.check_bpf_gone(case, before, "refused")


@test
def one_capability_missing(case):
	"""Only what is missing is named."""
	names = {CAP_BPF: "CAP_BPF", CAP_PERFMON: "CAP_PERFMON", CAP_SYS_ADMIN: "CAP_SYS_ADMIN"}
	for missing, name in names.items():
		run = case.run("iovabtop", [harness.TOP, "-b", "-n", "1"],
			       preexec_fn=keep_caps(*(set(range(CAP_LAST + 1)) - {missing})))
		check_refusal(case, run, 3, name)
		others = [other for other in names.values() if other != name and other in run.err()]
		case.equal(f"others named when {name} is missing", others, [])


@test
def just_the_capabilities_that_it_names(case):
	"""These three are enough."""
	top = harness.Top(case, "sets", preexec=keep_caps(CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN))
	result = harness.migrate(case, 0, "--length", "1M", "--tracked", 4096, "--step", 5, "--rounds", 1,
				 "--pattern", "sequential")
	row = top.finish()[result["device"], result["pid"]]
	case.equal("dirty_bytes", row["total"]["dirty_bytes"], 5 * 4096)


@test
def addresses_hidden(case):
	"""As on most hosts, where CAP_SYSLOG is needed to see them: the device is known all the same."""
	file = "/proc/sys/kernel/kptr_restrict"
	before = harness.read(file)
	harness.write(file, 1)
	try:
		top = harness.Top(case, "sets", preexec=keep_caps(CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN))
		result = harness.migrate(case, 0, "--length", "1M", "--tracked", 4096, "--step", 5, "--rounds", 1,
					 "--pattern", "sequential")
		row = top.finish()[result["device"], result["pid"]]
	finally:
		harness.write(file, before)
	case.equal("client, phase", (row.get("client"), row.get("phase")), ("vfio", "stop-copy"))
	case.equal("dirty_bytes", row["total"]["dirty_bytes"], 5 * 4096)


@test
def no_type_information(case):
	before = harness.bpf_objects()
	run = case.run("iovabtop", ["unshare", "-m", "sh", "-c", "mount -t tmpfs none /sys/kernel/btf && "
				    f"exec {harness.TOP} -b -n 1"])
	check_refusal(case, run, 5, "CONFIG_DEBUG_INFO_BTF")
	harness.check_bpf_gone(case, before, "refused")


@test
def reader_gone(case):
	"""The reader of a pipe goes: it ends quietly."""
	before = harness.bpf_objects()
	worker = harness.start_migrate(case, 0, "--length", "1M", "--forever", "--interval-ms", 100)
	for options in (("-b",), ("--json",)):
		reader, writer = os.pipe()
		top = harness.Helper(case, "iovabtop", [harness.TOP, *options, "-d", "0.1"], stdout=writer)
		os.close(writer)
		case.check(os.read(reader, 1), "no output")
		os.close(reader)
		case.equal(f"status with {options[0]}", top.wait(), 0)
		case.equal("stderr", top.err(), "")
	worker.end(2)
	harness.check_bpf_gone(case, before, "after the reader went")


@test
def disk_full(case):
	before = harness.bpf_objects()
	with open("/dev/full", "wb") as full:
		run = case.run("iovabtop", [harness.TOP, "-b", "-d", "0.1"], stdout=full)
	check_refusal(case, run, 1, "No space left")
	harness.check_bpf_gone(case, before, "after an error")


@test
def lockdown(case):
	"""Mode confidentiality forbids BPF to read the kernel. There is no way back: runs last."""
	file = "/sys/kernel/security/lockdown"
	if not os.path.exists(file):
		raise harness.Skip("this kernel has no lockdown")
	harness.write(file, "integrity")
	case.equal("status in mode integrity", case.run("iovabtop", [harness.TOP, "-b", "-n", "1", "-d",
								     "0.1"]).status, 0)
	before = harness.bpf_objects()
	harness.write(file, "confidentiality")
	check_refusal(case, case.run("iovabtop", [harness.TOP, "-b", "-n", "1"]), 3, "lockdown",
		      "confidentiality")
	harness.check_bpf_gone(case, before, "refused")
