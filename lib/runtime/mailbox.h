/* runtime/mailbox.h: the events of one record, while it is busy. Shared by dispatcher.c, which gathers them, and step.c, which
 * commits a batch of them. */
#ifndef MFI_MAILBOX_H
#define MFI_MAILBOX_H

#include "runtime.h"

struct mfi_posted {
    mfi_flow_event event;
    mfi_ticket    *ticket;
    mf_status      answer;      /* what its transition answered */
    bool           stale;       /* its claim was taken over: nothing of it counts */
};

struct mfi_posted_list {
    struct mfi_posted *at;
    size_t         count, capacity;
};

/* What a thread fills while it processes a record. No record keeps one: there are as many as threads process at once. */
struct mfi_desk {
    mfi_plan         plan;
    struct mfi_desk *next;          /* L  free: the next free one */
};

struct mfi_mailbox {
    mf_key             key;
    struct mfi_posted_list incoming;    /* L */
    bool               busy;        /* L */
    uintptr_t          owner;       /* L  while busy: who processes it */
    struct mfi_posted_list batch;
    struct mfi_posted_list held;    /* L  wait for the end of a lock on the record */
    int64_t            held_until_ms;   /* L  when to look again, on the store's clock */
    mf_record          record;      /* spec NULL: not read yet */
    mfi_plan          *plan;        /* while busy: the processing thread's */
    UT_hash_handle     hh;
};

/** Move an event (consumed, with its ticket) to those that wait for the end of a lock; until_ms: on the store's clock. */
void mfi_mailbox_hold(mf_client *client, mfi_mailbox *box, const struct mfi_posted *posted, int64_t until_ms);
/** Process the batch of a mailbox that the calling thread made busy, until it is committed. */
void mfi_mailbox_process(mf_client *client, mfi_mailbox *box, bool may_draw);

#endif
