#include "compose.h"

#include <mageflow/fields.h>

#include "merge.h"

static mf_status merge_over(mf_message **base, const mf_message *over, const mfi_plan *plan, mf_error *err)
{
    if (over == NULL)
        return MF_OK;
    mf_message *merged;
    mf_status st = mfi_message_merge(*base, over, plan->allocator, plan->limits, &merged, err);
    if (st != MF_OK)
        return st;
    mf_message_unref(*base);
    *base = merged;
    return MF_OK;
}

mf_status mfi_compose_call(const mf_message *handed, const mf_message *task, const mf_message *item,
                           const mf_message *containers, const mfi_plan *plan, mf_message **out, mf_error *err)
{
    mf_message *message = mf_message_ref(handed);
    mf_status st = merge_over(&message, task, plan, err);
    if (st == MF_OK)
        st = merge_over(&message, item, plan, err);
    if (st == MF_OK)
        st = merge_over(&message, containers, plan, err);
    if (st != MF_OK) {
        mf_message_unref(message);
        return st;
    }
    *out = message;
    return MF_OK;
}

mf_status mfi_compose_kwargs(const mf_spec *container, const mf_state *state, const mfi_plan *plan, mf_message **out,
                             mf_error *err)
{
    mf_message *kwargs = mf_message_ref(mfi_kwargs_of(container, state));
    mf_status st = merge_over(&kwargs, state->inherited, plan, err);
    if (st != MF_OK) {
        mf_message_unref(kwargs);
        return st;
    }
    *out = kwargs;
    return MF_OK;
}

/* The mark of a swarm's end is another name than the field in which a task sees it: a task that returns the message it was
 * given returns no swarm's end. */
#define SWARM_END "mageflow.swarm_end"

static bool swarm_end_of(const mf_message *result, mf_value *swarm)
{
    mf_value value = mf_message_value(result);
    return mf_value_type(value) == MF_TYPE_MAP && mf_value_get(value, MF_STR_LIT(SWARM_END), swarm);
}

bool mfi_compose_results_of(const mf_message *result, mf_value *out)
{
    mf_value swarm;
    if (result != NULL && swarm_end_of(result, &swarm))
        return mf_value_get(mf_message_value(result), MF_STR_LIT("results"), out);
    *out = mf_message_value(result);
    return true;
}

mf_status mfi_compose_handed(const mf_message *result, mf_str return_field, const mfi_plan *plan, mf_message **out,
                             mf_error *err)
{
    mf_value list, swarm;
    bool is_swarm = result != NULL && swarm_end_of(result, &swarm);
    bool has_list = mfi_compose_results_of(result, &list);
    mf_builder b;
    mf_builder_init(&b, plan->allocator, plan->limits);
    mf_build_map(&b, (has_list ? 1u : 0u) + (is_swarm ? 1u : 0u));
    if (has_list) {
        mf_build_str(&b, return_field.len > 0 ? return_field : mf_fields_return_name(NULL));
        if (result == NULL)
            mf_build_nil(&b);
        else
            mf_build_value(&b, list);
    }
    if (is_swarm) {
        mf_build_key(&b, "mageflow_swarm");
        mf_build_value(&b, swarm);
    }
    mf_status st = mf_builder_finish(&b, out, err);
    mf_builder_fini(&b);
    return st;
}

mf_status mfi_compose_for_item(const mf_message *message, mf_str return_field, const mfi_plan *plan, mf_message **out, mf_error *err)
{
    mf_str   swarms = mf_fields_return_name(NULL), key;
    mf_value map = mf_message_value(message), result, name, value;
    if (return_field.len == 0 || mf_str_eq(return_field, swarms) || mf_value_type(map) != MF_TYPE_MAP ||
        !mf_value_get(map, swarms, &result)) {
        *out = mf_message_ref(message);
        return MF_OK;
    }
    mf_builder b;
    mf_iter entries = mf_value_iter(map);
    mf_builder_init(&b, plan->allocator, plan->limits);
    mf_build_map_begin(&b);
    while (mf_iter_next(&entries, &name, &value))
        if (mf_value_str(name, &key) != MF_OK || (!mf_str_eq(key, swarms) && !mf_str_eq(key, return_field))) {
            mf_build_value(&b, name);
            mf_build_value(&b, value);
        }
    mf_build_str(&b, return_field);
    mf_build_value(&b, result);
    mf_build_end(&b);
    mf_status st = mf_builder_finish(&b, out, err);
    mf_builder_fini(&b);
    return st;
}

mf_status mfi_compose_swarm_end(const mf_spec *swarm, const mf_state *state, const mf_message *results,
                                const mfi_plan *plan, mf_message **out, mf_error *err)
{
    mf_builder b;
    mf_builder_init(&b, plan->allocator, plan->limits);
    mf_build_map(&b, results != NULL ? 2 : 1);
    mf_build_key(&b, SWARM_END);
    mf_build_map(&b, 4);
    mf_build_key(&b, "swarm");
    mf_build_str(&b, mf_cstr(swarm->key.text));
    mf_build_key(&b, "total");
    mf_build_uint(&b, state->total);
    mf_build_key(&b, "done");
    mf_build_uint(&b, state->done);
    mf_build_key(&b, "failed");
    mf_build_uint(&b, state->failed);
    if (results != NULL) {
        mf_build_key(&b, "results");
        mf_build_message(&b, results);
    }
    mf_status st = mf_builder_finish(&b, out, err);
    mf_builder_fini(&b);
    /* The list alone may fit where list and frame together do not. */
    if (st == MF_E_TOO_BIG && results != NULL)
        return mfi_compose_swarm_end(swarm, state, NULL, plan, out, err);
    return st;
}

mf_status mfi_compose_pair(const char *first, const mf_message *a, const char *second, const mf_message *b,
                           const mfi_plan *plan, mf_message **out, mf_error *err)
{
    static const mf_limits none = {.struct_size = sizeof none, .bytes = SIZE_MAX, .depth = MF_DEPTH_MAX,
                                   .elements = SIZE_MAX};
    mf_builder build;
    mf_builder_init(&build, plan->allocator, &none);
    mf_build_map(&build, 2);
    mf_build_key(&build, first);
    mf_build_message(&build, a);
    mf_build_key(&build, second);
    mf_build_message(&build, b);
    mf_status st = mf_builder_finish(&build, out, err);
    mf_builder_fini(&build);
    return st;
}

mf_status mfi_compose_child_end(const mf_message *error, const mf_key *child, const mfi_plan *plan, mf_message **out, mf_error *err)
{
    mf_builder b;
    mf_builder_init(&b, plan->allocator, NULL);
    mf_build_map(&b, 2);
    mf_build_key(&b, "error");
    mf_build_message(&b, error);
    mf_build_key(&b, "child");
    mf_build_str(&b, mf_cstr(child->text));
    mf_status st = mf_builder_finish(&b, out, err);
    mf_builder_fini(&b);
    return st;
}

mf_status mfi_compose_error(const mfi_failure *failure, const mf_allocator *allocator, mf_message **out)
{
    mf_builder b;
    mf_builder_init(&b, allocator, NULL);
    mf_build_map(&b, 6);
    mf_build_key(&b, "type");
    mf_build_str_lossy(&b, failure->type);
    mf_build_key(&b, "text");
    mf_build_str_lossy(&b, failure->text);
    mf_build_key(&b, "attempt");
    mf_build_uint(&b, failure->attempt);
    mf_build_key(&b, "key");
    mf_build_str(&b, mf_cstr(failure->key.text));
    mf_build_key(&b, "index");
    mf_build_uint(&b, failure->index);
    mf_build_key(&b, "final");
    mf_build_bool(&b, failure->final);
    mf_status st = mf_builder_finish(&b, out, NULL);
    mf_builder_fini(&b);
    return st;
}

mf_status mfi_compose_failed(const mf_message *map, mf_error *err)
{
    mf_str type = MF_STR_LIT("Error"), text = MF_STR_LIT("");
    (void)!mf_message_scan(map, NULL, "{s?:S, s?:S}", "type", &type, "text", &text);
    return mf_fail(err, MF_E_TASK_FAILED, "%.*s: %.*s", (int)type.len, type.at, (int)text.len, text.at);
}
