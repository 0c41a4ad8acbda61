/* bench_machine [--quick]: what the machine itself takes, so that a figure of a pool can be read beside its limit.
 *
 *     own atomic       a fetch-and-add on a line that nobody else touches
 *     shared atomic    the same by two threads at once on one line: from one of them to the next of its own
 *     line there and back   a word goes from one thread to another and back, both looking all the time
 *     futex wake to run     from the wake of a sleeping thread until it runs, half of a way there and back by futexes
 *     copy             64 bytes of a block that no cache holds
 *
 * In turns, a round each. On one CPU the two that need two threads at the same moment measure the scheduler instead. */
#include "report.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ATOMICS = 4000000, WAYS = 100000, SLEEPS = 4000, BLOCK = 64 << 20, ROUNDS = 9 };

static struct {
    _Alignas(128) _Atomic uint32_t word;
    _Alignas(128) _Atomic int      ready;
} shared;

static void start_thread(pthread_t *thread, void *(*run)(void *), void *arg)
{
    if (pthread_create(thread, NULL, run, arg) != 0)
        abort();
}

static double own_atomic(void)
{
    double begin = report_now_ns();
    for (int i = 0; i < ATOMICS; i++)
        atomic_fetch_add(&shared.word, 1);
    return (report_now_ns() - begin) / ATOMICS;
}

/* Both begin when both are there. */
static double adds(void)
{
    atomic_fetch_add(&shared.ready, 1);
    while (atomic_load(&shared.ready) < 2)
        ;
    return own_atomic();
}

static void *add_along(void *arg)
{
    *(double *)arg = adds();
    return NULL;
}

static double shared_atomic(void)
{
    pthread_t other;
    double theirs = 0;
    atomic_store(&shared.ready, 0);
    start_thread(&other, add_along, &theirs);
    double mine = adds();
    pthread_join(other, NULL);
    return (mine + theirs) / 2;
}

static void *answer_by_looking(void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < WAYS; i++) {
        while (atomic_load_explicit(&shared.word, memory_order_acquire) != 2 * i + 1)
            ;
        atomic_store_explicit(&shared.word, 2 * i + 2, memory_order_release);
    }
    return NULL;
}

static double there_and_back(void)
{
    pthread_t other;
    atomic_store(&shared.word, 0);
    start_thread(&other, answer_by_looking, NULL);
    double begin = report_now_ns();
    for (uint32_t i = 0; i < WAYS; i++) {
        atomic_store_explicit(&shared.word, 2 * i + 1, memory_order_release);
        while (atomic_load_explicit(&shared.word, memory_order_acquire) != 2 * i + 2)
            ;
    }
    double ns = (report_now_ns() - begin) / WAYS;
    pthread_join(other, NULL);
    return ns;
}

static void futex_set(uint32_t value)
{
    atomic_store(&shared.word, value);
    syscall(SYS_futex, &shared.word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void futex_await(uint32_t value)
{
    for (uint32_t seen; (seen = atomic_load(&shared.word)) != value;)
        syscall(SYS_futex, &shared.word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void *answer_by_futex(void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < SLEEPS; i++) {
        futex_await(2 * i + 1);
        futex_set(2 * i + 2);
    }
    return NULL;
}

static double wake_to_run(void)
{
    pthread_t other;
    atomic_store(&shared.word, 0);
    start_thread(&other, answer_by_futex, NULL);
    double begin = report_now_ns();
    for (uint32_t i = 0; i < SLEEPS; i++) {
        futex_set(2 * i + 1);
        futex_await(2 * i + 2);
    }
    double ns = (report_now_ns() - begin) / SLEEPS / 2;
    pthread_join(other, NULL);
    return ns;
}

static char *from, *to;

static double copy(void)
{
    double begin = report_now_ns();
    memcpy(to, from, BLOCK);
    return (report_now_ns() - begin) / (BLOCK / 64);
}

static const struct {
    const char *name;
    double (*round)(void);
} limits[] = {
    {"own atomic", own_atomic},
    {"shared atomic", shared_atomic},
    {"line there and back", there_and_back},
    {"futex wake to run", wake_to_run},
    {"copy of 64 bytes", copy},
};
enum { LIMITS = sizeof limits / sizeof limits[0] };

int main(int argc, char **argv)
{
    bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    report_row rows[LIMITS] = {{0}};
    from = malloc(BLOCK);
    to = malloc(BLOCK);
    if (from == NULL || to == NULL)
        return 1;
    memset(from, 1, BLOCK);
    memset(to, 2, BLOCK);
    printf("## The machine\n\n");
    report_machine(quick ? "script/bench --quick machine" : "script/bench machine");
    for (int r = -1; r < ROUNDS; r++)    /* the first one warms up */
        for (int i = 0; i < LIMITS; i++) {
            double ns = limits[i].round();
            rows[i].name = limits[i].name;
            if (r >= 0)
                rows[i].value[r] = ns;
        }
    report_table("Limits", "ns", rows, LIMITS, ROUNDS, REPORT_VALUES);
    free(from);
    free(to);
    return 0;
}
