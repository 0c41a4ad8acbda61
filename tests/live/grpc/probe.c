/* Calls of our gRPC client, for the Python side of the tests: probe HOST PORT [ca=FILE] [cert=FILE] [key=FILE] [token=T] COMMAND…
 *
 *   unary METHOD BYTES COUNT WITHIN   COUNT calls of BYTES bytes at once, from four threads; prints how many ended how
 *   stream METHOD BYTES               a call with one message; prints the lengths of what comes, then the end
 *   bidi METHOD COUNT                 COUNT messages one after the other, each after the answer to the one before
 *   watch METHOD                      a stream that stays open: prints "message" for each; until it ends */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc.h"

static struct {
    pthread_mutex_t lock;
    pthread_cond_t  changed;
    size_t          messages, bytes, ended;
    size_t          codes[17];
    bool            loud;
    char            text[MF_ERROR_TEXT_MAX];
} seen = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void on_message(void *user, mf_str message)
{
    (void)user;
    pthread_mutex_lock(&seen.lock);
    seen.messages++;
    seen.bytes += message.len;
    if (seen.loud) {
        puts("message");
        fflush(stdout);
    }
    pthread_cond_broadcast(&seen.changed);
    pthread_mutex_unlock(&seen.lock);
}

static void on_end(void *user, const mfi_rpc_end *end)
{
    (void)user;
    pthread_mutex_lock(&seen.lock);
    seen.ended++;
    seen.codes[end->code]++;
    if (end->err != NULL)
        snprintf(seen.text, sizeof seen.text, "%s", end->err->text);
    pthread_cond_broadcast(&seen.changed);
    pthread_mutex_unlock(&seen.lock);
}

static void wait_for(const size_t *counter, size_t least)
{
    pthread_mutex_lock(&seen.lock);
    while (*counter < least && (counter == &seen.ended || seen.ended == 0))
        pthread_cond_wait(&seen.changed, &seen.lock);
    pthread_mutex_unlock(&seen.lock);
}

static void report(void)
{
    printf("%zu messages of %zu bytes;", seen.messages, seen.bytes);
    for (int i = 0; i < 17; i++)
        if (seen.codes[i] > 0)
            printf(" %zu %s", seen.codes[i], mfi_rpc_code_name((mfi_rpc_code)i));
    printf("; %s\n", seen.text);
}

struct many {
    mfi_rpc    *rpc;
    const char *method;
    mf_str      request;
    size_t      count;
    mf_duration within;
};

static void *begin_many(void *arg)
{
    const struct many *m = arg;
    for (size_t i = 0; i < m->count; i++)
        if (mfi_rpc_begin(m->rpc, &(mfi_rpc_spec){.method = m->method, .request = m->request, .within = m->within, .message = on_message,
                                                  .ended = on_end}, NULL, NULL) != MF_OK)
            abort();
    return NULL;
}

static void unary(struct many *m)
{
    pthread_t threads[4];
    size_t whole = m->count;
    m->count /= 4;
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, begin_many, m);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    wait_for(&seen.ended, whole / 4 * 4);
}

static void bidi(mfi_rpc *rpc, const char *method, size_t count)
{
    mfi_rpc_call *call;
    if (mfi_rpc_begin(rpc, &(mfi_rpc_spec){.method = method, .open = true, .bare = true, .within = MF_FOREVER, .message = on_message,
                                           .ended = on_end}, &call, NULL) != MF_OK)
        abort();
    for (size_t i = 0; i < count; i++) {
        if (mfi_rpc_send(call, MF_STR_LIT("ping")) != MF_OK)
            abort();
        wait_for(&seen.messages, i + 1);
    }
    mfi_rpc_send_end(call);
    wait_for(&seen.ended, 1);
    mfi_rpc_call_unref(call);
}

int main(int argc, char **argv)
{
    mfi_rpc_options o = {.what = "the server", .host = argv[1], .port = (uint16_t)atoi(argv[2])};
    int i = 3;
    for (; i < argc && strchr(argv[i], '=') != NULL; i++) {
        const char *value = strchr(argv[i], '=') + 1;
        if (strncmp(argv[i], "ca=", 3) == 0)
            o.ca = value, o.tls = true;
        else if (strncmp(argv[i], "cert=", 5) == 0)
            o.cert = value;
        else if (strncmp(argv[i], "key=", 4) == 0)
            o.key = value;
        else
            o.token = value;
    }
    if (argc < i + 2)
        return 2;
    const char *command = argv[i], *method = argv[i + 1];
    size_t number = argc > i + 2 ? strtoul(argv[i + 2], NULL, 10) : 0;
    char *bytes = calloc(1, number + 1);
    struct many m = {.method = method, .request = mf_str_of(bytes, number), .within = MF_FOREVER,
                     .count = argc > i + 3 ? strtoul(argv[i + 3], NULL, 10) : 1};
    mf_error err = {0};
    if (argc > i + 4 && mf_duration_parse(mf_cstr(argv[i + 4]), &m.within, &err) != MF_OK)
        return 2;
    mf_status st = mfi_rpc_create(&o, &m.rpc, &err);
    if (st == MF_OK)
        st = mfi_rpc_wait_up(m.rpc, mf_seconds(10), &err);
    if (st != MF_OK) {
        printf("! %s %s\n", mf_status_name(st), err.text);
    } else if (strcmp(command, "unary") == 0) {
        unary(&m);
    } else if (strcmp(command, "bidi") == 0) {
        bidi(m.rpc, method, number);
    } else {
        seen.loud = strcmp(command, "watch") == 0;
        m.count = 1;
        begin_many(&m);
        wait_for(&seen.ended, 1);
    }
    if (st == MF_OK)
        report();
    mfi_rpc_destroy(m.rpc, 0);
    free(bytes);
    return 0;
}
