/* hatchet/asks.h: what the bodies of durable tasks ask the engine, between the calls' threads and the I/O thread. See durable.c.
 *
 * L   under hatchet.lock */
#ifndef MFI_HATCHET_ASKS_H
#define MFI_HATCHET_ASKS_H

#include "hatchet.h"

typedef enum ask_state { ASK_NEW, ASK_SENT, ASK_ACKED, ASK_DONE, ASK_FAILED, ASK_STALE, ASK_LOST } ask_state;

/* Of the call's thread, while it is among the asks. */
struct hatchet_ask {
    struct hatchet_ask          *next;
    hatchet_job                 *job;
    HatchetPb__DurableRequest    request;
    ask_state                    state;             /* L */
    int64_t                      branch, node;      /* L  with ASK_ACKED */
    bool                         known;             /* L  a memo was there */
    char                        *payload;           /* L  of `allocator`; NULL: none */
    size_t                       len;
    char                         why[512];          /* L  with ASK_FAILED */
};

/* L  A child that a body started: its end may come at any time, before somebody waits for it. Of the job, to its end. */
struct hatchet_child {
    struct hatchet_child *next;
    char                  run[sizeof(mf_hatchet_id)];
    int64_t               branch, node;
    unsigned              stream;       /* that the engine tells its end on; when that is another one, it was told to nobody */
    bool                  done, failed;
    char                 *text;         /* its result, or why it failed; of `allocator`; NULL: none */
    size_t                len;
};

/* durable_io.c: sends and answers what is among the asks. An evicted task goes on; of another nothing comes. Any thread. */
void hatchet_durable_restore(hatchet *h, const char *run);

/* durable.c, for a call's thread. */
/* Until it is beyond `up_to`. */
ask_state hatchet_ask_for(hatchet *h, struct hatchet_ask *ask, ask_state up_to);
void      hatchet_ask_fini(hatchet *h, struct hatchet_ask *ask);
/* What a question without an answer comes to. */
mf_status hatchet_no_answer(mf_context *ctx, hatchet *h, struct hatchet_ask *ask, ask_state state);
/* The lock is held: from now on the job waits for this entry without a thread, as hatchet_evict_waiting, unlocked, tells the engine. */
void      hatchet_evict_prepare(hatchet_job *job, int64_t branch, int64_t node);
mf_status hatchet_evict_waiting(hatchet *h, hatchet_job *job);
/* The body begins anew at once: something of it was lost with its connection. */
mf_status hatchet_evict_lost(hatchet *h, hatchet_job *job);
#define HATCHET_HOLD mf_milliseconds(500)       /* what comes within it needs no eviction */
/* The lock is held. Until it changes, or false: the time is over. */
bool      hatchet_ask_sleep(hatchet *h, int64_t end_ns);

#endif
