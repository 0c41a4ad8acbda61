/* The only callers of a store's table: what every store may rely on is settled here, once. */
#include "record.h"

#include "memory.h"

#include <assert.h>

static const mf_store_ops *ops_of(const mf_store *s)
{
    assert(s != NULL && s->ops != NULL && s->ops->struct_size == sizeof(mf_store_ops));
    return s->ops;
}

void mf_store_destroy(mf_store *s)
{
    if (s != NULL)
        ops_of(s)->destroy(s);
}

mf_status mf_store_watch_start(mf_store *s, const mf_store_watch *watch)
{
    assert(watch != NULL);
    return ops_of(s)->watch(s, watch);
}

void mf_store_watch_stop(mf_store *s, void *user)
{
    ops_of(s)->unwatch(s, user);
}

int64_t mf_store_now_ms(mf_store *s)
{
    return ops_of(s)->now_ms(s);
}

mf_status mf_store_load(mf_store *s, const mf_key *keys, size_t n, mf_record *out, mf_error *err)
{
    assert(n == 0 || (keys != NULL && out != NULL));
    return ops_of(s)->load(s, keys, n, out, err);
}

mf_status mf_store_items(mf_store *s, const mf_key *key, uint64_t from, size_t n, mf_item *out, size_t *got, mf_error *err)
{
    assert(key != NULL && got != NULL && (n == 0 || out != NULL));
    *got = 0;
    return ops_of(s)->items(s, key, from, n, out, got, err);
}

mf_status mf_store_outcomes(mf_store *s, const mf_key *key, uint64_t from, size_t n, mf_outcome *out, size_t *got,
                            mf_error *err)
{
    assert(key != NULL && got != NULL && (n == 0 || out != NULL));
    *got = 0;
    return ops_of(s)->outcomes(s, key, from, n, out, got, err);
}

mf_status mf_store_commit(mf_store *s, const mf_batch *batch, mf_refusal *refusal, mf_error *err)
{
    mf_refusal unwanted;
    assert(batch != NULL);
    if (refusal == NULL)
        refusal = &unwanted;
    *refusal = (mf_refusal){MF_GUARD_NONE, 0};
    mf_status st = mfi_batch_check(batch, err);
    return st != MF_OK ? st : ops_of(s)->commit(s, batch, refusal, err);
}

mf_status mf_store_claim(mf_store *s, mf_claim *claims, size_t n, mf_error *err)
{
    assert(n == 0 || claims != NULL);
    return ops_of(s)->claim(s, claims, n, err);
}

mf_status mf_store_take(mf_store *s, size_t max, mf_taken *out, size_t *got, int64_t *next_due_ms, mf_error *err)
{
    assert(got != NULL && next_due_ms != NULL && (max == 0 || out != NULL));
    *got = 0;
    *next_due_ms = INT64_MAX;
    return ops_of(s)->take(s, max, out, got, next_due_ms, err);
}

mf_status mf_store_outbox(mf_store *s, size_t max, mf_entry *out, size_t *got, int64_t *next_due_ms, mf_error *err)
{
    assert(got != NULL && next_due_ms != NULL && (max == 0 || out != NULL));
    *got = 0;
    *next_due_ms = INT64_MAX;
    return ops_of(s)->outbox(s, max, out, got, next_due_ms, err);
}

int64_t mf_store_lease_ms(mf_store *s)
{
    return ops_of(s)->lease_ms(s);
}

mf_status mf_store_renew(mf_store *s, uint64_t *tokens, size_t n, mf_error *err)
{
    assert(n == 0 || tokens != NULL);
    return ops_of(s)->renew(s, tokens, n, err);
}

mf_status mf_store_give_back(mf_store *s, const uint64_t *tokens, size_t n, mf_error *err)
{
    assert(n == 0 || tokens != NULL);
    return ops_of(s)->give_back(s, tokens, n, err);
}

mf_status mf_store_expired(mf_store *s, size_t max, mf_key *out, size_t *got, int64_t *next_ms, mf_error *err)
{
    assert(got != NULL && next_ms != NULL && (max == 0 || out != NULL));
    *got = 0;
    *next_ms = INT64_MAX;
    return ops_of(s)->expired(s, max, out, got, next_ms, err);
}

mf_status mf_store_list(mf_store *s, const mf_filter *filter, const mf_key *after, size_t max, mf_key *out, size_t *got,
                        mf_error *err)
{
    static const mf_filter any;
    assert(got != NULL && (max == 0 || out != NULL));
    *got = 0;
    return ops_of(s)->list(s, filter != NULL ? filter : &any, after, max, out, got, err);
}

mf_status mf_store_notes(mf_store *s, mf_str space, mf_str after, size_t max, mf_note *out, size_t *got, mf_error *err)
{
    assert(got != NULL && (max == 0 || out != NULL));
    *got = 0;
    return ops_of(s)->notes(s, space, after, max, out, got, err);
}

mf_status mf_store_read_note(mf_store *s, mf_str space, mf_str name, mf_message **out, mf_error *err)
{
    assert(out != NULL);
    return ops_of(s)->read_note(s, space, name, out, err);
}

static void text_release(const mf_store *s, mf_str text)
{
    mfi_release(s->allocator, (void *)(uintptr_t)text.at, text.at == NULL ? 0 : text.len + 1);
}

void mf_note_release(mf_store *s, mf_note *note)
{
    text_release(s, note->space);
    text_release(s, note->name);
    mf_message_unref(note->value);
    *note = (mf_note){0};
}

void mf_store_load_counts(mf_store *s, size_t *waiting, size_t *claimed)
{
    assert(waiting != NULL && claimed != NULL);
    ops_of(s)->load_counts(s, waiting, claimed);
}

mf_status mf_store_log(mf_store *s, const mf_key *key, mf_str line)
{
    assert(key != NULL);
    return ops_of(s)->log(s, key, line);
}

mf_status mf_store_read_log(mf_store *s, const mf_key *key, uint64_t n, const mf_allocator *allocator, char **text,
                            size_t *len)
{
    assert(key != NULL && text != NULL && len != NULL);
    return ops_of(s)->read_log(s, key, n, allocator, text, len);
}

mf_status mf_store_read_lines(mf_store *s, const mf_key *key, uint64_t from, size_t n, const mf_allocator *allocator,
                              mf_line *out, size_t *got, mf_error *err)
{
    assert(key != NULL && got != NULL && (n == 0 || out != NULL));
    *got = 0;
    return ops_of(s)->read_lines(s, key, from, n, allocator, out, got, err);
}

mf_status mf_store_progress(mf_store *s, const mf_key *key, const mf_message *progress)
{
    assert(key != NULL);
    return ops_of(s)->progress(s, key, progress);
}

mf_status mf_store_read_progress(mf_store *s, const mf_key *key, mf_message **out)
{
    assert(key != NULL && out != NULL);
    return ops_of(s)->read_progress(s, key, out);
}

void mf_store_read_health(mf_store *s, mf_link_health *out)
{
    *out = (mf_link_health){.connected = true};
    if (ops_of(s)->health != NULL)
        ops_of(s)->health(s, out);
}

void mf_store_doctor(mf_store *s, mf_finding_fn *tell, void *user)
{
    assert(tell != NULL);
    if (ops_of(s)->doctor != NULL)
        ops_of(s)->doctor(s, tell, user);
}
