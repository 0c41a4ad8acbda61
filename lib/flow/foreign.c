#include "foreign.h"

#include <stdio.h>

#include "compose.h"
#include "framework.h"

/* A note goes with the end of its call. Only where the record was taken away meanwhile, or has another epoch, does it go by itself,
 * this long after the end of the task's time. */
#define KEEP_SENT_MS (24 * INT64_C(3600) * 1000)

mf_str mfi_foreign_name(const mf_unit *unit, char out[MFI_FOREIGN_NAME_MAX])
{
    int len = snprintf(out, MFI_FOREIGN_NAME_MAX, "%s %llu %u", unit->key.text, (unsigned long long)unit->index, unit->epoch);
    return mf_str_of(out, (size_t)len);
}

/* Nobody else asks for the message of a call: a chain has its own, and the callbacks of a swarm's items are none of their own. */
static bool is_asked_for(const mf_spec *spec)
{
    return spec->foreign && spec->on_error_count > 0 && !spec->numbered;
}

static void keep_sent(const mf_spec *spec, const mf_unit *unit, const mf_message *sent, mfi_plan *plan)
{
    char name[MFI_FOREIGN_NAME_MAX];
    if (sent == NULL || !is_asked_for(spec))
        return;
    mfi_plan_own_note(plan, &(mf_note){.space = MFI_FOREIGN_SENT, .name = mfi_foreign_name(unit, name),
                                       .value = (mf_message *)(uintptr_t)sent,
                                       .expires_ms = plan->now_ms + spec->timeout_ms + KEEP_SENT_MS});
}

void mfi_foreign_ended(const mf_spec *spec, const mf_unit *unit, mfi_plan *plan)
{
    char name[MFI_FOREIGN_NAME_MAX];
    if (is_asked_for(spec))
        mfi_plan_own_note(plan, &(mf_note){.space = MFI_FOREIGN_SENT, .name = mfi_foreign_name(unit, name)});
}

/* A foreign worker's silence is an end, too: unless one is known by then, its call has failed. */
static void end_its_time(const mf_spec *spec, const mf_unit *unit, const mf_message *sent, mfi_plan *plan)
{
    char text[256];
    snprintf(text, sizeof text, "no outcome of the foreign task \"%.*s\" within %lld ms: does a worker serve it, with a "
             "result backend, on the same server, with the same serializer?", (int)spec->name.len, spec->name.at,
             (long long)spec->timeout_ms);
    mfi_failure failure = {.type = MF_STR_LIT("Timeout"), .text = mf_cstr(text), .attempt = 1, .key = unit->key,
                           .index = unit->index, .final = true};
    mf_message *error = NULL, *message = NULL;
    mf_error err = {.text = "flow: no memory for an error"};
    mf_status st = mfi_compose_error(&failure, plan->allocator, &error);
    if (st == MF_OK)
        st = mfi_compose_pair("error", error, "message", sent, plan, &message, &err);
    mf_message_unref(error);
    if (st != MF_OK) {
        mfi_plan_fail(plan, st, err.text);
        return;
    }
    mfi_plan_entry(plan, plan->framework->specs[mfi_framework_for_end(&unit->key, false)], unit, 1, message);
    if (plan->status == MF_OK)
        plan->entries[plan->entry_count - 1].due_ms = plan->now_ms + spec->timeout_ms;
}

void mfi_foreign_called(const mf_spec *spec, const mf_unit *unit, const mf_message *sent, mfi_plan *plan)
{
    keep_sent(spec, unit, sent, plan);
    end_its_time(spec, unit, sent, plan);
}
