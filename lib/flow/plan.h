/* flow/plan.h: what a transition wants done: the effects that are committed together with the new state.
 *
 * A plan owns a reference to every message and spec in it, but for what it borrows from the events: items, outcomes, notes. It is filled by transitions, completed by whoever runs them
 * (the starts are turned into entries once their records are read), committed, and reset for the next use; in steady
 * state it allocates nothing. The first failure sticks. */
#ifndef MFI_PLAN_H
#define MFI_PLAN_H

#include <mageflow/store.h>

/** Another signature is to be started: its record says how, so it has to be read first. */
typedef struct mfi_start {
    mf_key      key;
    uint64_t    index;      /* for a numbered callback: the item's */
    mf_message *message;    /* what it receives, or NULL */
    bool        is_result;  /* message is a result, to be put into the return field that the record names */
    mf_message *inherited;  /* kwargs of the containers above it, or NULL */
    mf_message *error;      /* for an error callback, or NULL */
    mf_key      container;  /* for an item: what waits for its end; unset: a callback */
} mfi_start;

struct mfi_framework;

typedef struct mfi_plan {
    const mf_allocator  *allocator;
    const mf_limits     *limits;
    const struct mfi_framework *framework;     /* the specs of mageflow's own tasks */
    int64_t              now_ms;        /* input: the store's clock */
    uint64_t             random;        /* input: where the random spans of staggered starts come from */
    int32_t              priority;      /* of the entries to come; mfi_flow_apply takes the record's */
    mf_status            status;        /* the first failure */
    mf_error             error;
    bool                 changed;       /* the state is another one than before */
    bool                 resumes;       /* what is parked on the record is due now */
    const char          *dead;          /* the record is a dead letter, for this reason; NULL: it is not */
    mf_entry            *entries;
    size_t               entry_count, entry_capacity;
    mf_outcome          *outcomes;
    size_t               outcome_count, outcome_capacity;
    uint64_t            *settles;
    size_t               settle_count, settle_capacity;
    mfi_start           *starts;
    size_t               start_count, start_capacity;
    mf_removal          *removals;
    size_t               removal_count, removal_capacity;
    mf_item             *items;         /* appended to the record; borrowed from the event that adds them */
    size_t               item_count, item_capacity;
    uint64_t             items_from;
    mf_note             *notes;         /* borrowed from the events, or what `own` holds */
    size_t               note_count, note_capacity;
    struct mfi_own_note *own;           /* the plan's own notes */
} mfi_plan;

void mfi_plan_init(mfi_plan *plan, const mf_allocator *allocator, const mf_limits *limits, const struct mfi_framework *framework);
void mfi_plan_reset(mfi_plan *plan);
void mfi_plan_fini(mfi_plan *plan);

/** Note a failure; the first one stays. Returns the plan's status. */
mf_status mfi_plan_fail(mfi_plan *plan, mf_status st, const char *what);

/** Have room for n more entries at once, where so many are about to come. False: the plan has failed. */
bool mfi_plan_reserve_entries(mfi_plan *plan, size_t n);
/** The same for outcomes, each of which settles a delivery. */
bool mfi_plan_reserve_outcomes(mfi_plan *plan, size_t n);

/* Each adds one effect and takes references of its own, but for the message of mfi_plan_entry, which is consumed, on
 * failure too, and the value of mfi_plan_outcome, which is borrowed until the commit. */
void mfi_plan_entry(mfi_plan *plan, const mf_spec *spec, const mf_unit *unit, uint32_t attempt, mf_message *message);
void mfi_plan_outcome(mfi_plan *plan, uint64_t index, mf_signature_status status, const mf_message *value);
void mfi_plan_settle(mfi_plan *plan, uint64_t token);
void mfi_plan_start(mfi_plan *plan, const mfi_start *start);
/** Take a record away, with its own callbacks as told. */
void mfi_plan_removal(mfi_plan *plan, const mf_key *key, bool on_success, bool on_error);
/** Append items to the record, the first at index `from`. Borrowed until the commit. */
void mfi_plan_items(mfi_plan *plan, uint64_t from, const mf_item *items, size_t n);

/** Set or take away a note, whose texts and value are borrowed until the commit. */
void mfi_plan_note(mfi_plan *plan, const mf_note *note);
/** The same, with a name that is copied and a value of which it takes a reference. */
void mfi_plan_own_note(mfi_plan *plan, const mf_note *note);
/** Entries and notes from these places on are due, and go, later by so much; what is due at once is due then. */
void mfi_plan_put_off(mfi_plan *plan, size_t entry, size_t note, int64_t late_ms);

/** A random number below n (n > 0). */
uint64_t mfi_plan_random(mfi_plan *plan, uint64_t n);

#endif
