/* What a script is given. Those that change something begin with the caller's slot: lua/common.lua, "once", tells why. */
#include "store_impl.h"

#include <stdio.h>

#include "clock.h"

struct mfi_rs_chunk {
    struct mfi_rs_chunk *next;
    size_t               size, used;
    char                 at[];
};

void mfi_rs_args_init(struct mfi_rs_args *a, const struct mfi_rs *s)
{
    *a = (struct mfi_rs_args){.allocator = s->allocator};
    if (s->clock != NULL)
        mfi_rs_add_int(a, mfi_wall_ms(s->clock));
    else
        mfi_rs_add(a, mf_str_of("", 0));
    mfi_rs_add_int(a, s->lease_ms);
}

/* ---- slots ------------------------------------------------------------------------------------------------------ */

static bool slot_take(struct mfi_rs *s, struct mfi_rs_slot *slot)
{
    pthread_mutex_lock(&s->lock);
    bool ok = true;
    if (s->slot_count > 0) {
        *slot = s->slots[--s->slot_count];
    } else {
        /* Room for all there are, so that giving one back cannot fail. */
        ok = mfi_array_reserve(s->allocator, (void **)&s->slots, &s->slot_capacity, s->slots_made + 1, sizeof *s->slots);
        if (ok)
            *slot = (struct mfi_rs_slot){s->slots_made++, 0};
    }
    pthread_mutex_unlock(&s->lock);
    slot->serial++;
    return ok;
}

void mfi_rs_slot_give(struct mfi_rs *s, const struct mfi_rs_slot *slot)
{
    pthread_mutex_lock(&s->lock);
    s->slots[s->slot_count++] = *slot;
    pthread_mutex_unlock(&s->lock);
}

void mfi_rs_args_once(struct mfi_rs_args *a, struct mfi_rs *s)
{
    mfi_rs_args_init(a, s);
    if (!slot_take(s, &a->slot)) {
        a->st = a->st == MF_OK ? MF_E_NOMEM : a->st;
        return;
    }
    a->once = true;
    mfi_rs_add(a, mf_cstr(s->caller));
    mfi_rs_add_uint(a, a->slot.number);
    mfi_rs_add_uint(a, a->slot.serial);
}

/* ---- arguments -------------------------------------------------------------------------------------------------- */

void mfi_rs_args_fini(struct mfi_rs_args *a)
{
    for (size_t i = 0; i < a->held_count; i++)
        mf_message_unref(a->held[i]);
    mfi_release(a->allocator, a->held, a->held_capacity * sizeof *a->held);
    mfi_release(a->allocator, a->at, a->capacity * sizeof *a->at);
    while (a->chunks != NULL) {
        struct mfi_rs_chunk *next = a->chunks->next;
        mfi_release(a->allocator, a->chunks, sizeof *a->chunks + a->chunks->size);
        a->chunks = next;
    }
}

void mfi_rs_add(struct mfi_rs_args *a, mf_str text)
{
    if (a->st == MF_OK && !mfi_array_reserve(a->allocator, (void **)&a->at, &a->capacity, a->count + 1, sizeof *a->at))
        a->st = MF_E_NOMEM;
    if (a->st == MF_OK)
        a->at[a->count++] = text;
}

char *mfi_rs_room(struct mfi_rs_args *a, size_t size)
{
    struct mfi_rs_chunk *chunk = a->chunks;
    if (a->st == MF_OK && (chunk == NULL || chunk->size - chunk->used < size)) {
        size_t room = size > 2048 ? size : 2048;
        chunk = mfi_alloc(a->allocator, sizeof *chunk + room);
        if (chunk == NULL) {
            a->st = MF_E_NOMEM;
        } else {
            *chunk = (struct mfi_rs_chunk){a->chunks, room, 0};
            a->chunks = chunk;
        }
    }
    if (a->st != MF_OK)
        return NULL;
    char *at = chunk->at + chunk->used;
    chunk->used += size;
    return at;
}

void mfi_rs_add_key(struct mfi_rs_args *a, const mf_key *key)
{
    mfi_rs_add(a, mf_cstr(key->text));
}

static void add_number(struct mfi_rs_args *a, const char *digits, int len)
{
    char *at = mfi_rs_room(a, (size_t)len);
    if (at == NULL)
        return;
    memcpy(at, digits, (size_t)len);
    mfi_rs_add(a, mf_str_of(at, (size_t)len));
}

void mfi_rs_add_int(struct mfi_rs_args *a, int64_t n)
{
    char digits[24];
    add_number(a, digits, snprintf(digits, sizeof digits, "%lld", (long long)n));
}

void mfi_rs_add_uint(struct mfi_rs_args *a, uint64_t n)
{
    char digits[24];
    add_number(a, digits, snprintf(digits, sizeof digits, "%llu", (unsigned long long)n));
}

void mfi_rs_add_message(struct mfi_rs_args *a, mf_status st, mf_message *message)
{
    if (a->st == MF_OK)
        a->st = st;
    if (a->st == MF_OK && !mfi_array_reserve(a->allocator, (void **)&a->held, &a->held_capacity, a->held_count + 1,
                                             sizeof *a->held))
        a->st = MF_E_NOMEM;
    if (a->st != MF_OK) {
        if (st == MF_OK)
            mf_message_unref(message);
        return;
    }
    a->held[a->held_count++] = message;
    mfi_rs_add(a, mf_message_bytes(message));
}
