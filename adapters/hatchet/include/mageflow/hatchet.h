/* mageflow/hatchet.h: what Hatchet has and other task managers have not: attributes of tasks, runs by their ids, events.
 *
 *     mf_task(client, MF_TASK_DEF(.name = "resize", .run = resize), &err);
 *     mf_hatchet_task_set(client, "resize", MF_HATCHET_TASK(.description = "an image, smaller", .priority = 2), &err);
 *
 *     mf_hatchet_id run;
 *     mf_hatchet_run(client, "resize", message, MF_HATCHET_RUN(.priority = 3), &run, &err);
 *     mf_hatchet_cancel(client, &run, 1, &err);
 *
 * Only for clients whose URL says hatchet:; for others each function answers MF_E_UNSUPPORTED. Whoever keeps to mageflow.h can
 * change the URL, whoever includes this header cannot.
 *
 * Checked   here, before anything is sent: what the engine would refuse, or worse, would take and never run.
 * Threads   any; those that ask the engine wait for its answer, up to 30 s, and say so.
 * Memory    everything given is borrowed for the call.
 * Statuses  beside those named: MF_E_UNSUPPORTED; MF_E_INVALID: the argument that breaks its rule is named, or the engine said why
 *           it refuses; MF_E_IO, MF_E_TIMEOUT: no answer, and nobody knows whether it was done; MF_E_NOMEM; MF_E_FORKED.
 */
#ifndef MAGEFLOW_HATCHET_H
#define MAGEFLOW_HATCHET_H

#include <mageflow/client.h>
#include <mageflow/message.h>
#include <mageflow/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The id of a run or an event: a UUID, NUL-terminated. */
typedef struct mf_hatchet_id {
    char text[40];
} mf_hatchet_id;

/* ---- what a running task sees ------------------------------------------------------------------------------------- */

/** What raw_context points to, valid until the task function returns. Fields may be added at the end: struct_size tells which are
 * there. */
typedef struct mf_hatchet_action {
    size_t      struct_size;
    const char *run;                /* the workflow's run */
    const char *task_run;           /* the task's, within it: what streams and logs belong to */
    const char *worker;             /* the engine's id of this worker */
    const char *metadata;           /* the additional metadata, a JSON object; "": none */
    mf_value    payload;            /* the engine's whole message: input, parents, triggers, triggered_by */
    int32_t     retry_count;        /* from 0 */
    int32_t     priority;
    int32_t     invocation;         /* how often a durable task was begun, from 1; 0: no durable one */
} mf_hatchet_action;

/** Send bytes to whoever listens to the run's stream (in Python: workflow_run_ref.stream()); in the order of the calls of this
 * attempt, one after another, and before the run's end. UTF-8 text is what Hatchet's clients expect. Does not wait: MF_OK says that
 * it will be sent, unless the engine is away for long: nobody keeps chunks. MF_E_TOO_BIG: above 4 MiB; MF_E_FULL: 4,096 wait; an
 * engine takes some hundreds a second of one run. */
mf_status mf_hatchet_stream(mf_context *ctx, mf_str bytes);
/** The task goes on without a slot of its worker's, for instance since it waits. Engine 0.99.1 answers this and still counts the
 * slot. Does not wait. */
mf_status mf_hatchet_release_slot(mf_context *ctx);

/* ---- attributes of tasks ------------------------------------------------------------------------------------------ */

/** What a worker has to be like. */
typedef enum mf_hatchet_compare {
    MF_HATCHET_EQUAL, MF_HATCHET_NOT_EQUAL, MF_HATCHET_GREATER, MF_HATCHET_GREATER_OR_EQUAL, MF_HATCHET_LESS, MF_HATCHET_LESS_OR_EQUAL
} mf_hatchet_compare;
typedef struct mf_hatchet_label {
    const char        *key;
    const char        *text;        /* its value; NULL: it is `number` */
    int32_t            number;
    bool               required;    /* else another worker does, too, when none fits.  These three are for tasks and runs alone, */
    mf_hatchet_compare compare;     /* a worker's label has a value and no more */
    int32_t            weight;      /* 0: 100 */
} mf_hatchet_label;

/** Who goes first when more runs of one group are there than may run. */
typedef enum mf_hatchet_strategy {
    MF_HATCHET_ROUND_ROBIN,         /* they wait, and groups take turns */
    MF_HATCHET_CANCEL_IN_PROGRESS,  /* the newest runs, what ran is canceled */
    MF_HATCHET_CANCEL_NEWEST        /* the newest is canceled */
} mf_hatchet_strategy;
typedef struct mf_hatchet_concurrency {
    const char         *expression; /* CEL, whose value is the group: "input.user" */
    int32_t             max_runs;   /* of a group at once; 0: 1 */
    mf_hatchet_strategy strategy;
} mf_hatchet_concurrency;

typedef enum mf_hatchet_per {
    MF_HATCHET_SECOND, MF_HATCHET_MINUTE, MF_HATCHET_HOUR, MF_HATCHET_DAY, MF_HATCHET_WEEK, MF_HATCHET_MONTH, MF_HATCHET_YEAR
} mf_hatchet_per;
/** What a call takes of a limit: of one that mf_hatchet_rate_limit_put made (key) before the task is served, since the engine
 * refuses a task whose limit it does not know (INTERNAL); or of one for each value of an expression. */
typedef struct mf_hatchet_rate_limit {
    const char    *key;             /* of the limit; with key_expression a name for this one in the task */
    const char    *key_expression;  /* CEL: the limit's key; NULL: it is `key` */
    int32_t        units;           /* 0: 1 */
    const char    *units_expression;/* CEL, in place of units; or NULL */
    const char    *limit_expression;/* with key_expression: CEL, or digits: how much there is in each `per` */
    mf_hatchet_per per;
} mf_hatchet_rate_limit;

/** Of the events that start the task, those of the scope for which the expression holds do; an event without a filter's scope
 * does not, once there are filters. */
typedef struct mf_hatchet_filter {
    const char       *expression;   /* CEL over input and payload */
    const char       *scope;        /* of the event; see mf_hatchet_push */
    const mf_message *payload;      /* a map, for the expression; NULL: none */
} mf_hatchet_filter;

/** Whether the children of a run go to the worker that has their parent. */
typedef enum mf_hatchet_sticky { MF_HATCHET_STICKY_NOT, MF_HATCHET_STICKY_SOFT, MF_HATCHET_STICKY_HARD } mf_hatchet_sticky;

/** Attributes of one task. Zero in a field means that the engine's default holds, or nothing. Arrays go with their count. */
typedef struct mf_hatchet_task {
    size_t                        struct_size;
    const char                   *description, *version;
    mf_hatchet_sticky             sticky;
    mf_duration                   schedule_timeout;     /* how long a run may wait for a worker; whole ms */
    int                           priority;             /* 1 to 3, of runs that say nothing; 3 goes first */
    const mf_message             *metadata;             /* a map, goes with each run that this client starts */
    const char *const            *events;               /* keys of events that start it; "order:*" takes any end */
    size_t                        event_count;
    const char *const            *crons;                /* "0 4 * * *": five fields, or six with seconds first, in UTC */
    size_t                        cron_count;
    const mf_message             *cron_input;           /* a map; what those runs receive */
    const mf_hatchet_concurrency *concurrency;
    size_t                        concurrency_count;
    const mf_hatchet_rate_limit  *rate_limits;
    size_t                        rate_limit_count;
    const mf_hatchet_filter      *filters;
    size_t                        filter_count;
    const mf_hatchet_label       *labels;               /* what its worker has to be like */
    size_t                        label_count;
} mf_hatchet_task;
#define MF_HATCHET_TASK(...) (&(const mf_hatchet_task){ .struct_size = sizeof(mf_hatchet_task), __VA_ARGS__ })

/** Give a task that was declared here (mf_task, mf_durable_task) its attributes, all of them; the engine hears of them when a worker
 * begins to serve it. Copied. MF_E_UNKNOWN_TASK; MF_E_STATE: it is served already. Does not wait. */
MF_NODISCARD mf_status mf_hatchet_task_set(mf_client *client, const char *task, const mf_hatchet_task *attributes, mf_error *err);

/** What this process's worker is like, for tasks that ask for it; all labels. Copied. Before mf_serve, else MF_E_STATE. Does not
 * wait. */
MF_NODISCARD mf_status mf_hatchet_worker_labels(mf_client *client, const mf_hatchet_label *labels, size_t n, mf_error *err);

/** Make a limit, or change it: `limit` units in each `per`, for all tasks that name its key. Waits for the engine. */
MF_NODISCARD mf_status mf_hatchet_rate_limit_put(mf_client *client, const char *key, int32_t limit, mf_hatchet_per per, mf_error *err);

/* ---- runs --------------------------------------------------------------------------------------------------------- */

typedef struct mf_hatchet_run_options {
    size_t                  struct_size;
    const mf_message       *metadata;       /* a map, over that of the task's attributes; NULL: that alone */
    int                     priority;       /* 1 to 3; 0: the task's */
    int64_t                 at_ms;          /* when, in ms since 1970; 0: now */
    mf_context             *parent;         /* within a task: the run is a child of its run, and a parent that is tried again, and
                                             * comes to its children in the same order, finds those that it had. In a durable task
                                             * that the engine keeps (sent without a flow) it is a verb like mf_step: MF_E_WAIT and
                                             * MF_E_STALE are returned in turn, and a body that starts another task than the one
                                             * before fails for good. Within a step, and with at_ms, it is a plain run */
    const char             *child_key;      /* with parent, or NULL: this, and not the order, tells the children apart */
    const char             *worker;         /* for a sticky task: a worker's id (mf_hatchet_action) */
    const mf_hatchet_label *labels;         /* what its worker has to be like, beside what the task says */
    size_t                  label_count;
} mf_hatchet_run_options;
#define MF_HATCHET_RUN(...) (&(const mf_hatchet_run_options){ .struct_size = sizeof(mf_hatchet_run_options), __VA_ARGS__ })

/** Send a message (a map, or NULL: nil) to the task or workflow of that name, declared here or not. run: its id, with at_ms that of
 * the schedule, which is no run; NULL: not wanted. options may be NULL. Waits for the engine. MF_E_TOO_BIG: over 4 MiB as JSON.
 * An engine may take a name that it does not know; mf_hatchet_wait then answers MF_E_NOT_FOUND. */
MF_NODISCARD mf_status mf_hatchet_run(mf_client *client, const char *task, const mf_message *message,
                                      const mf_hatchet_run_options *options, mf_hatchet_id *run, mf_error *err);
/** Wait for the end of a run. *result is that of the named task in it, the caller's to unref. MF_E_TASK_FAILED, MF_E_CANCELED with
 * its story; MF_E_TIMEOUT; MF_E_NOT_FOUND. */
MF_NODISCARD mf_status mf_hatchet_wait(mf_client *client, const char *task, const mf_hatchet_id *run, mf_duration timeout,
                                       mf_message **result, mf_error *err);
/** Wait for the end of a run that this call of a task started (mf_hatchet_run with `parent`), else as mf_hatchet_wait without an end.
 * In a durable task that the engine keeps it waits without a thread: MF_E_WAIT: not yet, and MF_E_STALE: another call of it counts;
 * the body returns either in turn, after releasing what it holds, and is called again, when mf_hatchet_run gives the same run and
 * this its result. Of a workflow of several tasks *result is a map of their results by name. */
MF_NODISCARD mf_status mf_hatchet_wait_child(mf_context *ctx, const char *task, const mf_hatchet_id *run, mf_message **result,
                                             mf_error *err);
/** Cancel runs, 1 to 500 of them: those that wait never run, those that run are asked to stop, those that have ended stay as they
 * are. The engine passes over ids that it does not know. Waits for the engine, which does it a moment after its answer. */
MF_NODISCARD mf_status mf_hatchet_cancel(mf_client *client, const mf_hatchet_id *runs, size_t n, mf_error *err);
/** Run ended runs once more, with what they were sent, under the same ids; else as mf_hatchet_cancel. */
MF_NODISCARD mf_status mf_hatchet_replay(mf_client *client, const mf_hatchet_id *runs, size_t n, mf_error *err);

typedef struct mf_hatchet_event_options {
    size_t            struct_size;
    const mf_message *metadata;             /* a map; goes with the runs that it starts */
    int               priority;             /* 1 to 3, of those runs; 0: their tasks' */
    const char       *scope;                /* which filters look at it; NULL: none */
} mf_hatchet_event_options;
#define MF_HATCHET_EVENT(...) (&(const mf_hatchet_event_options){ .struct_size = sizeof(mf_hatchet_event_options), __VA_ARGS__ })

/** Send an event with a payload (a map, or NULL: nil): tasks that it is a trigger of start, and durable tasks that wait for it go on.
 * event: its id; NULL: not wanted. options may be NULL. Waits for the engine. */
MF_NODISCARD mf_status mf_hatchet_push(mf_client *client, const char *key, const mf_message *payload,
                                       const mf_hatchet_event_options *options, mf_hatchet_id *event, mf_error *err);

#ifdef __cplusplus
}
#endif
#endif
