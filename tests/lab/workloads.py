#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The marks of a report whose cost is measured.  On the host: workloads.py FOLDER

writes those of the usual shape there, a file a workload, since an emulated CPU takes ten
times as long for them.  A mark is its IOVA and its length, two 64-bit words.
"""

import array
import itertools
import os
import random
import sys

K, G = 1 << 10, 1 << 30

PAGE_BYTES = 4 * K
MARKS_A_WORD = 4
MARK_BYTES = 16
USUAL_BYTES = 16 * G
MADE = "build/tests/cost/marks"


class Shape:
	"""Of a report: its range, and so its bitmap's words and its marks, four a word."""

	def __init__(self, range_bytes=USUAL_BYTES):
		self.range_bytes = range_bytes
		self.pages = range_bytes // PAGE_BYTES
		self.words = self.pages // 64
		self.marks = self.words * MARKS_A_WORD
		self.stride = range_bytes // self.marks		# 16 pages


# --- lists of (iova, length) ---

def none(_shape):
	return []


def a_mark_a_word(shape):
	return [(i * 64 * PAGE_BYTES, PAGE_BYTES) for i in range(shape.words)]


def ascending(shape):
	"""As a driver does it: pages in ascending order, one a mark, with gaps."""
	return [(i * shape.stride, PAGE_BYTES) for i in range(shape.marks)]


def descending(shape):
	return ascending(shape)[::-1]


def in_any_order(shape):
	marks = ascending(shape)
	random.Random(1).shuffle(marks)
	return marks


def redundant(shape):
	"""Every second of them, each twice, one mark after the other."""
	return [mark for mark in ascending(shape)[::2] for _ in (0, 1)]


def adjacent(shape):
	"""One run: each mark begins where the one before ended."""
	return [(i * PAGE_BYTES, PAGE_BYTES) for i in range(shape.marks)]


def runs(shape):
	"""Four marks that adjoin, a gap, and again: a run in each word."""
	return [((word * 64 + i) * PAGE_BYTES, PAGE_BYTES)
		for word in range(shape.words) for i in range(MARKS_A_WORD)]


def merged(shape):
	"""A mark a run, as a driver does it that joins pages: of one to eight pages."""
	dice = random.Random(1)
	return [(i * shape.stride, dice.randint(1, 8) * PAGE_BYTES) for i in range(shape.marks)]


def mixed(shape):
	"""All at once: runs and lone marks of any length, some twice, in any order."""
	dice = random.Random(2)
	marks = []
	while len(marks) < shape.marks:
		iova = dice.randrange(shape.pages - 64) * PAGE_BYTES
		for _ in range(dice.choice((1, 1, 1, 2, 4))):
			length = dice.choice((1, 1, 2, 7)) * PAGE_BYTES
			marks += [(iova, length)] * dice.choice((1, 1, 1, 2))
			iova += length
	return marks[:shape.marks]


WORKLOADS = {
	"no marks": none,
	"a mark a word": a_mark_a_word,
	"ascending": ascending,
	"adjacent": adjacent,
	"descending": descending,
	"random": in_any_order,
	"redundant": redundant,
	"runs": runs,
	"merged": merged,
	"mixed": mixed,
}
# which the goals hold near the floor, and which a little above it
ASCENDING = ("ascending", "adjacent")
OTHERS = ("descending", "random", "redundant", "runs", "merged", "mixed")
# where windows are pinned on demand: from the mark to the bitmap's end, at each mark
REPINNING = ("descending",)


def packed(name, shape):
	return array.array("Q", itertools.chain.from_iterable(WORKLOADS[name](shape))).tobytes()


def marks_of(name, shape):
	"""As the mock device takes them."""
	if shape.range_bytes != USUAL_BYTES:
		return packed(name, shape)
	with open(os.path.join(MADE, name), "rb") as file:
		return file.read()


def main(folder):
	os.makedirs(folder, exist_ok=True)
	for name in WORKLOADS:
		with open(os.path.join(folder, name), "wb") as file:
			file.write(packed(name, Shape()))


if __name__ == "__main__":
	main(sys.argv[1])
