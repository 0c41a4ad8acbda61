/* hatchet/observed.h: what observe.c (the table, notes, telling) and observe_io.c (the engine's answers) share. */
#ifndef HATCHET_OBSERVED_H
#define HATCHET_OBSERVED_H

#define HASH_NONFATAL_OOM 1
#include "registry.h"       /* uthash, with our allocator */

#include "hatchet.h"

#define LOOK_ROUND mf_seconds(10)           /* at notes */
#define ASK_FIRST mf_seconds(5)

/* L all of it */
struct hatchet_observed {
    UT_hash_handle      hh;                 /* by run */
    hatchet            *owner;
    char                run[HATCHET_ID_MAX];
    mf_unit             unit;
    char               *task;
    bool                noted;              /* the store has a note of it */
    bool                asked;              /* the stream was told of it */
    bool                asking;             /* a GetRunDetails is under way */
    unsigned            asks, missing;
    int64_t             ask_ns;
    /* Once it has ended, and is out of the table. */
    mf_signature_status status;
    mf_status           st;                 /* failed: MF_E_NOT_FOUND where there never was a run */
    char               *text;               /* an output, or an error; NULL: neither */
    size_t              len;
    mf_message         *sent;               /* the message of a call that could not be sent; else NULL */
};
typedef struct hatchet_observed observed;

/** The lock is held for the next two. A run that is watched; NULL: it is not. */
observed *hatchet_observed_find(hatchet *h, const char *run);
/** It has ended, and is in the table no more: for hatchet_observed_tell, when the lock is given back. */
observed *hatchet_observed_end(hatchet *h, observed *o, mf_signature_status status, mf_status st, mf_str text);
/** The thread of the observers tells the runtime of an end. */
void hatchet_observed_tell(observed *o);
/** That thread; NULL: no memory. */
mf_pool *hatchet_observers(hatchet *h);
/** Its job: notes are kept alive and looked at. arg: the hatchet. */
void hatchet_observe_notes(void *arg);

#endif
