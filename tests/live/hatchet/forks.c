/* A client that forks, for asked.py: forks URL. Sends a task by name before, in a child and after it, and prints how each went. */
#include <mageflow/hatchet.h>
#include <mageflow/mageflow.h>

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define TASK "a_streams"

static mf_client *client;
static mf_workflow *workflow;

static mf_status elsewhere(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)ctx, (void)in, (void)out, (void)user;
    return MF_E_UNSUPPORTED;
}

static void say(mf_status st, const char *when)
{
    printf("%s %s\n", mf_status_name(st), when);
    fflush(stdout);
}

/* All of it is refused with the same status; then everything is closed, as a program does at its end. */
static mf_status try_in_child(void)
{
    mf_error err = {0};
    mf_message *result = NULL;
    mf_workflow *other = NULL;
    mf_hatchet_id id;
    mf_status tried[] = {
        mf_workflow_run(workflow, NULL, &err), mf_workflow_run_and_wait(workflow, NULL, MF_FOREVER, &result, &err),
        mf_workflow_open(client, TASK, &other, &err), mf_hatchet_run(client, TASK, NULL, NULL, &id, &err),
        mf_hatchet_push(client, "k", NULL, NULL, NULL, &err), mf_hatchet_cancel(client, &id, 1, &err),
    };
    for (size_t i = 0; i < sizeof tried / sizeof *tried; i++)
        if (tried[i] != MF_E_FORKED)
            return tried[i];
    mf_workflow_destroy(workflow);
    mf_client_destroy(client);
    return MF_E_FORKED;
}

int main(int argc, char **argv)
{
    mf_error err = {0};
    mf_status st = argc == 2 ? mf_open(argv[1], NULL, &client, &err) : MF_E_INVALID;
    if (st == MF_OK)
        st = mf_task(client, MF_TASK_DEF(.name = TASK, .run = elsewhere), &err);
    if (st == MF_OK)
        st = mf_workflow_open(client, TASK, &workflow, &err);
    if (st != MF_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    say(mf_workflow_run(workflow, NULL, &err), "before");
    pid_t child = fork();
    if (child == 0) {
        say(try_in_child(), "in the child");
        _exit(0);
    }
    int how;
    if (waitpid(child, &how, 0) != child || how != 0)
        return 3;
    say(mf_workflow_run(workflow, NULL, &err), "after");
    mf_workflow_destroy(workflow);
    mf_client_destroy(client);
    return 0;
}
