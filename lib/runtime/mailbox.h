/* runtime/mailbox.h: the events of one record, while it is busy. Shared by dispatcher.c, which gathers them, later.c, where
 * outcomes wait for each other, and step.c, which commits a batch of them. */
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
    mfi_plan          plan;
    struct mfi_posted later[MFI_LATER_MAX];     /* the outcomes that waited, as events */
    struct mfi_desk  *next;         /* L  free: the next free one */
};

struct mfi_mailbox {
    mf_key             key;
    struct mfi_posted_list incoming;    /* L */
    bool               busy;        /* L */
    uintptr_t          owner;       /* L  while busy: who processes it */
    unsigned           later;       /* L  its outcomes that wait for others */
    bool               flush;       /* L  while busy: they are to be processed now */
    struct mfi_posted_list taken;   /* what incoming was: they change places */
    struct mfi_posted_list batch;   /* while busy: what is processed, in `taken` or on the desk */
    struct mfi_posted_list held;    /* L  wait for the end of a lock on the record */
    const mf_delivery **deliveries;     /* of the batch, for its commit */
    size_t             delivery_capacity;
    int64_t            held_until_ms;   /* L  when to look again, on the store's clock */
    mf_record          record;      /* spec NULL: not read yet */
    struct mfi_desk   *desk;        /* while busy: the processing thread's */
    mfi_plan          *plan;        /* the desk's */
    UT_hash_handle     hh;
};

/** Move an event (consumed, with its ticket) to those that wait for the end of a lock; until_ms: on the store's clock. */
void mfi_mailbox_hold(mf_client *client, mfi_mailbox *box, const struct mfi_posted *posted, int64_t until_ms);
/** The mailbox of a record, made if there is none; NULL: no memory. The dispatcher's lock is held. */
mfi_mailbox *mfi_mailbox_of(mf_client *client, const mf_key *key);
/** A free desk, for mfi_mailbox_run. NULL: no memory. The lock is held. */
struct mfi_desk *mfi_desk_take(mf_client *client);
/** Wait a moment, before memory is asked for again. */
void mfi_pause_without_memory(mf_client *client, unsigned *tries);
/** Process what came and what waits, until nothing is left of it. The box is not busy, and may be gone afterwards. The lock is held
 * at both ends, and not in between. */
void mfi_mailbox_run(mf_client *client, mfi_mailbox *box, struct mfi_desk *desk, bool may_draw);
/** Turn the outcomes of the box that wait into events, which are then on the desk. The lock is held. */
size_t mfi_later_collect(mfi_dispatcher *d, mfi_mailbox *box, struct mfi_posted *out);

/** The store goes on refusing: answer the verbs of the box that somebody waits for, in its batch and behind it, with that. */
void mfi_mailbox_give_up(mf_client *client, mfi_mailbox *box, mf_status st, const mf_error *why);

/** Process the batch of a mailbox that the calling thread made busy, until it is committed. */
void mfi_mailbox_process(mf_client *client, mfi_mailbox *box, bool may_draw);

#endif
