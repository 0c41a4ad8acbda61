/* The ends of tasks that others serve: as long as any worker on the store lives, somebody watches for them.
 *
 * Whoever publishes such a task watches its run, through the stream of results that calls wait on, too (results.c); now and then it
 * asks for the run by itself, which also finds one that was canceled, whose output is too large for the stream, or that never came to
 * be. So that watching does not end with a process, each run has a note in the store that names who watches it, and who watches
 * keeps a note of its own alive, every third of a lease. A worker that finds runs whose watcher has no such note any more takes
 * them over. Two may watch the same run for a while: an outcome counts once.
 * The I/O thread hears of ends. They are told, and notes are read and written, on a thread of their own, since a store may take
 * its time; on that thread alone runs `h->forgotten`. */
#define HASH_NONFATAL_OOM 1
#include "registry.h"       /* uthash, with our allocator */
#include "hatchet.h"
#include <ctype.h>
#include <stdio.h>
#include "clock.h"
#include "memory.h"
#include "random.h"

#define RUNS MF_STR_LIT("hatchet.run")
#define WATCHERS MF_STR_LIT("hatchet.watcher")
#define LEASE_MS 30000
#define LOOK_ROUND mf_seconds(10)           /* at notes */
#define SLACK_MS 60000                      /* a timeout may be seen late */
#define ASK_FIRST mf_seconds(5)
#define ASK_LAST mf_seconds(60)
#define MISSING_MAX 6                       /* in a row, half a minute: shortly after a trigger it is normal, */
#define MISSING mf_seconds(2)               /* and on a busy engine later than that; the pause doubles twice */
enum { ASKING_MAX = 8, PAGE = 64, FAILED = 3, CANCELLED = 4 };     /* the last two: statuses of a run */

/* L all of it */
struct hatchet_observed {
    UT_hash_handle      hh;                 /* by run */
    hatchet            *owner;
    char                run[HATCHET_ID_MAX];
    mf_unit             unit;
    char               *task;
    bool                noted, asked, asking;   /* in the store; of the stream; by a GetRunDetails under way */
    unsigned            asks, missing;
    int64_t             ask_ns;
    /* Once it has ended, and is out of the table. */
    mf_signature_status status;
    mf_status           st;                 /* failed: MF_E_NOT_FOUND where there never was a run */
    char               *text;               /* an output, or an error; NULL: neither */
    size_t              len;
};
typedef struct hatchet_observed observed;

static void observed_free(observed *o)
{
    hatchet *h = o->owner;
    hatchet_text_free(h, o->task);
    if (o->text != NULL)
        mfi_release(h->allocator, o->text, o->len + 1);
    mf_delete(h->allocator, o);
}

static mf_pool *thread_of(hatchet *h)
{
    pthread_mutex_lock(&h->lock);
    if (h->observers == NULL &&
        mf_pool_create(MF_POOL_OPTIONS(.allocator = h->allocator, .workers = 1, .when_full = MF_POOL_FULL_GROW,
                                       .thread_name = "mf-observe"), &h->observers, NULL) != MF_OK)
        h->observers = NULL;
    mf_pool *pool = h->observers;
    pthread_mutex_unlock(&h->lock);
    return pool;
}

/* ---- telling, on the thread of its own ---------------------------------------------------------------------------------- */

/* Notes of runs that are over are taken away together. */
static void forget(hatchet *h)
{
    mf_note notes[HATCHET_FORGET_MAX];
    mf_refusal refusal;
    mf_error err = {0};
    for (size_t i = 0; i < h->forgotten_count; i++)
        notes[i] = (mf_note){.space = RUNS, .name = mf_cstr(h->forgotten[i])};
    if (h->forgotten_count > 0 &&
        mf_store_commit(h->store, &(mf_batch){.notes = notes, .note_count = h->forgotten_count}, &refusal, &err) != MF_OK)
        hatchet_log(h, MF_LOG_WARN, "notes of ended runs stay in the store for a while: %s", err.text);
    h->forgotten_count = 0;
}

static void forget_soon(hatchet *h, const char *run)
{
    snprintf(h->forgotten[h->forgotten_count++], HATCHET_ID_MAX, "%s", run);
    pthread_mutex_lock(&h->lock);
    bool more = h->ends > 0;
    pthread_mutex_unlock(&h->lock);
    if (!more || h->forgotten_count == HATCHET_FORGET_MAX)
        forget(h);
}

/* As Python writes it: "<Kind>: <message>", and behind a new line the traceback. */
static mf_message *error_of(const observed *o)
{
    const char *text = o->text != NULL ? o->text : "the run failed";
    size_t line = strcspn(text, "\n"), kind = 0;
    if (o->st == MF_E_NOT_FOUND)
        return mf_msg("{s:s, s:s}", "type", "UnknownRun", "text", text);
    while (isalnum((unsigned char)text[kind]) || text[kind] == '_' || text[kind] == '.')
        kind++;
    bool typed = kind > 0 && kind < 128 && text[kind] == ':' && text[kind + 1] == ' ';
    size_t from = typed ? kind + 2 : 0;
    mf_str rest = mf_str_of(text + from, line - from < 4096 ? line - from : 4096);
    return mf_msg("{s:T, s:T}", "type", typed ? mf_str_of(text, kind) : MF_STR_LIT("HatchetError"), "text", rest);
}

static mf_message *value_of(observed *o)
{
    mf_message *value = NULL;
    mf_error err = {0};
    if (o->status != MF_STATUS_DONE)
        return o->status == MF_STATUS_FAILED ? error_of(o) : NULL;
    if (o->text == NULL || hatchet_unwrap(o->owner, mf_str_of(o->text, o->len), &value, &err) == MF_OK)
        return value;
    o->status = MF_STATUS_FAILED;
    return mf_msg("{s:s, s:T}", "type", "UnreadableResult", "text", mf_cstr(err.text));
}

static void tell_end(void *arg)
{
    observed *o = arg;
    hatchet *h = o->owner;
    pthread_mutex_lock(&h->lock);
    h->ends--;
    pthread_mutex_unlock(&h->lock);
    mf_message *value = value_of(o);
    mf_status st = h->host->ops->outcome(h->host, &o->unit, o->status, value);
    if (st == MF_E_CLOSED || st == MF_E_IO || st == MF_E_NOMEM)     /* a note stays: another watches it after our lease */
        hatchet_log(h, MF_LOG_WARN, "the end of \"%s\" in %s could not be told: %s", o->task, o->unit.key.text, mf_status_text(st));
    else if (o->noted)
        forget_soon(h, o->run);
    mf_message_unref(value);
    observed_free(o);
}

/* It is out of the table, and told soon. */
static void hand_over(observed *o)
{
    hatchet *h = o->owner;
    mf_pool *pool = thread_of(h);
    pthread_mutex_lock(&h->lock);
    h->ends++;
    pthread_mutex_unlock(&h->lock);
    if (pool != NULL && mf_pool_submit(pool, tell_end, o) == MF_OK)
        return;
    hatchet_log(h, MF_LOG_ERROR, "no memory to tell the end of \"%s\" in %s", o->task, o->unit.key.text);
    pthread_mutex_lock(&h->lock);
    h->ends--;
    pthread_mutex_unlock(&h->lock);
    observed_free(o);
}

/* A unit whose message cannot be sent. */
void hatchet_refuse_unit(hatchet *h, const mf_entry *e, const char *type, const char *why)
{
    char line[700];
    observed *o = mf_new(h->allocator, observed);
    if (o == NULL)
        return;
    int len = snprintf(line, sizeof line, "%s: %s", type, why);
    o->owner = h;
    o->unit = e->unit;
    o->status = MF_STATUS_FAILED;
    o->task = mfi_copy_text(h->allocator, e->spec->name);
    o->text = mfi_copy_text(h->allocator, mf_cstr(line));
    o->len = o->text == NULL ? 0 : len < (int)sizeof line ? (size_t)len : sizeof line - 1;
    if (o->task != NULL)
        hand_over(o);
    else
        observed_free(o);
}

/* ---- the table -------------------------------------------------------------------------------------------------------- */

/* The lock is held. NULL: it is not watched here. */
static observed *find(hatchet *h, const char *run)
{
    observed *o;
    HASH_FIND_STR(h->observed, run, o);
    return o;
}

/* An end that is known: status, and a copy of the text (NULL: none). The lock is held; what it returns is to be handed over. */
static observed *end(hatchet *h, observed *o, mf_signature_status status, mf_status st, mf_str text)
{
    if (text.at != NULL) {
        o->text = mfi_copy_text(h->allocator, text);
        o->len = text.len;
        if (o->text == NULL)
            return NULL;        /* the next look finds it again */
    }
    o->status = status;
    o->st = st;
    HASH_DEL(h->observed, o);
    return o;
}

/* task is copied. */
static bool add(hatchet *h, const char *run, const mf_unit *unit, mf_str task, bool noted)
{
    observed *o = mf_new(h->allocator, observed), *there;
    if (o == NULL)
        return false;
    o->owner = h;
    snprintf(o->run, sizeof o->run, "%s", run);
    o->unit = *unit;
    o->noted = noted;
    o->ask_ns = mfi_now_ns(h->clock) + ASK_FIRST;
    o->task = mfi_copy_text(h->allocator, task);
    bool added = o->task != NULL;
    pthread_mutex_lock(&h->lock);
    there = added ? find(h, run) : NULL;
    if (added && there == NULL) {
        HASH_ADD_STR(h->observed, run, o);
        added = o->hh.tbl != NULL;
        if (added)
            h->observe_soon = h->observe_unasked = true;
    }
    pthread_mutex_unlock(&h->lock);
    if (!added || there != NULL)
        observed_free(o);
    return added;
}

/* ---- notes ------------------------------------------------------------------------------------------------------------ */

static mf_message *note_of(hatchet *h, const mf_unit *unit, mf_str task)
{
    return mf_msg("{s:s, s:U, s:U, s:S, s:s}", "key", unit->key.text, "index", unit->index, "epoch", (uint64_t)unit->epoch, "task", task,
                  "watcher", h->watcher);
}

static mf_note alive_note(hatchet *h, mf_message *value)
{
    return (mf_note){.space = WATCHERS, .name = mf_cstr(h->watcher), .value = value, .expires_ms = mf_store_now_ms(h->store) + LEASE_MS};
}

static mf_status have_name(hatchet *h, mf_error *err)
{
    unsigned char bytes[16];
    mf_status st = mfi_random_fill(NULL, bytes, sizeof bytes);
    if (st != MF_OK)
        return mf_fail(err, st, "no random bytes for a name");
    pthread_mutex_lock(&h->lock);
    if (h->watcher[0] == '\0')
        for (size_t i = 0; i < sizeof bytes; i++)
            snprintf(h->watcher + 2 * i, 3, "%02x", bytes[i]);
    pthread_mutex_unlock(&h->lock);
    return MF_OK;
}

/* Notes are a net below: without them the runs are watched as long as this process lives. */
static bool note_runs(hatchet *h, const mf_entry *const *entries, char *const *runs, size_t n)
{
    mf_note notes[PAGE + 1];
    mf_refusal refusal;
    mf_error err = {0};
    mf_status st = have_name(h, &err);
    for (size_t i = 0; i < n; i++)
        notes[i] = (mf_note){.space = RUNS, .name = mf_cstr(runs[i]), .value = note_of(h, &entries[i]->unit, entries[i]->spec->name),
                             .expires_ms = mf_store_now_ms(h->store) + entries[i]->spec->timeout_ms + SLACK_MS};
    mf_message *alive = mf_msg("b", 1);
    notes[n] = alive_note(h, alive);
    if (st == MF_OK)
        st = mf_store_commit(h->store, &(mf_batch){.notes = notes, .note_count = n + 1}, &refusal, &err);
    for (size_t i = 0; i < n; i++)
        mf_message_unref(notes[i].value);
    mf_message_unref(alive);
    if (st != MF_OK)
        hatchet_log(h, MF_LOG_WARN, "tasks of others are watched by this process alone: %s", err.text);
    return st == MF_OK;
}

mf_status hatchet_observe_runs(hatchet *h, const mf_entry *const *entries, char *const *runs, size_t n, mf_error *err)
{
    mf_status st = MF_OK;
    for (size_t from = 0; from < n; from += PAGE) {
        size_t count = n - from < PAGE ? n - from : PAGE;
        bool noted = h->store->ops->shared && note_runs(h, entries + from, runs + from, count);
        for (size_t i = from; i < from + count; i++)
            if (!add(h, runs[i], &entries[i]->unit, entries[i]->spec->name, noted))
                st = mf_fail(err, MF_E_NOMEM, "no memory to watch for the end of a task");
    }
    if (n > 0)
        mfi_rpc_poke(h->rpc);
    return st;
}

mf_status hatchet_observe(mf_adapter *base, const mf_unit *unit, mf_error *err)
{
    (void)base, (void)unit, (void)err;
    return MF_OK;       /* since it was published */
}

static bool is_alive(hatchet *h, mf_str watcher)
{
    mf_message *note = NULL;
    mf_status st = mf_store_read_note(h->store, WATCHERS, watcher, &note, NULL);
    mf_message_unref(note);
    return st != MF_E_NOT_FOUND;        /* what cannot be read is not taken over */
}

/* True: it is watched here from now on, and *note says so. */
static bool take_over(hatchet *h, mf_note *note)
{
    mf_str key, task, watcher;
    uint64_t index = 0, epoch = 0;
    char run[HATCHET_ID_MAX];
    mf_unit unit;
    pthread_mutex_lock(&h->lock);
    snprintf(run, sizeof run, "%.*s", (int)note->name.len, note->name.at);
    bool ours = find(h, run) != NULL;
    pthread_mutex_unlock(&h->lock);
    if (ours || mf_message_scan(note->value, NULL, "{s:S, s:U, s:U, s:S, s:S}", "key", &key, "index", &index, "epoch", &epoch, "task", &task,
                                "watcher", &watcher) != MF_OK ||
        mf_str_eq(watcher, mf_cstr(h->watcher)) || mf_key_parse(key, &unit.key, NULL) != MF_OK || is_alive(h, watcher))
        return false;
    unit.index = index;
    unit.epoch = (uint32_t)epoch;
    mf_message *mine = note_of(h, &unit, task);
    bool added = add(h, run, &unit, task, true);
    mf_message_unref(note->value);
    note->value = mine;
    return added;
}

static void look_for_orphans(hatchet *h)
{
    mf_note page[PAGE], taken[PAGE];
    char after[HATCHET_ID_MAX] = "";
    size_t got = PAGE, total = 0;
    mf_refusal refusal;
    while (got == PAGE) {
        if (mf_store_notes(h->store, RUNS, mf_cstr(after), PAGE, page, &got, NULL) != MF_OK)
            return;
        size_t n = 0;
        for (size_t i = 0; i < got; i++)
            if (take_over(h, &page[i]))
                taken[n++] = page[i];
        if (n > 0 && mf_store_commit(h->store, &(mf_batch){.notes = taken, .note_count = n}, &refusal, NULL) == MF_OK)
            total += n;
        if (got > 0)
            snprintf(after, sizeof after, "%.*s", (int)page[got - 1].name.len, page[got - 1].name.at);
        for (size_t i = 0; i < got; i++)
            mf_note_release(h->store, &page[i]);
    }
    if (total > 0)
        hatchet_log(h, MF_LOG_INFO, "the ends of %zu tasks of others are watched for here now: who did is gone", total);
}

static void round_of_notes(void *arg)
{
    hatchet *h = arg;
    mf_refusal refusal;
    pthread_mutex_lock(&h->lock);
    bool any = h->observed != NULL, serving = h->serving;
    pthread_mutex_unlock(&h->lock);
    if (have_name(h, NULL) == MF_OK && serving)
        look_for_orphans(h);
    pthread_mutex_lock(&h->lock);
    any = any || h->observed != NULL;
    pthread_mutex_unlock(&h->lock);
    if (any) {
        mf_note note = alive_note(h, mf_msg("b", 1));
        (void)mf_store_commit(h->store, &(mf_batch){.notes = &note, .note_count = 1}, &refusal, NULL);
        mf_message_unref(note.value);
    }
    pthread_mutex_lock(&h->lock);
    h->round_ns = mfi_now_ns(h->clock) + LOOK_ROUND;
    h->in_round = false;
    if (!h->closing)
        mfi_rpc_poke(h->rpc);
    pthread_mutex_unlock(&h->lock);
}

/* ---- on the I/O thread ------------------------------------------------------------------------------------------------ */

static bool is_given(const char *text)
{
    return text != NULL && text[0] != '\0';
}

void io_observed_result(hatchet *h, const HatchetPb__RunEvent *e)
{
    observed *ended = NULL;
    pthread_mutex_lock(&h->lock);
    observed *o = find(h, e->workflow_run_id);
    if (o != NULL) {
        const HatchetPb__RunResult *mine = e->n_results > 0 ? e->results[0] : NULL;
        for (size_t i = 0; i < e->n_results; i++)
            if (e->results[i]->task_name != NULL && strcmp(e->results[i]->task_name, o->task) == 0)
                mine = e->results[i];
        if (mine != NULL && is_given(mine->error))
            ended = end(h, o, MF_STATUS_FAILED, MF_E_TASK_FAILED, mf_cstr(mine->error));
        else if (mine != NULL && is_given(mine->output))
            ended = end(h, o, MF_STATUS_DONE, MF_OK, mf_cstr(mine->output));
        if (ended == NULL) {        /* canceled, or too large for a stream: it is asked for by itself */
            o->ask_ns = 0;
            h->observe_soon = true;
            mfi_rpc_poke(h->rpc);
        }
    }
    pthread_mutex_unlock(&h->lock);
    if (ended != NULL)
        hand_over(ended);
}

bool io_observed_unasked(hatchet *h, bool again)
{
    pthread_mutex_lock(&h->lock);
    for (observed *o = again ? h->observed : NULL; o != NULL; o = o->hh.next)
        o->asked = false;
    h->observe_unasked = h->observe_unasked || (again && h->observed != NULL);
    bool any = h->observe_unasked;
    pthread_mutex_unlock(&h->lock);
    return any;
}

void io_observed_ask(hatchet *h)
{
    pthread_mutex_lock(&h->lock);
    bool all = true;
    for (observed *o = h->observe_unasked ? h->observed : NULL; o != NULL; o = o->hh.next) {
        HatchetPb__RunRef ref = HATCHET_PB__RUN_REF__INIT;
        hatchet_bytes bytes = {NULL, NULL, 0};
        if (o->asked)
            continue;
        ref.id = o->run;
        o->asked = hatchet_pack(h, &ref.base, &bytes, NULL) == MF_OK && mfi_rpc_send(h->results, hatchet_str(&bytes)) == MF_OK;
        all = all && o->asked;
        hatchet_bytes_free(&bytes);
    }
    h->observe_unasked = !all;
    pthread_mutex_unlock(&h->lock);
}

/* What is asked for by itself. */
typedef struct question {
    hatchet *owner;
    char     run[HATCHET_ID_MAX];
} question;

static void answered(void *user, mf_str message)
{
    question *q = user;
    hatchet *h = q->owner;
    observed *ended = NULL;
    HatchetPb__RunDetails *d = hatchet_pb__run_details__unpack(NULL, message.len, (const uint8_t *)message.at);
    pthread_mutex_lock(&h->lock);
    observed *o = find(h, q->run);
    if (o != NULL && d != NULL) {
        const HatchetPb__TaskDetails *mine = NULL;
        for (size_t i = 0; i < d->n_task_runs; i++)
            if (mine == NULL || (d->task_runs[i]->key != NULL && strcmp(d->task_runs[i]->key, o->task) == 0))
                mine = d->task_runs[i]->value;
        o->missing = 0;
        mf_str none = {NULL, 0};
        if (d->done && d->status == CANCELLED)
            ended = end(h, o, MF_STATUS_CANCELED, MF_E_CANCELED, none);
        else if (d->done && d->status == FAILED)
            ended = end(h, o, MF_STATUS_FAILED, MF_E_TASK_FAILED, mine != NULL && is_given(mine->error) ? mf_cstr(mine->error) : none);
        else if (d->done)
            ended = end(h, o, MF_STATUS_DONE, MF_OK, mine != NULL && mine->output.len > 0 ?
                        mf_str_of((const char *)mine->output.data, mine->output.len) : none);
    }
    pthread_mutex_unlock(&h->lock);
    hatchet_pb__run_details__free_unpacked(d, NULL);
    if (ended != NULL)
        hand_over(ended);
}

static void question_ended(void *user, const mfi_rpc_end *e)
{
    question *q = user;
    hatchet *h = q->owner;
    observed *ended = NULL;
    pthread_mutex_lock(&h->lock);
    h->asking--;
    observed *o = find(h, q->run);
    if (o != NULL) {
        o->asking = false;
        if (e->code == MFI_RPC_NOT_FOUND && ++o->missing >= MISSING_MAX)
            ended = end(h, o, MF_STATUS_FAILED, MF_E_NOT_FOUND,
                        MF_STR_LIT("the engine has no such run: is a workflow of this name known to it?"));
    }
    h->observe_soon = true;
    pthread_mutex_unlock(&h->lock);
    if (ended != NULL)
        hand_over(ended);
    mf_delete(h->allocator, q);
    mfi_rpc_poke(h->rpc);
}

static bool ask(hatchet *h, const char *run)
{
    HatchetPb__RunRef ref = HATCHET_PB__RUN_REF__INIT;
    question *q = mf_new(h->allocator, question);
    if (q == NULL)
        return false;
    q->owner = h;
    snprintf(q->run, sizeof q->run, "%s", run);
    ref.id = q->run;
    if (hatchet_begin(h, "/v1.AdminService/GetRunDetails", &ref.base, mf_seconds(5), answered, question_ended, q, NULL, NULL) == MF_OK)
        return true;
    mf_delete(h->allocator, q);
    return false;
}

/* The lock is held. When the next one is due, and those that are: up to as many as may be under way. */
static int64_t due(hatchet *h, int64_t now, char runs[ASKING_MAX][HATCHET_ID_MAX], size_t *n)
{
    int64_t next = INT64_MAX;
    for (observed *o = h->observed; o != NULL; o = o->hh.next) {
        if (o->asking)
            continue;
        if (o->ask_ns <= now && h->asking < ASKING_MAX) {
            int64_t pause = o->missing > 0 ? MISSING << (o->missing < 3 ? o->missing - 1 : 2) : ASK_FIRST << (o->asks < 4 ? o->asks : 4);
            o->asking = true;
            o->asks++;
            o->ask_ns = now + (pause < ASK_LAST ? pause : ASK_LAST);
            h->asking++;
            memcpy(runs[(*n)++], o->run, HATCHET_ID_MAX);
        } else if (o->ask_ns > now) {       /* one that has to wait for others is looked at behind them */
            next = o->ask_ns < next ? o->ask_ns : next;
        }
    }
    return next;
}

int64_t io_observe_tick(hatchet *h, int64_t now)
{
    char runs[ASKING_MAX][HATCHET_ID_MAX];
    size_t n = 0;
    pthread_mutex_lock(&h->lock);
    if (h->observe_soon || now >= h->observe_ns) {
        h->observe_soon = false;
        h->observe_ns = due(h, now, runs, &n);
    }
    int64_t next = h->observe_ns;
    bool notes = h->store != NULL && h->store->ops->shared && (h->serving || h->observed != NULL);
    bool round = notes && !h->in_round && now >= h->round_ns;
    h->in_round = h->in_round || round;
    if (notes && !h->in_round && h->round_ns < next)
        next = h->round_ns;
    pthread_mutex_unlock(&h->lock);
    for (size_t i = 0; i < n; i++) {
        if (ask(h, runs[i]))
            continue;
        pthread_mutex_lock(&h->lock);
        observed *o = find(h, runs[i]);
        if (o != NULL)
            o->asking = false;
        h->asking--;
        h->observe_soon = true;
        pthread_mutex_unlock(&h->lock);
    }
    if (round) {
        mf_pool *pool = thread_of(h);
        if (pool == NULL || mf_pool_submit(pool, round_of_notes, h) != MF_OK) {
            pthread_mutex_lock(&h->lock);
            h->in_round = false;
            h->round_ns = now + LOOK_ROUND;
            pthread_mutex_unlock(&h->lock);
        }
    }
    return next;
}

/* ---- stopping --------------------------------------------------------------------------------------------------------- */

mf_status hatchet_request_stop(mf_adapter *base, const mf_unit *unit)
{
    hatchet *h = hatchet_of(base);
    char *ids[PAGE], texts[PAGE][HATCHET_ID_MAX];
    HatchetPb__Ids list = HATCHET_PB__IDS__INIT;
    pthread_mutex_lock(&h->lock);
    for (observed *o = h->observed; o != NULL && list.n_external_ids < PAGE; o = o->hh.next)
        if (mf_key_eq(&o->unit.key, &unit->key)) {
            ids[list.n_external_ids] = memcpy(texts[list.n_external_ids], o->run, HATCHET_ID_MAX);
            list.n_external_ids++;
        }
    pthread_mutex_unlock(&h->lock);
    if (list.n_external_ids == 0)
        return MF_OK;
    list.external_ids = ids;
    return hatchet_begin(h, "/v1.AdminService/CancelTasks", &list.base, mf_seconds(10), NULL, NULL, NULL, NULL, NULL);
}

/* The link is gone: nobody hears of ends any more. */
void hatchet_observers_free(hatchet *h)
{
    (void)mf_pool_destroy(h->observers);
    for (observed *o; (o = h->observed) != NULL;) {
        HASH_DEL(h->observed, o);
        observed_free(o);
    }
}
