#include "kit.h"

#include "kit_tasks.h"
#include "runtime.h"

#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif

struct criterion_test_params flow_parameters(void)
{
    static size_t indices[16];
    for (size_t i = 0; i < flow_maker_count; i++)
        indices[i] = i;
    return cr_make_param_array(size_t, indices, flow_maker_count);
}

/* ---- the fixture ----------------------------------------------------------------------------------------------------- */

void open_fixture(fixture *f, size_t maker)
{
    memset(f, 0, sizeof *f);
    f->maker = &flow_makers[maker];
    pthread_mutex_init(&f->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&f->changed, &attr);
    pthread_condattr_destroy(&attr);
    counting_init(&f->counting);
    mf_store *store = NULL;
    mf_status st = f->maker->store != NULL ? f->maker->store(&f->counting.allocator, &store, &f->err)
                                           : mf_memory_store_create(&f->counting.allocator, NULL, &store, &f->err);
    cr_assert(eq(int, st, MF_OK), "%s: %s", f->maker->name, f->err.text);
    mf_store *spied = spy_store_create(store);
    cr_assert(ne(ptr, spied, NULL));
    f->store = spy_store_of(spied);
    mf_options options = {.struct_size = sizeof options, .allocator = &f->counting.allocator, .threads = THREADS,
                          .task_ttl = {mf_minutes(TASK_TTL_MIN), 0}, .chain_ttl = {mf_minutes(CHAIN_TTL_MIN), 0},
                          .swarm_ttl = {mf_minutes(SWARM_TTL_MIN), mf_minutes(SWARM_KEEP_MIN)}};
    cr_assert(eq(int, f->maker->open(&options, spied, &f->mage, &f->err), MF_OK), "%s: %s", f->maker->name, f->err.text);
    declare_kit_tasks(f);
}

void close_fixture(fixture *f)
{
    mf_client_destroy(f->mage);
    if (f->maker->clean != NULL)
        f->maker->clean();
    cr_assert(eq(long, atomic_load(&f->counting.live), 0), "%s: blocks that nobody released", f->maker->name);
    cr_assert(eq(long, atomic_load(&f->counting.wrong_size), 0));
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->lock);
#if defined(__SANITIZE_ADDRESS__)
    cr_assert(eq(int, __lsan_do_recoverable_leak_check(), 0), "%s: LeakSanitizer found something", f->maker->name);
#endif
}

void serve_fixture(fixture *f)
{
    if (f->maker->serve != NULL && !f->serves)
        cr_assert(eq(int, f->maker->serve(f->mage, &f->err), MF_OK), "%s: %s", f->maker->name, f->err.text);
    f->serves = true;
}

size_t many(fixture *f, size_t usual)
{
    return f->maker->quirks.fewer > 0 ? usual / f->maker->quirks.fewer : usual;
}

bool fixture_can(fixture *f, mf_capability capability)
{
    return mf_adapter_can(f->mage->adapter, capability);
}

/* ---- acting ---------------------------------------------------------------------------------------------------------- */

mf_message *msg(const char *json)
{
    mf_error err;
    mf_message *message = NULL;
    if (json != NULL)
        cr_assert(eq(int, mf_message_from_json(mf_cstr(json), NULL, NULL, &message, &err), MF_OK), "%s: %s", json, err.text);
    return message;
}

mf_signature *sign(fixture *f, const char *task, const char *json)
{
    serve_fixture(f);
    mf_signature *sig = mf_sign(f->mage, task, msg(json), &f->err);
    cr_assert(ne(ptr, sig, NULL), "%s", f->err.text);
    return sig;
}

mf_signature *chain_of(fixture *f, size_t n, mf_signature *const *steps)
{
    mf_signature *chain = mf_chain(f->mage, "chain", NULL, &f->err);
    for (size_t i = 0; i < n; i++)
        chain = mf_chain_add(chain, steps[i], &f->err);
    cr_assert(ne(ptr, chain, NULL), "%s", f->err.text);
    return chain;
}

mf_signature *swarm_of(fixture *f, const mf_swarm_options *options, size_t n, mf_signature *const *items)
{
    mf_signature *swarm = mf_swarm(f->mage, "swarm", options, &f->err);
    for (size_t i = 0; i < n; i++)
        swarm = mf_swarm_add(swarm, items[i], &f->err);
    swarm = mf_swarm_close(swarm, &f->err);
    cr_assert(ne(ptr, swarm, NULL), "%s", f->err.text);
    return swarm;
}

mf_signature *on_success(fixture *f, mf_signature *sig, mf_signature *callback)
{
    sig = mf_on_success(sig, callback, &f->err);
    cr_assert(ne(ptr, sig, NULL), "%s", f->err.text);
    return sig;
}

mf_signature *on_error(fixture *f, mf_signature *sig, mf_signature *callback)
{
    sig = mf_on_error(sig, callback, &f->err);
    cr_assert(ne(ptr, sig, NULL), "%s", f->err.text);
    return sig;
}

mf_run *start(fixture *f, mf_signature *sig, const char *json)
{
    serve_fixture(f);
    mf_run *run = mf_start(sig, msg(json), &f->err);
    cr_assert(ne(ptr, run, NULL), "%s", f->err.text);
    mf_signature_destroy(sig);
    return run;
}

void open_gate(fixture *f)
{
    pthread_mutex_lock(&f->lock);
    f->open = true;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

void ends_done(fixture *f, mf_run *run, const char *json)
{
    mf_message *result = NULL;
    cr_assert(eq(int, mf_run_wait(run, PATIENCE, &result, &f->err), MF_OK), "%s: %s", f->maker->name, f->err.text);
    is_json(result, json);
    mf_message_unref(result);
    mf_run_destroy(run);
}

void ends_failed(fixture *f, mf_run *run, const char *text)
{
    mf_message *result = NULL;
    is_status(mf_run_wait(run, PATIENCE, &result, &f->err), MF_E_TASK_FAILED);
    is_text(f->err.text, text);
    cr_assert(eq(ptr, result, NULL));
    mf_run_destroy(run);
}

void ends_canceled(fixture *f, mf_run *run)
{
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_E_CANCELED);
    mf_run_destroy(run);
}

void settle_down(fixture *f)
{
    is_status(mf_drain(f->mage, PATIENCE), MF_OK);
}

/* ---- looking --------------------------------------------------------------------------------------------------------- */

static size_t calls_locked(fixture *f, const char *task)
{
    size_t n = 0;
    for (size_t i = 0; i < f->call_count && i < CALLS_KEPT; i++)
        n += strcmp(f->calls[i].task, task) == 0;
    return n;
}

void wait_calls(fixture *f, const char *task, size_t n)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += PATIENCE / 1000000000;
    int waited = 0;
    pthread_mutex_lock(&f->lock);
    while (waited == 0 && calls_locked(f, task) < n)
        waited = pthread_cond_timedwait(&f->changed, &f->lock, &until);
    pthread_mutex_unlock(&f->lock);
    cr_assert(eq(int, waited, 0), "%s: \"%s\" was not called %zu times", f->maker->name, task, n);
}

size_t calls_of(fixture *f, const char *task)
{
    pthread_mutex_lock(&f->lock);
    size_t n = calls_locked(f, task);
    pthread_mutex_unlock(&f->lock);
    return n;
}

call call_of(fixture *f, const char *task, size_t n)
{
    call found = {.task = ""};
    pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < f->call_count && i < CALLS_KEPT; i++)
        if (strcmp(f->calls[i].task, task) == 0 && n-- == 0)
            found = f->calls[i];
    pthread_mutex_unlock(&f->lock);
    is_text(found.task, task);
    return found;
}

void called(fixture *f, const char *task, size_t n)
{
    size_t calls = calls_of(f, task);
    cr_assert(eq(sz, calls, n), "%s: calls of \"%s\"", f->maker->name, task);
}

mf_counts count(fixture *f, const mf_key *key)
{
    mf_counts counts;
    cr_assert(eq(int, mf_count(f->mage, key, &counts, &f->err), MF_OK), "%s", f->err.text);
    return counts;
}

const char *counted(fixture *f, const mf_key *key)
{
    static char text[160];
    mf_counts c = count(f, key);
    snprintf(text, sizeof text, "%s: total %llu, running %llu, done %llu, failed %llu, canceled %llu",
             mf_signature_status_name(c.status), (unsigned long long)c.total, (unsigned long long)c.running,
             (unsigned long long)c.done, (unsigned long long)c.failed, (unsigned long long)c.canceled);
    return text;
}

bool exact_clock(fixture *f)
{
    return strcmp(f->store->inner->ops->name, "redis") != 0;
}

/* ---- values as text -------------------------------------------------------------------------------------------------- */

#define KEYS_MAX 64

typedef struct pair {
    mf_value key, value;
} pair;

static int by_key(const void *left, const void *right)
{
    mf_str a = {NULL, 0}, b = {NULL, 0};
    cr_assert(all(eq(int, mf_value_str(((const pair *)left)->key, &a), MF_OK), eq(int, mf_value_str(((const pair *)right)->key, &b), MF_OK)),
              "the kit knows keys that are text alone");
    int order = memcmp(a.at, b.at, a.len < b.len ? a.len : b.len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* The same value with the keys of its maps (all of them text) in order. */
static void build_sorted(mf_builder *b, mf_value value)
{
    mf_iter items = mf_value_iter(value);
    pair pairs[KEYS_MAX];
    size_t n = 0;
    bool map = mf_value_type(value) == MF_TYPE_MAP;
    if (!map && mf_value_type(value) != MF_TYPE_ARRAY) {
        mf_build_value(b, value);
        return;
    }
    if (!map) {
        mf_build_array_begin(b);
        for (pair p; mf_iter_next(&items, &p.key, &p.value);)
            build_sorted(b, p.value);
        mf_build_end(b);
        return;
    }
    while (n < KEYS_MAX && mf_iter_next(&items, &pairs[n].key, &pairs[n].value))
        n++;
    cr_assert(lt(sz, n, KEYS_MAX), "more keys than the kit can sort");
    qsort(pairs, n, sizeof *pairs, by_key);
    mf_build_map(b, n);
    for (size_t i = 0; i < n; i++) {
        mf_build_value(b, pairs[i].key);
        build_sorted(b, pairs[i].value);
    }
}

static const char *sorted_text(const mf_message *message, char *text, size_t size)
{
    mf_builder b;
    mf_message *sorted = NULL;
    char *json = NULL;
    size_t len = 0;
    mf_error err;
    mf_builder_init(&b, NULL, NULL);
    build_sorted(&b, mf_message_value(message));
    mf_status st = mf_builder_finish(&b, &sorted, &err);
    mf_builder_fini(&b);
    if (st == MF_OK)
        st = mf_message_to_json(sorted, NULL, &json, &len, &err);
    snprintf(text, size, "%s", st == MF_OK ? json : "no JSON");
    mf_json_free(NULL, json, len);
    mf_message_unref(sorted);
    return text;
}

const char *json_of(const mf_message *message)
{
    static _Thread_local char text[4096];
    return message != NULL ? sorted_text(message, text, sizeof text) : "null";
}

const char *sorted(const char *json)
{
    static _Thread_local char text[4096];
    mf_message *message = msg(json);
    sorted_text(message, text, sizeof text);
    mf_message_unref(message);
    return text;
}

void is_json(const mf_message *message, const char *json)
{
    is_value(json_of(message), json);
}
