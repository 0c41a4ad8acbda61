/* The Redis store against what only a real server does: its clock, its restarts, its permissions, other processes. What every
 * store promises is asked in tests/contract/store. */
#include "kit.h"

#include <mageflow/client.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "redis_store.h"

static redis_server s;

static void stop(void)
{
    redis_server_stop(&s);
}

TestSuite(redis_store, .fini = stop, .timeout = 240);

static mf_store *open_as(const char *before)
{
    mfi_redis_address address;
    mf_store *store;
    mf_error err = {0};
    char url[256];
    snprintf(url, sizeof url, "redis://%s127.0.0.1:%u", before, s.port);
    cr_assert(eq(int, mfi_redis_address_from_url(url, &address, &err), MF_OK));
    cr_assert(eq(int, mfi_redis_store_create(&(mfi_redis_store_options){.address = &address, .timeout = mf_seconds(60)}, &store,
                                             &err), MF_OK), "%s", err.text);
    return store;
}

static mf_key key_of(const char *prefix, unsigned n)
{
    char text[64];
    mf_key key;
    snprintf(text, sizeof text, "%s-%025u", prefix, n);
    cr_assert(eq(int, mf_key_parse(mf_cstr(text), &key, NULL), MF_OK));
    return key;
}

static void commit(mf_store *store, const mf_batch *batch)
{
    mf_error err = {0};
    cr_assert(eq(int, mf_store_commit(store, batch, NULL, &err), MF_OK), "%s", err.text);
}

static mf_spec *put_swarm(mf_store *store, unsigned n)
{
    mf_spec *spec = mf_spec_create(NULL, MF_KIND_SWARM, MF_STR_LIT("swarm"));
    mf_state state = {.status = MF_STATUS_ACTIVE};
    spec->key = key_of("swarm", n);
    commit(store, &(mf_batch){.puts = &(mf_put){spec, &state}, .put_count = 1});
    return spec;
}

Test(redis_store, its_clock_is_the_servers)
{
    s = (redis_server)REDIS_SERVER(NULL);
    redis_server_start(&s);
    mf_store *store = open_as("");
    mfi_redis *redis = mfi_redis_store_link(store);
    char before[64], after[64];
    live_call(redis, "EVAL local\tt=redis.call('TIME')return(t[1]*1000+math.floor(t[2]/1000)) 0", before, NULL);
    int64_t now = mf_store_now_ms(store);
    mf_spec *swarm = put_swarm(store, 1);
    mf_record record;
    cr_assert(eq(int, mf_store_load(store, &swarm->key, 1, &record, NULL), MF_OK));
    live_call(redis, "EVAL local\tt=redis.call('TIME')return(t[1]*1000+math.floor(t[2]/1000)) 0", after, NULL);
    cr_assert(ge(i64, now, atoll(before)));
    cr_assert(ge(i64, record.state.created_ms, now));
    cr_assert(ge(i64, atoll(after), record.state.created_ms));
    cr_assert(eq(i64, mf_store_lease_ms(store), 30000));
    mf_record_release(&record);
    mf_spec_unref(swarm);
    mf_store_destroy(store);
}

static void hear(void *user)
{
    fake_signal(user);
}

Test(redis_store, a_commit_in_another_process_is_heard_of_and_our_own_is_not)
{
    s = (redis_server)REDIS_SERVER(NULL);
    redis_server_start(&s);
    mf_store *ours = open_as(""), *theirs = open_as("");
    fake_event heard = FAKE_EVENT, theirs_heard = FAKE_EVENT;
    cr_assert(eq(int, mf_store_watch_start(ours, &(mf_store_watch){.elsewhere = hear, .user = &heard}), MF_OK));
    cr_assert(eq(int, mf_store_watch_start(theirs, &(mf_store_watch){.elsewhere = hear, .user = &theirs_heard}), MF_OK));
    mf_spec_unref(put_swarm(theirs, 1));
    fake_await(&heard, 1);
    cr_assert(eq(int, theirs_heard.count, 0));
    mf_spec_unref(put_swarm(ours, 2));
    fake_await(&theirs_heard, 1);
    cr_assert(eq(int, heard.count, 1));
    mf_store_destroy(ours);
    mf_store_destroy(theirs);
}

/* Long before the next poll. */
Test(redis_store, what_others_wait_for_is_heard_of_at_once)
{
    s = (redis_server)REDIS_SERVER(NULL);
    redis_server_start(&s);
    mfi_redis_address address;
    mf_store *ours, *theirs = open_as("");
    mf_error err = {0};
    char url[64];
    fake_event heard = FAKE_EVENT;
    snprintf(url, sizeof url, "redis://127.0.0.1:%u", s.port);
    cr_assert(eq(int, mfi_redis_address_from_url(url, &address, &err), MF_OK));
    cr_assert(eq(int, mfi_redis_store_create(&(mfi_redis_store_options){.address = &address, .poll = mf_minutes(10)}, &ours, &err),
                 MF_OK), "%s", err.text);
    cr_assert(eq(int, mf_store_watch_start(ours, &(mf_store_watch){.elsewhere = hear, .user = &heard}), MF_OK));
    mf_spec *swarm = put_swarm(theirs, 1);      /* nobody waits for what is new */
    mf_state state = {.status = MF_STATUS_CANCELED};
    commit(theirs, &(mf_batch){.key = swarm->key, .version = 0, .state = &state});
    fake_await(&heard, 1);
    mf_spec *call = mf_spec_create(NULL, MF_KIND_TASK, MF_STR_LIT("resize"));
    mf_entry entry = {.spec = call, .attempt = 1};
    commit(theirs, &(mf_batch){.entries = &entry, .entry_count = 1});
    fake_await(&heard, 2);
    char length[64];
    live_call(mfi_redis_store_link(theirs), "XLEN mageflow:wake", length, NULL);
    cr_assert(eq(str, length, "1"));
    mf_spec_unref(call);
    mf_spec_unref(swarm);
    mf_store_destroy(ours);     /* its wait in the server is ended */
    mf_store_destroy(theirs);
}

/* ---- restarts --------------------------------------------------------------------------------------------------- */

enum { WRITERS = 4, EACH = 1500 };

struct writer {
    mf_store   *store;
    mf_spec    *call;
    mf_key      key;
    int         number;
    atomic_int *done;
    bool        ok[EACH];
    pthread_t   thread;
};

/* Each commit sends one message, of its own index. */
static void *write_some(void *arg)
{
    struct writer *w = arg;
    for (int i = 0; i < EACH; i++) {
        mf_entry entry = {.spec = w->call, .unit = {w->key, (uint64_t)(w->number * EACH + i), 0}, .attempt = 1};
        w->ok[i] = mf_store_commit(w->store, &(mf_batch){.entries = &entry, .entry_count = 1}, NULL, NULL) == MF_OK;
        atomic_fetch_add(w->done, 1);
    }
    return NULL;
}

static void take_all(mf_store *store, int *seen)
{
    mf_taken taken[64];
    size_t got;
    int64_t next;
    do {
        mf_error err = {0};
        cr_assert(eq(int, mf_store_take(store, 64, taken, &got, &next, &err), MF_OK), "%s", err.text);
        for (size_t i = 0; i < got; i++) {
            seen[taken[i].entry.unit.index]++;
            mf_entry_release(&taken[i].entry);
        }
    } while (got > 0);
}

Test(redis_store, commits_through_kills_of_the_server_are_done_once_and_all_answered)
{
    s = (redis_server)REDIS_SERVER("--appendonly", "yes", "--appendfsync", "no");
    redis_server_start(&s);
    mf_store *store = open_as("");
    mf_spec *swarm = put_swarm(store, 1), *call = mf_spec_create(NULL, MF_KIND_TASK, MF_STR_LIT("work"));
    static struct writer writers[WRITERS];
    atomic_int done = 0;
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.store = store, .call = call, .key = swarm->key, .number = i, .done = &done};
        pthread_create(&writers[i].thread, NULL, write_some, &writers[i]);
    }
    for (int kill = 1; kill <= 4; kill++) {
        while (atomic_load(&done) < kill * WRITERS * EACH / 5)
            sched_yield();
        redis_server_kill(&s);
        redis_server_start(&s);
    }
    static int seen[WRITERS * EACH];
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writers[i].thread, NULL);
    take_all(store, seen);
    mfi_redis_stats stats;
    mfi_redis_stats_read(mfi_redis_store_link(store), &stats);
    cr_assert(gt(u64, stats.resent, 0));
    for (int i = 0; i < WRITERS * EACH; i++) {
        cr_assert(writers[i / EACH].ok[i % EACH], "commit %d failed", i);
        cr_assert(eq(int, seen[i], 1), "commit %d was done %d times", i, seen[i]);
    }
    mf_spec_unref(swarm);
    mf_spec_unref(call);
    mf_store_destroy(store);
}

Test(redis_store, after_the_server_was_emptied_an_old_token_is_nobodys)
{
    s = (redis_server)REDIS_SERVER(NULL);
    redis_server_start(&s);
    mf_store *store = open_as("");
    mf_spec *call = mf_spec_create(NULL, MF_KIND_TASK, MF_STR_LIT("work"));
    mf_entry entry = {.spec = call, .attempt = 1};
    mf_taken taken;
    size_t got;
    int64_t next;
    commit(store, &(mf_batch){.entries = &entry, .entry_count = 1});
    cr_assert(eq(int, mf_store_take(store, 1, &taken, &got, &next, NULL), MF_OK));
    mf_entry_release(&taken.entry);
    uint64_t old = taken.claim.token;
    live_do(mfi_redis_store_link(store), "FLUSHALL");
    mf_refusal refusal;
    for (int i = 0; i < 3; i++) {
        commit(store, &(mf_batch){.entries = &entry, .entry_count = 1});
        cr_assert(eq(int, mf_store_take(store, 1, &taken, &got, &next, NULL), MF_OK));
        cr_assert(eq(sz, got, 1));
        mf_entry_release(&taken.entry);
    }
    cr_assert(eq(int, mf_store_commit(store, &(mf_batch){.settles = &old, .settle_count = 1}, &refusal, NULL), MF_E_CONFLICT));
    cr_assert(eq(int, refusal.guard, MF_GUARD_SETTLE));
    mf_spec_unref(call);
    mf_store_destroy(store);
}

Test(redis_store, a_batch_beyond_what_redis_takes_at_once_is_refused_before_it_is_sent)
{
    enum { MANY = 600000 };
    s = (redis_server)REDIS_SERVER(NULL);
    redis_server_start(&s);
    mf_store *store = open_as("");
    mf_spec *swarm = put_swarm(store, 1);
    uint64_t *tokens = calloc(2 * MANY, sizeof *tokens);
    mf_error err = {0};
    cr_assert(eq(int, mf_store_commit(store, &(mf_batch){.published = tokens, .published_count = 2 * MANY}, NULL, &err),
                 MF_E_TOO_BIG));
    cr_assert(live_says(&err, "too much"), "%s", err.text);
    commit(store, &(mf_batch){.published = tokens, .published_count = MANY});
    free(tokens);
    mf_spec_unref(swarm);
    mf_store_destroy(store);
}

/* ---- permissions ------------------------------------------------------------------------------------------------ */

/* Every operation once. */
static void use_all(mf_store *store)
{
    mf_error err = {0};
    mf_spec *call = mf_spec_create(NULL, MF_KIND_TASK, MF_STR_LIT("work")), *swarm = put_swarm(store, 7);
    mf_spec *task = mf_spec_create(NULL, MF_KIND_TASK, MF_STR_LIT("task"));
    task->key = key_of("task", 7);
    mf_state state = {.status = MF_STATUS_SUSPENDED, .deadline_ms = 1};
    mf_item item = {call, NULL};
    mf_outcome outcome = {0, MF_STATUS_DONE, NULL};
    mf_message *value = NULL;
    cr_assert(eq(int, mf_message_from_bytes(MF_STR_LIT("\x01"), NULL, NULL, &value, NULL), MF_OK));
    mf_note notes[] = {{MF_STR_LIT("s"), MF_STR_LIT("n"), value, 0, true}, {MF_STR_LIT("s"), MF_STR_LIT("e"), value, 1, false}};
    mf_entry entries[] = {{.spec = call, .attempt = 1}, {.spec = call, .attempt = 1, .due_ms = INT64_MAX / 4},
                          {.spec = call, .attempt = 1, .parked = task->key}};
    commit(store, &(mf_batch){.puts = &(mf_put){task, &state}, .put_count = 1, .key = swarm->key, .items = &item, .item_count = 1,
                              .outcomes = &outcome, .outcome_count = 1, .entries = entries, .entry_count = 3,
                              .notes = notes, .note_count = 2});
    mf_taken taken;
    size_t got, claimed;
    int64_t next;
    cr_assert(eq(int, mf_store_take(store, 1, &taken, &got, &next, &err), MF_OK), "%s", err.text);
    cr_assert(eq(int, mf_store_renew(store, &taken.claim.token, 1, &err), MF_OK), "%s", err.text);
    cr_assert(eq(int, mf_store_give_back(store, &taken.claim.token, 1, &err), MF_OK), "%s", err.text);
    mf_entry_release(&taken.entry);
    mf_claim claim = {.unit = {swarm->key, 1, 0}, .attempt = 1};
    cr_assert(eq(int, mf_store_claim(store, &claim, 1, &err), MF_OK), "%s", err.text);
    mf_entry out;
    cr_assert(eq(int, mf_store_outbox(store, 1, &out, &got, &next, &err), MF_OK), "%s", err.text);
    commit(store, &(mf_batch){.published = &out.id, .published_count = 1, .settles = &claim.token, .settle_count = 1,
                              .resume = task->key});
    mf_entry_release(&out);
    mf_key keys[2];
    cr_assert(eq(int, mf_store_expired(store, 2, keys, &got, &next, &err), MF_OK), "%s", err.text);
    cr_assert(eq(sz, got, 1));
    cr_assert(eq(int, mf_store_list(store, NULL, NULL, 2, keys, &got, &err), MF_OK), "%s", err.text);
    cr_assert(eq(sz, got, 2));
    mf_item read;
    cr_assert(eq(int, mf_store_items(store, &swarm->key, 0, 1, &read, &got, &err), MF_OK), "%s", err.text);
    mf_spec_unref(read.spec);
    cr_assert(eq(int, mf_store_outcomes(store, &swarm->key, 0, 1, &outcome, &got, &err), MF_OK), "%s", err.text);
    cr_assert(eq(int, outcome.status, MF_STATUS_DONE));
    mf_note note;
    cr_assert(eq(int, mf_store_notes(store, MF_STR_LIT("s"), MF_STR_LIT(""), 1, &note, &got, &err), MF_OK), "%s", err.text);
    cr_assert(mf_str_eq(note.name, MF_STR_LIT("n")));
    mf_note_release(store, &note);
    mf_message *again = NULL;
    cr_assert(eq(int, mf_store_read_note(store, MF_STR_LIT("s"), MF_STR_LIT("n"), &again, &err), MF_OK), "%s", err.text);
    mf_message_unref(again);
    char *text;
    size_t len;
    cr_assert(eq(int, mf_store_log(store, &swarm->key, MF_STR_LIT("line")), MF_OK));
    cr_assert(eq(int, mf_store_read_log(store, &swarm->key, 0, NULL, &text, &len), MF_OK));
    free(text);
    cr_assert(eq(int, mf_store_progress(store, &swarm->key, value), MF_OK));
    cr_assert(eq(int, mf_store_read_progress(store, &swarm->key, &again), MF_OK));
    mf_message_unref(again);
    mf_store_load_counts(store, &got, &claimed);
    cr_assert(eq(sz, got, 2));
    commit(store, &(mf_batch){.removals = &(mf_removal){.key = swarm->key}, .removal_count = 1,
                              .notes = &(mf_note){MF_STR_LIT("s"), MF_STR_LIT("n"), NULL, 0, false}, .note_count = 1});
    mf_message_unref(value);
    mf_spec_unref(task);
    mf_spec_unref(swarm);
    mf_spec_unref(call);
}

/* The words of the ACL in adapters/redis/README.md, behind the user's name. */
static void permissions_of_the_readme(char *text, size_t size, const char **words, size_t max)
{
    FILE *file = fopen(README, "r");
    cr_assert(file != NULL);
    char line[512];
    size_t n = 0, used = 0;
    bool inside = false;
    while (fgets(line, sizeof line, file) != NULL) {
        char *from = strstr(line, "ACL SETUSER mageflow");
        if (from != NULL)
            from += strlen("ACL SETUSER mageflow");
        else if (inside && strncmp(line, "        +", 9) == 0)
            from = line;
        inside = from != NULL;
        for (char *word = from != NULL ? strtok(from, " \n") : NULL; word != NULL; word = strtok(NULL, " \n")) {
            if (word[0] == '+' || word[0] == '~') {
                size_t len = strlen(word) + 1;
                cr_assert(used + len < size && n + 1 < max);
                memcpy(text + used, word, len);
                words[n++] = text + used;
                used += len;
            }
        }
    }
    fclose(file);
    cr_assert(gt(sz, n, 30));
}

static void count_commands(void *user, const mf_finding *f)
{
    int *asked = user;
    if (strcmp(f->what, "commands") == 0) {
        (*asked)++;
        cr_assert(eq(int, f->level, MF_FINDING_OK), "%s", f->found);
    }
}

Test(redis_store, the_permissions_in_the_readme_are_enough)
{
    static char text[2048];
    s = (redis_server){.options = {NULL}};
    const char *words[80] = {NULL};
    permissions_of_the_readme(text, sizeof text, words, 80);
    char command[2048] = "ACL SETUSER mageflow reset on >p";
    for (size_t i = 0; words[i] != NULL; i++)
        if (strcmp(words[i], "~*") != 0)
            snprintf(command + strlen(command), sizeof command - strlen(command), " %s", words[i]);
    redis_server_start(&s);
    mfi_redis *admin = live_open_up(&s, "", "");
    mfi_redis_request *rq = mfi_redis_request_create(admin);
    mf_str argv[80];
    size_t argc = 0;
    for (char *word = strtok(command, " "); word != NULL && argc < 80; word = strtok(NULL, " "))
        argv[argc++] = mf_cstr(word);
    mfi_redis_add_argv(rq, argc, argv);
    mf_error err = {0};
    cr_assert(eq(int, mfi_redis_call(admin, rq, NULL, NULL, &err), MF_OK), "%s", err.text);
    mf_store *store = open_as("mageflow:p@");
    use_all(store);
    int asked = 0;
    mf_store_doctor(store, count_commands, &asked);     /* and what the doctor asks for is no more than that */
    cr_assert(eq(int, asked, 1));
    mf_store_destroy(store);
    mfi_redis_destroy(admin, 0);
}

/* ---- by a URL --------------------------------------------------------------------------------------------------- */

Test(redis_store, a_url_names_it)
{
    s = (redis_server)REDIS_SERVER(NULL);
    redis_server_start(&s);
    char url[256], got[64];
    mf_error err = {0};
    mf_client *client;
    snprintf(url, sizeof url, "local:?store=redis://127.0.0.1:%u?db=3&threads=2", s.port);
    cr_assert(eq(int, mf_open(url, NULL, &client, &err), MF_OK), "%s", err.text);
    mf_client_destroy(client);
    mfi_redis *redis = live_open_up(&s, "", "/3");
    cr_assert(eq(int, live_call(redis, "EXISTS mageflow:ids", got, NULL), MF_OK));
    cr_assert(eq(str, got, "1"));
    mfi_redis_destroy(redis, 0);
    cr_assert(eq(int, mf_open("local:?store=redis://h:s3cret", NULL, &client, &err), MF_E_INVALID));
    cr_assert(not(live_says(&err, "s3cret")), "%s", err.text);
}
