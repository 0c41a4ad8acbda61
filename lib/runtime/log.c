/* What the client says of itself: one place makes a line, and both forms of it, text and fields. */
#include "runtime.h"

#include <stdarg.h>
#include <stdio.h>

#define LINE_MAX_BYTES 1024

struct line {
    char   at[LINE_MAX_BYTES];
    size_t len;
};

static void addv(struct line *line, const char *fmt, va_list args) MF_PRINTF(2, 0);
static void addv(struct line *line, const char *fmt, va_list args)
{
    size_t room = sizeof line->at - line->len;
    int len = vsnprintf(line->at + line->len, room, fmt, args);
    if (len > 0)
        line->len += (size_t)len < room ? (size_t)len : room - 1;
}

static void add(struct line *line, const char *fmt, ...) MF_PRINTF(2, 3);
static void add(struct line *line, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    addv(line, fmt, args);
    va_end(args);
}

/* `task "add", task-…, attempt 2: failed: Type: text` */
static void tell_line(mf_client *client, const mf_log_event *e)
{
    struct line line = {.len = 0};
    const char *before = "";
    if (e->task.len > 0) {
        add(&line, "task \"%.*s\"", (int)e->task.len, e->task.at);
        before = ", ";
    }
    if (mf_key_is_set(&e->key)) {
        add(&line, "%s%s", before, e->key.text);
        before = ", ";
    }
    if (e->attempt > 0)
        add(&line, "%sattempt %u", before, e->attempt);
    add(&line, "%s%.*s", line.len > 0 ? ": " : "", (int)e->message.len, e->message.at);
    if (e->error.len > 0)
        add(&line, ": %.*s", (int)e->error.len, e->error.at);
    client->log(client->log_user, e->level, mf_str_of(line.at, line.len));
}

void mfi_log_about(mf_client *client, mf_log_level level, const mf_delivery *about, const char *why, const char *fmt, ...)
{
    if (client->log == NULL && client->log_event == NULL)
        return;
    struct line message = {.len = 0};
    va_list args;
    va_start(args, fmt);
    addv(&message, fmt, args);
    va_end(args);
    mf_log_event event = {.struct_size = sizeof event, .level = level, .message = mf_str_of(message.at, message.len),
                          .error = mf_cstr(why)};
    if (about != NULL) {
        event.task = about->task;
        event.key = about->unit.key;
        event.index = about->unit.index;
        event.attempt = about->attempt;
    }
    if (client->log_event != NULL)
        client->log_event(client->log_user, &event);
    else
        tell_line(client, &event);
}

void mfi_log(mf_client *client, mf_log_level level, const char *fmt, ...)
{
    if (client->log == NULL)
        return;
    struct line line = {.len = 0};
    va_list args;
    va_start(args, fmt);
    addv(&line, fmt, args);
    va_end(args);
    client->log(client->log_user, level, mf_str_of(line.at, line.len));
}
