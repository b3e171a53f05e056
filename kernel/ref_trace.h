/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The reference's static tracepoints. Each costs a jump that is not taken while
 * nobody listens.
 *
 *	iovab_ref_alloc	a report begins, before anything is pinned for it
 *	iovab_ref_name	for which device it is, if its driver says so
 *	iovab_ref_pin	after each attempt to pin; got is the pages, or -errno. With holes
 *			in the bitmap a window may take several
 *	iovab_ref_unpin	before pages are unpinned, a window at most at a time
 *	iovab_ref_for_each, iovab_ref_done	around the driver's part; error is what
 *			for_each is going to return
 *	iovab_ref_set	each mark, before it is done
 *	iovab_ref_error	the error that sticks to a report, once; and what of the mark that
 *			met it was not done: nothing if first is above last
 *	iovab_ref_free	it ends; all is unpinned
 *
 * IOVA ranges are inclusive. The object's address tells reports apart, as a number. A
 * BPF program is also given the array of the kernel's addresses of the pages that are
 * pinned, or will be unpinned: there they can be read, whatever becomes of their mapping
 * in the owner's memory.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM iovab_ref

#if !defined(IOVAB_REF_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define IOVAB_REF_TRACE_H

#include <linux/tracepoint.h>

struct iovab_bitmap;

TRACE_EVENT(iovab_ref_alloc,
	TP_PROTO(const struct iovab_bitmap *bitmap, u64 iova, u64 length, u32 page_shift,
		 unsigned long data, u32 policy),
	TP_ARGS(bitmap, iova, length, page_shift, data, policy),
	TP_STRUCT__entry(
		__field(u64, bitmap)
		__field(u64, first)
		__field(u64, last)
		__field(u64, data)
		__field(u32, page_shift)
		__field(u32, policy)
	),
	TP_fast_assign(
		__entry->bitmap = (unsigned long)bitmap;
		__entry->first = iova;
		__entry->last = iova + (length - 1);
		__entry->data = data;
		__entry->page_shift = page_shift;
		__entry->policy = policy;
	),
	TP_printk("bitmap=%#llx iova=%#llx-%#llx page_shift=%u data=%#llx policy=%u",
		  __entry->bitmap, __entry->first, __entry->last, __entry->page_shift,
		  __entry->data, __entry->policy)
);

TRACE_EVENT(iovab_ref_name,
	TP_PROTO(const struct iovab_bitmap *bitmap, const char *device),
	TP_ARGS(bitmap, device),
	TP_STRUCT__entry(
		__field(u64, bitmap)
		__array(char, device, 64)
	),
	TP_fast_assign(
		__entry->bitmap = (unsigned long)bitmap;
		strscpy(__entry->device, device, sizeof(__entry->device));
	),
	TP_printk("bitmap=%#llx device=%s", __entry->bitmap, __entry->device)
);

TRACE_EVENT(iovab_ref_pin,
	TP_PROTO(const struct iovab_bitmap *bitmap, u64 first, u64 last, long got, u64 ns,
		 u8 * const *addresses),
	TP_ARGS(bitmap, first, last, got, ns, addresses),
	TP_STRUCT__entry(
		__field(u64, bitmap)
		__field(u64, first)
		__field(u64, last)
		__field(long, got)
		__field(u64, ns)
	),
	TP_fast_assign(
		__entry->bitmap = (unsigned long)bitmap;
		__entry->first = first;
		__entry->last = last;
		__entry->got = got;
		__entry->ns = ns;
	),
	TP_printk("bitmap=%#llx iova=%#llx-%#llx got=%ld ns=%llu",
		  __entry->bitmap, __entry->first, __entry->last, __entry->got, __entry->ns)
);

TRACE_EVENT(iovab_ref_unpin,
	TP_PROTO(const struct iovab_bitmap *bitmap, u64 first, u64 last, u64 pages,
		 u8 * const *addresses),
	TP_ARGS(bitmap, first, last, pages, addresses),
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

DECLARE_EVENT_CLASS(iovab_ref_report,
	TP_PROTO(const struct iovab_bitmap *bitmap),
	TP_ARGS(bitmap),
	TP_STRUCT__entry(
		__field(u64, bitmap)
	),
	TP_fast_assign(
		__entry->bitmap = (unsigned long)bitmap;
	),
	TP_printk("bitmap=%#llx", __entry->bitmap)
);

DEFINE_EVENT(iovab_ref_report, iovab_ref_for_each,
	TP_PROTO(const struct iovab_bitmap *bitmap),
	TP_ARGS(bitmap)
);

DEFINE_EVENT(iovab_ref_report, iovab_ref_free,
	TP_PROTO(const struct iovab_bitmap *bitmap),
	TP_ARGS(bitmap)
);

TRACE_EVENT(iovab_ref_done,
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
	TP_PROTO(const struct iovab_bitmap *bitmap, int error, u64 first, u64 last),
	TP_ARGS(bitmap, error, first, last),
	TP_STRUCT__entry(
		__field(u64, bitmap)
		__field(u64, first)
		__field(u64, last)
		__field(int, error)
	),
	TP_fast_assign(
		__entry->bitmap = (unsigned long)bitmap;
		__entry->first = first;
		__entry->last = last;
		__entry->error = error;
	),
	TP_printk("bitmap=%#llx error=%d iova=%#llx-%#llx",
		  __entry->bitmap, __entry->error, __entry->first, __entry->last)
);

#endif /* IOVAB_REF_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE ref_trace
#include <trace/define_trace.h>
