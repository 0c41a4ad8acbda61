/* hatchet/hatchet.h: Hatchet's engine as a task manager: the adapter from the inside.
 *
 *   options.c     the URL's parameters, the environment, the token
 *   adapter.c     the table of operations, and the I/O thread's timer
 *   define.c      what the engine is told of our tasks: PutWorkflow and Register
 *   worker.c      starting and stopping to serve;   drain.c  waiting until nothing is left;   leave.c  until the engine assigns nothing more
 *   listen.c      the stream of actions, and the heartbeat
 *   health.c      whether it hears;   token.c  whether the engine still knows us
 *   durable.c     what the bodies of durable tasks ask the engine;   durable_children.c  their children;   durable_io.c  the stream
 *   invoker.c     from an action to a call, on the pool;   jobs.c  the actions under way
 *   complete.c    from an outcome to an event for the engine, in batches
 *   workflow.c    sending by name;   results.c  results that somebody here waits for
 *   flow.c        what the runtime publishes;   flow_wire.c  its form;   observe.c  the ends of tasks that others serve
 *   framework_tasks.c
 *   context.c     what a running call says;   stream.c  the chunks of its stream
 *   runs.c        mageflow/hatchet.h: runs by their ids, events;   attributes.c  and what tasks are beside their function
 *   wire.c        protobuf and JSON
 *   rpc*.c        gRPC
 *
 * Threads   One I/O thread (rpc.h) calls what is named io_ here, and never waits. Calls run on the pool, which never touches a
 *           socket: it leaves outcomes in `telling` and pokes the I/O thread.
 * An action's way   listen: a job is made → invoker: parsed, run, settled → complete: the event waits until the engine has it.
 *           Nothing is acknowledged: an action that was sent here is ours until its event arrives, or our heartbeat is 30 s old.
 */
#ifndef MFI_HATCHET_H
#define MFI_HATCHET_H

#include <mageflow/adapter.h>
#include <mageflow/hatchet.h>
#include <mageflow/pool.h>

#include <pthread.h>
#include <stdatomic.h>

#include "hatchet.pb-c.h"
#include "hatchet_adapter.h"
#include "retry.h"
#include "rpc.h"

#define HATCHET_CLOSE_WITHIN mf_seconds(5)      /* a client that closes waits no longer for an answer */
#define HATCHET_ID_MAX 64       /* a UUID, and room */
#define HATCHET_FORGET_MAX 64
#define HATCHET_CHAINS_MIN 64
#define HATCHET_FRESH_MAX 64
#define HATCHET_SLOTS 1000      /* the engine counts free slots about once a second: a worker gets this many tasks in that time */

typedef struct hatchet hatchet;

typedef struct hatchet_bytes {
    const mf_allocator *allocator;
    char               *at;
    size_t              len;
} hatchet_bytes;

/* A task that is declared here. */
typedef struct hatchet_task {
    struct hatchet_task *next;
    char                 name[256];
    char                *workflow;      /* with the namespace before it */
    char                *action;        /* "workflow:task", the workflow in lower case */
    const mf_fields     *in;
    unsigned             retries;
    mf_duration          backoff;
    bool                 durable;
    hatchet_bytes        attributes;    /* L until it is served: a packed Workflow with its one Task; or nothing */
    mf_message          *metadata;      /* L until it is served: for runs that this client starts; or NULL */
    bool                 defined;       /* L  the engine knows it, as far as this process knows */
} hatchet_task;

/* One action under way here. */
typedef struct hatchet_job {
    struct hatchet_job *next, *prev;    /* L  among the jobs, newest first */
    struct hatchet_job *below;          /* L  in its chain: see jobs.c */
    uint32_t            hash;           /* L  of its run's id */
    hatchet            *owner;
    HatchetPb__Action  *action;         /* as it came */
    const hatchet_task *task;           /* that is called */
    mf_message         *payload, *input;
    mf_delivery         delivery;
    mf_hatchet_action   raw;            /* what raw_context points to */
    char                worker[HATCHET_ID_MAX];
    atomic_uint         children;       /* that it started */
    struct hatchet_stream *stream;      /* L  NULL: it has sent no chunk */
    int32_t             retry_count;    /* L  of the engine's attempt that its end is told for */
    bool                flow;           /* L  a message of a flow, as its metadata says: */
    mf_unit             unit;
    mf_message         *error;          /* for an error callback; else NULL */
    unsigned            returns;        /* how often it went out again since workers died with it */
    int64_t             memo_branch, memo_node;         /* of the step that its call is in */
    unsigned            steps;          /* that it came to */
    bool                in_step;        /* what it does is remembered as a whole */
    struct hatchet_child *started;      /* L  its children in the engine's log; see asks.h */
    bool                evicting, evicted, came;        /* L  it waits without a thread; the engine knows; and what it waits for came */
    int64_t             evict_branch, evict_node;       /* L */
    bool                canceled;       /* L  the engine wants it no more: nothing is told of it */
    bool                running;        /* L */
    bool                late;           /* came while we leave: it is run */
    atomic_bool         settled;
} hatchet_job;

/* What the engine is to be told of a run. The numbers are the wire's. */
typedef enum hatchet_event { HATCHET_STARTED = 1, HATCHET_COMPLETED = 2, HATCHET_FAILED = 3 } hatchet_event;
typedef struct hatchet_news {
    struct hatchet_news *next;
    hatchet_event        event;
    int32_t              retry_count;
    bool                 final;         /* should_not_retry */
    bool                 alone;         /* the engine refused it among others */
    unsigned             tries;
    char                 run[HATCHET_ID_MAX];
    size_t               len;
    char                 payload[];     /* ends in NUL */
} hatchet_news;

typedef struct hatchet_list {
    hatchet_news *first, *last;
    size_t        count;
} hatchet_list;

/* Somebody waits for the end of a run. */
typedef struct hatchet_waiter {
    struct hatchet_waiter *next;
    char                   run[HATCHET_ID_MAX];
    const char            *task;        /* whose result it is */
    bool                   asked;       /* L  the stream was told of it */
    bool                   ended;       /* L */
    bool                   has_output;
    mf_status              st;
    char                  *text;        /* the output, or the error; of `allocator` */
    size_t                 len;
} hatchet_waiter;

/* L all of it. See health.c. */
typedef struct hatchet_hearing {
    bool     up, deaf;
    int64_t  since_ns;
    mf_error link_why, deaf_why;
    unsigned replaced;
} hatchet_hearing;

/* O I/O thread · L under lock · I set at create */
struct hatchet {
    mf_adapter          base;
    const mf_allocator *allocator;      /* I */
    const mf_clock     *clock;          /* I */
    mfi_hatchet_options options;        /* I  without the token; expires_s L */
    char                what[300];      /* I */
    bool                was_up;         /* O  the link, once */
    atomic_bool         hurries;        /* the client closes */
    mf_host            *host;
    mf_store           *store;
    mfi_rpc            *rpc;            /* I */

    struct hatchet_sent *sent;          /* L  runs that this process sent to itself; see drain.c */
    size_t              sent_waits;     /* L  of them, those that have not arrived */
    unsigned            sending;        /* L  calls that send runs, under way */
    bool                sent_seen;      /* L  some of `sent` arrived before who sent them knew their ids */
    uint64_t            moves;          /* L  counts what was sent and what arrived */

    mf_worker           worker;         /* the one there is */
    mf_worker_options   serving_options;
    mf_pool            *pool;
    pthread_mutex_t     lock;
    pthread_cond_t      changed;        /* something ended */
    hatchet_task       *tasks;          /* L  additions only */
    hatchet_bytes       labels;         /* L until it serves: a packed Register with the worker's labels; or nothing */
    bool                has_worker;     /* L */
    bool                told_tasks;     /* L  the engine is told of the tasks, or about to be: no more are taken */
    bool                serving;        /* L  what was taken is run */
    hatchet_hearing     health;         /* L */
    bool                attached;       /* L  registered: heartbeats go out */
    bool                leaving;        /* L  it stops: no stream is opened again */
    bool                gone;           /* L  nothing more is taken */
    char                worker_id[HATCHET_ID_MAX];      /* L */
    hatchet_job        *jobs;           /* L */
    size_t              job_count;      /* L */
    hatchet_job       **chains;         /* L  see jobs.c; NULL: all are in one_chain */
    hatchet_job        *one_chain;      /* L */
    size_t              chain_count;    /* L  a power of two, or 0 */
    hatchet_list        telling;        /* L  for the I/O thread to send */
    size_t              under_way;      /* L  sent and not answered */
    size_t              streaming;      /* L  streams that have something to send */
    unsigned            batches;        /* L  requests with them */
    bool                no_batches;     /* O  an engine before 0.88 */
    _Atomic int64_t     tell_ns;        /* not before then, after a failure */

    /* The I/O thread's. */
    mfi_rpc_call       *listen;         /* NULL: none is open */
    int64_t             listen_ns;      /* open one then */
    int64_t             listened_ns;    /* opened at */
    mfi_retry           listen_retry;
    mf_job              fresh[HATCHET_FRESH_MAX];       /* actions of one reading, for the pool together: it wakes fewer threads */
    size_t              fresh_count;
    bool                registering;
    int64_t             define_ns;      /* tell the definitions again then; 0: they are known */
    int64_t             beat_ns;
    bool                beating;

    bool                token_refused;  /* L */
    bool                token_told;     /* O */
    int64_t             token_ns;       /* O  not read again before then */

    char                store_id[HATCHET_ID_MAX];       /* L until it is set; "": not read yet */
    size_t              returning;      /* L  messages of flows that are being handed back */

    /* observe.c, observe_io.c: tasks of others. */
    struct hatchet_observed *observed;  /* L  runs that are watched, by their ids */
    mf_pool            *observers;      /* L  one thread that tells their ends; NULL: not needed yet */
    char                watcher[40];    /* L until it is set; our name in notes of the store */
    bool                observe_unasked;        /* L  the stream of results is to be told of some */
    bool                observe_soon;   /* L  when to ask for one by itself is to be found anew */
    bool                closing;        /* L  the link is about to go */
    int64_t             observe_ns;     /* L  when one is asked for by itself */
    unsigned            asking;         /* L  such questions under way */
    size_t              ends;           /* L  that wait to be told */
    bool                in_round;       /* L  notes are looked at just now */
    int64_t             round_ns;       /* L  when they are the next time */
    char                forgotten[HATCHET_FORGET_MAX][HATCHET_ID_MAX];      /* the observers' */
    size_t              forgotten_count;

    struct hatchet_ask *asks;           /* L  questions of durable tasks */
    unsigned            durable_streams;        /* L  how many there were */
    mfi_rpc_call       *durable;        /* O  NULL: none is open */
    int64_t             durable_ns;     /* O  open one then */
    mfi_retry           durable_retry;  /* O */

    hatchet_waiter     *waiters;        /* L */
    mfi_rpc_call       *results;        /* O  NULL: none is open */
    int64_t             results_ns;     /* O */
    mfi_retry           results_retry;  /* O */
};

hatchet      *hatchet_of(mf_adapter *base);
void          hatchet_log(hatchet *h, mf_log_level level, const char *fmt, ...) MF_PRINTF(3, 4);
/* The lock is held. */
hatchet_task *hatchet_task_find(hatchet *h, mf_str name);

/* wire.c */
mf_str                hatchet_str(const hatchet_bytes *b);
void                  hatchet_bytes_free(hatchet_bytes *b);
mf_status             hatchet_pack(hatchet *h, const ProtobufCMessage *message, hatchet_bytes *out, mf_error *err);
/* A unary call and its answer's message, for protobuf_c_message_free_unpacked; out NULL: not wanted. Waits. */
mf_status             hatchet_call(hatchet *h, const char *method, const ProtobufCMessage *request, mf_duration within,
                                   const ProtobufCMessageDescriptor *reply, ProtobufCMessage **out, mfi_rpc_code *code, mf_error *err);
/* Begun, not waited for. */
mf_status             hatchet_begin(hatchet *h, const char *method, const ProtobufCMessage *request, mf_duration within,
                                    mfi_rpc_message_fn *message, mfi_rpc_ended_fn *ended, void *user, mfi_rpc_call **out, mf_error *err);
HatchetPb__Timestamp  hatchet_now(hatchet *h);
HatchetPb__Timestamp  hatchet_stamp(int64_t ms);
/* A span in the engine's words: whole milliseconds, at least one. */
void                  hatchet_span_text(char text[32], mf_duration span);
/* What is no UTF-8 becomes question marks: half a character where a text was cut, or what a program wrote into its log. */
void                  hatchet_make_utf8(char *text);
bool                  hatchet_is_utf8(const char *text);
/* A value as a JSON object; what is no map stands in {"hatchet_results": …}. Free with mf_json_free. */
mf_status             hatchet_object(hatchet *h, mf_value value, char **json, size_t *len, mf_error *err);
/* And back. */
mf_status             hatchet_unwrap(hatchet *h, mf_str json, mf_message **out, mf_error *err);
/* A value as a message of its own. */
mf_status             hatchet_message_of(hatchet *h, mf_value value, mf_message **out, mf_error *err);

/* flow_wire.c */
typedef enum hatchet_form { HATCHET_PLAIN, HATCHET_WRAPPED, HATCHET_PACKED, HATCHET_FORMS } hatchet_form;
typedef struct hatchet_meta {
    mf_unit      unit;
    uint32_t     attempt;
    int32_t      priority;
    char         store[HATCHET_ID_MAX];
    hatchet_form form;
    unsigned     returns;
    mf_message  *error;         /* the reader's to unref */
} hatchet_meta;
/* Free with mf_json_free. foreign: MF_E_INVALID, MF_E_UNSUPPORTED name what JSON has no form for. */
mf_status hatchet_input_write(hatchet *h, const mf_message *message, bool foreign, char **json, size_t *len, hatchet_form *form,
                              mf_error *err);
mf_status hatchet_input_read(hatchet *h, mf_value input, hatchet_form form, mf_message **out, mf_error *err);
/* What an action carries. */
mf_status hatchet_payload_read(hatchet *h, const char *json, bool flow, mf_message **out, mf_error *err);
/* The run's additional metadata for an entry. */
mf_status hatchet_meta_write(hatchet *h, const mf_entry *e, hatchet_form form, char **json, size_t *len, mf_error *err);
/* The same once more, with another count of returns. */
mf_status hatchet_meta_again(hatchet *h, const char *metadata, unsigned returns, char **json, size_t *len, mf_error *err);
/* MF_E_NOT_FOUND: it is nobody's flow. */
mf_status hatchet_meta_read(hatchet *h, const char *metadata, hatchet_meta *out, mf_error *err);

/* flow.c */
mf_status hatchet_publish(mf_adapter *base, const mf_entry *entries, size_t n, mf_error *err);
/* The store's id is read, or given to it. Waits for the store. */
mf_status hatchet_store_known(hatchet *h, mf_error *err);
/* A message of a flow that does not run here goes out again, for others; died: since workers died with it. Does not wait. */
void      hatchet_hand_back(hatchet_job *job, bool died);

/* observe.c, observe_io.c */
/* The runs that n foreign entries were published as are watched from now on. */
mf_status hatchet_observe_runs(hatchet *h, const mf_entry *const *entries, char *const *runs, size_t n, mf_error *err);
mf_status hatchet_observe(mf_adapter *base, const mf_unit *unit, mf_error *err);
mf_status hatchet_request_stop(mf_adapter *base, const mf_unit *unit);
/* The unit ends as failed: its message cannot be sent. Does not wait. */
void      hatchet_refuse_unit(hatchet *h, const mf_entry *e, const char *type, const char *why);
void      io_observed_result(hatchet *h, const HatchetPb__RunEvent *e);
/* Whether the stream of results must be told of some; again: it has ended, and a new one is to be
 * told of all. */
bool      io_observed_unasked(hatchet *h, bool again);
void      io_observed_ask(hatchet *h);
int64_t   io_observe_tick(hatchet *h, int64_t now_ns);
void      hatchet_observers_free(hatchet *h);

/* framework_tasks.c */
mf_status hatchet_create_framework_tasks(mf_adapter *base, const mf_task_def *defs, size_t n, mf_error *err);

/* define.c */
mf_status hatchet_define(hatchet *h, const hatchet_task *task, mf_error *err);
mf_status hatchet_task_declare(mf_adapter *base, const mf_task_def *def, mf_error *err);
mf_status hatchet_durable_declare(mf_adapter *base, const mf_task_def *def, mf_error *err);
mf_status hatchet_define_all(hatchet *h, mf_error *err);
/* The same, begun on the I/O thread: ended, with h as its user, for each definition. */
mf_status io_define_again(hatchet *h, mfi_rpc_ended_fn *ended, mf_error *err);
/* What Register sends; released with the matching free. */
mf_status hatchet_register_pack(hatchet *h, hatchet_bytes *out, mf_error *err);
mf_status hatchet_register(hatchet *h, mf_error *err);
void      hatchet_tasks_free(hatchet *h);
/* The name with the namespace before it; text of the allocator. */
char     *hatchet_workflow_name(hatchet *h, mf_str name);
void      hatchet_text_free(hatchet *h, char *text);

/* worker.c */
mf_status hatchet_worker(mf_adapter *base, const char *const *names, size_t n, const mf_worker_options *options, mf_worker **out,
                         mf_error *err);
mf_status hatchet_help(mf_adapter *base, bool (*done)(void *arg), void *arg, int64_t deadline_ns);

/* leave.c: what runs has ended, and nothing more is assigned to us. Waits for that. */
void      hatchet_leave(hatchet *h);

/* drain.c */
mf_status hatchet_drain(hatchet *h, mf_duration timeout);
/* Around a call that sends runs of tasks that may be served here: begun; the id that one got; ended. */
void      hatchet_sending(hatchet *h);
void      hatchet_sent_run(hatchet *h, mf_str task, const char *run);
void      hatchet_sending_ended(hatchet *h);
/* A run is here. The lock is held. */
void      hatchet_arrived(hatchet *h, const char *run);
void      hatchet_sent_free(hatchet *h);

/* listen.c */
int64_t   io_listen_tick(hatchet *h, int64_t now_ns);
/* A second stream, until the engine has ended it, after span. */
mf_status hatchet_listen_shortly(hatchet *h, mf_duration span);

/* durable.c: see mf_context_ops */
mf_status hatchet_recall(mf_context *ctx, const char *key, mf_message **known);
mf_status hatchet_remember(mf_context *ctx, const char *key, const mf_message *value);
mf_status hatchet_durable_sleep(mf_context *ctx, mf_duration span);
mf_status hatchet_durable_event(mf_context *ctx, const char *name, mf_duration timeout, mf_message **out);
int64_t   io_durable_tick(hatchet *h, int64_t now_ns);
/* durable_children.c */
bool      hatchet_keeps_log(const hatchet_job *job);    /* the engine notes what its body does */
mf_status hatchet_start_child(mf_context *ctx, HatchetPb__Trigger *trigger, mf_hatchet_id *run, mf_error *err);
void      hatchet_children_free(hatchet_job *job);

/* health.c */
void      hatchet_health(mf_adapter *base, mf_adapter_health *out);
/* doctor.c */
void      hatchet_doctor(mf_adapter *base, mf_finding_fn *tell, void *user);
void      hatchet_health_link(hatchet *h, bool up, const mf_error *why);
void      hatchet_health_replaced(hatchet *h, bool replace);
bool      hatchet_is_deaf(hatchet *h);
bool      hatchet_is_connected(hatchet *h);
void      io_is_deaf(hatchet *h, const char *why);
bool      io_hears(hatchet *h);         /* true: it was deaf */

/* token.c */
/* A call was refused for its token. Any thread. */
void      hatchet_token_refused(hatchet *h);
#define HATCHET_TOKEN_WHY 600
void      hatchet_token_why(hatchet *h, char text[HATCHET_TOKEN_WHY]);
/* False: it did not end so. Else it is told, once. */
bool      io_token_refused(hatchet *h, const mfi_rpc_end *end);
int64_t   io_token_tick(hatchet *h, int64_t now_ns);

/* jobs.c. The lock is held. */
void         hatchet_job_link(hatchet *h, hatchet_job *job);
void         hatchet_job_unlink(hatchet *h, hatchet_job *job);
/* The newest action of this run; NULL: none is here. */
hatchet_job *hatchet_job_newest(hatchet *h, const char *run);
/* The next older one of its run. */
hatchet_job *hatchet_job_older(const hatchet_job *job);

/* invoker.c */
void      io_start(hatchet *h, HatchetPb__Action *action);       /* consumed */
void      io_begin_fresh(hatchet *h);                            /* those that were started since */
void      io_cancel(hatchet *h, HatchetPb__Action *action);      /* consumed */
void      hatchet_jobs_drop(hatchet *h);                         /* what did not begin, once the pool is gone */

/* complete.c */
mf_status hatchet_settle(mf_adapter *base, const mf_settlement *settlements, size_t n, mf_error *err);
void      hatchet_tell(hatchet_job *job, hatchet_event event, bool final, mf_str payload);
void      hatchet_tell_run(hatchet *h, const char *run, int32_t retry_count, hatchet_event event, bool final, mf_str payload);
/* The lock is held. n is consumed. True: the I/O thread is to be poked. */
bool      hatchet_news_push(hatchet *h, hatchet_news *n);
void      hatchet_fail(hatchet_job *job, bool final, const char *type, const char *text);
int64_t   io_tell_tick(hatchet *h, int64_t now_ns);
void      hatchet_news_free(hatchet *h);

/* workflow.c, results.c */
mf_status hatchet_workflow(mf_adapter *base, mf_str name, mf_workflow **out, mf_error *err);
mf_status hatchet_wait(hatchet *h, const char *run, const char *task, int64_t deadline_ns, mf_message **result, mf_error *err);
int64_t   io_results_tick(hatchet *h, int64_t now_ns);

/* runs.c: checks, and what goes into requests. A status of theirs names what was wrong. */
typedef struct hatchet_label {
    HatchetPb__LabelEntry entry;
    HatchetPb__Label      value;
} hatchet_label;
typedef struct hatchet_labels {
    hatchet_label          *at;
    HatchetPb__LabelEntry **list;
    size_t                  n;
} hatchet_labels;
mf_status hatchet_labels_init(hatchet *h, const mf_hatchet_label *labels, size_t n, bool wanted, hatchet_labels *out, mf_error *err);
void      hatchet_labels_free(hatchet *h, hatchet_labels *l);
mf_status hatchet_check_priority(const char *what, int priority, mf_error *err);
mf_status hatchet_check_text(const char *what, const char *text, mf_error *err);
/* A map as a JSON object, for mf_json_free; NULL or nil: the fallback, or (NULL) nothing. */
mf_status hatchet_map_json(hatchet *h, const char *what, const mf_message *message, const char *fallback, char **json, size_t *len,
                           mf_error *err);
mf_status hatchet_push(hatchet *h, const char *key, const mf_message *payload, const mf_hatchet_event_options *o, mf_hatchet_id *event,
                       mf_error *err);

/* attributes.c */
mf_message *hatchet_task_metadata(hatchet *h, mf_str task);     /* NULL: none; to be unreferenced */

/* adapter.c: MF_E_UNSUPPORTED for a client of another manager. */
mf_status hatchet_of_client(mf_client *client, hatchet **out, mf_error *err);
mf_status hatchet_of_adapter(mf_adapter *base, hatchet **out);

/* context.c */
hatchet_job *hatchet_job_of(const mf_context *ctx);
mf_status    hatchet_of_context(const mf_context *ctx, hatchet **out);

/* stream.c */
typedef struct hatchet_stream hatchet_stream;
/* The lock is held. True: the run's end waits for its chunks, and is told behind them. */
bool hatchet_stream_holds(hatchet_job *job, hatchet_news *end);
/* The job is about to go. */
void hatchet_stream_leave(hatchet_job *job);
void      hatchet_extract_execution_info(mf_adapter *base, const mf_delivery *delivery, mf_execution_info *out);
mf_status hatchet_create_task_context(mf_adapter *base, const mf_delivery *delivery, mf_context *ctx);

#endif
