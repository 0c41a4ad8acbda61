/* log.c: one way for every line, whoever says it: the command itself (complain, tell), the library, its adapters. They meet
 * in write_event, which writes text or JSON with one write, so that lines of several threads and processes do not mix. */
#include "log.h"

#include "command.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096

static struct {
    bool         json;
    mf_log_level from;
    char         worker[256];
} settings = {.from = MF_LOG_WARN};

void log_as_json(const char *worker)
{
    char host[200] = "";
    settings.json = true;
    if (worker != NULL) {
        snprintf(settings.worker, sizeof settings.worker, "%s", worker);
        return;
    }
    (void)gethostname(host, sizeof host - 1);
    snprintf(settings.worker, sizeof settings.worker, "%s:%ld", host, (long)getpid());
}

bool log_is_json(void)
{
    return settings.json;
}

const char *log_worker(void)
{
    return settings.worker;
}

void log_from(mf_log_level level)
{
    settings.from = level;
}

/* Nobody could be told that this failed. */
static void write_out(const char *at, size_t len)
{
    while (len > 0) {
        ssize_t written = write(STDERR_FILENO, at, len);
        if (written <= 0)
            return;
        at += written;
        len -= (size_t)written;
    }
}

/* ---- JSON ---------------------------------------------------------------------------------------------------------- */

static void rfc3339(char text[32])
{
    const mf_clock *clock = mf_clock_default();
    int64_t ms = clock->wall_ms(clock->user);
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    char day[24];
    gmtime_r(&seconds, &tm);
    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text, 32, "%s.%03dZ", day, (int)(ms % 1000));
}

static void field(mf_builder *b, const char *name, mf_str text)
{
    if (text.len == 0)
        return;
    mf_build_key(b, name);
    mf_build_str_lossy(b, text);
}

static void build(mf_builder *b, const mf_log_event *e)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    char now[32];
    rfc3339(now);
    mf_build_map_begin(b);
    field(b, "time", mf_cstr(now));
    field(b, "level", mf_cstr(levels[e->level]));
    field(b, "message", e->message);
    field(b, "worker", mf_cstr(settings.worker));
    field(b, "task", e->task);
    field(b, "key", mf_cstr(e->key.text));
    if (mf_key_is_set(&e->key) && e->index > 0) {
        mf_build_key(b, "index");
        mf_build_uint(b, e->index);
    }
    if (e->attempt > 0) {
        mf_build_key(b, "attempt");
        mf_build_uint(b, e->attempt);
    }
    field(b, "error", e->error);
    mf_build_end(b);
}

static void write_json(const mf_log_event *e)
{
    mf_builder b;
    mf_message *object = NULL;
    char *text = NULL;
    size_t len = 0;
    mf_builder_init(&b, NULL, NULL);
    build(&b, e);
    mf_status st = mf_builder_finish(&b, &object, NULL);
    mf_builder_fini(&b);
    if (st == MF_OK)
        st = mf_message_to_json(object, NULL, &text, &len, NULL);
    if (st == MF_OK) {
        text[len] = '\n';      /* in place of its NUL */
        write_out(text, len + 1);
        text[len] = '\0';
    }
    mf_json_free(NULL, text, len);
    mf_message_unref(object);
}

/* ---- text ---------------------------------------------------------------------------------------------------------- */

/* What a task says must not steer the terminal. */
static void write_text(mf_log_level level, mf_str message)
{
    char line[LINE_MAX_BYTES];
    int len = snprintf(line, sizeof line - 1, "mageflow: %s%.*s", level == MF_LOG_WARN ? "warning: " : "", (int)message.len,
                       message.at);
    if (len < 0)
        return;
    size_t end = (size_t)len < sizeof line - 2 ? (size_t)len : sizeof line - 2;
    for (size_t i = 0; i < end; i++)
        if (((unsigned char)line[i] < ' ' && line[i] != '\n' && line[i] != '\t') || line[i] == 127)
            line[i] = '?';
    line[end] = '\n';
    write_out(line, end + 1);
}

/* ---- who speaks ---------------------------------------------------------------------------------------------------- */

/* Text has no fields: the library puts them into the line where it is not asked for events. */
static void write_event(void *user, const mf_log_event *e)
{
    (void)user;
    if (e->level < settings.from)
        return;
    if (settings.json)
        write_json(e);
    else
        write_text(e->level, e->message);
}

static void write_line(void *user, mf_log_level level, mf_str line)
{
    write_event(user, &(mf_log_event){.struct_size = sizeof(mf_log_event), .level = level, .message = line});
}

static void say(mf_log_level level, const char *fmt, va_list args) MF_PRINTF(2, 0);
static void say(mf_log_level level, const char *fmt, va_list args)
{
    char line[LINE_MAX_BYTES / 2];
    int len = vsnprintf(line, sizeof line, fmt, args);
    if (len > 0)
        write_line(NULL, level, mf_str_of(line, (size_t)len < sizeof line ? (size_t)len : sizeof line - 1));
}

void tell(mf_log_level level, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    say(level, fmt, args);
    va_end(args);
}

void complain(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    say(MF_LOG_ERROR, fmt, args);
    va_end(args);
}

void log_of_client(mf_options *options)
{
    options->log = write_line;
    options->log_event = settings.json ? write_event : NULL;
}
