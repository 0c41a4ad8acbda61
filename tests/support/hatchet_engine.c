#include "hatchet_engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* HATCHET_DEPS: the folder script/test puts the engine into. */
static const char program[] = HATCHET_DEPS "/hatchet-engine";

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "hatchet_engine: %s: %s\n", what, why);
    abort();
}

/* The value of "name": in one flat JSON object, whose texts have no escapes but in an error. */
static void field(const char *line, const char *name, char *out, size_t size)
{
    char key[32];
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = strstr(line, key);
    if (at == NULL) {
        out[0] = '\0';
        return;
    }
    at += strlen(key);
    at += *at == '"';
    size_t len = strcspn(at, "\",}");
    if (len >= size)
        fail("too long", name);
    memcpy(out, at, len);
    out[len] = '\0';
}

/* Read one answer. NULL, or the error it tells. */
static const char *hear(hatchet_engine *e)
{
    static char line[4096];
    char number[16];
    if (fgets(line, sizeof line, e->answers) == NULL)
        return "it has ended";
    if (strstr(line, "\"error\":") != NULL)
        return strstr(line, "\"error\":") + strlen("\"error\":");
    struct { const char *name; char *to; size_t size; } texts[] = {
        {"grpc", e->grpc, sizeof e->grpc}, {"api", e->api, sizeof e->api}, {"token", e->token, sizeof e->token},
        {"tenant", e->tenant, sizeof e->tenant}, {"database", e->database, sizeof e->database}, {"log", e->log, sizeof e->log},
    };
    /* A stopped engine has no address; the one it had is the one it comes back to. */
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (e->grpc[0] == 0 || strstr(line, "\"grpc\":") != NULL)
            field(line, texts[i].name, texts[i].to, texts[i].size);
    field(line, "engine", number, sizeof number);
    e->engine = atoi(number);
    field(line, "postgres", number, sizeof number);
    e->postgres = atoi(number);
    return NULL;
}

static void run(int in, int out)
{
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    execl(program, program, "-prepared", HATCHET_DEPS "/prepared", (char *)NULL);
    _exit(127);
}

const char *hatchet_engine_try(hatchet_engine *e)
{
    int in[2], out[2];
    memset(e, 0, sizeof *e);
    if (access(program, X_OK) != 0)
        return "no Hatchet engine in .deps/hatchet (script/test builds tests/live/hatchet/engine there)";
    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
        fail("pipe", strerror(errno));
    e->pid = fork();
    if (e->pid < 0)
        fail("fork", strerror(errno));
    if (e->pid == 0)
        run(in[0], out[1]);
    close(in[0]);
    close(out[1]);
    e->commands = fdopen(in[1], "w");
    e->answers = fdopen(out[0], "r");
    if (e->commands == NULL || e->answers == NULL)
        fail("fdopen", strerror(errno));
    setvbuf(e->commands, NULL, _IOLBF, 256);
    const char *why = hear(e);
    if (why != NULL)
        hatchet_engine_stop(e);
    return why;
}

void hatchet_engine_start(hatchet_engine *e)
{
    const char *why = hatchet_engine_try(e);
    if (why != NULL)
        fail("it does not start", why);
}

void hatchet_engine_do(hatchet_engine *e, const char *command)
{
    fprintf(e->commands, "%s\n", command);
    const char *why = hear(e);
    if (why != NULL)
        fail(command, why);
}

void hatchet_engine_stop(hatchet_engine *e)
{
    if (e->pid <= 0)
        return;
    fclose(e->commands);      /* the end of its input ends it */
    while (waitpid(e->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    fclose(e->answers);
    e->pid = 0;
}
