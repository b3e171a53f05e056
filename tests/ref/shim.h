/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * As much of a kernel as the reference implementation needs, in user space.
 *
 * Every <linux/...> header that its sources include is this one (tests/ref.mk makes
 * them); they are compiled as they are. What pins and allocates is in shim.c, for
 * tests, or in bench_shim.c, for measuring.
 */
#ifndef SHIM_H
#define SHIM_H

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <asm/types.h>

typedef __u8 u8;
typedef __u32 u32;
typedef __u64 u64;
typedef unsigned int gfp_t;

#define __user
#ifndef __always_inline
#define __always_inline	inline __attribute__((always_inline))
#endif
#define noinline	__attribute__((noinline))
#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)
#define ilog2(n)	(31 - __builtin_clz(n))
#define U64_MAX		(~0ULL)
#define min(a, b)	((a) < (b) ? (a) : (b))
#define max(a, b)	((a) > (b) ? (a) : (b))

#define EXPORT_SYMBOL_GPL(symbol)	struct shim_semicolon
#define MODULE_LICENSE(text)		struct shim_semicolon
#define MODULE_DESCRIPTION(text)	struct shim_semicolon

/* linux/tracepoint.h: nobody listens */
#define TP_PROTO(...)	__VA_ARGS__
#define TRACE_EVENT(name, proto, ...)						\
	static inline void trace_##name(proto) { }				\
	static inline bool trace_##name##_enabled(void) { return false; }	\
	struct shim_semicolon
#define DECLARE_EVENT_CLASS(name, ...)	struct shim_semicolon
#define DEFINE_EVENT(class, name, proto, ...)	TRACE_EVENT(name, proto)

/* linux/ktime.h: asked for by nobody but who listens */
static inline u64 ktime_get_ns(void)
{
	return 0;
}

/* linux/err.h */
#define MAX_ERRNO	4095

static inline void *ERR_PTR(long error)
{
	return (void *)error;
}

static inline long PTR_ERR(const void *ptr)
{
	return (long)ptr;
}

static inline bool IS_ERR(const void *ptr)
{
	return (unsigned long)ptr >= (unsigned long)-MAX_ERRNO;
}

static inline bool IS_ERR_OR_NULL(const void *ptr)
{
	return !ptr || IS_ERR(ptr);
}

/* memory of the kernel's own */
#define GFP_KERNEL_ACCOUNT	0u
#define __GFP_NORETRY		0u
#define __GFP_NOWARN		0u

void *kcalloc(size_t count, size_t size, gfp_t gfp);
void kfree(const void *ptr);

void *kmalloc(size_t size, gfp_t gfp);

static inline void *kzalloc(size_t size, gfp_t gfp)
{
	return kcalloc(1, size, gfp);
}

/* the task and its memory */
struct mm_struct {
	int holders;
};

struct task_struct {
	struct mm_struct *mm;
	bool killed;
};

extern struct task_struct shim_task;
#define current	(&shim_task)

static inline void mmgrab(struct mm_struct *mm)
{
	mm->holders++;
}

static inline void mmdrop(struct mm_struct *mm)
{
	mm->holders--;
}

static inline bool fatal_signal_pending(const struct task_struct *task)
{
	return task->killed;
}

static inline void cond_resched(void)
{
}

/* user pages */
#ifndef SHIM_PAGE_SHIFT
#define SHIM_PAGE_SHIFT	12
#endif
#define PAGE_SHIFT	SHIM_PAGE_SHIFT
#define PAGE_SIZE	(1UL << PAGE_SHIFT)
#define PAGE_MASK	(~(PAGE_SIZE - 1))
#define FOLL_WRITE	1u

/* As x86-64's, with four levels of page tables. */
#define SHIM_USER_TOP	(1UL << 47)
#define access_ok(ptr, size)						\
	((size) <= SHIM_USER_TOP && (unsigned long)(ptr) <= SHIM_USER_TOP - (size))

struct page;

int pin_user_pages_fast(unsigned long start, int count, unsigned int flags, struct page **pages);
void unpin_user_pages_dirty_lock(struct page **pages, unsigned long count, bool dirty);

#ifndef SHIM_BENCH
void *page_address(const struct page *page);
struct page *virt_to_page(const void *address);
#else
/* In one piece, as inline as in a kernel: user memory is the kernel's is this. */
struct page {
	u8 size_of_a_kernels[64];
};

extern u8 *shim_memory;
extern struct page *shim_pages;

static inline void *page_address(const struct page *page)
{
	return shim_memory + ((page - shim_pages) << PAGE_SHIFT);
}

static inline struct page *virt_to_page(const void *address)
{
	return shim_pages + (((const u8 *)address - shim_memory) >> PAGE_SHIFT);
}
#endif

#endif /* SHIM_H */
