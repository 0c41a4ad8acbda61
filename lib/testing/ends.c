/* Which end a foreign call may have. Its peer's answer and the end of its time race, and whichever is committed first counts:
 *
 *     its time ends it     not before it is over, and not once an answer was told and taken
 *     an answer            the model says which one there is (tests/sim/model.c), and that it has an end at once (audit.c)
 *
 * More cannot be said from outside: of two commits that are under way at the same moment either may be the first. */
#include "sim_private.h"

#include "framework.h"

#undef uthash_malloc
#undef uthash_free
#define uthash_malloc(size) mfi_sim_new(sim, (size))
#define uthash_free(at, size) (void)(at)

struct call_key {
    mf_key   key;
    uint64_t index;
};

struct mfi_foreign_call {
    struct call_key of;
    int64_t         due_ms;     /* when its time is over, on the store's clock */
    bool            answered;   /* an answer was told, and made its end */
    bool            timed_out;  /* … its time did; what is above it may tell of that again */
    UT_hash_handle  hh;
};

static struct mfi_foreign_call *find(mfi_sim *sim, const mf_key *key, uint64_t index)
{
    struct call_key of = {*key, index};
    struct mfi_foreign_call *call = NULL;
    HASH_FIND(hh, sim->foreign, &of, sizeof of, call);
    return call;
}

/* The message that ends its time is sent together with the call. */
static void watch_time(mfi_sim *sim, const mf_entry *e)
{
    mfi_framework_task task = mfi_framework_find(e->spec->name);
    if (e->due_ms == 0 || (task != MFI_ON_CHAIN_ERROR && task != MFI_ON_SWARM_ITEM_ERROR) || find(sim, &e->unit.key, e->unit.index) != NULL)
        return;
    struct mfi_foreign_call *call = mfi_sim_new(sim, sizeof *call);
    call->of = (struct call_key){e->unit.key, e->unit.index};
    call->due_ms = e->due_ms;
    HASH_ADD(hh, sim->foreign, of, sizeof call->of, call);
}

static mf_str text_of(const mf_message *map, const char *name)
{
    mf_value value;
    mf_str text = {NULL, 0};
    if (!mf_value_get(mf_message_value(map), mf_cstr(name), &value) || mf_value_str(value, &text) != MF_OK)
        return mf_str_of("", 0);
    return text;
}

static bool ends_its_time(const mf_message *error, mf_key *key, uint64_t *index)
{
    static const char begins[] = "no outcome of the foreign task";
    mf_str text = text_of(error, "text");
    mf_value value;
    return text.len >= sizeof begins - 1 && memcmp(text.at, begins, sizeof begins - 1) == 0 &&
           mf_key_parse(text_of(error, "key"), key, NULL) == MF_OK &&
           mf_value_get(mf_message_value(error), MF_STR_LIT("index"), &value) && mf_value_uint(value, index) == MF_OK;
}

static void check_error(mfi_sim *sim, const mf_message *error)
{
    mf_key key;
    uint64_t index;
    if (error == NULL || !ends_its_time(error, &key, &index))
        return;
    struct mfi_foreign_call *call = find(sim, &key, index);
    if (call == NULL) {
        mfi_sim_break(sim, "the time of %s %llu is over, which is no foreign call", key.text, (unsigned long long)index);
        return;
    }
    if (call->timed_out)
        return;
    call->timed_out = true;
    if (mf_store_now_ms(sim->store) < call->due_ms)
        mfi_sim_break(sim, "%s %llu ends as out of time before its time is over", key.text, (unsigned long long)index);
    if (call->answered)
        mfi_sim_break(sim, "%s %llu ends as out of time, and had its answer", key.text, (unsigned long long)index);
}

void mfi_ends_committed(mfi_sim *sim, const mf_batch *b)
{
    for (size_t i = 0; i < b->entry_count; i++)
        watch_time(sim, &b->entries[i]);
    for (size_t i = 0; sim->foreign != NULL && i < b->outcome_count; i++)
        if (b->outcomes[i].status == MF_STATUS_FAILED)
            check_error(sim, b->outcomes[i].value);
    if (sim->foreign != NULL && b->state != NULL && b->state->status == MF_STATUS_FAILED)
        check_error(sim, b->state->result);
}

void mfi_ends_answered(mfi_sim *sim, const mf_unit *unit)
{
    struct mfi_foreign_call *call = find(sim, &unit->key, unit->index);
    if (call != NULL)
        call->answered = true;
}
