#include "cache.h"

void mfi_sq_cache_init(struct mfi_sq_cache *c)
{
    memset(c, 0, sizeof *c);
    pthread_mutex_init(&c->lock, NULL);
}

void mfi_sq_cache_fini(struct mfi_sq_cache *c)
{
    mfi_sq_cache_clear(c);
    pthread_mutex_destroy(&c->lock);
}

void mfi_sq_cache_clear(struct mfi_sq_cache *c)
{
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < MFI_CACHE_SPECS; i++) {
        mf_spec_unref(c->call_of_spec[i].spec);
        mf_spec_unref(c->call_of_id[i].spec);
        mf_spec_unref(c->specs[i].spec);
    }
    for (size_t i = 0; i < MFI_CACHE_MESSAGES; i++) {
        mf_message_unref(c->id_of_message[i].message);
        mf_message_unref(c->message_of_id[i].message);
    }
    memset(c->call_of_spec, 0, sizeof c->call_of_spec);
    memset(c->call_of_id, 0, sizeof c->call_of_id);
    memset(c->specs, 0, sizeof c->specs);
    memset(c->id_of_message, 0, sizeof c->id_of_message);
    memset(c->message_of_id, 0, sizeof c->message_of_id);
    pthread_mutex_unlock(&c->lock);
}

/* Addresses of equal things differ in their middle bits; numbers count up. */
static size_t place_of(const void *at, size_t places)
{
    return (size_t)((uint64_t)(uintptr_t)at * UINT64_C(0x9e3779b97f4a7c15) >> 40) % places;
}

static size_t place_of_id(int64_t id, size_t places)
{
    return (size_t)((uint64_t)id % places);
}

/* ---- calls -------------------------------------------------------------------------------------------------------- */

bool mfi_sq_cache_call_id(struct mfi_sq_cache *c, const mf_spec *spec, int64_t *id, bool *pinned)
{
    pthread_mutex_lock(&c->lock);
    const struct mfi_sq_cached_call *at = &c->call_of_spec[place_of(spec, MFI_CACHE_SPECS)];
    bool found = at->spec == spec;
    if (found) {
        *id = at->id;
        *pinned = at->pinned;
    }
    pthread_mutex_unlock(&c->lock);
    return found;
}

mf_spec *mfi_sq_cache_call(struct mfi_sq_cache *c, int64_t id)
{
    pthread_mutex_lock(&c->lock);
    const struct mfi_sq_cached_call *at = &c->call_of_id[place_of_id(id, MFI_CACHE_SPECS)];
    mf_spec *spec = at->id == id ? mf_spec_ref(at->spec) : NULL;
    pthread_mutex_unlock(&c->lock);
    return spec;
}

void mfi_sq_cache_add_call(struct mfi_sq_cache *c, const mf_spec *spec, int64_t id, bool pinned)
{
    mf_spec *held[] = {mf_spec_ref(spec), mf_spec_ref(spec)};
    pthread_mutex_lock(&c->lock);
    struct mfi_sq_cached_call *at[] = {&c->call_of_spec[place_of(spec, MFI_CACHE_SPECS)],
                                    &c->call_of_id[place_of_id(id, MFI_CACHE_SPECS)]};
    for (int i = 0; i < 2; i++) {
        mf_spec *before = at[i]->spec;
        *at[i] = (struct mfi_sq_cached_call){held[i], id, pinned};
        held[i] = before;
    }
    pthread_mutex_unlock(&c->lock);
    mf_spec_unref(held[0]);
    mf_spec_unref(held[1]);
}

/* ---- specs of records --------------------------------------------------------------------------------------------- */

mf_spec *mfi_sq_cache_spec(struct mfi_sq_cache *c, int64_t rec)
{
    pthread_mutex_lock(&c->lock);
    const struct mfi_sq_cached_spec *at = &c->specs[place_of_id(rec, MFI_CACHE_SPECS)];
    mf_spec *spec = at->rec == rec ? mf_spec_ref(at->spec) : NULL;
    pthread_mutex_unlock(&c->lock);
    return spec;
}

void mfi_sq_cache_add_spec(struct mfi_sq_cache *c, const mf_spec *spec, int64_t rec)
{
    mf_spec *held = mf_spec_ref(spec);
    pthread_mutex_lock(&c->lock);
    struct mfi_sq_cached_spec *at = &c->specs[place_of_id(rec, MFI_CACHE_SPECS)];
    mf_spec *before = at->spec;
    *at = (struct mfi_sq_cached_spec){held, rec};
    pthread_mutex_unlock(&c->lock);
    mf_spec_unref(before);
}

/* ---- long messages ------------------------------------------------------------------------------------------------ */

int64_t mfi_sq_cache_message_id(struct mfi_sq_cache *c, const mf_message *message)
{
    pthread_mutex_lock(&c->lock);
    const struct mfi_sq_cached_message *at = &c->id_of_message[place_of(message, MFI_CACHE_MESSAGES)];
    int64_t id = at->message == message ? at->id : 0;
    pthread_mutex_unlock(&c->lock);
    return id;
}

mf_message *mfi_sq_cache_message(struct mfi_sq_cache *c, int64_t id)
{
    pthread_mutex_lock(&c->lock);
    const struct mfi_sq_cached_message *at = &c->message_of_id[place_of_id(id, MFI_CACHE_MESSAGES)];
    mf_message *message = at->id == id ? mf_message_ref(at->message) : NULL;
    pthread_mutex_unlock(&c->lock);
    return message;
}

void mfi_sq_cache_add_message(struct mfi_sq_cache *c, const mf_message *message, int64_t id)
{
    mf_message *held[] = {mf_message_ref(message), mf_message_ref(message)};
    pthread_mutex_lock(&c->lock);
    struct mfi_sq_cached_message *at[] = {&c->id_of_message[place_of(message, MFI_CACHE_MESSAGES)],
                                       &c->message_of_id[place_of_id(id, MFI_CACHE_MESSAGES)]};
    for (int i = 0; i < 2; i++) {
        mf_message *before = at[i]->message;
        *at[i] = (struct mfi_sq_cached_message){held[i], id};
        held[i] = before;
    }
    pthread_mutex_unlock(&c->lock);
    mf_message_unref(held[0]);
    mf_message_unref(held[1]);
}
