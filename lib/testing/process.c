/* Processes: each a client of its own over the common store. One that crashed is followed by another in the same slot. */
#include "sim_private.h"

#define BOOT_MAX_MS 40      /* a new process is there after up to so long */
#define AGAIN_MS    20      /* a program that asked to be called again waits so long */
#define LEAVE_MS    50      /* it closes if its programs are between two calls within this */
#define STORING_MS   60000  /* within which a signature is stored; several pauses are shorter */
#define PAUSE_MAX_MS 3000   /* a process stands still for up to so long, or up to three leases */

static void client_log(void *user, mf_log_level level, mf_str line)
{
    (void)level;
    mfi_sim_trace(user, "log: %.*s", (int)line.len, line.at);
}

/* ---- programs ------------------------------------------------------------------------------------------------------- */

static void *run_program(void *arg)
{
    mfi_program *program = arg;
    mfi_sim *sim = mfi_sim_here();
    mfi_process *process = mfi_sim_process_here();
    process->inside++;
    while (!process->leaving && !(program->finished = program->fn(process->client, program->arg)))
        mfi_thread_sleep(mf_milliseconds(AGAIN_MS));
    process->inside--;
    program->running = false;       /* the next process goes on with it */
    if (program->finished)
        mfi_sim_trace(sim, "program \"%s\" has ended", program->name);
    return NULL;
}

static void start_programs(mfi_process *process)
{
    if (process->leaving)
        return;
    for (mfi_program *p = process->sim->programs; p != NULL; p = p->next)
        if (p->slot == process->slot && !p->finished && !p->running)
            p->running = mfi_strand_start(process->sim, process, p->name, run_program, p) != NULL;
}

void mfi_sim_program(mfi_sim *sim, unsigned slot, const char *name, mfi_program_fn *fn, void *arg)
{
    mfi_program *program = mfi_sim_new(sim, sizeof *program);
    *program = (mfi_program){.slot = slot, .name = name, .fn = fn, .arg = arg};
    mfi_program **at = &sim->programs;
    while (*at != NULL)
        at = &(*at)->next;
    *at = program;
    if (sim->processes[slot] != NULL && sim->processes[slot]->client != NULL)
        start_programs(sim->processes[slot]);
}

/* ---- news from other processes ---------------------------------------------------------------------------------------- */

static void tell_watchers(mfi_process *process, const mfi_news_item *news)
{
    for (mfi_watcher_of *w = process->watchers; w != NULL; w = w->next) {
        atomic_fetch_add_explicit(&w->inside, 1, memory_order_relaxed);
        if (news->ready > 0 && w->watch.ready != NULL)
            w->watch.ready(w->watch.user, news->ready);
        if (news->delayed_ms != INT64_MAX && w->watch.delayed != NULL)
            w->watch.delayed(w->watch.user, news->delayed_ms);
        if (mf_key_is_set(&news->ended) && w->watch.ended != NULL)
            w->watch.ended(w->watch.user, &news->ended);
        atomic_fetch_sub_explicit(&w->inside, 1, memory_order_relaxed);
    }
}

static void *listen(void *arg)
{
    mfi_process *process = arg;
    while (!process->dead) {
        uint32_t seen = atomic_load_explicit(&process->heard, memory_order_relaxed);
        mfi_news_item *news = process->news;
        if (news == NULL) {
            mfi_strand_wait(process->sim, &process->heard, seen, INT64_MAX);
            continue;
        }
        process->news = news->next;
        tell_watchers(process, news);
    }
    return NULL;
}

static void send_news(mfi_process *to, const mfi_news_item *news)
{
    mfi_news_item *copy = mfi_sim_new(to->sim, sizeof *copy), **at = &to->news;
    *copy = *news;
    copy->next = NULL;
    while (*at != NULL)
        at = &(*at)->next;
    *at = copy;
    atomic_fetch_add_explicit(&to->heard, 1, memory_order_relaxed);
    if (!to->listens)
        to->listens = mfi_strand_start(to->sim, to, "listener", listen, to) != NULL;
}

void mfi_process_tell(mfi_sim *sim, mfi_process *process)
{
    if (!sim->told.any)
        return;
    mfi_news_item news = {.ready = sim->told.ready, .delayed_ms = sim->told.delayed_ms, .ended = sim->told.ended};
    memset(&sim->told, 0, sizeof sim->told);
    sim->told.delayed_ms = INT64_MAX;
    for (unsigned i = 0; i < MFI_PROCESSES_MAX; i++) {
        mfi_process *other = sim->processes[i];
        if (other != NULL && other != process && other->watchers != NULL)
            send_news(other, &news);
    }
    if (process != NULL)
        tell_watchers(process, &news);
}

/* ---- from the beginning to the end -------------------------------------------------------------------------------------- */

static mf_status open_client(mfi_process *process, mf_client **out, mf_error *err)
{
    mfi_sim *sim = process->sim;
    mf_store *store = NULL;
    mf_adapter *adapter = NULL;
    mf_client *client = NULL;
    mf_status st = mfi_sim_store_create(process, &store, err);
    if (st == MF_OK)
        st = mfi_sim_adapter_create(process, &adapter, err);
    if (st != MF_OK) {
        mf_store_destroy(store);
        return st;
    }
    /* Time to live is off: time jumps to whatever is next, and that would always be its end. */
    st = mf_client_create(adapter, store, MF_OPTIONS(.allocator = sim->world.allocator, .clock = &sim->clock,
                                                     .task_ttl = {MF_FOREVER, MF_FOREVER}, .chain_ttl = {MF_FOREVER, MF_FOREVER},
                                                     .swarm_ttl = {MF_FOREVER, MF_FOREVER},
                                                     .log = sim->config.log != NULL ? sim->config.log : client_log,
                                                     .log_user = sim->config.log != NULL ? sim->config.log_user : sim,
                                                     .threads = sim->config.workers,
                                                     .no_fast_path = sim->config.no_fast_path), &client, err);
    if (st == MF_OK)
        client->storing_ms = STORING_MS;
    if (st == MF_OK && sim->config.declare != NULL)
        st = sim->config.declare(client, sim->config.user, err);
    if (st == MF_OK && !sim->config.records)
        st = mf_serve(client, NULL, err);
    if (st == MF_OK)
        *out = client;
    else
        mf_client_destroy(client);
    return st;
}

static void *boot(void *arg)
{
    mfi_process *process = arg;
    mfi_sim *sim = process->sim;
    mf_error err = {0};
    if (process->life > 1)
        mfi_thread_sleep(mf_milliseconds(mfi_prng_below(&sim->order, BOOT_MAX_MS)));
    mf_status st;
    while ((st = open_client(process, &process->client, &err)) == MF_E_IO || st == MF_E_NOMEM)
        mfi_thread_sleep(mf_milliseconds(AGAIN_MS));
    if (st != MF_OK) {
        mfi_sim_break(sim, "a process cannot begin: %s", err.text);
        return NULL;
    }
    start_programs(process);
    return NULL;
}

void mfi_process_boot(mfi_sim *sim, unsigned slot)
{
    mfi_process *before = sim->processes[slot], *process = mfi_sim_new(sim, sizeof *process);
    process->sim = sim;
    process->slot = slot;
    process->life = before == NULL ? 1 : before->life + 1;
    sim->processes[slot] = process;
    mfi_strand_start(sim, process, "boot", boot, process);
}

void mfi_process_crash(mfi_process *process)
{
    mfi_sim *sim = process->sim;
    mfi_sim_trace(sim, "the process crashes");
    process->dead = true;
    sim->crashes++;
    for (mfi_strand *s = sim->strands; s != NULL; s = s->next)
        if (s->process == process)
            s->gone = true;
    for (mfi_program *p = sim->programs; p != NULL; p = p->next)
        if (p->slot == process->slot)
            p->running = false;
    mfi_claims_lose_all(process);
    mfi_parcels_of_dead(process);
    /* What its last commit told, others still hear. */
    process->watchers = NULL;
    mfi_process_tell(sim, NULL);
    mfi_process_boot(sim, process->slot);
    if (sim->current != NULL && sim->current->process == process)
        mfi_fiber_leave(sim->current->fiber, true);
}

void mfi_sim_die(mfi_sim *sim)
{
    mfi_process_crash(sim->current->process);
}

void mfi_process_pause(mfi_process *process)
{
    mfi_sim *sim = process->sim;
    int64_t most_ms = sim->config.lease_ms > 0 ? 3 * sim->config.lease_ms : PAUSE_MAX_MS;
    process->paused_until_ns = sim->now_ns + mf_milliseconds(1 + mfi_prng_below(&sim->chance, (uint32_t)most_ms));
    mfi_sim_trace(sim, "the process stands still until %.3f ms", (double)process->paused_until_ns / 1e6);
    mfi_parcels_of_paused(process);
    mfi_sim_yield(sim);
}

static void *restart(void *arg)
{
    mfi_process *process = arg;
    mfi_sim *sim = process->sim;
    for (unsigned i = 0; process->inside > 0 && i < LEAVE_MS; i++)
        mfi_thread_sleep(mf_milliseconds(1));
    if (process->inside > 0) {      /* one waits for what others, which wait for the next process, would do */
        process->leaving = false;
        start_programs(process);
        return NULL;
    }
    mfi_sim_trace(sim, "the process closes");
    (void)mfi_process_close(process);
    mfi_claims_lose_all(process);
    mfi_parcels_of_dead(process);
    mfi_sim_trace(sim, "the process has closed");
    sim->restarts++;
    mfi_process_boot(sim, process->slot);
    return NULL;
}

void mfi_sim_restart(mfi_sim *sim, unsigned slot)
{
    mfi_process *process = sim->processes[slot];
    if (process == NULL || process->client == NULL || process->leaving || sim->closing)
        return;
    process->leaving = mfi_strand_start(sim, process, "restart", restart, process) != NULL;
}

mf_status mfi_process_close(mfi_process *process)
{
    mf_client *client = process->client;
    process->client = NULL;
    mf_client_destroy(client);
    process->dead = true;
    atomic_fetch_add_explicit(&process->heard, 1, memory_order_relaxed);
    return MF_OK;
}
