/* What the memory store promises beyond the contract: what things cost, and that a slot's generations run out safely. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "counting_allocator.h"
#include "memory_store.h"
#include "memory_tables.h"
#include "record.h"

static counting_allocator counting;
static mf_store          *store;
static mf_spec           *record, *call;

static void open_store(void)
{
    mf_state state = {.status = MF_STATUS_ACTIVE};
    mf_put put = {record, &state};
    cr_assert(eq(int, mf_memory_store_create(&counting.allocator, NULL, &store, NULL), MF_OK));
    cr_assert(eq(int, mf_store_commit(store, &(mf_batch){.puts = &put, .put_count = 1}, NULL, NULL), MF_OK));
}

static void setup(void)
{
    counting_init(&counting);
    call = mf_spec_create(&counting.allocator, MF_KIND_TASK, MF_STR_LIT("work"));
    record = mf_spec_create(&counting.allocator, MF_KIND_SWARM, MF_STR_LIT("many"));
    cr_assert(eq(int, mfi_key_make(MF_KIND_SWARM, NULL, &record->key), MF_OK));
    open_store();
}

static void teardown(void)
{
    mf_store_destroy(store);
    mf_spec_unref(record);
    mf_spec_unref(call);
    cr_assert(eq(long, atomic_load(&counting.live), 0));
    cr_assert(eq(long, atomic_load(&counting.wrong_size), 0));
}

/* Bytes that are asked for on the way to n items with their outcomes; growth counts, as nothing is given back sooner. */
static double bytes_per_item(uint64_t n)
{
    long before = atomic_load(&counting.bytes);
    for (uint64_t i = 0; i < n; i++) {
        mf_item item = {call, NULL};
        mf_outcome outcome = {i, MF_STATUS_DONE, NULL};
        mf_batch batch = {.key = record->key, .items = &item, .item_count = 1, .items_from = i, .outcomes = &outcome,
                          .outcome_count = 1};
        if (mf_store_commit(store, &batch, NULL, NULL) != MF_OK)
            cr_fatal("item %lu", (unsigned long)i);
    }
    return (double)(atomic_load(&counting.bytes) - before) / (double)n;
}

Test(store_memory, an_item_costs_the_same_in_a_swarm_of_any_size, .init = setup, .fini = teardown)
{
    double small = bytes_per_item(10000);
    mf_store_destroy(store);
    open_store();
    double large = bytes_per_item(1000000);
    cr_assert(le(dbl, small, 25.0));
    cr_assert(le(dbl, large, 25.0));
    cr_assert(large < small * 1.1 && small < large * 1.1, "%.2f and %.2f bytes", small, large);
}

Test(store_memory, a_number_that_a_task_gives_takes_no_memory_beyond_its_place, .init = setup, .fini = teardown)
{
    enum { MANY = 64 * MFI_PAGE };
    mf_outcome page[MFI_PAGE];
    size_t got;
    long before = atomic_load(&counting.live);
    for (uint64_t i = 0; i < MANY; i++) {
        mf_outcome outcome = {i, MF_STATUS_DONE, NULL};
        const char bytes[] = {(char)0xcd, (char)(i >> 8), (char)i};
        cr_assert(eq(int, mf_message_from_bytes(mf_str_of(bytes, sizeof bytes), NULL, &counting.allocator, &outcome.value, NULL), MF_OK));
        cr_assert(eq(int, mf_store_commit(store, &(mf_batch){.key = record->key, .outcomes = &outcome, .outcome_count = 1}, NULL, NULL), MF_OK));
        mf_message_unref(outcome.value);
    }
    cr_assert(le(long, atomic_load(&counting.live) - before, MANY / MFI_PAGE + 1), "a page of them each, and the directory");
    long calls = atomic_load(&counting.calls);
    cr_assert(eq(int, mf_store_outcomes(store, &record->key, 1007, MFI_PAGE, page, &got, NULL), MF_OK));
    cr_assert(eq(long, atomic_load(&counting.calls), calls + 1), "those that are read share one");
    for (size_t i = 0; i < got; i++) {
        uint64_t number = 0;
        cr_assert(eq(int, mf_value_uint(mf_message_value(page[i].value), &number), MF_OK));
        cr_assert(eq(u64, number, 1007 + i));
        mf_message_unref(page[i].value);
    }
}

/* One commit of n entries that settles the claims taken before it. */
static void exchange(const uint64_t *settles, size_t settle_count, size_t n)
{
    mf_entry entries[MFI_PAGE];
    for (size_t i = 0; i < n; i++)
        entries[i] = (mf_entry){.spec = call};
    mf_batch batch = {.settles = settles, .settle_count = settle_count, .entries = entries, .entry_count = n};
    cr_assert(eq(int, mf_store_commit(store, &batch, NULL, NULL), MF_OK));
}

static size_t take_all(uint64_t *claims)
{
    mf_taken taken[MFI_PAGE];
    size_t got = 0;
    int64_t next_due;
    cr_assert(eq(int, mf_store_take(store, MFI_PAGE, taken, &got, &next_due, NULL), MF_OK));
    for (size_t i = 0; i < got; i++) {
        claims[i] = taken[i].claim.token;
        mf_entry_release(&taken[i].entry);
    }
    return got;
}

Test(store_memory, what_is_settled_makes_room_for_what_is_queued_with_it, .init = setup, .fini = teardown)
{
    uint64_t claims[MFI_PAGE];
    exchange(NULL, 0, 1);
    cr_assert(eq(sz, take_all(claims), 1));
    long calls = atomic_load(&counting.calls);
    exchange(claims, 1, MFI_PAGE);      /* as a swarm's beginning is settled by its first items */
    cr_assert(eq(sz, take_all(claims), MFI_PAGE));
    exchange(claims, MFI_PAGE, MFI_PAGE);
    cr_assert(eq(sz, take_all(claims), MFI_PAGE));
    cr_assert(eq(long, atomic_load(&counting.calls), calls), "one page of slots is enough");
    exchange(claims, MFI_PAGE, 0);
}

Test(store_memory, a_claim_of_the_last_generation_makes_no_room, .init = setup, .fini = teardown)
{
    uint64_t claims[MFI_PAGE];
    struct mfi_queue *q = &mfi_memory_of(store)->queue;
    exchange(NULL, 0, MFI_PAGE);
    for (struct mfi_slot *slot = q->ready.first; slot != NULL; slot = slot->next)
        slot->generation = UINT32_MAX;
    cr_assert(eq(sz, take_all(claims), MFI_PAGE));
    exchange(claims, MFI_PAGE, MFI_PAGE);
    cr_assert(eq(sz, take_all(claims), MFI_PAGE));
    exchange(claims, MFI_PAGE, 0);
}

Test(store_memory, a_record_and_an_entry_stay_small)
{
    cr_assert(le(sz, sizeof(struct mfi_head), 320));
    cr_assert(le(sz, sizeof(struct mfi_slot), 168));
}

/* Each thread reads the clock before it takes the lock, so that an operation may come with an older time than the last. */
static int64_t read_from(void *user)
{
    return *(int64_t *)user;
}

Test(store_memory, time_does_not_go_back_when_threads_overtake_each_other)
{
    int64_t now_ns = 10000000;
    const mf_clock clock = {read_from, read_from, &now_ns};
    mf_taken taken[2];
    size_t got;
    int64_t next_due;
    counting_init(&counting);
    call = mf_spec_create(&counting.allocator, MF_KIND_TASK, MF_STR_LIT("work"));
    cr_assert(eq(int, mf_memory_store_create(&counting.allocator, &clock, &store, NULL), MF_OK));
    mf_entry entry = {.spec = call, .attempt = 1};
    for (int i = 0; i < 2; i++, now_ns -= 5000000)
        cr_assert(eq(int, mf_store_commit(store, &(mf_batch){.entries = &entry, .entry_count = 1}, NULL, NULL), MF_OK));
    cr_assert(eq(int, mf_store_take(store, 2, taken, &got, &next_due, NULL), MF_OK));
    cr_assert(eq(sz, got, 2));
    cr_assert(lt(u64, taken[0].entry.id, taken[1].entry.id));
    mf_entry_release(&taken[0].entry);
    mf_entry_release(&taken[1].entry);
    teardown();
}

Test(store_memory, records_with_deadlines_that_come_and_go_need_no_more_room, .init = setup, .fini = teardown)
{
    struct mfi_memory *m = mfi_memory_of(store);
    mf_spec *spec = mf_spec_create(&counting.allocator, MF_KIND_TASK, MF_STR_LIT("goes"));
    mf_state state = {.deadline_ms = 1000};
    cr_assert(eq(int, mfi_key_make(MF_KIND_TASK, NULL, &spec->key), MF_OK));
    mf_put put = {spec, &state};
    mf_removal removal = {.key = spec->key};
    for (int i = 0; i < 1000; i++) {
        cr_assert(eq(int, mf_store_commit(store, &(mf_batch){.puts = &put, .put_count = 1}, NULL, NULL), MF_OK));
        cr_assert(eq(sz, m->deadlines.count, 1));
        cr_assert(eq(int, mf_store_commit(store, &(mf_batch){.removals = &removal, .removal_count = 1}, NULL, NULL), MF_OK));
        cr_assert(eq(sz, m->deadlines.count, 0));
    }
    cr_assert(le(sz, m->deadlines.capacity, 64));
    mf_spec_unref(spec);
}

static mf_spec *put_ended(mf_kind kind, mf_spec *step, int64_t deadline_ms)
{
    mf_spec *spec = mf_spec_create(&counting.allocator, kind, MF_STR_LIT("ended"));
    mf_state state = {.status = MF_STATUS_DONE, .deadline_ms = deadline_ms};
    mf_put put = {spec, &state};
    cr_assert(eq(int, mfi_key_make(kind, NULL, &spec->key), MF_OK));
    if (step != NULL) {
        spec->steps = counting.allocator.alloc(counting.allocator.user, sizeof *spec->steps);
        spec->steps[0] = (mf_item){step, NULL};
        spec->step_count = 1;
    }
    cr_assert(eq(int, mf_store_commit(store, &(mf_batch){.puts = &put, .put_count = 1}, NULL, NULL), MF_OK));
    return spec;
}

/* The child is found overdue first, and taken away by its container before its turn comes. */
Test(store_memory, what_its_container_took_with_it_is_not_forgotten_twice, .init = setup, .fini = teardown)
{
    size_t got;
    int64_t next;
    struct mfi_memory *m = mfi_memory_of(store);
    mf_spec *child = put_ended(MF_KIND_TASK, NULL, 1);
    mf_spec *container = put_ended(MF_KIND_CHAIN, child, 2);
    cr_assert(eq(uint, HASH_COUNT(m->heads), 3));
    cr_assert(eq(int, mf_store_expired(store, 0, NULL, &got, &next, NULL), MF_OK));
    cr_assert(eq(uint, HASH_COUNT(m->heads), 1));
    cr_assert(eq(u64, m->removals, 2));
    mf_spec_unref(container);
}

/* ---- the queue without a store ----------------------------------------------------------------------------------- */

Test(store_queue, a_slot_whose_generations_are_used_up_is_never_used_again)
{
    struct mfi_queue q = {0};
    struct mfi_dropped dropped = {0};
    counting_init(&counting);
    cr_assert(mfi_queue_reserve(&q, &counting.allocator, 1, 0));
    struct mfi_slot *slot = mfi_queue_slot(&q);
    slot->generation = UINT32_MAX;
    uint64_t last = mfi_claim_begin(&q, slot, 0, 0);
    size_t free_before = q.free_count;
    cr_assert(eq(ptr, mfi_claim_find(&q, last), slot));
    mfi_queue_end(&q, slot, &dropped);
    cr_assert(eq(sz, q.free_count, free_before));
    cr_assert(eq(ptr, mfi_claim_find(&q, last), NULL));
    for (size_t i = 0; i < free_before; i++)
        cr_assert(ne(ptr, mfi_queue_slot(&q), slot));
    mfi_queue_fini(&q, &counting.allocator);
    cr_assert(eq(long, atomic_load(&counting.live), 0));
}

/* Against the plainest queue there is: an array that is searched. */
struct row {
    uint64_t id;
    int64_t  due;
    int32_t  priority;
    bool     parked;
};

static bool goes_before(const struct row *a, const struct row *b)
{
    if (a->priority != b->priority)
        return a->priority > b->priority;
    return a->due != b->due ? a->due < b->due : a->id < b->id;
}

static struct row *first_due(struct row *rows, size_t n, int64_t now)
{
    struct row *best = NULL;
    for (size_t i = 0; i < n; i++)
        if (!rows[i].parked && rows[i].due <= now && (best == NULL || goes_before(&rows[i], best)))
            best = &rows[i];
    return best;
}

/* Of what is due it only matters that it is. */
static int64_t from(int64_t now, int64_t ms)
{
    return ms > now ? ms : now;
}

static int64_t next_due_of(const struct row *rows, size_t n)
{
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < n; i++)
        if (!rows[i].parked && rows[i].due < next)
            next = rows[i].due;
    return next;
}

Test(store_queue, rows_come_and_go_as_in_a_plain_list)
{
    enum { STEPS = 20000, MANY = 512 };
    struct row rows[MANY];
    struct mfi_queue q = {0};
    struct mfi_list parked = {0};
    struct mfi_dropped dropped = {0};
    size_t n = 0;
    uint64_t random = 42;
    int64_t now = 1000;
    counting_init(&counting);
    mf_spec *spec = mf_spec_create(&counting.allocator, MF_KIND_TASK, MF_STR_LIT("work"));
    for (size_t step = 0; step < STEPS; step++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        unsigned dice = (unsigned)(random >> 33);
        if (dice % 4 < 2 && n < MANY) {
            int64_t due = dice / 4 % 2 ? 0 : now + dice / 8 % 50 - 10;
            int32_t priority = dice / 512 % 4 == 0 ? (int32_t)(dice / 2048 % 5) - 2 : 0;
            bool parks = dice / 16384 % 8 == 0;
            cr_assert(mfi_queue_reserve(&q, &counting.allocator, 1, priority != 0));
            mfi_queue_add(&q, &(mf_entry){.spec = mf_spec_ref(spec), .due_ms = due, .priority = priority},
                          parks ? &parked : NULL, now);
            rows[n++] = (struct row){.id = q.last_id, .due = due == 0 ? now : due, .priority = priority, .parked = parks};
        } else if (dice % 4 == 2 && n > 0) {
            size_t i = dice / 4 % n;
            mfi_queue_end(&q, mfi_queue_find(&q, rows[i].id), &dropped);
            rows[i] = rows[--n];
        } else if (dice / 4 % 64 == 0) {
            size_t resumed = mfi_queue_unpark(&q, &parked, now), want = 0;
            for (size_t i = 0; i < n; i++)
                if (rows[i].parked) {
                    rows[i].parked = false;
                    rows[i].due = now;
                    want++;
                }
            cr_assert(eq(sz, resumed, want));
        } else {
            struct row *best = first_due(rows, n, now);
            cr_assert(eq(i64, from(now, mfi_queue_next_due(&q)), from(now, next_due_of(rows, n))), "step %zu", step);
            struct mfi_slot *slot = mfi_queue_due(&q, now);
            cr_assert(eq(int, slot != NULL, best != NULL), "step %zu", step);
            if (slot != NULL) {
                cr_assert(eq(u64, slot->node.id, best->id), "step %zu", step);
                mfi_claim_begin(&q, slot, 0, now);
                if (dice / 256 % 4 == 0) {
                    mfi_claim_return(&q, slot, now);    /* as if it had never been taken */
                } else {
                    *best = rows[--n];
                    mfi_queue_end(&q, slot, &dropped);
                }
            }
        }
        now += dice / 16 % 3;
        cr_assert(eq(sz, q.waiting, n));
        cr_assert(eq(sz, q.claimed, 0));
    }
    mfi_dropped_release(&dropped);
    mfi_queue_fini(&q, &counting.allocator);
    mf_spec_unref(spec);
    cr_assert(eq(long, atomic_load(&counting.live), 0));
}
