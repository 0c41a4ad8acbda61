#include "clock.h"

#include <time.h>

#include "world.h"

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int64_t system_monotonic_ns(void *user)
{
    (void)user;
    return read_clock(CLOCK_MONOTONIC);
}

static int64_t system_wall_ms(void *user)
{
    (void)user;
    return read_clock(CLOCK_REALTIME) / 1000000;
}

const mf_clock *mf_clock_default(void)
{
    static const mf_clock system_clock = {system_monotonic_ns, system_wall_ms, NULL};
    return mfi_world_here != NULL ? mfi_world_here->clock : &system_clock;
}

int64_t mfi_now_ns(const mf_clock *clock)
{
    if (clock == NULL)
        clock = mf_clock_default();
    return clock->monotonic_ns(clock->user);
}

int64_t mfi_wall_ms(const mf_clock *clock)
{
    if (clock == NULL)
        clock = mf_clock_default();
    return clock->wall_ms(clock->user);
}

int64_t mfi_deadline_ns(int64_t now_ns, mf_duration span)
{
    int64_t at;
    return __builtin_add_overflow(now_ns, span, &at) ? INT64_MAX : at;
}

mf_status mf_duration_parse(mf_str text, mf_duration *out, mf_error *err)
{
    static const struct { const char *unit; int64_t ns; } units[] = {
        {"ms", 1000000}, {"s", 1000000000}, {"m", 60000000000}, {"h", 3600000000000}, {"d", 86400000000000},
    };
    size_t i = 0;
    int64_t number = 0;
    for (; i < text.len && text.at[i] >= '0' && text.at[i] <= '9'; i++) {
        if (__builtin_mul_overflow(number, 10, &number) || __builtin_add_overflow(number, text.at[i] - '0', &number))
            return mf_fail(err, MF_E_INVALID, "duration \"%.*s\" is out of range", (int)text.len, text.at);
    }
    mf_str unit = mf_str_of(text.at + i, text.len - i);
    for (size_t u = 0; i > 0 && u < sizeof units / sizeof units[0]; u++) {
        if (!mf_str_eq(unit, mf_cstr(units[u].unit)))
            continue;
        if (__builtin_mul_overflow(number, units[u].ns, out))
            return mf_fail(err, MF_E_INVALID, "duration \"%.*s\" is out of range", (int)text.len, text.at);
        return MF_OK;
    }
    return mf_fail(err, MF_E_INVALID, "duration: expected a number and ms, s, m, h or d, as in \"10s\", got \"%.*s\"",
                   (int)text.len, text.at);
}
