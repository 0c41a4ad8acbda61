/* The worker: strands that deliver, one message at a time each, in an order that the seed chooses. */
#include "sim_adapter.h"

#include <stdio.h>

#include "clock.h"
#include "futex.h"

#define HELP_ROOM ((size_t)96 * 1024)   /* of its stack that a helping strand must have left */
#define HELPS_MAX 8
#define TAKEN_MAX 6                     /* messages at hand that did not begin */
#define AGAIN_MS  10                    /* after a look that failed */

/* ---- gates -------------------------------------------------------------------------------------------------------------- */

static sim_gate *gate_of(sim_adapter *a, mf_str task)
{
    sim_gate *gate = a->gates;
    while (gate != NULL && !mf_str_eq(gate->task, task))
        gate = gate->next;
    return gate;
}

static bool fits(void *arg, mf_str task)
{
    const sim_gate *gate = gate_of(arg, task);
    return gate == NULL || gate->running < gate->limit;
}

/* ---- deliveries ----------------------------------------------------------------------------------------------------------- */

static void deliver(sim_adapter *a, const mf_delivery *d)
{
    sim_gate *gate = gate_of(a, d->task);
    if (gate != NULL)
        gate->running++;
    a->busy++;
    a->host->ops->deliver(a->host, d);
    a->busy--;
    if (gate != NULL)
        gate->running--;
    sim_adapter_changed(a);
}

static void deliver_job(sim_adapter *a, sim_job *job)
{
    char id[24];
    mfi_strand *s = a->sim->current;
    unsigned met = s->met;
    const mf_entry *e = &job->taken.entry;
    snprintf(id, sizeof id, "%llu", (unsigned long long)e->id);
    mf_delivery d = {.id = mf_cstr(id), .task = e->spec->name, .message = e->message, .error = e->error, .unit = e->unit,
                     .attempt = e->attempt, .spec = e->spec, .claim = &job->taken.claim, .mark = job->mark,
                     .gather = a->sim->gathers, .native = job};
    s->met = job != a->jobs && a->jobs != NULL && a->jobs->taken.entry.id < e->id ? MFI_FAULT_BIT(MFI_FAULT_ORDER) : 0;
    deliver(a, &d);
    s->met = met;
    mf_entry_release(&job->taken.entry);
    if (a->sim->gathers && mfi_prng_one_in(&a->sim->gather, a->jobs == NULL ? 2 : 4))
        a->host->ops->flush(a->host);   /* else with a later one, or the keeper does */
}

/* What is known of a unit's end, though no delivery of it ran. Where the process dies meanwhile another one tells it. */
static void tell_end(sim_adapter *a, mfi_parcel *p, bool early, unsigned row, mf_signature_status status, const mf_message *value,
                     const mf_message *sent)
{
    mfi_strand *s = a->sim->current;
    unsigned met = s->met, outer = s->row;
    p->holder = a->process;
    s->met = p->met | (early ? MFI_FAULT_BIT(MFI_FAULT_ORDER) : 0);
    s->row = row;
    a->busy++;
    mf_status st = a->host->ops->outcome(a->host, &p->unit, status, value, sent);
    a->busy--;
    s->met = met;
    s->row = outer;
    if (st == MF_OK)
        mfi_audit_has_end(a->sim, &p->unit, "was told its end from outside");
    if (st == MF_OK && row == MFI_ROW_PEER)
        mfi_ends_answered(a->sim, &p->unit);
    if (st != MF_OK)
        mfi_sim_trace(a->sim, "the end of %.12s %llu is told and answered by %s", p->unit.key.text,
                      (unsigned long long)p->unit.index, mf_status_name(st));
    mfi_parcel_done(a->sim, p);
    sim_adapter_changed(a);
}

/* A peer is no process of ours: what it does takes no step here. */
static void serve_peer(sim_adapter *a, mfi_parcel *p)
{
    mfi_peer_answer answer = {.times = 0};
    if (a->sim->config.peer != NULL)
        a->sim->config.peer(a->sim->config.user, p->message, &answer);
    mfi_sim_trace(a->sim, "a peer serves %.*s for %.12s %llu, and answers %u times", (int)p->task.len, p->task.at, p->unit.key.text,
                  (unsigned long long)p->unit.index, answer.times);
    mfi_parcel_answer(a->sim, p, &answer);
    mf_message_unref(answer.value);
    mfi_parcel_done(a->sim, p);
}

static void tell_answer(sim_adapter *a, mfi_parcel *p, bool early)
{
    mfi_sim_trace(a->sim, "a peer's answer for %.12s %llu: %s", p->unit.key.text, (unsigned long long)p->unit.index,
                  mf_signature_status_name(p->status));
    a->sim->answers++;
    tell_end(a, p, early, MFI_ROW_PEER, p->status, p->message, NULL);      /* as a bridge sees it: the call alone */
}

static bool is_given_up(const sim_adapter *a, const mfi_parcel *p)
{
    static const char own[] = "mageflow.";
    unsigned max = a->sim->config.deaths_max;
    bool ours = p->task.len >= sizeof own - 1 && memcmp(p->task.at, own, sizeof own - 1) == 0;
    return max > 0 && p->deaths > max && !ours && mf_key_is_set(&p->unit.key);
}

static void give_up(sim_adapter *a, mfi_parcel *p, bool early)
{
    mf_message *error = mf_msg("{s:s, s:s}", "type", "TooManyDeliveries", "text", "its worker died each time it ran");
    mfi_sim_trace(a->sim, "%.*s for %.12s %llu is a dead letter", (int)p->task.len, p->task.at, p->unit.key.text,
                  (unsigned long long)p->unit.index);
    mfi_parcel_is_dead(a->sim, p);
    tell_end(a, p, early, MFI_ROW_DEAD, MF_STATUS_FAILED, error, p->message);
    mf_message_unref(error);
}

static void deliver_parcel(sim_adapter *a, mfi_parcel *p, bool early)
{
    char id[24];
    if (p->answer) {
        tell_answer(a, p, early);
        return;
    }
    if (p->foreign) {
        serve_peer(a, p);
        return;
    }
    if (is_given_up(a, p)) {
        give_up(a, p, early);
        return;
    }
    mfi_strand *s = a->sim->current;
    unsigned met = s->met;
    mfi_parcel *outer = s->parcel;
    snprintf(id, sizeof id, "q%llu", (unsigned long long)p->number);
    mf_delivery d = {.id = mf_cstr(id), .task = p->task, .message = p->message, .error = p->error, .unit = p->unit,
                     .attempt = p->attempt, .native = p};
    p->holder = a->process;
    s->parcel = p;
    s->met = p->met | (early ? MFI_FAULT_BIT(MFI_FAULT_ORDER) : 0);
    mfi_sim_trace(a->sim, "delivers %.*s for %.12s %llu, attempt %u", (int)p->task.len, p->task.at, p->unit.key.text,
                  (unsigned long long)p->unit.index, p->attempt);
    deliver(a, &d);
    s->met = met;
    s->parcel = outer;
    mfi_parcel_done(a->sim, p);     /* settled: every delivery is, before it returns */
}

/* ---- looking for one --------------------------------------------------------------------------------------------------- */

static sim_job *pick_job(sim_adapter *a)
{
    unsigned n = 0;
    sim_job **chosen = NULL;
    for (sim_job **at = &a->jobs; *at != NULL; at = &(*at)->next)
        if (fits(a, (*at)->taken.entry.spec->name) && (a->sim->config.in_order ? n++ : mfi_prng_below(&a->sim->order, ++n)) == 0)
            chosen = at;
    if (chosen == NULL)
        return NULL;
    sim_job *job = *chosen;
    *chosen = job->next;
    a->job_count--;
    return job;
}

/* Take a few. Jobs come first, so that nothing taken is without one. */
static bool take_some(sim_adapter *a)
{
    if (a->job_count >= TAKEN_MAX || a->look_ns > a->sim->now_ns)
        return false;
    mf_taken taken[TAKEN_MAX];
    size_t got = 0, want = a->sim->config.in_order ? 1 : 1 + mfi_prng_below(&a->sim->order, TAKEN_MAX - a->job_count);
    int64_t next_due;
    uint64_t mark = a->host->ops->mark(a->host);
    if (mf_store_take(a->store, want, taken, &got, &next_due, NULL) != MF_OK) {
        a->look_ns = a->sim->now_ns + mf_milliseconds(AGAIN_MS);
        return false;
    }
    a->due_ns = next_due == INT64_MAX ? INT64_MAX : next_due * 1000000;     /* what is delayed, or put off by a lock */
    sim_job **at = &a->jobs;
    while (*at != NULL)
        at = &(*at)->next;
    for (size_t i = 0; i < got; i++) {
        *at = mfi_sim_new(a->sim, sizeof **at);
        (*at)->taken = taken[i];
        (*at)->mark = mark;
        at = &(*at)->next;
        a->job_count++;
    }
    if (got > 1)
        sim_adapter_changed(a);     /* more than this strand can begin */
    return got > 0;
}

/* One message; false: there is none. *next_ns: when there may be one. */
static bool work_once(sim_adapter *a, int64_t *next_ns)
{
    *next_ns = INT64_MAX;
    if (a->sim->config.queue) {
        bool early;
        mfi_parcel *p = mfi_parcel_pick(a->sim, fits, a, &early, next_ns);
        if (p != NULL)
            deliver_parcel(a, p, early);
        return p != NULL;
    }
    sim_job *job = NULL;
    if (a->jobs == NULL || (!a->sim->config.in_order && mfi_prng_one_in(&a->sim->order, 3)))
        take_some(a);
    job = pick_job(a);
    if (job == NULL && a->job_count == 0 && take_some(a))
        job = pick_job(a);
    if (job != NULL)
        deliver_job(a, job);
    else
        *next_ns = a->look_ns > a->sim->now_ns ? a->look_ns : a->due_ns;
    return job != NULL;
}

/* What a worker of this kind waits for. */
static const _Atomic uint32_t *word_of(sim_adapter *a)
{
    return a->sim->config.queue ? &a->sim->posted : &a->changed;
}

static void *work(void *arg)
{
    sim_adapter *a = arg;
    mfi_strand *s = a->sim->current;
    while (a->serving && (a->surplus == 0 || a->workers <= 1)) {
        uint32_t seen = atomic_load_explicit(word_of(a), memory_order_relaxed);
        int64_t next_ns;
        mfi_sim_yield(a->sim);
        if (!work_once(a, &next_ns))
            mfi_futex_wait(word_of(a), seen, next_ns);
    }
    if (a->surplus > 0)
        a->surplus--;
    a->workers--;
    s->helps = 0;
    sim_adapter_changed(a);
    return NULL;
}

mf_status sim_adapter_help(mf_adapter *base, bool (*done)(void *arg), void *arg, int64_t deadline_ns)
{
    sim_adapter *a = sim_adapter_of(base);
    mfi_strand *s = a->sim->current;
    if (s == NULL) {        /* who tests: runs what there is */
        (void)mfi_sim_settle_until(a->sim, done, arg, deadline_ns, NULL);
        if (!done(arg) && deadline_ns != INT64_MAX && deadline_ns > a->sim->now_ns)
            a->sim->now_ns = deadline_ns;
        return done(arg) ? MF_OK : MF_E_TIMEOUT;
    }
    if (s->run != work || s->arg != a)
        return MF_E_UNSUPPORTED;
    if (s->helps >= HELPS_MAX || mfi_fiber_room(s->fiber) < HELP_ROOM)
        return MF_E_FULL;
    s->helps++;
    while (!done(arg) && mfi_now_ns(NULL) < deadline_ns) {
        uint32_t seen = atomic_load_explicit(word_of(a), memory_order_relaxed);
        int64_t next_ns;
        mfi_sim_yield(a->sim);
        if (!work_once(a, &next_ns) && !done(arg))
            mfi_futex_wait(word_of(a), seen, next_ns < deadline_ns ? next_ns : deadline_ns);
    }
    s->helps--;
    return MF_OK;
}

/* ---- the worker -------------------------------------------------------------------------------------------------------- */

static sim_adapter *of_worker(mf_worker *worker)
{
    return (sim_adapter *)(void *)((char *)worker - offsetof(sim_adapter, worker));
}

static bool add_worker(sim_adapter *a)
{
    bool added = mfi_strand_start(a->sim, a->process, "worker", work, a) != NULL;
    a->workers += added;
    return added;
}

static mf_status worker_start(mf_worker *worker, mf_error *err)
{
    sim_adapter *a = of_worker(worker);
    unsigned n = a->options.threads != 0 ? a->options.threads : 2;
    if (a->options.on_start != NULL)
        a->options.on_start(a->options.user);
    a->serving = true;
    while (a->workers < n)
        if (!add_worker(a))
            return mf_fail(err, MF_E_NOMEM, "simulated: no memory for a worker");
    return MF_OK;
}

/* Nothing due waits, nothing runs. */
static bool is_idle(sim_adapter *a)
{
    size_t got = 0;
    int64_t next_due = INT64_MAX;
    mf_taken nothing;
    if (a->busy > 0 || a->job_count > 0 || mf_store_take(a->store, 0, &nothing, &got, &next_due, NULL) != MF_OK)
        return false;
    for (const mfi_parcel *p = a->sim->parcels; p != NULL; p = p->next)
        if (p->due_ns <= a->sim->now_ns)
            return false;
    return next_due > mf_store_now_ms(a->store);
}

static mf_status worker_drain(mf_worker *worker, mf_duration timeout)
{
    sim_adapter *a = of_worker(worker);
    int64_t deadline = mfi_deadline_ns(mfi_now_ns(NULL), timeout);
    while (!is_idle(a)) {
        if (mfi_now_ns(NULL) >= deadline)
            return MF_E_TIMEOUT;
        mfi_thread_sleep(mf_milliseconds(1));
    }
    return MF_OK;
}

/* What was taken and did not begin is others'. */
static void give_back_jobs(sim_adapter *a)
{
    for (sim_job *job; (job = a->jobs) != NULL; a->job_count--) {
        (void)mf_store_give_back(a->store, &job->taken.claim.token, 1, NULL);
        mf_entry_release(&job->taken.entry);
        a->jobs = job->next;
    }
}

static void worker_stop(mf_worker *worker)
{
    sim_adapter *a = of_worker(worker);
    a->serving = false;
    sim_adapter_changed(a);
    while (a->workers > 0) {
        uint32_t seen = atomic_load_explicit(&a->changed, memory_order_relaxed);
        mfi_futex_wait(&a->changed, seen, INT64_MAX);
    }
    give_back_jobs(a);
    if (a->options.on_stop != NULL)
        a->options.on_stop(a->options.user);
}

static void worker_destroy(mf_worker *worker)
{
    (void)worker;       /* a part of the adapter */
}

mf_status sim_adapter_worker(mf_adapter *base, const char *const *names, size_t n, const mf_worker_options *options,
                             mf_worker **out, mf_error *err)
{
    static const mf_worker_ops ops = {.struct_size = sizeof(mf_worker_ops), .start = worker_start, .drain = worker_drain,
                                      .stop = worker_stop, .destroy = worker_destroy};
    sim_adapter *a = sim_adapter_of(base);
    (void)n;
    if (names != NULL)
        return mf_fail(err, MF_E_UNSUPPORTED, "simulated: a worker serves all declared tasks, not a choice of them");
    a->options = *options;
    a->worker.ops = &ops;
    *out = &a->worker;
    return MF_OK;
}

mf_status sim_adapter_replace(mf_adapter *base, void *mark, bool replace)
{
    sim_adapter *a = sim_adapter_of(base);
    (void)mark;
    if (replace)
        return add_worker(a) ? MF_OK : MF_E_FULL;
    a->surplus++;
    sim_adapter_changed(a);
    return MF_OK;
}
