/* A message that is read can be bound, decoded and sent again in every form, and means the same afterwards; whatever was
 * read as a result can be walked. */
#include "fuzz.h"

#include "taskiq_wire.h"

static mf_message *labels_of(const taskiq_message *m)
{
    mf_builder b;
    mf_message *out = NULL;
    mf_builder_init(&b, NULL, MF_LIMITS(.bytes = SIZE_MAX));
    taskiq_labels_decode(m, &b);
    PROMISE(mf_builder_finish(&b, &out, NULL) == MF_OK);
    mf_builder_fini(&b);
    promise_whole(out);
    return out;
}

/* The same values: the forms of a number may differ in length. */
static bool same_json(const mf_message *a, const mf_message *b)
{
    char *text[2] = {NULL, NULL};
    size_t len[2] = {0, 0};
    mf_status st = mf_message_to_json(a, NULL, &text[0], &len[0], NULL);
    PROMISE(st == mf_message_to_json(b, NULL, &text[1], &len[1], NULL));
    bool same = mf_str_eq(mf_str_of(text[0], len[0]), mf_str_of(text[1], len[1]));
    mf_json_free(NULL, text[0], len[0]);
    mf_json_free(NULL, text[1], len[1]);
    return same;
}

static void bind(const taskiq_message *m)
{
    mf_message *bound;
    taskiq_meta meta;
    mf_error err;
    if (taskiq_arguments_bind(m, NULL, NULL, &bound, &err) == MF_OK) {
        promise_whole(bound);
        mf_message_unref(bound);
    }
    if (taskiq_meta_read(m, NULL, NULL, &meta, &err) == MF_OK)
        mf_message_unref(meta.error);
}

static void send_again(const taskiq_message *m)
{
    taskiq_call call = {.id = m->id, .name = m->name, .from = m};
    for (int format = TASKIQ_JSON; format <= TASKIQ_PICKLE; format++) {
        taskiq_bytes bytes;
        taskiq_message again;
        mf_error err;
        if (taskiq_message_write(&call, (taskiq_format)format, NULL, &bytes, &err) != MF_OK)
            continue;
        PROMISE(taskiq_message_read(mf_str_of(bytes.at, bytes.len), MF_LIMITS(.bytes = SIZE_MAX), NULL, &again, &err) == MF_OK);
        PROMISE(mf_str_eq(again.id, m->id) && mf_str_eq(again.name, m->name));
        mf_message *before = labels_of(m), *after = labels_of(&again);
        PROMISE(same_json(before, after));
        mf_message_unref(before);
        mf_message_unref(after);
        taskiq_message_release(&again);
        taskiq_bytes_free(NULL, &bytes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mf_str bytes = {(const char *)data, size};
    char id[256];
    size_t len;
    taskiq_message m;
    mf_message *whole;
    taskiq_result result;
    mf_error err;
    if (taskiq_message_find_id(bytes, id, sizeof id, &len))
        PROMISE(len > 0 && len <= sizeof id);
    if (taskiq_message_read(bytes, NULL, NULL, &m, &err) == MF_OK) {
        mf_message_unref(labels_of(&m));
        bind(&m);
        send_again(&m);
        taskiq_message_release(&m);
    }
    if (taskiq_result_read(bytes, NULL, NULL, &whole, &result, &err) == MF_OK) {
        promise_whole(whole);
        mf_message_unref(whole);
    }
    return 0;
}
