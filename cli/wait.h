/* wait.h: wait for the end of a run, for a signal, or for the time to be over, showing progress meanwhile. */
#ifndef CLI_WAIT_H
#define CLI_WAIT_H

#include <mageflow/mageflow.h>

typedef enum waited {
    WAITED_ENDED,
    WAITED_TIMEOUT,
    WAITED_SIGNAL       /* the first SIGINT or SIGTERM; a second one ends the process as usual */
} waited;

/** From now on the first SIGINT or SIGTERM is noted instead of ending the process. MF_E_IO. */
mf_status signals_catch(mf_error *err);
/** The signal that was noted; 0: none. */
int signals_caught(void);
/** Let go of what signals_catch made; the signals stay noted, not fatal, until their second. */
void signals_fini(void);

/** Wait for the end of the run. On a terminal the task's progress is shown on standard error and wiped in the end. A run for workers
 * elsewhere that has not begun after 5 s is told of there once, with the commands that tell why. */
waited wait_for(mf_client *client, mf_run *run, mf_duration timeout);

#endif
