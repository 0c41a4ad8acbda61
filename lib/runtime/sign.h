/* runtime/sign.h: a signature while it is made. */
#ifndef MFI_SIGN_H
#define MFI_SIGN_H

#include "runtime.h"

#define MFI_DEFAULT_CONCURRENCY 30    /* items of a swarm that run at once, where nobody says how many */

#define MFI_DRAFT_PAGE 4096     /* items; a power of two. One commit stores as many */

/** A record to be: its spec, and for a chain or swarm what was added. */
typedef struct mfi_draft {
    mf_spec  *spec;
    mf_item **pages;            /* those stored already and those not in use are NULL */
    size_t    page_capacity;
    size_t    first_capacity;   /* items that the first page has room for */
    size_t    item_count;
    bool      closed;
} mfi_draft;

/** Have room for one more item. false: no memory. */
bool mfi_draft_reserve(const mf_allocator *a, mfi_draft *draft);
/** Item i, below item_count, of a page that was not dropped; or the one that is about to become the next. */
mf_item *mfi_draft_item(const mfi_draft *draft, size_t i);
/** The items of one page, and how many they are: 0 past the end. */
size_t mfi_draft_page(const mfi_draft *draft, size_t page, const mf_item **items);
/** Release a page and what its items refer to; the count stays. */
void mfi_draft_drop(const mf_allocator *a, mfi_draft *draft, size_t page);
void mfi_draft_fini(const mf_allocator *a, mfi_draft *draft);

struct mf_signature {
    mf_client       *client;
    pthread_mutex_t  lock;
    const mfi_task  *task;          /* of a task; else NULL */
    mfi_draft        own;           /* L  spec NULL: a task that nobody asked for a key yet, perhaps a plain item */
    mf_message      *kwargs;        /* L  of a task until its spec is made */
    mf_key          *on_success, *on_error;     /* L  keys of callbacks, whose records are below */
    size_t           on_success_count, on_success_capacity, on_error_count, on_error_capacity;
    mfi_draft       *below;         /* L  every record below this one */
    size_t           below_count, below_capacity;
    unsigned         depth;         /* L  containers within each other, its own included; 0: a task */
    bool             stored;        /* L  its records are in the store: nothing of it changes here any more */
    bool             started;       /* L */
    bool             replayed;      /* L  a durable body had stored them before this call of it, and may have started them */
};

/** An empty signature. NULL: err tells why. */
mf_signature *mfi_signature_create(mf_client *client, mf_error *err);
/** Destroy both (either may be NULL) and answer NULL: how a constructor fails. */
mf_signature *mfi_signature_fail(mf_signature *a, mf_signature *b);
/** A spec with a key of its own. */
mf_spec *mfi_spec_make(mf_client *client, mf_kind kind, mf_str name, mf_error *err);
/** Give a text of a spec (one of its fields) a copy of its own. false: no memory. */
bool mfi_spec_set_text(const mf_spec *spec, mf_str *to, mf_str from);
/** Two signatures may become one: they are different, of one client, not started, and `to` is of that kind (none: any). */
mf_status mfi_signature_check_pair(mf_signature *to, mf_signature *from, mf_kind kind, const char *call, mf_error *err);
/** Add `child` as the next item of a container, whose lock is held; child is then an empty shell. */
mf_status mfi_signature_add_item(mf_signature *container, mf_signature *child, mf_error *err);
/** Move the records of `from`, its own included if it has one, below `to`; from is then an empty shell. */
mf_status mfi_signature_adopt(mf_signature *to, mf_signature *from, mf_error *err);

/** Make the spec of a task that has none yet, so that it becomes a record. The lock is held. */
mf_status mfi_signature_need_spec(mf_signature *sig, mf_error *err);
/** Make the spec complete: from here on it does not change. The lock is held. */
mf_status mfi_signature_freeze(mf_signature *sig, mf_error *err);

/* What says which records of a start, or an addition, are there before it is (storing.c). */
#define MFI_STORING_PAGE 64         /* records that one note lists */
typedef struct mfi_storing {
    mf_client *client;
    size_t     pages;
    bool       root;                /* its own record takes several commits, too */
    int64_t    until_ms;
    char     (*names)[96];
} mfi_storing;
mf_status mfi_storing_begin(mf_signature *sig, mfi_storing *out, mf_error *err);
/** Of what stands below it alone: its own record is there already. */
mf_status mfi_storing_begin_below(mf_signature *sig, mfi_storing *out, mf_error *err);
void      mfi_storing_fini(mfi_storing *s);
/** The note that goes with the record below[i], the first of its page; its value is the caller's. */
mf_status mfi_storing_page(const mfi_storing *s, const mf_signature *sig, size_t i, mf_note *out, mf_error *err);
/** The one that goes with its own. */
mf_status mfi_storing_root(const mfi_storing *s, const mf_signature *sig, mf_note *out, mf_error *err);
/** MF_E_TIMEOUT: it is too late for another commit. */
mf_status mfi_storing_in_time(const mfi_storing *s, mf_error *err);
/** The notes of the last commit: `with`, and those that go. *out is the caller's, count elements; NULL: none. MF_E_TIMEOUT: it
 * is too late for it. */
mf_status mfi_storing_end(const mfi_storing *s, const mf_note *with, size_t with_count, mf_note **out, size_t *count, mf_error *err);
/** There will be no last commit: what is there is looked for in time. */
void      mfi_storing_failed(const mfi_storing *s);
/** The same, and what stands below sig is taken away at once if the store answers. */
void      mfi_storing_undo(const mfi_storing *s, mf_signature *sig);

/** Store every record of it but its own, which is stored last, when it starts or is saved. MF_E_EXISTS: one is stored already. */
mf_status mfi_store_below(mf_signature *sig, const mfi_storing *storing, mf_error *err);
/** Store it, the records below first; with its own the entries and the notes. MF_E_EXISTS as mfi_store_draft. */
mf_status mfi_store_own(mf_signature *sig, const mfi_storing *storing, const mf_state *state, const mf_entry *entries,
                        size_t entry_count, const mf_note *notes, size_t note_count, mf_error *err);
/** Store one record with its items, which leave the draft; `first` (NULL: none) with the first commit, the entries and the notes with the
 * last. MF_E_EXISTS: it is there, or a note's name is taken. */
mf_status mfi_store_draft(mf_client *client, mfi_draft *draft, const mf_state *state, const mf_note *first, const mf_entry *entries,
                          size_t entry_count, const mf_note *notes, size_t note_count, mf_error *err);
/** The state that a record is stored with. sent: its beginning goes with it. */
mf_state mfi_draft_state(mf_client *client, const mfi_draft *draft, bool sent);
/** Take away what was stored of it below, after a failure. The first failure of this, when all was tried. */
mf_status mfi_unstore_below(mf_signature *sig);
/** What a durable body makes (its spec is there) may be stored since an earlier call. MF_OK: it is; MF_E_NOT_FOUND: it is not, and
 * what a storing that did not come to its end left of it is gone; MF_E_INVALID: it was another one. */
mf_status mfi_meet_replay(mf_signature *sig, mf_error *err);
/** The same with its own record, of which a long swarm's first pages may be there. */
void mfi_unstore(mf_signature *sig);
/** mf_start with notes (borrowed) that its commit sets, whose first fresh one that is there already refuses it: MF_E_EXISTS, and nothing
 * of it is left. Brings up no worker. */
mf_run *mfi_start_noted(mf_signature *sig, mf_message *message, int32_t priority, const mf_note *notes, size_t n, mf_error *err);

/** A map, nil or NULL; nil becomes NULL, a failed message its status. what names it in the error. */
mf_status mfi_check_kwargs(const char *what, mf_message **kwargs, mf_error *err);

#endif
