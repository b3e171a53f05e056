# SPDX-License-Identifier: GPL-2.0-only
"""A real headless Chromium, spoken to through its pipe (DevTools protocol).

It notes every request, every message on the console and every exception of the
page, so that a test can say that there were none.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find():
	"""The program, or None."""
	return next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:
	def __init__(self, width=1280, height=900, timeout_s=60):
		self.timeout_s = timeout_s
		self.profile = tempfile.mkdtemp(prefix="iovab-chromium-")
		to_browser, self.out = os.pipe()
		self.inp, from_browser = os.pipe()
		# it reads descriptor 3 and writes descriptor 4
		self.process = subprocess.Popen(
			["sh", "-c", f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}', find(),
			 "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--no-first-run",
			 "--disable-gpu", "--disable-dev-shm-usage", "--disable-component-update",
			 "--disable-background-networking", "--hide-scrollbars",
			 f"--user-data-dir={self.profile}", f"--window-size={width},{height}", "about:blank"],
			pass_fds=(to_browser, from_browser), stdin=subprocess.DEVNULL,
			stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
		os.close(to_browser)
		os.close(from_browser)
		self.number = 0
		self.buffer = b""
		self.session = None
		self.events = []
		self.requests, self.console, self.exceptions = [], [], []
		target = self.call("Target.createTarget", url="about:blank")["targetId"]
		self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
		for domain in ("Page", "Runtime", "Log", "Network"):
			self.call(domain + ".enable")
		self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
			  deviceScaleFactor=1, mobile=False)

	def close(self):
		os.close(self.out)
		os.close(self.inp)
		try:
			self.process.wait(5)
		except subprocess.TimeoutExpired:
			self.process.kill()
			self.process.wait()
		shutil.rmtree(self.profile, ignore_errors=True)

	def __enter__(self):
		return self

	def __exit__(self, *_):
		self.close()

	# --- the protocol ---

	def read_message(self, end):
		while b"\0" not in self.buffer:
			ready, _, _ = select.select([self.inp], [], [], max(0, end - time.monotonic()))
			assert ready, "the browser does not answer"
			data = os.read(self.inp, 1 << 20)
			assert data, "the browser ended"
			self.buffer += data
		text, self.buffer = self.buffer.split(b"\0", 1)
		return json.loads(text)

	def note(self, event):
		method, params = event.get("method"), event.get("params", {})
		self.events.append(method)
		if method == "Network.requestWillBeSent":
			self.requests.append(params["request"]["url"])
		elif method == "Runtime.consoleAPICalled":
			self.console.append(str([a.get("value") for a in params["args"]]))
		elif method == "Log.entryAdded":
			self.console.append(params["entry"]["text"])
		elif method == "Runtime.exceptionThrown":
			self.exceptions.append(params["exceptionDetails"])
		elif method == "Page.javascriptDialogOpening":
			self.exceptions.append("a dialog: " + params["message"])

	def call(self, method, **params):
		self.number += 1
		message = {"id": self.number, "method": method, "params": params}
		if self.session:
			message["sessionId"] = self.session
		os.write(self.out, json.dumps(message).encode() + b"\0")
		end = time.monotonic() + self.timeout_s
		while True:
			answer = self.read_message(end)
			if answer.get("id") != self.number:
				self.note(answer)
				continue
			assert "error" not in answer, f"{method}: {answer['error']}"
			return answer["result"]

	# --- what a test does ---

	def open(self, path):
		self.events.clear()
		self.call("Page.navigate", url="file://" + os.path.abspath(path))
		end = time.monotonic() + self.timeout_s
		while "Page.loadEventFired" not in self.events:
			self.note(self.read_message(end))

	def run(self, script):
		"""The value of an expression in the page; a promise is waited for."""
		result = self.call("Runtime.evaluate", expression=script, returnByValue=True,
				   awaitPromise=True)
		assert "exceptionDetails" not in result, result["exceptionDetails"]
		return result["result"].get("value")

	def wait(self, condition):
		"""Until an expression in the page is true."""
		end = time.monotonic() + self.timeout_s
		while not self.run(condition):
			assert time.monotonic() < end, f"never true: {condition}"
			time.sleep(0.02)

	def media(self, media="", scheme="light"):
		self.call("Emulation.setEmulatedMedia", media=media,
			  features=[{"name": "prefers-color-scheme", "value": scheme}])

	def move(self, x, y):
		self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

	def settle(self):
		"""Two frames: what was to be drawn is."""
		self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

	def screenshot(self, path, whole=False):
		data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
		with open(path, "wb") as file:
			file.write(base64.b64decode(data))

	def pdf(self, path):
		data = self.call("Page.printToPDF", printBackground=True)["data"]
		with open(path, "wb") as file:
			file.write(base64.b64decode(data))
