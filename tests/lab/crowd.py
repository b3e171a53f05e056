# SPDX-License-Identifier: GPL-2.0-only
"""Many reports at once: build/crowd has a thread in each, and the devices hold them."""

import json

import harness

CROWD = "build/crowd"
WRITES = 7			# pages that each device reports


class Crowd:
	"""Reports of some devices, shared out among processes as those of VMs are."""

	def __init__(self, case, reports, devices, processes, **options):
		self.devices, self.reports = devices, reports
		self.hold(True)
		share = len(devices) // processes
		self.helpers = [harness.Helper(case, "crowd", [CROWD, reports // processes, WRITES,
			*map(harness.device_name, devices[i * share:(i + 1) * share])], **options)
				for i in range(processes)]

	def hold(self, on):
		for number in self.devices:
			harness.write(harness.engine(number, "fault_hold"), int(on))

	def release(self, case):
		"""All come to their end, and what each process saw is right."""
		self.hold(False)
		share = len(self.helpers)
		for helper in self.helpers:
			case.equal("crowd's status", helper.wait(), 0)
			case.equal("what it saw", json.loads(helper.out()),
				   {"reports": self.reports // share, "errors": 0,
				    "bits": WRITES * len(self.devices) // share})
