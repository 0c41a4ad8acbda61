/* One batch: written down in the order in which lua/commit.lua reads it, and what its answer means.
 *
 * Where the manager's queues lie on the same server, what is to be sent now goes into them with the script: such an entry has
 * no row. The parcels are the courier's, and given back when the script has run. */
#include "store_impl.h"

#include <stdio.h>

#include "record.h"
#include "record_codec.h"

/* ---- the batch as arguments ------------------------------------------------------------------------------------- */

static void add_state(struct mfi_rs_args *a, const mf_state *state, mf_error *err)
{
    mf_message *bytes = NULL;
    mf_status st = a->st == MF_OK ? mfi_state_encode(state, a->allocator, &bytes, err) : a->st;
    mfi_rs_add_message(a, st, bytes);
    mfi_rs_add_uint(a, state->epoch);
    mfi_rs_add_uint(a, state->status);
    mfi_rs_add_uint(a, state->last_status);
    mfi_rs_add_uint(a, state->next);
    mfi_rs_add_uint(a, state->running);
    mfi_rs_add_uint(a, state->lock);
    mfi_rs_add_int(a, state->lock_until_ms);
    mfi_rs_add_int(a, state->started_ms);
    mfi_rs_add_int(a, state->deadline_ms);
}

static void add_keys(struct mfi_rs_args *a, const mf_key *keys, size_t n)
{
    size_t len = 0;
    char *at = mfi_rs_room(a, n * sizeof keys->text);
    for (size_t i = 0; at != NULL && i < n; i++) {
        size_t one = strlen(keys[i].text);
        memcpy(at + len, keys[i].text, one);
        at[len + one] = ' ';
        len += one + 1;
    }
    mfi_rs_add(a, mf_str_of(at != NULL ? at : "", len));
}

/* The records that an item names: one of its own, or the callbacks of the task that it calls. */
static size_t item_keys(const mf_item *item, mf_key *out)
{
    const mf_spec *spec = item->spec;
    if (spec == NULL)
        return 0;
    if (mf_key_is_set(&spec->key)) {
        if (out != NULL)
            *out = spec->key;
        return 1;
    }
    if (out != NULL && spec->on_success_count > 0)
        memcpy(out, spec->on_success, spec->on_success_count * sizeof *out);
    if (out != NULL && spec->on_error_count > 0)
        memcpy(out + spec->on_success_count, spec->on_error, spec->on_error_count * sizeof *out);
    return spec->on_success_count + spec->on_error_count;
}

static void add_items_keys(struct mfi_rs_args *a, const mf_item *items, size_t n, const mf_item *more)
{
    size_t count = more != NULL ? item_keys(more, NULL) : 0;
    for (size_t i = 0; i < n; i++)
        count += item_keys(&items[i], NULL);
    if (count == 0) {
        mfi_rs_add(a, mf_str_of("", 0));
        return;
    }
    mf_key *keys = mfi_alloc_array(a->allocator, count, sizeof *keys);
    if (keys == NULL) {
        a->st = a->st == MF_OK ? MF_E_NOMEM : a->st;
        return;
    }
    size_t got = more != NULL ? item_keys(more, keys) : 0;
    for (size_t i = 0; i < n; i++)
        got += item_keys(&items[i], keys + got);
    add_keys(a, keys, got);
    mfi_release(a->allocator, keys, count * sizeof *keys);
}

static void add_put(struct mfi_rs_args *a, const mf_put *put, mf_error *err)
{
    const mf_spec *spec = put->spec;
    mf_message *bytes = NULL;
    mfi_rs_add_key(a, &spec->key);
    mfi_rs_add_uint(a, spec->kind);
    mfi_rs_add_uint(a, spec->numbered);
    mfi_rs_add_key(a, &spec->container);
    mfi_rs_add_uint(a, !mf_key_is_set(&spec->container) && !mf_key_is_set(&spec->parent));
    add_keys(a, spec->on_success, spec->on_success_count);
    add_keys(a, spec->on_error, spec->on_error_count);
    add_items_keys(a, spec->steps, spec->step_count, &spec->each);
    mf_status st = a->st == MF_OK ? mfi_spec_encode(spec, a->allocator, &bytes, err) : a->st;
    mfi_rs_add_message(a, st, bytes);
    mfi_rs_add_uint(a, put->state->version);
    add_state(a, put->state, err);
}

static void add_item(struct mfi_rs_args *a, const mf_item *item, mf_error *err)
{
    mf_entry as_entry = {.spec = item->spec, .message = item->message};
    mf_message *bytes = NULL;
    mf_status st = a->st == MF_OK ? mfi_entry_encode(&as_entry, a->allocator, &bytes, err) : a->st;
    mfi_rs_add_message(a, st, bytes);
    add_items_keys(a, item, 1, NULL);
}

/* What goes with the script. */
struct carried {
    mfi_redis_parcel *parcels;
    size_t            count, capacity;
    size_t            receipts;
};

/* With the script, past the outbox? */
static bool goes_along(const struct mfi_rs *s, const mf_entry *entry)
{
    return s->courier.pack != NULL && entry->due_ms == 0 && !mf_key_is_set(&entry->parked);
}

static void add_parcel(struct mfi_rs_args *a, const mfi_redis_parcel *parcel)
{
    mfi_rs_add(a, parcel->list ? MF_STR_LIT("l") : MF_STR_LIT("s"));
    mfi_rs_add(a, parcel->queue);
    mfi_rs_add(a, parcel->payload);
    mfi_rs_add(a, parcel->forget);
    mfi_rs_add(a, parcel->set);
    mfi_rs_add(a, parcel->mark);
}

static void add_entry(struct mfi_rs_args *a, const mf_entry *entry, mf_error *err)
{
    mf_message *bytes = NULL;
    mfi_rs_add(a, mf_str_of("", 0));
    mfi_rs_add_int(a, entry->priority);
    mfi_rs_add_int(a, entry->due_ms);
    mfi_rs_add_key(a, &entry->unit.key);
    mfi_rs_add_uint(a, entry->unit.index);
    mfi_rs_add_uint(a, entry->unit.epoch);
    mfi_rs_add_uint(a, mfi_name_is_framework(entry->spec->name));
    mfi_rs_add_uint(a, entry->deaths);
    mfi_rs_add_key(a, &entry->parked);
    mf_status st = a->st == MF_OK ? mfi_entry_encode(entry, a->allocator, &bytes, err) : a->st;
    mfi_rs_add_message(a, st, bytes);
}

static void add_note(struct mfi_rs_args *a, const mf_note *note)
{
    mfi_rs_add(a, note->space);
    mfi_rs_add(a, note->name);
    mfi_rs_add_uint(a, note->value != NULL);
    mfi_rs_add(a, note->value != NULL ? mf_message_bytes(note->value) : mf_str_of("", 0));
    mfi_rs_add_int(a, note->expires_ms);
    mfi_rs_add_uint(a, note->fresh);
}

static void add_numbers(struct mfi_rs_args *a, const uint64_t *numbers, size_t n)
{
    mfi_rs_add_uint(a, n);
    for (size_t i = 0; i < n; i++)
        mfi_rs_add_uint(a, numbers[i]);
}

static void add_writes(struct mfi_rs_args *a, const mf_batch *b, mf_error *err)
{
    mfi_rs_add_key(a, &b->key);
    mfi_rs_add_uint(a, b->state != NULL);
    if (b->state != NULL) {
        mfi_rs_add_uint(a, b->version);
        add_state(a, b->state, err);
    }
    mfi_rs_add_uint(a, b->write_count);
    for (size_t i = 0; i < b->write_count; i++) {
        mfi_rs_add_key(a, &b->writes[i].key);
        mfi_rs_add_uint(a, b->writes[i].version);
        add_state(a, b->writes[i].state, err);
    }
}

static void add_outcomes(struct mfi_rs_args *a, const mf_batch *b, mf_error *err)
{
    mfi_rs_add_uint(a, b->outcome_count);
    for (size_t i = 0; i < b->outcome_count; i++) {
        mf_message *bytes = NULL;
        mfi_rs_add_uint(a, b->outcomes[i].index);
        mf_status st = a->st == MF_OK ? mfi_outcome_encode(&b->outcomes[i], a->allocator, &bytes, err) : a->st;
        mfi_rs_add_message(a, st, bytes);
    }
}

static void add_receipts(struct mfi_rs_args *a, const struct mfi_rs *s, const mf_batch *b, struct carried *carried)
{
    char *count = mfi_rs_room(a, 24);
    size_t at = a->count;
    mfi_rs_add(a, mf_str_of("0", 1));
    for (size_t i = 0; s->courier.receipt != NULL && i < b->delivery_count && a->st == MF_OK; i++) {
        mfi_redis_receipt receipt;
        if (!s->courier.receipt(s->courier.user, b->deliveries[i], &receipt))
            continue;
        mfi_rs_add(a, receipt.queue);
        mfi_rs_add(a, receipt.group);
        mfi_rs_add(a, receipt.entry);
        mfi_rs_add_uint(a, receipt.drop);
        mfi_rs_add(a, receipt.dead);
        mfi_rs_add(a, receipt.reason);
        carried->receipts++;
    }
    if (a->st == MF_OK)
        a->at[at] = mf_str_of(count, (size_t)snprintf(count, 24, "%zu", carried->receipts));
}

static void add_entries(struct mfi_rs_args *a, const struct mfi_rs *s, const mf_batch *b, struct carried *carried, mf_error *err)
{
    size_t n = 0;
    for (size_t i = 0; i < b->entry_count; i++)
        n += goes_along(s, &b->entries[i]);
    if (n > 0 && a->st == MF_OK && (carried->parcels = mfi_alloc_array(s->allocator, n, sizeof *carried->parcels)) == NULL)
        a->st = MF_E_NOMEM;
    carried->capacity = carried->parcels != NULL ? n : 0;
    mfi_rs_add_uint(a, b->entry_count);
    for (size_t i = 0; i < b->entry_count && a->st == MF_OK; i++) {
        if (!goes_along(s, &b->entries[i])) {
            add_entry(a, &b->entries[i], err);
            continue;
        }
        mfi_redis_parcel *parcel = &carried->parcels[carried->count];
        *parcel = (mfi_redis_parcel){.list = false};
        a->st = s->courier.pack(s->courier.user, &b->entries[i], parcel, err);
        if (a->st == MF_OK) {
            carried->count++;
            add_parcel(a, parcel);
        }
    }
}

static bool is_retry(const struct mfi_rs *s, const mf_entry *entry)
{
    return entry->attempt > 1 && atomic_load_explicit(&s->claims, memory_order_relaxed) && mfi_entry_is_of_unit(entry);
}

/* What makes messages of earlier attempts stale, whichever way it goes. Only claims from elsewhere ask that, and what they tell
 * of comes after the first of them: a store that never sees one keeps nothing. */
static void add_retries(struct mfi_rs_args *a, const struct mfi_rs *s, const mf_batch *b)
{
    size_t n = 0;
    for (size_t i = 0; i < b->entry_count; i++)
        n += is_retry(s, &b->entries[i]);
    mfi_rs_add_uint(a, n);
    for (size_t i = 0; n > 0 && i < b->entry_count; i++) {
        if (!is_retry(s, &b->entries[i]))
            continue;
        mfi_rs_add_key(a, &b->entries[i].unit.key);
        mfi_rs_add_uint(a, b->entries[i].unit.index);
        mfi_rs_add_uint(a, b->entries[i].unit.epoch);
        mfi_rs_add_uint(a, b->entries[i].attempt);
        n--;
    }
}

/* The manager has it now, whatever comes: what was sent, and what is acknowledged. */
static void tell_courier(const struct mfi_rs *s, const mf_batch *b, const struct carried *carried)
{
    for (size_t i = 0; carried->count > 0 && i < b->entry_count; i++)
        if (goes_along(s, &b->entries[i]))
            s->courier.sent(s->courier.user, &b->entries[i]);
    mfi_redis_receipt unused;
    for (size_t i = 0; carried->receipts > 0 && i < b->delivery_count; i++)
        if (s->courier.receipt(s->courier.user, b->deliveries[i], &unused))
            s->courier.received(s->courier.user, b->deliveries[i]);
}

static void carried_fini(const struct mfi_rs *s, struct carried *carried)
{
    for (size_t i = 0; i < carried->count; i++)
        s->courier.unpack(s->courier.user, &carried->parcels[i]);
    mfi_release(s->allocator, carried->parcels, carried->capacity * sizeof *carried->parcels);
}

static void add_batch(struct mfi_rs_args *a, const struct mfi_rs *s, const mf_batch *b, struct carried *carried, mf_error *err)
{
    add_writes(a, b, err);
    add_numbers(a, b->holds, b->hold_count);
    add_numbers(a, b->settles, b->settle_count);
    mfi_rs_add_uint(a, b->put_count);
    for (size_t i = 0; i < b->put_count; i++)
        add_put(a, &b->puts[i], err);
    mfi_rs_add_uint(a, b->items_from);
    mfi_rs_add_uint(a, b->item_count);
    for (size_t i = 0; i < b->item_count; i++)
        add_item(a, &b->items[i], err);
    add_outcomes(a, b, err);
    add_numbers(a, b->published, b->published_count);
    mfi_rs_add_key(a, &b->resume);
    mfi_rs_add_uint(a, b->removal_count);
    for (size_t i = 0; i < b->removal_count; i++) {
        mfi_rs_add_key(a, &b->removals[i].key);
        mfi_rs_add_uint(a, b->removals[i].on_success);
        mfi_rs_add_uint(a, b->removals[i].on_error);
    }
    add_entries(a, s, b, carried, err);
    add_retries(a, s, b);
    add_receipts(a, s, b, carried);
    mfi_rs_add_uint(a, b->note_count);
    for (size_t i = 0; i < b->note_count; i++)
        add_note(a, &b->notes[i]);
}

/* ---- the answer ------------------------------------------------------------------------------------------------- */

static mf_status refused(const mfi_redis_reply *r, mf_refusal *refusal, mf_error *err)
{
    static const char *const what[] = {
        [MF_GUARD_PUT] = "put: the key exists", [MF_GUARD_VERSION] = "the record has another version",
        [MF_GUARD_ITEMS] = "items: there are not so many yet, or more", [MF_GUARD_OUTCOME] = "outcome: known already",
        [MF_GUARD_SETTLE] = "settle: not a current token", [MF_GUARD_WRITE] = "write: the record has another version",
        [MF_GUARD_HOLD] = "hold: not a current token", [MF_GUARD_NOTE] = "note: there is one of that name",
    };
    uint64_t guard = mfi_rs_uint(&r->items[1]);
    *refusal = (mf_refusal){guard <= MF_GUARD_NOTE ? (mf_guard)guard : MF_GUARD_NONE, (size_t)mfi_rs_uint(&r->items[2])};
    return mf_fail(err, MF_E_CONFLICT, "store: %s (%zu)", what[refusal->guard] != NULL ? what[refusal->guard] : "refused",
                   refusal->index);
}

static void tell(struct mfi_rs *s, const mf_batch *b, const mfi_redis_reply *r)
{
    const mf_key *few[16], **ended = few;
    size_t n = r->count - 4;
    if (n > sizeof few / sizeof few[0])
        ended = mfi_alloc_array(s->allocator, n, sizeof *ended);
    struct mfi_news news = {.ready = (size_t)mfi_rs_uint(&r->items[2]), .delayed_ms = mfi_rs_time(&r->items[3])};
    for (size_t i = 0; ended != NULL && i < n; i++) {
        uint64_t place = mfi_rs_uint(&r->items[4 + i]);
        ended[news.ended_count++] = place == 0 ? &b->key : &b->writes[place - 1].key;
    }
    news.ended = ended;
    mfi_rs_committed(s, mfi_rs_uint(&r->items[1]));
    mfi_watchers_tell(&s->watchers, &news);
    if (ended != few)
        mfi_release(s->allocator, ended, n * sizeof *ended);
}

static mf_status understand(struct mfi_rs *s, const mf_batch *b, const mfi_redis_reply *r, mf_refusal *refusal, mf_error *err)
{
    if (r->count >= 4 && mf_str_eq(r->items[0].text, MF_STR_LIT("ok"))) {
        tell(s, b, r);
        return MF_OK;
    }
    if (r->count < 4 || !mf_str_eq(r->items[0].text, MF_STR_LIT("no")))
        return mfi_rs_damaged(s, err);
    mfi_watchers_tell_ready(&s->watchers, (size_t)mfi_rs_uint(&r->items[3]));
    return refused(r, refusal, err);
}

mf_status mfi_rs_commit(mf_store *base, const mf_batch *batch, mf_refusal *refusal, mf_error *err)
{
    struct mfi_rs *s = mfi_rs_of(base);
    struct mfi_rs_args args;
    mfi_redis_replies *r = NULL;
    struct carried carried = {0};
    mf_error why = {0};
    mfi_rs_args_once(&args, s);
    add_batch(&args, s, batch, &carried, &why);
    bool packed = args.st == MF_OK;
    mf_status st = mfi_rs_run(s, MFI_RS_COMMIT, &args, &r, err);
    if (!packed && why.status != MF_OK && err != NULL)
        *err = why;
    if (st == MF_OK)
        st = understand(s, batch, &r->at[0], refusal, err);
    if (st == MF_OK)
        tell_courier(s, batch, &carried);
    mfi_redis_replies_destroy(r);
    carried_fini(s, &carried);
    return st;
}
