/* contract/flows/kit.h: a client over one of the makers, tasks that note each of their calls, and the words that the
 * scenarios are told in. */
#ifndef MFT_FLOW_KIT_H
#define MFT_FLOW_KIT_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>

#include <mageflow/mageflow.h>

#include "counting_allocator.h"
#include "makers.h"
#include "spy_store.h"

#include <pthread.h>
#include <stdio.h>

#ifndef PATIENCE_S
#define PATIENCE_S 60
#endif
#define PATIENCE   mf_seconds(PATIENCE_S)   /* no test waits so long unless something is broken */
#define CALLS_KEPT 256
#define THREADS    4
/* How long each kind lives here, and swarms are kept: the client's options say so. */
#define TASK_TTL_MIN   60
#define CHAIN_TTL_MIN  120
#define SWARM_TTL_MIN  180
#define SWARM_KEEP_MIN 240

/* One call of a task. */
typedef struct call {
    char     task[32];
    char     in[512];       /* as JSON; see json_of */
    char     error[512];    /* an error callback's error, as JSON; else empty */
    uint32_t attempt;
    uint64_t index;
    mf_key   signature;
    int64_t  begun_ms;      /* by the store's clock */
} call;

typedef struct fixture {
    const flow_maker  *maker;
    counting_allocator counting;
    spy_store         *store;
    mf_client         *mage;
    mf_error           err;
    pthread_mutex_t    lock;
    pthread_cond_t     changed;
    call               calls[CALLS_KEPT];   /* L  the first ones */
    size_t             call_count;          /* L  all of them */
    unsigned           inside, most;        /* L  calls of "gate" at once: now, and at most */
    bool               open;                /* L  the gate */
    bool               serves;              /* the maker's serve was called */
    void              *more;                /* a scenario's own */
} fixture;

/* A scenario over every maker: FLOW_TEST(suite, name) { … uses f … } */
#define FLOW_TEST(suite, name)                                                                                         \
    static void suite##_##name(fixture *f);                                                                            \
    ParameterizedTestParameters(suite, name)                                                                           \
    {                                                                                                                  \
        return flow_parameters();                                                                                      \
    }                                                                                                                  \
    ParameterizedTest(size_t *maker, suite, name, .timeout = 2 * PATIENCE_S)                                             \
    {                                                                                                                  \
        fixture f;                                                                                                     \
        open_fixture(&f, *maker);                                                                                      \
        suite##_##name(&f);                                                                                            \
        close_fixture(&f);                                                                                             \
    }                                                                                                                  \
    static void suite##_##name(fixture *f)
struct criterion_test_params flow_parameters(void);

void open_fixture(fixture *f, size_t maker);
/* Everything is declared. sign and start say so themselves. */
void serve_fixture(fixture *f);
/* Destroys the client, unless the scenario did, and tells whether anything is still out. */
void close_fixture(fixture *f);
/* The kit's tasks, declared in open_fixture:
 *
 *     echo     its message is its result
 *     add      {n: its return field, by: 1} → n + by
 *     note     no result; for callbacks
 *     fail     fails for good, although it has retries 3: type "Boom", text "it broke"
 *     flaky    {good} fails until attempt `good`, then gives its attempt; retries 3, backoff 10 ms
 *     gate     waits for open_gate, whatever it is asked; gives its message
 *     linger   sleeps until it is asked to stop
 *     interruptible   the same, and fails then; gives its message once the gate is open
 *     path     {path: required, width: 1 to 100}; strict about its types; gives path */
bool fixture_can(fixture *f, mf_capability capability);

/* ---- acting ---------------------------------------------------------------------------------------------------------- */

mf_signature *sign(fixture *f, const char *task, const char *json);     /* json: its kwargs; NULL: none */
mf_message   *msg(const char *json);
mf_signature *chain_of(fixture *f, size_t n, mf_signature *const *steps);
#define CHAIN(f, ...) chain_of((f), sizeof((mf_signature *[]){__VA_ARGS__}) / sizeof(mf_signature *), (mf_signature *[]){__VA_ARGS__})
mf_signature *swarm_of(fixture *f, const mf_swarm_options *options, size_t n, mf_signature *const *items);    /* closed */
#define SWARM(f, options, ...) \
    swarm_of((f), (options), sizeof((mf_signature *[]){__VA_ARGS__}) / sizeof(mf_signature *), (mf_signature *[]){__VA_ARGS__})
mf_signature *on_success(fixture *f, mf_signature *sig, mf_signature *callback);
mf_signature *on_error(fixture *f, mf_signature *sig, mf_signature *callback);
/* Start sig (whose handle is let go) with a message as JSON. */
mf_run *start(fixture *f, mf_signature *sig, const char *json);
void    open_gate(fixture *f);

/* Wait for the end (the run is let go). */
void ends_done(fixture *f, mf_run *run, const char *json);
void ends_failed(fixture *f, mf_run *run, const char *text);
void ends_canceled(fixture *f, mf_run *run);
/* Until nothing runs and nothing that is due waits. */
void settle_down(fixture *f);

/* ---- looking --------------------------------------------------------------------------------------------------------- */

void   wait_calls(fixture *f, const char *task, size_t n);      /* until the task was called so often */
size_t calls_of(fixture *f, const char *task);
call   call_of(fixture *f, const char *task, size_t n);         /* the n-th, from 0; there must be one */
/* Called so often, neither more nor less. */
void   called(fixture *f, const char *task, size_t n);
mf_counts count(fixture *f, const mf_key *key);
/* "active: total 3, running 1, done 1, failed 0, canceled 0", in a static buffer. */
const char *counted(fixture *f, const mf_key *key);
size_t many(fixture *f, size_t usual);                         /* as many items as that, or what the manager can bear */
void   note_call(fixture *f, mf_context *ctx, const mf_message *in);

/* A message as JSON, in a static buffer per thread. The keys of maps are in the order of their letters: which one they have on
 * their way is promised nowhere. */
const char *json_of(const mf_message *message);
const char *sorted(const char *json);       /* the same of a JSON text, in another static buffer */
void is_json(const mf_message *message, const char *json);
/* What json_of gave is the value that json tells, whatever the order of its keys there. */
#define is_value(got, json)  is_text(got, sorted(json))
#define is_text(got, want)   cr_assert(eq(str, (char *)(got), (char *)(want)))
#define has_text(got, part)  cr_assert(ne(ptr, strstr((got), (part)), NULL), "\"%s\" does not contain \"%s\"", (got), (part))
#define is_status(got, want) cr_assert(eq(str, (char *)mf_status_name(got), (char *)mf_status_name(want)))
/* A time of a record: on the store's clock, whose estimate here may lag behind it by what a round trip took. */
#define is_past(f, ms) cr_assert(le(i64, (ms), mf_inspect_now_ms((f)->mage) + 5000))
/* Whether the store's clock is read, and not asked for elsewhere: an estimate lags by what its last answer took, however long that
 * was. So what was due may run before the clock here shows that time. */
bool   exact_clock(fixture *f);
#define is_word(got, want) \
    cr_assert(eq(str, (char *)mf_signature_status_name(got), (char *)mf_signature_status_name(want)))

#endif
