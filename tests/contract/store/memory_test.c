/* Out of memory: each allocation of each operation is refused in turn. The operation then says so and has changed nothing
 * that can be seen; asked again, it works; and at the end nothing is out. */
#include "contract.h"

/* What an operation needs, made before memory is short. */
typedef struct prepared {
    mf_spec    *specs[3];
    mf_message *message;
    mf_taken    taken[2];
    mf_key      swarm;
} prepared;

static void prepare(fixture *f, prepared *p)
{
    world_make(f);
    p->swarm = world_key(SWARM);
    for (unsigned i = 0; i < 3; i++)
        p->specs[i] = spec_of(f, MF_KIND_TASK, 5 + i, NULL);
    p->message = say(f, 5);
    for (uint64_t i = 0; i < 2; i++)
        send(f, entry_for(f, &p->swarm, i));
    for (uint64_t i = 0; i < 2; i++)
        cr_assert(take_one(f, &p->taken[i]));
    mf_entry entry = entry_for(f, &p->swarm, 2);
    entry.message = p->message;
    send(f, entry);
    send(f, entry);
}

static void forget(prepared *p)
{
    for (unsigned i = 0; i < 3; i++)
        mf_spec_unref(p->specs[i]);
    mf_message_unref(p->message);
}

/* ---- the operations: each answers its status and drops what it was given ----------------------------------------- */

static mf_status run_commit(fixture *f, prepared *p)
{
    enum { MANY = 200 };
    mf_state fresh = {.status = MF_STATUS_PENDING, .input = p->message, .cursor = {1, {1}}};
    mf_state state = {.status = MF_STATUS_DONE, .inherited = p->message, .cursor = {2, {1, 2}}};
    mf_put puts[] = {{p->specs[0], &fresh}, {p->specs[1], &fresh}, {p->specs[2], &fresh}};
    mf_item items[MANY];
    mf_entry entries[MANY];
    mf_outcome outcomes[] = {
        {0, MF_STATUS_DONE, p->message}, {1, MF_STATUS_FAILED, p->message}, {5000, MF_STATUS_DONE, NULL},
    };
    uint64_t settles[] = {p->taken[0].claim.token, p->taken[1].claim.token};
    for (size_t i = 0; i < MANY; i++) {
        items[i] = (mf_item){f->call, p->message};
        entries[i] = (mf_entry){.spec = f->call, .unit = {p->swarm, i, 2}, .attempt = 1, .message = p->message,
                                .error = p->message, .due_ms = i % 2 ? 1000000 : 0};
    }
    mf_batch batch = {.puts = puts, .put_count = 3, .key = p->swarm, .version = 5, .state = &state,
                      .items = items, .item_count = MANY, .items_from = WORLD_ITEMS,
                      .outcomes = outcomes, .outcome_count = 3,
                      .settles = settles, .settle_count = 2, .entries = entries, .entry_count = MANY};
    return mf_store_commit(f->store, &batch, NULL, NULL);
}

/* Enough records for the table to grow. */
static mf_status run_puts(fixture *f, prepared *p)
{
    enum { MANY = 600 };
    static mf_spec *specs[MANY];
    mf_state state = {.input = p->message};
    mf_put puts[MANY];
    long fail_at = atomic_exchange(&f->counting.fail_at, 0), calls = atomic_load(&f->counting.calls);
    for (unsigned i = 0; i < MANY; i++) {
        specs[i] = spec_of(f, MF_KIND_TASK, 1000 + i, NULL);
        puts[i] = (mf_put){specs[i], &state};
    }
    atomic_store(&f->counting.calls, calls);
    atomic_store(&f->counting.fail_at, fail_at);
    mf_status st = mf_store_commit(f->store, &(mf_batch){.puts = puts, .put_count = MANY}, NULL, NULL);
    for (unsigned i = 0; i < MANY; i++)
        mf_spec_unref(specs[i]);
    return st;
}

/* Everything that is not in run_commit. */
static mf_status run_more(fixture *f, prepared *p)
{
    enum { MANY = 100 };
    mf_key chain = world_key(CHAIN), task = world_key(TASK);
    mf_state suspended = {.status = MF_STATUS_SUSPENDED, .kwargs = p->message, .cursor = {1, {1}}},
             locked = {.status = MF_STATUS_PENDING, .lock = 1, .lock_until_ms = 5000000, .deadline_ms = 6000000},
             late = {.deadline_ms = 7000000};
    mf_write writes[] = {{chain, 0, &suspended}, {task, 0, &locked}};
    mf_put puts[] = {{p->specs[0], &late}, {p->specs[1], &late}};
    mf_removal removal = {.key = world_key(NUMBERED)};
    uint64_t holds[] = {p->taken[0].claim.token};
    mf_entry entries[MANY];
    mf_note notes[MANY + 1];
    char names[MANY][4];
    for (size_t i = 0; i < MANY; i++) {
        entries[i] = (mf_entry){.spec = f->call, .unit = {p->swarm, i, 2}, .attempt = 1, .message = p->message,
                                .priority = (int32_t)(i % 3), .parked = i % 2 ? p->specs[0]->key : chain};
        snprintf(names[i], sizeof names[i], "%03zu", i);
        notes[i] = (mf_note){.space = MF_STR_LIT("one"), .name = mf_cstr(names[i]), .value = p->message,
                             .expires_ms = i % 2 ? 8000000 : 0, .fresh = true};
    }
    notes[MANY] = (mf_note){.space = MF_STR_LIT("one"), .name = mf_cstr(names[0])};
    mf_batch batch = {.puts = puts, .put_count = 2, .writes = writes, .write_count = 2, .removals = &removal,
                      .removal_count = 1, .holds = holds, .hold_count = 1, .entries = entries, .entry_count = MANY,
                      .resume = chain, .notes = notes, .note_count = MANY + 1};
    return mf_store_commit(f->store, &batch, NULL, NULL);
}

static mf_status run_writes(fixture *f, prepared *p)
{
    enum { MANY = 40 };
    mf_state state = {.status = MF_STATUS_DONE, .result = p->message, .deadline_ms = 6000000};
    mf_write writes[MANY];
    long fail_at = atomic_exchange(&f->counting.fail_at, 0), calls = atomic_load(&f->counting.calls);
    for (unsigned i = 0; i < MANY; i++) {
        writes[i] = (mf_write){key_of(MF_KIND_TASK, 1000 + i), 0, &state};
        if (!has_record(f, &writes[i].key))
            put(f, spec_of(f, MF_KIND_TASK, 1000 + i, NULL), &(mf_state){0});
    }
    atomic_store(&f->counting.calls, calls);
    atomic_store(&f->counting.fail_at, fail_at);
    return mf_store_commit(f->store, &(mf_batch){.writes = writes, .write_count = MANY}, NULL, NULL);
}

/* Later attempts, of units whose notes lie apart. */
static mf_status run_retries(fixture *f, prepared *p)
{
    enum { MANY = 12 };
    mf_key numbered = world_key(NUMBERED);
    mf_entry entries[MANY];
    long fail_at = atomic_exchange(&f->counting.fail_at, 0), calls = atomic_load(&f->counting.calls);
    is_status(claim_one(f, &p->swarm, 9, 1).status, MF_E_STALE);    /* there are claims from elsewhere, so attempts are noted */
    atomic_store(&f->counting.calls, calls);
    atomic_store(&f->counting.fail_at, fail_at);
    for (size_t i = 0; i < MANY; i++)
        entries[i] = (mf_entry){.spec = f->call, .unit = {i % 2 ? p->swarm : numbered, i * 50, i % 2 ? 2 : 0}, .attempt = 2};
    return mf_store_commit(f->store, &(mf_batch){.entries = entries, .entry_count = MANY}, NULL, NULL);
}

static mf_status run_notes(fixture *f, prepared *p)
{
    mf_note notes[] = {
        {.space = MF_STR_LIT("two"), .name = MF_STR_LIT("a"), .value = p->message},
        {.space = MF_STR_LIT("two"), .name = MF_STR_LIT("b"), .value = p->message},
    }, read[2];
    size_t got;
    long fail_at = atomic_exchange(&f->counting.fail_at, 0), calls = atomic_load(&f->counting.calls);
    must_commit(f, &(mf_batch){.notes = notes, .note_count = 2});
    atomic_store(&f->counting.calls, calls);
    atomic_store(&f->counting.fail_at, fail_at);
    mf_status st = mf_store_notes(f->store, MF_STR_LIT("two"), mf_cstr(""), 2, read, &got, NULL);
    for (size_t i = 0; i < got; i++)
        mf_note_release(f->store, &read[i]);
    return st;
}

static mf_status run_give_back(fixture *f, prepared *p)
{
    uint64_t tokens[] = {p->taken[0].claim.token, p->taken[1].claim.token};
    return mf_store_give_back(f->store, tokens, 2, NULL);
}

static mf_status run_renew(fixture *f, prepared *p)
{
    uint64_t tokens[] = {p->taken[0].claim.token, p->taken[1].claim.token};
    return mf_store_renew(f->store, tokens, 2, NULL);
}

static mf_status run_expired(fixture *f, prepared *p)
{
    mf_key out[4];
    size_t got;
    int64_t next;
    (void)p;
    return mf_store_expired(f->store, 4, out, &got, &next, NULL);
}

static mf_status run_list(fixture *f, prepared *p)
{
    mf_key out[4];
    size_t got;
    (void)p;
    return mf_store_list(f->store, NULL, NULL, 4, out, &got, NULL);
}

static mf_status run_claim(fixture *f, prepared *p)
{
    enum { MANY = 200 };
    mf_claim claims[MANY];
    (void)p;
    for (size_t i = 0; i < MANY; i++)
        claims[i] = (mf_claim){.unit = {world_key(NUMBERED), i, 0}, .attempt = 1};
    return mf_store_claim(f->store, claims, MANY, NULL);
}

static mf_status run_take(fixture *f, prepared *p)
{
    mf_taken taken[2];
    size_t got;
    int64_t next_due;
    (void)p;
    mf_status st = mf_store_take(f->store, 2, taken, &got, &next_due, NULL);
    for (size_t i = 0; i < got; i++)
        mf_entry_release(&taken[i].entry);
    return st;
}

static mf_status run_outbox(fixture *f, prepared *p)
{
    mf_entry entries[2];
    size_t got;
    int64_t next_due;
    (void)p;
    mf_status st = mf_store_outbox(f->store, 2, entries, &got, &next_due, NULL);
    for (size_t i = 0; i < got; i++)
        mf_entry_release(&entries[i]);
    return st;
}

static mf_status run_load(fixture *f, prepared *p)
{
    mf_record record;
    mf_status st = mf_store_load(f->store, &p->swarm, 1, &record, NULL);
    if (st == MF_OK)
        mf_record_release(&record);
    return st;
}

static mf_status run_items(fixture *f, prepared *p)
{
    mf_item items[100];
    size_t got;
    mf_status st = mf_store_items(f->store, &p->swarm, 0, 100, items, &got, NULL);
    for (size_t i = 0; i < got; i++) {
        mf_spec_unref(items[i].spec);
        mf_message_unref(items[i].message);
    }
    return st;
}

static mf_status run_outcomes(fixture *f, prepared *p)
{
    enum { MANY = 100 };
    mf_outcome outcomes[MANY];
    size_t got;
    for (size_t i = 0; i < MANY; i++)
        outcomes[i] = (mf_outcome){i, MF_STATUS_DONE, p->message};
    long fail_at = atomic_exchange(&f->counting.fail_at, 0), calls = atomic_load(&f->counting.calls);
    (void)mf_store_commit(f->store, &(mf_batch){.key = p->swarm, .outcomes = outcomes, .outcome_count = MANY}, NULL, NULL);
    atomic_store(&f->counting.calls, calls);
    atomic_store(&f->counting.fail_at, fail_at);
    mf_status st = mf_store_outcomes(f->store, &p->swarm, 0, MANY, outcomes, &got, NULL);
    for (size_t i = 0; i < got; i++)
        mf_message_unref(outcomes[i].value);
    return st;
}

static mf_status run_log(fixture *f, prepared *p)
{
    return mf_store_log(f->store, &p->swarm, MF_STR_LIT("a line"));
}

static mf_status run_read_log(fixture *f, prepared *p)
{
    char *text;
    size_t len;
    if (mf_store_read_log(f->store, &p->swarm, 0, NULL, &text, &len) == MF_E_NOT_FOUND) {
        long fail_at = atomic_exchange(&f->counting.fail_at, 0), calls = atomic_load(&f->counting.calls);
        is_status(run_log(f, p), MF_OK);
        atomic_store(&f->counting.calls, calls);
        atomic_store(&f->counting.fail_at, fail_at);
    } else {
        free(text);
    }
    mf_status st = mf_store_read_log(f->store, &p->swarm, 0, &f->counting.allocator, &text, &len);
    if (st == MF_OK)
        f->counting.allocator.release(f->counting.allocator.user, text, len + 1);
    return st;
}

static mf_status run_read_lines(fixture *f, prepared *p)
{
    mf_line lines[4];
    size_t got;
    (void)mf_store_read_lines(f->store, &p->swarm, 0, 4, NULL, lines, &got, NULL);
    for (size_t i = 0; i < got; i++)
        free(lines[i].text);
    if (got == 0) {
        long fail_at = atomic_exchange(&f->counting.fail_at, 0), calls = atomic_load(&f->counting.calls);
        for (int i = 0; i < 3; i++)
            is_status(run_log(f, p), MF_OK);
        atomic_store(&f->counting.calls, calls);
        atomic_store(&f->counting.fail_at, fail_at);
    }
    mf_status st = mf_store_read_lines(f->store, &p->swarm, 0, 4, &f->counting.allocator, lines, &got, NULL);
    for (size_t i = 0; i < got; i++)
        f->counting.allocator.release(f->counting.allocator.user, lines[i].text, lines[i].len + 1);
    return st;
}

static mf_status run_progress(fixture *f, prepared *p)
{
    return mf_store_progress(f->store, &p->swarm, p->message);
}

static mf_status run_watch(fixture *f, prepared *p)
{
    mf_status st = mf_store_watch_start(f->store, &(mf_store_watch){.user = p});
    if (st == MF_OK)
        mf_store_watch_stop(f->store, p);
    return st;
}

static const struct operation {
    const char *name;
    mf_status (*run)(fixture *f, prepared *p);
    bool        logs;    /* leaves something behind also when it fails: a line, notes, records */
} operations[] = {
    {"commit", run_commit, false}, {"puts", run_puts, false}, {"claim", run_claim, false}, {"take", run_take, false},
    {"outbox", run_outbox, false}, {"load", run_load, false}, {"items", run_items, false}, {"outcomes", run_outcomes, true}, {"log", run_log, false},
    {"read_log", run_read_log, true}, {"read_lines", run_read_lines, true},
    {"progress", run_progress, false}, {"watch", run_watch, false},
    {"more", run_more, false}, {"writes", run_writes, true}, {"notes", run_notes, true},
    {"retries", run_retries, false},
    {"give_back", run_give_back, false}, {"renew", run_renew, false}, {"expired", run_expired, false},
    {"list", run_list, false},
};

/* What the world is like after the operation, when memory is there. */
static uint64_t undisturbed(size_t maker, const struct operation *operation)
{
    fixture f;
    prepared p;
    open_store(&f, maker);
    prepare(&f, &p);
    is_status(operation->run(&f, &p), MF_OK);
    uint64_t after = fingerprint(&f);
    forget(&p);
    close_store(&f);
    return after;
}

/* true: the n-th allocation was refused, and all was well; false: there are not so many. */
static bool refuse_nth(size_t maker, const struct operation *operation, uint64_t after, long n)
{
    fixture f;
    prepared p;
    open_store(&f, maker);
    prepare(&f, &p);
    uint64_t before = fingerprint(&f);
    f.counting.fail_at = atomic_load(&f.counting.calls) + n;
    mf_status st = operation->run(&f, &p);
    bool refused = atomic_load(&f.counting.calls) >= atomic_load(&f.counting.fail_at);
    atomic_store(&f.counting.fail_at, 0);
    /* A store may do without what it was refused, but it may not do half. */
    if (st != MF_OK) {
        cr_assert(eq(int, st, MF_E_NOMEM), "%s, allocation %ld: %s", operation->name, n, mf_status_name(st));
        cr_assert(operation->logs || fingerprint(&f) == before, "%s, allocation %ld: changed something",
                  operation->name, n);
        cr_assert(eq(int, operation->run(&f, &p), MF_OK), "%s, again after allocation %ld", operation->name, n);
    }
    cr_assert(eq(u64, fingerprint(&f), after), "%s, allocation %ld: something is missing", operation->name, n);
    forget(&p);
    close_store(&f);
    return refused;
}

ParameterizedTestParameters(store_memory, a_refused_allocation_changes_nothing)
{
    static size_t cases[16 * sizeof operations / sizeof operations[0]];
    size_t n = store_maker_count * (sizeof operations / sizeof operations[0]);
    for (size_t i = 0; i < n; i++)
        cases[i] = i;
    return cr_make_param_array(size_t, cases, n);
}

ParameterizedTest(size_t *i, store_memory, a_refused_allocation_changes_nothing)
{
    size_t n = sizeof operations / sizeof operations[0];
    uint64_t after = undisturbed(*i / n, &operations[*i % n]);
    long k = 1;
    /* A store that opens a file for each of them is asked for the first ones, and then for some. */
    while (refuse_nth(*i / n, &operations[*i % n], after, k))
        k += store_makers[*i / n].quirks.ours_to_fail ? 1 : 1 + k / 16;
    if (operations[*i % n].run == run_commit && store_makers[*i / n].quirks.ours_to_fail)
        cr_assert(gt(long, k, 10));
}

ParameterizedTestParameters(store_memory, a_store_is_made_or_not)
{
    return store_parameters();
}

ParameterizedTest(size_t *maker, store_memory, a_store_is_made_or_not)
{
    counting_allocator counting;
    counting_init(&counting);
    for (long n = 1;; n++) {
        mf_store *store = NULL;
        mf_error err = {0};
        counting.fail_at = atomic_load(&counting.calls) + n;
        mf_status st = store_makers[*maker].create(&counting.allocator, NULL, &store, &err);
        bool refused = atomic_load(&counting.calls) >= atomic_load(&counting.fail_at);
        atomic_store(&counting.fail_at, 0);
        if (st == MF_OK)
            mf_store_destroy(store);
        else
            is_status(st, MF_E_NOMEM);
        cr_assert(eq(long, atomic_load(&counting.live), 0));
        if (!refused)
            break;
        cr_assert(eq(ptr, store, NULL));
    }
    if (store_makers[*maker].clean != NULL)
        store_makers[*maker].clean();
    mf_store_destroy(NULL);
}

STORE_TEST(store_memory, a_steady_flow_allocates_nothing)
{
    mf_key key = world_key(NUMBERED);
    mf_taken taken[16];
    mf_entry entries[16];
    uint64_t settles[16];
    size_t got;
    int64_t next_due;
    long calls = 0;
    world_make(f);
    for (size_t i = 0; i < 16; i++)
        entries[i] = entry_for(f, &key, i);
    must_commit(f, &(mf_batch){.entries = entries, .entry_count = 16});
    for (size_t round = 0; round < 1000 && f->maker->quirks.ours_to_fail; round++) {
        is_status(mf_store_take(f->store, 16, taken, &got, &next_due, NULL), MF_OK);
        cr_assert(eq(sz, got, 16));
        for (size_t i = 0; i < got; i++) {
            settles[i] = taken[i].claim.token;
            mf_entry_release(&taken[i].entry);
        }
        must_commit(f, &(mf_batch){.settles = settles, .settle_count = 16, .entries = entries, .entry_count = 16});
        if (round == 3)
            calls = atomic_load(&f->counting.calls);
    }
    if (f->maker->quirks.ours_to_fail)
        cr_assert(eq(long, atomic_load(&f->counting.calls), calls));
}
