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
#include "durable.h"

#include <stdio.h>

#include "memory.h"
#include "runtime.h"

#define MEMO_PAGE 64

static mfi_running *running_of(mf_context *ctx)
{
    return (mfi_running *)(void *)ctx->call;        /* its first member */
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

mf_status mfi_memo_make(mf_client *client, const char *verb, const char *key, const char *name, const mf_message *value,
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
        st = mfi_commit(client, &batch, &refusal, NULL);
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

/* A step is remembered as a whole: a verb within it would be remembered before it, and come after it in a replay. */
static mf_status check_place(mf_context *ctx, const char *verb)
{
    if (!running_of(ctx)->durable.in_step)
        return MF_OK;
    return mf_task_fail(ctx, MF_FINAL, "VerbInStep", "%s within a step, which is remembered as a whole: do them one after the other", verb);
}

static mf_status do_step(mf_context *ctx, mf_step_fn *fn, void *user, mf_message **value)
{
    running_of(ctx)->durable.in_step = true;
    mf_status st = fn(ctx, value, user);
    running_of(ctx)->durable.in_step = false;
    return st == MF_OK && *value != NULL ? mf_message_status(*value) : st;
}

/* ---- without a signature ----------------------------------------------------------------------------------------- */

bool mfi_durable_by_manager(const mf_context *ctx)
{
    const mfi_running *running = (const mfi_running *)(const void *)ctx->call;
    return running->task->durable && running->token == 0 && !mf_key_is_set(&ctx->call->delivery->unit.key) &&
           ctx->ops->struct_size > offsetof(mf_context_ops, wait_event) && ctx->ops->recall != NULL;
}

mf_status mfi_durable_told(mf_context *ctx, mf_status st)
{
    if (st == MF_E_WAIT || st == MF_E_STALE)
        running_of(ctx)->durable.wait = MFI_WAIT_MANAGER;
    return st;
}

static mf_status manager_step(mf_context *ctx, const char *key, mf_step_fn *fn, void *user, mf_message **out)
{
    mf_message *value = NULL;
    mf_status st = mfi_durable_told(ctx, ctx->ops->recall(ctx, key, &value));
    if (st == MF_E_NOT_FOUND) {
        st = do_step(ctx, fn, user, &value);
        if (st == MF_OK)
            st = mfi_durable_told(ctx, ctx->ops->remember(ctx, key, value != NULL ? value : mf_message_nil()));
    }
    if (st == MF_OK && out != NULL)
        *out = value != NULL ? value : mf_message_nil();
    else
        mf_message_unref(value);
    return st;
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
    bool by_manager = mfi_durable_by_manager(ctx);
    mf_status st = check_place(ctx, "mf_step");
    if (st == MF_OK && !by_manager)
        st = begin(ctx, &d);
    if (st == MF_OK)
        st = check_name(ctx, "mf_step", key, 255);
    if (st == MF_OK && by_manager)
        return manager_step(ctx, key, fn, user, out);
    if (st == MF_OK)
        st = next_memo(ctx, d, "step", key, &memo);
    if (st != MF_OK)
        return st;
    if (memo == NULL) {
        mf_message *value = NULL, *made = NULL;
        st = do_step(ctx, fn, user, &value);
        if (st == MF_OK)
            st = mfi_memo_make(client, "step", key, "value", value != NULL ? value : mf_message_nil(), 0, &made);
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
    bool by_manager = mfi_durable_by_manager(ctx);
    mf_status st = check_place(ctx, "mf_sleep");
    if (st == MF_OK && !by_manager)
        st = begin(ctx, &d);
    if (st == MF_OK && span < 0)
        st = mf_task_fail(ctx, MF_FINAL, "InvalidSpan", "mf_sleep: expected a span of 0 or more, got %lld ns", (long long)span);
    if (st == MF_OK && by_manager)
        return mfi_durable_told(ctx, ctx->ops->sleep(ctx, span));
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

/* Its time is over: that is written down, unless the event was there first; then another call goes on already. */
static mf_status event_over(mf_context *ctx, mfi_durable *d, const char *name)
{
    mf_message *memo = NULL;
    struct mfi_event_note n;
    mfi_event_note_fill(&n, name, &ctx->call->delivery->unit.key, d->count + 1);
    mf_status st = mfi_memo_make(ctx->call->client, "over", "", "value", mf_message_nil(), 0, &memo);
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
    bool by_manager = mfi_durable_by_manager(ctx);
    mf_status st = check_place(ctx, "mf_wait_event");
    if (st == MF_OK && !by_manager)
        st = begin(ctx, &d);
    if (st == MF_OK)
        st = check_name(ctx, "mf_wait_event", name, sizeof d->event - 1);
    if (st == MF_OK && timeout < 0)
        st = mf_task_fail(ctx, MF_FINAL, "InvalidSpan", "mf_wait_event: expected a timeout of 0 or more, got %lld ns",
                          (long long)timeout);
    if (st == MF_OK && by_manager) {
        mf_message *came = NULL;
        st = mfi_durable_told(ctx, ctx->ops->wait_event(ctx, name, timeout, &came));
        if (st == MF_OK && out != NULL)
            *out = came;
        else
            mf_message_unref(came);
        return st;
    }
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
