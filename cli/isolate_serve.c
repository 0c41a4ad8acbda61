/* isolate_serve.c: what a task that runs in a child asks of its context, for --isolation process.
 *
 * The verbs of durable tasks are the worker's, which has the claim and the record, and so may keep what was done in memory, too.
 * mf_sleep and mf_wait_event are asked for like a line of the log. A step is begun here, and done there:
 *
 *      child: mf_step                        worker
 *        recall [key]                  →       mf_step: remembered? then its result is the answer, and that is all
 *        answer [MF_E_NOT_FOUND]       ←         else mf_step calls step_in_child, which waits
 *        the step's function, which may ask for anything but another verb
 *        remember [result]             →         step_in_child returns it, and mf_step commits it
 *        answer [status]               ←
 *
 * A step that fails is not remembered: the next word is the call's end. */
#include "isolate.h"

#include <stdio.h>

static mf_status answer(const struct isolated *call, mf_status st, const mf_message *value)
{
    mf_builder b;
    frame_begin(&b, "answer", 2);
    mf_build_int(&b, st);
    frame_message(&b, value);
    return frame_send(&b, call->fd);
}

/* What becomes of the call is the verb's to say where the body returns what it answered. */
static mf_status answer_verb(struct isolated *call, mf_status st, const mf_message *value)
{
    call->verb = st == MF_E_TIMEOUT ? MF_OK : st;
    return answer(call, st, value);
}

static mf_status read_name(mf_value value, char *out, size_t room)
{
    mf_str text;
    if (mf_value_str(value, &text) != MF_OK || text.len >= room)
        return MF_E_MALFORMED;
    snprintf(out, room, "%.*s", (int)text.len, text.at);
    return MF_OK;
}

/* ---- steps -------------------------------------------------------------------------------------------------------- */

struct step {
    struct isolated *call;
    bool             begun;     /* the child was told that it is not done yet */
    bool             left;      /* and did not do it: */
    mf_status        st;        /* MF_OK: the call has ended meanwhile */
};

static mf_status step_in_child(mf_context *ctx, mf_message **out, void *user)
{
    struct step *step = user;
    struct isolated *call = step->call;
    (void)ctx;
    step->begun = call->stepping = true;
    mf_status st = answer(call, MF_E_NOT_FOUND, NULL);
    if (st == MF_OK)
        st = isolated_wait(call);
    call->stepping = false;
    if (st == MF_OK && call->stepped) {
        *out = call->step;
        call->step = NULL;
        call->stepped = false;
        return MF_OK;
    }
    step->left = true;
    step->st = st;
    return MF_E_CANCELED;
}

static mf_status serve_step(struct isolated *call, mf_value value)
{
    struct step step = {.call = call};
    mf_message *known = NULL;
    char key[256];
    mf_status st = read_name(value, key, sizeof key);
    if (st != MF_OK)
        return st;
    st = mf_step(call->ctx, key, step_in_child, &step, &known);
    st = step.left ? step.st : answer_verb(call, st, step.begun ? NULL : known);
    mf_message_unref(known);
    return st;
}

/* Who waits for it, answers. */
static mf_status take_step(struct isolated *call, mf_value value)
{
    if (!call->stepping || frame_read_message(value, &call->step) != MF_OK)
        return MF_E_MALFORMED;
    call->stepped = true;
    return MF_OK;
}

/* ---- waits -------------------------------------------------------------------------------------------------------- */

static mf_status serve_sleep(struct isolated *call, mf_value value)
{
    int64_t span;
    return mf_value_int(value, &span) == MF_OK ? answer_verb(call, mf_sleep(call->ctx, span), NULL) : MF_E_MALFORMED;
}

static mf_status serve_event(struct isolated *call, const mf_message *frame)
{
    char name[256];
    int64_t timeout;
    mf_message *came = NULL;
    if (read_name(frame_value(frame, 0), name, sizeof name) != MF_OK || mf_value_int(frame_value(frame, 1), &timeout) != MF_OK)
        return MF_E_MALFORMED;
    mf_status st = mf_wait_event(call->ctx, name, timeout, &came);
    st = answer_verb(call, st, came);
    mf_message_unref(came);
    return st;
}

/* ---- everything else ---------------------------------------------------------------------------------------------- */

static mf_status serve_context(struct isolated *call, mf_str word, mf_value value)
{
    mf_str text;
    mf_message *message = NULL;
    int64_t more;
    mf_status st = MF_E_MALFORMED;
    if (mf_str_eq(word, MF_STR_LIT("waits")) || mf_str_eq(word, MF_STR_LIT("goes_on"))) {
        call->waits = mf_str_eq(word, MF_STR_LIT("waits"));
        st = MF_OK;
    } else if (mf_str_eq(word, MF_STR_LIT("cancel"))) {
        st = mf_context_cancel(call->ctx);
    } else if (mf_str_eq(word, MF_STR_LIT("log")) && mf_value_bin(value, &text) == MF_OK) {
        st = mf_context_log(call->ctx, "%.*s", (int)text.len, text.at);
    } else if (mf_str_eq(word, MF_STR_LIT("refresh")) && mf_value_int(value, &more) == MF_OK) {
        st = mf_context_refresh_timeout(call->ctx, more);
    } else if (mf_str_eq(word, MF_STR_LIT("progress")) && frame_read_message(value, &message) == MF_OK) {
        st = mf_context_progress(call->ctx, message != NULL ? message : mf_message_nil());
        mf_message_unref(message);
    }
    mf_status sent = answer(call, st, NULL);
    return st == MF_E_MALFORMED ? st : sent;
}

mf_status isolated_serve(struct isolated *call, mf_str word, const mf_message *frame)
{
    if (mf_str_eq(word, MF_STR_LIT("recall")))
        return serve_step(call, frame_value(frame, 0));
    if (mf_str_eq(word, MF_STR_LIT("remember")))
        return take_step(call, frame_value(frame, 0));
    if (mf_str_eq(word, MF_STR_LIT("sleep")))
        return serve_sleep(call, frame_value(frame, 0));
    if (mf_str_eq(word, MF_STR_LIT("event")))
        return serve_event(call, frame);
    return serve_context(call, word, frame_value(frame, 0));
}
