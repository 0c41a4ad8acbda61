/* store/memory_pages.h: an array that grows by pages and never moves what is in it.
 *
 * A directory of pointers leads to pages of 64 elements. So an element costs its own size and an eighth of a byte, today's
 * millionth as much as the first, and growing touches the directory alone. */
#ifndef MFI_MEMORY_PAGES_H
#define MFI_MEMORY_PAGES_H

#include <mageflow/base.h>

enum { MFI_PAGE_BITS = 6, MFI_PAGE = 1 << MFI_PAGE_BITS };

struct mfi_pages {
    void **directory;
    size_t capacity;     /* pointers in it; those not in use are NULL */
};

/** Have zeroed room for elements from .. from + n - 1, each of `size` bytes. false: no memory; what there is stays. */
bool mfi_pages_reserve(struct mfi_pages *p, const mf_allocator *a, uint64_t from, uint64_t n, size_t size);
void mfi_pages_fini(struct mfi_pages *p, const mf_allocator *a, size_t size);

/** Element i, or NULL where no room was reserved. */
static inline void *mfi_pages_at(const struct mfi_pages *p, uint64_t i, size_t size)
{
    uint64_t page = i >> MFI_PAGE_BITS;
    if (page >= p->capacity || p->directory[page] == NULL)
        return NULL;
    return (char *)p->directory[page] + (i & (MFI_PAGE - 1)) * size;
}

#endif
