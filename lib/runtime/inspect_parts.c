/* The parts of a chain or swarm, page by page: what each is, from the container; how it stands, from its own record where it has
 * one, else from what its container knows of it. */
#include <mageflow/inspect.h>

#include "runtime.h"

#include "record.h"

#define PAGE 64

void mf_part_release(mf_part *part)
{
    mf_spec_unref(part->spec);
    mf_message_unref(part->value);
    *part = (mf_part){0};
}

static void release_parts(mf_part *parts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mf_part_release(&parts[i]);
}

/* ---- what each is ----------------------------------------------------------------------------------------------------- */

static void set_item(mf_part *part, const mf_spec *spec, uint64_t index)
{
    *part = (mf_part){.index = index, .spec = mf_spec_ref(spec), .key = spec->key, .status = MF_STATUS_PENDING};
}

static mf_status read_items(mf_client *client, const mf_record *in, uint64_t from, size_t n, mf_part *out, size_t *got, mf_error *err)
{
    const mf_spec *spec = in->spec;
    mf_item items[PAGE];
    *got = n;
    if (spec->kind == MF_KIND_CHAIN || spec->source.len > 0) {
        for (size_t i = 0; i < n; i++)
            set_item(&out[i], spec->kind == MF_KIND_CHAIN ? spec->steps[from + i].spec : spec->each.spec, from + i);
        return MF_OK;
    }
    mf_status st = mf_store_items(client->store, &spec->key, from, n, items, got, err);
    for (size_t i = 0; st == MF_OK && i < *got; i++) {
        set_item(&out[i], items[i].spec, from + i);
        mfi_item_unref(&items[i]);
    }
    if (st != MF_OK)
        *got = 0;
    return st;
}

/* ---- how it stands, as its container knows it ------------------------------------------------------------------------- */

/* A chain keeps no outcomes: its counters tell. */
static void look_at_step(const mf_state *s, mf_part *part)
{
    if (part->index < s->done)
        part->status = MF_STATUS_DONE;
    else if (part->index == s->done && s->failed > 0)
        part->status = MF_STATUS_FAILED, part->value = mf_message_ref(s->result);
    else if (part->index == s->done && s->canceled > 0)
        part->status = MF_STATUS_CANCELED;
    else if (part->index < s->next)
        part->status = MF_STATUS_ACTIVE;
}

static mf_status look_at_items(mf_client *client, const mf_record *in, mf_part *parts, size_t n, mf_error *err)
{
    mf_outcome outcomes[PAGE];
    size_t known = 0;
    mf_status st = mf_store_outcomes(client->store, &in->spec->key, parts[0].index, n, outcomes, &known, err);
    for (size_t i = 0; st == MF_OK && i < n; i++) {
        if (i < known && outcomes[i].status != MF_STATUS_PENDING) {
            parts[i].status = outcomes[i].status;
            parts[i].value = outcomes[i].value;
        } else if (parts[i].index < in->state.next) {
            parts[i].status = MF_STATUS_ACTIVE;
        }
    }
    return st;
}

/* ---- and as its own record does ----------------------------------------------------------------------------------------- */

static void look_at_record(const mf_record *record, mf_part *part)
{
    const mf_state *s = &record->state;
    part->status = s->status;
    mf_message_unref(part->value);
    part->value = mf_message_ref(s->result);
    if (record->spec->kind != MF_KIND_TASK)
        part->counts = (mf_counts){.status = s->status, .total = s->total, .expected = s->expected, .running = s->running,
                                   .done = s->done, .failed = s->failed, .canceled = s->canceled};
}

static mf_status look_at_records(mf_client *client, mf_part *parts, size_t n, mf_error *err)
{
    mf_key keys[PAGE];
    mf_record records[PAGE];
    size_t of[PAGE], count = 0;
    for (size_t i = 0; i < n; i++) {
        if (mf_key_is_set(&parts[i].key)) {
            keys[count] = parts[i].key;
            of[count++] = i;
        }
    }
    mf_status st = count > 0 ? mf_store_load(client->store, keys, count, records, err) : MF_OK;
    for (size_t i = 0; st == MF_OK && i < count; i++) {
        if (records[i].spec != NULL)
            look_at_record(&records[i], &parts[of[i]]);
        mf_record_release(&records[i]);
    }
    return st;
}

/* ---- pages -------------------------------------------------------------------------------------------------------------- */

static mf_status read_page(mf_client *client, const mf_record *in, uint64_t from, size_t n, mf_part *out, size_t *got, mf_error *err)
{
    mf_status st = read_items(client, in, from, n, out, got, err);
    if (st == MF_OK && *got > 0 && in->spec->kind == MF_KIND_SWARM)
        st = look_at_items(client, in, out, *got, err);
    for (size_t i = 0; st == MF_OK && in->spec->kind == MF_KIND_CHAIN && i < *got; i++)
        look_at_step(&in->state, &out[i]);
    if (st == MF_OK)
        st = look_at_records(client, out, *got, err);
    bool over = mf_signature_status_ended(in->state.status);
    for (size_t i = 0; st == MF_OK && i < *got; i++)
        out[i].never = over && out[i].status == MF_STATUS_PENDING;
    if (st != MF_OK) {
        release_parts(out, *got);
        *got = 0;
    }
    return st;
}

mf_status mf_inspect_parts(mf_client *client, const mf_key *key, uint64_t from, size_t max, mf_part *out, size_t *got, mf_error *err)
{
    mf_record in;
    *got = 0;
    mf_status st = mf_inspect(client, key, &in, err);
    if (st != MF_OK)
        return st;
    uint64_t total = in.spec->kind == MF_KIND_CHAIN ? in.spec->step_count : in.spec->kind == MF_KIND_SWARM ? in.state.total : 0;
    size_t read = 1;
    while (st == MF_OK && read > 0 && *got < max && from < total) {
        size_t n = max - *got < PAGE ? max - *got : PAGE;
        if (n > total - from)
            n = (size_t)(total - from);
        st = read_page(client, &in, from, n, &out[*got], &read, err);
        *got += read;
        from += read;
    }
    mf_record_release(&in);
    if (st != MF_OK) {
        release_parts(out, *got);
        *got = 0;
    }
    return st;
}
