/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The reference's static tracepoints. Each costs a jump that is not taken while
 * nobody listens.
 *
 *	iovab_ref_pin	after each attempt to pin; got is the pages, or -errno. With holes
 *			in the bitmap a window may take several
 *	iovab_ref_unpin	before pages are unpinned, a window at most at a time
 *	iovab_ref_set	each mark, before it is done
 *	iovab_ref_error	the error that sticks to a report, once
 *
 * IOVA ranges are inclusive. The object's address tells reports apart, as a number.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM iovab_ref

#if !defined(IOVAB_REF_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define IOVAB_REF_TRACE_H

#include <linux/tracepoint.h>

struct iovab_bitmap;

TRACE_EVENT(iovab_ref_pin,
	TP_PROTO(const struct iovab_bitmap *bitmap, u64 first, u64 last, long got),
	TP_ARGS(bitmap, first, last, got),
	TP_STRUCT__entry(
		__field(u64, bitmap)
		__field(u64, first)
		__field(u64, last)
		__field(long, got)
	),
	TP_fast_assign(
		__entry->bitmap = (unsigned long)bitmap;
		__entry->first = first;
		__entry->last = last;
		__entry->got = got;
	),
	TP_printk("bitmap=%#llx iova=%#llx-%#llx got=%ld",
		  __entry->bitmap, __entry->first, __entry->last, __entry->got)
);

TRACE_EVENT(iovab_ref_unpin,
	TP_PROTO(const struct iovab_bitmap *bitmap, u64 first, u64 last, u64 pages),
	TP_ARGS(bitmap, first, last, pages),
	TP_STRUCT__entry(
		__field(u64, bitmap)
		__field(u64, first)
		__field(u64, last)
		__field(u64, pages)
	),
	TP_fast_assign(
		__entry->bitmap = (unsigned long)bitmap;
		__entry->first = first;
		__entry->last = last;
		__entry->pages = pages;
	),
	TP_printk("bitmap=%#llx iova=%#llx-%#llx pages=%llu",
		  __entry->bitmap, __entry->first, __entry->last, __entry->pages)
);

TRACE_EVENT(iovab_ref_set,
	TP_PROTO(const struct iovab_bitmap *bitmap, u64 iova, u64 length),
	TP_ARGS(bitmap, iova, length),
	TP_STRUCT__entry(
		__field(u64, bitmap)
		__field(u64, iova)
		__field(u64, length)
	),
	TP_fast_assign(
		__entry->bitmap = (unsigned long)bitmap;
		__entry->iova = iova;
		__entry->length = length;
	),
	TP_printk("bitmap=%#llx iova=%#llx length=%#llx",
		  __entry->bitmap, __entry->iova, __entry->length)
);

TRACE_EVENT(iovab_ref_error,
	TP_PROTO(const struct iovab_bitmap *bitmap, int error),
	TP_ARGS(bitmap, error),
	TP_STRUCT__entry(
		__field(u64, bitmap)
		__field(int, error)
	),
	TP_fast_assign(
		__entry->bitmap = (unsigned long)bitmap;
		__entry->error = error;
	),
	TP_printk("bitmap=%#llx error=%d", __entry->bitmap, __entry->error)
);

#endif /* IOVAB_REF_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE ref_trace
#include <trace/define_trace.h>
