/* Python's arguments and mageflow's one message. */
#include "taskiq_wire.h"

#include "merge.h"
#include "taskiq_text.h"

#include <stdio.h>

/* Where upstream's Python sketch put its metadata. It is no argument of the function. */
#define OLD_METADATA MF_STR_LIT("_mageflow_task_data")

/* All but the metadata. */
static void build_kwargs(mf_builder *b, mf_value kwargs)
{
    mf_value key, value;
    mf_iter entries = mf_value_iter(kwargs);
    while (mf_iter_next(&entries, &key, &value)) {
        mf_str name;
        if (mf_value_str(key, &name) == MF_OK && mf_str_eq(name, OLD_METADATA))
            continue;
        mf_build_value(b, key);
        mf_build_value(b, value);
    }
}

static mf_status kwargs_alone(mf_value kwargs, const mf_allocator *allocator, mf_message **out, mf_error *err)
{
    mf_value unused;
    if (!mf_value_get(kwargs, OLD_METADATA, &unused))
        return mf_message_of_value(kwargs, allocator, out, err);
    mf_builder b;
    mf_builder_init(&b, allocator, TASKIQ_NO_LIMITS);
    mf_build_map_begin(&b);
    build_kwargs(&b, kwargs);
    mf_build_end(&b);
    mf_status st = mf_builder_finish(&b, out, err);
    mf_builder_fini(&b);
    return st;
}

/* args[i] under the name of the i-th declared field, then the keyword arguments. */
static mf_status bind_in_order(const taskiq_message *m, const mf_fields *in, const mf_allocator *allocator, mf_message **out,
                               mf_error *err)
{
    size_t n = mf_value_count(m->args);
    mf_value key, value, unused;
    if (in == NULL)
        return mf_fail(err, MF_E_INVALID, "%zu positional arguments, but the task names no fields: use keyword arguments", n);
    if (n > in->count)
        return mf_fail(err, MF_E_INVALID, "%zu positional arguments, but the task has %u fields", n, in->count);
    mf_builder b;
    mf_builder_init(&b, allocator, TASKIQ_NO_LIMITS);
    mf_build_map_begin(&b);
    mf_iter args = mf_value_iter(m->args);
    for (size_t i = 0; mf_iter_next(&args, &key, &value); i++) {
        const char *name = in->fields[i].name;
        if (mf_value_get(m->kwargs, mf_cstr(name), &unused)) {
            mf_builder_fini(&b);
            return mf_fail(err, MF_E_INVALID, "field \"%s\": got both a positional and a keyword argument", name);
        }
        mf_build_key(&b, name);
        mf_build_value(&b, value);
    }
    build_kwargs(&b, m->kwargs);
    mf_build_end(&b);
    mf_status st = mf_builder_finish(&b, out, err);
    mf_builder_fini(&b);
    return st;
}

mf_status taskiq_arguments_bind(const taskiq_message *m, const mf_fields *in, const mf_allocator *allocator, mf_message **out,
                                mf_error *err)
{
    size_t positional = mf_value_count(m->args), named = mf_value_count(m->kwargs);
    mf_value first;
    if (positional == 0) {
        if (named == 0) {
            *out = mf_message_nil();
            return MF_OK;
        }
        return kwargs_alone(m->kwargs, allocator, out, err);
    }
    (void)mf_value_at(m->args, 0, &first);
    if (positional == 1 && named == 0 && (mf_value_type(first) == MF_TYPE_MAP || in == NULL))
        return mf_message_of_value(first, allocator, out, err);
    return bind_in_order(m, in, allocator, out, err);
}

void taskiq_arguments_write(mf_builder *b, const mf_message *message, bool exact)
{
    mf_value value = mf_message_value(message);
    mf_type type = mf_value_type(value);
    bool map = type == MF_TYPE_MAP && !(exact && mf_value_count(value) == 0), nothing = type == MF_TYPE_NIL || type == MF_TYPE_NONE;
    mf_build_key(b, "args");
    mf_build_array(b, map || nothing ? 0 : 1);
    if (!map && !nothing)
        mf_build_value(b, value);
    mf_build_key(b, "kwargs");
    if (map)
        mf_build_value(b, value);
    else
        mf_build_map(b, 0);
}
