#include "bench.h"

#include <stdio.h>

#include "clock.h"

static mute_adapter *mute_of(mf_adapter *a)
{
    return (mute_adapter *)(void *)a;
}

static mf_status mute_task(mf_adapter *a, const mf_task_def *def, mf_error *err)
{
    (void)a, (void)def, (void)err;
    return MF_OK;
}

static mf_status mute_framework(mf_adapter *a, const mf_task_def *defs, size_t n, mf_error *err)
{
    (void)a, (void)defs, (void)n, (void)err;
    return MF_OK;
}

static mf_status mute_settle(mf_adapter *a, const mf_settlement *settlements, size_t n, mf_error *err)
{
    (void)err;
    atomic_fetch_add(&mute_of(a)->settled, (unsigned)n);
    atomic_store(&mute_of(a)->last_status, (int)settlements[n - 1].status);
    return MF_OK;
}

static mf_status mute_context(mf_adapter *a, const mf_delivery *d, mf_context *ctx)
{
    static const mf_context_ops none = {.struct_size = sizeof none};
    ctx->ops = &none;
    ctx->adapter = a;
    ctx->info = (mf_execution_info){.task_data = {.signature = d->unit.key}, .workflow_id = d->id, .task_name = d->task,
                                    .attempt_number = d->attempt};
    return MF_OK;
}

static mf_status mute_bind(mf_adapter *a, mf_host *host, mf_store *store, mf_error *err)
{
    (void)store, (void)err;
    mute_of(a)->host = host;
    return MF_OK;
}

static int64_t mute_due(mf_adapter *a)
{
    atomic_fetch_add(&mute_of(a)->dues, 1);
    return INT64_MAX;
}

static mf_status mute_replace_thread(mf_adapter *a, void *mark, bool replace)
{
    (void)mark;
    atomic_fetch_add(replace ? &mute_of(a)->replaced : &mute_of(a)->restored, 1);
    return MF_OK;
}

static void mute_health(mf_adapter *a, mf_adapter_health *out)
{
    *out = mute_of(a)->health;
}

static void mute_destroy(mf_adapter *a)
{
    (void)a;
}

static const mf_adapter_ops mute_ops = {
    .struct_size = sizeof mute_ops, .name = "mute", .capabilities = MF_CAP_TAKES, .task = mute_task,
    .durable_task = mute_task, .create_task_context = mute_context, .create_framework_tasks = mute_framework,
    .settle = mute_settle, .bind = mute_bind, .due = mute_due, .replace_thread = mute_replace_thread,
    .health = mute_health, .destroy = mute_destroy,
};

static int64_t turned_ns(void *user)
{
    return mfi_now_ns(NULL) + atomic_load(&((bench *)user)->ahead_ns);
}

static int64_t turned_ms(void *user)
{
    return turned_ns(user) / 1000000;
}

bool bench_open(bench *b)
{
    memset(b, 0, sizeof *b);
    counting_init(&b->counting);
    b->clock = (mf_clock){turned_ns, turned_ms, b};
    b->mute.base.ops = &mute_ops;
    mf_error err;
    return mf_memory_store_create(&b->counting.allocator, &b->clock, &b->store, &err) == MF_OK &&
           mf_client_create(&b->mute.base, b->store, MF_OPTIONS(.allocator = &b->counting.allocator, .clock = &b->clock),
                            &b->client, &err) == MF_OK;
}

bool bench_close(bench *b)
{
    mf_client_destroy(b->client);
    return atomic_load(&b->counting.live) == 0 && atomic_load(&b->counting.wrong_size) == 0;
}

void bench_turn_clock(bench *b, mf_duration span)
{
    atomic_fetch_add(&b->ahead_ns, span);
}

mf_status bench_nothing(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)ctx, (void)in, (void)out, (void)user;
    return MF_OK;
}

mf_status bench_no_items(const mf_message *message, mf_cursor *cursor, mf_message **item, void *user, mf_error *err)
{
    (void)message, (void)cursor, (void)item, (void)user, (void)err;
    return MF_OK;
}

mf_key bench_key(mf_kind kind, unsigned n)
{
    static const char *const prefixes[] = {"", "task", "chain", "swarm"};
    char text[64];
    mf_key key = {{0}};
    snprintf(text, sizeof text, "%s-%025u", prefixes[kind], n);
    return mf_key_parse(mf_cstr(text), &key, NULL) == MF_OK ? key : (mf_key){{0}};
}

mf_spec *bench_spec(bench *b, mf_kind kind, const char *name, unsigned n)
{
    mf_spec *spec = mf_spec_create(&b->counting.allocator, kind, mf_cstr(name));
    if (spec != NULL && n > 0)
        spec->key = bench_key(kind, n);
    return spec;
}

mf_status bench_put(bench *b, mf_spec *spec, const mf_state *state)
{
    mf_refusal refusal;
    mf_put put = {spec, state};
    mf_status st = mf_store_commit(b->store, &(mf_batch){.puts = &put, .put_count = 1}, &refusal, NULL);
    mf_spec_unref(spec);
    return st;
}
