/* store/memory_step.h: a commit on its way, for the two files that make it: memory_prepare.c and memory_commit.c. */
#ifndef MFI_MEMORY_STEP_H
#define MFI_MEMORY_STEP_H

#include "memory_store.h"

#include "record.h"

struct mfi_step {
    struct mfi_memory  *m;
    const mf_batch     *b;
    mf_refusal         *refusal;
    mf_error           *err;
    int64_t             now_ms;
    struct mfi_head    *head;       /* the record that b->key names, there before or put by this batch; NULL: none */
    size_t              puts_made, writes_marked, settles_marked, outcomes_made;
    size_t              slots_back; /* what the settled claims leave to the entries */
    struct mfi_written *written;
    struct mfi_note    *notes;      /* made for the notes that are set; in the end what is to be released */
    struct mfi_head    *gone;       /* taken away */
    struct mfi_news     news;
};

/** Whether it makes messages of earlier attempts stale. Only claims from elsewhere ask that, and what they tell of comes after
 * the first of them: a store that never sees one keeps nothing. */
static inline bool mfi_step_is_retry(const struct mfi_step *s, const mf_entry *entry)
{
    return entry->attempt > 1 && s->m->queue.by_unit && mfi_entry_is_of_unit(entry);
}

/** Every guard, and every allocation that can fail. After a failure the step is to be undone. */
mf_status mfi_step_prepare(struct mfi_step *s);
/** Take back what prepare put in place, as far as it came. */
void mfi_step_undo(struct mfi_step *s);
mf_status mfi_step_no_memory(mf_error *err);

#endif
