#include <mageflow/base.h>

#include <stdio.h>

/* One row a status, in the order of the enum: index = -status. */
static const struct { const char *name, *text; } rows[] = {
    {"MF_OK", "success"},
    {"MF_E_INVALID", "invalid argument or message"},
    {"MF_E_NOMEM", "out of memory"},
    {"MF_E_FULL", "a bound was reached"},
    {"MF_E_CLOSED", "closed or shutting down"},
    {"MF_E_TIMEOUT", "the time was over"},
    {"MF_E_UNSUPPORTED", "not supported here"},
    {"MF_E_UNKNOWN_TASK", "no such task"},
    {"MF_E_NOT_FOUND", "not found"},
    {"MF_E_EXISTS", "exists already"},
    {"MF_E_STATE", "not possible in this state"},
    {"MF_E_CONFLICT", "changed by somebody else meanwhile"},
    {"MF_E_STALE", "no longer the owner"},
    {"MF_E_TOO_BIG", "above a limit"},
    {"MF_E_MALFORMED", "malformed bytes"},
    {"MF_E_TYPE", "a value of another type"},
    {"MF_E_IO", "input or output failed"},
    {"MF_E_TASK_FAILED", "the task failed"},
    {"MF_E_CANCELED", "canceled"},
    {"MF_E_RETRY", "failed, may be tried again"},
    {"MF_E_FINAL", "failed for good"},
    {"MF_E_FORKED", "made before a fork"},
    {"MF_E_AGAIN", "nothing there at the moment"},
    {"MF_E_WAIT", "waits, and goes on later"},
};

static size_t row_of(mf_status st)
{
    size_t i = st > 0 ? SIZE_MAX : (size_t)-(int64_t)st;
    return i < sizeof rows / sizeof rows[0] ? i : SIZE_MAX;
}

const char *mf_status_name(mf_status st)
{
    size_t i = row_of(st);
    return i == SIZE_MAX ? "MF_E_?" : rows[i].name;
}

const char *mf_status_text(mf_status st)
{
    size_t i = row_of(st);
    return i == SIZE_MAX ? "unknown status" : rows[i].text;
}

mf_status mf_failv(mf_error *err, mf_status st, const char *fmt, va_list args)
{
    if (err == NULL)
        return st;
    err->status = st;
    int wrote = vsnprintf(err->text, sizeof err->text, fmt, args);
    if (wrote >= (int)sizeof err->text) {
        /* Cut: do not leave half a UTF-8 character behind. */
        size_t end = sizeof err->text - 1;
        while (end > 0 && ((unsigned char)err->text[end - 1] & 0xc0) == 0x80)
            end--;
        if (end > 0 && ((unsigned char)err->text[end - 1] & 0xc0) == 0xc0)
            end--;
        err->text[end] = '\0';
    }
    return st;
}

mf_status mf_fail(mf_error *err, mf_status st, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    mf_failv(err, st, fmt, args);
    va_end(args);
    return st;
}
