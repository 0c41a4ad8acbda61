/* progress.h: one line on the terminal that tells how far a task is. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <mageflow/mageflow.h>

struct progress {
    bool shown;      /* standard error is a terminal */
    bool dirty;      /* there is a line to wipe */
};

void progress_init(struct progress *progress);
/** Show what the task reported last, if anything. */
void progress_show(struct progress *progress, mf_client *client, const mf_key *key);
void progress_wipe(struct progress *progress);

#endif
