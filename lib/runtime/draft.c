/* What is added to a chain or swarm before it is stored: pages that stay where they are and leave one by one.
 *
 * One array that doubles would hold up to twice what is in it, and all of it until the last item is stored: as much again
 * as the store has by then. */
#include "sign.h"

#include "memory.h"
#include "record.h"

static size_t page_count(const mfi_draft *draft)
{
    return (draft->item_count + MFI_DRAFT_PAGE - 1) / MFI_DRAFT_PAGE;
}

/* The first page grows to its size, as most chains and swarms are small; the others have it from the start. */
static size_t room_of(const mfi_draft *draft, size_t page)
{
    return page == 0 ? draft->first_capacity : MFI_DRAFT_PAGE;
}

static bool page_reserve(const mf_allocator *a, mfi_draft *draft, size_t page)
{
    if (page == 0 && draft->item_count == draft->first_capacity)
        return mfi_array_reserve(a, (void **)&draft->pages[0], &draft->first_capacity, draft->item_count + 1,
                                 sizeof(mf_item));
    if (draft->pages[page] == NULL)
        draft->pages[page] = mfi_alloc_array(a, MFI_DRAFT_PAGE, sizeof(mf_item));
    return draft->pages[page] != NULL;
}

bool mfi_draft_reserve(const mf_allocator *a, mfi_draft *draft)
{
    size_t page = draft->item_count / MFI_DRAFT_PAGE, before = draft->page_capacity;
    if (!mfi_array_reserve(a, (void **)&draft->pages, &draft->page_capacity, page + 1, sizeof *draft->pages))
        return false;
    for (size_t i = before; i < draft->page_capacity; i++)
        draft->pages[i] = NULL;
    return page_reserve(a, draft, page);
}

mf_item *mfi_draft_item(const mfi_draft *draft, size_t i)
{
    return &draft->pages[i / MFI_DRAFT_PAGE][i % MFI_DRAFT_PAGE];
}

size_t mfi_draft_page(const mfi_draft *draft, size_t page, const mf_item **items)
{
    if (page >= page_count(draft))
        return 0;
    *items = draft->pages[page];
    size_t left = draft->item_count - page * MFI_DRAFT_PAGE;
    return left < MFI_DRAFT_PAGE ? left : MFI_DRAFT_PAGE;
}

void mfi_draft_drop(const mf_allocator *a, mfi_draft *draft, size_t page)
{
    const mf_item *items;
    size_t n = mfi_draft_page(draft, page, &items);
    if (page >= draft->page_capacity || draft->pages[page] == NULL)
        return;
    for (size_t i = 0; i < n; i++)
        mfi_item_unref(&draft->pages[page][i]);
    mfi_release(a, draft->pages[page], room_of(draft, page) * sizeof(mf_item));
    draft->pages[page] = NULL;
}

void mfi_draft_fini(const mf_allocator *a, mfi_draft *draft)
{
    for (size_t page = 0; page < draft->page_capacity; page++)
        mfi_draft_drop(a, draft, page);
    mfi_release(a, draft->pages, draft->page_capacity * sizeof *draft->pages);
    mf_spec_unref(draft->spec);
}
