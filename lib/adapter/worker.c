/* The only callers of the tables of workers and workflows. */
#include <mageflow/adapter.h>

mf_status mf_worker_start(mf_worker *w, mf_error *err)
{
    return w->ops->start(w, err);
}

mf_status mf_worker_drain(mf_worker *w, mf_duration timeout)
{
    return w->ops->drain(w, timeout);
}

void mf_worker_stop(mf_worker *w)
{
    w->ops->stop(w);
}

void mf_worker_destroy(mf_worker *w)
{
    if (w != NULL)
        w->ops->destroy(w);
}

mf_status mf_workflow_run(mf_workflow *w, const mf_message *message, mf_error *err)
{
    return w->ops->run_many(w, &message, 1, 0, err);
}

mf_status mf_workflow_run_many(mf_workflow *w, const mf_message *const *messages, size_t n, mf_duration delay, mf_error *err)
{
    if (delay < 0)
        return mf_fail(err, MF_E_INVALID, "workflow: expected a delay of 0 or more, got %lld ns", (long long)delay);
    return w->ops->run_many(w, messages, n, delay, err);
}

mf_status mf_workflow_run_and_wait(mf_workflow *w, const mf_message *message, mf_duration timeout, mf_message **result,
                                   mf_error *err)
{
    return w->ops->run_and_wait(w, message, timeout, result, err);
}

void mf_workflow_destroy(mf_workflow *w)
{
    if (w != NULL)
        w->ops->destroy(w);
}
