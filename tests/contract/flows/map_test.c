/* Maps: swarms whose items a source draws. */
#include "kit.h"

/* Draws 0, 1, … below `total`, as {n}; fails at `broken`. The cursor is the next number, as a decimal text. */
typedef struct numbers {
    uint64_t     total, broken;
    atomic_ulong draws;
} numbers;

static uint64_t at_of(const mf_cursor *cursor)
{
    char text[32] = "";
    memcpy(text, cursor->bytes, cursor->len);
    return strtoull(text, NULL, 10);
}

/* The message may say {count}, and be a result that does. */
static uint64_t total_of(const mf_message *message, const numbers *s)
{
    uint64_t total = s->total;
    mf_value value = mf_message_value(message), inner;
    if (mf_value_get(value, MF_STR_LIT("mageflow_results"), &inner))
        value = inner;
    if (mf_value_scan(value, NULL, "{s?:U}", "count", &total) != MF_OK)
        total = s->total;
    return total;
}

static mf_status next_number(const mf_message *message, mf_cursor *cursor, mf_message **item, void *user, mf_error *err)
{
    numbers *s = user;
    uint64_t at = at_of(cursor);
    atomic_fetch_add(&s->draws, 1);
    if (at == s->broken)
        return mf_fail(err, MF_E_IO, "number %llu is out of order", (unsigned long long)at);
    if (at >= total_of(message, s))
        return MF_OK;
    *item = mf_msg("{s:U}", "n", at);
    cursor->len = (uint16_t)snprintf((char *)cursor->bytes, sizeof cursor->bytes, "%llu", (unsigned long long)at + 1);
    return MF_OK;
}

static uint64_t expected_numbers(const mf_message *message, void *user)
{
    return total_of(message, user);
}

static void declare_source(fixture *f, numbers *s, bool tells)
{
    is_status(mf_source(f->mage, MF_SOURCE_DEF(.name = "numbers", .next = next_number, .user = s,
                                               .expected = tells ? expected_numbers : NULL), &f->err), MF_OK);
}

static mf_signature *map_of(fixture *f, mf_signature *each, const mf_swarm_options *options)
{
    mf_signature *map = mf_map(f->mage, "map", "numbers", each, options, &f->err);
    cr_assert(ne(ptr, map, NULL), "%s", f->err.text);
    return map;
}

FLOW_TEST(flow_map, each_drawn_message_is_given_to_the_task_in_order)
{
    numbers s = {.total = 5, .broken = UINT64_MAX};
    declare_source(f, &s, false);
    mf_run *run = start(f, map_of(f, sign(f, "add", "{\"by\":10}"), NULL), NULL);
    mf_key key = mf_run_key(run);
    ends_done(f, run, "[10,11,12,13,14]");
    is_text(counted(f, &key), "done: total 5, running 0, done 5, failed 0, canceled 0");
    called(f, "add", 5);
}

FLOW_TEST(flow_map, the_cursor_moves_on_over_many_pages)
{
    size_t all = many(f, 1000);
    char want[96];
    numbers s = {.total = all, .broken = UINT64_MAX};
    declare_source(f, &s, false);
    mf_run *run = start(f, map_of(f, sign(f, "add", NULL), MF_SWARM_OPTIONS(.max_concurrency = 100)), NULL);
    mf_key key = mf_run_key(run);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_OK);
    mf_run_destroy(run);
    snprintf(want, sizeof want, "done: total %zu, running 0, done %zu, failed 0, canceled 0", all, all);
    is_text(counted(f, &key), want);
    mf_results *results = NULL;
    is_status(mf_results_open(f->mage, &key, &results, &f->err), MF_OK);
    mf_outcome outcome;
    uint64_t n = 0, result = 0;
    while (mf_results_next(results, &outcome, &f->err) == MF_OK) {
        is_status(mf_value_uint(mf_message_value(outcome.value), &result), MF_OK);
        cr_assert(eq(u64, result, ++n));
    }
    cr_assert(eq(u64, n, all));
    mf_results_close(results);
}

FLOW_TEST(flow_map, the_source_is_drawn_no_further_than_the_concurrency_allows)
{
    size_t all = many(f, 100);
    numbers s = {.total = all, .broken = UINT64_MAX};
    declare_source(f, &s, true);
    mf_run *run = start(f, map_of(f, sign(f, "gate", NULL), MF_SWARM_OPTIONS(.max_concurrency = 2)), NULL);
    mf_key key = mf_run_key(run);
    wait_calls(f, "gate", 2);
    is_text(counted(f, &key), "active: total 2, running 2, done 0, failed 0, canceled 0");
    cr_assert(eq(u64, count(f, &key).expected, all));
    if (!f->maker->quirks.twice)        /* there a refused commit may have drawn the same again */
        cr_assert(eq(ulong, atomic_load(&s.draws), 2));
    open_gate(f);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_OK);
    mf_run_destroy(run);
    cr_assert(eq(uint, f->most, 2));
    called(f, "gate", all);
}

/* Whoever sees the ends of others' tasks knows the calls alone. */
FLOW_TEST(flow_map, a_foreign_items_error_callback_receives_what_was_drawn)
{
    numbers s = {.total = 3, .broken = UINT64_MAX};
    bool seen[3] = {false};
    if (f->maker->quirks.outside || !fixture_can(f, MF_CAP_OBSERVES))
        return;
    is_status(mf_task_foreign(f->mage, MF_TASK_DEF(.name = "broken", .timeout = mf_minutes(1)), &f->err), MF_OK);
    declare_source(f, &s, false);
    ends_done(f, start(f, map_of(f, on_error(f, sign(f, "broken", NULL), sign(f, "note", NULL)), NULL), NULL), "[null,null,null]");
    settle_down(f);
    size_t calls = calls_of(f, "note");
    cr_assert(f->maker->quirks.twice ? calls >= 3 : calls == 3, "%zu calls", calls);
    for (size_t i = 0; i < calls; i++) {
        call c = call_of(f, "note", i);
        char in[32], index[32];
        cr_assert(lt(u64, c.index, 3));
        snprintf(in, sizeof in, "{\"n\":%u}", (unsigned)c.index);
        snprintf(index, sizeof index, "\"index\":%u", (unsigned)c.index);
        is_value(c.in, in);
        has_text(c.error, "it is broken there");
        has_text(c.error, index);
        seen[c.index] = true;
    }
    cr_assert(seen[0] && seen[1] && seen[2]);
    mf_note note;
    size_t got = 0;
    is_status(mf_store_notes(&f->store->base, MF_STR_LIT("foreign.sent"), MF_STR_LIT(""), 1, &note, &got, &f->err), MF_OK);
    cr_assert(eq(sz, got, 0));
}

FLOW_TEST(flow_map, an_empty_source_is_a_done_swarm)
{
    numbers s = {.total = 0, .broken = UINT64_MAX};
    declare_source(f, &s, false);
    mf_signature *map = map_of(f, sign(f, "add", NULL), MF_SWARM_OPTIONS(.on_success = sign(f, "note", NULL)));
    ends_done(f, start(f, map, NULL), "[]");
    settle_down(f);
    has_text(call_of(f, "note", 0).in, "{\"mageflow_results\":[],\"mageflow_swarm\":{\"done\":0,\"failed\":0,\"swarm\":");
    called(f, "add", 0);
}

FLOW_TEST(flow_map, a_failing_source_fails_the_swarm_with_its_text)
{
    numbers s = {.total = 10, .broken = 3};
    declare_source(f, &s, false);
    mf_signature *map = map_of(f, sign(f, "add", NULL), MF_SWARM_OPTIONS(.on_error = sign(f, "note", NULL), .max_concurrency = 1));
    mf_run *run = start(f, map, NULL);
    ends_failed(f, run, "MF_E_INVALID: source \"numbers\": number 3 is out of order");
    settle_down(f);
    called(f, "note", 1);
    has_text(call_of(f, "note", 0).error, "number 3 is out of order");
}

FLOW_TEST(flow_map, its_messages_come_below_the_kwargs_of_each_and_of_the_swarm)
{
    numbers s = {.total = 1, .broken = UINT64_MAX};
    declare_source(f, &s, false);
    mf_signature *map = map_of(f, sign(f, "echo", "{\"a\":1,\"b\":1}"), MF_SWARM_OPTIONS(.kwargs = msg("{\"b\":2}")));
    ends_done(f, start(f, map, NULL), "[{\"n\":0,\"a\":1,\"b\":2}]");
}

FLOW_TEST(flow_map, item_callbacks_run_once_an_item_with_its_index)
{
    numbers s = {.total = 6, .broken = UINT64_MAX};
    declare_source(f, &s, false);
    mf_signature *each = on_success(f, sign(f, "add", NULL), sign(f, "note", "{\"own\":1}"));
    ends_done(f, start(f, map_of(f, each, NULL), NULL), "[1,2,3,4,5,6]");
    settle_down(f);
    bool seen[6] = {false};
    for (size_t i = 0; i < calls_of(f, "note"); i++) {
        call c = call_of(f, "note", i);
        char want[64];
        snprintf(want, sizeof want, "{\"mageflow_results\":%llu,\"own\":1}", (unsigned long long)c.index + 1);
        is_value(c.in, want);
        cr_assert(lt(u64, c.index, 6));
        seen[c.index] = true;
    }
    for (size_t i = 0; i < 6; i++)
        cr_assert(seen[i], "item %zu has called nobody", i);
    if (!f->maker->quirks.twice)
        called(f, "note", 6);
}

FLOW_TEST(flow_map, a_failed_items_callback_receives_its_message_and_its_error)
{
    numbers s = {.total = 3, .broken = UINT64_MAX};
    declare_source(f, &s, false);
    mf_signature *each = on_error(f, sign(f, "fail", "{\"k\":1}"), sign(f, "note", NULL));
    mf_run *run = start(f, map_of(f, on_success(f, each, sign(f, "linger", NULL)), NULL), NULL);
    ends_done(f, run, "[null,null,null]");
    settle_down(f);
    called(f, "linger", 0);
    bool seen[3] = {false};
    for (size_t i = 0; i < calls_of(f, "note"); i++) {
        call c = call_of(f, "note", i);
        char want[64];
        cr_assert(lt(u64, c.index, 3));
        seen[c.index] = true;
        snprintf(want, sizeof want, "{\"n\":%llu,\"k\":1}", (unsigned long long)c.index);
        is_value(c.in, want);
        snprintf(want, sizeof want, "\"index\":%llu", (unsigned long long)c.index);
        has_text(c.error, want);
    }
    cr_assert(seen[0] && seen[1] && seen[2]);
    if (!f->maker->quirks.twice)
        called(f, "note", 3);
}

FLOW_TEST(flow_map, failures_are_counted_and_end_it)
{
    numbers s = {.total = 1000, .broken = UINT64_MAX};
    declare_source(f, &s, false);
    mf_run *run = start(f, map_of(f, sign(f, "fail", NULL), MF_SWARM_OPTIONS(.max_concurrency = 1, .stop_after_failures = 4)), NULL);
    ends_failed(f, run, "TooManyFailures: 4 items failed, stop_after_failures is 4; the last: it broke");
    settle_down(f);
    called(f, "fail", 4);
    if (!f->maker->quirks.twice)        /* there a refused commit may have drawn the same again */
        cr_assert(eq(ulong, atomic_load(&s.draws), 4));
}

FLOW_TEST(flow_map, list_map_report_is_a_chain_of_three)
{
    numbers s = {.total = 0, .broken = UINT64_MAX};
    declare_source(f, &s, true);
    mf_signature *chain = CHAIN(f, sign(f, "echo", NULL), map_of(f, sign(f, "add", NULL), NULL), sign(f, "echo", NULL));
    mf_run *run = start(f, chain, "{\"count\":4}");
    mf_message *result = NULL;
    cr_assert(eq(int, mf_run_wait(run, PATIENCE, &result, &f->err), MF_OK), "%s", f->err.text);
    mf_run_destroy(run);
    has_text(json_of(result), "{\"mageflow_results\":[1,2,3,4],\"mageflow_swarm\":{\"done\":4,\"failed\":0,\"swarm\":\"swarm-");
    has_text(json_of(result), "\"total\":4}}");
    mf_message_unref(result);
    called(f, "add", 4);
}

FLOW_TEST(flow_map, a_source_nobody_declared_is_refused_when_it_is_made)
{
    mf_signature *map = mf_map(f->mage, "map", "nothing", sign(f, "add", NULL), NULL, &f->err);
    cr_assert(eq(ptr, map, NULL));
    is_status(f->err.status, MF_E_NOT_FOUND);
    is_text(f->err.text, "mf_map: no source \"nothing\" was declared; declare it with mf_source");
}

FLOW_TEST(flow_map, each_must_be_a_task_and_its_callbacks_plain)
{
    numbers s = {.total = 1, .broken = UINT64_MAX};
    declare_source(f, &s, false);
    mf_signature *chain = CHAIN(f, sign(f, "add", NULL), sign(f, "add", NULL));
    cr_assert(eq(ptr, mf_map(f->mage, "map", "numbers", chain, NULL, &f->err), NULL));
    is_status(f->err.status, MF_E_UNSUPPORTED);
    mf_signature *each = on_success(f, sign(f, "add", NULL), CHAIN(f, sign(f, "add", NULL), sign(f, "add", NULL)));
    cr_assert(eq(ptr, mf_map(f->mage, "map", "numbers", each, NULL, &f->err), NULL));
    is_status(f->err.status, MF_E_UNSUPPORTED);
    has_text(f->err.text, "a callback of its items must be a plain task");
}

static mf_status cursor_too_long(const mf_message *message, mf_cursor *cursor, mf_message **item, void *user, mf_error *err)
{
    (void)message, (void)err;
    atomic_fetch_add((atomic_ulong *)user, 1);
    cursor->len = MF_CURSOR_MAX + 1;
    *item = mf_msg("{}");
    return MF_OK;
}

static mf_status without_memory(const mf_message *message, mf_cursor *cursor, mf_message **item, void *user, mf_error *err)
{
    (void)message, (void)cursor, (void)item;
    atomic_fetch_add((atomic_ulong *)user, 1);
    return mf_fail(err, MF_E_NOMEM, "no memory for a number");
}

FLOW_TEST(flow_map, a_source_that_can_never_be_drawn_is_not_drawn_for_ever)
{
    atomic_ulong draws = 0;
    is_status(mf_source(f->mage, MF_SOURCE_DEF(.name = "long", .next = cursor_too_long, .user = &draws), &f->err), MF_OK);
    is_status(mf_source(f->mage, MF_SOURCE_DEF(.name = "poor", .next = without_memory, .user = &draws), &f->err), MF_OK);
    mf_signature *map = mf_map(f->mage, "map", "long", sign(f, "add", NULL), NULL, &f->err);
    ends_failed(f, start(f, map, NULL), "MF_E_INVALID: source \"long\": expected a cursor of at most 230 bytes, got 231");
    map = mf_map(f->mage, "map", "poor", sign(f, "add", NULL), NULL, &f->err);
    ends_failed(f, start(f, map, NULL), "MF_E_INVALID: source \"poor\": no memory for a number");
    settle_down(f);
    called(f, "add", 0);
    cr_assert(le(ulong, atomic_load(&draws), 4), "drawn again and again");
}
