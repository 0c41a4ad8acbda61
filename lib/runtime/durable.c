/* Durable tasks: a body that is called again does nothing twice.
 *
 * Each verb that the body comes to leaves a memo with the task's record, in the order of the calls; a replay is answered from
 * them. Memos are outcomes of the record from index 1 on (a task has no items), so that one is written once, whoever tries, and
 * under the claim of the call that writes it. A wait commits its memo together with the end of the claim and the message that
 * will call the body again; nothing waits in between.
 *
 *      step    {verb, key, value}
 *      sleep   {verb, key "", until}                        the message is due then
 *      event   {verb, key: its name, until}, then           the message is due at `until`, a note in the event's space
 *              {verb "came", value} or {verb "over"}        tells senders of the waiting; see mf_event_send */
#include <mageflow/control.h>

#include "durable.h"

#include <stdio.h>

#include "here.h"
#include "memory.h"
#include "random.h"
#include "record.h"
#include "runtime.h"

#define MEMO_PAGE 64

static mfi_running *running_of(mf_context *ctx)
{
    return (mfi_running *)(void *)ctx->call;        /* its first member */
}

bool mfi_durable_is_here(void)
{
    return mfi_here.running != NULL && mfi_here.running->task->durable && mfi_here.running->token != 0;
}

void mfi_durable_fini(mf_client *client, mfi_durable *d)
{
    for (size_t i = 0; i < d->count; i++)
        mf_message_unref(d->memos[i].value);
    mfi_release(client->allocator, d->memos, d->capacity * sizeof *d->memos);
    d->memos = NULL;
    d->count = d->capacity = 0;
}

/* ---- memos ------------------------------------------------------------------------------------------------------- */

static mf_status load_memos(mf_client *client, const mf_key *key, mfi_durable *d)
{
    size_t got = 1;
    mf_status st = MF_OK;
    while (!d->loaded && st == MF_OK && got > 0) {
        if (!mfi_array_reserve(client->allocator, (void **)&d->memos, &d->capacity, d->count + MEMO_PAGE, sizeof *d->memos))
            return MF_E_NOMEM;
        st = mf_store_outcomes(client->store, key, d->count + 1, MEMO_PAGE, d->memos + d->count, &got, NULL);
        for (size_t i = 0; st == MF_OK && i < got && d->memos[d->count].status != MF_STATUS_PENDING; i++)
            d->count++;
    }
    d->loaded = st == MF_OK;
    return st;
}

/* Where a verb begins: the call may use them, and what it did before is at hand. */
static mf_status begin(mf_context *ctx, mfi_durable **out)
{
    mfi_running *running = running_of(ctx);
    *out = &running->durable;
    if (!running->task->durable || running->token == 0)
        return MF_E_UNSUPPORTED;
    return load_memos(ctx->call->client, &ctx->call->delivery->unit.key, &running->durable);
}

static mf_str text_in(const mf_message *memo, const char *name)
{
    mf_value value;
    mf_str text = {NULL, 0};
    if (!mf_value_get(mf_message_value(memo), mf_cstr(name), &value) || mf_value_str(value, &text) != MF_OK)
        return mf_str_of("", 0);
    return text;
}

static int64_t until_in(const mf_message *memo)
{
    mf_value value;
    int64_t until = 0;
    if (mf_value_get(mf_message_value(memo), MF_STR_LIT("until"), &value) && mf_value_int(value, &until) != MF_OK)
        until = 0;
    return until;
}

/* The memo of the verb that the body comes to now; NULL: it comes here for the first time. A body that goes another way than
 * its record has failed for good. */
static mf_status next_memo(mf_context *ctx, mfi_durable *d, const char *verb, const char *key, const mf_message **out)
{
    *out = NULL;
    if (d->at == d->count)
        return MF_OK;
    const mf_message *memo = d->memos[d->at].value;
    mf_str was_verb = text_in(memo, "verb"), was_key = text_in(memo, "key");
    if (!mf_str_eq(was_verb, mf_cstr(verb)) || !mf_str_eq(was_key, mf_cstr(key)))
        return mf_task_fail(ctx, MF_FINAL, "ReplayDiffers", "verb %zu was %.*s \"%.*s\" and is %s \"%s\" now: a durable "
                            "task must come to the same verbs in the same order", d->at + 1, (int)was_verb.len, was_verb.at,
                            (int)was_key.len, was_key.at, verb, key);
    *out = memo;
    return MF_OK;
}

/* {verb, key, and one more} */
static mf_status memo_of(mf_client *client, const char *verb, const char *key, const char *name, const mf_message *value,
                         int64_t until_ms, mf_message **out)
{
    mf_builder b;
    mf_builder_init(&b, client->allocator, NULL);
    mf_build_map(&b, 3);
    mf_build_key(&b, "verb");
    mf_build_str(&b, mf_cstr(verb));
    mf_build_key(&b, "key");
    mf_build_str(&b, mf_cstr(key));
    mf_build_key(&b, name);
    if (value != NULL)
        mf_build_message(&b, value);
    else
        mf_build_int(&b, until_ms);
    mf_status st = mf_builder_finish(&b, out, NULL);
    mf_builder_fini(&b);
    return st;
}

/* Write the next memo (consumed) and keep it. MF_E_STALE: another call has gone on here meanwhile. */
static mf_status remember(mf_context *ctx, mfi_durable *d, mf_message *memo, const mf_note *note)
{
    mf_client *client = ctx->call->client;
    mf_outcome outcome = {.index = d->count + 1, .status = MF_STATUS_DONE, .value = memo};
    mf_batch batch = {.key = ctx->call->delivery->unit.key, .outcomes = &outcome, .outcome_count = 1,
                      .holds = &running_of(ctx)->token, .hold_count = 1, .notes = note, .note_count = note != NULL ? 1 : 0};
    mf_refusal refusal;
    mf_status st = MF_E_NOMEM;
    if (mfi_array_reserve(client->allocator, (void **)&d->memos, &d->capacity, d->count + 1, sizeof *d->memos))
        st = mf_store_commit(client->store, &batch, &refusal, NULL);
    if (st != MF_OK) {
        mf_message_unref(memo);
        return st == MF_E_CONFLICT || st == MF_E_NOT_FOUND ? MF_E_STALE : st;
    }
    d->memos[d->count++] = outcome;
    return MF_OK;
}

static mf_status give_value(mf_client *client, const mf_message *memo, mf_message **out)
{
    mf_value value;
    if (out == NULL)
        return MF_OK;
    if (!mf_value_get(mf_message_value(memo), MF_STR_LIT("value"), &value))
        return MF_E_MALFORMED;
    return mf_message_of_value(value, client->allocator, out, NULL);
}

/* ---- the verbs --------------------------------------------------------------------------------------------------- */

static mf_status check_name(mf_context *ctx, const char *verb, const char *name, size_t most)
{
    size_t len = name == NULL ? 0 : strlen(name);
    if (len > 0 && len <= most)
        return MF_OK;
    return mf_task_fail(ctx, MF_FINAL, "InvalidName", "%s: expected a name of 1 to %zu bytes, got %zu", verb, most, len);
}

mf_status mf_step(mf_context *ctx, const char *key, mf_step_fn *fn, void *user, mf_message **out)
{
    mfi_durable *d;
    mf_client *client = ctx->call->client;
    const mf_message *memo = NULL;
    mf_status st = begin(ctx, &d);
    if (st == MF_OK)
        st = check_name(ctx, "mf_step", key, 255);
    if (st == MF_OK)
        st = next_memo(ctx, d, "step", key, &memo);
    if (st != MF_OK)
        return st;
    if (memo == NULL) {
        mf_message *value = NULL, *made = NULL;
        st = fn(ctx, &value, user);
        if (st == MF_OK)
            st = value != NULL ? mf_message_status(value) : MF_OK;
        if (st == MF_OK)
            st = memo_of(client, "step", key, "value", value != NULL ? value : mf_message_nil(), 0, &made);
        mf_message_unref(value);
        if (st == MF_OK)
            st = remember(ctx, d, made, NULL);
        if (st != MF_OK)
            return st;
        memo = d->memos[d->at].value;
    }
    d->at++;
    return give_value(client, memo, out);
}

static int64_t end_of(mf_client *client, mf_duration span)
{
    int64_t now_ms = mf_store_now_ms(client->store), span_ms = span / 1000000 + (span % 1000000 > 0);
    return span == MF_FOREVER || span_ms > INT64_MAX - now_ms ? INT64_MAX : now_ms + span_ms;
}

/* The body returns from here; the wrapper commits it. */
static mf_status wait_for(mfi_durable *d, mfi_wait wait, int64_t until_ms, bool known)
{
    d->wait = wait;
    d->until_ms = until_ms;
    d->known = known;
    return MF_E_WAIT;
}

mf_status mf_sleep(mf_context *ctx, mf_duration span)
{
    mfi_durable *d;
    mf_client *client = ctx->call->client;
    const mf_message *memo = NULL;
    mf_status st = begin(ctx, &d);
    if (st == MF_OK && span < 0)
        st = mf_task_fail(ctx, MF_FINAL, "InvalidSpan", "mf_sleep: expected a span of 0 or more, got %lld ns", (long long)span);
    if (st == MF_OK)
        st = next_memo(ctx, d, "sleep", "", &memo);
    if (st != MF_OK)
        return st;
    if (memo == NULL)
        return wait_for(d, MFI_WAIT_SLEEP, end_of(client, span), false);
    if (until_in(memo) > mf_store_now_ms(client->store))
        return wait_for(d, MFI_WAIT_SLEEP, until_in(memo), true);
    d->at++;
    return MF_OK;
}

#define EVENT_SPACE "event:"

struct event_names {
    char    space[sizeof EVENT_SPACE + 200], name[64];
    mf_note note;
};

/* The note by which the waiting for memo `index` is found. */
static void event_note(struct event_names *n, const char *event, const mf_key *key, uint64_t index)
{
    snprintf(n->space, sizeof n->space, EVENT_SPACE "%s", event);
    snprintf(n->name, sizeof n->name, "%s/%llu", key->text, (unsigned long long)index);
    n->note = (mf_note){.space = mf_cstr(n->space), .name = mf_cstr(n->name)};
}

/* Its time is over: that is written down, unless the event was there first; then another call goes on already. */
static mf_status event_over(mf_context *ctx, mfi_durable *d, const char *name)
{
    mf_message *memo = NULL;
    struct event_names n;
    event_note(&n, name, &ctx->call->delivery->unit.key, d->count + 1);
    mf_status st = memo_of(ctx->call->client, "over", "", "value", mf_message_nil(), 0, &memo);
    if (st == MF_OK)
        st = remember(ctx, d, memo, &n.note);
    if (st != MF_OK)
        return st;
    d->at += 2;
    return MF_E_TIMEOUT;
}

mf_status mf_wait_event(mf_context *ctx, const char *name, mf_duration timeout, mf_message **out)
{
    mfi_durable *d;
    mf_client *client = ctx->call->client;
    const mf_message *memo = NULL;
    mf_status st = begin(ctx, &d);
    if (st == MF_OK)
        st = check_name(ctx, "mf_wait_event", name, sizeof d->event - 1);
    if (st == MF_OK && timeout < 0)
        st = mf_task_fail(ctx, MF_FINAL, "InvalidSpan", "mf_wait_event: expected a timeout of 0 or more, got %lld ns",
                          (long long)timeout);
    if (st == MF_OK)
        st = next_memo(ctx, d, "event", name, &memo);
    if (st != MF_OK)
        return st;
    snprintf(d->event, sizeof d->event, "%s", name);
    if (memo == NULL)
        return wait_for(d, MFI_WAIT_EVENT, end_of(client, timeout), false);
    if (d->at + 1 == d->count) {
        if (until_in(memo) > mf_store_now_ms(client->store))
            return wait_for(d, MFI_WAIT_EVENT, until_in(memo), true);
        return event_over(ctx, d, name);
    }
    const mf_message *end = d->memos[d->at + 1].value;
    d->at += 2;
    return mf_str_eq(text_in(end, "verb"), MF_STR_LIT("over")) ? MF_E_TIMEOUT : give_value(client, end, out);
}

/* ---- the wait's commit ------------------------------------------------------------------------------------------- */

/* What a sender needs to call the body again: {index, attempt, message}. */
static mf_status note_value(mf_client *client, const mf_delivery *d, uint64_t index, mf_message **out)
{
    mf_builder b;
    mf_builder_init(&b, client->allocator, NULL);
    mf_build_map(&b, 3);
    mf_build_key(&b, "index");
    mf_build_uint(&b, index);
    mf_build_key(&b, "attempt");
    mf_build_uint(&b, d->attempt);
    mf_build_key(&b, "message");
    mf_build_message(&b, d->message);
    mf_status st = mf_builder_finish(&b, out, NULL);
    mf_builder_fini(&b);
    return st;
}

static mf_status commit_wait(mf_client *client, mfi_running *running, mf_error *err)
{
    const mf_delivery *d = running->call.delivery;
    mfi_durable *durable = &running->durable;
    const char *verb = durable->wait == MFI_WAIT_SLEEP ? "sleep" : "event";
    struct event_names n;
    mf_record record = {0};
    mf_outcome outcome = {.index = durable->count + 1, .status = MF_STATUS_DONE};
    mf_status st = mf_store_load(client->store, &d->unit.key, 1, &record, err);
    if (st == MF_OK && !durable->known)
        st = memo_of(client, verb, durable->event, "until", NULL, durable->until_ms, &outcome.value);
    event_note(&n, durable->event, &d->unit.key, durable->count + 2);
    if (st == MF_OK && !durable->known && durable->wait == MFI_WAIT_EVENT)
        st = note_value(client, d, durable->count + 2, &n.note.value);
    if (st == MF_OK && record.spec != NULL) {
        mf_entry again = {.spec = record.spec, .unit = d->unit, .attempt = d->attempt, .due_ms = durable->until_ms,
                          .message = (mf_message *)(uintptr_t)d->message, .error = (mf_message *)(uintptr_t)d->error,
                          .priority = d->priority};
        mf_batch batch = {.key = d->unit.key, .outcomes = &outcome, .outcome_count = durable->known ? 0 : 1,
                          .settles = &running->token, .settle_count = 1,
                          .entries = &again, .entry_count = durable->until_ms == INT64_MAX ? 0 : 1,
                          .notes = &n.note, .note_count = n.note.value != NULL ? 1 : 0};
        mf_refusal refusal;
        st = mf_store_commit(client->store, &batch, &refusal, err);
    }
    mf_record_release(&record);
    mf_message_unref(outcome.value);
    mf_message_unref(n.note.value);
    return st;
}

void mfi_durable_wait(mf_client *client, mfi_running *running)
{
    unsigned tries = 0;
    mf_error err = {.text = "no memory for a wait"};
    mf_status st;
    if (running->durable.wait == MFI_WAIT_SLEEP)
        running->durable.event[0] = '\0';
    while ((st = commit_wait(client, running, &err)) != MF_OK && st != MF_E_CONFLICT && st != MF_E_NOT_FOUND)
        mfi_pause_before_retry(client, st, &err, &tries);
    if (st != MF_OK)    /* another call has gone on, or the record is gone: the message alone is left */
        mfi_commit_plain(client, &running->token, NULL);
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

/* One who waits: wake it. False: it no longer does. */
static bool wake(mf_client *client, const mf_note *waiting, mf_message *came)
{
    mf_key key;
    uint64_t index = 0, attempt = 1;
    mf_value message;
    mf_value value = mf_message_value(waiting->value);
    const char *slash = memchr(waiting->name.at, '/', waiting->name.len);
    mf_note gone = {.space = waiting->space, .name = waiting->name};
    mfi_flow_event event = {.kind = MFI_EV_WAKE, .note = &gone};
    mf_status st = slash == NULL ? MF_E_MALFORMED
                                 : mf_key_parse(mf_str_of(waiting->name.at, (size_t)(slash - waiting->name.at)), &key, NULL);
    if (st == MF_OK)
        st = mf_message_scan(waiting->value, NULL, "{s:U, s:U}", "index", &index, "attempt", &attempt);
    if (st == MF_OK && mf_value_get(value, MF_STR_LIT("message"), &message) && mf_value_type(message) != MF_TYPE_NIL)
        st = mf_message_of_value(message, client->allocator, &event.sent, NULL);
    if (st == MF_OK) {
        event.index = index;
        event.attempt = (uint32_t)attempt;
        event.value = mf_message_ref(came);
        st = mfi_dispatch_wait(client, &key, &event, false);
    } else {
        mf_message_unref(event.sent);
    }
    if (st == MF_E_NOT_FOUND || st == MF_E_MALFORMED) {
        mf_batch batch = {.notes = &gone, .note_count = 1};
        mf_refusal refusal;
        (void)mf_store_commit(client->store, &batch, &refusal, NULL);
    }
    return st == MF_OK;
}

mf_status mf_event_send(mf_client *client, const char *name, const mf_message *message, size_t *woken, mf_error *err)
{
    char space[sizeof EVENT_SPACE + 200], after[256] = "";
    mf_note page[MEMO_PAGE];
    size_t got = 0, count = 0, len = name == NULL ? 0 : strlen(name);
    mf_message *came = NULL;
    mf_status st = mfi_client_check(client, err);
    if (st == MF_OK && (len == 0 || len > 200))
        st = mf_fail(err, MF_E_INVALID, "event: expected a name of 1 to 200 bytes, got %zu", len);
    if (st == MF_OK && message != NULL && (st = mf_message_status(message)) != MF_OK)
        mf_fail(err, st, "event \"%s\": its message could not be built", name);
    if (st == MF_OK && (st = memo_of(client, "came", "", "value", message != NULL ? message : mf_message_nil(), 0, &came)) != MF_OK)
        mf_fail(err, st, "event \"%s\": no memory", name);
    if (st != MF_OK)
        return st;
    snprintf(space, sizeof space, EVENT_SPACE "%s", name);
    do {
        st = mf_store_notes(client->store, mf_cstr(space), mf_cstr(after), MEMO_PAGE, page, &got, err);
        for (size_t i = 0; st == MF_OK && i < got; i++) {
            count += wake(client, &page[i], came) ? 1 : 0;
            snprintf(after, sizeof after, "%.*s", (int)page[i].name.len, page[i].name.at);
            mf_note_release(client->store, &page[i]);
        }
    } while (st == MF_OK && got > 0);
    mf_message_unref(came);
    if (woken != NULL)
        *woken = count;
    return st;
}

/* ---- keys -------------------------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* The n-th signature that a body makes has the same key in each replay. Its bits come from the task's own key, which nobody
 * guesses, so nobody guesses these. */
static mf_status derive(void *user, void *at, size_t len)
{
    (void)user;
    mfi_running *running = mfi_here.running;
    const mf_key *key = &running->call.delivery->unit.key;
    uint64_t number = ++running->durable.keys;
    for (size_t i = 0; i < len; i += sizeof(uint64_t)) {
        uint64_t word, hash = mix(number * UINT64_C(0x9e3779b97f4a7c15) + i);
        for (size_t k = 0; k < sizeof key->text; k += sizeof word) {
            memcpy(&word, key->text + k, sizeof word);
            hash = mix(hash + word + i);
        }
        memcpy((unsigned char *)at + i, &hash, len - i < sizeof hash ? len - i : sizeof hash);
    }
    return MF_OK;
}

const struct mfi_random *mfi_durable_keys(void)
{
    static const mfi_random derived = {.fill = derive};
    return mfi_durable_is_here() ? &derived : NULL;
}
