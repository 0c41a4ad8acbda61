/* A token that the engine does not take any more: it has expired, or somebody revoked it.
 *
 * A connection outlives its token: streams that are open go on, each new call is refused (UNAUTHENTICATED). One clear line says so,
 * /health is red, and what is to be told waits. A token that came from a file is read from it again, at each refusal but at most
 * once a second: whoever renews it there heals us within a heartbeat. One from the environment cannot change while we run. */
#include "hatchet.h"

#include <stdio.h>

#include "clock.h"

#define AGAIN_AFTER mf_seconds(1)

void hatchet_token_refused(hatchet *h)
{
    pthread_mutex_lock(&h->lock);
    h->token_refused = true;
    pthread_mutex_unlock(&h->lock);
    mfi_rpc_poke(h->rpc);
}

void hatchet_token_why(hatchet *h, char text[HATCHET_TOKEN_WHY])
{
    char day[MFI_HATCHET_EXPIRED_TEXT];
    const char *file = h->options.token_file;
    pthread_mutex_lock(&h->lock);
    bool expired = mfi_hatchet_token_expired(&h->options, day);
    pthread_mutex_unlock(&h->lock);
    snprintf(text, HATCHET_TOKEN_WHY, "the engine does not take the token%s%s%s: %s%.300s%s", expired ? ", which has expired" : "", day,
             expired ? " UTC" : "", file[0] != '\0' ? "put a new one into " : "start again with a new one in HATCHET_CLIENT_TOKEN", file,
             file[0] != '\0' ? ", which is read again" : "");
}

bool io_token_refused(hatchet *h, const mfi_rpc_end *end)
{
    char why[HATCHET_TOKEN_WHY];
    if (end->code != MFI_RPC_UNAUTHENTICATED)
        return false;
    hatchet_token_refused(h);
    hatchet_token_why(h, why);
    io_is_deaf(h, why);
    if (!h->token_told)
        hatchet_log(h, MF_LOG_ERROR, "%s", why);
    h->token_told = true;
    return true;
}

/* True: there is another one in the file, and it is used from now on. */
static bool read_again(hatchet *h)
{
    mfi_hatchet_options fresh = h->options;
    bool another = mfi_hatchet_options_token_again(&fresh, NULL) == MF_OK && mfi_rpc_token_set(h->rpc, fresh.token);
    if (another) {
        pthread_mutex_lock(&h->lock);
        h->options.expires_s = fresh.expires_s;
        pthread_mutex_unlock(&h->lock);
    }
    mfi_hatchet_options_wipe(&fresh);
    return another;
}

int64_t io_token_tick(hatchet *h, int64_t now)
{
    pthread_mutex_lock(&h->lock);
    bool refused = h->token_refused;
    pthread_mutex_unlock(&h->lock);
    if (!refused)
        return INT64_MAX;
    if (now < h->token_ns)
        return h->token_ns;
    pthread_mutex_lock(&h->lock);
    h->token_refused = false;
    pthread_mutex_unlock(&h->lock);
    h->token_ns = now + AGAIN_AFTER;
    if (!read_again(h))
        return INT64_MAX;
    hatchet_log(h, MF_LOG_INFO, "there is a new token in %s", h->options.token_file);
    h->token_told = false;
    h->beat_ns = h->listen_ns = h->results_ns = h->durable_ns = now;
    atomic_store(&h->tell_ns, now);
    return INT64_MAX;
}
