/* mageflow/hatchet.h as a process, for the Python side of the tests: runs_client URL
 *
 * A line of words with tabs between them is a call, one line is its answer: an id, a result as JSON, "ok", or "! STATUS text".
 *
 *     run TASK MESSAGE [METADATA [PRIORITY [DELAY_MS]]]     wait TASK RUN SPAN     cancel RUN...     replay RUN...
 *     push KEY PAYLOAD [METADATA [PRIORITY [SCOPE]]]        limit KEY UNITS */
#include <mageflow/hatchet.h>
#include <mageflow/mageflow.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WORDS 64

static mf_client *client;
static mf_error   err;

static mf_message *json(const char *text)
{
    mf_message *m = NULL;
    return text != NULL && text[0] != '\0' && mf_message_from_json(mf_cstr(text), NULL, NULL, &m, &err) == MF_OK ? m : NULL;
}

static mf_status run(char **w, mf_hatchet_id *id)
{
    mf_message *message = json(w[2]), *metadata = json(w[3]);
    struct timespec now;
    int64_t at = 0;
    clock_gettime(CLOCK_REALTIME, &now);
    if (w[3] != NULL && w[4] != NULL && w[5] != NULL)
        at = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + strtoll(w[5], NULL, 10);
    mf_status st = mf_hatchet_run(client, w[1], message, MF_HATCHET_RUN(.metadata = metadata, .at_ms = at,
                                  .priority = w[3] != NULL && w[4] != NULL ? (int)strtol(w[4], NULL, 10) : 0), id, &err);
    mf_message_unref(message);
    mf_message_unref(metadata);
    return st;
}

static mf_status push(char **w, mf_hatchet_id *id)
{
    mf_message *payload = json(w[2]), *metadata = json(w[3]);
    bool more = w[3] != NULL && w[4] != NULL;
    mf_status st = mf_hatchet_push(client, w[1], payload, MF_HATCHET_EVENT(.metadata = metadata, .scope = more ? w[5] : NULL,
                                   .priority = more ? (int)strtol(w[4], NULL, 10) : 0), id, &err);
    mf_message_unref(payload);
    mf_message_unref(metadata);
    return st;
}

static mf_hatchet_id id_of(const char *text)
{
    mf_hatchet_id id = {""};
    snprintf(id.text, sizeof id.text, "%s", text != NULL ? text : "");
    return id;
}

static mf_status wait_for(char **w)
{
    mf_message *result = NULL;
    mf_duration span = mf_seconds(60);
    mf_hatchet_id id = id_of(w[2]);
    char *text = NULL;
    size_t len = 0;
    mf_status st = w[3] != NULL ? mf_duration_parse(mf_cstr(w[3]), &span, &err) : MF_OK;
    if (st == MF_OK)
        st = mf_hatchet_wait(client, w[1], &id, span, &result, &err);
    if (st == MF_OK)
        st = mf_message_to_json(result, NULL, &text, &len, &err);
    if (st == MF_OK)
        puts(text);
    mf_json_free(NULL, text, len);
    mf_message_unref(result);
    return st;
}

static mf_status on_runs(char **w, size_t n)
{
    mf_hatchet_id ids[WORDS];
    for (size_t i = 0; i < n; i++)
        ids[i] = id_of(w[1 + i]);
    return w[0][0] == 'c' ? mf_hatchet_cancel(client, ids, n, &err) : mf_hatchet_replay(client, ids, n, &err);
}

static void obey(char *line)
{
    char *words[WORDS + 1] = {NULL}, *at = line;
    size_t n = 0;
    mf_hatchet_id id = {"ok"};
    mf_status st = MF_E_UNSUPPORTED;
    bool told = false;
    for (char *word; n < WORDS && (word = strsep(&at, "\t")) != NULL;)
        words[n++] = word;
    err = (mf_error){0};
    if (strcmp(words[0], "run") == 0)
        st = run(words, &id);
    else if (strcmp(words[0], "push") == 0)
        st = push(words, &id);
    else if (strcmp(words[0], "wait") == 0)
        told = (st = wait_for(words)) == MF_OK;
    else if (strcmp(words[0], "cancel") == 0 || strcmp(words[0], "replay") == 0)
        st = on_runs(words, n - 1);
    else if (strcmp(words[0], "limit") == 0)
        st = mf_hatchet_rate_limit_put(client, words[1], (int32_t)strtol(words[2], NULL, 10), MF_HATCHET_DAY, &err);
    if (st != MF_OK)
        printf("! %s %s\n", mf_status_name(st), err.text);
    else if (!told)
        puts(id.text);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char *line = NULL;
    size_t size = 0;
    if (argc != 2)
        return 2;
    mf_status st = mf_open(argv[1], NULL, &client, &err);
    if (st != MF_OK) {
        printf("! %s %s\n", mf_status_name(st), err.text);
        return 1;
    }
    while (getline(&line, &size, stdin) > 0) {
        line[strcspn(line, "\n")] = '\0';
        obey(line);
    }
    free(line);
    mf_client_destroy(client);
    return 0;
}
