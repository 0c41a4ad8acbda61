/* mageflow/base.h: what every other header stands on: status, error text, strings, memory, time, the log hook.
 *
 * Threads   everything here may be called from any thread.
 */
#ifndef MAGEFLOW_BASE_H
#define MAGEFLOW_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MF_NODISCARD __attribute__((warn_unused_result))
#define MF_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#else
#define MF_NODISCARD
#define MF_PRINTF(fmt, first)
#endif

#define MF_VERSION_MAJOR 0
#define MF_VERSION_MINOR 1
#define MF_VERSION_PATCH 0
#define MF_VERSION "0.1.0"

/** What a function answers: zero for success, negative otherwise. */
typedef enum mf_status {
    MF_OK = 0,
    MF_E_INVALID = -1,       /* an argument, option or message breaks its rules; the error text names it */
    MF_E_NOMEM = -2,         /* an allocation failed; nothing was changed */
    MF_E_FULL = -3,          /* a bound was reached; nothing was queued */
    MF_E_CLOSED = -4,        /* the object was closed or is shutting down; nothing was queued */
    MF_E_TIMEOUT = -5,       /* the time given was over first */
    MF_E_UNSUPPORTED = -6,   /* not built in, or the manager cannot do it; the error text names what */
    MF_E_UNKNOWN_TASK = -7,  /* nobody declared a task of that name */
    MF_E_NOT_FOUND = -8,     /* no such key, file, field or index */
    MF_E_EXISTS = -9,        /* the name or key is taken */
    MF_E_STATE = -10,        /* the object is in a state that does not allow this (ended, started, locked) */
    MF_E_CONFLICT = -11,     /* somebody else changed the record first; reload and try again */
    MF_E_STALE = -12,        /* the owner token or epoch is no longer the current one */
    MF_E_TOO_BIG = -13,      /* bytes, depth, elements or a name above its limit */
    MF_E_MALFORMED = -14,    /* bytes that are not what they should be: torn, truncated or hostile */
    MF_E_TYPE = -15,         /* a value of another type than asked for */
    MF_E_IO = -16,           /* a file, socket or system call failed; the error text carries the reason */
    MF_E_TASK_FAILED = -17,  /* the task or flow ended as failed; the error text is its own */
    MF_E_CANCELED = -18,     /* the task or flow ended as canceled, or the call was asked to stop */
    MF_E_RETRY = -19,        /* returned by a task function: it failed and may be tried again */
    MF_E_FINAL = -20,        /* returned by a task function: it failed and must not be tried again */
    MF_E_FORKED = -21,       /* the object was made before a fork; only mf_client_abandon is allowed */
    MF_E_AGAIN = -22,        /* nothing there at the moment */
    MF_E_WAIT = -23          /* a durable task waits: its function returns this, and is called again when it is over */
} mf_status;

/** The name of a status, "MF_E_FULL"; never NULL. */
const char *mf_status_name(mf_status st);
/** A status in plain words, "a bound was reached"; never NULL. */
const char *mf_status_text(mf_status st);

/* ---- text and bytes ------------------------------------------------------------------------------------------- */

/** Borrowed text or bytes, passed by value; need not end in NUL and may hold NUL. An empty one may have at == NULL. */
typedef struct mf_str {
    const char *at;
    size_t      len;
} mf_str;

/** A string literal as mf_str. */
#define MF_STR_LIT(s) mf_str_of("" s "", sizeof(s) - 1)

static inline mf_str mf_str_of(const char *at, size_t len)
{
    mf_str s;
    s.at = at;
    s.len = len;
    return s;
}
/** A NUL-terminated string as mf_str; NULL gives the empty one. */
static inline mf_str mf_cstr(const char *text)
{
    return mf_str_of(text, text == NULL ? 0 : strlen(text));
}
static inline bool mf_str_eq(mf_str a, mf_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

/* ---- errors --------------------------------------------------------------------------------------------------- */

#define MF_ERROR_TEXT_MAX 512

/** The story of a failure, on the caller's stack. Written only when the call fails; the text always ends in NUL. */
typedef struct mf_error {
    mf_status status;
    char      text[MF_ERROR_TEXT_MAX];
} mf_error;

/** Fill err (NULL allowed) with st and a text, and return st. Longer texts are cut at a character's border. */
mf_status mf_fail(mf_error *err, mf_status st, const char *fmt, ...) MF_PRINTF(3, 4);
mf_status mf_failv(mf_error *err, mf_status st, const char *fmt, va_list args) MF_PRINTF(3, 0);

/* ---- memory --------------------------------------------------------------------------------------------------- */

/** Where memory comes from. A root object takes one and hands it down; it must outlive the object. Any thread calls. */
typedef struct mf_allocator {
    void *(*alloc)(void *user, size_t size);                                /* NULL when there is none */
    void *(*resize)(void *user, void *at, size_t old_size, size_t size);    /* at NULL: alloc; NULL: at is as before */
    void (*release)(void *user, void *at, size_t size);                     /* at NULL: nothing; size as allocated */
    void *user;
} mf_allocator;

/** malloc and friends; what NULL means wherever an allocator is asked for. */
const mf_allocator *mf_allocator_default(void);

/* ---- time ----------------------------------------------------------------------------------------------------- */

/** A span of time in nanoseconds. Negative is never valid unless a function says so. */
typedef int64_t mf_duration;

#define MF_FOREVER INT64_MAX

static inline mf_duration mf_nanoseconds(int64_t n)  { return n; }
static inline mf_duration mf_microseconds(int64_t n) { return n * 1000; }
static inline mf_duration mf_milliseconds(int64_t n) { return n * 1000000; }
static inline mf_duration mf_seconds(int64_t n)      { return n * 1000000000; }
static inline mf_duration mf_minutes(int64_t n)      { return n * 60 * 1000000000; }

/** Read "250ms", "10s", "5m", "2h" or "1d" (a decimal number and a unit, nothing else). MF_E_INVALID tells what came. */
MF_NODISCARD mf_status mf_duration_parse(mf_str text, mf_duration *out, mf_error *err);

/** Where time comes from: one seam, so that tests and the simulator can turn the clock themselves. */
typedef struct mf_clock {
    int64_t (*monotonic_ns)(void *user);    /* never goes back; for spans and deadlines inside this process */
    int64_t (*wall_ms)(void *user);         /* milliseconds since 1970-01-01 UTC; for people */
    void *user;
} mf_clock;

/** CLOCK_MONOTONIC and CLOCK_REALTIME; what NULL means wherever a clock is asked for. */
const mf_clock *mf_clock_default(void);

/* ---- log ------------------------------------------------------------------------------------------------------ */

typedef enum mf_log_level { MF_LOG_DEBUG, MF_LOG_INFO, MF_LOG_WARN, MF_LOG_ERROR } mf_log_level;

/** Receives a line of the library's own log, without a line end. Called from any thread with no lock held; the library
 * itself never prints. Secrets are never part of a line. */
typedef void mf_log_fn(void *user, mf_log_level level, mf_str line);

#ifdef __cplusplus
}
#endif
#endif
