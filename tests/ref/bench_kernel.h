/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel's own iova_bitmap.c needs beyond shim.h, to be measured unmodified
 * in user space. What is inline in a kernel is inline here.
 */
#ifndef BENCH_KERNEL_H
#define BENCH_KERNEL_H

#include "shim.h"

typedef __u16 u16;
typedef __s64 s64;

#define GFP_KERNEL		0u
#define BITS_PER_BYTE		8
#define BITS_PER_LONG		64
#define BITS_PER_TYPE(type)	(sizeof(type) * BITS_PER_BYTE)
#define DIV_ROUND_UP(n, d)	(((n) + (d) - 1) / (d))
#define min_t(type, a, b)	min((type)(a), (type)(b))
#define max_t(type, a, b)	max((type)(a), (type)(b))
#define offset_in_page(ptr)	((unsigned long)(ptr) & ~PAGE_MASK)
#define WARN_ON(condition)	unlikely(condition)
#define WARN_ON_ONCE(condition)	unlikely(condition)
#define EXPORT_SYMBOL_NS_GPL(symbol, space)	struct shim_semicolon
#undef EXPORT_SYMBOL_GPL
#define EXPORT_SYMBOL_GPL(symbol)	struct shim_semicolon
#define IS_ENABLED(option)	1
#define kzalloc_obj(object, ...)	((typeof(object) *)kzalloc(sizeof(object), 0))
#define __ffs(word)		((unsigned long)__builtin_ctzl(word))

unsigned long __get_free_page(gfp_t gfp);
void free_page(unsigned long address);
void unpin_user_pages(struct page **pages, unsigned long count);

static inline void *kmap_local_page(struct page *page)
{
	return page_address(page);
}

static inline void kunmap_local(const void *address)
{
}

/* As long as a kernel's, which is a function of its own, too: a word at a time. */
static noinline __attribute__((unused)) void bitmap_set(unsigned long *map, unsigned int start,
							 unsigned int count)
{
	unsigned long *word = map + start / BITS_PER_LONG;
	unsigned int room = BITS_PER_LONG - start % BITS_PER_LONG;
	unsigned long mask = ~0UL << (start % BITS_PER_LONG);

	while (count >= room) {
		*word++ |= mask;
		count -= room;
		room = BITS_PER_LONG;
		mask = ~0UL;
	}
	if (count)
		*word |= mask & (~0UL >> (BITS_PER_LONG - (start + count) % BITS_PER_LONG));
}

#endif /* BENCH_KERNEL_H */
