/* Two clients on one file, which have worked and have nothing to do now. Run under idle.sh: none of their threads makes a
 * system call, though each would hear at once of what the other commits, and of its end. */
#include <mageflow/mageflow.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "temp_store.h"
#include "threads_rest.h"

static mf_status nothing(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)ctx, (void)in, (void)out, (void)user;
    return MF_OK;
}

static void must(mf_status st, const mf_error *err)
{
    if (st == MF_OK)
        return;
    fprintf(stderr, "%s: %s\n", mf_status_name(st), err->text);
    exit(1);
}

static mf_client *work(const char *url)
{
    mf_client *client = NULL;
    mf_error err = {0};
    must(mf_open(url, MF_OPTIONS(.threads = 2), &client, &err), &err);
    must(mf_task(client, MF_TASK_DEF(.name = "nothing", .run = nothing), &err), &err);
    must(mf_call(mf_sign(client, "nothing", NULL, &err), NULL, mf_minutes(1), NULL, &err), &err);
    return client;
}

static void mark(const char *text)
{
    if (write(STDERR_FILENO, text, strlen(text)) < 0)
        exit(1);
}

int main(int argc, char **argv)
{
    char url[300];
    unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 2;
    snprintf(url, sizeof url, "local:?store=sqlite:%s", temp_store_new());
    mf_client *one = work(url), *two = work(url);
    sleep(2);       /* what they still tidy up, and the looks after a close: due by then, and done when all of them sleep */
    threads_rest();
    mark("idle begins\n");
    sleep(seconds);
    mark("idle ends\n");
    mf_client_destroy(one);
    mf_client_destroy(two);
    temp_store_clean();
    return 0;
}
