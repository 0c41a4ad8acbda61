/* Threads take and drop references to one message and read it, and then to messages that share a row; the last one frees it. For
 * ThreadSanitizer. */
#include <mageflow/message.h>

#include "counting_allocator.h"
#include "message_row.h"

#include <pthread.h>
#include <stdio.h>

#define THREADS 4
#define ROUNDS  20000
#define EACH    1000

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

static void *drop(void *arg)
{
    mf_message **mine = arg;
    int64_t sum = 0, n = 0;
    for (int i = 0; i < EACH; i++) {
        if (mf_value_int(mf_message_value(mine[i]), &n) == MF_OK)
            sum += n;
        mf_message_unref(mine[i]);
    }
    return sum == EACH * 7 ? arg : NULL;
}

static bool drop_rows(counting_allocator *c)
{
    mf_message *messages[THREADS][EACH];
    pthread_t threads[THREADS];
    bool read = true;
    mfi_message_row *row = mfi_message_row_new(&c->allocator, (size_t)THREADS * EACH);
    for (int i = 0; i < THREADS * EACH; i++)
        messages[i / EACH][i % EACH] = mfi_message_row_add(row, (const unsigned char *)"\x07", 1);
    for (int i = 0; i < THREADS; i++)
        read &= pthread_create(&threads[i], NULL, drop, messages[i]) == 0;
    for (int i = 0; read && i < THREADS; i++) {
        void *done;
        pthread_join(threads[i], &done);
        read &= done != NULL;
    }
    return read;
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
    read &= drop_rows(&c);
    long live = atomic_load(&c.live);
    printf("refs_race: %d threads, %s, %ld messages left\n", THREADS, read ? "every read right" : "a read wrong", live);
    return read && live == 0 ? 0 : 1;
}
