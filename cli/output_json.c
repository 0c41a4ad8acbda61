/* output_json.c: what is shown, as JSON for programs. Times are ages and spans in seconds, since the store's clock tells no time of
 * day. */
#include "output.h"

#include <stdio.h>

void build_begin(mf_builder *b)
{
    /* What is shown is put together of messages that each kept the limits. */
    mf_builder_init(b, NULL, MF_LIMITS(.bytes = (size_t)1 << 30, .depth = MF_DEPTH_MAX, .elements = (size_t)1 << 26));
}

mf_status build_put(mf_builder *b, mf_error *err)
{
    mf_message *built = NULL;
    char *text;
    size_t len;
    mf_status st = mf_builder_finish(b, &built, err);
    if (st == MF_OK)
        st = mf_message_to_json(built, NULL, &text, &len, err);
    if (st == MF_OK) {
        fwrite(text, 1, len, stdout);
        putchar('\n');
        mf_json_free(NULL, text, len);
    }
    mf_message_unref(built);
    mf_builder_fini(b);
    return st;
}

void build_word(mf_builder *b, const char *key, const char *word)
{
    mf_build_key(b, key);
    mf_build_str_lossy(b, mf_cstr(word));
}

void build_seconds(mf_builder *b, const char *key, bool known, int64_t ms)
{
    mf_build_key(b, key);
    if (known)
        mf_build_float(b, (double)(ms > 0 ? ms : 0) / 1000);
    else
        mf_build_nil(b);
}

static void build_number(mf_builder *b, const char *key, uint64_t n)
{
    mf_build_key(b, key);
    mf_build_uint(b, n);
}

void build_counts(mf_builder *b, const mf_counts *c)
{
    uint64_t known = c->running + c->done + c->failed + c->canceled;
    mf_build_key(b, "counts");
    mf_build_map(b, 7);
    build_number(b, "total", c->total);
    build_number(b, "expected", c->expected);
    build_number(b, "waiting", c->total > known ? c->total - known : 0);
    build_number(b, "running", c->running);
    build_number(b, "done", c->done);
    build_number(b, "failed", c->failed);
    build_number(b, "canceled", c->canceled);
}

void build_record(mf_builder *b, const mf_record *record, int64_t now_ms)
{
    const mf_spec *spec = record->spec;
    const mf_state *s = &record->state;
    build_word(b, "key", spec->key.text);
    build_word(b, "kind", kind_word(spec));
    mf_build_key(b, "name");
    mf_build_str_lossy(b, spec->name);
    build_word(b, "status", mf_signature_status_name(s->status));
    build_seconds(b, "age_s", true, now_ms - s->created_ms);
    build_seconds(b, "started_age_s", s->started_ms != 0, now_ms - s->started_ms);
    build_seconds(b, "ended_age_s", s->ended_ms != 0, now_ms - s->ended_ms);
    mf_build_key(b, "parent");
    if (mf_key_is_set(&spec->parent))
        mf_build_str(b, mf_cstr(spec->parent.text));
    else
        mf_build_nil(b);
    if (spec->kind != MF_KIND_TASK) {
        mf_counts counts = counts_of(record);
        build_counts(b, &counts);
    }
    if (s->status == MF_STATUS_FAILED) {
        mf_build_key(b, "error");
        mf_build_message(b, s->result);
    }
}
