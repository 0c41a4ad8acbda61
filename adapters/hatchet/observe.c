/* The ends of tasks that others serve. */
#include "hatchet.h"

#include "memory.h"

/* ---- telling ---------------------------------------------------------------------------------------------------------- */

typedef struct end {
    hatchet            *owner;
    mf_unit             unit;
    mf_signature_status status;
    mf_message         *value;
} end;

static void tell_end(void *arg)
{
    end *e = arg;
    hatchet *h = e->owner;
    if (h->host->ops->outcome(h->host, &e->unit, e->status, e->value) != MF_OK)
        hatchet_log(h, MF_LOG_WARN, "the end of a task of %s could not be told", e->unit.key.text);
    mf_message_unref(e->value);
    mf_delete(h->allocator, e);
}

static mf_pool *thread_of(hatchet *h)
{
    pthread_mutex_lock(&h->lock);
    if (h->telling_flows == NULL &&
        mf_pool_create(MF_POOL_OPTIONS(.allocator = h->allocator, .workers = 1, .when_full = MF_POOL_FULL_GROW,
                                       .thread_name = "mf-observe"), &h->telling_flows, NULL) != MF_OK)
        h->telling_flows = NULL;
    mf_pool *pool = h->telling_flows;
    pthread_mutex_unlock(&h->lock);
    return pool;
}

void hatchet_end_unit(hatchet *h, const mf_unit *unit, mf_signature_status status, mf_message *value)
{
    mf_pool *pool = thread_of(h);
    end *e = pool != NULL ? mf_new(h->allocator, end) : NULL;
    if (e != NULL)
        *e = (end){.owner = h, .unit = *unit, .status = status, .value = mf_message_ref(value)};
    if (e == NULL || mf_pool_submit(pool, tell_end, e) != MF_OK) {
        hatchet_log(h, MF_LOG_ERROR, "no memory to tell the end of a task of %s", unit->key.text);
        if (e != NULL) {
            mf_message_unref(e->value);
            mf_delete(h->allocator, e);
        }
    }
}
