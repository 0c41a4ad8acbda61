#include "spy_store.h"

#include <stdio.h>
#include <stdlib.h>

spy_store *spy_store_of(mf_store *store)
{
    return (spy_store *)(void *)store;
}

static mf_store *inner_of(mf_store *store)
{
    return spy_store_of(store)->inner;
}

static void note_sent(spy_store *spy, const mf_entry *e)
{
    int64_t now = e->due_ms != 0 ? mf_store_now_ms(spy->inner) : 0;
    pthread_mutex_lock(&spy->lock);
    if (spy->sent_count < SPY_SENT_MAX) {
        spy_sent *s = &spy->sent[spy->sent_count];
        snprintf(s->task, sizeof s->task, "%.*s", (int)e->spec->name.len, e->spec->name.at);
        s->unit = e->unit;
        s->priority = e->priority;
        s->attempt = e->attempt;
        s->due_ms = e->due_ms;
        s->delay_ms = e->due_ms != 0 ? e->due_ms - now : 0;
    }
    spy->sent_count++;
    pthread_mutex_unlock(&spy->lock);
}

static void spy_destroy(mf_store *self)
{
    spy_store *spy = spy_store_of(self);
    mf_store_destroy(spy->inner);
    pthread_mutex_destroy(&spy->lock);
    free(spy);
}

static mf_status spy_watch(mf_store *self, const mf_store_watch *watch)
{
    return mf_store_watch_start(inner_of(self), watch);
}

static void spy_unwatch(mf_store *self, void *user)
{
    mf_store_watch_stop(inner_of(self), user);
}

static int64_t spy_now_ms(mf_store *self)
{
    return mf_store_now_ms(inner_of(self));
}

static mf_status spy_load(mf_store *self, const mf_key *keys, size_t n, mf_record *out, mf_error *err)
{
    atomic_fetch_add(&spy_store_of(self)->loads, 1);
    return mf_store_load(inner_of(self), keys, n, out, err);
}

static mf_status spy_items(mf_store *self, const mf_key *key, uint64_t from, size_t n, mf_item *out, size_t *got,
                           mf_error *err)
{
    atomic_fetch_add(&spy_store_of(self)->reads, 1);
    return mf_store_items(inner_of(self), key, from, n, out, got, err);
}

static mf_status spy_outcomes(mf_store *self, const mf_key *key, uint64_t from, size_t n, mf_outcome *out, size_t *got,
                              mf_error *err)
{
    atomic_fetch_add(&spy_store_of(self)->reads, 1);
    return mf_store_outcomes(inner_of(self), key, from, n, out, got, err);
}

static mf_status spy_commit(mf_store *self, const mf_batch *batch, mf_refusal *refusal, mf_error *err)
{
    spy_store *spy = spy_store_of(self);
    atomic_fetch_add(&spy->commits, 1);
    if (batch->outcome_count > 0 && atomic_load(&spy->refusals) > 0) {
        atomic_fetch_sub(&spy->refusals, 1);
        return mf_fail(err, (mf_status)atomic_load(&spy->refusal), "refused on purpose");
    }
    mf_status st = mf_store_commit(spy->inner, batch, refusal, err);
    for (size_t i = 0; st == MF_OK && i < batch->entry_count; i++)
        note_sent(spy, &batch->entries[i]);
    return st;
}

static mf_status spy_claim(mf_store *self, mf_claim *claims, size_t n, mf_error *err)
{
    atomic_fetch_add(&spy_store_of(self)->claims, 1);
    return mf_store_claim(inner_of(self), claims, n, err);
}

static mf_status spy_take(mf_store *self, size_t max, mf_taken *out, size_t *got, int64_t *next_due_ms, mf_error *err)
{
    atomic_fetch_add(&spy_store_of(self)->takes, 1);
    return mf_store_take(inner_of(self), max, out, got, next_due_ms, err);
}

static mf_status spy_outbox(mf_store *self, size_t max, mf_entry *out, size_t *got, int64_t *next_due_ms, mf_error *err)
{
    atomic_fetch_add(&spy_store_of(self)->takes, 1);
    return mf_store_outbox(inner_of(self), max, out, got, next_due_ms, err);
}

static int64_t spy_lease_ms(mf_store *self)
{
    return mf_store_lease_ms(inner_of(self));
}

static mf_status spy_renew(mf_store *self, uint64_t *tokens, size_t n, mf_error *err)
{
    atomic_fetch_add(&spy_store_of(self)->others, 1);
    return mf_store_renew(inner_of(self), tokens, n, err);
}

static mf_status spy_give_back(mf_store *self, const uint64_t *tokens, size_t n, mf_error *err)
{
    atomic_fetch_add(&spy_store_of(self)->others, 1);
    return mf_store_give_back(inner_of(self), tokens, n, err);
}

static mf_status spy_expired(mf_store *self, size_t max, mf_key *out, size_t *got, int64_t *next_ms, mf_error *err)
{
    atomic_fetch_add(&spy_store_of(self)->others, 1);
    return mf_store_expired(inner_of(self), max, out, got, next_ms, err);
}

static mf_status spy_list(mf_store *self, const mf_filter *filter, const mf_key *after, size_t max, mf_key *out,
                          size_t *got, mf_error *err)
{
    atomic_fetch_add(&spy_store_of(self)->others, 1);
    return mf_store_list(inner_of(self), filter, after, max, out, got, err);
}

static mf_status spy_notes(mf_store *self, mf_str space, mf_str after, size_t max, mf_note *out, size_t *got,
                           mf_error *err)
{
    atomic_fetch_add(&spy_store_of(self)->others, 1);
    return mf_store_notes(inner_of(self), space, after, max, out, got, err);
}

static mf_status spy_read_note(mf_store *self, mf_str space, mf_str name, mf_message **out, mf_error *err)
{
    atomic_fetch_add(&spy_store_of(self)->others, 1);
    return mf_store_read_note(inner_of(self), space, name, out, err);
}

static void spy_load_counts(mf_store *self, size_t *waiting, size_t *claimed)
{
    mf_store_load_counts(inner_of(self), waiting, claimed);
}

static mf_status spy_log(mf_store *self, const mf_key *key, mf_str line)
{
    atomic_fetch_add(&spy_store_of(self)->others, 1);
    return mf_store_log(inner_of(self), key, line);
}

static mf_status spy_read_log(mf_store *self, const mf_key *key, uint64_t n, const mf_allocator *allocator, char **text,
                              size_t *len)
{
    atomic_fetch_add(&spy_store_of(self)->others, 1);
    return mf_store_read_log(inner_of(self), key, n, allocator, text, len);
}

static mf_status spy_read_lines(mf_store *self, const mf_key *key, uint64_t from, size_t n, const mf_allocator *allocator,
                                mf_line *out, size_t *got, mf_error *err)
{
    atomic_fetch_add(&spy_store_of(self)->others, 1);
    return mf_store_read_lines(inner_of(self), key, from, n, allocator, out, got, err);
}

static mf_status spy_progress(mf_store *self, const mf_key *key, const mf_message *progress)
{
    atomic_fetch_add(&spy_store_of(self)->others, 1);
    return mf_store_progress(inner_of(self), key, progress);
}

static mf_status spy_read_progress(mf_store *self, const mf_key *key, mf_message **out)
{
    atomic_fetch_add(&spy_store_of(self)->others, 1);
    return mf_store_read_progress(inner_of(self), key, out);
}

mf_store *spy_store_create(mf_store *inner)
{
    static const mf_store_ops ops = {
        .struct_size = sizeof ops, .name = "spy", .destroy = spy_destroy, .watch = spy_watch, .unwatch = spy_unwatch,
        .now_ms = spy_now_ms, .load = spy_load, .items = spy_items, .outcomes = spy_outcomes, .commit = spy_commit,
        .claim = spy_claim, .take = spy_take, .outbox = spy_outbox, .load_counts = spy_load_counts, .log = spy_log,
        .read_log = spy_read_log, .read_lines = spy_read_lines, .progress = spy_progress, .read_progress = spy_read_progress,
        .lease_ms = spy_lease_ms, .renew = spy_renew, .give_back = spy_give_back, .expired = spy_expired,
        .list = spy_list, .notes = spy_notes, .read_note = spy_read_note,
    };
    spy_store *spy = calloc(1, sizeof *spy);
    if (spy == NULL) {
        mf_store_destroy(inner);
        return NULL;
    }
    spy->ops = ops;
    spy->ops.durable = inner->ops->durable;
    spy->ops.shared = inner->ops->shared;
    spy->base = (mf_store){.ops = &spy->ops, .allocator = inner->allocator};
    spy->inner = inner;
    pthread_mutex_init(&spy->lock, NULL);
    return &spy->base;
}

unsigned long spy_store_calls(spy_store *spy)
{
    return atomic_load(&spy->loads) + atomic_load(&spy->reads) + atomic_load(&spy->commits) + atomic_load(&spy->claims) +
           atomic_load(&spy->takes) + atomic_load(&spy->others);
}

bool spy_store_sent(spy_store *spy, const char *task, uint32_t attempt, spy_sent *out)
{
    bool found = false;
    pthread_mutex_lock(&spy->lock);
    for (size_t i = 0; !found && i < spy->sent_count && i < SPY_SENT_MAX; i++)
        if (strcmp(spy->sent[i].task, task) == 0 && spy->sent[i].attempt == attempt) {
            *out = spy->sent[i];
            found = true;
        }
    pthread_mutex_unlock(&spy->lock);
    return found;
}
