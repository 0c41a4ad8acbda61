#include "kit_tasks.h"

void note_call(fixture *f, mf_context *ctx, const mf_message *in)
{
    const mf_execution_info *info = mf_context_execution_info(ctx);
    call c = {.attempt = info->attempt_number, .index = info->task_data.index, .signature = info->task_data.signature,
              .begun_ms = mf_store_now_ms(&f->store->base)};
    snprintf(c.task, sizeof c.task, "%.*s", (int)info->task_name.len, info->task_name.at);
    snprintf(c.in, sizeof c.in, "%s", json_of(in));
    if (mf_context_error(ctx) != NULL)
        snprintf(c.error, sizeof c.error, "%s", json_of(mf_context_error(ctx)));
    pthread_mutex_lock(&f->lock);
    if (f->call_count < CALLS_KEPT)
        f->calls[f->call_count] = c;
    f->call_count++;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

static mf_status echo(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    note_call(user, ctx, in);
    *out = mf_message_ref(in);
    return MF_OK;
}

struct add_in {
    int64_t n, by;
};
MF_FIELDS(add_in, struct add_in, MF_INT(n, MF_RETURN), MF_INT(by, .fallback = 1));

static mf_status add(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    struct add_in fields;
    mf_error err;
    note_call(user, ctx, in);
    if (mf_fields_decode(&add_in, in, &fields, &err) != MF_OK)
        return mf_task_fail(ctx, MF_FINAL, "InvalidMessage", "%s", err.text);
    *out = mf_msg("I", fields.n + fields.by);
    return MF_OK;
}

static mf_status note(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)out;
    note_call(user, ctx, in);
    return MF_OK;
}

static mf_status fail(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)out;
    note_call(user, ctx, in);
    return mf_task_fail(ctx, MF_FINAL, "Boom", "it broke");
}

static mf_status flaky(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    uint64_t good = 0;
    uint32_t attempt = mf_context_execution_info(ctx)->attempt_number;
    note_call(user, ctx, in);
    if (mf_message_scan(in, NULL, "{s:U}", "good", &good) != MF_OK || attempt < good)
        return mf_task_fail(ctx, MF_RETRY, "Flaky", "attempt %u failed", attempt);
    *out = mf_msg("i", (int)attempt);
    return MF_OK;
}

static mf_status gate(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    fixture *f = user;
    pthread_mutex_lock(&f->lock);
    if (++f->inside > f->most)
        f->most = f->inside;
    pthread_mutex_unlock(&f->lock);
    note_call(f, ctx, in);
    pthread_mutex_lock(&f->lock);
    while (!f->open)
        pthread_cond_wait(&f->changed, &f->lock);
    f->inside--;
    pthread_mutex_unlock(&f->lock);
    *out = mf_message_ref(in);
    return MF_OK;
}

static mf_status linger(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)out;
    note_call(user, ctx, in);
    return mf_context_sleep(ctx, MF_FOREVER);
}

static mf_status interruptible(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    fixture *f = user;
    note_call(f, ctx, in);
    pthread_mutex_lock(&f->lock);
    bool open = f->open;
    pthread_mutex_unlock(&f->lock);
    if (!open && mf_context_sleep(ctx, MF_FOREVER) != MF_OK)
        return MF_E_CANCELED;
    *out = mf_message_ref(in);
    return MF_OK;
}

struct path_in {
    mf_str path;
    int    width;
};
MF_FIELDS(path_in, struct path_in, MF_STR(path, MF_REQUIRED), MF_INT(width, .min = 1, .max = 100, .fallback = 10));

static mf_status path(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    mf_str text = MF_STR_LIT("");
    note_call(user, ctx, in);
    if (mf_message_scan(in, NULL, "{s:S}", "path", &text) != MF_OK)
        return MF_E_FINAL;
    *out = mf_msg("S", text);
    return MF_OK;
}

void declare_kit_tasks(fixture *f)
{
    const mf_task_def defs[] = {
        {.name = "echo", .run = echo},
        {.name = "add", .run = add, .in = &add_in},
        {.name = "note", .run = note},
        {.name = "fail", .run = fail, .retries = 3},
        {.name = "flaky", .run = flaky, .retries = 3, .backoff = mf_milliseconds(10)},
        {.name = "gate", .run = gate},
        {.name = "linger", .run = linger},
        {.name = "interruptible", .run = interruptible},
        {.name = "path", .run = path, .in = &path_in},
    };
    for (size_t i = 0; i < sizeof defs / sizeof *defs; i++) {
        mf_task_def def = defs[i];
        def.struct_size = sizeof def;
        def.user = f;
        cr_assert(eq(int, mf_task(f->mage, &def, &f->err), MF_OK), "%s", f->err.text);
    }
}
