#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <pthread.h>

#include "mutex.h"

enum { THREADS = 4, ROUNDS = 20000 };

static struct {
    mfi_mutex lock;
    unsigned  holders, most;    /* L */
    unsigned  count;            /* L */
} shared;

static void *count_up(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        mfi_mutex_lock(&shared.lock);
        if (++shared.holders > shared.most)
            shared.most = shared.holders;
        shared.count++;
        shared.holders--;
        mfi_mutex_unlock(&shared.lock);
    }
    return NULL;
}

Test(sync_mutex, one_thread_at_a_time_holds_it, .timeout = 60)
{
    pthread_t threads[THREADS];
    mfi_mutex_init(&shared.lock);
    for (int i = 0; i < THREADS; i++)
        cr_assert(eq(int, pthread_create(&threads[i], NULL, count_up, NULL), 0));
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    cr_assert(eq(uint, shared.count, THREADS * ROUNDS));
    cr_assert(eq(uint, shared.most, 1));
}

static void *take_and_give(void *arg)
{
    (void)arg;
    mfi_mutex_lock(&shared.lock);
    shared.count++;
    mfi_mutex_unlock(&shared.lock);
    return NULL;
}

/* Each is asleep, or about to be, when the holder gives it up: 2 in the word is what a sleeper leaves there. */
Test(sync_mutex, whoever_sleeps_for_it_is_woken, .timeout = 60)
{
    pthread_t threads[THREADS];
    mfi_mutex_init(&shared.lock);
    for (int round = 0; round < 50; round++) {
        mfi_mutex_lock(&shared.lock);
        for (int i = 0; i < THREADS; i++)
            cr_assert(eq(int, pthread_create(&threads[i], NULL, take_and_give, NULL), 0));
        while (atomic_load_explicit(&shared.lock.word, memory_order_relaxed) != 2)
            mfi_pause();
        mfi_mutex_unlock(&shared.lock);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
    }
    cr_assert(eq(uint, shared.count, THREADS * 50));
    cr_assert(eq(uint, atomic_load(&shared.lock.word), 0));
}
