# SPDX-License-Identifier: GPL-2.0-only
"""The reference's tests on a kernel that watches itself (role kasan): KASAN, lockdep,
kmemleak.  iovab is attached beside, so its programs run there as well.

The kernel's log is followed from the beginning, for a test may clear it and its memory
is small.  Reports in it are what fails here; the tests themselves are cases as ever.
"""

import os
import re
import subprocess
import time

import harness
import test_ref
import test_refrows

TESTS, test, suite = harness.registry()

LOG = "/run/iovab-kmsg"
KMEMLEAK = "/sys/kernel/debug/kmemleak"
AGE_S = 6	# kmemleak does not report what is younger than 5 s
ATTACH_S = 600	# the verifier is not watched for nothing

REPORTS = ("BUG: ", "WARNING: ", "kmemleak: ", "possible recursive locking", "possible circular locking",
	   "inconsistent lock state", "suspicious RCU usage", "sleeping function called", "list_add corruption",
	   "list_del corruption", "bad page", "Oops", "general protection", "INFO: trying to register")
# What kmemleak says when all is well
KMEMLEAK_SAYS = ("Kernel memory leak detector initialized", "Automatic memory scanning")


def config():
	return subprocess.run(["zcat", "/proc/config.gz"], capture_output=True, text=True, check=True).stdout


def reports():
	return [line for line in harness.read(LOG).splitlines()
		if any(word in line for word in REPORTS) and not any(word in line for word in KMEMLEAK_SAYS)]


@test
def the_kernel_watches_itself(case):
	for option in ("KASAN", "PROVE_LOCKING", "DEBUG_KMEMLEAK"):
		case.check(f"CONFIG_{option}=y" in config(), f"this kernel is not of role kasan: no CONFIG_{option}")
	harness.mount_debugfs()
	subprocess.Popen(["sh", "-c", f"exec cat /dev/kmsg > {LOG}"])
	harness.wait_until(lambda: os.path.exists(LOG) and harness.read(LOG), "the kernel's log is read")
	case.check("kmemleak: Kernel memory leak detector initialized" in harness.read(LOG),
		   "kmemleak was not initialized, or the log's beginning is lost")
	harness.write(KMEMLEAK, "clear")	# what booting left is not ours


@suite
def the_references_tests(results):
	work = test_refrows.Script("all dirty", test_refrows.CACHED, 66 << 30, [(0, 66 << 30)], offset=0xff1)
	with results.case("kasan iovab attached beside") as case:
		harness.have_mock(2)
		test_ref.insert_reference()
		top = harness.Top(case, "sets", delay=1, wait=False)
		harness.wait_until(top.attached, "iovabtop attaches", ATTACH_S)
		work.run(case)
		results.run("reference", test_ref)
		row = top.finish().get((work.device, work.pid))
		case.require(row, "no row for the first report")
		work.check(case, "sets", row)


def locks_are_watched():
	stats = harness.read("/proc/lockdep_stats")
	return re.search(r"debug_locks: +1", stats)


@test
def modules_go(case):
	for module in ("iovab_ref_kunit", "iovab_mock_ref", "iovab_ref"):
		if os.path.exists("/sys/module/" + module):
			subprocess.run(["rmmod", module], check=True)


@test
def nothing_is_reported(case):
	"""Twice, since a scan can take for lost what is just being moved."""
	for _ in range(2):
		time.sleep(AGE_S)
		harness.write(KMEMLEAK, "scan")
	leaks = harness.read(KMEMLEAK)
	case.check(not leaks, f"kmemleak: {leaks[:2000]}")
	case.check(locks_are_watched(), "lockdep has turned itself off")
	found = reports()
	case.check(not found, f"{len(found)} lines in the kernel's log, the first: {found[:5]}")
	harness.write(os.path.join(harness.RESULTS, "kernel.log"), harness.read(LOG))
