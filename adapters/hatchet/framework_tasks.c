/* mageflow's own tasks are workflows of the engine like all others, "mageflow.<name>": its tools show them, and a client of any
 * language may call mageflow.run_flow. Their messages are the host's, who knows them by name. */
#include "hatchet.h"

mf_status hatchet_create_framework_tasks(mf_adapter *base, const mf_task_def *defs, size_t n, mf_error *err)
{
    mf_status st = MF_OK;
    for (size_t i = 0; st == MF_OK && i < n; i++)
        st = base->ops->task(base, &defs[i], err);
    return st;
}
