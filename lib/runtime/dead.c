/* Dead letters: signatures that outlived their time, and the messages that the manager keeps aside, as one list.
 *
 * A signature's letter is a note under its key, written with its end: what it was, as flow data, for by then its success
 * callbacks go, and later its record. Two notes keep requeues apart: a start takes the letter away and sets, fresh, what became of
 * it, with the commit that sends its beginning. So of any number that read the letter, one commits. */
#include <mageflow/dead.h>
#include <mageflow/flow_data.h>

#include <inttypes.h>
#include <stdio.h>

#include "compose.h"
#include "memory.h"
#include "record.h"
#include "sign.h"

#define LETTERS    MF_STR_LIT("dead")
#define FATES      MF_STR_LIT("requeued")      /* by the letter's key: the new one's key, or "dropped" */
#define DROPPED    "dropped"
#define FATES_KEPT_MS (7 * 24 * INT64_C(3600) * 1000)   /* longer than anybody takes between reading a letter and sending it */
#define PAGE       16

static const mf_limits whole = {.struct_size = sizeof whole, .bytes = SIZE_MAX, .depth = MF_DEPTH_MAX, .elements = SIZE_MAX};

static void cut(char *to, size_t size, mf_str text)
{
    size_t len = text.len < size ? text.len : size - 1;
    if (len > 0)
        memcpy(to, text.at, len);
    to[len] = '\0';
}

/* ---- writing ------------------------------------------------------------------------------------------------------- */

/* What passes by itself is tried again with the record's end; anything else only leaves the flow out. */
static bool may_pass(mf_status st)
{
    return st == MF_E_NOMEM || st == MF_E_IO || st == MF_E_AGAIN || st == MF_E_TIMEOUT;
}

/* The flow as data, or why there is none: one of *out and text is set. */
static mf_status read_flow(mf_client *client, const mf_spec *spec, mf_message **out, mf_error *why, mf_error *err)
{
    mf_status st = MF_E_STATE;
    why->text[0] = '\0';
    if (mf_key_is_set(&spec->parent))
        mf_fail(why, st, "it stood in %s, which went on without it", spec->parent.text);
    else
        st = mf_flow_read(client, &spec->key, out, why);
    if (st == MF_OK)
        return MF_OK;
    if (may_pass(st))
        return mf_fail(err, st, "%s", why->text);
    if (st == MF_E_TOO_BIG)
        mf_fail(why, st, "as data it is above the limits of a message, and is not kept");
    return MF_OK;
}

static mf_status build(mf_client *client, const mf_spec *spec, const mf_state *state, const char *reason, const mf_message *flow,
                       const char *hindrance, bool with_messages, mf_message **out, mf_error *err)
{
    mf_builder b;
    mf_builder_init(&b, client->allocator, &whole);
    mf_build_map(&b, 8);
    mf_build_key(&b, "name");
    mf_build_str(&b, spec->name);
    mf_build_key(&b, "reason");
    mf_build_str(&b, mf_cstr(reason));
    mf_build_key(&b, "at_ms");
    mf_build_int(&b, state->ended_ms);
    mf_build_key(&b, "message");
    mf_build_message(&b, with_messages ? state->input : NULL);
    mf_build_key(&b, "error");
    mf_build_message(&b, with_messages ? state->result : NULL);
    mf_build_key(&b, "priority");
    mf_build_int(&b, state->priority);
    mf_build_key(&b, "flow");       /* as bytes: it may be as deep as a message can be */
    if (flow != NULL)
        mf_build_bin(&b, mf_message_bytes(flow));
    else
        mf_build_nil(&b);
    mf_build_key(&b, "hindrance");
    mf_build_str_lossy(&b, mf_cstr(hindrance));
    mf_status st = mf_builder_finish(&b, out, err);
    mf_builder_fini(&b);
    return st;
}

mf_status mfi_dead_note(mf_client *client, const mf_spec *spec, const mf_state *state, const char *reason, mf_note *note,
                        mf_error *err)
{
    mf_message *flow = NULL;
    mf_error why;
    mf_status st = read_flow(client, spec, &flow, &why, err);
    *note = (mf_note){.space = LETTERS, .name = mf_cstr(spec->key.text)};
    if (st == MF_OK)
        st = build(client, spec, state, reason, flow, flow != NULL ? "" : why.text, true, &note->value, err);
    if (st == MF_E_TOO_BIG)         /* a message as deep as one can be, which goes no deeper */
        st = build(client, spec, state, reason, NULL, "its message is nested too deep to be kept", false, &note->value, err);
    mf_message_unref(flow);
    return st;
}

/* ---- reading ------------------------------------------------------------------------------------------------------- */

static mf_status part(mf_value value, mf_message **out, mf_error *err)
{
    *out = NULL;
    return mf_value_type(value) == MF_TYPE_NIL ? MF_OK : mf_message_of_value(value, NULL, out, err);
}

/* priority may be NULL. */
static mf_status read_letter(mf_str key, const mf_message *note, int32_t *priority, mf_dead_letter *out, mf_error *err)
{
    mf_str name, reason, flow, hindrance = MF_STR_LIT("it was kept by an older version, which kept no flows");
    mf_value message, error, flow_value = {0};
    int urgent = 0;
    *out = (mf_dead_letter){.at_ms = 0};
    mf_status st = mf_message_scan(note, err, "{s:S, s:S, s:I, s:v, s:v, s?:i, s?:v, s?:S}", "name", &name, "reason", &reason, "at_ms",
                                   &out->at_ms, "message", &message, "error", &error, "priority", &urgent, "flow", &flow_value,
                                   "hindrance", &hindrance);
    if (st == MF_OK)
        st = part(message, &out->message, err);
    if (st == MF_OK)
        st = part(error, &out->error, err);
    if (st == MF_OK && mf_value_bin(flow_value, &flow) == MF_OK)
        st = mf_message_from_bytes(flow, &whole, NULL, &out->flow, err);
    if (st != MF_OK) {
        mf_dead_letter_release(out);
        return st == MF_E_NOMEM ? st : mf_fail(err, MF_E_MALFORMED, "dead letter %.*s: what is kept of it cannot be read",
                                               (int)key.len, key.at);
    }
    cut(out->key, sizeof out->key, key);
    cut(out->name, sizeof out->name, name);
    cut(out->reason, sizeof out->reason, reason);
    cut(out->hindrance, sizeof out->hindrance, hindrance);
    if (priority != NULL)
        *priority = urgent;
    return MF_OK;
}

static mf_status no_letter(mf_client *client, const mf_key *key, mf_error *err)
{
    mf_message *fate = NULL;
    mf_str text;
    mf_error ignored;
    mf_status st = mf_store_read_note(client->store, FATES, mf_cstr(key->text), &fate, &ignored);
    if (st == MF_OK && mf_value_str(mf_message_value(fate), &text) == MF_OK) {
        bool dropped = mf_str_eq(text, MF_STR_LIT(DROPPED));
        st = mf_fail(err, MF_E_NOT_FOUND, "there is no dead letter %s any more: it was %s%.*s", key->text,
                     dropped ? "" : "requeued as ", (int)text.len, text.at);
    } else {
        st = mf_fail(err, MF_E_NOT_FOUND, "there is no dead letter %s; the list of them tells which there are", key->text);
    }
    mf_message_unref(fate);
    return st;
}

static mf_status read_signature(mf_client *client, const mf_key *key, int32_t *priority, mf_dead_letter *out, mf_error *err)
{
    mf_message *note = NULL;
    mf_status st = mf_store_read_note(client->store, LETTERS, mf_cstr(key->text), &note, err);
    if (st == MF_E_NOT_FOUND)
        return no_letter(client, key, err);
    if (st == MF_OK)
        st = read_letter(mf_cstr(key->text), note, priority, out, err);
    mf_message_unref(note);
    return st;
}

/* A note that cannot be read is shown as one that can only be dropped: the list goes on. */
static mf_status list_signatures(mf_client *client, mf_str after, size_t max, mf_dead_letter *out, size_t *got, mf_error *err)
{
    mf_note page[PAGE];
    size_t n = 0;
    mf_status st = mf_store_notes(client->store, LETTERS, after, max < PAGE ? max : PAGE, page, &n, err);
    for (size_t i = 0; i < n; i++) {
        mf_error why;
        if (st == MF_OK)
            st = read_letter(page[i].name, page[i].value, NULL, &out[*got], &why);
        if (st == MF_E_MALFORMED) {
            out[*got] = (mf_dead_letter){.hindrance = "what is kept of it cannot be read"};
            cut(out[*got].key, sizeof out[*got].key, page[i].name);
            st = MF_OK;
        } else if (st != MF_OK) {
            mf_fail(err, st, "%s", why.text);
        }
        *got += st == MF_OK;
        mf_note_release(client->store, &page[i]);
    }
    while (st != MF_OK && *got > 0)
        mf_dead_letter_release(&out[--*got]);
    return st;
}

void mf_dead_letter_release(mf_dead_letter *letter)
{
    if (letter == NULL)
        return;
    mf_message_unref(letter->flow);
    mf_message_unref(letter->message);
    mf_message_unref(letter->error);
    mf_message_unref(letter->payload);
    *letter = (mf_dead_letter){.at_ms = 0};
}

mf_status mf_dead_list(mf_client *client, const char *after, size_t max, mf_dead_letter *out, size_t *got, mf_error *err)
{
    mf_key key;
    mf_str from = after != NULL ? mf_cstr(after) : mf_str_of(NULL, 0);
    mf_status st = mfi_client_check(client, err);
    *got = 0;
    if (st != MF_OK)
        return st;
    bool signatures = from.len == 0 || mf_key_parse(from, &key, NULL) == MF_OK;
    if (signatures)
        st = list_signatures(client, from, max, out, got, err);
    if (st == MF_OK && *got == 0)
        st = mf_adapter_dead_page(client->adapter, signatures ? mf_str_of(NULL, 0) : from, max, out, got, err);
    return st;
}

mf_status mf_dead_read(mf_client *client, const char *key, mf_dead_letter *out, mf_error *err)
{
    mf_key signature;
    mf_status st = mfi_client_check(client, err);
    if (st != MF_OK)
        return st;
    if (mf_key_parse(mf_cstr(key), &signature, NULL) == MF_OK)
        return read_signature(client, &signature, NULL, out, err);
    return mf_adapter_dead_read(client->adapter, mf_cstr(key), out, err);
}

/* ---- requeue and drop ---------------------------------------------------------------------------------------------- */

/* The notes by which the letter goes, once. */
struct fate {
    mf_note notes[2];
};

static mf_status decide(mf_client *client, const mf_key *key, const char *fate, struct fate *out, mf_error *err)
{
    mf_builder b;
    mf_builder_init(&b, client->allocator, NULL);
    mf_build_str(&b, mf_cstr(fate));
    out->notes[0] = (mf_note){.space = LETTERS, .name = mf_cstr(key->text)};
    out->notes[1] = (mf_note){.space = FATES, .name = mf_cstr(key->text), .fresh = true,
                              .expires_ms = mf_store_now_ms(client->store) + FATES_KEPT_MS};
    mf_status st = mf_builder_finish(&b, &out->notes[1].value, err);
    mf_builder_fini(&b);
    return st;
}

static mf_status already(mf_client *client, const mf_key *key, mf_error *err)
{
    mf_error why;
    (void)no_letter(client, key, &why);
    return mf_fail(err, MF_E_STATE, "%s", why.text);
}

static mf_status start_again(mf_client *client, const mf_key *key, const mf_dead_letter *letter, int32_t priority, mf_key *as,
                             mf_error *err)
{
    if (letter->flow == NULL)
        return mf_fail(err, MF_E_STATE, "dead letter %s cannot be sent again: %s", key->text, letter->hindrance);
    mf_error why = {.status = MF_E_NOMEM};
    struct fate fate = {0};
    mf_run *run = NULL;
    mf_signature *sig = mf_flow_from_message(client, letter->flow, &why);
    mf_key made = mf_signature_key(sig);
    mf_status st = sig == NULL ? why.status : decide(client, key, made.text, &fate, &why);
    if (st == MF_OK) {
        run = mfi_start_noted(sig, mf_message_ref(letter->message), priority, fate.notes, 2, &why);
        st = run == NULL ? why.status : MF_OK;
    }
    mf_run_destroy(run);
    mf_message_unref(fate.notes[1].value);
    mf_signature_destroy(sig);
    if (st == MF_E_EXISTS)
        return already(client, key, err);
    if (st != MF_OK)
        return mf_fail(err, st, "dead letter %s: %s", key->text, why.text);
    if (as != NULL)
        *as = made;
    return MF_OK;
}

mf_status mf_dead_requeue(mf_client *client, const char *key, mf_key *as, mf_error *err)
{
    mf_key signature;
    mf_dead_letter letter;
    int32_t priority = 0;
    mf_status st = mfi_client_check(client, err);
    if (st != MF_OK)
        return st;
    if (as != NULL)
        *as = (mf_key){{0}};
    if (mf_key_parse(mf_cstr(key), &signature, NULL) != MF_OK)
        return mf_adapter_dead_requeue(client->adapter, mf_cstr(key), err);
    st = read_signature(client, &signature, &priority, &letter, err);
    if (st != MF_OK)
        return st;
    st = start_again(client, &signature, &letter, priority, as, err);
    mf_dead_letter_release(&letter);
    return st;
}

mf_status mf_dead_drop(mf_client *client, const char *key, mf_error *err)
{
    mf_key signature;
    struct fate fate = {0};
    mf_message *note = NULL;
    mf_refusal refusal;
    mf_status st = mfi_client_check(client, err);
    if (st != MF_OK)
        return st;
    if (mf_key_parse(mf_cstr(key), &signature, NULL) != MF_OK)
        return mf_adapter_dead_drop(client->adapter, mf_cstr(key), err);
    st = mf_store_read_note(client->store, LETTERS, mf_cstr(signature.text), &note, err);
    mf_message_unref(note);
    if (st == MF_E_NOT_FOUND)
        return no_letter(client, &signature, err);
    if (st == MF_OK)
        st = decide(client, &signature, DROPPED, &fate, err);
    if (st == MF_OK)
        st = mfi_commit(client, &(mf_batch){.notes = fate.notes, .note_count = 2}, &refusal, err);
    mf_message_unref(fate.notes[1].value);
    return st == MF_E_CONFLICT ? already(client, &signature, err) : st;
}
