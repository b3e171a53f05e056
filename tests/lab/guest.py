#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The lab's tests, in the guest: guest.py PART [WORD...]

PART is a name of PARTS: what shares one boot.  With words, only tests whose
name holds one of them.  Closes with 'N passed, N failed, N skipped'.
"""

import importlib
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import harness

# prefix of the tests' names, module, devices to have (None: the tests see to it)
PARTS = {
	"exact": (("exact", "test_exact", 2),),
	"cases": (("cases", "test_cases", 2),),
	"reference": (("rows", "test_refrows", None), ("reference", "test_ref", 2)),
	"kasan": (("kasan", "test_kasan", None),),
	"hang": (("hang", "test_hang", 2),),
	# first those that find clients' modules not loaded
	"life": (("hwpt", "test_hwpt", None), ("probe", "test_probe", None),
		 ("start", "test_start", None), ("life", "test_life", 70), ("phase", "test_phase", 2),
		 ("kprobe", "test_kprobe", 2),
		 ("cdev", "test_cdev", 70), ("identity", "test_identity", None),
		 ("screen", "test_screen", None), ("record", "test_record", 2),
		 # last: it locks the kernel down
		 ("place", "test_places", None)),
	"preempt": (("preempt", "test_preempt", 2),),
	"reattach": (("reattach", "test_reattach", 2),),
	"cost": (("cost", "test_cost", 1),),
	"upstream": (("upstream", "test_upstream", None),),
	"refusal": (("refusal", "test_refusal", None), ("rows", "test_refrows", None)),
	"qemu": (("qemu", "test_qemu", None),),
	"exporter": (("exporter", "test_exporter", 4), ("budget", "test_budget", 4),
		     # last: many devices
		     ("crowd", "test_crowd", None)),
}


def main(part, words):
	results = harness.Results(words)
	for prefix, module, devices in PARTS[part]:
		if devices:
			harness.have_mock(devices)
		results.run(prefix, importlib.import_module(module))
	print(results.line())
	return 1 if results.failed else 0


if __name__ == "__main__":
	if len(sys.argv) < 2 or sys.argv[1] not in PARTS:
		sys.exit(f"usage: guest.py {'|'.join(PARTS)} [WORD...]")
	sys.exit(main(sys.argv[1], sys.argv[2:]))
