# SPDX-License-Identifier: GPL-2.0-only
"""iovab-exporter on the real thing: its counters against the mock's truth, by
itself and through a real Prometheus; what it gives up; what it leaves behind.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.parse
import urllib.request

import harness

TESTS, test, suite = harness.registry()

EXPORTER = "build/iovab-exporter"
PORT = 10046
PROMETHEUS_PORT = 19090
NOBODY = 65534
CAPS = "+bpf,+perfmon,+sys_admin,+syslog"

SAMPLE = re.compile(r'^(\w+)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def parse(text):
	"""{(name, labels as a sorted tuple): value}"""
	samples = {}
	for line in text.splitlines():
		found = SAMPLE.match(line) if not line.startswith("#") else None
		if found:
			labels = tuple(sorted(LABEL.findall(found[2] or "")))
			samples[found[1], labels] = float(found[3])
	return samples


def get(url, **headers):
	request = urllib.request.Request(url, headers=headers)
	with urllib.request.urlopen(request, timeout=60) as answer:
		return answer.read().decode()


def need_exporter():
	if not os.path.exists(EXPORTER):
		raise harness.Skip("iovab-exporter was not built: a library of it is missing")


class Exporter(harness.Helper):
	"""Runs as the unit runs it: a user of its own, four capabilities, no more to get."""

	def __init__(self, case, *args, caps=CAPS, wrap=(), user=NOBODY):
		need_exporter()
		if "--budget" not in args:
			args = (*args, "--budget", "off")	# under emulation everything takes too much
		super().__init__(case, "exporter", [*wrap, "setpriv", "--reuid", user, "--regid", user,
						    "--clear-groups", "--inh-caps=-all," + caps,
						    "--ambient-caps=-all," + caps,
						    "--bounding-set=-all," + caps, "--no-new-privs",
						    EXPORTER, "-v", *args])

	def scrape(self):
		return parse(get(f"http://127.0.0.1:{PORT}/metrics"))

	def ready(self):
		if not self.running():
			raise harness.Unmet(f"{self.name} ended with {self.process.returncode}: "
					    f"{self.err().strip()[-300:]}")
		try:
			return self.scrape()
		except OSError:
			return None

	def wait_ready(self):
		return harness.wait_until(self.ready, "the exporter answers")

	def wait_attached(self):
		harness.wait_until(lambda: self.ready() and "capabilities given up" in self.err(),
				   "the exporter attaches")

	def status(self, key):
		return re.search(rf"^{key}:\s*(\S+)", harness.read(f"/proc/{self.pid}/status"), re.M)[1]


def device_sum(samples, name, number, **more):
	"""The sum of a metric over the series of a device; None without one."""
	found = [value for (metric, labels), value in samples.items() if metric == name and
		 ("device", harness.device_name(number)) in labels and
		 all((key, text) in labels for key, text in more.items())]
	return sum(found) if found else None


def check_counters(case, samples, number, result, truth):
	"""Counters of one device, which only these runs used, against the client and the mock."""
	for name, expected in {
		"iovab_reports_total": result["reports"], "iovab_report_errors_total": 0,
		"iovab_marks_total": truth["marks"], "iovab_marked_bytes_total": truth["marked_bytes"],
		"iovab_dirty_bytes_total": truth["distinct_bytes"], "iovab_lost_bytes_total": 0,
		"iovab_redundant_bytes_total": truth["marked_bytes"] - truth["distinct_bytes"],
		"iovab_stray_total": 0, "iovab_pin_failures_total": 0,
		"iovab_report_duration_seconds_count": result["reports"],
		"iovab_rounds_total": result["rounds"],
		"iovab_last_migration_rounds": result["rounds"],
		"iovab_empty_marks_total": 0, "iovab_wild_marks_total": 0, "iovab_pinned_pages": 0, "iovab_reports_in_flight": 0,
	}.items():
		case.equal(name, device_sum(samples, name, number), expected)
	windows = device_sum(samples, "iovab_windows_total", number)
	case.equal("windows in the density histogram",
		   device_sum(samples, "iovab_window_density_ratio_count", number), windows)
	case.equal("windows without a dirty page",
		   device_sum(samples, "iovab_window_density_ratio_bucket", number, le="0.0"),
		   device_sum(samples, "iovab_clean_windows_total", number))
	case.check(device_sum(samples, "iovab_pin_duration_seconds_count", number) >= windows,
		   "fewer pins than windows")
	took = device_sum(samples, "iovab_report_duration_seconds_sum", number)
	downtime = device_sum(samples, "iovab_last_migration_downtime_seconds", number)
	case.check(downtime is not None and 0 < downtime < took, f"downtime {downtime} of {took} s in reports")


def difference(after, before):
	return {key: after[key] - before[key] for key in after}


def run_migration(case, number, *args):
	before = harness.truth(number)
	result = harness.migrate(case, number, *args)
	return result, difference(harness.truth(number), before)


# So long that a look falls into it: a process that is gone by then does not tell its VM's name.
MIGRATION = ("--length", "1G", "--step", 300, "--rounds", 3, "--interval-ms", 500, "--pattern", "random",
	     "-name", "guest=web-1")


@contextlib.contextmanager
def addresses_hidden():
	"""The kernel's, as on most hosts: they take CAP_SYSLOG to be seen."""
	paranoid = "/proc/sys/kernel/perf_event_paranoid"
	before = harness.read(paranoid)
	harness.write(paranoid, 3)
	try:
		yield
	finally:
		harness.write(paranoid, before)


@test
def counters_are_the_mocks(case):
	"""The kernel's addresses hidden, and it has no capability left, and none to get."""
	with addresses_hidden():
		check_counters_of_migration(case)


def check_counters_of_migration(case):
	exporter = Exporter(case, "-t", "sets")
	exporter.wait_attached()
	for key in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
		case.equal(key, int(exporter.status(key), 16), 0)
	case.equal("NoNewPrivs", exporter.status("NoNewPrivs"), "1")
	result, truth = run_migration(case, 0, *MIGRATION)
	samples = exporter.scrape()
	check_counters(case, samples, 0, result, truth)
	labels = next(dict(labels) for (name, labels) in samples if name == "iovab_device_info")
	case.equal("labels", {key: labels.get(key) for key in ("client", "device", "driver", "vm")},
		   {"client": "vfio", "device": "iovab-mock.0", "driver": "iovab-mock", "vm": "web-1"})
	case.equal("its labels", {name for key, in_labels in samples if key.startswith("iovab_reports")
				  for name, _ in in_labels}, {"client", "device", "driver", "vm"})
	case.equal("iovab_up", samples["iovab_up", ()], 1)
	case.equal("iovab_attached", samples["iovab_attached", ()], 1)
	case.equal("iovab_events_lost_total", samples["iovab_events_lost_total", ()], 0)
	memory = samples["process_resident_memory_bytes", ()] / 2 ** 20
	case.check(memory < 32, f"it takes {memory:.1f} MiB with one device")
	end = device_sum(samples, "iovab_last_migration_end_timestamp_seconds", 0)
	case.check(end and 0 <= time.time() - end < 60, f"the last migration ended at {end}")
	case.equal("status", exporter.end(), 0)


@test
def density_sum_and_no_syslog(case):
	"""The histogram's sum: one window of 1 GiB, every page of the first 64 MiB dirty, in one report.

	The device is known without CAP_SYSLOG, too.
	"""
	with addresses_hidden():
		exporter = Exporter(case, caps="+bpf,+perfmon,+sys_admin")
		exporter.wait_attached()
		result, _ = run_migration(case, 1, "--length", "1G", "--step", 16384, "--rounds", 1,
					  "--pattern", "sequential")
	case.equal("CapPrm", int(exporter.status("CapPrm"), 16), 0)
	samples = exporter.scrape()
	case.equal("reports", device_sum(samples, "iovab_reports_total", 1), 2)
	windows = device_sum(samples, "iovab_window_density_ratio_count", 1)
	case.check(windows >= 1, f"{windows} windows")
	seen = device_sum(samples, "iovab_window_density_ratio_sum", 1)
	case.check(abs(seen - 1 / 16) < 1e-6, f"sum of densities: expected 0.0625, saw {seen}")
	case.check(device_sum(samples, "iovab_marks_total", 1) is None, "marks are there at tier density")
	exporter.end()


@test
def killed_and_restarted(case):
	"""The kernel holds nothing of the old one; the new one begins at nothing."""
	before = harness.bpf_objects()
	exporter = Exporter(case)
	exporter.wait_attached()
	run_migration(case, 2, *MIGRATION)
	case.check(device_sum(exporter.scrape(), "iovab_reports_total", 2), "no reports")
	exporter.end(signal.SIGKILL)
	harness.check_bpf_gone(case, before, "after kill -9")
	exporter = Exporter(case)
	exporter.wait_attached()
	case.equal("reports of a new one", device_sum(exporter.scrape(), "iovab_reports_total", 2), None)
	result, _ = run_migration(case, 2, *MIGRATION)
	case.equal("reports", device_sum(exporter.scrape(), "iovab_reports_total", 2), result["reports"])
	exporter.end()


@test
def waits_for_the_module(case):
	"""The facility's, or that of its client: it keeps its capabilities until it needs them no more."""
	if not os.path.exists("/sys/module/vfio/refcnt"):
		raise harness.Skip("vfio is no module here: there is nothing to wait for")
	harness.remove_mock()
	exporter = Exporter(case)
	samples = exporter.wait_ready()
	case.equal("iovab_up", samples["iovab_up", ()], 1)
	case.equal("iovab_attached", samples["iovab_attached", ()],
		   int(b"iova_bitmap_set" in open("/sys/kernel/btf/vmlinux", "rb").read()))
	case.check(int(exporter.status("CapEff"), 16), "it has no capability while it waits")
	case.equal("lines that say so", exporter.err().count("vfio is not loaded"), 1)
	harness.insert_mock(4)
	exporter.wait_attached()
	case.equal("CapEff", int(exporter.status("CapEff"), 16), 0)
	result, _ = run_migration(case, 3, *MIGRATION)
	case.equal("reports", device_sum(exporter.scrape(), "iovab_reports_total", 3), result["reports"])
	exporter.end()


@test
def nothing_to_watch(case):
	"""A kernel without type information: it serves iovab_up 0, says why, and keeps no capability."""
	before = harness.bpf_objects()
	exporter = Exporter(case, wrap=("unshare", "-m", "sh", "-c",
					"mount -t tmpfs none /sys/kernel/btf && exec \"$@\"", "sh"))
	samples = exporter.wait_ready()
	case.equal("iovab_up", samples["iovab_up", ()], 0)
	case.check(not any(name == "iovab_tier" for name, _ in samples), "a tier of nothing")
	lines = [line for line in exporter.err().splitlines() if "CONFIG_DEBUG_INFO_BTF" in line]
	case.equal("lines that say why", len(lines), 1)
	case.equal("CapPrm", int(exporter.status("CapPrm"), 16), 0)
	case.equal("status", exporter.end(), 0)
	harness.check_bpf_gone(case, before, "refused")


@test
def capability_missing(case):
	"""One line, which and how to give it, exit code 3."""
	exporter = Exporter(case, caps="+bpf,+sys_admin,+syslog")
	case.equal("status", exporter.wait(), 3)
	lines = exporter.err().splitlines()
	case.equal("lines", len(lines), 1)
	case.check("CAP_PERFMON missing" in lines[0] and "grant it" in lines[0], lines[0])


@test
def socket_of_systemd(case):
	need_exporter()
	if not shutil.which("systemd-socket-activate"):
		raise harness.Skip("systemd-socket-activate is not installed")
	# in a network of its own, as the unit has it: what it needs is the socket alone;
	# a kernel without network namespaces (the lab's own) has no other network
	apart = ["unshare", "-n"]
	if subprocess.run([*apart, "true"], capture_output=True).returncode:
		apart = []
	exporter = harness.Helper(case, "exporter", ["systemd-socket-activate", "-l", f"127.0.0.1:{PORT}",
						     *apart, EXPORTER, "--web.systemd-socket"])
	def scrape():
		try:
			return parse(get(f"http://127.0.0.1:{PORT}/metrics"))
		except OSError:
			return None
	samples = harness.wait_until(scrape, "an answer")
	case.equal("iovab_attached", samples["iovab_attached", ()], 1)
	exporter.end()


# --- a real Prometheus ---------------------------------------------------------

class Prometheus(harness.Helper):
	def __init__(self, case):
		folder = os.path.join(case.folder, "prometheus")
		os.mkdir(folder)
		config = harness.read("packaging/prometheus/scrape.yml")
		config = re.sub(r"(scrape|evaluation)_interval: 15s", r"\1_interval: 1s", config)
		harness.write(os.path.join(folder, "prometheus.yml"), config)
		for name in ("rules.yml", "alerts.yml"):
			shutil.copy(f"packaging/prometheus/{name}", folder)
		super().__init__(case, "prometheus", [
			"prometheus", f"--config.file={folder}/prometheus.yml",
			f"--storage.tsdb.path={folder}/data",
			f"--web.listen-address=127.0.0.1:{PROMETHEUS_PORT}"])

	def query(self, text):
		"""[(labels, value)]"""
		url = f"http://127.0.0.1:{PROMETHEUS_PORT}/api/v1/query?"
		answer = json.loads(get(url + urllib.parse.urlencode({"query": text})))
		return [(one["metric"], float(one["value"][1])) for one in answer["data"]["result"]]

	def samples(self):
		return {(labels.pop("__name__"), tuple(sorted(labels.items()))): value
			for labels, value in self.query('{job="iovab",instance!=""}')}

	def wait_reports(self, number, reports):
		"""Of a device; it scrapes once a second."""
		series = f'sum(iovab_reports_total{{device="{harness.device_name(number)}"}})'

		harness.wait_until(lambda: [value for _, value in self.query(series)] == [reports],
				   f"Prometheus has {reports} reports", poll_s=0.3)

	def answers(self):
		if not self.running():
			raise harness.Unmet(f"prometheus ended: {self.err()[-500:]}")
		try:
			return self.query("up") and self.query('up{job="iovab"} == 1')
		except OSError:
			return None


def dashboard_queries():
	dashboard = json.loads(harness.read("packaging/grafana/iovab.json"))
	for panel in dashboard["panels"]:
		for target in panel["targets"]:
			text = target["expr"].replace("$__rate_interval", "1m")
			yield panel["title"], text.replace("$instance", ".*").replace("$device", ".*")


def rule_queries():
	text = harness.read("packaging/prometheus/rules.yml")
	for record in re.findall(r"record: (\S+)", text):
		yield "rule", record


@test
def real_prometheus(case):
	"""Its counters are the mock's; each query of rules and dashboard returns data; a restart is a reset."""
	if not shutil.which("prometheus"):
		raise harness.Skip("prometheus is not installed")
	if os.environ.get("IOVAB_LAB") != "stock":
		raise harness.Skip("what Prometheus makes of the metrics is the same with each kernel: "
				   "it is run with stock alone, for it takes long")
	# a budget that cannot be used up, for its metrics are asked for, too
	exporter = Exporter(case, "-t", "sets", "--budget", "10000")
	exporter.wait_attached()
	prometheus = Prometheus(case)
	harness.wait_until(prometheus.answers, "Prometheus scrapes")
	# one run that it sees grow, and whose figures are checked
	worker = harness.start_migrate(case, 3, "--length", "1G", "--step", 50, "--interval-ms", 1000,
				       "--rounds", 8, "--pattern", "random", "-name", "guest=web-2")
	before = harness.truth(3)
	result = harness.finish_migrate(worker)[0]
	truth = difference(harness.truth(3), before)
	prometheus.wait_reports(3, result["reports"])
	check_counters(case, prometheus.samples(), 3, result, truth)

	without = [f"{where}: {text}" for where, text in (*dashboard_queries(), *rule_queries())
		   if not prometheus.query(text)]
	case.equal("queries without data", without, [])

	exporter.end(signal.SIGKILL)
	exporter = Exporter(case, "-t", "sets")
	exporter.wait_attached()
	again, _ = run_migration(case, 3, "--length", "1G", "--step", 50, "--rounds", 3,
				 "--interval-ms", 700, "-name", "guest=web-2")
	prometheus.wait_reports(3, again["reports"])
	resets = prometheus.query('resets(iovab_reports_total{device="iovab-mock.3"}[2m])')
	case.equal("resets", [value for _, value in resets], [1])
	exporter.end()
	prometheus.end()
