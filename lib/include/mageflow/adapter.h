/* mageflow/adapter.h: what every task manager offers, and what it may call.
 *
 * An adapter carries messages to a task manager and back. It knows no chains and no swarms: the runtime publishes
 * entries, the adapter delivers messages, and each delivery is settled once. Its table is called by lib/adapter alone.
 *
 * Threads   the operations may be called from any thread. Deliveries come on threads of the adapter's worker.
 * Memory    what an operation is given is borrowed for the call unless it says otherwise.
 */
#ifndef MAGEFLOW_ADAPTER_H
#define MAGEFLOW_ADAPTER_H

#include <mageflow/base.h>
#include <mageflow/message.h>
#include <mageflow/store.h>
#include <mageflow/task.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mf_adapter mf_adapter;

/* ---- deliveries ------------------------------------------------------------------------------------------------ */

/** One message that a manager hands to this process. */
typedef struct mf_delivery {
    mf_str            id;         /* the manager's id of this run */
    mf_str            task;       /* the name it is addressed to */
    const mf_message *message;    /* what the task receives; NULL is nil */
    const mf_message *error;      /* for an error callback, from the metadata; else NULL */
    mf_unit           unit;       /* mageflow's metadata; unit.key unset: sent without any, runs without the store */
    uint32_t          attempt;    /* from 1 */
    const mf_spec    *spec;       /* from the bound store: what the entry named; else NULL */
    const mf_claim   *claim;      /* from the bound store's take: claimed already; else NULL */
    mf_duration       timeout;    /* of this call, as its message says; 0: as its task does */
    uint64_t          mark;       /* with a claim: what the host's mark answered before it was taken */
    int32_t           priority;   /* of the entry; 0 where the manager carries none */
    bool              again;      /* the manager handed it out before, to somebody who may be dead by now */
    bool              gather;     /* with a claim: flush is called soon, and until then the outcome may wait for others */
    void             *native;     /* the adapter's own view of the message */
} mf_delivery;

/** How a delivery ended, for the manager. */
typedef struct mf_settlement {
    const mf_delivery  *delivery;
    mf_signature_status status;     /* done, failed, canceled; pending: tried again later (published anew); active: nothing
                                     * came of it, it is to be delivered again; suspended, with MF_CAP_HOLDS only: the same, after
                                     * a while */
    const mf_message   *value;      /* the result or the error map; NULL is nil */
} mf_settlement;

/** What an adapter calls upward; one host, given with bind. */
typedef struct mf_host mf_host;
typedef struct mf_host_ops {
    size_t struct_size;
    /* Run the delivered task in this thread, record its outcome, settle it. With a claim it may return before the outcome is
     * committed; nothing of the delivery is needed for that any more. Else all of it is done. */
    void (*deliver)(mf_host *host, const mf_delivery *delivery);
    /* A task that somebody else runs ended: done with its result, or failed with its error map, of which `type` and `text` are
     * enough. sent: the message that the call was sent, for error callbacks; NULL: the manager does not know it (any more), and of
     * a foreign task the host does. */
    mf_status (*outcome)(mf_host *host, const mf_unit *unit, mf_signature_status status, const mf_message *value,
                         const mf_message *sent);
    /* A delivery was lost by the manager (its worker died, it expired there): counts as a failed attempt. */
    mf_status (*lost)(mf_host *host, const mf_delivery *delivery, const char *why);
    /* The manager asks a running call to stop; unknown ids are passed over. */
    void (*stop)(mf_host *host, mf_str id);
    /* Moves on when something is stopped: a call that was claimed before a stop and begins after it is thereby known. */
    uint64_t (*mark)(mf_host *host);
    /* The call's timeout is moved; for contexts whose manager does not do it. */
    mf_status (*refresh_timeout)(mf_host *host, mf_context *ctx, mf_duration more);
    /* Commit the outcomes that wait for others. Whoever sets `gather` calls it, on a thread of the worker, whenever the next
     * delivery may be some time in coming; what is not flushed within some 10 ms the host commits by itself. */
    void (*flush)(mf_host *host);
    /* Call the adapter's due within that many ms, for what is its own to look at. With MF_CAP_TAKES. */
    void (*look)(mf_host *host, int64_t within_ms);
    /* The manager keeps this message aside, since nobody can read it or whoever ran it died: what it was for ends as failed, and
     * is not tried again. It is settled as in deliver, after what came of that is stored, and on the same kind of thread. Of a
     * message that cannot be read the task's name and the message may be missing; its unit is set. */
    void (*give_up)(mf_host *host, const mf_delivery *delivery, const char *type, const char *text);
} mf_host_ops;
struct mf_host {
    const mf_host_ops *ops;
};

/* ---- the context ----------------------------------------------------------------------------------------------- */

/** What differs between managers in a running call. Optional ones are settled once, in lib/adapter/context.c. */
typedef struct mf_context_ops {
    size_t struct_size;
    /* Required. Keep one line where the manager or the store shows it. */
    mf_status (*log)(mf_context *ctx, mf_str line);
    /* Optional: tell the manager that the run ends as canceled. */
    mf_status (*cancel)(mf_context *ctx);
    /* Optional: where the manager times out. NULL: the runtime does. */
    mf_status (*refresh_timeout)(mf_context *ctx, mf_duration more);
    /* Required. Show how far the task is. */
    mf_status (*progress)(mf_context *ctx, const mf_message *progress);
    /* Optional, all four or none: the verbs of durable tasks, for calls without a signature (those of signatures are kept in the
     * store), where the manager remembers what a body did. Each may block. MF_E_WAIT: the manager calls the task again when it is
     * over, and this call's settlement is "active"; MF_E_STALE: it has called it again. NULL: such calls have no such verbs. */
    /* The result of the step that the body comes to now. MF_E_NOT_FOUND: it is not done yet, and remember follows with the same
     * key once it is. */
    mf_status (*recall)(mf_context *ctx, const char *key, mf_message **known);
    mf_status (*remember)(mf_context *ctx, const char *key, const mf_message *value);
    mf_status (*sleep)(mf_context *ctx, mf_duration span);
    /* *out is the event's message. MF_E_TIMEOUT: it did not come. */
    mf_status (*wait_event)(mf_context *ctx, const char *name, mf_duration timeout, mf_message **out);
} mf_context_ops;

struct mfi_call;     /* lib/adapter/call.h */

/** One call's context. The caller of create_task_context provides the memory and sets host and call. */
struct mf_context {
    const mf_context_ops *ops;
    mf_adapter           *adapter;
    mf_execution_info     info;
    mf_host              *host;
    struct mfi_call      *call;      /* the runtime's side: stop, deadline, failure */
};

/* ---- worker and workflow --------------------------------------------------------------------------------------- */

typedef struct mf_worker_options {
    size_t      struct_size;
    const char *name;               /* as the manager shows it; NULL: "mageflow" */
    unsigned    threads;            /* 0: one per online CPU */
    unsigned    slots;              /* deliveries held at once; 0: four per thread, on local threads more while they are small */
    void      (*on_start)(void *user);   /* before the first delivery, on the thread that starts; NULL: nothing */
    void      (*on_stop)(void *user);    /* after the last one, on the thread that stops */
    void       *user;
} mf_worker_options;
#define MF_WORKER_OPTIONS(...) (&(const mf_worker_options){ .struct_size = sizeof(mf_worker_options), __VA_ARGS__ })

typedef struct mf_worker mf_worker;
typedef struct mf_worker_ops {
    size_t struct_size;
    /* Required. Begin to take messages. */
    mf_status (*start)(mf_worker *worker, mf_error *err);
    /* Required. Wait until nothing that is due waits and nothing runs. MF_E_TIMEOUT. */
    mf_status (*drain)(mf_worker *worker, mf_duration timeout);
    /* Required. Take nothing more, return when what runs has ended. */
    void (*stop)(mf_worker *worker);
    /* Required. After stop. */
    void (*destroy)(mf_worker *worker);
} mf_worker_ops;
struct mf_worker {
    const mf_worker_ops *ops;
};

/** A handle for triggering a task by its name, without a signature. */
typedef struct mf_workflow mf_workflow;
typedef struct mf_workflow_ops {
    size_t struct_size;
    /* Required. Send n messages (an element may be NULL: nil), after a delay (0: at once). All or none. */
    mf_status (*run_many)(mf_workflow *workflow, const mf_message *const *messages, size_t n, mf_duration delay,
                          mf_error *err);
    /* Required. Send one and wait for its result, which is the caller's to unref. MF_E_TASK_FAILED, MF_E_TIMEOUT. */
    mf_status (*run_and_wait)(mf_workflow *workflow, const mf_message *message, mf_duration timeout, mf_message **result,
                              mf_error *err);
    /* Required. */
    void (*destroy)(mf_workflow *workflow);
} mf_workflow_ops;
struct mf_workflow {
    const mf_workflow_ops *ops;
};

/* ---- health ----------------------------------------------------------------------------------------------------- */

/** How an adapter does. The threads, slots and messages are the worker's; all 0 where nothing is served. */
typedef struct mf_adapter_health {
    mf_link_health link;
    bool           deaf;        /* connected, but nothing can be read from it; link.last_error tells why */
    unsigned       threads;     /* threads that run calls */
    unsigned       slots;       /* messages held at once, at most */
    unsigned       held;        /* messages held, running or about to */
    unsigned       replaced;    /* threads that were put in the place of calls that ignore their timeout */
} mf_adapter_health;

/* ---- dead letters ------------------------------------------------------------------------------------------------ */

/** Work that was accepted and will not be done unless somebody asks for it again: see mageflow/dead.h. Texts are NUL-terminated
 * and cut at their field's size; the messages are references of whoever holds the letter. */
typedef struct mf_dead_letter {
    char        key[320];       /* names it: a signature's key, or the manager's own name for one of its messages */
    char        name[256];      /* of a signature: its task, or the name of the chain or swarm. Of a message: the queue */
    char        reason[256];    /* why it is dead */
    char        hindrance[256]; /* why it cannot be sent again; empty: it can */
    int64_t     at_ms;          /* since when: the store's clock, or the manager's */
    mf_message *flow;           /* of a signature: what it is, as mf_flow_from_message takes it. NULL: not known */
    mf_message *message;        /* … and what it was started with; NULL: nothing */
    mf_message *error;          /* … and its error map; NULL: none */
    mf_message *payload;        /* of a message: its bytes as the manager has them, a bin; NULL: it is a signature */
} mf_dead_letter;

/** A queue of the manager's, as it was at one moment. -1: the manager does not know. */
typedef struct mf_queue_numbers {
    char    name[128];          /* ends in NUL */
    int64_t waiting;            /* messages that nobody has taken yet */
    int64_t held;               /* taken by some worker, anywhere, and not ended */
    int64_t delayed;            /* put off, not due yet */
    int64_t dead;               /* dead letters */
} mf_queue_numbers;

/* ---- the protocol ---------------------------------------------------------------------------------------------- */

/** Who does what. The manager where it can, else the runtime; never both. */
typedef enum mf_capability {
    MF_CAP_IN_PROCESS = 1 << 0,   /* the manager is this process: the first start brings up a worker */
    MF_CAP_TAKES = 1 << 1,        /* takes its messages from the bound store's ready queue; nothing is published to it */
    MF_CAP_RETRIES = 1 << 2,      /* tries failed tasks again by itself */
    MF_CAP_DELAYS = 1 << 3,       /* holds messages until they are due */
    MF_CAP_TIMEOUTS = 1 << 4,     /* ends tasks that take too long */
    MF_CAP_CONCURRENCY = 1 << 5,  /* keeps a task's max_concurrency */
    MF_CAP_OBSERVES = 1 << 6,     /* can watch for the ends of tasks that others serve */
    MF_CAP_RETRIES_CALLS = 1 << 7,/* tries failed calls without a signature again by itself; they are told to it as failed */
    MF_CAP_HOLDS = 1 << 8         /* a message that is settled as suspended stays where it is, with the count of its deaths */
} mf_capability;

typedef struct mf_adapter_ops {
    size_t      struct_size;
    const char *name;                   /* "taskiq": lower case, unique */
    unsigned    capabilities;           /* mf_capability, or-ed */

    /* The seven operations; all required. */

    /* Declare a task; def is copied by whoever needs it later. An option the manager cannot honour is MF_E_UNSUPPORTED,
     * naming it. Does not block. */
    mf_status (*task)(mf_adapter *self, const mf_task_def *def, mf_error *err);
    /* The same for a task whose body may be replayed. */
    mf_status (*durable_task)(mf_adapter *self, const mf_task_def *def, mf_error *err);
    /* A worker over the named tasks (names NULL: all declared; framework tasks always), not started yet. */
    mf_status (*worker)(mf_adapter *self, const char *const *names, size_t n, const mf_worker_options *options,
                        mf_worker **out, mf_error *err);
    /* A handle for triggering the named task. */
    mf_status (*workflow)(mf_adapter *self, mf_str name, mf_workflow **out, mf_error *err);
    /* Native delivery to the same words for all. Strings are borrowed from the delivery. */
    void (*extract_execution_info)(mf_adapter *self, const mf_delivery *delivery, mf_execution_info *out);
    /* Fill ctx (ops, adapter, info); valid until the delivery is settled. */
    mf_status (*create_task_context)(mf_adapter *self, const mf_delivery *delivery, mf_context *ctx);
    /* Register mageflow's own tasks, "mageflow.<name>", so that the manager's tools show them. */
    mf_status (*create_framework_tasks)(mf_adapter *self, const mf_task_def *defs, size_t n, mf_error *err);

    /* Below them, for the runtime alone. */

    /* Required. Hand n entries to the manager; all or none. Not called where the adapter takes from the store. */
    mf_status (*publish)(mf_adapter *self, const mf_entry *entries, size_t n, mf_error *err);
    /* Required. The deliveries ended; called after the outcome is stored. */
    mf_status (*settle)(mf_adapter *self, const mf_settlement *settlements, size_t n, mf_error *err);
    /* Optional. Ask a task that may run elsewhere to stop. */
    mf_status (*request_stop)(mf_adapter *self, const mf_unit *unit);
    /* Required with MF_CAP_OBSERVES. The foreign task of this unit was published (entry.spec->foreign): watch for its end, whose
     * outcome goes to the host. May come twice for one unit. The runtime itself keeps the timeout. */
    mf_status (*observe)(mf_adapter *self, const mf_unit *unit, mf_error *err);
    /* Required. Once, before anything else: where to call upward, and the store that the flows are kept in. */
    mf_status (*bind)(mf_adapter *self, mf_host *host, mf_store *store, mf_error *err);
    /* Required with MF_CAP_TAKES. Entries that were delayed may be due now: look. Returns when the next one is, on the
     * store's clock; INT64_MAX: none. */
    int64_t (*due)(mf_adapter *self);
    /* Optional. On a thread of the adapter's worker: run other deliveries until done(arg) or the deadline
     * (CLOCK_MONOTONIC, ns). MF_E_UNSUPPORTED where the thread is none of the worker's; MF_E_FULL: so many calls wait on top
     * of each other there that the stack is nearly used up. */
    mf_status (*help)(mf_adapter *self, bool (*done)(void *arg), void *arg, int64_t deadline_ns);
    /* Optional. Something that a helping thread may wait for has changed. */
    void (*wake_helpers)(mf_adapter *self);
    /* Optional. The call that `thread_mark` stands for ignores its stop request: put another thread in its place (true)
     * or take that one away again (false). The mark is what thread_mark answered on that thread. MF_E_FULL: none left. */
    mf_status (*replace_thread)(mf_adapter *self, void *thread_mark, bool replace);
    void *(*thread_mark)(mf_adapter *self);
    /* Optional. How it does; *out is zeroed, but for a link that is connected. Neither blocks nor asks the manager. NULL: there
     * is nothing to lose, and nothing known of threads. */
    void (*health)(mf_adapter *self, mf_adapter_health *out);
    /* Optional, all four or none: messages that the manager keeps aside, since they could not be read or killed who ran them.
     * Their keys are no keys of signatures and mean the same to every process on the manager; each may block.
     * Up to `max` letters behind the one of that key (empty: from the first) in an order of the manager's; the references in
     * them are the caller's. An empty page is the end. A key that is gone by now is a place all the same. */
    mf_status (*dead_page)(mf_adapter *self, mf_str after, size_t max, mf_dead_letter *out, size_t *got, mf_error *err);
    /* One of them. MF_E_NOT_FOUND; MF_E_INVALID: no key of this manager's, the text says what one looks like. */
    mf_status (*dead_read)(mf_adapter *self, mf_str key, mf_dead_letter *out, mf_error *err);
    /* Put it back where it came from, in one step with taking it away: of any number who ask at once one is answered MF_OK,
     * the others MF_E_NOT_FOUND. MF_E_STATE: it cannot be sent again. */
    mf_status (*dead_requeue)(mf_adapter *self, mf_str key, mf_error *err);
    /* Take it away. MF_E_NOT_FOUND. */
    mf_status (*dead_drop)(mf_adapter *self, mf_str key, mf_error *err);
    /* Optional. Look at what it stands on and tell each finding, as a store's does. NULL: there is nothing to look at. */
    void (*doctor)(mf_adapter *self, mf_finding_fn *tell, void *user);
    /* Optional. The first `room` of its queues; *count: how many there are. Asks the manager, for a second at most. Not on a
     * thread of the adapter's own. NULL: it has none. */
    mf_status (*queues)(mf_adapter *self, mf_queue_numbers *out, size_t room, size_t *count, mf_error *err);
    /* Required. Everything it started has been stopped. */
    void (*destroy)(mf_adapter *self);
} mf_adapter_ops;

struct mf_adapter {
    const mf_adapter_ops *ops;      /* first member of every implementation */
};

/* The only callers of the table; what is optional is settled here, once. */
mf_status mf_adapter_task(mf_adapter *a, const mf_task_def *def, mf_error *err);
mf_status mf_adapter_durable_task(mf_adapter *a, const mf_task_def *def, mf_error *err);
mf_status mf_adapter_worker(mf_adapter *a, const char *const *names, size_t n, const mf_worker_options *options,
                            mf_worker **out, mf_error *err);
mf_status mf_adapter_workflow(mf_adapter *a, mf_str name, mf_workflow **out, mf_error *err);
void      mf_adapter_extract_execution_info(mf_adapter *a, const mf_delivery *delivery, mf_execution_info *out);
mf_status mf_adapter_create_task_context(mf_adapter *a, const mf_delivery *delivery, mf_context *ctx);
mf_status mf_adapter_create_framework_tasks(mf_adapter *a, const mf_task_def *defs, size_t n, mf_error *err);
mf_status mf_adapter_publish(mf_adapter *a, const mf_entry *entries, size_t n, mf_error *err);
mf_status mf_adapter_settle(mf_adapter *a, const mf_settlement *settlements, size_t n, mf_error *err);
mf_status mf_adapter_request_stop(mf_adapter *a, const mf_unit *unit);
mf_status mf_adapter_observe(mf_adapter *a, const mf_unit *unit, mf_error *err);
mf_status mf_adapter_bind(mf_adapter *a, mf_host *host, mf_store *store, mf_error *err);
mf_status mf_adapter_help(mf_adapter *a, bool (*done)(void *arg), void *arg, int64_t deadline_ns);
mf_status mf_adapter_queues(mf_adapter *a, mf_queue_numbers *out, size_t room, size_t *count, mf_error *err);
void      mf_adapter_wake_helpers(mf_adapter *a);
int64_t   mf_adapter_due(mf_adapter *a);
mf_status mf_adapter_replace_thread(mf_adapter *a, void *thread_mark, bool replace);
void     *mf_adapter_thread_mark(mf_adapter *a);
void      mf_adapter_read_health(mf_adapter *a, mf_adapter_health *out);
mf_status mf_adapter_dead_page(mf_adapter *a, mf_str after, size_t max, mf_dead_letter *out, size_t *got, mf_error *err);
mf_status mf_adapter_dead_read(mf_adapter *a, mf_str key, mf_dead_letter *out, mf_error *err);
mf_status mf_adapter_dead_requeue(mf_adapter *a, mf_str key, mf_error *err);
mf_status mf_adapter_dead_drop(mf_adapter *a, mf_str key, mf_error *err);
void      mf_adapter_doctor(mf_adapter *a, mf_finding_fn *tell, void *user);
bool      mf_adapter_can(const mf_adapter *a, mf_capability capability);
void      mf_adapter_destroy(mf_adapter *a);

mf_status mf_worker_start(mf_worker *w, mf_error *err);
mf_status mf_worker_drain(mf_worker *w, mf_duration timeout);
void      mf_worker_stop(mf_worker *w);
void      mf_worker_destroy(mf_worker *w);

mf_status mf_workflow_run(mf_workflow *w, const mf_message *message, mf_error *err);
mf_status mf_workflow_run_many(mf_workflow *w, const mf_message *const *messages, size_t n, mf_duration delay, mf_error *err);
mf_status mf_workflow_run_and_wait(mf_workflow *w, const mf_message *message, mf_duration timeout, mf_message **result,
                                   mf_error *err);
void      mf_workflow_destroy(mf_workflow *w);

/* ---- the recording adapter -------------------------------------------------------------------------------------- */

/** What passed an adapter, in both directions, in order. Texts are cut at their field's size. */
typedef enum mf_recorded {
    MF_RECORDED_TASK,        /* task or durable_task: name */
    MF_RECORDED_PUBLISH,     /* one entry: name, unit, attempt */
    MF_RECORDED_DELIVERY,    /* one delivery reached the runtime: name, unit, attempt */
    MF_RECORDED_SETTLE,      /* one delivery was settled: name, unit, attempt, status */
    MF_RECORDED_STOP         /* request_stop: unit */
} mf_recorded;

typedef struct mf_record_line {
    mf_recorded         what;
    char                name[64];
    mf_unit             unit;
    uint32_t            attempt;
    mf_signature_status status;
} mf_record_line;

/** An adapter that passes everything on to `inner` (consumed, on failure too) and keeps a line of each call. */
MF_NODISCARD mf_status mf_recording_adapter_create(mf_adapter *inner, const mf_allocator *allocator, mf_adapter **out,
                                                   mf_error *err);
/** How many lines there are, and one of them. MF_E_NOT_FOUND past the end. Any thread. */
size_t    mf_recording_count(mf_adapter *recording);
mf_status mf_recording_line(mf_adapter *recording, size_t i, mf_record_line *out);

#ifdef __cplusplus
}
#endif
#endif
