/* One swarm over local threads, for counting what an item costs: steady_cost count|plain ITEMS
 *
 * count  prints the store operations and the bytes that were asked of the allocator, from the start to the end of the run
 * plain  counts nothing: for a tool that counts instructions from outside */
#include <mageflow/mageflow.h>

#include <stdio.h>
#include <stdlib.h>

#include "counting_allocator.h"
#include "spy_store.h"

static uint64_t items;

static mf_status noop(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)ctx, (void)in, (void)out, (void)user;
    return MF_OK;
}

static mf_status next(const mf_message *message, mf_cursor *cursor, mf_message **item, void *user, mf_error *err)
{
    uint64_t at = 0;
    (void)message, (void)user, (void)err;
    memcpy(&at, cursor->bytes, cursor->len);
    if (at == items)
        return MF_OK;
    *item = mf_message_nil();
    at++;
    memcpy(cursor->bytes, &at, sizeof at);
    cursor->len = sizeof at;
    return MF_OK;
}

static mf_status run(mf_client *mage, mf_error *err)
{
    mf_signature *map = mf_map(mage, "map", "many", mf_sign(mage, "noop", NULL, err),
                               MF_SWARM_OPTIONS(.max_concurrency = 64), err);
    mf_run *r = mf_start(map, NULL, err);
    mf_status st = mf_run_wait(r, MF_FOREVER, NULL, err);
    mf_run_destroy(r);
    mf_signature_destroy(map);
    return st;
}

int main(int argc, char **argv)
{
    bool counts = argc == 3 && strcmp(argv[1], "count") == 0;
    if (argc != 3 || (!counts && strcmp(argv[1], "plain") != 0))
        return fprintf(stderr, "usage: steady_cost count|plain ITEMS\n"), 2;
    items = strtoull(argv[2], NULL, 10);

    counting_allocator counting;
    counting_init(&counting);
    const mf_allocator *allocator = counts ? &counting.allocator : NULL;
    mf_error err;
    mf_store *store = NULL;
    mf_client *mage = NULL;
    mf_status st = mf_memory_store_create(allocator, NULL, &store, &err);
    if (st == MF_OK && counts)
        store = spy_store_create(store);
    if (st == MF_OK)
        st = mf_open("local:?threads=1", MF_OPTIONS(.allocator = allocator, .store = store), &mage, &err);
    if (st == MF_OK)
        st = mf_task(mage, MF_TASK_DEF(.name = "noop", .run = noop), &err);
    if (st == MF_OK)
        st = mf_source(mage, MF_SOURCE_DEF(.name = "many", .next = next), &err);
    if (st == MF_OK)
        st = run(mage, &err);
    if (st == MF_OK && counts)
        printf("%lu %ld\n", spy_store_calls(spy_store_of(store)), atomic_load(&counting.bytes));
    if (st != MF_OK)
        fprintf(stderr, "steady_cost: %s\n", err.text);
    mf_client_destroy(mage);
    return st == MF_OK ? 0 : 1;
}
