/* Messages: one map with six keys, in any order and with any others beside them. */
#include "taskiq_wire.h"

#include "taskiq_text.h"
#include "wire.h"

/* ---- in ----------------------------------------------------------------------------------------------------------- */

static mf_status missing(mf_error *err, const char *field, const char *expected, mf_value got)
{
    return mf_fail(err, MF_E_MALFORMED, "message: field \"%s\": expected %s, got %s", field, expected,
                   got.at == NULL ? "nothing" : mf_type_name(mf_value_type(got)));
}

static mf_status read_fields(taskiq_message *m, mf_error *err)
{
    mf_value root = mf_message_value(m->whole), key, value, id = {NULL, 0}, name = {NULL, 0};
    if (mf_value_type(root) != MF_TYPE_MAP)
        return mf_fail(err, MF_E_MALFORMED, "message: expected a map, got %s", mf_type_name(mf_value_type(root)));
    const struct { mf_str key; mf_value *to; } fields[] = {
        {MF_STR_LIT("task_id"), &id}, {MF_STR_LIT("task_name"), &name}, {MF_STR_LIT("labels"), &m->labels},
        {MF_STR_LIT("labels_types"), &m->types}, {MF_STR_LIT("args"), &m->args}, {MF_STR_LIT("kwargs"), &m->kwargs},
    };
    mf_iter entries = mf_value_iter(root);      /* one walk for all of them; of a key that comes twice the last one counts */
    while (mf_iter_next(&entries, &key, &value)) {
        mf_str text;
        if (mf_value_str(key, &text) != MF_OK)
            continue;
        for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
            if (mf_str_eq(text, fields[i].key)) {
                *fields[i].to = value;
                break;
            }
    }
    if (mf_value_str(id, &m->id) != MF_OK)
        return missing(err, "task_id", "text", id);
    if (mf_value_str(name, &m->name) != MF_OK)
        return missing(err, "task_name", "text", name);
    if (mf_value_type(m->labels) != MF_TYPE_MAP)
        return missing(err, "labels", "a map", m->labels);
    if (mf_value_type(m->args) != MF_TYPE_ARRAY)
        return missing(err, "args", "an array", m->args);
    if (mf_value_type(m->kwargs) != MF_TYPE_MAP)
        return missing(err, "kwargs", "a map", m->kwargs);
    mf_type type = mf_value_type(m->types);
    if (type == MF_TYPE_NIL || type == MF_TYPE_NONE)
        m->types = (mf_value){NULL, 0};
    else if (type != MF_TYPE_MAP)
        return missing(err, "labels_types", "a map", m->types);
    return MF_OK;
}

mf_status taskiq_message_read(mf_str bytes, const mf_limits *limits, const mf_allocator *allocator, taskiq_message *out,
                              mf_error *err)
{
    taskiq_message m = {NULL};
    mf_status st = taskiq_decode(bytes, limits, allocator, &m.whole, &m.format, err);
    if (st != MF_OK)
        return st;
    st = read_fields(&m, err);
    if (st == MF_OK)
        st = taskiq_labels_check(&m, err);
    if (st != MF_OK)
        mf_message_unref(m.whole);
    else
        *out = m;
    return st;
}

void taskiq_message_release(taskiq_message *m)
{
    mf_message_unref(m->whole);
    m->whole = NULL;
}

/* ---- the id of what cannot be read --------------------------------------------------------------------------------- */

/* Past a JSON text, `at` after its opening quote; NULL: it does not end. */
static const char *past_text(const char *at, const char *end)
{
    for (; at < end; at++) {
        if (*at == '"')
            return at + 1;
        if (*at == '\\')
            at++;
    }
    return NULL;
}

static bool keep_id(mf_str id, char *out, size_t room, size_t *len)
{
    if (id.len == 0 || id.len > room || memchr(id.at, '\\', id.len) != NULL)
        return false;
    memcpy(out, id.at, id.len);
    *len = id.len;
    return true;
}

/* "task_id" at the top level, and the text behind its colon. Nothing else is looked at, so that it may be anything. */
static bool find_in_json(mf_str json, mf_str name, char *out, size_t room, size_t *len)
{
    const char *at = json.at, *end = json.at + json.len;
    int depth = 0;
    while (at != NULL && at < end) {
        char c = *at;
        if (c != '"') {
            depth += c == '{' || c == '[' ? 1 : c == '}' || c == ']' ? -1 : 0;
            at++;
            continue;
        }
        bool found = depth == 1 && (size_t)(end - at) > name.len + 2 && at[name.len + 1] == '"' &&
                     memcmp(at + 1, name.at, name.len) == 0;
        at = past_text(at + 1, end);
        if (!found || at == NULL)
            continue;
        while (at < end && (*at == ' ' || *at == ':' || *at == '\n' || *at == '\t' || *at == '\r'))
            at++;
        const char *after = at < end && *at == '"' ? past_text(at + 1, end) : NULL;
        if (after != NULL)
            return keep_id(mf_str_of(at + 1, (size_t)(after - at) - 2), out, room, len);
    }
    return false;
}

static bool find_in_msgpack(mf_str bytes, mf_str wanted, char *out, size_t room, size_t *len)
{
    const unsigned char *at = (const unsigned char *)bytes.at, *end = at + bytes.len;
    mfi_head head;
    if (!mfi_head_read(at, end, &head) || head.type != MF_TYPE_MAP)
        return false;
    at += head.size;
    for (uint32_t left = head.count; left > 0; left--) {
        mfi_head key, value;
        if (!mfi_head_read(at, end, &key))
            return false;
        const unsigned char *second = mfi_skip(at, end);
        if (second == NULL || !mfi_head_read(second, end, &value))
            return false;
        mf_str name = {(const char *)at + key.size, key.count};
        if (key.type == MF_TYPE_STR && mf_str_eq(name, wanted)) {
            mf_str id = {(const char *)second + value.size, value.count};
            return value.type == MF_TYPE_STR && mfi_skip(second, end) != NULL && keep_id(id, out, room, len);
        }
        at = mfi_skip(second, end);
        if (at == NULL)
            return false;
    }
    return false;
}

static bool find(mf_str bytes, mf_str name, char *out, size_t room, size_t *len)
{
    if (bytes.len == 0)
        return false;
    bool found = bytes.at[0] == '{' ? find_in_json(bytes, name, out, room, len) : find_in_msgpack(bytes, name, out, room, len);
    return found && mfi_utf8_valid(mf_str_of(out, *len)) == *len;
}

bool taskiq_message_find_id(mf_str bytes, char *out, size_t room, size_t *len)
{
    return find(bytes, MF_STR_LIT("task_id"), out, room, len);
}

bool taskiq_message_find_name(mf_str bytes, char *out, size_t room, size_t *len)
{
    return find(bytes, MF_STR_LIT("task_name"), out, room, len);
}

/* ---- out ---------------------------------------------------------------------------------------------------------- */

static const taskiq_label *label_of(const taskiq_call *call, mf_str name)
{
    for (size_t i = 0; i < call->label_count; i++)
        if (mf_str_eq(call->labels[i].name, name))
            return &call->labels[i];
    return NULL;
}

/* What is sent again keeps its labels as they came, but for those that the call sets. */
static void write_kept(mf_builder *b, const taskiq_call *call, mf_value map)
{
    mf_iter entries = mf_value_iter(map);
    mf_value key, value;
    mf_str name;
    while (mf_iter_next(&entries, &key, &value))
        if (mf_value_str(key, &name) == MF_OK && label_of(call, name) == NULL) {
            mf_build_str(b, name);
            mf_build_value(b, value);
        }
}

static void write_labels(mf_builder *b, const taskiq_call *call)
{
    mf_build_key(b, "labels");
    mf_build_map_begin(b);
    if (call->from != NULL)
        write_kept(b, call, call->from->labels);
    for (size_t i = 0; i < call->label_count; i++) {
        mf_build_str(b, call->labels[i].name);
        mf_build_str(b, call->labels[i].text);
    }
    mf_build_end(b);
    mf_build_key(b, "labels_types");
    mf_build_map_begin(b);
    if (call->from != NULL)
        write_kept(b, call, call->from->types);
    for (size_t i = 0; i < call->label_count; i++)
        if (call->labels[i].type != TASKIQ_LABEL_NONE) {
            mf_build_str(b, call->labels[i].name);
            mf_build_int(b, call->labels[i].type);
        }
    mf_build_end(b);
}

mf_status taskiq_message_write(const taskiq_call *call, taskiq_format format, const mf_allocator *allocator,
                               taskiq_bytes *out, mf_error *err)
{
    mf_builder b;
    mf_message *whole;
    mf_builder_init(&b, allocator, TASKIQ_NO_LIMITS);
    mf_build_map(&b, 6);
    mf_build_key(&b, "task_id");
    mf_build_str(&b, call->id);
    mf_build_key(&b, "task_name");
    mf_build_str(&b, call->name);
    write_labels(&b, call);
    if (call->from != NULL) {
        mf_build_key(&b, "args");
        mf_build_value(&b, call->from->args);
        mf_build_key(&b, "kwargs");
        mf_build_value(&b, call->from->kwargs);
    } else {
        taskiq_arguments_write(&b, call->message, call->exact);
    }
    mf_status st = mf_builder_finish(&b, &whole, err);
    mf_builder_fini(&b);
    if (st != MF_OK)
        return st;
    st = taskiq_encode(mf_message_value(whole), format, allocator, out, err);
    mf_message_unref(whole);
    return st;
}
