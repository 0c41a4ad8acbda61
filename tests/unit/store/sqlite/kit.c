#include "kit.h"

#include <stdlib.h>

mf_store *kit_open(const char *path)
{
    mf_store *s = NULL;
    mf_error err = {0};
    if (mfi_sqlite_store_create(path, NULL, NULL, &s, &err) != MF_OK)
        fprintf(stderr, "%s: %s\n", mf_status_name(err.status), err.text);
    KIT_MUST(s != NULL);
    return s;
}

mf_key kit_key(void)
{
    mf_key key;
    KIT_MUST(mf_key_parse(MF_STR_LIT("swarm-0000000000000000000000001"), &key, NULL) == MF_OK);
    return key;
}

mf_spec *kit_call(void)
{
    return mf_spec_create(NULL, MF_KIND_TASK, MF_STR_LIT("work"));
}

mf_entry kit_entry(const mf_spec *call, uint64_t index)
{
    return (mf_entry){.spec = (mf_spec *)(uintptr_t)call, .unit = {kit_key(), index, 0}, .attempt = 1};
}

mf_status kit_send(mf_store *s, uint64_t index, mf_error *err)
{
    mf_spec *call = kit_call();
    mf_entry entry = kit_entry(call, index);
    mf_status st = mf_store_commit(s, &(mf_batch){.entries = &entry, .entry_count = 1}, NULL, err);
    mf_spec_unref(call);
    return st;
}

void kit_swarm(mf_store *s, size_t n)
{
    mf_spec *swarm = mf_spec_create(NULL, MF_KIND_SWARM, MF_STR_LIT("swarm")), *call = kit_call();
    mf_entry *entries = calloc(n + 1, sizeof *entries);
    mf_error err = {0};
    swarm->key = kit_key();
    for (size_t i = 0; i < n; i++)
        entries[i] = kit_entry(call, i);
    mf_status st = mf_store_commit(s, &(mf_batch){
        .puts = &(mf_put){swarm, &(mf_state){.status = MF_STATUS_ACTIVE, .total = n}}, .put_count = 1,
        .entries = entries, .entry_count = n}, NULL, &err);
    KIT_MUST(st == MF_OK);
    free(entries);
    mf_spec_unref(swarm);
    mf_spec_unref(call);
}

size_t kit_take(mf_store *s, mf_taken *out, size_t max)
{
    size_t got = 0;
    int64_t next;
    KIT_MUST(mf_store_take(s, max, out, &got, &next, NULL) == MF_OK);
    for (size_t i = 0; i < got; i++)
        mf_entry_release(&out[i].entry);
    return got;
}

mf_status kit_finish(mf_store *s, const mf_taken *taken)
{
    mf_outcome outcome = {taken->entry.unit.index, MF_STATUS_DONE, NULL};
    return mf_store_commit(s, &(mf_batch){.key = kit_key(), .outcomes = &outcome, .outcome_count = 1,
                                          .settles = &taken->claim.token, .settle_count = 1}, NULL, NULL);
}

size_t kit_entries(mf_store *s)
{
    size_t waiting, claimed;
    mf_store_load_counts(s, &waiting, &claimed);
    return waiting + claimed;
}

size_t kit_outcomes(mf_store *s)
{
    mf_key key = kit_key();
    mf_outcome page[256];
    size_t got = 0, n = 0;
    for (uint64_t from = 0;; from += got) {
        KIT_MUST(mf_store_outcomes(s, &key, from, 256, page, &got, NULL) == MF_OK);
        if (got == 0)
            return n;
        for (size_t i = 0; i < got; i++) {
            n += page[i].status != MF_STATUS_PENDING;
            mf_message_unref(page[i].value);
        }
    }
}

static int first_cell(void *out, int n, char **values, char **names)
{
    (void)n;
    (void)names;
    *(char **)out = values[0] == NULL ? NULL : sqlite3_mprintf("%s", values[0]);
    return 0;
}

static char *ask(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    char *cell = NULL;
    KIT_MUST(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK);
    KIT_MUST(sqlite3_exec(db, sql, first_cell, &cell, NULL) == SQLITE_OK);
    sqlite3_close(db);
    return cell;
}

int64_t kit_ask(const char *path, const char *sql)
{
    char *cell = ask(path, sql);
    int64_t n = cell == NULL ? 0 : strtoll(cell, NULL, 10);
    sqlite3_free(cell);
    return n;
}

bool kit_is_whole(const char *path)
{
    char *cell = ask(path, "PRAGMA integrity_check");
    bool whole = cell != NULL && strcmp(cell, "ok") == 0;
    sqlite3_free(cell);
    return whole;
}
