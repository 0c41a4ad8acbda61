/* The ends of tasks that others serve: as long as any worker on the store lives, somebody watches for them.
 *
 * Whoever publishes such a task watches its run, through the stream of results that calls wait on, too (results.c); now and then it
 * asks for the run by itself, which also finds one that was canceled, whose output is too large for the stream, or that never came to
 * be. So that watching does not end with a process, each run has a note in the store that names who watches it, and who watches
 * keeps a note of its own alive, every third of a lease. A worker that finds runs whose watcher has no such note any more takes
 * them over. Two may watch the same run for a while: an outcome counts once.
 *
 * The I/O thread hears of ends. They are told, and notes are read and written, on a thread of their own, since a store may take
 * its time; on that thread alone runs `h->forgotten`. */
#include "observed.h"

#include <ctype.h>
#include <stdio.h>

#include "clock.h"
#include "memory.h"
#include "random.h"

#define RUNS MF_STR_LIT("hatchet.run")
#define WATCHERS MF_STR_LIT("hatchet.watcher")
#define LEASE_MS 30000
#define SLACK_MS 60000                      /* a timeout may be seen late */
#define PAGE 64

static void observed_free(observed *o)
{
    hatchet *h = o->owner;
    hatchet_text_free(h, o->task);
    mf_message_unref(o->sent);
    if (o->text != NULL)
        mfi_release(h->allocator, o->text, o->len + 1);
    mf_delete(h->allocator, o);
}

mf_pool *hatchet_observers(hatchet *h)
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
    mf_status st = h->host->ops->outcome(h->host, &o->unit, o->status, value, o->sent);
    if (st == MF_E_CLOSED || st == MF_E_IO || st == MF_E_NOMEM)     /* a note stays: another watches it after our lease */
        hatchet_log(h, MF_LOG_WARN, "the end of \"%s\" in %s could not be told: %s", o->task, o->unit.key.text, mf_status_text(st));
    else if (o->noted)
        forget_soon(h, o->run);
    mf_message_unref(value);
    observed_free(o);
}

/* It is out of the table, and told soon. */
void hatchet_observed_tell(observed *o)
{
    hatchet *h = o->owner;
    mf_pool *pool = hatchet_observers(h);
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
    o->sent = mf_message_ref(e->message);
    o->task = mfi_copy_text(h->allocator, e->spec->name);
    o->text = mfi_copy_text(h->allocator, mf_cstr(line));
    o->len = o->text == NULL ? 0 : len < (int)sizeof line ? (size_t)len : sizeof line - 1;
    if (o->task != NULL)
        hatchet_observed_tell(o);
    else
        observed_free(o);
}

/* ---- the table -------------------------------------------------------------------------------------------------------- */

/* The lock is held. NULL: it is not watched here. */
observed *hatchet_observed_find(hatchet *h, const char *run)
{
    observed *o;
    HASH_FIND_STR(h->observed, run, o);
    return o;
}

/* An end that is known: status, and a copy of the text (NULL: none). The lock is held; what it returns is to be handed over. */
observed *hatchet_observed_end(hatchet *h, observed *o, mf_signature_status status, mf_status st, mf_str text)
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
    there = added ? hatchet_observed_find(h, run) : NULL;
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
    bool ours = hatchet_observed_find(h, run) != NULL;
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

void hatchet_observe_notes(void *arg)
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
