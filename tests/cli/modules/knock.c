/* knock.c: tasks that tell from outside that they run, by opening a FIFO for writing: whoever waits for that need not sleep.
 *
 * knock {path} then waits until it is asked to stop; stubborn {path} does not listen for as long as the FIFO has a reader;
 * report {path} reports progress before it knocks, and ends when the FIFO has no reader any more; talk {path} logs a line before
 * it knocks and one at its end. */
#include <mageflow/mageflow.h>

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

static int open_fifo(const mf_message *in)
{
    char path[4096];
    mf_str text;
    if (mf_message_scan(in, NULL, "{s:s}", "path", &text) != MF_OK)
        return -1;
    snprintf(path, sizeof path, "%.*s", (int)text.len, text.at);
    return open(path, O_WRONLY | O_CLOEXEC);
}

/* Until whoever reads the FIFO closes it. */
static void wait_for_reader_to_leave(int fd)
{
    struct pollfd reader = {.fd = fd};
    while (poll(&reader, 1, -1) < 0)
        continue;
}

static mf_status knock(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)out, (void)user;
    int fd = open_fifo(in);
    if (fd < 0)
        return mf_task_fail(ctx, MF_FINAL, "NoFifo", "nobody to knock for");
    close(fd);
    return mf_context_sleep(ctx, mf_minutes(5));
}

static mf_status stubborn(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)out, (void)user;
    int fd = open_fifo(in);
    if (fd < 0)
        return mf_task_fail(ctx, MF_FINAL, "NoFifo", "nobody to knock for");
    wait_for_reader_to_leave(fd);
    close(fd);
    return MF_OK;
}

static mf_status report(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    mf_message *progress = mf_msg("{s:i, s:i}", "done", 3, "total", 4);
    (void)mf_context_progress(ctx, progress);
    mf_message_unref(progress);
    return stubborn(ctx, in, out, user);
}

static mf_status talk(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)mf_context_log(ctx, "begun by \033[31m%d", 1);
    mf_status st = stubborn(ctx, in, out, user);
    (void)mf_context_log(ctx, "ended");
    return st;
}

mf_status mf_module_init(mf_client *client, mf_error *err);

MF_MODULE
{
    mf_status st = mf_task(client, MF_TASK_DEF(.name = "knock", .run = knock), err);
    if (st == MF_OK)
        st = mf_task(client, MF_TASK_DEF(.name = "stubborn", .run = stubborn), err);
    if (st == MF_OK)
        st = mf_task(client, MF_TASK_DEF(.name = "talk", .run = talk), err);
    return st == MF_OK ? mf_task(client, MF_TASK_DEF(.name = "report", .run = report), err) : st;
}
