/* Hands committed messages to managers with a queue of their own, and forgets them once the manager has them. A crash
 * between the two sends a message again, and its claim then finds what it finds. One thread at a time publishes; a commit
 * that comes meanwhile leaves it a note. */
#include "runtime.h"

#include "memory.h"

#define OUTBOX_PAGE 64

void mfi_outbox_init(mfi_outbox *o)
{
    pthread_mutex_init(&o->lock, NULL);
    o->busy = o->again = false;
    o->pending = NULL;
    o->pending_count = 0;
}

void mfi_outbox_fini(mf_client *client)
{
    mfi_outbox *o = &client->outbox;
    for (size_t i = 0; i < o->pending_count; i++)
        mf_entry_release(&o->pending[i]);
    mfi_release(client->allocator, o->pending, OUTBOX_PAGE * sizeof *o->pending);
    pthread_mutex_destroy(&o->lock);
}

static mf_status read_page(mf_client *client, mf_error *err)
{
    mfi_outbox *o = &client->outbox;
    if (o->pending == NULL) {
        o->pending = mfi_alloc_array(client->allocator, OUTBOX_PAGE, sizeof *o->pending);
        if (o->pending == NULL)
            return mf_fail(err, MF_E_NOMEM, "outbox: no memory");
    }
    int64_t next_ms = INT64_MAX;
    mf_status st = mf_store_outbox(client->store, OUTBOX_PAGE, o->pending, &o->pending_count, &next_ms, err);
    if (st == MF_OK && next_ms != INT64_MAX)
        mfi_keeper_delayed(client, next_ms);
    return st;
}

static mf_status forget_page(mf_client *client, mf_error *err)
{
    mfi_outbox *o = &client->outbox;
    uint64_t ids[OUTBOX_PAGE];
    for (size_t i = 0; i < o->pending_count; i++)
        ids[i] = o->pending[i].id;
    mf_batch batch = {.published = ids, .published_count = o->pending_count};
    mf_refusal refusal;
    mf_status st = mfi_commit(client, &batch, &refusal, err);
    if (st != MF_OK)
        return st;      /* they stay at hand and are sent again */
    for (size_t i = 0; i < o->pending_count; i++)
        mf_entry_release(&o->pending[i]);
    o->pending_count = 0;
    return MF_OK;
}

static mf_status publish_all(mf_client *client, mf_error *err)
{
    mfi_outbox *o = &client->outbox;
    for (;;) {
        mf_status st = o->pending_count > 0 ? MF_OK : read_page(client, err);
        if (st != MF_OK || o->pending_count == 0)
            return st;
        st = mf_adapter_publish(client->adapter, o->pending, o->pending_count, err);
        for (size_t i = 0; i < o->pending_count && st == MF_OK; i++)
            if (o->pending[i].spec->foreign)
                st = mf_adapter_observe(client->adapter, &o->pending[i].unit, err);
        if (st == MF_OK)
            st = forget_page(client, err);
        if (st != MF_OK)
            return st;
    }
}

void mfi_outbox_publish(mf_client *client)
{
    mfi_outbox *o = &client->outbox;
    if (mf_adapter_can(client->adapter, MF_CAP_TAKES))
        return;
    pthread_mutex_lock(&o->lock);
    o->again = true;
    if (o->busy) {
        pthread_mutex_unlock(&o->lock);
        return;
    }
    o->busy = true;
    while (o->again) {
        o->again = false;
        pthread_mutex_unlock(&o->lock);
        mf_error err = {0};
        mf_status st = publish_all(client, &err);
        if (st != MF_OK && !atomic_load(&client->closing)) {
            mfi_log_about(client, MF_LOG_WARN, NULL, err.text, "cannot publish, trying again");
            mfi_keeper_retry(client);
        }
        pthread_mutex_lock(&o->lock);
        if (st != MF_OK)
            break;      /* the keeper's thread tries again: whoever came to publish must not be held here for ever */
    }
    o->busy = false;
    pthread_mutex_unlock(&o->lock);
}
