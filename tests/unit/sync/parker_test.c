#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "clock.h"
#include "parker.h"

#include <pthread.h>

Test(sync_parker, a_token_left_before_is_taken)
{
    mfi_parker p;
    mfi_parker_init(&p);
    mfi_parker_unpark(&p);
    cr_assert(mfi_parker_park(&p, INT64_MAX));
}

Test(sync_parker, tokens_do_not_add_up)
{
    mfi_parker p;
    mfi_parker_init(&p);
    mfi_parker_unpark(&p);
    mfi_parker_unpark(&p);
    cr_assert(mfi_parker_park(&p, INT64_MAX));
    cr_assert(not(mfi_parker_park(&p, 0)));
}

Test(sync_parker, a_deadline_that_is_over_ends_the_park)
{
    mfi_parker p;
    mfi_parker_init(&p);
    int64_t deadline = mfi_now_ns(NULL) + 2000000;
    cr_assert(not(mfi_parker_park(&p, deadline)));
    cr_assert(ge(i64, mfi_now_ns(NULL), deadline));
    cr_assert(not(mfi_parker_park(&p, -5)));
    mfi_parker_unpark(&p);
    cr_assert(mfi_parker_park(&p, 0), "a token counts even then");
}

static mfi_parker ping, pong;

static void *answer(void *rounds)
{
    for (intptr_t i = 0; i < (intptr_t)rounds; i++) {
        mfi_parker_park(&ping, INT64_MAX);
        mfi_parker_unpark(&pong);
    }
    return NULL;
}

Test(sync_parker, two_threads_wake_each_other)
{
    pthread_t other;
    mfi_parker_init(&ping);
    mfi_parker_init(&pong);
    cr_assert(zero(int, pthread_create(&other, NULL, answer, (void *)(intptr_t)1000)));
    for (int i = 0; i < 1000; i++) {
        mfi_parker_unpark(&ping);
        mfi_parker_park(&pong, INT64_MAX);
    }
    pthread_join(other, NULL);
}
