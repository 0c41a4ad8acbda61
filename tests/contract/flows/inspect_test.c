/* Looking at what is stored: lists, one signature, its parts, its log, its task. */
#include "kit.h"

#include <mageflow/inspect.h>

#include <sched.h>

static mf_key key_of_run(mf_run *run)
{
    mf_key key = mf_run_key(run);
    mf_run_destroy(run);
    return key;
}

/* The parts from `from` on, one a line: "1 active gate", with ": VALUE" where there is one. */
static const char *parts_of(fixture *f, const mf_key *key, uint64_t from, size_t max)
{
    static char text[4096];
    mf_part parts[128];
    size_t got, len = 0;
    cr_assert(le(sz, max, 128));
    is_status(mf_inspect_parts(f->mage, key, from, max, parts, &got, &f->err), MF_OK);
    text[0] = '\0';
    for (size_t i = 0; i < got; i++) {
        mf_part *p = &parts[i];
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%d %s %.*s", i > 0 ? "\n" : "", (int)p->index,
                                p->never ? "never" : mf_signature_status_name(p->status), (int)p->spec->name.len, p->spec->name.at);
        if (mf_key_is_set(&p->key) && p->spec->kind != MF_KIND_TASK)
            len += (size_t)snprintf(text + len, sizeof text - len, " %d/%d", (int)p->counts.done, (int)p->counts.total);
        mf_str type = {NULL, 0};
        if (p->status == MF_STATUS_FAILED && mf_message_scan(p->value, NULL, "{s:S}", "type", &type) == MF_OK)
            len += (size_t)snprintf(text + len, sizeof text - len, ": %.*s", (int)type.len, type.at);
        else if (p->value != NULL && p->spec->kind == MF_KIND_TASK)
            len += (size_t)snprintf(text + len, sizeof text - len, ": %s", json_of(p->value));
        mf_part_release(p);
    }
    return text;
}

static mf_key key_of_part(fixture *f, const mf_key *key, uint64_t index)
{
    mf_part part;
    size_t got;
    is_status(mf_inspect_parts(f->mage, key, index, 1, &part, &got, &f->err), MF_OK);
    cr_assert(eq(sz, got, 1));
    mf_key found = part.key;
    mf_part_release(&part);
    return found;
}

/* ---- one signature and its parts --------------------------------------------------------------------------------------- */

FLOW_TEST(flow_inspect, a_failed_chain_in_a_swarm_that_runs_on_is_seen_whole)
{
    mf_signature *chain = CHAIN(f, sign(f, "add", NULL), sign(f, "fail", NULL), sign(f, "note", NULL));
    mf_signature *swarm = SWARM(f, NULL, chain, sign(f, "gate", "{\"a\":1}"), sign(f, "add", "{\"n\":4}"));
    mf_key key = key_of_run(start(f, swarm, "{\"n\":1}"));
    wait_calls(f, "gate", 1);
    while (count(f, &key).failed < 1 || count(f, &key).done < 1)
        sched_yield();
    is_text(parts_of(f, &key, 0, 10), "0 failed chain 1/3: Boom\n1 active gate\n2 done add: 5");
    is_text(parts_of(f, &key, 1, 1), "1 active gate");
    is_text(parts_of(f, &key, 3, 10), "");

    mf_key inner = key_of_part(f, &key, 0);
    is_text(parts_of(f, &inner, 0, 10), "0 done add\n1 failed fail: Boom\n2 never note");
    mf_record record, above[4];
    size_t got;
    is_status(mf_inspect(f->mage, &inner, &record, &f->err), MF_OK);
    is_word(record.state.status, MF_STATUS_FAILED);
    is_past(f, record.state.created_ms);
    mf_record_release(&record);
    is_status(mf_inspect_above(f->mage, &inner, 4, above, &got, &f->err), MF_OK);
    cr_assert(eq(sz, got, 1));
    cr_assert(mf_key_eq(&above[0].spec->key, &key));
    mf_record_release(&above[0]);
    is_status(mf_inspect_above(f->mage, &key, 4, above, &got, &f->err), MF_OK);
    cr_assert(eq(sz, got, 0));

    open_gate(f);
    mf_run *run = mf_run_open(f->mage, &key, &f->err);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_OK);
    mf_run_destroy(run);
    is_text(parts_of(f, &key, 1, 1), "1 done gate: {\"a\":1,\"n\":1}");
}

FLOW_TEST(flow_inspect, what_is_above_a_callback_in_a_swarm_is_named_from_the_inside_out)
{
    mf_signature *callback = sign(f, "note", NULL);
    mf_key keys[3], of = mf_signature_key(callback);
    mf_signature *item = on_success(f, sign(f, "gate", NULL), callback);
    keys[0] = mf_signature_key(item);
    mf_signature *chain = CHAIN(f, item, sign(f, "note", NULL));
    keys[1] = mf_signature_key(chain);
    mf_signature *swarm = SWARM(f, NULL, chain);
    keys[2] = key_of_run(start(f, swarm, NULL));
    wait_calls(f, "gate", 1);
    mf_record above[3];
    size_t got;
    is_status(mf_inspect_above(f->mage, &of, 3, above, &got, &f->err), MF_OK);
    cr_assert(eq(sz, got, 3));
    for (size_t i = 0; i < got; i++) {
        cr_assert(mf_key_eq(&above[i].spec->key, &keys[i]), "%s", above[i].spec->key.text);
        mf_record_release(&above[i]);
    }
    is_status(mf_inspect_above(f->mage, &of, 1, above, &got, &f->err), MF_OK);
    cr_assert(eq(sz, got, 1));
    mf_record_release(&above[0]);
    open_gate(f);
    settle_down(f);
}

FLOW_TEST(flow_inspect, the_parts_of_a_long_swarm_come_in_pages_of_any_size)
{
    enum { ITEMS = 150 };
    mf_signature *items[ITEMS];
    mf_part parts[ITEMS + 1];
    size_t got, all = many(f, ITEMS), third = all / 3;
    for (size_t i = 0; i < all; i++)
        items[i] = sign(f, "add", i % third == 0 ? "{\"n\":1000}" : NULL);
    mf_run *run = start(f, swarm_of(f, NULL, all, items), "{\"n\":1}");
    mf_key key = mf_run_key(run);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_OK);
    mf_run_destroy(run);
    is_status(mf_inspect_parts(f->mage, &key, 0, ITEMS + 1, parts, &got, &f->err), MF_OK);
    cr_assert(eq(sz, got, all));
    for (size_t i = 0; i < got; i++) {
        cr_assert(eq(u64, parts[i].index, i));
        is_word(parts[i].status, MF_STATUS_DONE);
        is_json(parts[i].value, i % third == 0 ? "1001" : "2");
        mf_part_release(&parts[i]);
    }
    char want[96];
    snprintf(want, sizeof want, "%zu done add: 2\n%zu done add: 1001\n%zu done add: 2", 2 * third - 1, 2 * third, 2 * third + 1);
    is_text(parts_of(f, &key, 2 * third - 1, 3), want);
    is_status(mf_inspect_parts(f->mage, &key, UINT64_MAX, 3, parts, &got, &f->err), MF_OK);
    cr_assert(eq(sz, got, 0));
}

static mf_status next_of_three(const mf_message *message, mf_cursor *cursor, mf_message **item, void *user, mf_error *err)
{
    (void)message, (void)user, (void)err;
    if (cursor->len < 3) {
        *item = mf_msg("{s:i}", "n", cursor->len);
        cursor->bytes[cursor->len++] = 0;
    }
    return MF_OK;
}

FLOW_TEST(flow_inspect, an_item_of_a_map_is_the_call_of_its_task)
{
    is_status(mf_source(f->mage, MF_SOURCE_DEF(.name = "three", .next = next_of_three), &f->err), MF_OK);
    mf_run *run = start(f, mf_map(f->mage, "map", "three", sign(f, "add", NULL), NULL, &f->err), NULL);
    mf_key key = mf_run_key(run);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_OK);
    mf_run_destroy(run);
    is_text(parts_of(f, &key, 0, 10), "0 done add: 1\n1 done add: 2\n2 done add: 3");
}

FLOW_TEST(flow_inspect, a_task_has_no_parts_and_what_is_not_there_is_said_so)
{
    mf_run *run = start(f, sign(f, "add", NULL), "{\"n\":1}");
    mf_key key = mf_run_key(run);
    ends_done(f, run, "2");
    is_text(parts_of(f, &key, 0, 10), "");
    mf_key nobody = key;
    memset(nobody.text + 5, 'a', 25);
    mf_record record;
    mf_part part;
    mf_line line;
    size_t got;
    is_status(mf_inspect(f->mage, &nobody, &record, &f->err), MF_E_NOT_FOUND);
    has_text(f->err.text, nobody.text);
    is_status(mf_inspect_above(f->mage, &nobody, 1, &record, &got, &f->err), MF_E_NOT_FOUND);
    is_status(mf_inspect_parts(f->mage, &nobody, 0, 1, &part, &got, &f->err), MF_E_NOT_FOUND);
    is_status(mf_inspect_log(f->mage, &nobody, 0, 1, &line, &got, &f->err), MF_E_NOT_FOUND);
}

FLOW_TEST(flow_inspect, a_key_is_found_as_it_is_written_and_a_unique_run_by_its_name)
{
    mf_signature *task = sign(f, "add", NULL);
    mf_run *run = mf_start_with(task, NULL, MF_START_OPTIONS(.unique = "nightly"), &f->err);
    cr_assert(ne(ptr, run, NULL), "%s", f->err.text);
    mf_signature_destroy(task);
    mf_key key = mf_run_key(run), found;
    ends_done(f, run, "1");
    is_status(mf_inspect_find(f->mage, "nightly", &found, &f->err), MF_OK);
    cr_assert(mf_key_eq(&found, &key));
    is_status(mf_inspect_find(f->mage, key.text, &found, &f->err), MF_OK);
    cr_assert(mf_key_eq(&found, &key));
    is_status(mf_inspect_find(f->mage, "weekly", &found, &f->err), MF_E_NOT_FOUND);
    has_text(f->err.text, "\"weekly\" is no key");
    is_status(mf_inspect_find(f->mage, "", &found, &f->err), MF_E_INVALID);
    is_status(mf_inspect_find(f->mage, NULL, &found, &f->err), MF_E_INVALID);
}

/* ---- lists --------------------------------------------------------------------------------------------------------------- */

/* The keys of a list read in pages of `page`, newest first. */
static size_t list(fixture *f, const mf_list_options *options, size_t page, mf_key *keys, size_t max)
{
    mf_key after = {{0}};
    size_t n = 0, got;
    do {
        mf_record records[8];
        is_status(mf_inspect_list(f->mage, options, &after, page, records, &got, &f->err), MF_OK);
        for (size_t i = 0; i < got; i++) {
            cr_assert(lt(sz, n, max));
            keys[n++] = records[i].spec->key;
            mf_record_release(&records[i]);
        }
    } while (got == page);
    return n;
}

static void is_list(fixture *f, const mf_list_options *options, const mf_key *want, size_t n)
{
    for (size_t page = 1; page <= 8; page += 3) {
        mf_key keys[32];
        size_t count = list(f, options, page, keys, 32);
        cr_assert(eq(sz, count, n), "in pages of %zu", page);
        for (size_t i = 0; i < n; i++)
            cr_assert(mf_key_eq(&keys[i], &want[i]), "%zu in pages of %zu: %s", i, page, keys[i].text);
    }
}

FLOW_TEST(flow_inspect, a_list_has_what_was_asked_for_the_newest_first_in_pages_of_any_size)
{
    mf_key all[7];
    for (int i = 0; i < 5; i++) {
        mf_run *run = start(f, sign(f, i % 2 == 0 ? "add" : "fail", NULL), NULL);
        all[6 - i] = mf_run_key(run);
        (void)mf_run_wait(run, PATIENCE, NULL, NULL);
        mf_run_destroy(run);
    }
    mf_signature *item = on_success(f, sign(f, "add", NULL), sign(f, "note", NULL));
    mf_key inside = mf_signature_key(item);
    mf_run *run = start(f, SWARM(f, NULL, item), NULL);
    all[1] = mf_run_key(run);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_OK);
    mf_run_destroy(run);
    wait_calls(f, "note", 1);
    all[0] = key_of_run(start(f, CHAIN(f, sign(f, "gate", NULL), sign(f, "note", NULL)), NULL));
    wait_calls(f, "gate", 1);

    is_list(f, NULL, all, 7);
    is_list(f, MF_LIST_OPTIONS(.statuses = 1u << MF_STATUS_ACTIVE), all, 1);
    is_list(f, MF_LIST_OPTIONS(.statuses = 1u << MF_STATUS_FAILED), (mf_key[]){all[3], all[5]}, 2);
    is_list(f, MF_LIST_OPTIONS(.statuses = 1u << MF_STATUS_ACTIVE | 1u << MF_STATUS_FAILED), (mf_key[]){all[0], all[3], all[5]}, 3);
    is_list(f, MF_LIST_OPTIONS(.kind = MF_KIND_SWARM), &all[1], 1);
    is_list(f, MF_LIST_OPTIONS(.name = "fail"), (mf_key[]){all[3], all[5]}, 2);
    is_list(f, MF_LIST_OPTIONS(.name = "add"), (mf_key[]){all[2], all[4], all[6]}, 3);
    is_list(f, MF_LIST_OPTIONS(.name = "add", .parts = true), (mf_key[]){inside, all[2], all[4], all[6]}, 4);
    is_list(f, MF_LIST_OPTIONS(.name = "nobody", .parts = true), NULL, 0);
    is_list(f, MF_LIST_OPTIONS(.name = "fail", .statuses = 1u << MF_STATUS_DONE), NULL, 0);
    open_gate(f);
    settle_down(f);
}

FLOW_TEST(flow_inspect, a_list_whose_place_was_removed_says_so)
{
    mf_key after = {{0}};
    mf_record record;
    size_t got;
    for (int i = 0; i < 2; i++)
        ends_done(f, start(f, sign(f, "add", NULL), NULL), "1");
    is_status(mf_inspect_list(f->mage, NULL, &after, 1, &record, &got, &f->err), MF_OK);
    cr_assert(eq(sz, got, 1));
    mf_record_release(&record);
    is_status(mf_remove(f->mage, &after, MF_REMOVE_ALL, &f->err), MF_OK);
    is_status(mf_inspect_list(f->mage, NULL, &after, 1, &record, &got, &f->err), MF_E_NOT_FOUND);
    mf_list_options none = {0};
    after = (mf_key){{0}};
    is_status(mf_inspect_list(f->mage, &none, &after, 1, &record, &got, &f->err), MF_E_INVALID);
}

/* ---- logs and tasks ------------------------------------------------------------------------------------------------------ */

static mf_status talker(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)in, (void)out, (void)user;
    for (int i = 0; i < 5; i++)
        (void)mf_context_log(ctx, "line %d", i);
    return MF_OK;
}

FLOW_TEST(flow_inspect, a_log_is_read_page_by_page_with_the_numbers_of_its_lines)
{
    is_status(mf_task(f->mage, MF_TASK_DEF(.name = "talker", .run = talker), &f->err), MF_OK);
    mf_run *run = start(f, sign(f, "talker", NULL), NULL);
    mf_key key = mf_run_key(run);
    ends_done(f, run, "null");
    mf_line lines[3];
    size_t got = 1;
    for (uint64_t from = 0; from < 5; from += got) {
        is_status(mf_inspect_log(f->mage, &key, from, 3, lines, &got, &f->err), MF_OK);
        cr_assert(eq(sz, got, from == 0 ? 3 : 2));
        for (size_t i = 0; i < got; i++) {
            char want[16];
            snprintf(want, sizeof want, "line %d", (int)(from + i));
            cr_assert(eq(u64, lines[i].number, from + i));
            is_text(lines[i].text, want);
            mf_text_free(f->mage, lines[i].text);
        }
    }
    is_status(mf_inspect_log(f->mage, &key, 5, 3, lines, &got, &f->err), MF_OK);
    cr_assert(eq(sz, got, 0));
}

FLOW_TEST(flow_inspect, a_declared_task_tells_how_it_is_called)
{
    mf_message *task = NULL;
    uint64_t retries = 0;
    int64_t backoff = 0;
    mf_value in;
    is_status(mf_inspect_task(f->mage, MF_STR_LIT("flaky"), &task, &f->err), MF_OK);
    is_status(mf_message_scan(task, &f->err, "{s:U, s:I, s:v}", "retries", &retries, "backoff_ms", &backoff, "in", &in), MF_OK);
    cr_assert(all(eq(u64, retries, 3), eq(i64, backoff, 10), eq(int, mf_value_type(in), MF_TYPE_NIL)));
    mf_message_unref(task);
    is_status(mf_inspect_task(f->mage, MF_STR_LIT("path"), &task, &f->err), MF_OK);
    cr_assert(mf_value_get(mf_message_value(task), MF_STR_LIT("in"), &in));
    cr_assert(eq(int, mf_value_type(in), MF_TYPE_MAP));
    mf_message_unref(task);
    is_status(mf_inspect_task(f->mage, MF_STR_LIT("nobody"), &task, &f->err), MF_E_UNKNOWN_TASK);
    is_status(mf_inspect_task(f->mage, MF_STR_LIT(""), &task, &f->err), MF_E_UNKNOWN_TASK);
}

/* ---- without memory ------------------------------------------------------------------------------------------------------ */

static mf_status look(fixture *f, const mf_key *key, int what)
{
    mf_record records[4] = {{0}};
    mf_part parts[4] = {{0}};
    mf_line lines[8];
    mf_message *task = NULL;
    mf_key after = {{0}};
    size_t got = 0;
    mf_status st = what == 0   ? mf_inspect(f->mage, key, &records[0], &f->err)
                   : what == 1 ? mf_inspect_list(f->mage, NULL, &after, 4, records, &got, &f->err)
                   : what == 2 ? mf_inspect_parts(f->mage, key, 0, 4, parts, &got, &f->err)
                   : what == 3 ? mf_inspect_log(f->mage, key, 0, 8, lines, &got, &f->err)
                               : mf_inspect_task(f->mage, MF_STR_LIT("path"), &task, &f->err);
    cr_assert(st == MF_OK || got == 0, "call %d", what);
    for (size_t i = 0; what == 3 && i < got; i++)
        mf_text_free(f->mage, lines[i].text);
    for (size_t i = 0; i < 4; i++) {
        mf_part_release(&parts[i]);
        mf_record_release(&records[i]);
    }
    mf_message_unref(task);
    return st;
}

FLOW_TEST(flow_inspect, without_memory_nothing_is_handed_out_and_nothing_stays)
{
    if (f->maker->store != NULL || f->maker->quirks.outside)
        return;     /* the allocations of a link's or a file's own threads would be refused, too */
    is_status(mf_task(f->mage, MF_TASK_DEF(.name = "talker", .run = talker), &f->err), MF_OK);
    mf_run *run = start(f, SWARM(f, NULL, sign(f, "talker", NULL), sign(f, "fail", NULL)), NULL);
    mf_key key = mf_run_key(run);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_OK);
    mf_run_destroy(run);
    settle_down(f);
    long refused = 0;
    for (int what = 0; what < 5; what++) {
        long n = 1;
        for (bool reached = true; reached; n++) {
            long at = atomic_load(&f->counting.calls) + n;
            atomic_store(&f->counting.fail_at, at);
            mf_status st = look(f, &key, what);
            reached = atomic_load(&f->counting.calls) >= at;
            atomic_store(&f->counting.fail_at, 0);
            cr_assert(st == MF_OK || st == MF_E_NOMEM, "call %d, allocation %ld: %s", what, n, mf_status_name(st));
            refused += st == MF_E_NOMEM;
        }
        is_status(look(f, &key, what), MF_OK);
    }
    cr_assert(ge(long, refused, 5));        /* each line of the log, at least */
}
