/* What a program hangs into its client: who calls the tasks, and who hears what the library says. On local threads alone. */
#include "kit.h"

#include <poll.h>

static mf_client *hooked(fixture *f, const mf_options *options)
{
    mf_client *mage = NULL;
    is_status(mf_open("local:?threads=2", options, &mage, &f->err), MF_OK);
    return mage;
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

static mf_status answer(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)ctx, (void)in;
    *out = mf_msg("s", (const char *)user);
    return MF_OK;
}

/* "inner" is called and its answer thrown away, "never" is not called at all. */
static mf_status in_its_place(mf_context *ctx, const mf_task_def *def, const mf_message *in, mf_message **out, void *user)
{
    note_call(user, ctx, in);
    if (strcmp(def->name, "never") == 0)
        return mf_task_fail(ctx, MF_FINAL, "Refused", "%s is not called", def->name);
    mf_message *inner = NULL;
    mf_status st = def->run(ctx, in, &inner, def->user);
    *out = mf_msg("[s, m]", "around", inner);
    mf_message_unref(inner);
    return st;
}

Test(flow_hooks, tasks_are_called_by_whom_the_options_name, .timeout = 60)
{
    fixture f;
    open_fixture(&f, 0);
    mf_client *mage = hooked(&f, MF_OPTIONS(.allocator = &f.counting.allocator, .call = in_its_place, .call_user = &f));
    is_status(mf_task(mage, MF_TASK_DEF(.name = "inner", .run = answer, .user = "inside"), &f.err), MF_OK);
    is_status(mf_task(mage, MF_TASK_DEF(.name = "never", .run = answer, .user = "inside"), &f.err), MF_OK);
    ends_done(&f, start(&f, mf_sign(mage, "inner", NULL, &f.err), NULL), "[\"around\",\"inside\"]");
    ends_failed(&f, start(&f, mf_sign(mage, "never", NULL, &f.err), NULL), "Refused: never is not called");
    mf_client_destroy(mage);
    close_fixture(&f);
}

/* ---- stop, for a task that polls --------------------------------------------------------------------------------- */

static mf_status poller(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    struct pollfd stop = {.fd = mf_context_stop_fd(ctx), .events = POLLIN};
    bool same = mf_context_stop_fd(ctx) == stop.fd, early = poll(&stop, 1, 0) != 0;
    note_call(user, ctx, in);
    while (!early && poll(&stop, 1, -1) < 0)
        continue;
    bool asked = mf_context_stop_requested(ctx);
    *out = mf_msg("[b, b, b]", same, early, asked);
    return same && !early && asked ? MF_E_CANCELED : MF_E_FINAL;
}

Test(flow_hooks, a_descriptor_tells_a_task_that_polls_of_its_stop, .timeout = 60)
{
    fixture f;
    open_fixture(&f, 0);
    mf_client *mage = hooked(&f, MF_OPTIONS(.allocator = &f.counting.allocator));
    is_status(mf_task(mage, MF_TASK_DEF(.name = "poller", .run = poller, .user = &f), &f.err), MF_OK);
    mf_run *run = start(&f, mf_sign(mage, "poller", NULL, &f.err), NULL);
    mf_key key = mf_run_key(run);
    wait_calls(&f, "poller", 1);
    is_status(mf_cancel(mage, &key, &f.err), MF_OK);
    is_status(mf_drain(mage, PATIENCE), MF_OK);     /* it returns: it heard of it */
    mf_run_destroy(run);
    mf_client_destroy(mage);
    close_fixture(&f);
}

static mf_status asked_before(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)in, (void)out;
    (void)mf_context_cancel(ctx);
    struct pollfd stop = {.fd = mf_context_stop_fd(ctx), .events = POLLIN};
    *(int *)user = poll(&stop, 1, 0);
    return MF_OK;
}

Test(flow_hooks, a_descriptor_made_after_the_stop_tells_of_it_too, .timeout = 60)
{
    fixture f;
    int readable = 0;
    open_fixture(&f, 0);
    mf_client *mage = hooked(&f, MF_OPTIONS(.allocator = &f.counting.allocator));
    is_status(mf_task(mage, MF_TASK_DEF(.name = "late", .run = asked_before, .user = &readable), &f.err), MF_OK);
    mf_signature *late = mf_sign(mage, "late", NULL, &f.err);
    is_status(mf_call(late, NULL, PATIENCE, NULL, &f.err), MF_E_CANCELED);
    mf_signature_destroy(late);
    is_status(mf_drain(mage, PATIENCE), MF_OK);
    cr_assert(eq(int, readable, 1));
    mf_client_destroy(mage);
    close_fixture(&f);
}

/* ---- the log ------------------------------------------------------------------------------------------------------ */

struct heard {
    pthread_mutex_t lock;
    char            text[1024];
};

static void hear_line(void *user, mf_log_level level, mf_str line)
{
    struct heard *h = user;
    pthread_mutex_lock(&h->lock);
    size_t len = strlen(h->text);
    snprintf(h->text + len, sizeof h->text - len, "%d %.*s\n", (int)level, (int)line.len, line.at);
    pthread_mutex_unlock(&h->lock);
}

static void hear_event(void *user, const mf_log_event *e)
{
    char line[512];
    int len = snprintf(line, sizeof line, "[%.*s] [%.*s] [%.*s] [%s] %u", (int)e->task.len, e->task.at, (int)e->message.len,
                       e->message.at, (int)e->error.len, e->error.at, e->key.text, e->attempt);
    hear_line(user, e->level, mf_str_of(line, (size_t)len));
}

static mf_status broken(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)in, (void)out, (void)user;
    return mf_task_fail(ctx, MF_RETRY, "Broken", "attempt %u", mf_context_execution_info(ctx)->attempt_number);
}

static mf_key fail_twice(fixture *f, struct heard *h, mf_log_event_fn *event)
{
    pthread_mutex_init(&h->lock, NULL);
    h->text[0] = '\0';
    mf_client *mage = hooked(f, MF_OPTIONS(.allocator = &f->counting.allocator, .log = hear_line, .log_user = h, .log_event = event));
    is_status(mf_task(mage, MF_TASK_DEF(.name = "broken", .run = broken, .retries = 1, .backoff = mf_milliseconds(1)), &f->err), MF_OK);
    mf_run *run = start(f, mf_sign(mage, "broken", NULL, &f->err), NULL);
    mf_key key = mf_run_key(run);
    ends_failed(f, run, "Broken: attempt 2");
    mf_client_destroy(mage);
    pthread_mutex_destroy(&h->lock);
    return key;
}

Test(flow_hooks, failed_attempts_are_told_with_their_task_as_a_line_and_as_an_event, .timeout = 60)
{
    fixture f;
    struct heard h;
    char want[512];
    open_fixture(&f, 0);
    mf_key key = fail_twice(&f, &h, NULL);
    snprintf(want, sizeof want, "1 task \"broken\", %s, attempt 1: failed, and is tried again: Broken: attempt 1\n"
                                "1 task \"broken\", %s, attempt 2: failed: Broken: attempt 2\n", key.text, key.text);
    is_text(h.text, want);
    key = fail_twice(&f, &h, hear_event);
    snprintf(want, sizeof want, "1 [broken] [failed, and is tried again] [Broken: attempt 1] [%s] 1\n"
                                "1 [broken] [failed] [Broken: attempt 2] [%s] 2\n", key.text, key.text);
    is_text(h.text, want);
    close_fixture(&f);
}
