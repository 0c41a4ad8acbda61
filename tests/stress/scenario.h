/* stress/scenario.h: race scenarios as plain functions, with two fronts.
 *
 * front_criterion.c runs each as a Criterion test, in a process of its own; front_bare.c one after the other, which is what
 * ThreadSanitizer can watch. A scenario ends by itself or is killed by its alarm: it never judges how long things take.
 * MAGEFLOW_STRESS (default 1) multiplies the rounds.
 */
#ifndef MFT_SCENARIO_H
#define MFT_SCENARIO_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct scenario {
    const char *name;         /* the promise */
    void      (*run)(void);
} scenario;

/* Defined by each file of scenarios; the last one has no name. */
extern const scenario scenarios[];

#define CHECK(cond)                                                                                                  \
    do {                                                                                                             \
        if (!(cond)) {                                                                                               \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                                               \
            abort();                                                                                                 \
        }                                                                                                            \
    } while (0)

#define CHECK_EQ(got, want)                                                                                          \
    do {                                                                                                             \
        long long got_ = (long long)(got), want_ = (long long)(want);                                                \
        if (got_ != want_) {                                                                                         \
            fprintf(stderr, "%s:%d: %s is %lld, expected %s = %lld\n", __FILE__, __LINE__, #got, got_, #want, want_); \
            abort();                                                                                                 \
        }                                                                                                            \
    } while (0)

static inline long scenario_rounds(long n)
{
    const char *factor = getenv("MAGEFLOW_STRESS");
    return factor != NULL && atol(factor) > 0 ? n * atol(factor) : n;
}

static inline int64_t scenario_now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* For threads that hand each other something every round: where others keep the CPUs busy each round costs a turn of those, and all
 * rounds, which are less than a second otherwise, many minutes. Fewer will do then. */
static inline bool scenario_is_enough(int64_t began_s)
{
    return scenario_now_s() - began_s > scenario_rounds(30);
}

#endif
