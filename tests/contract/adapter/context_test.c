/* What a call learns about itself, in the same words on every manager. */
#include "kit.h"

#include "runtime.h"

/* Notes its whole execution info as one text, in the order of the calls. */
typedef struct notes {
    fixture *f;
    char     text[8][512];
    unsigned count;
    bool     had_raw;
} notes;

static mf_status inspect(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    notes *n = user;
    const mf_execution_info *info = mf_context_execution_info(ctx);
    mf_key key = mf_context_signature(ctx);
    (void)in, (void)out;
    pthread_mutex_lock(&n->f->lock);
    snprintf(n->text[n->count++ % 8], sizeof n->text[0], "%.*s signature %s container %s index %llu epoch %u attempt %u id %s",
             (int)info->task_name.len, info->task_name.at, mf_key_eq(&key, &info->task_data.signature) ? key.text : "another",
             info->task_data.container.text, (unsigned long long)info->task_data.index, info->task_data.epoch,
             info->attempt_number, info->workflow_id.len > 0 ? "some" : "none");
    n->had_raw = info->raw_context != NULL;
    pthread_mutex_unlock(&n->f->lock);
    note_call(n->f, ctx, in);
    return info->attempt_number < 2 && info->task_data.index == 5 ? MF_E_RETRY : MF_OK;
}

static void declare_inspect(fixture *f, notes *n)
{
    *n = (notes){.f = f};
    is_status(mf_task(f->mage, MF_TASK_DEF(.name = "inspect", .run = inspect, .user = n, .retries = 1,
                                           .backoff = mf_milliseconds(1)), &f->err), MF_OK);
}

FLOW_TEST(adapter_context, a_tasks_own_record_is_its_signature)
{
    notes n;
    declare_inspect(f, &n);
    mf_run *run = start(f, sign(f, "inspect", NULL), NULL);
    mf_key key = mf_run_key(run);
    ends_done(f, run, "null");
    char want[256];
    snprintf(want, sizeof want, "inspect signature %s container  index 0 epoch 0 attempt 1 id some", key.text);
    is_text(n.text[0], want);
}

FLOW_TEST(adapter_context, a_plain_item_has_its_containers_key_and_its_index)
{
    notes n;
    declare_inspect(f, &n);
    mf_run *run = start(f, CHAIN(f, sign(f, "note", NULL), sign(f, "inspect", NULL)), NULL);
    mf_key key = mf_run_key(run);
    ends_done(f, run, "null");
    char want[256];
    snprintf(want, sizeof want, "inspect signature %s container  index 1 epoch 0 attempt 1 id some", key.text);
    is_text(n.text[0], want);
}

FLOW_TEST(adapter_context, a_signature_in_a_container_knows_both)
{
    notes n;
    declare_inspect(f, &n);
    mf_signature *item = on_success(f, sign(f, "inspect", NULL), sign(f, "note", NULL));
    mf_key own = mf_signature_key(item);
    mf_run *run = start(f, SWARM(f, NULL, item), NULL);
    mf_key key = mf_run_key(run);
    ends_done(f, run, "[null]");
    char want[256];
    snprintf(want, sizeof want, "inspect signature %s container %s index 0 epoch 0 attempt 1 id some", own.text, key.text);
    is_text(n.text[0], want);
}

FLOW_TEST(adapter_context, attempts_are_counted_from_one)
{
    notes n;
    declare_inspect(f, &n);
    mf_signature *swarm = mf_swarm(f->mage, "swarm", NULL, &f->err);
    for (int i = 0; i < 5; i++)
        swarm = mf_swarm_add(swarm, sign(f, "note", NULL), &f->err);
    swarm = mf_swarm_close(mf_swarm_add(swarm, sign(f, "inspect", NULL), &f->err), &f->err);
    ends_done(f, start(f, swarm, NULL), "[null,null,null,null,null,null]");
    settle_down(f);
    has_text(n.text[0], "index 5 epoch 0 attempt 1");
    has_text(n.text[n.count > 8 ? 7 : n.count - 1], "index 5 epoch 0 attempt ");
    bool second = false;
    for (unsigned i = 0; i < n.count && i < 8; i++)
        second |= strstr(n.text[i], "attempt 2") != NULL;
    cr_assert(second);
}

FLOW_TEST(adapter_context, a_call_by_name_has_no_signature_and_an_id)
{
    notes n;
    mf_workflow *w = NULL;
    mf_message *result = NULL;
    declare_inspect(f, &n);
    is_status(mf_workflow_open(f->mage, "inspect", &w, &f->err), MF_OK);
    is_status(mf_workflow_run_and_wait(w, NULL, PATIENCE, &result, &f->err), MF_OK);
    has_text(n.text[0], "inspect signature  container  index ");
    has_text(n.text[0], "attempt 1 id some");
    mf_message_unref(result);
    mf_workflow_destroy(w);
}

/* ---- log, progress, cancel, stop ------------------------------------------------------------------------------------- */

static mf_status long_winded(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)in, (void)out, (void)user;
    char line[6000];
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    mf_status st = mf_context_log(ctx, "%s", line);
    for (int i = 0; st == MF_OK && i < 20; i++)
        st = mf_context_log(ctx, "line %d", i);
    mf_message *progress = mf_msg("i", 1);
    for (int i = 0; st == MF_OK && i < 3; i++)
        st = mf_context_progress(ctx, progress);
    mf_message_unref(progress);
    return st;
}

FLOW_TEST(adapter_context, logs_keep_their_order_and_long_lines_are_cut)
{
    is_status(mf_task(f->mage, MF_TASK_DEF(.name = "long", .run = long_winded), &f->err), MF_OK);
    mf_run *run = start(f, sign(f, "long", NULL), NULL);
    mf_key key = mf_run_key(run);
    ends_done(f, run, "null");
    char *line = NULL;
    is_status(mf_log_line(f->mage, &key, 0, &line), MF_OK);
    cr_assert(eq(sz, strlen(line), 4095));
    mf_text_free(f->mage, line);
    is_status(mf_log_line(f->mage, &key, 20, &line), MF_OK);
    is_text(line, "line 19");
    mf_text_free(f->mage, line);
    is_status(mf_log_line(f->mage, &key, 21, &line), MF_E_NOT_FOUND);
}

FLOW_TEST(adapter_context, a_call_by_name_may_log_and_report_too)
{
    mf_workflow *w = NULL;
    mf_message *result = NULL;
    is_status(mf_task(f->mage, MF_TASK_DEF(.name = "long", .run = long_winded), &f->err), MF_OK);
    is_status(mf_workflow_open(f->mage, "long", &w, &f->err), MF_OK);
    is_status(mf_workflow_run_and_wait(w, NULL, PATIENCE, &result, &f->err), MF_OK);
    mf_message_unref(result);
    mf_workflow_destroy(w);
}

static mf_status watcher(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    fixture *f = user;
    bool before = mf_context_stop_requested(ctx);
    note_call(f, ctx, in);
    mf_status st = mf_context_sleep(ctx, MF_FOREVER);
    *out = mf_msg("s", "gone");
    pthread_mutex_lock(&f->lock);
    f->most = !before && st == MF_E_CANCELED && mf_context_stop_requested(ctx) && mf_context_sleep(ctx, MF_FOREVER) == st;
    pthread_mutex_unlock(&f->lock);
    return MF_OK;
}

FLOW_TEST(adapter_context, a_stop_is_asked_for_once_and_stays)
{
    is_status(mf_task(f->mage, MF_TASK_DEF(.name = "watcher", .run = watcher, .user = f), &f->err), MF_OK);
    mf_run *run = start(f, sign(f, "watcher", NULL), NULL);
    mf_key key = mf_run_key(run);
    wait_calls(f, "watcher", 1);
    is_status(mf_cancel(f->mage, &key, &f->err), MF_OK);
    ends_canceled(f, run);
    settle_down(f);
    cr_assert(eq(uint, f->most, 1));
}

static mf_status by_name_cancels(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)in, (void)out, (void)user;
    return mf_context_cancel(ctx);
}

FLOW_TEST(adapter_context, a_call_by_name_that_cancels_itself_is_told_as_canceled)
{
    mf_workflow *w = NULL;
    mf_message *result = NULL;
    is_status(mf_task(f->mage, MF_TASK_DEF(.name = "cancels", .run = by_name_cancels, .retries = 2), &f->err), MF_OK);
    is_status(mf_workflow_open(f->mage, "cancels", &w, &f->err), MF_OK);
    is_status(mf_workflow_run_and_wait(w, NULL, PATIENCE, &result, &f->err), MF_E_CANCELED);
    mf_workflow_destroy(w);
}

static mf_status wordy(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)in, (void)out, (void)user;
    char text[6000];
    memset(text, 'y', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    return mf_task_fail(ctx, MF_FINAL, NULL, "%s", text);
}

FLOW_TEST(adapter_context, a_failure_without_a_type_is_an_error_and_long_texts_are_cut)
{
    is_status(mf_task(f->mage, MF_TASK_DEF(.name = "wordy", .run = wordy), &f->err), MF_OK);
    mf_run *run = start(f, SWARM(f, NULL, sign(f, "wordy", NULL)), NULL);
    mf_key key = mf_run_key(run);
    ends_done(f, run, "[null]");
    mf_results *results = NULL;
    mf_outcome outcome;
    mf_value value;
    mf_str text = {NULL, 0};
    is_status(mf_results_open(f->mage, &key, &results, &f->err), MF_OK);
    is_status(mf_results_next(results, &outcome, &f->err), MF_OK);
    cr_assert(mf_value_get(mf_message_value(outcome.value), MF_STR_LIT("text"), &value));
    is_status(mf_value_str(value, &text), MF_OK);
    cr_assert(eq(sz, text.len, 4096));
    cr_assert(mf_value_get(mf_message_value(outcome.value), MF_STR_LIT("type"), &value));
    is_status(mf_value_str(value, &text), MF_OK);
    cr_assert(mf_str_eq(text, MF_STR_LIT("Error")));
    mf_results_close(results);
}
