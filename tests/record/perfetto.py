# SPDX-License-Identifier: GPL-2.0-only
"""Reads a Perfetto trace back, by protobuf's own decoder and perfetto.proto here."""

import os
import shutil
import subprocess

PROTO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "perfetto.proto")
SLICE_BEGIN, SLICE_END, COUNTER = 1, 2, 4


def available():
	return shutil.which("protoc") is not None


def parse(lines):
	"""The decoder's text: field -> list of numbers, strings and messages."""
	message = {}
	for line in lines:
		line = line.strip()
		if line == "}":
			return message
		if line.endswith(" {"):
			message.setdefault(line[:-2], []).append(parse(lines))
			continue
		field, value = line.split(": ", 1)
		# a field that the description does not have is shown by its number
		assert not field.isdigit(), f"an unknown field: {line}"
		value = unquote(value) if value.startswith('"') else int(value)
		message.setdefault(field, []).append(value)
	return message


def unquote(text):
	"""A string of the text format: escapes of bytes in octal, and UTF-8 behind them."""
	return text[1:-1].encode("ascii").decode("unicode_escape").encode("latin-1").decode("utf-8")


def only(message, field, default=None):
	values = message.get(field, [default])
	assert len(values) == 1, f"{field}: {len(values)} of them"
	return values[0]


def arguments(event):
	values = {}
	for a in event.get("debug_annotations", []):
		name = only(a, "name")
		kinds = [k for k in ("uint_value", "pointer_value", "string_value") if k in a]
		assert len(kinds) == 1 and name not in values, a
		values[name] = only(a, kinds[0])
	return values


class Track:
	def __init__(self, descriptor):
		self.uuid = only(descriptor, "uuid")
		self.parent = only(descriptor, "parent_uuid", 0)
		self.name = only(descriptor, "name", "")


class Trace:
	"""Tracks by uuid; slices as (track, begin, end, name, arguments, depth); counters."""

	def __init__(self, path):
		with open(path, "rb") as file:
			text = subprocess.run(["protoc", "-I" + os.path.dirname(PROTO), "--decode=Trace",
					       PROTO], stdin=file, capture_output=True, text=True, check=True)
		self.tracks, self.slices, self.counters, self.clocks = {}, [], {}, {}
		self.primary = None
		stacks = {}
		for packet in parse(iter(text.stdout.splitlines())).get("packet", []):
			assert only(packet, "trusted_packet_sequence_id") == 1
			if "clock_snapshot" in packet:
				snapshot = only(packet, "clock_snapshot")
				self.clocks = {only(c, "clock_id"): only(c, "timestamp")
					       for c in snapshot["clocks"]}
				self.primary = only(snapshot, "primary_trace_clock")
			elif "track_descriptor" in packet:
				track = Track(only(packet, "track_descriptor"))
				assert track.uuid not in self.tracks, f"track {track.uuid} twice"
				self.tracks[track.uuid] = track
			else:
				self.take_event(packet, stacks)
		assert not any(stacks.values()), "slices that do not end"

	def take_event(self, packet, stacks):
		event, now = only(packet, "track_event"), only(packet, "timestamp")
		kind, track = only(event, "type"), only(event, "track_uuid")
		assert only(packet, "timestamp_clock_id") == 3, "not CLOCK_MONOTONIC"
		assert track in self.tracks, "an event before its track"
		stack = stacks.setdefault(track, [])
		if kind == COUNTER:
			self.counters.setdefault(track, []).append((now, only(event, "counter_value")))
		elif kind == SLICE_BEGIN:
			assert not stack or now >= stack[-1][0], "begins before what it is in"
			stack.append((now, event))
		else:
			assert kind == SLICE_END and stack, f"type {kind}"
			begin, opened = stack.pop()
			assert now >= begin, "ends before it begins"
			self.slices.append((track, begin, now, only(opened, "name"), arguments(opened),
					    len(stack)))
