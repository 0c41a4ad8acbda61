/* Jobs that were read and have not begun, and who runs them.
 *
 * A job of the pool, a *runner*, takes one after the other until none is left. So that a burst of tasks of a microsecond each
 * does not wake a second thread, which would bring nothing and cost the server its CPU, there is one runner while it keeps up,
 * and a further one is called, one at a time and each by the one before, where that is worth its wake-up:
 *
 *   - no runner will come back soon: there is none, or all of them wait inside a call or were seen to be in a long one;
 *   - calls take long, by what was measured of the last ones;
 *   - what waits would take one thread BEHIND.
 *
 * What was not foreseen (a long call among short ones) the I/O thread sees: it looks every LOOK while short calls run, and where
 * a runner has begun nothing since the last look, it counts on it no more. It tells at that look, too, what has ended: a
 * runner of short calls leaves their outcomes without waking the I/O thread for each (settle.c), and wakes it after its last.
 *
 * Invariant   where a job waits, a runner was called, or one is near and was looked at, or will be, within LOOK of its last beginning. */
#include "taskiq.h"

#include "clock.h"

#define SHORT   ((int64_t)20000)            /* ns: a call that takes less is not worth a wake-up */
#define UNKNOWN ((int64_t)1000000)          /* what is assumed of calls before any was measured */
#define BEHIND  ((int64_t)200000)
#define LOOK    mf_microseconds(200)
#define SHARE   64                          /* jobs for one runner, before the pool's other jobs have a turn */
#define MEASURE 16                          /* jobs between two looks at the clock */

struct taskiq_runner {
    taskiq_runner *next, *prev;             /* L */
    bool           away;                    /* L  not to be counted on */
    unsigned       begun, seen;             /* L  jobs; and how many when it was looked at */
};

/* The innermost one of this thread: a call that waits inside may run others on top of it. */
static _Thread_local taskiq_runner *here;

/* ---- the rule: the lock is held ------------------------------------------------------------------------------------ */

static bool takes_long(const taskiq *t)
{
    return t->call_ns >= SHORT;
}

static bool should_call(taskiq *t)
{
    if (t->ready == NULL || t->called)
        return false;
    return t->near == 0 || takes_long(t) || (int64_t)t->queued * t->call_ns >= BEHIND;
}

static void go_away(taskiq *t, taskiq_runner *r)
{
    if (r != NULL && !r->away) {
        r->away = true;
        t->near--;
    }
}

static void come_back(taskiq *t, taskiq_runner *r)
{
    if (r->away) {
        r->away = false;
        t->near++;
    }
}

void taskiq_ready_add(taskiq *t, taskiq_job *job)
{
    job->next = NULL;
    *t->ready_end = job;
    t->ready_end = &job->next;
    t->queued++;
}

static void watch(taskiq *t)
{
    if (t->look_ns != INT64_MAX)
        return;
    t->look_ns = mfi_now_ns(t->clock) + LOOK;
    mfi_redis_poke(t->redis);
}

bool taskiq_ready_calls(taskiq *t)
{
    bool call = should_call(t);
    if (call)
        t->called = true;
    else if (t->ready != NULL && !t->called)
        watch(t);
    return call;
}

bool taskiq_ready_goes_on(const taskiq *t)
{
    return here != NULL && t->ready != NULL && t->look_ns != INT64_MAX && !takes_long(t);
}

/* ---- runners ------------------------------------------------------------------------------------------------------- */

static taskiq_job *take(taskiq *t)
{
    taskiq_job *job = t->ready;
    if (job == NULL)
        return NULL;
    t->ready = job->next;
    if (t->ready == NULL)
        t->ready_end = &t->ready;
    t->queued--;
    return job;
}

/* What the last `jobs` took; three parts of what was known, one of what is new. */
static void note_time(taskiq *t, int64_t *since_ns, unsigned jobs)
{
    int64_t now_ns = mfi_now_ns(t->clock);
    t->call_ns += ((now_ns - *since_ns) / jobs - t->call_ns) / 4;
    *since_ns = now_ns;
}

static void enter(taskiq *t, taskiq_runner *r)
{
    r->prev = NULL;
    r->next = t->runners;
    if (t->runners != NULL)
        t->runners->prev = r;
    t->runners = r;
    t->near++;
    t->called = false;
}

static void leave(taskiq *t, taskiq_runner *r)
{
    come_back(t, r);
    t->near--;
    if (r->prev != NULL)
        r->prev->next = r->next;
    else
        t->runners = r->next;
    if (r->next != NULL)
        r->next->prev = r->prev;
}

static void run(void *arg)
{
    taskiq *t = arg;
    taskiq_runner self = {0}, *below = here;
    int64_t since_ns = mfi_now_ns(t->clock);
    unsigned timed = 0;
    taskiq_job *job = NULL;
    here = &self;
    pthread_mutex_lock(&t->lock);
    enter(t, &self);
    while (self.begun < SHARE && (job = take(t)) != NULL) {
        come_back(t, &self);
        self.begun++;
        bool serving = t->serving, call = taskiq_ready_calls(t), read = t->queued == 0 && taskiq_reads_due(t);
        pthread_mutex_unlock(&t->lock);
        if (call)
            taskiq_ready_call(t);
        if (read)       /* this was the last one that waited */
            taskiq_read_all(t);
        taskiq_job_run(job, serving);
        pthread_mutex_lock(&t->lock);
        if (++timed == MEASURE) {
            note_time(t, &since_ns, timed);
            timed = 0;
        }
    }
    if (timed > 0)
        note_time(t, &since_ns, timed);
    leave(t, &self);
    bool call = taskiq_ready_calls(t), poke = t->owed;      /* its share is over, and jobs may be left */
    t->owed = false;
    pthread_mutex_unlock(&t->lock);
    here = below;
    if (call)
        taskiq_ready_call(t);
    if (poke)
        mfi_redis_poke(t->redis);
}

void taskiq_ready_call(taskiq *t)
{
    if (mf_pool_submit(t->pool, run, t) == MF_OK)
        return;
    /* No memory, or the pool closes: who is in a call comes to them, or the I/O thread calls again. */
    pthread_mutex_lock(&t->lock);
    t->called = false;
    watch(t);
    pthread_mutex_unlock(&t->lock);
}

void taskiq_ready_end(taskiq *t)
{
    pthread_mutex_lock(&t->lock);
    bool call = t->ready != NULL && !t->called;
    t->called = t->called || call;
    pthread_mutex_unlock(&t->lock);
    if (call)
        taskiq_ready_call(t);
}

void taskiq_ready_wait(taskiq *t)
{
    go_away(t, here);
}

/* ---- the I/O thread ------------------------------------------------------------------------------------------------ */

/* Count on nobody who has begun nothing since the last look. */
static void look(taskiq *t)
{
    for (taskiq_runner *r = t->runners; r != NULL; r = r->next) {
        if (r->begun == r->seen && !r->away) {
            go_away(t, r);
            t->call_ns = t->call_ns < LOOK ? LOOK : t->call_ns;
        }
        r->seen = r->begun;
    }
}

int64_t taskiq_ready_tick(taskiq *t, int64_t now_ns)
{
    pthread_mutex_lock(&t->lock);
    bool call = false;
    if (now_ns >= t->look_ns) {
        look(t);
        t->look_ns = now_ns + LOOK;
        call = t->serving && taskiq_ready_calls(t);     /* afterwards: taskiq_ready_end */
        t->starting += call;
    }
    if (t->near == 0 && !t->owed && (t->ready == NULL || t->called))
        t->look_ns = INT64_MAX;
    int64_t next_ns = t->look_ns;
    pthread_mutex_unlock(&t->lock);
    if (call) {
        taskiq_ready_call(t);
        pthread_mutex_lock(&t->lock);
        t->starting--;
        pthread_cond_broadcast(&t->changed);
        pthread_mutex_unlock(&t->lock);
    }
    return next_ns;
}

void taskiq_ready_init(taskiq *t)
{
    t->ready_end = &t->ready;
    t->call_ns = UNKNOWN;
    t->look_ns = INT64_MAX;
}
