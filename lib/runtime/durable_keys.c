/* Keys of the signatures that a durable body makes. */
#include "here.h"
#include "random.h"
#include "runtime.h"

bool mfi_durable_is_here(void)
{
    return mfi_here.running != NULL && mfi_here.running->task->durable && mfi_here.running->token != 0;
}

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* The n-th signature that a body makes has the same key in each replay. Its bits come from the task's own key, which nobody
 * guesses, so nobody guesses these. */
static mf_status derive(void *user, void *at, size_t len)
{
    (void)user;
    mfi_running *running = mfi_here.running;
    const mf_key *key = &running->call.delivery->unit.key;
    uint64_t number = ++running->durable.keys;
    for (size_t i = 0; i < len; i += sizeof(uint64_t)) {
        uint64_t word, hash = mix(number * UINT64_C(0x9e3779b97f4a7c15) + i);
        for (size_t k = 0; k < sizeof key->text; k += sizeof word) {
            memcpy(&word, key->text + k, sizeof word);
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
