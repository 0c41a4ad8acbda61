/* Unique runs: under one name there is at most one within its window.
 *
 * Two notes say so, which come and go together: under the name the run's key, and under the key the name, so that who takes
 * the run away finds what it occupies. The window is the notes' own time. */
#include "runtime.h"

#include "clock.h"
#include "lifecycle.h"

#define NAMES     MF_STR_LIT("unique")
#define HOLDERS   MF_STR_LIT("unique held")
#define WINDOW_MS (24 * INT64_C(3600) * 1000)
#define STRADDLE_MS 1000        /* a name that is free by itself within this is left alone: it may be another run's by then */

mf_status mfi_find_unique(mf_client *client, const char *name, mf_key *out, mf_error *err)
{
    mf_message *there = NULL;
    mf_str text = {NULL, 0};
    mf_status st = mf_store_read_note(client->store, NAMES, mf_cstr(name), &there, err);
    if (st != MF_OK)
        return st;
    if (mf_value_str(mf_message_value(there), &text) != MF_OK || mf_key_parse(text, out, err) != MF_OK)
        st = mf_fail(err, MF_E_MALFORMED, "unique run \"%s\": the note about it holds no key", name);
    mf_message_unref(there);
    return st;
}

static mf_status text_message(mf_client *client, const char *text, mf_message **out, mf_error *err)
{
    mf_builder b;
    mf_builder_init(&b, client->allocator, NULL);
    mf_build_str(&b, mf_cstr(text));
    mf_status st = mf_builder_finish(&b, out, err);
    mf_builder_fini(&b);
    return st;
}

static mf_status holder_message(mf_client *client, const char *name, int64_t until_ms, mf_message **out, mf_error *err)
{
    mf_builder b;
    mf_builder_init(&b, client->allocator, NULL);
    mf_build_map(&b, 2);
    mf_build_key(&b, "name");
    mf_build_str(&b, mf_cstr(name));
    mf_build_key(&b, "until_ms");
    mf_build_int(&b, until_ms);
    mf_status st = mf_builder_finish(&b, out, err);
    mf_builder_fini(&b);
    return st;
}

mf_status mfi_unique_take(mf_client *client, const char *name, const mf_key *key, mf_duration window, mfi_unique *out, mf_error *err)
{
    int64_t until_ms = mfi_deadline_ms(mfi_span_ms(window, WINDOW_MS), mf_store_now_ms(client->store));
    out->notes[0] = (mf_note){.space = NAMES, .name = mf_cstr(name), .expires_ms = until_ms, .fresh = true};
    out->notes[1] = (mf_note){.space = HOLDERS, .name = mf_cstr(key->text), .expires_ms = until_ms};
    mf_status st = text_message(client, key->text, &out->notes[0].value, err);
    if (st == MF_OK)
        st = holder_message(client, name, until_ms, &out->notes[1].value, err);
    out->count = st == MF_OK ? 2 : 0;
    return st;
}

mf_status mfi_unique_free(mf_client *client, const mf_key *key, mfi_unique *out, mf_error *err)
{
    mf_str name;
    int64_t until_ms;
    mf_status st = mf_store_read_note(client->store, HOLDERS, mf_cstr(key->text), &out->held, err);
    if (st != MF_OK)
        return st == MF_E_NOT_FOUND ? MF_OK : st;
    st = mf_message_scan(out->held, err, "{s:S, s:I}", "name", &name, "until_ms", &until_ms);
    bool of_a_call = st == MF_OK && name.len >= sizeof MFI_CALLED && memcmp(name.at, MFI_CALLED, sizeof MFI_CALLED - 1) == 0;
    if (of_a_call)
        return MF_OK;       /* it may be delivered again, and would start anew what was taken away */
    if (st != MF_OK || (until_ms > 0 && until_ms < mf_store_now_ms(client->store) + STRADDLE_MS))
        return st;
    out->notes[0] = (mf_note){.space = NAMES, .name = name};
    out->notes[1] = (mf_note){.space = HOLDERS, .name = mf_cstr(key->text)};
    out->count = 2;
    return MF_OK;
}

void mfi_unique_release(mfi_unique *unique)
{
    mf_message_unref(unique->notes[0].value);
    mf_message_unref(unique->notes[1].value);
    mf_message_unref(unique->held);
    memset(unique, 0, sizeof *unique);
}
