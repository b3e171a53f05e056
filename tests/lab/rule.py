# SPDX-License-Identifier: GPL-2.0-only
"""What an eager kernel (6.1 to 6.7) has to pin, computed from the range alone.

What a lazy one (6.11 and later) pins depends on the marks and their order, and
is not computed here: on such a kernel lazy() is true and windows, repins and
pages pinned are held against each other only.

A window is 512 pages of bitmap at most, less the offset of its first bit's
byte in its page.  Its pages are counted from the bytes that are left, with one
more page when they begin inside one: so the last window of a bitmap that
begins inside a page may pin a page that it does not touch.
"""

import functools
import json
import subprocess

CPU_PAGE = 4096
WINDOW_PAGES = 512

RUN_BUCKETS = 24
DENSITY_BUCKETS = 14


@functools.cache
def lazy():
	done = subprocess.run(["build/iovab", "probe", "--json"], capture_output=True, check=True)
	return json.loads(done.stdout).get("generation") == "lazy"


def pages_of(length, page_size):
	return (length - 1) // page_size + 1


def windows(length, page_size, offset=0):
	"""(first page of the range, pages of the range, CPU pages pinned) of each window."""
	pages = pages_of(length, page_size)
	total = (pages - 1) // 8 + 1
	found, base = [], 0
	while base < total:
		at = (offset + base) % CPU_PAGE
		pinned = min((total - base + CPU_PAGE - 1) // CPU_PAGE + (at != 0), WINDOW_PAGES)
		size = min(total - base, pinned * CPU_PAGE - at)
		found.append((base * 8, min(size * 8, pages - base * 8), pinned))
		base += size
	return found


def density_bucket(dirty, pages):
	"""include/iovab.h: bucket i is (2^-(14-i), 2^-(13-i)], 1 takes what is less, 0 is clean."""
	if not dirty:
		return 0
	return next(i for i in range(1, DENSITY_BUCKETS)
		    if i == DENSITY_BUCKETS - 1 or dirty * 2 ** (13 - i) <= pages)


def trimmed(histogram):
	"""As JSON shows it: without the empty buckets at the end."""
	while histogram and not histogram[-1]:
		histogram = histogram[:-1]
	return histogram
