/* The bodies. What one answers depends on what it received and on nothing else; how it behaves stands in its message. */
#include "flows.h"

#include <stdio.h>

#define TIMEOUT         mf_milliseconds(40)
#define PEER_TIMEOUT_MS 400
#define DURABLE_RETRIES 9       /* a store that does not answer one is an attempt less; there are not so many faults */

uint64_t int_hash(int64_t value)
{
    return mfi_mix64((uint64_t)value * 2 + 1);
}

uint64_t list_hash(uint64_t so_far, uint64_t element)
{
    return mfi_mix64(so_far * 31 + element);
}

uint64_t value_hash(mf_value value)
{
    int64_t number;
    if (mf_value_int(value, &number) == MF_OK)
        return int_hash(number);
    if (mf_value_type(value) != MF_TYPE_ARRAY)
        return NIL_HASH;
    uint64_t hash = LIST_HASH;
    mf_iter iter = mf_value_iter(value);
    for (mf_value element; mf_iter_next(&iter, NULL, &element);)
        hash = list_hash(hash, value_hash(element));
    return hash;
}

int64_t task_answer(int64_t id, bool has_m, int64_t m, uint64_t results, int64_t k, int64_t x)
{
    uint64_t hash = mfi_mix64((uint64_t)id);
    hash = mfi_mix64(hash ^ (has_m ? (uint64_t)m : 0));
    hash = mfi_mix64(hash ^ results);
    hash = mfi_mix64(hash ^ (uint64_t)k);
    hash = mfi_mix64(hash ^ (uint64_t)x);
    return (int64_t)(hash >> 16);
}

static int64_t field(const mf_message *in, const char *name, bool *there)
{
    mf_value value;
    int64_t number = 0;
    *there = mf_value_get(mf_message_value(in), mf_cstr(name), &value) && mf_value_int(value, &number) == MF_OK;
    return number;
}

static mf_status work(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    flow *f = user;
    bool has_n, has_mode, has_m, has_k, has_x;
    int64_t id = field(in, "n", &has_n), how = field(in, "mode", &has_mode), m = field(in, "m", &has_m);
    int64_t k = field(in, "k", &has_k), x = field(in, "x", &has_x);
    uint32_t attempt = mf_context_execution_info(ctx)->attempt_number;
    mf_value value;
    f->calls++;
    uint64_t results = mf_value_get(mf_message_value(in), MF_STR_LIT("mageflow_results"), &value) ? value_hash(value) : 0;
    mfi_sim_yield(mfi_sim_here());      /* others see it run */
    switch ((mode)how) {
    case MODE_SLOW:
        if (mf_context_sleep(ctx, mf_milliseconds(1 + (int64_t)(id % 7))) != MF_OK)
            return mf_task_fail(ctx, MF_RETRY, "Stopped", "task %lld was asked to stop", (long long)id);
        break;
    case MODE_FLAKY:
        if (attempt < 2)
            return mf_task_fail(ctx, MF_RETRY, "Flaky", "attempt %u of %lld", attempt, (long long)id);
        break;
    case MODE_FAIL:
        return mf_task_fail(ctx, MF_FINAL, "Broken", "task %lld fails", (long long)id);
    case MODE_EXHAUST:
        return mf_task_fail(ctx, MF_RETRY, "Again", "attempt %u of %lld", attempt, (long long)id);
    case MODE_CANCEL:
        mf_context_cancel(ctx);
        return MF_OK;
    case MODE_TIMEOUT:
        while (mf_context_sleep(ctx, mf_seconds(1)) == MF_OK)
            ;       /* until it is told to stop: there is no other end */
        return MF_E_CANCELED;
    case MODE_STUCK:
        mfi_thread_sleep(mf_seconds(5));
        return MF_E_RETRY;
    case MODE_POISON:
        mfi_sim_die(mfi_sim_here());
        break;
    case MODE_ODD:
        if (x % 2 == 1)
            return mf_task_fail(ctx, MF_FINAL, "Odd", "%lld is odd", (long long)x);
        break;
    default:
        break;
    }
    *out = mf_msg("I", task_answer(id, has_m, m, results, k, x));
    return MF_OK;
}

/* ---- those that others serve ---------------------------------------------------------------------------------------------- */

void serve_as_peer(void *user, const mf_message *message, mfi_peer_answer *out)
{
    bool has_n, has_mode, has_m, has_k, has_x;
    int64_t id = field(message, "n", &has_n), how = field(message, "mode", &has_mode), m = field(message, "m", &has_m);
    int64_t k = field(message, "k", &has_k), x = field(message, "x", &has_x);
    mf_value value;
    (void)user;
    uint64_t results = mf_value_get(mf_message_value(message), MF_STR_LIT("mageflow_results"), &value) ? value_hash(value) : 0;
    *out = (mfi_peer_answer){.status = MF_STATUS_DONE, .times = 1, .after_ns = mf_milliseconds(id % 7)};
    switch ((mode)how) {
    case MODE_PEER_TWICE:
        out->times = 2;
        break;
    case MODE_PEER_LATE:
        out->after_ns = mf_milliseconds(PEER_TIMEOUT_MS - 5 + id % 10);
        break;
    case MODE_PEER_SILENT:
        out->times = 0;
        break;
    case MODE_PEER_FAIL:
        out->status = MF_STATUS_FAILED;
        break;
    default:
        break;
    }
    out->value = out->status == MF_STATUS_DONE ? mf_msg("I", task_answer(id, has_m, m, results, k, x))
                                               : mf_msg("{s:s, s:s}", "type", "ForeignError", "text", "it is broken there");
}

/* ---- a durable one ------------------------------------------------------------------------------------------------------ */

static mf_status first_step(mf_context *ctx, mf_message **out, void *user)
{
    flow *f = user;
    mfi_sim_yield(mfi_sim_here());
    (void)ctx;
    *out = mf_msg("I", ++f->step_calls);        /* another one each time: only what is remembered stays the same */
    return MF_OK;
}

static mf_status second_step(mf_context *ctx, mf_message **out, void *user)
{
    (void)ctx, (void)out, (void)user;
    return MF_OK;
}

static mf_status check_memo(node *n, const mf_message *memo)
{
    int64_t value = 0;
    if (mf_value_int(mf_message_value(memo), &value) != MF_OK)
        return MF_E_MALFORMED;
    if (n->memo == 0)
        n->memo = value;
    if (n->memo != value)
        mfi_sim_break(mfi_sim_here(), "node %lld remembers %lld, and its step answered %lld before", (long long)n->id,
                      (long long)value, (long long)n->memo);
    return MF_OK;
}

static mf_status durable(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    flow *f = user;
    bool there;
    mf_message *memo = NULL, *event = NULL;
    node *n = &f->nodes[field(in, "n", &there) - 1];
    mf_status st = mf_step(ctx, "first", first_step, f, &memo);
    if (st == MF_OK)
        st = check_memo(n, memo);
    mf_message_unref(memo);
    if (st == MF_OK)
        st = mf_sleep(ctx, mf_milliseconds(n->id % 5));
    if (st == MF_OK)
        st = mf_wait_event(ctx, "go", mf_milliseconds(5 + n->id % 40), &event);
    mf_message_unref(event);
    if (st == MF_OK || st == MF_E_TIMEOUT)
        st = mf_step(ctx, "second", second_step, f, NULL);
    return st == MF_OK ? work(ctx, in, out, user) : st;
}

/* A source for each (count, where it breaks): its name says both. The cursor is the next number. */
struct counting {
    unsigned items;
    int      breaks_at;
    char     name[32];
};

static mf_status draw(const mf_message *message, mf_cursor *cursor, mf_message **item, void *user, mf_error *err)
{
    const struct counting *c = user;
    (void)message;
    unsigned at = 0;
    if (cursor->len == sizeof at)
        memcpy(&at, cursor->bytes, sizeof at);
    if (c->breaks_at >= 0 && at == (unsigned)c->breaks_at)
        return mf_fail(err, MF_E_MALFORMED, "the source breaks at %u", at);
    if (at >= c->items)
        return MF_OK;
    *item = mf_msg("{s:I}", "x", (int64_t)at);
    at++;
    memcpy(cursor->bytes, &at, sizeof at);
    cursor->len = sizeof at;
    return MF_OK;
}

static uint64_t expected(const mf_message *message, void *user)
{
    (void)message;
    return ((const struct counting *)user)->items;
}

static mf_status declare_sources(mf_client *client, flow *f, mf_error *err)
{
    static struct counting sources[9][10];
    mf_status st = MF_OK;
    for (unsigned i = 0; i < f->node_count && st == MF_OK; i++) {
        const node *n = &f->nodes[i];
        if (n->kind != NODE_MAP)
            continue;
        struct counting *c = &sources[n->items][n->breaks_at + 1];
        c->items = n->items;
        c->breaks_at = n->breaks_at;
        snprintf(c->name, sizeof c->name, "count %u %d", n->items, n->breaks_at);
        st = mf_source(client, MF_SOURCE_DEF(.name = c->name, .next = draw, .expected = expected, .user = c), err);
        if (st == MF_E_EXISTS)
            st = MF_OK;     /* another map of the flow draws the same numbers */
    }
    return st;
}

mf_status declare_tasks(mf_client *client, void *user, mf_error *err)
{
    mf_status st = mf_task(client, MF_TASK_DEF(.name = "work", .run = work, .user = user, .retries = 2,
                                               .backoff = mf_milliseconds(3)), err);
    if (st == MF_OK)
        st = mf_task(client, MF_TASK_DEF(.name = "timed", .run = work, .user = user, .retries = 1,
                                         .backoff = mf_milliseconds(3), .timeout = TIMEOUT), err);
    if (st == MF_OK)
        st = mf_durable_task(client, MF_TASK_DEF(.name = "durable", .run = durable, .user = user, .retries = DURABLE_RETRIES,
                                                 .backoff = mf_milliseconds(3)), err);
    if (st == MF_OK && ((flow *)user)->foreign)
        st = mf_task_foreign(client, MF_TASK_DEF(.name = "elsewhere", .timeout = mf_milliseconds(PEER_TIMEOUT_MS)), err);
    return st == MF_OK ? declare_sources(client, user, err) : st;
}
