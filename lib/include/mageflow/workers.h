/* mageflow/workers.h: who serves what. A process that serves tells the others on its store, now and then, that it is there, which
 * tasks it serves and what it runs; whoever looks reads what was told last. The command's worker does so every 10 seconds.
 *
 * What is told is kept beside the flows and goes by itself when it is not renewed: a process that was killed is seen a little
 * longer. Nothing of a flow depends on it.
 *
 * Threads   every function may be called from any thread; none of them from a task that must be quick, since they ask the store.
 */
#ifndef MAGEFLOW_WORKERS_H
#define MAGEFLOW_WORKERS_H

#include <mageflow/base.h>
#include <mageflow/flow.h>
#include <mageflow/message.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Tell the others on the store about this process, for as long as `good_for` (above 0): to be called again well before that is
 * over. MF_E_STATE: nothing is served here (mf_serve); MF_E_UNSUPPORTED: no other process can use this store;
 * MF_E_INVALID, MF_E_FORKED, MF_E_NOMEM, MF_E_IO. */
mf_status mf_workers_announce(mf_client *client, mf_duration good_for, mf_error *err);
/** Take it back, when it serves no more. MF_OK, also where nothing was told; MF_E_FORKED, MF_E_IO. */
mf_status mf_workers_renounce(mf_client *client, mf_error *err);

/** What one process told last. */
typedef struct mf_worker_note {
    char        name[256];  /* unique; "HOST:PID:" and more; ends in NUL */
    int64_t     expires_ms; /* when that is not believed any more, on the store's clock (mf_inspect_now_ms) */
    mf_message *told;       /* a reference: {host, pid, threads, since_ms, told_ms, running: a number, calls: of those the first 64,
                             * [{task, key, index, attempt}, …] (key: what it is called for; nil: nothing stored), tasks: the first
                             * 1000 names}; times on the store's clock */
} mf_worker_note;

/** Up to max of them, in the order of their names, behind the one of the name `after` (NULL: from the first); each out[i].told is
 * for mf_message_unref. *got less than max: there are no more. MF_E_FORKED, MF_E_NOMEM, MF_E_IO. */
MF_NODISCARD mf_status mf_workers_page(mf_client *client, const char *after, size_t max, mf_worker_note *out, size_t *got,
                                       mf_error *err);

#ifdef __cplusplus
}
#endif
#endif
