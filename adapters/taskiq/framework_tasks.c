/* mageflow's own tasks are messages like all others, "mageflow.<name>", in mageflow's own queue or in the fleet's: the host
 * knows them by name. They need no declaration at TaskIQ, which has no list of tasks outside its workers. */
#include "taskiq.h"

mf_status taskiq_create_framework_tasks(mf_adapter *base, const mf_task_def *defs, size_t n, mf_error *err)
{
    mf_status st = MF_OK;
    for (size_t i = 0; st == MF_OK && i < n; i++)
        st = base->ops->task(base, &defs[i], err);
    return st;
}
