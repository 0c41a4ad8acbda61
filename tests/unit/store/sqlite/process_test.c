/* Several processes on one file, and what remains when one is killed. A child is forked before its parent opens the file,
 * and opens it for itself: what SQLite knows of a file is the process's. */
#include "kit.h"

#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

TestSuite(sqlite_process, .fini = temp_store_clean);

extern char **environ;

/* ---- a child, and what it says ------------------------------------------------------------------------------------ */

typedef struct child {
    pid_t pid;
    int   says, hears;    /* what it says is read from one, what it is told is written to the other */
} child;

static int told;    /* in a child: where it is told */

/* run(to) in a child; it ends when run returns. */
static child child_start(void (*run)(int to))
{
    int up[2], down[2];
    KIT_MUST(pipe2(up, O_CLOEXEC) == 0 && pipe2(down, O_CLOEXEC) == 0);
    child c = {.pid = fork(), .says = up[0], .hears = down[1]};
    KIT_MUST(c.pid >= 0);
    if (c.pid == 0) {
        close(up[0]);
        close(down[1]);
        told = down[0];
        run(up[1]);
        _exit(0);
    }
    close(up[1]);
    close(down[0]);
    return c;
}

static void say_number(int to, uint32_t n)
{
    if (write(to, &n, sizeof n) != (ssize_t)sizeof n)
        _exit(1);
}

/* In a child: until its parent says go on. */
static void wait_for_word(void)
{
    uint32_t n;
    KIT_MUST(read(told, &n, sizeof n) == (ssize_t)sizeof n);
}

static uint32_t hear(child *c)
{
    uint32_t n = 0;
    cr_assert(eq(i64, (int64_t)read(c->says, &n, sizeof n), (int64_t)sizeof n), "the child said nothing");
    return n;
}

static int child_end(child *c, int signal)
{
    int status;
    if (signal != 0)
        kill(c->pid, signal);
    cr_assert(eq(int, waitpid(c->pid, &status, 0), c->pid));
    close(c->says);
    close(c->hears);
    return status;
}

static void stand_still(void)
{
    for (;;)
        pause();
}

/* ---- watching ----------------------------------------------------------------------------------------------------- */

typedef struct ear {
    sem_t ready, elsewhere;
} ear;

static void on_ready(void *user, size_t n)
{
    (void)n;
    sem_post(&((ear *)user)->ready);
}

static void on_elsewhere(void *user)
{
    sem_post(&((ear *)user)->elsewhere);
}

static void ear_open(ear *e, mf_store *s)
{
    sem_init(&e->ready, 0, 0);
    sem_init(&e->elsewhere, 0, 0);
    is_status(mf_store_watch_start(s, &(mf_store_watch){.ready = on_ready, .elsewhere = on_elsewhere, .user = e}), MF_OK);
}

/* ---- claims end with their process -------------------------------------------------------------------------------- */

enum { HELD = 5 };

static void hold_some(int to)
{
    mf_taken taken[HELD];
    mf_store *s = kit_open(temp_store_path);
    say_number(to, (uint32_t)kit_take(s, taken, HELD));
    say_number(to, (uint32_t)taken[0].claim.token);
    stand_still();
}

static void is_due_again(mf_store *s, uint32_t deaths)
{
    mf_taken taken[2 * HELD];
    cr_assert(eq(sz, kit_take(s, taken, 2 * HELD), HELD));
    for (size_t i = 0; i < HELD; i++) {
        cr_assert(eq(u32, taken[i].entry.deaths, deaths));
        is_status(taken[i].claim.status, MF_OK);
    }
}

static void make_swarm(size_t n)
{
    mf_store *s = kit_open(temp_store_new());
    kit_swarm(s, n);
    mf_store_destroy(s);
}

Test(sqlite_process, what_a_killed_process_held_is_due_at_once)
{
    mf_taken none[1];
    ear e;
    make_swarm(HELD);
    child c = child_start(hold_some);
    cr_assert(eq(u32, hear(&c), HELD));
    uint64_t token = hear(&c);
    mf_store *s = kit_open(temp_store_path);
    ear_open(&e, s);
    cr_assert(eq(sz, kit_take(s, none, 1), 0), "its holder lives");
    cr_assert(eq(int, sem_trywait(&e.ready), -1));
    child_end(&c, SIGKILL);
    sem_wait(&e.ready);
    is_status(mf_store_commit(s, &(mf_batch){.settles = &token, .settle_count = 1}, NULL, NULL), MF_E_CONFLICT);
    is_due_again(s, 1);
    mf_store_destroy(s);
}

Test(sqlite_process, a_killed_program_that_is_started_again_goes_on)
{
    make_swarm(HELD);
    for (uint32_t deaths = 1; deaths <= 3; deaths++) {
        child c = child_start(hold_some);
        cr_assert(eq(u32, hear(&c), HELD));
        child_end(&c, SIGKILL);
    }
    mf_store *s = kit_open(temp_store_path);
    is_due_again(s, 3);
    mf_store_destroy(s);
}

Test(sqlite_process, a_store_that_is_closed_gives_back_what_it_holds)
{
    mf_taken taken[HELD];
    make_swarm(HELD);
    mf_store *s = kit_open(temp_store_path);
    cr_assert(eq(sz, kit_take(s, taken, HELD), HELD));
    mf_store_destroy(s);
    s = kit_open(temp_store_path);
    is_due_again(s, 0);
    mf_store_destroy(s);
}

Test(sqlite_process, two_stores_of_one_process_are_two_owners)
{
    mf_taken taken[HELD];
    ear e;
    make_swarm(HELD);
    mf_store *one = kit_open(temp_store_path), *two = kit_open(temp_store_path);
    ear_open(&e, two);
    cr_assert(eq(sz, kit_take(one, taken, HELD), HELD));
    sem_wait(&e.elsewhere);
    cr_assert(eq(sz, kit_take(two, taken, HELD), 0));
    mf_store_destroy(one);
    sem_wait(&e.elsewhere);
    is_due_again(two, 0);
    mf_store_destroy(two);
}

static void commit_one(int to)
{
    mf_spec *call = kit_call();
    mf_entry entry = kit_entry(call, 77);
    wait_for_word();
    mf_store *s = kit_open(temp_store_path);
    KIT_MUST(mf_store_commit(s, &(mf_batch){.entries = &entry, .entry_count = 1}, NULL, NULL) == MF_OK);
    say_number(to, 1);
    stand_still();
}

Test(sqlite_process, a_commit_of_another_process_is_heard_of_and_its_message_is_there)
{
    mf_taken taken[2];
    ear e;
    make_swarm(0);
    child c = child_start(commit_one);
    mf_store *s = kit_open(temp_store_path);
    ear_open(&e, s);
    say_number(c.hears, 1);
    hear(&c);
    size_t got = 0;
    while (got == 0) {    /* its opening of the file may be told, too */
        sem_wait(&e.elsewhere);
        got = kit_take(s, taken, 2);
    }
    cr_assert(eq(sz, got, 1));
    cr_assert(eq(u64, taken[0].entry.unit.index, 77));
    child_end(&c, SIGKILL);
    mf_store_destroy(s);
}

/* ---- without inotify ---------------------------------------------------------------------------------------------- */

/* Descriptors of this process that are an inotify. */
static int inotify_count(void)
{
    char link[64], to[64];
    int n = 0;
    for (int fd = 0; fd < 256; fd++) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t len = readlink(link, to, sizeof to - 1);
        to[len > 0 ? len : 0] = '\0';
        n += strcmp(to, "anon_inode:inotify") == 0;
    }
    return n;
}

/* Watch while this process has one descriptor left to give: the listener's own, and none for inotify. */
static void ear_open_deaf(ear *e, mf_store *s)
{
    struct rlimit before, few;
    int first_free = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(first_free);
    KIT_MUST(getrlimit(RLIMIT_NOFILE, &before) == 0);
    few = (struct rlimit){(rlim_t)first_free + 1, before.rlim_max};
    KIT_MUST(setrlimit(RLIMIT_NOFILE, &few) == 0);
    ear_open(e, s);
    KIT_MUST(setrlimit(RLIMIT_NOFILE, &before) == 0);
    cr_assert(eq(int, inotify_count(), 0));
}

Test(sqlite_process, without_inotify_commits_and_deaths_are_heard_of_all_the_same)
{
    mf_taken taken[HELD];
    ear e;
    make_swarm(HELD);
    child holder = child_start(hold_some), sender = child_start(commit_one);
    cr_assert(eq(u32, hear(&holder), HELD));
    hear(&holder);
    mf_store *s = kit_open(temp_store_path);
    ear_open_deaf(&e, s);
    say_number(sender.hears, 1);
    size_t got = 0;
    while (got == 0) {
        sem_wait(&e.elsewhere);
        got = kit_take(s, taken, 1);
    }
    cr_assert(eq(u64, taken[0].entry.unit.index, 77));
    child_end(&holder, SIGKILL);
    sem_wait(&e.ready);
    is_due_again(s, 1);
    child_end(&sender, SIGKILL);
    mf_store_destroy(s);
}

/* ---- fork and exec ------------------------------------------------------------------------------------------------ */

/* Holds claims, has a child that lives on, and says that one's number. */
static void hold_and_fork(int to)
{
    mf_taken taken[HELD];
    mf_store *s = kit_open(temp_store_path);
    say_number(to, (uint32_t)kit_take(s, taken, HELD));
    pid_t grandchild = fork();
    if (grandchild == 0) {
        mf_error err = {0};
        mf_taken none;
        size_t got;
        int64_t next;
        mf_key key = kit_key();
        mf_record record;
        told = mf_store_take(s, 1, &none, &got, &next, &err) == MF_E_FORKED &&
                    mf_store_load(s, &key, 1, &record, &err) == MF_E_FORKED &&
                    mf_store_log(s, &key, MF_STR_LIT("x")) == MF_E_FORKED;
        mf_store_destroy(s);
        told = told && mfi_sqlite_store_create(temp_store_path, NULL, NULL, &s, &err) == MF_E_FORKED;
        say_number(to, (uint32_t)told);
        stand_still();
    }
    say_number(to, (uint32_t)grandchild);
    stand_still();
}

Test(sqlite_process, a_child_without_exec_answers_forked_and_keeps_no_dead_parent_alive)
{
    ear e;
    make_swarm(HELD);
    child c = child_start(hold_and_fork);
    cr_assert(eq(u32, hear(&c), HELD));
    uint32_t a = hear(&c), b = hear(&c), grandchild = a > 1 ? a : b;
    cr_assert(eq(u32, a > 1 ? b : a, 1), "each call says so, and so does opening the file anew");
    mf_store *s = kit_open(temp_store_path);
    ear_open(&e, s);
    child_end(&c, SIGKILL);
    sem_wait(&e.ready);
    is_due_again(s, 1);
    cr_assert(eq(int, kill((pid_t)grandchild, SIGKILL), 0), "it lived all the while");
    mf_store_destroy(s);
}

static void hold_and_spawn(int to)
{
    mf_taken taken[HELD];
    pid_t sleeper;
    char *const argv[] = {(char *)"sleep", (char *)"1000", NULL};
    mf_store *s = kit_open(temp_store_path);
    say_number(to, (uint32_t)kit_take(s, taken, HELD));
    say_number(to, posix_spawnp(&sleeper, "sleep", NULL, NULL, argv, environ) == 0 ? (uint32_t)sleeper : 0);
    stand_still();
}

Test(sqlite_process, a_command_it_started_keeps_no_dead_process_alive)
{
    mf_taken taken[HELD];
    ear e;
    make_swarm(HELD);
    child c = child_start(hold_and_spawn);
    cr_assert(eq(u32, hear(&c), HELD));
    uint32_t sleeper = hear(&c);
    cr_assert(ne(u32, sleeper, 0));
    child_end(&c, SIGKILL);
    mf_store *s = kit_open(temp_store_path);
    ear_open(&e, s);
    /* The kernel lets the spawner go on a moment before it closes the command's descriptors: then it is told of that. */
    size_t got;
    while ((got = kit_take(s, taken, HELD)) == 0)
        sem_wait(&e.ready);
    cr_assert(eq(sz, got, HELD));
    cr_assert(eq(u32, taken[0].entry.deaths, 1));
    cr_assert(eq(int, kill((pid_t)sleeper, SIGKILL), 0));
    mf_store_destroy(s);
}

/* ---- racing ------------------------------------------------------------------------------------------------------- */

enum { RACERS = 3, UNITS = 600 };

static atomic_uint *runs;    /* shared by the processes */

static void race(int to)
{
    mf_taken taken[7];
    mf_store *s = kit_open(temp_store_path);
    uint32_t mine = 0;
    while (kit_entries(s) > 0) {
        size_t got = kit_take(s, taken, 7);
        for (size_t i = 0; i < got; i++) {
            atomic_fetch_add(&runs[taken[i].entry.unit.index], 1);
            if (kit_finish(s, &taken[i]) != MF_OK)
                _exit(1);
        }
        mine += (uint32_t)got;
    }
    mf_store_destroy(s);
    say_number(to, mine);
}

Test(sqlite_process, of_several_processes_each_message_reaches_one)
{
    child racers[RACERS];
    uint32_t total = 0;
    runs = mmap(NULL, UNITS * sizeof *runs, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    make_swarm(UNITS);
    for (int i = 0; i < RACERS; i++)
        racers[i] = child_start(race);
    for (int i = 0; i < RACERS; i++) {
        total += hear(&racers[i]);
        cr_assert(eq(int, child_end(&racers[i], 0), 0));
    }
    cr_assert(eq(u32, total, UNITS));
    for (unsigned i = 0; i < UNITS; i++)
        cr_assert(eq(uint, atomic_load(&runs[i]), 1), "unit %u", i);
    mf_store *s = kit_open(temp_store_path);
    cr_assert(eq(sz, kit_outcomes(s), UNITS));
    mf_store_destroy(s);
    cr_assert(kit_is_whole(temp_store_path));
    munmap(runs, UNITS * sizeof *runs);
}

/* ---- killed anywhere ---------------------------------------------------------------------------------------------- */

/* Finishes items and says each index once its commit was answered; log lines and refusals go between. */
static void work_until_killed(int to)
{
    mf_taken taken[5];
    mf_key key = kit_key();
    mf_store *s = kit_open(temp_store_path);
    for (size_t got; (got = kit_take(s, taken, 5)) > 0;)
        for (size_t i = 0; i < got; i++) {
            if (kit_finish(s, &taken[i]) != MF_OK)
                _exit(1);
            say_number(to, (uint32_t)taken[i].entry.unit.index);
            (void)!mf_store_log(s, &key, MF_STR_LIT("done"));
        }
    _exit(0);       /* all are done, where its killer was kept waiting: who listens hears the end */
}

Test(sqlite_process, nothing_that_was_answered_is_lost_whenever_it_is_killed)
{
    enum { ROUNDS = 25, ITEMS = 2000 };
    static bool answered[ITEMS];
    unsigned seed = (unsigned)time(NULL), known = 0;
    make_swarm(ITEMS);
    srand(seed);
    for (int round = 0; round < ROUNDS; round++) {
        child c = child_start(work_until_killed);
        uint32_t index;
        for (int left = rand() % 60; left > 0 && read(c.says, &index, sizeof index) == (ssize_t)sizeof index; left--) {
            answered[index] = true;
            known++;
        }
        kill(c.pid, SIGKILL);
        while (read(c.says, &index, sizeof index) == (ssize_t)sizeof index) {
            answered[index] = true;
            known++;
        }
        child_end(&c, SIGKILL);
        cr_assert(kit_is_whole(temp_store_path), "seed %u, round %d", seed, round);
        cr_assert(eq(i64, kit_ask(temp_store_path, "SELECT (SELECT count(*) FROM entries) + (SELECT count(*) FROM outcomes)"),
                     ITEMS), "seed %u, round %d: each item waits or has an outcome", seed, round);
    }
    mf_store *s = kit_open(temp_store_path);
    mf_key key = kit_key();
    for (uint64_t i = 0; i < ITEMS; i++) {
        mf_outcome outcome = {.status = MF_STATUS_PENDING};
        size_t got;
        is_status(mf_store_outcomes(s, &key, i, 1, &outcome, &got, NULL), MF_OK);
        bool there = got == 1 && outcome.status == MF_STATUS_DONE;
        cr_assert(there || !answered[i], "seed %u: item %lu was answered and is lost",
                  seed, (unsigned long)i);
    }
    cr_assert(gt(uint, known, 0));
    mf_store_destroy(s);
}

/* ---- the clock ---------------------------------------------------------------------------------------------------- */

typedef struct hands {
    int64_t mono_ms, wall_ms;
} hands;

static int64_t mono_ns(void *user)
{
    return ((hands *)user)->mono_ms * 1000000;
}

static int64_t wall_ms(void *user)
{
    return ((hands *)user)->wall_ms;
}

static int64_t now_and_commit(hands *at, int64_t later_ms)
{
    mf_clock clock = {mono_ns, wall_ms, at};
    mf_store *s = NULL;
    mf_error err = {0};
    is_status(mfi_sqlite_store_create(temp_store_path, NULL, &clock, &s, &err), MF_OK);
    mf_spec *call = kit_call();
    mf_entry entry = kit_entry(call, 0);
    at->mono_ms += later_ms;
    is_status(mf_store_commit(s, &(mf_batch){.entries = &entry, .entry_count = 1}, NULL, NULL), MF_OK);
    int64_t now = mf_store_now_ms(s);
    mf_spec_unref(call);
    mf_store_destroy(s);
    return now;
}

Test(sqlite_process, the_clock_shows_the_time_of_day_and_never_goes_back)
{
    temp_store_new();
    hands at = {.mono_ms = 500, .wall_ms = 1700000000000};
    cr_assert(eq(i64, now_and_commit(&at, 250), 1700000000250));
    at = (hands){.mono_ms = 3, .wall_ms = 1600000000000};    /* a start of the machine later, somebody has set it back */
    cr_assert(eq(i64, now_and_commit(&at, 40), 1700000000290));
    at = (hands){.mono_ms = 9, .wall_ms = 1800000000000};
    cr_assert(eq(i64, now_and_commit(&at, 0), 1800000000000));
}

Test(sqlite_process, setting_the_time_of_day_moves_no_due_time)
{
    temp_store_new();
    hands at = {.mono_ms = 500, .wall_ms = 1700000000000};
    mf_clock clock = {mono_ns, wall_ms, &at};
    mf_store *s = NULL;
    is_status(mfi_sqlite_store_create(temp_store_path, NULL, &clock, &s, NULL), MF_OK);
    at.wall_ms -= 3600000;
    at.mono_ms += 10;
    cr_assert(eq(i64, mf_store_now_ms(s), 1700000000010));
    mf_store_destroy(s);
}

Test(sqlite_process, all_processes_of_one_start_share_one_clock)
{
    mf_store *one = kit_open(temp_store_new()), *two = kit_open(temp_store_path);
    int64_t a = mf_store_now_ms(one), b = mf_store_now_ms(two), c = mf_store_now_ms(one);
    cr_assert(a <= b && b <= c);
    mf_store_destroy(one);
    mf_store_destroy(two);
    one = kit_open(temp_store_path);
    cr_assert(mf_store_now_ms(one) >= c);
    mf_store_destroy(one);
}
