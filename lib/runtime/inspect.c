/* Looking at what is stored: keys, records, lists, logs; parts are in inspect_parts.c. */
#include <mageflow/inspect.h>

#include "runtime.h"

#include "memory.h"

#define LIST_PAGE 64

int64_t mf_inspect_now_ms(mf_client *client)
{
    return mfi_client_check(client, NULL) == MF_OK ? mf_store_now_ms(client->store) : 0;
}

mf_status mf_inspect_find(mf_client *client, const char *text, mf_key *out, mf_error *err)
{
    mf_status st = mfi_client_check(client, err);
    size_t len = text == NULL ? 0 : strlen(text);
    if (st == MF_OK && (len == 0 || len > 255))
        st = mf_fail(err, MF_E_INVALID, "expected a key or the name of a unique run, of 1 to 255 bytes, got %zu", len);
    if (st != MF_OK || mf_key_parse(mf_str_of(text, len), out, NULL) == MF_OK)
        return st;
    st = mfi_find_unique(client, text, out, err);
    return st != MF_E_NOT_FOUND ? st
                                : mf_fail(err, st, "\"%s\" is no key, which is task-, chain- or swarm- and 25 letters and digits, "
                                          "and there is no unique run of that name", text);
}

/* ---- records -------------------------------------------------------------------------------------------------------- */

mf_status mf_inspect(mf_client *client, const mf_key *key, mf_record *out, mf_error *err)
{
    mf_record record = {0};
    mf_status st = mfi_client_check(client, err);
    if (st == MF_OK)
        st = mf_store_load(client->store, key, 1, &record, err);
    if (st == MF_OK && record.spec == NULL)
        st = mf_fail(err, MF_E_NOT_FOUND, "there is no signature %s", key->text);
    if (st == MF_OK)
        *out = record;
    return st;
}

static void release_all(mf_record *records, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mf_record_release(&records[i]);
}

mf_status mf_inspect_above(mf_client *client, const mf_key *key, size_t max, mf_record *out, size_t *got, mf_error *err)
{
    mf_record record;
    *got = 0;
    mf_status st = mf_inspect(client, key, &record, err);
    if (st != MF_OK)
        return st;
    mf_key above = record.spec->parent;
    mf_record_release(&record);
    while (*got < max && mf_key_is_set(&above)) {
        st = mf_inspect(client, &above, &out[*got], err);
        if (st != MF_OK)
            break;
        above = out[(*got)++].spec->parent;
    }
    if (st == MF_OK || st == MF_E_NOT_FOUND)
        return MF_OK;
    release_all(out, *got);
    *got = 0;
    return st;
}

/* ---- lists ---------------------------------------------------------------------------------------------------------- */

static bool is_listed(const mf_record *record, const char *name)
{
    return record->spec != NULL && (name == NULL || mf_str_eq(record->spec->name, mf_cstr(name)));
}

/* What a page gives, up to max; a match that there is no room for comes again with the next page. Returns how many of the page are
 * through. */
static size_t keep_listed(mf_record *page, size_t n, const char *name, size_t max, mf_record *out, size_t *got)
{
    size_t i = 0;
    for (; i < n && *got < max; i++) {
        if (is_listed(&page[i], name))
            out[(*got)++] = page[i];
        else
            mf_record_release(&page[i]);
    }
    release_all(&page[i], n - i);
    return i;
}

mf_status mf_inspect_list(mf_client *client, const mf_list_options *options, mf_key *after, size_t max, mf_record *out,
                          size_t *got, mf_error *err)
{
    static const mf_list_options any = {.struct_size = sizeof any};
    const mf_list_options *o = options != NULL ? options : &any;
    const mf_filter filter = {.kind = o->kind, .statuses = o->statuses, .roots = !o->parts};
    mf_key keys[LIST_PAGE];
    mf_record page[LIST_PAGE];
    size_t n = 1;
    *got = 0;
    mf_status st = mfi_client_check(client, err);
    if (st == MF_OK && o->struct_size == 0)
        st = mf_fail(err, MF_E_INVALID, "list: the options' struct_size is 0: make them with MF_LIST_OPTIONS");
    while (st == MF_OK && n > 0 && *got < max) {
        size_t want = max - *got < LIST_PAGE ? max - *got : LIST_PAGE;
        st = mf_store_list(client->store, &filter, mf_key_is_set(after) ? after : NULL, o->name != NULL ? LIST_PAGE : want,
                           keys, &n, err);
        if (st == MF_OK && n > 0)
            st = mf_store_load(client->store, keys, n, page, err);
        if (st != MF_OK || n == 0)
            break;
        *after = keys[keep_listed(page, n, o->name, max, out, got) - 1];
    }
    if (st == MF_OK)
        return MF_OK;
    release_all(out, *got);
    *got = 0;
    return st;
}

/* ---- logs ----------------------------------------------------------------------------------------------------------- */

mf_status mf_inspect_log(mf_client *client, const mf_key *key, uint64_t from, size_t max, mf_line *out, size_t *got, mf_error *err)
{
    *got = 0;
    mf_status st = mfi_client_check(client, err);
    if (st == MF_OK)
        st = mf_store_read_lines(client->store, key, from, max, client->allocator, out, got, err);
    if (st == MF_E_NOT_FOUND)
        return mf_fail(err, st, "there is no signature %s", key->text);
    for (size_t i = 0; st == MF_OK && i < *got; i++)
        for (char *nul = out[i].text; (nul = memchr(nul, '\0', (size_t)(out[i].text + out[i].len - nul))) != NULL;)
            *nul = ' ';     /* what a person reads holds no NUL, and mf_text_free counts up to one */
    return st;
}

/* ---- tasks ---------------------------------------------------------------------------------------------------------- */

mf_status mf_inspect_task(mf_client *client, mf_str name, mf_message **out, mf_error *err)
{
    mf_status st = mfi_client_check(client, err);
    return st != MF_OK ? st : mfi_definition_read(client, name, out, err);
}
