/* wait.c: one poll over the run's descriptor and the signals', so that the end of either wakes it at once.
 *
 * A handler instead of a blocked mask: the worker threads and whatever programs a task starts inherit nothing. It is set
 * for one signal each (SA_RESETHAND), so a second Ctrl-C ends a command whose task does not listen. */
#include "wait.h"

#include "command.h"
#include "progress.h"

#include <mageflow/inspect.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define TICK_MS 100    /* how often progress is looked at, on a terminal */
#define HINT_AFTER mf_seconds(5)

static volatile sig_atomic_t caught;
static int                   caught_fd = -1;

static void note_signal(int number)
{
    int saved = errno;
    uint64_t one = 1;
    caught = number;
    ssize_t written = write(caught_fd, &one, sizeof one);
    (void)written;
    errno = saved;
}

mf_status signals_catch(mf_error *err)
{
    caught_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (caught_fd < 0)
        return mf_fail(err, MF_E_IO, "no eventfd for signals: %s", strerror(errno));
    struct sigaction action = {.sa_handler = note_signal, .sa_flags = (int)(SA_RESTART | SA_RESETHAND)};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return MF_OK;
}

int signals_caught(void)
{
    return caught;
}

void signals_fini(void)
{
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    if (caught_fd >= 0)
        close(caught_fd);
    caught_fd = -1;
}

static int64_t now_ns(void)
{
    const mf_clock *clock = mf_clock_default();
    return clock->monotonic_ns(clock->user);
}

/* Milliseconds for poll until the deadline or the next tick; -1: for ever. */
static int poll_ms(int64_t deadline, bool ticking)
{
    int64_t left = -1;
    if (deadline != INT64_MAX) {
        left = (deadline - now_ns() + 999999) / 1000000;
        if (left < 0)
            left = 0;
    }
    if (ticking && (left < 0 || left > TICK_MS))
        left = TICK_MS;
    return left > 3600000 ? 3600000 : (int)left;
}

/* Who waits for workers elsewhere should not wait for ever without a word because there are none. */
static void hint(mf_client *client, const mf_key *key)
{
    mf_record record;
    if (mf_inspect(client, key, &record, NULL) != MF_OK)
        return;
    if (record.state.status == MF_STATUS_PENDING)
        complain("%s has not begun; with the same --url, \"mageflow list --workers\" tells whether a worker is there, "
                 "\"mageflow inspect %s\" what it waits for", key->text, key->text);
    mf_record_release(&record);
}

static waited poll_until(mf_client *client, mf_run *run, int64_t deadline, struct progress *progress)
{
    mf_key key = mf_run_key(run);
    int64_t hint_ns = mf_client_in_process(client) ? INT64_MAX : now_ns() + HINT_AFTER;
    struct pollfd fds[2] = {{.fd = mf_run_fd(run), .events = POLLIN}, {.fd = caught_fd, .events = POLLIN}};
    for (;;) {
        if (caught != 0)
            return WAITED_SIGNAL;
        poll(fds, 2, poll_ms(deadline < hint_ns ? deadline : hint_ns, progress->shown));
        if (fds[0].revents != 0 || mf_run_poll(run, NULL, NULL) != MF_E_AGAIN)
            return WAITED_ENDED;
        if (now_ns() >= deadline)
            return WAITED_TIMEOUT;
        if (now_ns() >= hint_ns) {
            hint_ns = INT64_MAX;
            progress_wipe(progress);
            hint(client, &key);
        }
        progress_show(progress, client, &key);
    }
}

waited wait_for(mf_client *client, mf_run *run, mf_duration timeout)
{
    int64_t deadline;
    if (timeout == MF_FOREVER || __builtin_add_overflow(now_ns(), timeout, &deadline))
        deadline = INT64_MAX;
    struct progress progress;
    progress_init(&progress);
    waited how = poll_until(client, run, deadline, &progress);
    progress_wipe(&progress);
    return how;
}
