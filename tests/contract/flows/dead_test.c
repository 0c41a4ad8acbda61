/* Dead letters of signatures: what is kept of one, and that it is sent again once at most. */
#include "kit.h"

#include <sched.h>

#define RACERS 4

/* A chain or swarm begins with a message of its own, and its time to live with that. */
static void wait_active(fixture *f, const mf_key *key)
{
    mf_record record = {0};
    int64_t until = mf_store_now_ms(&f->store->base) + 1000 * PATIENCE_S;
    do {
        sched_yield();
        mf_record_release(&record);
        is_status(mf_store_load(&f->store->base, key, 1, &record, &f->err), MF_OK);
    } while (record.state.status == MF_STATUS_PENDING && mf_store_now_ms(&f->store->base) < until);
    is_word(record.state.status, MF_STATUS_ACTIVE);
    mf_record_release(&record);
}

/* End a flow that runs as expired, whatever its time to live. */
static mf_key expire(fixture *f, mf_run *run)
{
    mf_key key = mf_run_key(run);
    wait_active(f, &key);
    mf_edit *edit = mf_edit_begin(f->mage, &f->err);
    is_status(mf_edit_ttl(edit, &key, mf_milliseconds(1), &f->err), MF_OK);
    is_status(mf_edit_commit(edit, &f->err), MF_OK);
    ends_failed(f, run, "Expired: its time to live was over before it ended");
    return key;
}

static mf_dead_letter letter_of(fixture *f, const mf_key *key)
{
    mf_dead_letter letter;
    is_status(mf_dead_read(f->mage, key->text, &letter, &f->err), MF_OK);
    return letter;
}

static size_t letters(fixture *f, size_t page)
{
    mf_dead_letter got[8];
    char after[320] = "";
    size_t all = 0, n;
    do {
        is_status(mf_dead_list(f->mage, after, page, got, &n, &f->err), MF_OK);
        cr_assert(le(sz, n, page));
        for (size_t i = 0; i < n; i++) {
            cr_assert(gt(int, strcmp(got[i].key, after), 0), "%s comes behind %s", got[i].key, after);
            memcpy(after, got[i].key, sizeof after);
            mf_dead_letter_release(&got[i]);
        }
        all += n;
    } while (n > 0);
    return all;
}

FLOW_TEST(flow_dead, a_letter_tells_what_it_was_with_its_callbacks_and_its_message)
{
    mf_signature *chain = CHAIN(f, sign(f, "gate", NULL), sign(f, "note", "{\"step\":2}"));
    chain = on_success(f, on_error(f, chain, sign(f, "note", "{\"late\":true}")), sign(f, "echo", "{\"well\":1}"));
    mf_run *run = start(f, chain, "{\"a\":1}");
    wait_calls(f, "gate", 1);
    mf_key key = expire(f, run);
    mf_dead_letter letter = letter_of(f, &key);
    is_text(letter.key, key.text);
    is_text(letter.name, "chain");
    is_text(letter.reason, "Expired");
    is_text(letter.hindrance, "");
    is_json(letter.message, "{\"a\":1}");
    is_json(letter.flow, "{\"chain\":[{\"task\":\"gate\"},{\"task\":\"note\",\"kwargs\":{\"step\":2}}],"
                         "\"on_success\":[{\"task\":\"echo\",\"kwargs\":{\"well\":1}}],"
                         "\"on_error\":[{\"task\":\"note\",\"kwargs\":{\"late\":true}}]}");
    has_text(json_of(letter.error), "\"type\":\"Expired\"");
    cr_assert(eq(ptr, letter.payload, NULL));
    cr_assert(gt(i64, letter.at_ms, 0));
    mf_dead_letter_release(&letter);
    open_gate(f);
    settle_down(f);
}

FLOW_TEST(flow_dead, a_requeued_flow_runs_from_its_beginning_to_its_callbacks)
{
    mf_signature *chain = on_success(f, CHAIN(f, sign(f, "gate", NULL), sign(f, "echo", "{\"b\":2}")), sign(f, "note", NULL));
    mf_run *run = start(f, chain, "{\"a\":1}");
    wait_calls(f, "gate", 1);
    mf_key key = expire(f, run), as, none;
    open_gate(f);
    is_status(mf_dead_requeue(f->mage, key.text, &as, &f->err), MF_OK);
    cr_assert(mf_key_is_set(&as));
    cr_assert(not(mf_key_eq(&as, &key)));
    ends_done(f, mf_run_open(f->mage, &as, &f->err), "{\"mageflow_results\":{\"a\":1},\"b\":2}");
    wait_calls(f, "note", 1);
    cr_assert(eq(sz, letters(f, 4), 0u));
    is_status(mf_dead_requeue(f->mage, key.text, &none, &f->err), MF_E_NOT_FOUND);
    has_text(f->err.text, as.text);
    settle_down(f);
    called(f, "note", 1);
}

FLOW_TEST(flow_dead, a_task_keeps_the_message_it_was_started_with)
{
    mf_run *run = start(f, sign(f, "gate", "{\"k\":1}"), "{\"a\":1}");
    wait_calls(f, "gate", 1);
    mf_key key = expire(f, run), as;
    mf_dead_letter letter = letter_of(f, &key);
    is_text(letter.name, "gate");
    is_json(letter.message, "{\"a\":1}");
    is_json(letter.flow, "{\"task\":\"gate\",\"kwargs\":{\"k\":1}}");
    mf_dead_letter_release(&letter);
    open_gate(f);
    is_status(mf_dead_requeue(f->mage, key.text, &as, &f->err), MF_OK);
    ends_done(f, mf_run_open(f->mage, &as, &f->err), "{\"a\":1,\"k\":1}");
    settle_down(f);
}

/* ---- once ------------------------------------------------------------------------------------------------------------ */

struct racer {
    fixture           *f;
    mf_key             key;
    bool               drops;
    pthread_barrier_t *together;
    mf_status          st;
};

static void *race(void *arg)
{
    struct racer *r = arg;
    mf_error err;
    pthread_barrier_wait(r->together);
    r->st = r->drops ? mf_dead_drop(r->f->mage, r->key.text, &err) : mf_dead_requeue(r->f->mage, r->key.text, NULL, &err);
    return NULL;
}

/* How many of them were told that they did it. */
static size_t race_for(fixture *f, const mf_key *key, unsigned dropping, size_t *dropped)
{
    struct racer racers[RACERS];
    pthread_t threads[RACERS];
    pthread_barrier_t together;
    size_t won = 0;
    pthread_barrier_init(&together, NULL, RACERS);
    for (unsigned i = 0; i < RACERS; i++) {
        racers[i] = (struct racer){.f = f, .key = *key, .drops = i < dropping, .together = &together};
        cr_assert(eq(int, pthread_create(&threads[i], NULL, race, &racers[i]), 0));
    }
    *dropped = 0;
    for (unsigned i = 0; i < RACERS; i++) {
        pthread_join(threads[i], NULL);
        cr_assert(racers[i].st == MF_OK || racers[i].st == MF_E_NOT_FOUND || racers[i].st == MF_E_STATE, "%s",
                  mf_status_name(racers[i].st));
        won += racers[i].st == MF_OK;
        *dropped += racers[i].st == MF_OK && racers[i].drops;
    }
    pthread_barrier_destroy(&together);
    return won;
}

FLOW_TEST(flow_dead, of_many_who_requeue_and_drop_at_once_one_does)
{
    size_t dropped, sent = 0;
    open_gate(f);
    for (unsigned dropping = 0; dropping <= 2; dropping += 2) {
        mf_signature *swarm = SWARM(f, NULL, sign(f, "linger", NULL), sign(f, "linger", NULL));
        mf_run *run = start(f, on_success(f, swarm, sign(f, "note", NULL)), NULL);
        mf_key key = expire(f, run);
        cr_assert(eq(sz, race_for(f, &key, dropping, &dropped), 1u));
        sent += 1 - dropped;
        cr_assert(eq(sz, letters(f, 3), 0u));
    }
    /* What was sent is stored, and nothing else is alive. */
    mf_key alive[8];
    size_t got;
    mf_filter filter = {.kind = MF_KIND_SWARM, .statuses = 1u << MF_STATUS_PENDING | 1u << MF_STATUS_ACTIVE, .roots = true};
    is_status(mf_store_list(&f->store->base, &filter, NULL, 8, alive, &got, &f->err), MF_OK);
    cr_assert(eq(sz, got, sent));
    for (size_t i = 0; i < got; i++)
        is_status(mf_cancel(f->mage, &alive[i], &f->err), MF_OK);
    settle_down(f);
}

/* ---- what is kept of it ---------------------------------------------------------------------------------------------- */

FLOW_TEST(flow_dead, letters_come_in_pages_and_go_one_by_one)
{
    mf_key keys[5];
    for (size_t i = 0; i < 5; i++)
        keys[i] = expire(f, start(f, sign(f, "linger", NULL), NULL));
    cr_assert(eq(sz, letters(f, 2), 5u));
    cr_assert(eq(sz, letters(f, 8), 5u));
    is_status(mf_dead_drop(f->mage, keys[3].text, &f->err), MF_OK);
    cr_assert(eq(sz, letters(f, 1), 4u));
    is_status(mf_dead_drop(f->mage, keys[3].text, &f->err), MF_E_NOT_FOUND);
    has_text(f->err.text, "it was dropped");
    is_status(mf_dead_requeue(f->mage, keys[3].text, NULL, &f->err), MF_E_NOT_FOUND);
    settle_down(f);
}

FLOW_TEST(flow_dead, a_flow_above_the_bounds_leaves_a_letter_that_says_so)
{
    char *big = malloc(400001), kwargs[64];
    mf_signature *chain = mf_chain(f->mage, "long", NULL, &f->err);
    memset(big, 'x', 400000);
    big[400000] = '\0';
    for (int i = 0; i < 3; i++)
        chain = mf_chain_add(chain, mf_sign(f->mage, "gate", mf_msg("{s:s}", "big", big), &f->err), &f->err);
    free(big);
    snprintf(kwargs, sizeof kwargs, "{\"a\":1}");
    mf_run *run = start(f, chain, kwargs);
    wait_calls(f, "gate", 1);
    mf_key key = expire(f, run);
    mf_dead_letter letter = letter_of(f, &key);
    is_text(letter.name, "long");
    cr_assert(eq(ptr, letter.flow, NULL));
    has_text(letter.hindrance, "above the limits");
    is_json(letter.message, "{\"a\":1}");
    mf_dead_letter_release(&letter);
    is_status(mf_dead_requeue(f->mage, key.text, NULL, &f->err), MF_E_STATE);
    has_text(f->err.text, "cannot be sent again: as data it is above the limits");
    cr_assert(eq(sz, letters(f, 4), 1u));
    open_gate(f);
    settle_down(f);
}

FLOW_TEST(flow_dead, what_is_no_key_and_what_is_not_there_is_said)
{
    mf_dead_letter letter;
    size_t got;
    is_status(mf_dead_read(f->mage, "nonsense", &letter, &f->err), MF_E_INVALID);
    is_status(mf_dead_requeue(f->mage, "nonsense", NULL, &f->err), MF_E_INVALID);
    is_status(mf_dead_drop(f->mage, "nonsense", &f->err), MF_E_INVALID);
    is_status(mf_dead_read(f->mage, "task-abcdefghijklmnopqrstuvwxy", &letter, &f->err), MF_E_NOT_FOUND);
    has_text(f->err.text, "there is no dead letter task-abcdefghijklmnopqrstuvwxy");
    is_status(mf_dead_list(f->mage, NULL, 1, &letter, &got, &f->err), MF_OK);
    cr_assert(eq(sz, got, 0u));
    mf_dead_letter_release(NULL);
}

/* ---- the doctor ------------------------------------------------------------------------------------------------------ */

struct told {
    char     text[4096];
    unsigned count;
};

static void note_finding(void *user, const mf_finding *f)
{
    struct told *t = user;
    size_t len = strlen(t->text);
    snprintf(t->text + len, sizeof t->text - len, "%s %s %s;", mf_finding_level_name(f->level), f->what, f->found);
    t->count++;
    cr_assert(ne(ptr, (void *)(uintptr_t)f->where, NULL));
    cr_assert(f->level == MF_FINDING_OK || f->advice[0] != '\0', "%s says what to do", f->what);
}

FLOW_TEST(flow_doctor, tells_what_it_looked_at_and_how_grave_the_worst_is)
{
    struct told told = {.count = 0};
    mf_finding_level worst = MF_FINDING_ERROR;
    is_status(mf_doctor(f->mage, note_finding, &told, &worst, &f->err), MF_OK);
    has_text(told.text, "ok dead-letters none;");
    has_text(told.text, " durability ");
    told = (struct told){.count = 0};
    expire(f, start(f, sign(f, "linger", NULL), NULL));
    is_status(mf_doctor(f->mage, note_finding, &told, &worst, &f->err), MF_OK);
    has_text(told.text, "warn dead-letters 1;");
    cr_assert(ge(int, worst, MF_FINDING_WARN));
    is_status(mf_doctor(f->mage, NULL, NULL, NULL, &f->err), MF_E_INVALID);
    settle_down(f);
}
