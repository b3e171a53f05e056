// SPDX-License-Identifier: GPL-2.0-only
/*
 * User pages, pinned: the only file that knows what a page is.
 *
 * On a machine without high memory, and no other has an IOMMU or VFIO that needs
 * this, a page has a kernel address for as long as it exists. So a pinned page is
 * kept as that address, mapped once and for all marks; the struct page that
 * unpinning wants follows from it. Both fit one array, converted in place.
 */
#include <linux/errno.h>
#include <linux/mm.h>

#include "ref.h"

#ifdef CONFIG_HIGHMEM
#error "a pinned page needs a kernel address of its own: no high memory"
#endif

/*
 * Pins @count user pages from @address on, for writing, and puts the kernel's
 * addresses of them into @pages. Returns how many it got, at least one, or -errno;
 * the rest of @pages is as it was. Sleeps.
 */
long ref_pages__pin(unsigned long address, unsigned long count, u8 **pages)
{
	struct page **pinned = (struct page **)pages;
	long got, i;

	got = pin_user_pages_fast(address, count, FOLL_WRITE, pinned);
	if (got <= 0) {
		memset(pages, 0, count * sizeof(*pages));
		return got ?: -EFAULT;
	}
	for (i = 0; i < got; i++)
		pages[i] = page_address(pinned[i]);
	memset(pages + got, 0, (count - got) * sizeof(*pages));
	return got;
}

/* Gives @count pages back, dirty, and clears their addresses. Sleeps. */
void ref_pages__unpin(u8 **pages, unsigned long count)
{
	struct page **pinned = (struct page **)pages;
	unsigned long i;

	for (i = 0; i < count; i++)
		pinned[i] = virt_to_page(pages[i]);
	unpin_user_pages_dirty_lock(pinned, count, true);
	memset(pages, 0, count * sizeof(*pages));
}
