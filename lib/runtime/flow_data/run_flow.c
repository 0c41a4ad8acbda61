/* `mageflow.run_flow` called from outside: by a program of whatever language that can send a task to this manager.
 *
 *     {"flow": …, "message": …, …}   or the flow alone: start it, and answer with its result when it has ended
 *     {"cancel": NAME}               end what runs under that key, unique name, or id of such a call
 *
 * The call lasts as long as the flow. What the manager delivers again, since this process died or closed, joins the flow
 * that is there: it was started under the delivery's id as its unique name. */
#include "runtime.h"

#include <mageflow/control.h>
#include <mageflow/flow_data.h>

#include <stdio.h>

#include "flow_start.h"

#define LOOK_AGAIN mf_milliseconds(100)     /* where too many calls wait on this thread for another to wait */

/* The unique name of what a call starts; an id that is too long for one gives none. */
static const char *name_of(mf_str id, char name[256])
{
    if (id.len == 0 || id.len + sizeof MFI_CALLED > 256)
        return NULL;
    snprintf(name, 256, MFI_CALLED "%.*s", (int)id.len, id.at);
    return name;
}

/* ---- starting, and waiting for the end ------------------------------------------------------------------------------- */

static unsigned stops(const mf_context *ctx)
{
    return atomic_load_explicit(&ctx->call->stop, memory_order_acquire);
}

static mf_status wait(mf_context *ctx, mf_run *run, mf_message **out, mf_error *err)
{
    mf_status st = mf_run_wait(run, MF_FOREVER, out, err);
    while (st == MF_E_FULL) {
        st = mf_context_sleep(ctx, LOOK_AGAIN);
        if (st == MF_OK)
            st = mf_run_poll(run, out, err);
        if (st == MF_E_AGAIN)
            st = MF_E_FULL;
    }
    return st;
}

static mf_status tell_failure(mf_context *ctx, mf_run *run, const mf_error *err)
{
    mf_message *error = NULL;
    mf_str type, text;
    mf_status st;
    if (mf_run_error(run, &error) == MF_OK && mf_message_scan(error, NULL, "{s:S, s:S}", "type", &type, "text", &text) == MF_OK) {
        char word[64];
        snprintf(word, sizeof word, "%.*s", (int)type.len, type.at);
        st = mf_task_fail(ctx, MF_FINAL, word, "%.*s", (int)text.len, text.at);
    } else {
        st = mf_task_fail(ctx, MF_FINAL, err->status == MF_E_CANCELED ? "Canceled" : mf_status_name(err->status), "%s", err->text);
    }
    mf_message_unref(error);
    return st;
}

/* Refused before anything ran: what can be different the next time is tried again. */
static mf_status tell_refusal(mf_context *ctx, const mf_error *err)
{
    bool again = err->status == MF_E_NOMEM || err->status == MF_E_IO;
    return mf_task_fail(ctx, again ? MF_RETRY : MF_FINAL, "InvalidFlow", "%s", err->text);
}

static mf_status start(mf_client *client, mf_context *ctx, const mf_message *document, mf_message **out)
{
    char name[256];
    mf_error err = {.status = MF_E_INVALID, .text = ""};
    mf_run *run = mfi_flow_start(client, document, NULL, name_of(ctx->info.workflow_id, name), &err);
    if (run == NULL)
        return tell_refusal(ctx, &err);
    mf_key key = mf_run_key(run);
    mf_status st = wait(ctx, run, out, &err);
    if (st != MF_OK && (stops(ctx) & (MFI_STOP_CANCEL | MFI_STOP_SELF)) != 0)
        (void)mf_cancel(client, &key, NULL);        /* whoever cancels the call means the flow */
    else if (st != MF_OK && stops(ctx) == 0)
        st = tell_failure(ctx, run, &err);
    mf_run_destroy(run);
    return st;
}

/* ---- canceling ------------------------------------------------------------------------------------------------------- */

/* A name is a key, the id of a call, or a unique name that a document gave. */
static mf_status find(mf_client *client, mf_str name, mf_key *out, mf_error *err)
{
    char called[256];
    if (mf_key_parse(name, out, NULL) == MF_OK)
        return MF_OK;
    mf_status st = name_of(name, called) == NULL ? MF_E_NOT_FOUND : mfi_find_unique(client, called, out, err);
    if (st == MF_E_NOT_FOUND && name.len > 0 && name.len < 256) {
        snprintf(called, sizeof called, "%.*s", (int)name.len, name.at);
        st = mfi_find_unique(client, called, out, err);
    }
    if (st == MF_E_NOT_FOUND)
        return mf_fail(err, st, "nothing runs under \"%.*s\"", (int)(name.len < 255 ? name.len : 255), name.at);
    return st;
}

static mf_status cancel(mf_client *client, mf_context *ctx, mf_value value, mf_message **out)
{
    mf_str name;
    mf_key key;
    mf_error err;
    if (mf_value_str(value, &name) != MF_OK)
        return mf_task_fail(ctx, MF_FINAL, "InvalidFlow", "cancel: expected text, got %s", mf_type_name(mf_value_type(value)));
    mf_status st = find(client, name, &key, &err);
    if (st == MF_OK)
        st = mf_cancel(client, &key, &err);
    if (st == MF_OK) {
        *out = mf_msg("s", key.text);
        return mf_message_status(*out);
    }
    bool again = st == MF_E_NOMEM || st == MF_E_IO;
    return mf_task_fail(ctx, again ? MF_RETRY : MF_FINAL, st == MF_E_NOT_FOUND ? "NotFound" : mf_status_name(st), "%s", err.text);
}

mf_status mfi_run_flow(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    mf_client *client = user;
    mf_value map = mf_message_value(in), value;
    if (mf_value_count(map) == 1 && mf_value_get(map, MF_STR_LIT("cancel"), &value))
        return cancel(client, ctx, value, out);
    return start(client, ctx, in, out);
}
