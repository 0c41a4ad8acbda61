/* What breaks a schedule, in words for whoever wrote the flow: which part of it, by the name it was given, and what is missing. */
#include "sim_private.h"

#include <stdio.h>

#include "runtime.h"

static const char *word_of(mf_kind kind)
{
    return kind == MF_KIND_CHAIN ? "chain" : kind == MF_KIND_SWARM ? "swarm" : "task";
}

static bool is_paused(const mf_state *s)
{
    return s->status == MF_STATUS_SUSPENDED || s->status == MF_STATUS_INTERRUPTED;
}

static bool is_left_open(const mf_spec *spec, const mf_state *s)
{
    return spec->kind == MF_KIND_SWARM && s->status == MF_STATUS_ACTIVE && !s->closed && s->running == 0 && s->next == s->total;
}

bool mfi_why_is_held(const mf_spec *spec, const mf_state *state)
{
    return state->started_ms != 0 && (is_paused(state) || is_left_open(spec, state));
}

void mfi_why_open(mfi_sim *sim, const mf_spec *spec, const mf_state *s)
{
    char why[200];
    const char *status = mf_signature_status_name(s->status);
    unsigned long long total = s->total, ended = s->done + s->failed + s->canceled;
    if (is_left_open(spec, s))
        snprintf(why, sizeof why, "it is not closed: %llu of %llu items have ended, and nobody adds one or closes it", ended, total);
    else if (is_paused(s))
        snprintf(why, sizeof why, "it is %s, and nobody resumes it", status);
    else if (spec->kind == MF_KIND_TASK)
        snprintf(why, sizeof why, "it is %s, and no call of it runs or is on its way", status);
    else
        snprintf(why, sizeof why, "it is %s, with %llu running, %llu ended and %llu begun of %llu", status,
                 (unsigned long long)s->running, ended, (unsigned long long)s->next, total);
    mfi_sim_break(sim, "%s \"%.*s\" (%s) was started and never ended: %s", word_of(spec->kind), (int)spec->name.len,
                  spec->name.at, spec->key.text, why);
}

void mfi_why_endless(mfi_sim *sim)
{
    const mfi_running *running = NULL;
    for (const mfi_strand *s = sim->strands; s != NULL && running == NULL; s = s->next)
        running = s->gone ? NULL : s->here.running;
    if (running == NULL) {
        mfi_sim_break(sim, "the schedule does not come to an end: %llu steps, and no task runs", (unsigned long long)sim->steps);
        return;
    }
    const mf_delivery *d = running->call.delivery;
    mfi_sim_break(sim, "the schedule does not come to an end: %llu steps; task \"%.*s\" runs (attempt %u)",
                  (unsigned long long)sim->steps, (int)d->task.len, d->task.at, d->attempt);
}
