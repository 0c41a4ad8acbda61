/* send.c: `mageflow send`: send one message to one task and print what comes back. */
#include "command.h"
#include "input.h"
#include "launch.h"

#define THEIRS mf_seconds(2)    /* for a worker to end it first, which says more */

static const struct usage usage = {
    .takes = OPTIONS_OF_CALLS | OPTION_NO_WAIT,
    .arguments = "[OPTION...] TASK [MESSAGE]",
    .before = "Send MESSAGE, a JSON object, to TASK, wait for its end and print the result as JSON.\n"
              "Without MESSAGE the task receives an empty object; with - it is read from standard input.",
    .after = "Where this process runs the task, it must know it: --load the module that declares it. A task that Python's workers\n"
             "serve is named with --foreign.\n"
             "Exit codes: 0 done, 1 the task failed, 2 wrong usage, 3 timeout, 130 Ctrl-C, which cancels the task.\n"
             "\n"
             "  mageflow send --load basic_tasks.so add '{\"a\": 1, \"b\": 2}'        prints 3\n"
             "  echo '{\"ms\": 500}' | mageflow send --load basic_tasks.so sleep -\n"
             "  mageflow send --load basic_tasks.so --timeout 2s --json count '{\"n\": 1000}'\n"
             "  mageflow send --url URL --foreign tasks:resize=30s tasks:resize '{\"width\": 64}'\n",
};

struct sending {
    struct call call;
    mf_message *message;
};

static mf_run *start(struct call *call, mf_error *err)
{
    struct sending *s = (struct sending *)(void *)call;
    mf_signature *sig = mf_sign(call->client, call->what, NULL, err);
    mf_run *run = mf_start(sig, mf_message_ref(s->message), err);
    mf_signature_destroy(sig);
    return run;
}

/* A foreign task's timeout is kept by workers of mageflow; where there is none, it is kept here. */
static void bound_foreign(struct call *call, struct options *own)
{
    mf_error err;
    mf_duration timeout;
    size_t len;
    for (char **task = own->foreign; task != NULL && *task != NULL && own->timeout == MF_FOREVER; task++)
        if (foreign_read(mf_cstr(*task), &len, &timeout, &err) == MF_OK && mf_str_eq(mf_str_of(*task, len), mf_cstr(call->what))) {
            own->timeout = timeout + THEIRS;
            call->foreign = true;
        }
}

static int send_with(const struct options *options)
{
    if (options->count == 0 || options->count > 2) {
        complain("send: expected TASK and at most one MESSAGE, got %zu arguments: see mageflow send --help", options->count);
        return EXIT_USAGE;
    }
    mf_error err;
    struct options own = *options;      /* its texts are borrowed */
    struct sending s = {.call = {.options = &own, .what = options->arguments[0], .wait = !options->no_wait,
                                 .lost = "--no-wait: the task", .advice = "", .start = start}};
    if (input_read(options->arguments[1], &s.message, &err) != MF_OK) {
        complain("%s", err.text);
        return exit_code_of(err.status);
    }
    bound_foreign(&s.call, &own);
    int code = call_make(&s.call);
    mf_message_unref(s.message);
    return code;
}

static int send_run(int argc, const char **argv)
{
    return options_run(argc, argv, &usage, send_with);
}

const verb send_verb = {"send", "send a message to a task, wait, and print the result", send_run};
