/* Who serves what, as notes of the store: each process that serves writes one about itself, with an expiry. */
#include <mageflow/workers.h>

#include "runtime.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "lifecycle.h"

#define SPACE     MF_STR_LIT("worker")
#define PAGE      32
#define CALLS_MAX 64        /* told one by one; a note stays small */
#define TASKS_MAX 1000

/* ---- what is told --------------------------------------------------------------------------------------------------- */

static void host_name(char out[65])
{
    if (gethostname(out, 65) != 0)
        snprintf(out, 65, "unknown");
    out[64] = '\0';
}

/* The same for as long as the client lives. */
static void name_of(mf_client *client, char out[256])
{
    char host[65];
    pthread_mutex_lock(&client->serve_lock);
    while (client->announced_as == 0)
        client->announced_as = mfi_client_random(client);
    if (client->announced_since_ms == 0)
        client->announced_since_ms = mf_store_now_ms(client->store);
    pthread_mutex_unlock(&client->serve_lock);
    host_name(host);
    snprintf(out, 256, "%s:%ld:%08" PRIx32, host, (long)getpid(), (uint32_t)client->announced_as);
}

static void build_calls(mf_builder *b, const mfi_call_seen *calls, size_t n)
{
    mf_build_key(b, "calls");
    mf_build_array(b, n);
    for (size_t i = 0; i < n; i++) {
        mf_build_map(b, 4);
        mf_build_key(b, "task");
        mf_build_str(b, calls[i].task);
        mf_build_key(b, "key");
        if (mf_key_is_set(&calls[i].unit.key))
            mf_build_str(b, mf_cstr(calls[i].unit.key.text));
        else
            mf_build_nil(b);
        mf_build_key(b, "index");
        mf_build_uint(b, calls[i].unit.index);
        mf_build_key(b, "attempt");
        mf_build_uint(b, calls[i].attempt);
    }
}

static void build_tasks(mf_builder *b, mf_client *client)
{
    mfi_task *page[PAGE];
    mf_str after = {NULL, 0};
    size_t n, told = 0;
    mf_build_key(b, "tasks");
    mf_build_array_begin(b);
    while (told < TASKS_MAX && (n = mfi_registry_page(&client->registry, after, PAGE, page)) > 0) {
        for (size_t i = 0; i < n && told < TASKS_MAX; i++, told++)
            mf_build_str(b, page[i]->name);
        after = page[n - 1]->name;
    }
    mf_build_end(b);
}

static mf_status describe(mf_client *client, int64_t now_ms, mf_message **out, mf_error *err)
{
    mfi_call_seen calls[CALLS_MAX];
    mf_adapter_health manager;
    char host[65];
    mf_builder b;
    size_t running, n = mfi_control_calls(client, calls, CALLS_MAX, &running);
    mf_adapter_read_health(client->adapter, &manager);
    host_name(host);
    mf_builder_init(&b, client->allocator, NULL);
    mf_build_map(&b, 8);
    mf_build_key(&b, "host");
    mf_build_str_lossy(&b, mf_cstr(host));
    mf_build_key(&b, "pid");
    mf_build_int(&b, getpid());
    mf_build_key(&b, "threads");
    mf_build_uint(&b, manager.threads);
    mf_build_key(&b, "since_ms");
    mf_build_int(&b, client->announced_since_ms);
    mf_build_key(&b, "told_ms");
    mf_build_int(&b, now_ms);
    mf_build_key(&b, "running");
    mf_build_uint(&b, running);
    build_calls(&b, calls, n);
    build_tasks(&b, client);
    mf_status st = mf_builder_finish(&b, out, err);
    mf_builder_fini(&b);
    return st;
}

/* ---- telling -------------------------------------------------------------------------------------------------------- */

static mf_status write_note(mf_client *client, mf_note *note, mf_error *err)
{
    mf_refusal refusal;
    note->space = SPACE;
    mf_status st = mfi_commit(client, &(mf_batch){.notes = note, .note_count = 1}, &refusal, err);
    mf_message_unref(note->value);
    return st;
}

mf_status mf_workers_announce(mf_client *client, mf_duration good_for, mf_error *err)
{
    mf_status st = mfi_client_check(client, err);
    if (st == MF_OK && (good_for <= 0 || good_for == MF_FOREVER))
        st = mf_fail(err, MF_E_INVALID, "workers: expected a span above 0 that ends");
    if (st == MF_OK && !client->store->ops->shared)
        st = mf_fail(err, MF_E_UNSUPPORTED, "workers: no other process can use this store");
    if (st == MF_OK && !atomic_load_explicit(&client->serves, memory_order_acquire))
        st = mf_fail(err, MF_E_STATE, "workers: nothing is served here");
    if (st != MF_OK)
        return st;
    char name[256];
    name_of(client, name);
    int64_t now_ms = mf_store_now_ms(client->store);
    mf_note note = {.name = mf_cstr(name), .expires_ms = mfi_deadline_ms(mfi_span_ms(good_for, 0), now_ms)};
    st = describe(client, now_ms, &note.value, err);
    return st == MF_OK ? write_note(client, &note, err) : st;
}

mf_status mf_workers_renounce(mf_client *client, mf_error *err)
{
    mf_status st = mfi_client_check(client, err);
    pthread_mutex_lock(&client->serve_lock);
    bool told = st == MF_OK && client->announced_as != 0;
    pthread_mutex_unlock(&client->serve_lock);
    if (!told)
        return st;
    char name[256];
    name_of(client, name);
    mf_note note = {.name = mf_cstr(name)};
    return write_note(client, &note, err);
}

/* ---- looking -------------------------------------------------------------------------------------------------------- */

/* One that is longer than any of ours could not be asked for again. */
static void keep(const mf_note *note, mf_worker_note *out, size_t *got)
{
    mf_worker_note *w = &out[*got];
    if (note->name.len >= sizeof w->name)
        return;
    *w = (mf_worker_note){.expires_ms = note->expires_ms, .told = mf_message_ref(note->value)};
    memcpy(w->name, note->name.at, note->name.len);
    ++*got;
}

mf_status mf_workers_page(mf_client *client, const char *after, size_t max, mf_worker_note *out, size_t *got, mf_error *err)
{
    mf_note page[PAGE];
    char last[256] = "";
    size_t n = 1;
    *got = 0;
    mf_status st = mfi_client_check(client, err);
    if (after != NULL)
        snprintf(last, sizeof last, "%s", after);
    while (st == MF_OK && n > 0 && *got < max) {
        st = mf_store_notes(client->store, SPACE, mf_cstr(last), max - *got < PAGE ? max - *got : PAGE, page, &n, err);
        for (size_t i = 0; i < n; i++) {
            keep(&page[i], out, got);
            snprintf(last, sizeof last, "%.*s", (int)page[i].name.len, page[i].name.at);
            mf_note_release(client->store, &page[i]);
        }
    }
    for (; st != MF_OK && *got > 0; --*got)
        mf_message_unref(out[*got - 1].told);
    return st;
}
