/* inspect_json.c: `mageflow inspect --json`: one object. */
#include "inspect.h"

static void build_text(mf_builder *b, const char *key, mf_str text)
{
    mf_build_key(b, key);
    mf_build_str_lossy(b, text);
}

static void build_number(mf_builder *b, const char *key, uint64_t n)
{
    mf_build_key(b, key);
    mf_build_uint(b, n);
}

static void build_value(mf_builder *b, const char *key, const mf_message *value)
{
    mf_build_key(b, key);
    mf_build_message(b, value);
}

static void build_keys(mf_builder *b, const char *what, const mf_key *keys, size_t n)
{
    mf_build_key(b, what);
    mf_build_array(b, n);
    for (size_t i = 0; i < n; i++)
        mf_build_str(b, mf_cstr(keys[i].text));
}

static void build_above(mf_builder *b, const struct inspected *in)
{
    const mf_spec *inner = in->record.spec;
    mf_build_key(b, "in");
    mf_build_array(b, in->above_count);
    for (size_t i = 0; i < in->above_count; i++) {
        const mf_record *r = &in->above[i];
        bool part = mf_key_is_set(&inner->container) && mf_key_eq(&inner->container, &inner->parent);
        mf_build_map(b, 5);
        build_word(b, "key", r->spec->key.text);
        build_word(b, "kind", kind_word(r->spec));
        build_text(b, "name", r->spec->name);
        build_word(b, "status", mf_signature_status_name(r->state.status));
        mf_build_key(b, "index");       /* nil: it is a callback there */
        if (part)
            mf_build_uint(b, inner->index);
        else
            mf_build_nil(b);
        inner = r->spec;
    }
}

static void build_runs(mf_builder *b, const struct inspected *in)
{
    mf_build_key(b, "runs");
    mf_build_array(b, in->run_count);
    for (size_t i = 0; i < in->run_count; i++) {
        const struct seen *run = &in->runs[i];
        mf_build_map(b, 5);
        build_text(b, "host", mf_cstr(run->host));
        build_number(b, "pid", (uint64_t)run->pid);
        build_number(b, "index", run->index);
        build_number(b, "attempt", run->attempt);
        build_seconds(b, "told_age_s", true, in->now_ms - run->told_ms);
    }
}

static void build_swarm(mf_builder *b, const mf_record *r)
{
    mf_build_key(b, "closed");
    mf_build_bool(b, r->state.closed);
    build_number(b, "max_concurrency", r->spec->max_concurrency);
    build_number(b, "stop_after_failures", r->spec->stop_after_failures);
    build_number(b, "max_items", r->spec->max_items);
    if (r->spec->source.len > 0)
        build_text(b, "source", r->spec->source);
}

/* What a chain handed on and forgot is not told as nil. */
static void build_part(mf_builder *b, const mf_part *p, bool forgets)
{
    mf_build_map_begin(b);
    build_number(b, "index", p->index);
    build_word(b, "kind", kind_word(p->spec));
    build_text(b, "name", p->spec->name);
    build_word(b, "status", mf_signature_status_name(p->status));
    mf_build_key(b, "never");
    mf_build_bool(b, p->never);
    if (mf_key_is_set(&p->key))
        build_word(b, "key", p->key.text);
    if (p->spec->kind != MF_KIND_TASK)
        build_counts(b, &p->counts);
    if (p->status == MF_STATUS_FAILED)
        build_value(b, "error", p->value);
    else if (p->status == MF_STATUS_DONE && p->spec->kind != MF_KIND_SWARM && (!forgets || p->value != NULL))
        build_value(b, "result", p->value);
    mf_build_end(b);
}

static void build_parts(mf_builder *b, const struct inspected *in)
{
    mf_build_key(b, "parts");
    mf_build_array(b, in->part_count);
    for (size_t i = 0; i < in->part_count; i++)
        build_part(b, &in->parts[i], in->record.spec->kind == MF_KIND_CHAIN);
    build_number(b, "more", inspected_rest(in));
}

mf_status inspected_print_json(const struct inspected *in, mf_error *err)
{
    const mf_record *r = &in->record;
    const mf_state *s = &r->state;
    mf_builder b;
    build_begin(&b);
    mf_build_map_begin(&b);
    build_record(&b, r, in->now_ms);
    build_word(&b, "last_status", mf_signature_status_name(s->last_status));
    build_seconds(&b, "deadline_s", s->deadline_ms > 0, s->deadline_ms - in->now_ms);
    build_seconds(&b, "locked_s", s->lock != 0 && s->lock_until_ms > in->now_ms, s->lock_until_ms - in->now_ms);
    mf_build_key(&b, "priority");
    mf_build_int(&b, s->priority);
    build_above(&b, in);
    build_runs(&b, in);
    build_keys(&b, "on_success", r->spec->on_success, r->spec->on_success_count);
    build_keys(&b, "on_error", r->spec->on_error, r->spec->on_error_count);
    build_value(&b, "kwargs", s->kwargs != NULL ? s->kwargs : r->spec->kwargs);
    build_value(&b, "message", s->input);
    build_value(&b, "progress", in->progress);
    if (s->status == MF_STATUS_DONE && r->spec->kind != MF_KIND_SWARM)
        build_value(&b, "result", s->result);
    if (r->spec->kind == MF_KIND_TASK)
        build_value(&b, "task", in->task);
    if (r->spec->kind == MF_KIND_SWARM)
        build_swarm(&b, r);
    if (r->spec->kind != MF_KIND_TASK)
        build_parts(&b, in);
    mf_build_end(&b);
    return build_put(&b, err);
}
