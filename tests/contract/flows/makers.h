/* contract/flows/makers.h: every way to run a flow. A new bridge is a row in makers.c. */
#ifndef MFT_FLOW_MAKERS_H
#define MFT_FLOW_MAKERS_H

#include <mageflow/client.h>

/* Where a way may differ from the others. */
typedef struct flow_quirks {
    bool twice;         /* every message of a flow arrives twice */
    bool by_message;    /* outcomes travel as messages of mageflow's own */
    bool outside;       /* the manager is another process: it serves when it was opened, and holds what is delayed itself */
    bool unserved_waits;    /* a message goes to nobody but a worker that serves its task: there it waits for one */
    bool known_names;   /* a message for a task that no worker has ever declared is refused */
    bool maps;          /* no message is an empty map to a task that is called by its name */
    unsigned fewer;     /* a message costs the manager milliseconds: long swarms are shorter by this factor; 0: they are not */
} flow_quirks;

typedef struct flow_maker {
    const char *name;
    /* store is consumed, on failure too. *options carries allocator, threads and log. */
    mf_status (*open)(const mf_options *options, mf_store *store, mf_client **out, mf_error *err);
    flow_quirks quirks;
    /* The store of its flows, and the end of what that left behind; NULL: memory, which leaves nothing. */
    mf_status (*store)(const mf_allocator *allocator, mf_store **out, mf_error *err);
    void (*clean)(void);
    /* Serve, where a manager is told of a worker's tasks when that starts, and so not before the scenario has declared all: called
     * when the first of them is signed. NULL: served as soon as it is open, or started. */
    mf_status (*serve)(mf_client *client, mf_error *err);
} flow_maker;

extern const flow_maker flow_makers[];
extern const size_t     flow_maker_count;
/* The file of the flows that are kept in one; empty: in none. */
const char *flow_store_path(void);

#endif
