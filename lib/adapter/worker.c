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

static mf_status check_messages(const mf_message *const *messages, size_t n, mf_error *err)
{
    for (size_t i = 0; i < n; i++) {
        mf_status st = messages[i] == NULL ? MF_OK : mf_message_status(messages[i]);
        if (st != MF_OK)
            return mf_fail(err, st, "workflow: message %zu could not be built: %s", i, mf_status_text(st));
    }
    return MF_OK;
}

mf_status mf_workflow_run(mf_workflow *w, const mf_message *message, mf_error *err)
{
    return mf_workflow_run_many(w, &message, 1, 0, err);
}

mf_status mf_workflow_run_many(mf_workflow *w, const mf_message *const *messages, size_t n, mf_duration delay, mf_error *err)
{
    if (delay < 0)
        return mf_fail(err, MF_E_INVALID, "workflow: expected a delay of 0 or more, got %lld ns", (long long)delay);
    mf_status st = check_messages(messages, n, err);
    return st != MF_OK ? st : w->ops->run_many(w, messages, n, delay, err);
}

mf_status mf_workflow_run_and_wait(mf_workflow *w, const mf_message *message, mf_duration timeout, mf_message **result,
                                   mf_error *err)
{
    mf_status st = check_messages(&message, 1, err);
    return st != MF_OK ? st : w->ops->run_and_wait(w, message, timeout, result, err);
}

void mf_workflow_destroy(mf_workflow *w)
{
    if (w != NULL)
        w->ops->destroy(w);
}
