/* search.h: the flow: built, started, watched, ended. */
#ifndef DUPLICATES_SEARCH_H
#define DUPLICATES_SEARCH_H

#include "groups.h"

#include <mageflow/client.h>
#include <mageflow/control.h>

struct search {
    const char *directory;          /* as the user wrote it */
    const char *root;               /* the same, absolute */
    const char *spool;
    const char *name;               /* of the run, where a store outlives the program; NULL: it need not be found again */
    unsigned    max_concurrency;
    uint64_t    stop_after_failures;
};

/** From now on the first SIGINT or SIGTERM is noted and ends search_run; a second one ends the process. MF_E_IO. */
mf_status search_catch_signals(mf_error *err);
/** The signal that was noted; 0: none. */
int search_signal(void);

/** Search, with a progress bar on a terminal; with a name, go on with the search of that name that was interrupted, if there
 * is one. *key is the run's. Returns when nothing of it runs any more in this process, callbacks
 * included. MF_E_TASK_FAILED: the text tells why, with how many files failed where that is the reason; MF_E_CANCELED: a
 * signal came; or what starting it answered. */
mf_status search_run(mf_client *client, const struct search *search, mf_key *key, struct groups_summary *out, mf_error *err);
/** What search_run found was shown: the run need not be found again. */
void search_forget(mf_client *client, const mf_key *key);

#endif
