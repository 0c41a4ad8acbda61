/* mageflow's metadata: one label of text, since that is what Python copies untouched from message to result, through
 * retries, requeues and schedules. */
#include "taskiq_wire.h"

#include "taskiq_text.h"

#define MORE_ROOM 4096      /* of the metadata around the error that it may carry */

mf_status taskiq_meta_write(const taskiq_meta *meta, const mf_allocator *allocator, taskiq_bytes *out, mf_error *err)
{
    mf_builder b;
    mf_message *whole;
    mf_builder_init(&b, allocator, TASKIQ_NO_LIMITS);
    mf_build_map_begin(&b);
    mf_build_key(&b, "key");
    mf_build_str(&b, mf_cstr(meta->unit.key.text));
    mf_build_key(&b, "index");
    mf_build_uint(&b, meta->unit.index);
    mf_build_key(&b, "epoch");
    mf_build_uint(&b, meta->unit.epoch);
    mf_build_key(&b, "attempt");
    mf_build_uint(&b, meta->attempt);
    if (meta->priority != 0) {
        mf_build_key(&b, "priority");
        mf_build_int(&b, meta->priority);
    }
    if (mf_key_is_set(&meta->container)) {
        mf_build_key(&b, "container");
        mf_build_str(&b, mf_cstr(meta->container.text));
    }
    if (meta->error != NULL) {
        mf_build_key(&b, "error");
        mf_build_message(&b, meta->error);
    }
    mf_build_end(&b);
    mf_status st = mf_builder_finish(&b, &whole, err);
    mf_builder_fini(&b);
    if (st != MF_OK)
        return st;
    st = taskiq_encode(mf_message_value(whole), TASKIQ_JSON, allocator, out, err);
    mf_message_unref(whole);
    return st;
}

static mf_status read_map(mf_value map, const mf_allocator *allocator, taskiq_meta *out, mf_error *err)
{
    mf_str key, container = {NULL, 0};
    uint64_t index = 0, epoch = 0, attempt = 1;
    int64_t priority = 0;
    mf_value error = {NULL, 0};
    mf_status st = mf_value_scan(map, err, "{s:S, s?:U, s?:U, s?:U, s?:I, s?:S, s?:v}", "key", &key, "index", &index, "epoch",
                                 &epoch, "attempt", &attempt, "priority", &priority, "container", &container, "error", &error);
    if (st != MF_OK)
        return MF_E_MALFORMED;
    taskiq_meta meta = {.unit = {.index = index, .epoch = (uint32_t)epoch}, .attempt = (uint32_t)attempt,
                        .priority = (int32_t)priority};
    if (epoch > UINT32_MAX || attempt < 1 || attempt > UINT32_MAX || priority < INT32_MIN || priority > INT32_MAX ||
        mf_key_parse(key, &meta.unit.key, NULL) != MF_OK ||
        (container.len > 0 && mf_key_parse(container, &meta.container, NULL) != MF_OK))
        return mf_fail(err, MF_E_MALFORMED, "label \"mageflow\": no key, or a number out of range");
    if (error.at != NULL) {
        st = mf_message_of_value(error, allocator, &meta.error, err);
        if (st != MF_OK)
            return st;
    }
    *out = meta;
    return MF_OK;
}

mf_status taskiq_meta_read(const taskiq_message *m, const mf_limits *limits, const mf_allocator *allocator, taskiq_meta *out,
                           mf_error *err)
{
    mf_str text;
    mf_value label = taskiq_label_value(m, MF_STR_LIT(TASKIQ_META_LABEL));
    if (label.at == NULL)
        return MF_E_NOT_FOUND;      /* most messages: no text is made for it */
    if (mf_value_str(label, &text) != MF_OK)
        return mf_fail(err, MF_E_MALFORMED, "label \"mageflow\": expected text, got %s", mf_type_name(mf_value_type(label)));
    mf_limits wider = limits != NULL ? *limits : *MF_LIMITS(.bytes = 0);
    if (wider.bytes > 0)
        wider.bytes += MORE_ROOM;
    mf_message *whole;
    mf_status st = mf_message_from_json(text, &wider, allocator, &whole, err);
    if (st != MF_OK)
        return st == MF_E_NOMEM ? st : MF_E_MALFORMED;
    st = read_map(mf_message_value(whole), allocator, out, err);
    mf_message_unref(whole);
    return st;
}
