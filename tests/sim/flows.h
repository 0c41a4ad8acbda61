/* sim/flows.h: random flows, what their tasks do, and what a model says must come of them.
 *
 *   generate.c   a tree from a seed, and its signatures
 *   tasks.c      the bodies: pure functions of what they receive, so that a model can say what they answer
 *   model.c      what every node must have become, given what was canceled from outside
 *   verbs.c      what a program does to a flow from outside while it runs
 *   schedule.c   one seed: choose everything, run it, check it
 *   main.c       many seeds, on all cores, and the matrix */
#ifndef MFT_FLOWS_H
#define MFT_FLOWS_H

#include <mageflow/mageflow.h>

#include "sim.h"

#define CHILDREN_MAX  8
#define CALLBACKS_MAX 2
#define NODES_MAX     96

typedef enum node_kind { NODE_TASK, NODE_CHAIN, NODE_SWARM, NODE_MAP } node_kind;

/* How a task behaves; travels to it as the field "mode". */
typedef enum mode {
    MODE_OK,
    MODE_SLOW,          /* ok, after some milliseconds */
    MODE_FLAKY,         /* fails, and is ok at the second attempt */
    MODE_FAIL,          /* fails for good */
    MODE_EXHAUST,       /* fails until no attempt is left */
    MODE_CANCEL,        /* ends itself as canceled */
    MODE_TIMEOUT,       /* waits beyond its timeout, but hears its stop */
    MODE_STUCK,         /* … and does not hear it */
    MODE_ODD,           /* fails for good when the drawn number is odd */
    MODE_DURABLE,       /* step, sleep, wait for an event, step */
    MODE_POISON,        /* its process dies of it, until its message is a dead letter */
    MODE_PEER,          /* foreign: its peer answers in time, */
    MODE_PEER_TWICE,    /* … and once more, */
    MODE_PEER_LATE,     /* … about when its time is over, */
    MODE_PEER_SILENT,   /* … never, so that its timeout ends it, */
    MODE_PEER_FAIL,     /* … that it failed */
    MODES
} mode;

typedef struct node {
    node_kind    kind;
    mode         mode;
    int64_t      id;
    struct node *parent;
    unsigned     index;                     /* in its parent */
    struct node *children[CHILDREN_MAX];    /* map: the task */
    unsigned     child_count;
    unsigned     cap, stop_after;
    unsigned     items;                     /* map */
    int          breaks_at;                 /* map: the source fails there; -1: never */
    int64_t      k;                         /* container: its kwarg "k"; 0: none */
    bool         own_record;                /* a task that asks for a key */
    struct node *success[CALLBACKS_MAX], *error[CALLBACKS_MAX];
    unsigned     success_count, error_count;
    bool         numbered;                  /* callback of a map's items */
    mf_key       key;                       /* unset: a plain item */
    bool         cancel_tried;
    bool         remove_tried;
    mf_key       edited;                    /* under this key it was given the kwarg "edited"; unset: it was not */
    bool         open;                      /* swarm: closed from outside; its children from `late` on are added there */
    unsigned     late;
    bool         filled;                    /* … nobody will add any more */
    unsigned     ttl_ms;                    /* 0: it lives as long as it takes */
    int64_t      memo;                      /* durable: what its first step answered, once it did; 0: not yet */
} node;

typedef struct flow {
    mfi_prng     prng;
    node         nodes[NODES_MAX];
    unsigned     node_count;
    bool         foreign;                   /* peers serve some of its tasks */
    bool         poison;                    /* some of its tasks kill their process */
    unsigned     item_count;                /* tasks that may run */
    node        *root;
    int64_t      message;                   /* the field "m" it is started with */
    mf_key       root_key;                  /* of the start that went through, or may have */
    bool         stored;                    /* its beginning was committed */
    bool         started;
    mf_status    waited;                    /* what a program that waits was answered; MF_E_AGAIN: nobody waits */
    bool         waits;
    unsigned     calls;                     /* bodies that began */
    int64_t      step_calls;                /* of durable tasks' first steps */
    unsigned     delay_ms;                  /* its start */
    int32_t      priority;
} flow;

static inline bool mode_is_foreign(mode m)
{
    return m >= MODE_PEER && m <= MODE_PEER_FAIL;
}

/** foreign: with tasks that peers serve. poison: with such as kill their process. */
void flow_generate(flow *f, uint64_t seed, bool foreign, bool poison);
/** The signature of a tree. NULL: err tells why. */
mf_signature *flow_build(flow *f, node *n, mf_client *client, mf_error *err);
void flow_print(const flow *f, void (*line)(void *user, const char *text), void *user);

mf_status declare_tasks(mf_client *client, void *user, mf_error *err);
/** What the peers do. */
void serve_as_peer(void *user, const mf_message *message, mfi_peer_answer *out);
/** What a task answers, and what a message's results count as. */
int64_t  task_answer(int64_t id, bool has_m, int64_t m, uint64_t results, int64_t k, int64_t x);
uint64_t value_hash(mf_value value);
uint64_t int_hash(int64_t value);
#define NIL_HASH UINT64_C(0x6e696c)
uint64_t list_hash(uint64_t so_far, uint64_t element);
#define LIST_HASH UINT64_C(0x6c697374)

/** Compare every node with the model; what differs breaks the schedule. */
void model_check(flow *f, mfi_sim *sim);

/** Start the flow, wait for it perhaps, cancel parts of it perhaps. */
void flow_programs(flow *f, mfi_sim *sim, unsigned processes, uint64_t seed);

typedef struct schedule_result {
    unsigned faults, crashes, restarts, lapsed, answers, dead_letters, overtaken;
    uint64_t steps;
    unsigned items;
} schedule_result;
/** Run one seed. false: it broke, err tells how. */
bool schedule_run(uint64_t seed, mfi_cells *cells, void (*line)(void *user, const char *text), void *user,
                  schedule_result *result, mf_error *err);

#endif
