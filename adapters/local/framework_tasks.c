/* mageflow's own tasks need no registration here: their messages are taken from the store like all others, and the host
 * knows them by name. There is no tool of the manager's that could show them. */
#include "local.h"

mf_status local_create_framework_tasks(mf_adapter *base, const mf_task_def *defs, size_t n, mf_error *err)
{
    for (size_t i = 0; i < n; i++) {
        mf_status st = base->ops->task(base, &defs[i], err);
        if (st != MF_OK)
            return st;
    }
    return MF_OK;
}
