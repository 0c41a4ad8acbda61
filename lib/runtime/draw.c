/* What a swarm's transitions read before they run: its next items, and at its end its results. */
#include "runtime.h"

#include <stdio.h>

#include "compose.h"
#include "record.h"

#define RESULT_PAGE 256

/* Draw from the source; the state's cursor moves along and is committed with the items. */
static size_t draw_from_source(mf_client *client, const mf_spec *spec, mf_state *state, size_t want, mf_item *items,
                               bool *exhausted, mfi_plan *plan)
{
    mfi_source *source = mfi_registry_source(&client->registry, spec->source);
    if (source == NULL) {
        char text[160];
        snprintf(text, sizeof text, "no source \"%.*s\" was declared in this process", (int)spec->source.len, spec->source.at);
        mfi_plan_fail(plan, MF_E_NOT_FOUND, text);
        return 0;
    }
    mf_message *nil = state->input == NULL ? mf_message_nil() : NULL;
    mf_cursor before;
    mfi_cursor_copy(&before, &state->cursor);
    size_t got = 0;
    while (got < want && !*exhausted) {
        static const char no_reason[] = "the source gave no reason";
        mf_error err;       /* not the whole of it zeroed, for each item */
        err.status = MF_OK;
        memcpy(err.text, no_reason, sizeof no_reason);
        items[got] = (mf_item){0};
        mf_status st = source->def.next(nil != NULL ? nil : state->input, &state->cursor, &items[got].message,
                                        source->def.user, &err);
        if (st == MF_OK && items[got].message != NULL)
            st = mf_message_status(items[got].message);
        if (st == MF_OK && state->cursor.len > MF_CURSOR_MAX)
            st = mf_fail(&err, MF_E_INVALID, "expected a cursor of at most %d bytes, got %u", MF_CURSOR_MAX, state->cursor.len);
        if (st != MF_OK) {
            char text[MF_ERROR_TEXT_MAX + 64];
            snprintf(text, sizeof text, "source \"%s\": %s", source->def.name, err.text);
            mfi_plan_fail(plan, MF_E_INVALID, text);
            mf_message_unref(items[got].message);
            mfi_cursor_copy(&state->cursor, &before);   /* nothing of this page is published */
            break;
        }
        if (items[got].message == NULL)
            *exhausted = true;
        else
            got++;
    }
    return got;
}

/* Items that this very commit adds are not in the store yet. */
static size_t read_planned(uint64_t from, size_t want, mf_item *items, const mfi_plan *plan)
{
    size_t got = 0;
    for (uint64_t at = from - plan->items_from; got < want && at < plan->item_count; at++) {
        items[got] = plan->items[at];
        mf_spec_ref(items[got].spec);
        mf_message_ref(items[got].message);
        got++;
    }
    return got;
}

static size_t read_added(mf_client *client, const mf_spec *spec, uint64_t from, size_t want, mf_item *items,
                         mfi_plan *plan)
{
    size_t got = 0;
    if (plan->item_count > 0 && from >= plan->items_from)
        return read_planned(from, want, items, plan);
    mf_error err;
    mf_status st = mf_store_items(client->store, &spec->key, from, want, items, &got, &err);
    if (st != MF_OK)
        mfi_plan_fail(plan, st, err.text);
    return got;
}

bool mfi_is_of_another_item(mf_client *client, const mf_spec *spec, const mf_state *state, const mfi_flow_event *event,
                            mfi_plan *plan)
{
    mf_item item;
    if (!mf_key_is_set(&event->child) || spec->kind != MF_KIND_SWARM || spec->source.len > 0 || event->index >= state->total ||
        read_added(client, spec, event->index, 1, &item, plan) == 0)
        return false;
    bool another = !mf_key_eq(&item.spec->key, &event->child);
    mfi_item_unref(&item);
    return another;
}

void mfi_draw(mf_client *client, const mf_spec *spec, mf_state *state, bool may_draw, mfi_plan *plan)
{
    if (spec->kind != MF_KIND_SWARM || mfi_swarm_room(spec, state) == 0)
        return;
    bool from_source = spec->source.len > 0;
    if (from_source && !may_draw) {     /* user code runs on workers: ask one to go on */
        mfi_plan_entry(plan, client->framework.specs[MFI_SWARM_FILL], &(mf_unit){spec->key, 0, state->epoch}, 1, NULL);
        return;
    }
    uint64_t room;
    while (plan->status == MF_OK && (room = mfi_swarm_room(spec, state)) > 0) {
        mf_item items[MFI_DRAW_PAGE];
        bool exhausted = false;
        size_t want = room < MFI_DRAW_PAGE ? (size_t)room : MFI_DRAW_PAGE;
        size_t got = from_source ? draw_from_source(client, spec, state, want, items, &exhausted, plan)
                                 : read_added(client, spec, state->next, want, items, plan);
        if (plan->status == MF_OK)
            mfi_swarm_publish(spec, state, items, got, exhausted, plan);
        for (size_t i = 0; i < got; i++) {
            mf_spec_unref(items[i].spec);
            mf_message_unref(items[i].message);
        }
        if (got == 0)
            break;
    }
}

/* Build the list page by page; the builder's limits end it as soon as it is too big. */
mf_status mfi_gather_results(mf_client *client, const mf_key *key, mf_message **out, mf_error *err)
{
    mf_outcome page[RESULT_PAGE];
    mf_builder b;
    mf_builder_init(&b, client->allocator, &client->limits);
    mf_build_array_begin(&b);
    mf_status st = MF_OK;
    for (uint64_t from = 0;;) {
        size_t got = 0;
        st = mf_store_outcomes(client->store, key, from, RESULT_PAGE, page, &got, err);
        if (st != MF_OK || got == 0)
            break;
        for (size_t i = 0; i < got; i++) {
            mf_value list;
            if (page[i].status == MF_STATUS_DONE && page[i].value != NULL && mfi_compose_results_of(page[i].value, &list))
                mf_build_value(&b, list);
            else
                mf_build_nil(&b);
            mf_message_unref(page[i].value);
        }
        from += got;
        st = mf_builder_status(&b);
        if (st != MF_OK)
            break;
    }
    if (st == MF_OK) {
        mf_build_end(&b);
        st = mf_builder_finish(&b, out, err);
    } else if (err != NULL && err->status != st) {
        mf_fail(err, st, "the list of results: %s", mf_status_text(st));
    }
    mf_builder_fini(&b);
    return st;
}

mf_status mfi_gather_end(mf_client *client, const mf_spec *spec, const mf_state *state, bool with_results,
                         const mfi_plan *plan, mf_message **out, mf_error *err)
{
    mf_message *results = NULL;
    if (with_results) {
        mf_status st = mfi_gather_results(client, &spec->key, &results, err);
        if (st != MF_OK && st != MF_E_TOO_BIG)
            return st;
    }
    mf_status st = mfi_compose_swarm_end(spec, state, results, plan, out, err);
    mf_message_unref(results);
    return st;
}
