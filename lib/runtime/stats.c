/* What is counted while tasks run, and whether this client can take work: mageflow/stats.h. */
#include <mageflow/stats.h>

#include "runtime.h"

#include <stdio.h>

#include "clock.h"
#include "here.h"

#define REFUSED_FOR  mf_minutes(1)      /* a refusal of the store counts so long, unless it has taken something since: what
                                           must be kept is tried again far more often */
#define BUSY_AFTER   mf_minutes(1)

/* ---- counting ----------------------------------------------------------------------------------------------------- */

void mfi_stats_init(mfi_stats *s)
{
    atomic_init(&s->measures, false);
    atomic_init(&s->refused_ns, 0);
    mfi_mutex_init(&s->lock);
    s->why[0] = '\0';
}

unsigned mfi_stats_share(void)
{
    static atomic_uint threads;
    return mfi_here.share = 1 + atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) % MFI_TALLY_SHARES;
}

static unsigned share_of_thread(void)
{
    return mfi_here.share != 0 ? mfi_here.share : mfi_stats_share();
}

static mfi_tally *tally_of(const mfi_task *task)
{
    return (mfi_tally *)(uintptr_t)&task->tally;
}

void mfi_stats_count(const mfi_task *task, unsigned which)
{
    if (task != NULL)
        mfi_tally_add(tally_of(task), share_of_thread(), which, 1);
}

void mfi_stats_unknown(mf_client *client)
{
    mfi_tally_add(&client->stats.tally, share_of_thread(), MFI_STATS_UNKNOWN, 1);
}

static const mf_duration bounds[MF_STATS_BOUNDS] = {
    100000,         1000000,        5000000,        10000000,       /* 100 us, 1 ms, 5, 10 */
    25000000,       50000000,       100000000,      250000000,      /* 25 ms, 50, 100, 250 */
    500000000,      1000000000,     2500000000,     5000000000,     /* 500 ms, 1 s, 2.5, 5 */
    10000000000,    60000000000,    300000000000,   1800000000000,  /* 10 s, 1 min, 5, 30 */
};
_Static_assert(MF_STATS_BOUNDS == MFI_TALLY_BOUNDS, "a bound for each number");

mf_duration mf_stats_bound(unsigned i)
{
    return i < MF_STATS_BOUNDS ? bounds[i] : MF_FOREVER;
}

void mfi_stats_duration(const mfi_task *task, int64_t spent_ns)
{
    unsigned i = 0;
    while (i < MF_STATS_BOUNDS && spent_ns > bounds[i])
        i++;
    mfi_tally_add(tally_of(task), share_of_thread(), MFI_TALLY_WITHIN + i, 1);
    mfi_tally_add(tally_of(task), share_of_thread(), MFI_TALLY_SPENT_NS, spent_ns > 0 ? (uint64_t)spent_ns : 0);
}

/* ---- commits ------------------------------------------------------------------------------------------------------ */

/* Whether the store could not do what it was asked; other statuses speak of what it was asked for. */
static bool is_refusal(mf_status st)
{
    return st == MF_E_IO || st == MF_E_FULL || st == MF_E_STATE || st == MF_E_TIMEOUT || st == MF_E_AGAIN ||
           st == MF_E_CLOSED || st == MF_E_NOMEM;
}

void mfi_stats_commit(mf_client *client, mf_status st, const mf_error *err)
{
    mfi_stats *s = &client->stats;
    if (st == MF_OK)
        atomic_store_explicit(&s->refused_ns, 0, memory_order_release);
    else if (st == MF_E_CONFLICT)
        mfi_tally_add(&s->tally, share_of_thread(), MFI_STATS_CONFLICTS, 1);
    if (!is_refusal(st))
        return;
    mfi_tally_add(&s->tally, share_of_thread(), MFI_STATS_REFUSALS, 1);
    mfi_mutex_lock(&s->lock);
    snprintf(s->why, sizeof s->why, "%.*s", (int)sizeof s->why - 1, err != NULL && err->status == st ? err->text : mf_status_text(st));
    mfi_mutex_unlock(&s->lock);
    atomic_store_explicit(&s->refused_ns, mfi_now_ns(NULL), memory_order_release);
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

static void read_task(const mfi_task *task, mf_task_stats *out)
{
    const mfi_tally *t = &task->tally;
    /* The ends first: a call that is counted as ended is counted as started, too. */
    *out = (mf_task_stats){
        .task = task->name,
        .succeeded = mfi_tally_read(t, MFI_TALLY_SUCCEEDED),
        .failed = mfi_tally_read(t, MFI_TALLY_FAILED),
        .retried = mfi_tally_read(t, MFI_TALLY_RETRIED),
        .canceled = mfi_tally_read(t, MFI_TALLY_CANCELED),
        .put_back = mfi_tally_read(t, MFI_TALLY_PUT_BACK),
        .spent_ns = mfi_tally_read(t, MFI_TALLY_SPENT_NS),
    };
    for (unsigned i = 0; i <= MF_STATS_BOUNDS; i++)
        out->within[i] = mfi_tally_read(t, MFI_TALLY_WITHIN + i);
    atomic_thread_fence(memory_order_acquire);
    out->started = mfi_tally_read(t, MFI_TALLY_STARTED);
}

#define PAGE 32

size_t mf_stats_tasks(mf_client *client, mf_str after, mf_task_stats *out, size_t max)
{
    size_t got = 0;
    if (mfi_client_check(client, NULL) != MF_OK)
        return 0;
    while (got < max) {
        mfi_task *page[PAGE];
        size_t n = mfi_registry_page(&client->registry, after, max - got < PAGE ? max - got : PAGE, page);
        for (size_t i = 0; i < n; i++)
            read_task(page[i], &out[got++]);
        if (n == 0)
            break;
        after = page[n - 1]->name;
    }
    return got;
}

void mf_stats_measure(mf_client *client, bool on)
{
    atomic_store_explicit(&client->stats.measures, on, memory_order_relaxed);
}

mf_status mf_stats_read(mf_client *client, mf_stats *out)
{
    mf_status st = mfi_client_check(client, NULL);
    if (st != MF_OK || out == NULL || out->struct_size == 0)
        return st != MF_OK ? st : MF_E_INVALID;
    const mfi_tally *t = &client->stats.tally;
    mf_stats stats = {
        .struct_size = out->struct_size,
        .commits = mfi_tally_read(t, MFI_STATS_COMMITS),
        .conflicts = mfi_tally_read(t, MFI_STATS_CONFLICTS),
        .refusals = mfi_tally_read(t, MFI_STATS_REFUSALS),
        .unknown = mfi_tally_read(t, MFI_STATS_UNKNOWN),
    };
    memcpy(out, &stats, stats.struct_size < sizeof stats ? stats.struct_size : sizeof stats);
    return MF_OK;
}

/* ---- health ------------------------------------------------------------------------------------------------------- */

static mf_trouble say(mf_health *h, mf_trouble trouble, const char *fmt, ...) MF_PRINTF(3, 4);
static mf_trouble say(mf_health *h, mf_trouble trouble, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(h->text, sizeof h->text, fmt, args);
    va_end(args);
    return trouble;
}

/* "redis at host:6379: connection refused", where the reason does not begin with its server anyway. */
static mf_trouble say_link(mf_health *h, mf_trouble trouble, const char *what, const mf_link_health *link, const char *state)
{
    return say(h, trouble, "%s: %s%s%s", what, state, link->last_error[0] != '\0' ? ": " : "", link->last_error);
}

static mf_trouble store_trouble(mf_client *client, mf_health *h)
{
    if (!h->store.connected)
        return say_link(h, MF_TROUBLE_STORE, "the store", &h->store, "not connected");
    mfi_stats *s = &client->stats;
    int64_t refused_ns = atomic_load_explicit(&s->refused_ns, memory_order_acquire);
    if (refused_ns == 0 || mfi_now_ns(NULL) - refused_ns > REFUSED_FOR)
        return MF_TROUBLE_NONE;
    mfi_mutex_lock(&s->lock);
    say(h, MF_TROUBLE_STORE, "the store refuses: %s", s->why);
    mfi_mutex_unlock(&s->lock);
    return MF_TROUBLE_STORE;
}

static mf_trouble find_trouble(mf_client *client, mf_health *h, int64_t newest_ns)
{
    const mf_adapter_health *m = &h->manager;
    if (!atomic_load_explicit(&client->serves, memory_order_acquire))
        return say(h, MF_TROUBLE_NOT_SERVING, "nothing is served");
    if (!m->link.connected)
        return say_link(h, MF_TROUBLE_MANAGER, "the task manager", &m->link, "not connected");
    if (m->deaf)
        return say_link(h, MF_TROUBLE_MANAGER, "the task manager", &m->link, "nothing can be read");
    mf_trouble store = store_trouble(client, h);
    if (store != MF_TROUBLE_NONE)
        return store;
    if (m->threads > 0 && h->stuck >= m->threads + m->replaced)
        return say(h, MF_TROUBLE_STUCK, "all threads are in calls that ignore their timeout (%u)", h->stuck);
    int64_t quiet_ns = newest_ns == INT64_MAX ? 0 : mfi_now_ns(client->clock) - newest_ns;
    if (m->threads > 0 && h->running - h->stuck >= m->threads && quiet_ns > BUSY_AFTER)
        return say(h, MF_TROUBLE_BUSY, "all threads are in calls (%u), the last of which began %lld s ago", h->running,
                   (long long)(quiet_ns / 1000000000));
    return MF_TROUBLE_NONE;
}

mf_status mf_health_read(mf_client *client, mf_health *out)
{
    mf_status st = mfi_client_check(client, NULL);
    if (st != MF_OK || out == NULL || out->struct_size == 0)
        return st != MF_OK ? st : MF_E_INVALID;
    mf_health h = {.struct_size = out->struct_size};
    int64_t newest_ns;
    mfi_control_counts(client, &h.running, &h.stuck, &newest_ns);
    mf_adapter_read_health(client->adapter, &h.manager);
    mf_store_read_health(client->store, &h.store);
    h.trouble = find_trouble(client, &h, newest_ns);
    memcpy(out, &h, h.struct_size < sizeof h ? h.struct_size : sizeof h);
    return MF_OK;
}

mf_status mf_queues_read(mf_client *client, mf_queue_numbers *out, size_t room, size_t *count, mf_error *err)
{
    mf_status st = mfi_client_check(client, err);
    if (st != MF_OK)
        return st;
    if (count == NULL || (out == NULL && room > 0))
        return mf_fail(err, MF_E_INVALID, "queues: no place for the answer");
    return mf_adapter_queues(client->adapter, out, room, count, err);
}
