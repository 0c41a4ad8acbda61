/* What an item costs a store in a flow of batches: run it under callgrind with a number of items.
 *
 *     valgrind --tool=callgrind store_flow_cost 1000000                   the memory store
 *     valgrind --tool=callgrind store_sqlite_flow_cost 100000 FILE        the SQLite store, in a new file
 *     callgrind_annotate --inclusive=yes callgrind.out.*
 *
 * As a test it only shows that the flow runs. */
#include <mageflow/store.h>

#include <stdio.h>
#include <stdlib.h>

#ifdef MFT_SQLITE
#include "sqlite_create.h"
#include "temp_store.h"
#endif

enum { BATCH = 16 };

typedef struct flow {
    mf_store   *store;
    mf_spec    *record, *call;
    mf_message *message;
    mf_entry    entries[BATCH];
    mf_outcome  outcomes[BATCH];
    uint64_t    settles[BATCH];
    mf_taken    taken[BATCH];
} flow;

static void must(mf_status st)
{
    if (st == MF_OK)
        return;
    fprintf(stderr, "%s\n", mf_status_name(st));
    exit(1);
}

static mf_store *make_store(const char *path)
{
    mf_store *store = NULL;
#ifdef MFT_SQLITE
    must(mfi_sqlite_store_create(path != NULL ? path : temp_store_new(), NULL, NULL, &store, NULL));
#else
    (void)path;
    must(mf_memory_store_create(NULL, NULL, &store, NULL));
#endif
    return store;
}

static void begin(flow *f, const char *path)
{
    mf_state state = {.status = MF_STATUS_ACTIVE};
    f->store = make_store(path);
    must(mf_message_from_bytes(mf_str_of("\x05", 1), NULL, NULL, &f->message, NULL));
    f->record = mf_spec_create(NULL, MF_KIND_SWARM, MF_STR_LIT("swarm"));
    f->call = mf_spec_create(NULL, MF_KIND_TASK, MF_STR_LIT("work"));
    if (f->record == NULL || f->call == NULL)
        must(MF_E_NOMEM);
    must(mf_key_parse(MF_STR_LIT("swarm-0000000000000000000000001"), &f->record->key, NULL));
    for (size_t i = 0; i < BATCH; i++)
        f->entries[i] = (mf_entry){.spec = f->call, .unit = {f->record->key, i, 0}, .attempt = 1, .message = f->message};
    must(mf_store_commit(f->store, &(mf_batch){.puts = &(mf_put){f->record, &state}, .put_count = 1,
                                               .entries = f->entries, .entry_count = BATCH}, NULL, NULL));
}

/* Take sixteen, tell their outcomes, send the next sixteen. */
static void turn(flow *f, uint64_t version)
{
    mf_state state = {.status = MF_STATUS_ACTIVE, .done = (version + 1) * BATCH};
    size_t got;
    int64_t next_due;
    must(mf_store_take(f->store, BATCH, f->taken, &got, &next_due, NULL));
    for (size_t i = 0; i < got; i++) {
        f->outcomes[i] = (mf_outcome){f->taken[i].entry.unit.index, MF_STATUS_DONE, f->message};
        f->settles[i] = f->taken[i].claim.token;
        f->entries[i].unit.index += BATCH;
        mf_entry_release(&f->taken[i].entry);
    }
    must(mf_store_commit(f->store, &(mf_batch){.key = f->record->key, .version = version, .state = &state,
                                               .outcomes = f->outcomes, .outcome_count = got,
                                               .settles = f->settles, .settle_count = got,
                                               .entries = f->entries, .entry_count = got}, NULL, NULL));
}

int main(int argc, char **argv)
{
    uint64_t items = argc > 1 ? strtoull(argv[1], NULL, 10) : 10000;
    flow f;
    size_t waiting, claimed;
    begin(&f, argc > 2 ? argv[2] : NULL);
    for (uint64_t i = 0; i * BATCH < items; i++)
        turn(&f, i);
    mf_store_load_counts(f.store, &waiting, &claimed);
    mf_store_destroy(f.store);
#ifdef MFT_SQLITE
    temp_store_clean();
#endif
    mf_spec_unref(f.record);
    mf_spec_unref(f.call);
    mf_message_unref(f.message);
    return waiting == BATCH && claimed == 0 ? 0 : 1;
}
