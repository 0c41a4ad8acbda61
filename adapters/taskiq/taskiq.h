/* taskiq/taskiq.h: a Redis that a TaskIQ fleet uses as its broker, as a task manager: the adapter from the inside.
 *
 *   options.c     the URL's parameters
 *   adapter.c     the table of operations, and the I/O thread's timer
 *   worker.c      starting, draining and stopping to serve
 *   source.c      reading queues: streams, and lists over an in-flight list
 *   recover.c     what a list gave us, and a lost connection did not bring
 *   ready.c       who runs what was read, and when a further thread is woken for it
 *   invoker.c     from a payload to a call, on the pool
 *   settle.c      from an outcome back to Redis, in batches
 *   lease.c       what we hold stays ours, what the dead held becomes somebody's, what was put off becomes due
 *   workflow.c    sending: by name, and what the runtime publishes
 *   waiters.c     results that somebody here waits for
 *   watch.c       the ends of foreign tasks, for which somebody looks as long as anybody lives
 *   dead.c        messages that were kept aside: shown, sent again, dropped
 *   doctor.c      a look at the queues and the results before it hurts
 *   context.c, framework_tasks.c, numbers.c
 *   scripts.c     what Redis must do in one step
 *   wire_*.c      bytes and values
 *
 * Threads   One I/O thread per link (adapters/redis) calls what is named io_ here, and never waits. Calls run on the pool,
 *           which never touches a socket: it leaves outcomes in `settling` and pokes the I/O thread, so that what ends while
 *           one answer is under way goes out with the next, together.
 * A payload's way   source: read, a job made and held (renewed from here on) → invoker: parsed, run, settled, its slot free →
 *           settle: told to Redis → answered: no longer held. A job that Redis says is not ours any more is asked to stop,
 *           and its outcome dropped.
 */
#ifndef MFI_TASKIQ_H
#define MFI_TASKIQ_H

#include <mageflow/adapter.h>
#include <mageflow/pool.h>
#include <mageflow/taskiq.h>

#include <pthread.h>
#include <stdatomic.h>

#include "redis_link.h"
#include "redis_store.h"
#include "scripts.h"
#include "taskiq_adapter.h"
#include "taskiq_wire.h"

#define TASKIQ_CONSUMER_PREFIX "mageflow-"
#define TASKIQ_ENTRY_MAX 48             /* of a stream entry's id */
#define TASKIQ_DEATHS_MAX 3             /* a payload whose worker died so often while it ran alone is a dead letter */

typedef struct taskiq taskiq;
typedef struct taskiq_job taskiq_job;
typedef struct taskiq_runner taskiq_runner;

/* A queue to serve, or to send to. */
typedef struct taskiq_queue {
    char        name[MFI_TASKIQ_NAME_MAX];
    bool        list;
    bool        own;                    /* mageflow's own beside the fleet's: always a stream, in msgpack */
    atomic_bool alone;                  /* stream: ours is its only group, so what is acknowledged is deleted */
    atomic_bool grouped;                /* stream: its group exists, as far as we know, */
    _Atomic int64_t grouped_ns;         /* and when a sender saw that */
    char       *delayed, *dead;         /* keys */
    char       *inflight, *alive, *workers, *deaths;    /* keys of a list */
    struct taskiq_source *source;       /* of a list: who reads it */
    char        claim_from[TASKIQ_ENTRY_MAX];           /* I/O thread: where the next look for the dead begins */
    bool        claiming, renewing;     /* I/O thread: a request is under way */
} taskiq_queue;

/* One loop that reads. Streams are read together, each list has its own, since a blocking move waits for one list. */
typedef struct taskiq_source {
    taskiq       *owner;
    mfi_redis    *link;                 /* whose blocking connection it uses */
    taskiq_queue *queues[MFI_TASKIQ_QUEUES + 1];
    size_t        count;
    bool          reading;              /* L  a read is under way */
    bool          more;                 /* L  list: the last take was full */
    taskiq_queue *busy;                 /* streams: the one to read alone, or NULL: all of them; whoever set `reading` */
    unsigned      busy_left, asked;     /* reads of it alone before all are read again; entries asked of each stream */
    unsigned      turn, looked;         /* whose turn it is, and how many had theirs in vain, where slots are scarce */
    bool          doubtful;             /* L  list: something of ours there may never have arrived */
    uint64_t      empties;              /* L  answers with nothing in them */
    int64_t       not_before_ns;        /* L  after a failed read */
} taskiq_source;

/* One answer that payloads lie in. */
typedef struct taskiq_batch {
    taskiq            *owner;
    mfi_redis_replies *replies;
    atomic_uint        refs;
} taskiq_batch;

typedef enum taskiq_action { TASKIQ_ACK, TASKIQ_NOW, TASKIQ_LATER, TASKIQ_DEAD, TASKIQ_WAIT } taskiq_action;

/* A task that is declared here. */
typedef struct taskiq_task {
    struct taskiq_task *next;
    char                name[256];
    const mf_fields    *in;
    unsigned            retries;
    mf_duration         backoff;
    unsigned            limit;              /* max_concurrency; 0: none */
    unsigned            running;            /* L */
    taskiq_job         *first, *last;       /* L  waiting for one of them to end */
} taskiq_task;

struct taskiq_job {
    taskiq       *owner;
    taskiq_queue *queue;
    taskiq_batch *batch;
    taskiq_job   *next;                     /* L  free, ready, at a gate, suspect, or settling */
    taskiq_job   *left, *right;             /* L  held */
    char          entry[TASKIQ_ENTRY_MAX];  /* stream: its id, */
    uint64_t      entry_ms, entry_seq;      /* which is these two */
    mf_str        payload;                  /* in the batch */
    bool          has_data;                 /* false: an entry without the field "data" */
    bool          is_note;                  /* in our own stream: something was put off, by somebody who does not serve */
    uint32_t      deliveries;               /* how often it was handed out before */
    atomic_uint   refs;                     /* the call, and the telling of its outcome */
    atomic_bool   acknowledged;             /* ack_type when_received: nothing is held any more */
    atomic_bool   ending;                   /* its call has ended, and a commit of the store acknowledges it */
    bool          told;                     /* L  lost, or settled: no longer renewed */
    bool          running;                  /* L  a call of it may be asked to stop */
    bool          alone;                    /* L  it is the suspect that runs alone */
    /* The call, on its thread. */
    taskiq_message message;
    taskiq_meta    meta;
    bool           flow;                    /* meta is set */
    bool           given_up;                /* it is to be a dead letter, `extra` tells why */
    mf_message    *bound;
    bool           prepared;                /* everything above is set */
    taskiq_task   *task;                    /* NULL: none of that name here */
    mf_delivery    delivery;
    mf_taskiq_message raw;                  /* what the task may ask for */
    char           id[128];                 /* of a message that cannot be read */
    int64_t        started_ns;
    atomic_bool    settled;                 /* handed to the I/O thread */
    /* The outcome, handed to the I/O thread. */
    taskiq_action  action;
    taskiq_bytes   result;                  /* at NULL: none */
    taskiq_bytes   again;                   /* what goes elsewhere; at NULL: the payload itself */
    char          *result_key;
    char           extra[160];              /* due in ms, or the reason */
    unsigned       tries;                   /* to tell it */
};

typedef struct taskiq_waiter {
    struct taskiq_waiter *next;
    taskiq               *owner;
    char                 *key;              /* of the result */
    int64_t               begun_ns, look_ns;
    bool                  looking;          /* L  a look is under way */
    /* Somebody waits here, */
    bool                  ended;            /* L */
    taskiq_bytes          value;
    /* or it is a foreign task of a flow. */
    bool                  observed;
    mf_unit               unit;
    int64_t               until_ns;         /* the flow has ended it by then */
    char                 *mark;             /* L  ours in the set of those that are watched for; NULL: somebody else's */
} taskiq_waiter;

struct taskiq {
    mf_adapter          base;
    const mf_allocator *allocator;
    const mf_clock     *clock;
    mfi_taskiq_options  options;            /* without addresses: they hold secrets */
    mf_host            *host;
    mf_store           *store;
    char                consumer[64];
    mfi_redis          *redis;              /* the broker's */
    mfi_redis          *results;            /* the same, or the result backend's */
    mfi_redis          *extra_links[MFI_TASKIQ_QUEUES + 1];     /* a list's, for its reads */
    size_t              extra_count;
    char                server[320];        /* "redis at host:port" */
    mfi_redis_address  *address;            /* kept until the adapter ends, for links made later */
    const mfi_redis_script *scripts[TASKIQ_SCRIPTS];

    taskiq_queue        queues[MFI_TASKIQ_QUEUES + 1];          /* the last is our own */
    size_t              queue_count;
    taskiq_source       sources[MFI_TASKIQ_QUEUES + 1];
    size_t              source_count;

    mf_worker           worker;             /* the one there is */
    mf_worker_options   serving_options;
    pthread_mutex_t     lock;
    pthread_cond_t      changed;            /* something ended: a call, a read, a settlement, a wait */
    mf_pool            *pool;
    bool                has_worker;         /* L */
    bool                serving;            /* L  read, run */
    bool                attached;           /* L  leases are kept; until everything is settled */
    bool                deaf;               /* L  the last read was refused; */
    mf_error            deaf_why;           /* L  why */
    unsigned            slots;              /* L */
    unsigned            in_flight;          /* L  made and not ended; suspects count */
    unsigned            queued;             /* L  of these: no thread has begun, as many as are in */
    taskiq_job         *ready, **ready_end; /* L */
    taskiq_runner      *runners;            /* L  ready.c: jobs of the pool that take from there, */
    unsigned            near;               /* L  how many of them will soon come back for the next, */
    bool                called;             /* L  one was submitted that has not begun, */
    int64_t             call_ns;            /* L  what a call takes, of late, */
    int64_t             look_ns;            /* L  when the I/O thread looks at them; INT64_MAX */
    bool                owed;               /* L  outcomes wait in `settling` for which the I/O thread was not woken */
    unsigned            replaced;           /* L  threads that stand in for stuck ones */
    unsigned            helping;            /* L  calls that wait inside, without a slot */
    _Atomic(taskiq_task *) tasks;           /* added to under the lock, never taken from: read without it */
    taskiq_job         *free_jobs;          /* L */
    taskiq_job         *held;               /* L  everything that is ours in Redis */
    size_t              held_count;         /* L */
    taskiq_job         *suspects, **suspects_end;   /* L  to be run alone, in turn */
    bool                alone;              /* L  a suspect runs */
    taskiq_job         *settling, **settling_end;   /* L  outcomes for the I/O thread */
    size_t              settling_count;     /* L */
    size_t              telling;            /* L  outcomes under way */
    atomic_uint         tells;              /* requests with outcomes under way */
    taskiq_waiter      *waiters;            /* L */
    uint64_t            started;            /* L  jobs so far */
    unsigned            starting;           /* L  jobs just read are being handed to the pool */
    mf_pool            *observers;          /* L  one thread that tells the ends of foreign tasks; NULL: not needed yet */
    char               *watched;            /* the set of foreign tasks whose ends are watched for */
    _Atomic int64_t     retry_ns;           /* outcomes that could not be told are tried again then; INT64_MAX */
    /* The I/O thread's. */
    int64_t             renew_ns, claim_ns, groups_ns, watch_ns;
    bool                watching, dueing;   /* a look at `watched`, at what was put off, is under way */
    _Atomic int64_t     due_ns;             /* A  when something that was put off may be due */
    atomic_bool         watch_soon;         /* one was sent: it is to be marked as ours */
    atomic_bool         claim_soon;         /* a suspect has ended: there may be more */
    atomic_uint         submitted;          /* requests whose callbacks are still to come */
};

taskiq *taskiq_of(mf_adapter *base);
void    taskiq_log(taskiq *t, mf_log_level level, const char *fmt, ...) MF_PRINTF(3, 4);
/* "prefix:id", or the id. Released with size strlen + 1. NULL: no memory. */
char   *taskiq_result_key(taskiq *t, mf_str id);
char   *taskiq_key(taskiq *t, const char *fmt, ...) MF_PRINTF(2, 3);
void    taskiq_text_free(taskiq *t, char *text);
/* The queue under this name, or NULL. */
taskiq_queue *taskiq_queue_find(taskiq *t, mf_str name);
taskiq_queue *taskiq_own_queue(taskiq *t);
/* A task declared here, or NULL. */
taskiq_task  *taskiq_task_find(taskiq *t, mf_str name);
/* Submit to a link; the callback is counted, so that nothing is freed under it. Consumes rq. */
mf_status taskiq_submit(taskiq *t, mfi_redis *link, mfi_redis_request *rq, const mfi_redis_how *how, mfi_redis_done_fn *done,
                        void *user);
void      taskiq_answered(taskiq *t);     /* the last thing that a callback of taskiq_submit does */

/* source.c */
mf_status taskiq_sources_make(taskiq *t, mf_error *err);
void      taskiq_read_all(taskiq *t);                  /* start the reads that are due. Any thread */
bool      taskiq_reads_due(const taskiq *t);           /* a cheap look whether there may be any. The lock is held */
int64_t   taskiq_reads_tick(taskiq *t, int64_t now_ns);        /* io: those that failed before */
void      taskiq_group_create(taskiq *t, taskiq_queue *queue);
/* Entries that a claim made ours; the replies are kept where there are any. io */
size_t    taskiq_take_claimed(taskiq *t, taskiq_queue *queue, mfi_redis_replies *replies, const mfi_redis_reply *entries);

size_t    taskiq_take_stranded(taskiq_source *s, mfi_redis_replies *replies, const mfi_redis_reply *const *payloads, size_t n);

/* recover.c */
mf_status taskiq_recover(taskiq_source *s);            /* in the place of a read */
void      taskiq_list_length(taskiq *t, taskiq_queue *queue, int64_t length);     /* io: so many are in our in-flight list */

/* ready.c. Where the lock is held, it says so */
void      taskiq_ready_init(taskiq *t);
void      taskiq_ready_add(taskiq *t, taskiq_job *job);    /* held; then */
bool      taskiq_ready_calls(taskiq *t);               /* held. True: the caller lets go of the lock, and */
void      taskiq_ready_call(taskiq *t);                /* wakes a thread. While nothing ends the pool (`starting`), or on it */
bool      taskiq_ready_goes_on(const taskiq *t);       /* held: this thread is at the next job in microseconds, and is looked at */
void      taskiq_ready_wait(taskiq *t);                /* held: this thread waits inside its call */
int64_t   taskiq_ready_tick(taskiq *t, int64_t now_ns);        /* io */
void      taskiq_ready_end(taskiq *t);                 /* nothing is served any more: what waits goes back, whoever is in a call */

/* invoker.c */
taskiq_job *taskiq_job_create(taskiq *t, taskiq_queue *queue, taskiq_batch *batch);
void        taskiq_jobs_drop(taskiq *t, taskiq_job *job);   /* one that was not started */
void        taskiq_job_run(taskiq_job *job, bool serving);   /* on the pool. Not serving: it goes back */
void        taskiq_job_unref(taskiq_job *job);         /* the last one: no longer held. Any thread */
void        taskiq_jobs_unref(taskiq *t, taskiq_job **jobs, size_t n);
void        taskiq_jobs_start(taskiq *t, taskiq_job **jobs, size_t n);   /* jobs just read */
void        taskiq_jobs_free(taskiq *t);
void        taskiq_batch_unref(taskiq_batch *batch);
void        taskiq_slot_release(taskiq *t);
void        taskiq_slot_take(taskiq *t);

/* settle.c */
mf_status taskiq_settle(mf_adapter *base, const mf_settlement *settlements, size_t n, mf_error *err);
void      taskiq_settle_job(taskiq_job *job);          /* action, result and the rest are set. Any thread */
void      taskiq_fail_job(taskiq_job *job, const char *type, const char *text);   /* an error result, without a call */
void      taskiq_acknowledge_now(taskiq_job *job);     /* before it runs */
void      taskiq_add_count(mfi_redis_request *rq, const taskiq_job *job, mf_duration idle, unsigned deliveries);
void      taskiq_tell(taskiq *t);                      /* io: what is settling goes out */

/* lease.c */
int64_t   taskiq_lease_tick(taskiq *t, int64_t now_ns);        /* io */
void      taskiq_due_at(taskiq *t, int64_t when_ns);           /* something is due then. Any thread */
void      taskiq_claim_at(taskiq *t, int64_t when_ns);         /* io: something may be taken over then */
void      taskiq_lease_leave(taskiq *t);                       /* io or not: our name is given up */
mf_status taskiq_lease_first(taskiq *t, mf_error *err);        /* before the first read; waits */

/* waiters.c */
int64_t   taskiq_waiters_tick(taskiq *t, int64_t now_ns);      /* io */
mf_status taskiq_wait(taskiq *t, mf_str id, int64_t deadline_ns, mf_message **result, mf_error *err);
void      taskiq_waiter_add(taskiq *t, taskiq_waiter *w);          /* the lock is held */
void      taskiq_waiter_take_out(taskiq *t, taskiq_waiter *w);     /* the lock is held */

/* watch.c */
int64_t   taskiq_watch_tick(taskiq *t, int64_t now_ns);        /* io */
mf_status taskiq_observe(mf_adapter *base, const mf_unit *unit, mf_error *err);
mf_status taskiq_watch(taskiq *t, const mf_entry *entry, mf_error *err);       /* it was sent */
char     *taskiq_watch_mark(taskiq *t, const mf_entry *entry);     /* what is to be in `watched` when it is sent. NULL: no memory */
void      taskiq_watched_end(taskiq_waiter *w);                /* io: its result is there */
void      taskiq_watch_close(taskiq *t);               /* before the links go */
void      taskiq_watch_free(taskiq *t);                /* and after */

/* workflow.c */
mf_status taskiq_workflow(mf_adapter *base, mf_str name, mf_workflow **out, mf_error *err);
mf_status taskiq_publish(mf_adapter *base, const mf_entry *entries, size_t n, mf_error *err);
char     *taskiq_unit_id(taskiq *t, const mf_unit *unit);
bool      taskiq_unit_of_id(mf_str id, mf_unit *out);  /* the way back; false: it is nobody's in a flow */
void      taskiq_join(taskiq *t, mf_store *store);     /* what the store commits goes out with it */

/* worker.c */
mf_status taskiq_worker(mf_adapter *base, const char *const *names, size_t n, const mf_worker_options *options,
                        mf_worker **out, mf_error *err);
mf_status taskiq_help(mf_adapter *base, bool (*done)(void *arg), void *arg, int64_t deadline_ns);

/* dead.c */
mf_status taskiq_dead_page(mf_adapter *base, mf_str after, size_t max, mf_dead_letter *out, size_t *got, mf_error *err);
mf_status taskiq_dead_read(mf_adapter *base, mf_str key, mf_dead_letter *out, mf_error *err);
mf_status taskiq_dead_requeue(mf_adapter *base, mf_str key, mf_error *err);
mf_status taskiq_dead_drop(mf_adapter *base, mf_str key, mf_error *err);

/* doctor.c */
void      taskiq_doctor(mf_adapter *base, mf_finding_fn *tell, void *user);

/* context.c */
void      taskiq_extract_execution_info(mf_adapter *base, const mf_delivery *delivery, mf_execution_info *out);
mf_status taskiq_create_task_context(mf_adapter *base, const mf_delivery *delivery, mf_context *ctx);

/* numbers.c */
mf_status taskiq_queues(mf_adapter *base, mf_queue_numbers *out, size_t room, size_t *count, mf_error *err);

/* framework_tasks.c */
mf_status taskiq_create_framework_tasks(mf_adapter *base, const mf_task_def *defs, size_t n, mf_error *err);

#endif
