#include "memory_pages.h"

#include "memory.h"

static bool directory_reserve(struct mfi_pages *p, const mf_allocator *a, size_t pages)
{
    size_t before = p->capacity;
    if (!mfi_array_reserve(a, (void **)&p->directory, &p->capacity, pages, sizeof *p->directory))
        return false;
    if (p->capacity > before)
        memset(p->directory + before, 0, (p->capacity - before) * sizeof *p->directory);
    return true;
}

bool mfi_pages_reserve(struct mfi_pages *p, const mf_allocator *a, uint64_t from, uint64_t n, size_t size)
{
    if (n == 0)
        return true;
    uint64_t first = from >> MFI_PAGE_BITS, last = (from + n - 1) >> MFI_PAGE_BITS;
    if (!directory_reserve(p, a, (size_t)last + 1))
        return false;
    for (uint64_t i = first; i <= last; i++) {
        if (p->directory[i] == NULL)
            p->directory[i] = mfi_alloc_zero(a, MFI_PAGE * size);
        if (p->directory[i] == NULL)
            return false;
    }
    return true;
}

void mfi_pages_fini(struct mfi_pages *p, const mf_allocator *a, size_t size)
{
    for (size_t i = 0; i < p->capacity; i++)
        mfi_release(a, p->directory[i], MFI_PAGE * size);
    mfi_release(a, p->directory, p->capacity * sizeof *p->directory);
    *p = (struct mfi_pages){0};
}
