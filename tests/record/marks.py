# SPDX-License-Identifier: GPL-2.0-only
"""The marks of a recording, read as docs/recording.md says and by nothing of iovab's."""

import contextlib
import ctypes
import sqlite3

WRAP = 1 << 64

ZSTD = ctypes.CDLL("libzstd.so.1")
ZSTD.ZSTD_getFrameContentSize.restype = ctypes.c_uint64
ZSTD.ZSTD_getFrameContentSize.argtypes = (ctypes.c_char_p, ctypes.c_size_t)
ZSTD.ZSTD_decompress.restype = ctypes.c_size_t
ZSTD.ZSTD_decompress.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t)


def decompressed(data):
	"""A frame of zstd that tells its size."""
	size = ZSTD.ZSTD_getFrameContentSize(data, len(data))
	assert size < 1 << 32, "a frame without a size"
	room = ctypes.create_string_buffer(size)
	assert ZSTD.ZSTD_decompress(room, size, data, len(data)) == size, "a bad frame"
	return room.raw


def numbers(data):
	value = shift = 0
	for byte in data:
		value |= (byte & 0x7f) << shift
		shift += 7
		if not byte & 0x80:
			yield value
			value = shift = 0
	assert not shift, "a number that is cut off"


def signed(zigzag):
	return zigzag >> 1 ^ -(zigzag & 1)


def unpack(iova, page_size, data):
	"""The runs of a chunk: where, how long each mark, how many."""
	end, mark_pages, runs, source = iova, 1, [], numbers(decompressed(data))
	for number in source:
		kind, value = number & 3, number >> 2
		if kind == 2:
			mark_pages = value
			continue
		if kind == 3:
			start, length, count = (end + signed(next(source))) % WRAP, next(source), value
		else:
			page = (end - iova) % WRAP // page_size + signed(value)
			start, length = iova + page * page_size, mark_pages * page_size
			count = next(source) + 2 if kind == 1 else 1
		runs.append((start, length, count))
		end = (start + length * count) % WRAP
	return runs


def of_reports(path, pids=None):
	"""By the serial number of the report: its marks, each (iova, length), in order.

	@pids: of these processes alone.
	"""
	reports = {}
	of_these = f"AND pid IN ({','.join(map(str, pids))})" if pids else ""
	with contextlib.closing(sqlite3.connect(path)) as db:
		rows = db.execute("SELECT m.report, m.iova, m.page_size, m.marks, m.runs, m.data FROM marks AS m "
				  f"JOIN source ON source.id = m.source_id {of_these} ORDER BY m.rowid")
		for report, iova, page_size, marks, n_runs, data in rows:
			runs = unpack(iova % WRAP, page_size, data)
			assert (sum(run[2] for run in runs), len(runs)) == (marks, n_runs), "a chunk's own counts"
			reports.setdefault(report, []).extend(
				(start + n * length, length) for start, length, count in runs for n in range(count))
	return reports
