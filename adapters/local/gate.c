/* A task that declared max_concurrency has a gate: what is taken of it and may not run yet waits there, without a slot. */
#include "local.h"

#include <stdio.h>

#include "memory.h"

mf_status local_gate_add(local *l, const mf_task_def *def, mf_error *err)
{
    local_gate *gate = mf_new(l->allocator, local_gate);
    if (gate == NULL)
        return mf_fail(err, MF_E_NOMEM, "task \"%s\": no memory", def->name);
    snprintf(gate->name, sizeof gate->name, "%s", def->name);
    gate->limit = def->max_concurrency;
    mfi_mutex_lock(&l->lock);
    gate->next = l->gates;
    l->gates = gate;
    mfi_mutex_unlock(&l->lock);
    return MF_OK;
}

void local_gate_free(local *l)
{
    while (l->gates != NULL) {
        local_gate *next = l->gates->next;
        mf_delete(l->allocator, l->gates);
        l->gates = next;
    }
}

local_gate *local_gate_of(local *l, mf_str task)
{
    local_gate *gate = l->gates;
    while (gate != NULL && !mf_str_eq(task, mf_cstr(gate->name)))
        gate = gate->next;
    return gate;
}

bool local_gate_pass(local *l, local_job *job)
{
    local_gate *gate = job->gate;
    if (gate->running < gate->limit) {
        gate->running++;
        return true;
    }
    job->next = NULL;
    if (gate->last != NULL)
        gate->last->next = job;
    else
        gate->first = job;
    gate->last = job;
    l->in_flight--;
    return false;
}

local_job *local_gate_leave(local *l, const local_job *job)
{
    local_gate *gate = job->gate;
    local_job *next = gate->first;
    if (next == NULL) {
        gate->running--;
        return NULL;
    }
    gate->first = next->next;
    if (gate->first == NULL)
        gate->last = NULL;
    l->in_flight++;
    return next;
}
