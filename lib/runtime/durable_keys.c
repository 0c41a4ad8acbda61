/* Keys of the signatures that a durable body makes. */
#include "here.h"
#include "random.h"
#include "runtime.h"

bool mfi_durable_is_here(void)
{
    const mfi_running *running = mfi_here.running;
    return running != NULL && running->task->durable && (running->token != 0 || mfi_durable_by_manager(&running->call.ctx));
}

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* What is the same in each replay of this call, and of no other: the task's own key, or where it has none the manager's id. */
static mf_str identity(const mfi_running *running)
{
    const mf_key *key = &running->call.delivery->unit.key;
    return mf_key_is_set(key) ? mf_str_of(key->text, sizeof key->text) : running->call.delivery->id;
}

/* The n-th signature that a body makes has the same key in each replay. Its bits come from the task's identity, which nobody
 * guesses, so nobody guesses these. */
static mf_status derive(void *user, void *at, size_t len)
{
    (void)user;
    mfi_running *running = mfi_here.running;
    mf_str id = identity(running);
    uint64_t number = ++running->durable.keys;
    for (size_t i = 0; i < len; i += sizeof(uint64_t)) {
        uint64_t hash = mix(number * UINT64_C(0x9e3779b97f4a7c15) + i);
        for (size_t k = 0; k < id.len; k += sizeof(uint64_t)) {
            uint64_t word = 0;
            memcpy(&word, id.at + k, id.len - k < sizeof word ? id.len - k : sizeof word);
            hash = mix(hash + word + i);
        }
        memcpy((unsigned char *)at + i, &hash, len - i < sizeof hash ? len - i : sizeof hash);
    }
    return MF_OK;
}

const struct mfi_random *mfi_durable_keys(void)
{
    static const mfi_random derived = {.fill = derive};
    return mfi_durable_is_here() ? &derived : NULL;
}
