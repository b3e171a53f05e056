#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The lab's tests, in the guest: guest.py PART [WORD...]

PART is a part's name in tests/lab_parts.py: what shares one boot.  With words, only
tests whose name holds one of them.  Closes with 'N passed, N failed, N skipped'.
"""

import importlib
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

import harness
import lab_parts


def main(part, words):
	results = harness.Results(words)
	for prefix, module, devices in part.tests:
		if devices:
			harness.have_mock(devices)
		results.run(prefix, importlib.import_module(module))
	print(results.line())
	return 1 if results.failed else 0


if __name__ == "__main__":
	parts = {part.name: part for part in lab_parts.PARTS}
	if len(sys.argv) < 2 or sys.argv[1] not in parts:
		sys.exit(f"usage: guest.py {'|'.join(parts)} [WORD...]")
	sys.exit(main(parts[sys.argv[1]], sys.argv[2:]))
