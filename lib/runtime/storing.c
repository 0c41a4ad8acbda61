/* A signature with records below it is stored in several commits, and only the last one brings its own record and sends its
 * beginning; items with records of their own are stored before the commit that adds them to their swarm. A process that dies in
 * between leaves records that nothing runs and nobody names.
 *
 * So a note in the commit that stores the first of a page of them lists the page, and the last commit takes the notes away: one
 * that is there past its time stands for a start, or an addition, that never came to its end, and the keeper takes away what it
 * lists.
 *
 *    who stores                                   who takes away
 *    S1  is the notes' time nearly over? fail     T1  is a note's time over?
 *    S2  a commit; with the last the notes go     T2  what it lists goes, and the note
 *
 * Between S1 and S2 there is a quarter of that time, which is an hour. A start that stood still for longer in that very place
 * finds its children removed, and ends as one does that is removed piece by piece. */
#include "sign.h"

#include <stdio.h>

#include "memory.h"

#define SPACE      MF_STR_LIT("storing")
#define LOOK_EVERY (600 * INT64_C(1000))    /* ms between looks where none is known of */
#define LOOK_AGAIN 1000                     /* ms, after a commit that failed */
#define PAGE       16                       /* notes read at a time */
#define IN_ALL(n)  (((n) + MFI_STORING_PAGE - 1) / MFI_STORING_PAGE)

/* ---- who stores ---------------------------------------------------------------------------------------------------- */

static bool root_takes_several(const mfi_draft *own)
{
    return own->spec->kind == MF_KIND_SWARM && own->item_count > MFI_DRAFT_PAGE;
}

static mf_status begin(mf_signature *sig, bool root, mfi_storing *out, mf_error *err)
{
    mf_client *client = sig->client;
    *out = (mfi_storing){.client = client, .pages = IN_ALL(sig->below_count), .root = root};
    size_t n = out->pages + out->root;
    if (n == 0)
        return MF_OK;
    out->names = mfi_alloc_array(client->allocator, n, sizeof *out->names);
    if (out->names == NULL)
        return mf_fail(err, MF_E_NOMEM, "start: no memory");
    const mf_spec *first = out->pages > 0 ? sig->below[0].spec : sig->own.spec;     /* stored by nobody else */
    for (size_t i = 0; i < n; i++)
        snprintf(out->names[i], sizeof out->names[i], "%s %zu", first->key.text, i);
    out->until_ms = mf_store_now_ms(client->store) + client->storing_ms;
    return MF_OK;
}

mf_status mfi_storing_begin(mf_signature *sig, mfi_storing *out, mf_error *err)
{
    return begin(sig, root_takes_several(&sig->own), out, err);
}

mf_status mfi_storing_begin_below(mf_signature *sig, mfi_storing *out, mf_error *err)
{
    return begin(sig, false, out, err);
}

void mfi_storing_fini(mfi_storing *s)
{
    if (s->names != NULL)
        mfi_release(s->client->allocator, s->names, (s->pages + s->root) * sizeof *s->names);
    s->names = NULL;
}

mf_status mfi_storing_in_time(const mfi_storing *s, mf_error *err)
{
    if (s->pages + s->root > 0 && mf_store_now_ms(s->client->store) > s->until_ms - s->client->storing_ms / 4)
        return mf_fail(err, MF_E_TIMEOUT, "start: storing it took too long; nothing of it runs");
    return MF_OK;
}

static mf_status list_page(const mfi_storing *s, const mfi_draft *drafts, size_t n, const char *name, mf_note *out, mf_error *err)
{
    mf_builder b;
    mf_builder_init(&b, s->client->allocator, NULL);
    mf_build_map(&b, 2);
    mf_build_key(&b, "until_ms");
    mf_build_int(&b, s->until_ms);
    mf_build_key(&b, "keys");
    mf_build_array(&b, n);
    for (size_t i = 0; i < n; i++)
        mf_build_str(&b, mf_cstr(drafts[i].spec->key.text));
    *out = (mf_note){.space = SPACE, .name = mf_cstr(name)};
    mf_status st = mf_builder_finish(&b, &out->value, err);
    mf_builder_fini(&b);
    return st;
}

mf_status mfi_storing_page(const mfi_storing *s, const mf_signature *sig, size_t i, mf_note *out, mf_error *err)
{
    size_t left = sig->below_count - i;
    return list_page(s, &sig->below[i], left < MFI_STORING_PAGE ? left : MFI_STORING_PAGE, s->names[i / MFI_STORING_PAGE], out, err);
}

mf_status mfi_storing_root(const mfi_storing *s, const mf_signature *sig, mf_note *out, mf_error *err)
{
    return list_page(s, &sig->own, 1, s->names[s->pages], out, err);
}

mf_status mfi_storing_end(const mfi_storing *s, const mf_note *with, size_t with_count, mf_note **out, size_t *count, mf_error *err)
{
    size_t n = s->pages + s->root;
    *count = n + with_count;
    *out = NULL;
    mf_status st = mfi_storing_in_time(s, err);
    if (st != MF_OK || *count == 0)
        return st;
    *out = mfi_alloc_array(s->client->allocator, *count, sizeof **out);
    if (*out == NULL)
        return mf_fail(err, MF_E_NOMEM, "start: no memory");
    for (size_t i = 0; i < with_count; i++)
        (*out)[i] = with[i];
    for (size_t i = 0; i < n; i++)
        (*out)[with_count + i] = (mf_note){.space = SPACE, .name = mf_cstr(s->names[i])};
    return MF_OK;
}

void mfi_storing_failed(const mfi_storing *s)
{
    if (s->pages + s->root == 0)
        return;
    atomic_store_explicit(&s->client->keeper.left_ms, 0, memory_order_release);
    mfi_keeper_delayed(s->client, s->until_ms);
}

void mfi_storing_undo(const mfi_storing *s, mf_signature *sig)
{
    mf_note *notes = NULL;
    size_t count = 0;
    mf_refusal refusal;
    mf_status st = mfi_unstore_below(sig);
    if (st == MF_OK)
        st = mfi_storing_end(s, NULL, 0, &notes, &count, NULL);
    if (st == MF_OK && count > 0)
        st = mfi_commit(s->client, &(mf_batch){.notes = notes, .note_count = count}, &refusal, NULL);
    if (notes != NULL)
        mfi_release(s->client->allocator, notes, count * sizeof *notes);
    if (st != MF_OK)
        mfi_storing_failed(s);
}

/* ---- who takes away ------------------------------------------------------------------------------------------------ */

static size_t removals_of(const mf_message *value, mf_removal *out)
{
    mf_value keys, key;
    mf_str text;
    size_t n = 0;
    if (!mf_value_get(mf_message_value(value), MF_STR_LIT("keys"), &keys) || mf_value_type(keys) != MF_TYPE_ARRAY)
        return 0;
    mf_iter iter = mf_value_iter(keys);
    while (n < MFI_STORING_PAGE && mf_iter_next(&iter, NULL, &key)) {
        out[n] = (mf_removal){.on_success = true, .on_error = true};
        if (mf_value_str(key, &text) == MF_OK && mf_key_parse(text, &out[n].key, NULL) == MF_OK)
            n++;
    }
    return n;
}

static mf_status take_away(mf_client *client, const mf_note *note)
{
    mf_removal removals[MFI_STORING_PAGE];
    mf_note gone = {.space = note->space, .name = note->name};
    mf_refusal refusal = {0};
    mf_error err = {0};
    mf_batch batch = {.removals = removals, .removal_count = removals_of(note->value, removals), .notes = &gone, .note_count = 1};
    mf_status st = mfi_commit(client, &batch, &refusal, &err);
    if (st != MF_OK)
        mfi_log(client, MF_LOG_WARN, "cannot take away what a start or an addition left, trying again: %s", err.text);
    return st;
}

/* When to look at this one again; INT64_MAX: never. */
static int64_t look_at(mf_client *client, const mf_note *note, int64_t now_ms)
{
    int64_t until_ms = 0;
    mf_value value;
    if (mf_value_get(mf_message_value(note->value), MF_STR_LIT("until_ms"), &value) && mf_value_int(value, &until_ms) == MF_OK &&
        until_ms > now_ms)
        return until_ms;
    return take_away(client, note) == MF_OK ? INT64_MAX : now_ms + LOOK_AGAIN;
}

int64_t mfi_storing_tick(mf_client *client, int64_t now_ms)
{
    mf_note page[PAGE];
    char after[256] = "";
    size_t got = 0;
    int64_t next_ms = INT64_MAX;
    mfi_keeper *k = &client->keeper;
    int64_t look_ms = atomic_load_explicit(&k->left_ms, memory_order_acquire);
    if (now_ms < look_ms)
        return k->left_known ? look_ms : INT64_MAX;
    do {
        mf_status st = mf_store_notes(client->store, SPACE, mf_cstr(after), PAGE, page, &got, NULL);
        if (st != MF_OK)
            return now_ms + LOOK_AGAIN;
        for (size_t i = 0; i < got; i++) {
            int64_t at_ms = look_at(client, &page[i], now_ms);
            next_ms = at_ms < next_ms ? at_ms : next_ms;
            snprintf(after, sizeof after, "%.*s", (int)page[i].name.len, page[i].name.at);
            mf_note_release(client->store, &page[i]);
        }
    } while (got == PAGE);
    k->left_known = next_ms != INT64_MAX;
    int64_t then_ms = k->left_known ? next_ms : now_ms + LOOK_EVERY;
    /* One that failed meanwhile has set it to 0, and it is looked again. */
    if (!atomic_compare_exchange_strong_explicit(&k->left_ms, &look_ms, then_ms, memory_order_acq_rel, memory_order_relaxed))
        return now_ms + LOOK_AGAIN;
    return next_ms;
}
