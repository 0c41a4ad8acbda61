/* A look at what the client stands on: what the store and the adapter find, and what only both together show. */
#include <mageflow/dead.h>
#include <mageflow/doctor.h>

#include <stdio.h>

#include "memory.h"
#include "runtime.h"

#define TOLD_MAX 128    /* findings that are remembered, so that a server asked twice is told of once */

struct visit {
    mf_finding_fn   *tell;
    void            *user;
    mf_finding_level worst;
    uint64_t         told[TOLD_MAX];
    size_t           count;
};

static uint64_t mix(uint64_t hash, const char *text)
{
    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return (hash ^ 0xff) * UINT64_C(1099511628211);
}

static bool is_told(struct visit *v, const mf_finding *f)
{
    uint64_t hash = mix(mix(mix(UINT64_C(14695981039346656037), f->where), f->what), f->found);
    for (size_t i = 0; i < v->count; i++)
        if (v->told[i] == hash)
            return true;
    if (v->count < TOLD_MAX)
        v->told[v->count++] = hash;
    return false;
}

static void tell_once(void *user, const mf_finding *finding)
{
    struct visit *v = user;
    if (is_told(v, finding))
        return;
    if (finding->level > v->worst)
        v->worst = finding->level;
    v->tell(v->user, finding);
}

/* ---- what both together show --------------------------------------------------------------------------------------- */

static void look_at_durability(mf_client *client, struct visit *v)
{
    const mf_store_ops *store = client->store->ops;
    bool here = mf_client_in_process(client);
    mf_finding f = {.where = store->name, .what = "durability", .expected = "flows outlive the process that started them",
                    .found = "flows outlive it", .advice = ""};
    if (!store->durable) {
        f.found = "flows end with this process: it keeps them in memory";
        f.level = here ? MF_FINDING_OK : MF_FINDING_WARN;
        f.advice = here ? "nothing, unless a flow must survive a restart: then name a store with ?store="
                        : "name a store that lasts with ?store=: a worker in another process cannot see a flow that is kept in the memory of this one";
    }
    tell_once(v, &f);
}

/* How many letters there are, or more than that. */
static size_t count_letters(mf_client *client, size_t most, mf_error *err, mf_status *st)
{
    enum { PAGE = 8 };
    mf_dead_letter page[PAGE];
    char after[sizeof page->key] = "";
    size_t all = 0, got = 0;
    do {
        *st = mf_dead_list(client, after, PAGE, page, &got, err);
        for (size_t i = 0; i < got; i++) {
            memcpy(after, page[i].key, sizeof after);
            mf_dead_letter_release(&page[i]);
        }
        all += got;
    } while (*st == MF_OK && got > 0 && all < most);
    return all;
}

static void look_at_letters(mf_client *client, struct visit *v)
{
    enum { MOST = 200 };
    mf_error err;
    mf_status st;
    char found[320];
    size_t n = count_letters(client, MOST, &err, &st);
    mf_finding f = {.where = client->adapter->ops->name, .what = "dead-letters", .expected = "none", .found = found, .advice = ""};
    if (st != MF_OK) {
        f.level = MF_FINDING_WARN;
        f.advice = "make the store and the manager reachable, and look again";
        snprintf(found, sizeof found, "they cannot be listed: %.250s", err.text);
    } else if (n == 0) {
        snprintf(found, sizeof found, "none");
    } else {
        f.level = MF_FINDING_WARN;
        f.advice = "list them with `mageflow dead list`; requeue or drop each";
        snprintf(found, sizeof found, "%zu%s", n, n >= MOST ? " or more" : "");
    }
    tell_once(v, &f);
}

/* ------------------------------------------------------------------------------------------------------------------- */

const char *mf_finding_level_name(mf_finding_level level)
{
    static const char *const names[] = {[MF_FINDING_OK] = "ok", [MF_FINDING_WARN] = "warn", [MF_FINDING_ERROR] = "error"};
    return (unsigned)level < sizeof names / sizeof *names ? names[level] : "unknown";
}

mf_status mf_doctor(mf_client *client, mf_finding_fn *tell, void *user, mf_finding_level *worst, mf_error *err)
{
    mf_status st = mfi_client_check(client, err);
    if (st != MF_OK)
        return st;
    if (tell == NULL)
        return mf_fail(err, MF_E_INVALID, "doctor: expected a function to tell the findings to, got NULL");
    struct visit v = {.tell = tell, .user = user};
    mf_adapter_doctor(client->adapter, tell_once, &v);
    mf_store_doctor(client->store, tell_once, &v);
    look_at_durability(client, &v);
    look_at_letters(client, &v);
    if (worst != NULL)
        *worst = v.worst;
    return MF_OK;
}
