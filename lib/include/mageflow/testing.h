/* mageflow/testing.h: for the tests of programs that use mageflow: what was dispatched, running it in order under a clock of
 * the test's own, and a simulator that crashes it.
 *
 * Link mageflow::testing in place of mageflow::mageflow: it is the whole library, and these. Nothing here needs a test
 * framework: a promise that does not hold is a status and a text.
 *
 *     mf_test *t;
 *     mf_test_create(NULL, &t, &err);
 *     place_order(mf_test_client(t), 17);                       (the code under test)
 *     if (mf_test_task_dispatched(t, "charge", mf_msg("{s:i}", "order", 17), MF_TEST_AT_LEAST, &err) != MF_OK)
 *         puts(err.text);
 *     mf_test_destroy(t);
 *
 * Threads   a test belongs to the thread that made it, one at a time on each; everything about its client happens there,
 *           tasks and callbacks too. mf_sim_run runs everything on the calling thread.
 */
#ifndef MAGEFLOW_TESTING_H
#define MAGEFLOW_TESTING_H

#include <mageflow/base.h>
#include <mageflow/client.h>
#include <mageflow/flow.h>
#include <mageflow/message.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- a client for tests ------------------------------------------------------------------------------------------ */

typedef struct mf_test mf_test;

typedef struct mf_test_options {
    size_t     struct_size;
    bool       run;         /* dispatched tasks run, when the test says so (mf_test_run and below); else nothing ever does */
    int64_t    wall_ms;     /* what the wall clock shows at first; 0: 2023-11-14 22:13:20 UTC */
    mf_log_fn *log;         /* the library's log; NULL: nowhere */
    void      *log_user;
} mf_test_options;
#define MF_TEST_OPTIONS(...) (&(const mf_test_options){ .struct_size = sizeof(mf_test_options), __VA_ARGS__ })

/** A client in memory, with a clock that stands still. options may be NULL. From here to mf_test_destroy the calling thread
 * lives by that clock: whatever asks the library for the time, or waits in it, does so in the test's time.
 * MF_E_STATE: this thread has a test already; MF_E_INVALID, MF_E_NOMEM. */
MF_NODISCARD mf_status mf_test_create(const mf_test_options *options, mf_test **out, mf_error *err);
/** Its client and everything of it goes. NULL is allowed. */
void       mf_test_destroy(mf_test *test);
/** The client: declare, sign, start and look as with any other. Borrowed; the test destroys it. mf_run_wait on it runs what
 * is there to run, and answers MF_E_TIMEOUT when nothing is left that could end what it waits for. */
mf_client *mf_test_client(mf_test *test);

/* ---- running, where the options say so --------------------------------------------------------------------------- */

/** Run what is due, one task after the other in the order in which they were sent, until nothing is due. The clock stands
 * still: what is delayed, and what sleeps, stays. MF_E_STATE: a test that only records; or the run does not come to an end. */
mf_status  mf_test_run(mf_test *test, mf_error *err);
/** Move the clock on by `span`, and run what becomes due on the way, each at its time. In a test that only records the clock
 * moves all the same. MF_E_INVALID: a negative span. */
mf_status  mf_test_advance(mf_test *test, mf_duration span, mf_error *err);
/** Run until nothing is left, with the clock jumping to whatever is next. */
mf_status  mf_test_finish(mf_test *test, mf_error *err);
/** How far the clock has moved since the beginning. */
mf_duration mf_test_now(const mf_test *test);

/* ---- what was dispatched ------------------------------------------------------------------------------------------- */

/** One thing that was sent: by mf_start, by a workflow handle, or, where tasks run, by a flow as it goes on (each item of a
 * swarm, each step, each callback). */
typedef struct mf_dispatch {
    mf_kind           kind;         /* a task; or the start of a chain or swarm */
    const char       *name;         /* the task's, or the container's own */
    const mf_message *message;      /* what it was given; NULL: nothing */
    mf_key            key;          /* of its signature, or of the container of a plain item; unset: sent without one */
    uint64_t          index;        /* of a plain item, in that container */
    uint32_t          attempt;      /* of a task */
    int64_t           delay_ms;     /* sent to begin so much later */
    const char *const *tasks;       /* chain, swarm: the names of what it holds, in order; a map's one task */
    size_t            task_count;
} mf_dispatch;

/** How many there are, and one of them, the oldest first; what it names is borrowed until the test is cleared or destroyed.
 * MF_E_NOT_FOUND past the end. */
size_t    mf_test_dispatch_count(const mf_test *test);
mf_status mf_test_dispatch(const mf_test *test, size_t i, mf_dispatch *out);
/** Forget what was dispatched so far. */
void      mf_test_clear(mf_test *test);

typedef enum mf_test_match {
    MF_TEST_AT_LEAST,   /* the fields that are expected have these values; others do not matter */
    MF_TEST_EXACTLY     /* these fields and no others */
} mf_test_match;

/* Each answers MF_OK, or tells in err what was there instead: MF_E_NOT_FOUND: nothing of that name; MF_E_CONFLICT: there was,
 * but not so; MF_E_INVALID: what was expected could not be built, or a dispatched message breaks its task's field table. */

/** A task of that name was dispatched, with these fields. expected: a map, consumed; NULL: with whatever message. */
mf_status mf_test_task_dispatched(const mf_test *test, const char *task, mf_message *expected, mf_test_match how, mf_error *err);
/** A chain (swarm) of that name was started, holding these tasks: each of them, in any order for a swarm; exactly these steps
 * in this order for a chain. tasks NULL: whatever it holds. Borrowed. */
mf_status mf_test_chain_dispatched(const mf_test *test, const char *name, const char *const *tasks, size_t n, mf_error *err);
mf_status mf_test_swarm_dispatched(const mf_test *test, const char *name, const char *const *tasks, size_t n, mf_error *err);
/** Nothing at all was. */
mf_status mf_test_nothing_dispatched(const mf_test *test, mf_error *err);

/* ---- the simulator ------------------------------------------------------------------------------------------------ */

/** A flow of yours, run through many schedules of faults.
 *
 * Each seed is one schedule: one to three processes with your declarations over one store; who goes on when is the seed's
 * choice, and so is what goes wrong: a process ends at any store operation and is followed by another one, a commit is
 * refused since somebody else was faster, the store fails to answer, a claim is taken away while its task runs, messages come
 * twice, late and in another order, a publish is lost. The engine is the real one.
 *
 * Checked at every step: no swarm above its max_concurrency, nothing of what was stopped begins. At the end: everything that
 * was started has ended; each callback and each step was started once; counters are a recount of the outcomes; no message is
 * left. Then your own check.
 *
 * A task may run more than once, as everywhere (its process may end after its work and before that is known); `check` is
 * where to see that this does no harm. Time is the schedule's own: mf_context_sleep costs nothing. Everything runs on the
 * calling thread, tasks on stacks of 1 MiB; a task that waits for something outside of the library waits for ever. */
typedef struct mf_sim_options {
    size_t     struct_size;
    uint64_t   first;           /* the first seed; 0: 1 */
    uint64_t   seeds;           /* how many; 0: 1000 */
    unsigned   processes;       /* at most; 0: 3; up to 8 */
    unsigned   threads;         /* that run tasks in each, at most; 0: 3 */
    unsigned   faults;          /* in one schedule, at most; 0: 4 */
    bool       no_faults;       /* only the order is the seed's choice */
    void     (*reset)(void *user);      /* before each schedule; NULL: nothing */
    /* Required. Declare tasks and sources: in each process when it begins, and again in the one that follows a crash. */
    mf_status (*declare)(mf_client *client, void *user, mf_error *err);
    /* Required. Start one flow and return its run (mf_start's answer). Called again, in the process that follows, after a crash
     * before the flow was stored, and where it answers NULL with MF_E_IO or MF_E_NOMEM. */
    mf_run   *(*start)(mf_client *client, void *user, mf_error *err);
    /* At the end of each schedule: anything but MF_OK breaks it, err says how. Nothing fails in it. NULL: nothing more to ask. */
    mf_status (*check)(mf_client *client, const mf_key *flow, void *user, mf_error *err);
    void     (*trace)(void *user, const char *line);     /* what happens, a line at a time, first the seed; NULL: not told */
    void      *user;
} mf_sim_options;
#define MF_SIM_OPTIONS(...) (&(const mf_sim_options){ .struct_size = sizeof(mf_sim_options), __VA_ARGS__ })

/** MF_OK: all schedules held. MF_E_TASK_FAILED: one did not; err names its seed and what broke, and with that seed as `first`
 * and one as `seeds` it goes exactly so again. MF_E_INVALID, MF_E_NOMEM. */
MF_NODISCARD mf_status mf_sim_run(const mf_sim_options *options, mf_error *err);

#ifdef __cplusplus
}
#endif
#endif
