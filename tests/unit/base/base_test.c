#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <mageflow/base.h>

#include "clock.h"
#include "counting_allocator.h"
#include "memory.h"

Test(base_status, every_status_has_a_name_and_a_text)
{
    for (int st = MF_OK; st >= MF_E_WAIT; st--) {
        cr_assert(ne(str, (char *)mf_status_name((mf_status)st), "MF_E_?"), "status %d", st);
        cr_assert(ne(str, (char *)mf_status_text((mf_status)st), "unknown status"), "status %d", st);
    }
    cr_assert(eq(str, (char *)mf_status_name(MF_E_WAIT), "MF_E_WAIT"));
    cr_assert(eq(str, (char *)mf_status_name((mf_status)(MF_E_WAIT - 1)), "MF_E_?"));
    cr_assert(eq(str, (char *)mf_status_name((mf_status)1), "MF_E_?"));
}

Test(base_status, a_long_error_text_is_cut_at_a_character)
{
    mf_error err;
    char long_text[2 * MF_ERROR_TEXT_MAX + 1];
    for (size_t shift = 0; shift < 4; shift++) {
        memset(long_text, 'x', sizeof long_text);
        for (size_t i = shift; i + 3 <= sizeof long_text - 1; i += 3)
            memcpy(long_text + i, "\xe2\x82\xac", 3);
        long_text[sizeof long_text - 1] = '\0';
        cr_assert(eq(int, mf_fail(&err, MF_E_INVALID, "%s", long_text), MF_E_INVALID));
        size_t len = strlen(err.text);
        cr_assert(len >= MF_ERROR_TEXT_MAX - 4);
        cr_assert(eq(int, (int)((len - shift) % 3), 0), "shift %zu len %zu", shift, len);
    }
}

Test(base_clock, durations_are_a_number_and_a_unit)
{
    static const struct { const char *text; int64_t ns; } good[] = {
        {"250ms", 250000000}, {"10s", 10000000000}, {"5m", 300000000000}, {"2h", 7200000000000}, {"1d", 86400000000000},
        {"0s", 0},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        mf_duration d = -1;
        cr_assert(eq(int, mf_duration_parse(mf_cstr(good[i].text), &d, NULL), MF_OK), "%s", good[i].text);
        cr_assert(eq(i64, d, good[i].ns), "%s", good[i].text);
    }
    static const char *const bad[] = {"", "s", "10", "1.5s", "-1s", "10 s", "10sec", "99999999999999999999s", "999999999999d"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mf_error err = {0};
        mf_duration d = -1;
        cr_assert(eq(int, mf_duration_parse(mf_cstr(bad[i]), &d, &err), MF_E_INVALID), "%s", bad[i]);
        cr_assert(ne(ptr, strstr(err.text, bad[i]), NULL));
    }
}

Test(base_clock, forever_stays_for_ever)
{
    cr_assert(eq(i64, mfi_deadline_ns(mfi_now_ns(NULL), MF_FOREVER), INT64_MAX));
}

Test(base_memory, a_refused_growth_changes_nothing)
{
    counting_allocator c;
    counting_init(&c);
    int *array = NULL;
    size_t capacity = 0;
    cr_assert(mfi_array_reserve(&c.allocator, (void **)&array, &capacity, 3, sizeof *array));
    array[2] = 7;
    size_t before = capacity;
    c.fail_at = atomic_load(&c.calls) + 1;
    cr_assert(not(mfi_array_reserve(&c.allocator, (void **)&array, &capacity, before + 1, sizeof *array)));
    cr_assert(eq(sz, capacity, before));
    cr_assert(eq(int, array[2], 7));
    cr_assert(not(mfi_array_reserve(&c.allocator, (void **)&array, &capacity, SIZE_MAX, sizeof *array)));
    mfi_release(&c.allocator, array, capacity * sizeof *array);
    cr_assert(eq(long, atomic_load(&c.live), 0));
    cr_assert(eq(long, atomic_load(&c.wrong_size), 0));
    cr_assert(eq(ptr, mfi_alloc_array(&c.allocator, SIZE_MAX, 2), NULL));
}
