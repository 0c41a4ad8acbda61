/* Threads take and drop references to one message and read it; the last one frees it. For ThreadSanitizer. */
#include <mageflow/message.h>

#include "counting_allocator.h"

#include <pthread.h>
#include <stdio.h>

#define THREADS 4
#define ROUNDS  20000

static void *hold(void *arg)
{
    mf_message *m = arg;
    int sum = 0, n = 0;
    for (int i = 0; i < ROUNDS; i++) {
        mf_message *mine = mf_message_ref(m);
        if (mf_message_scan(mine, NULL, "{s:i}", "n", &n) == MF_OK)
            sum += n;
        mf_message_unref(mine);
    }
    mf_message_unref(m);    /* the reference it was given */
    return sum == ROUNDS * 7 ? arg : NULL;
}

int main(void)
{
    counting_allocator c;
    mf_message *m;
    pthread_t threads[THREADS];
    bool read = true;
    counting_init(&c);
    if (mf_message_from_bytes(MF_STR_LIT("\x81\xa1n\x07"), NULL, &c.allocator, &m, NULL) != MF_OK)
        return 1;
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, hold, mf_message_ref(m)) != 0)
            return 1;
    mf_message_unref(m);
    for (int i = 0; i < THREADS; i++) {
        void *done;
        pthread_join(threads[i], &done);
        read &= done != NULL;
    }
    long live = atomic_load(&c.live);
    printf("refs_race: %d threads, %s, %ld messages left\n", THREADS, read ? "every read right" : "a read wrong", live);
    return read && live == 0 ? 0 : 1;
}
