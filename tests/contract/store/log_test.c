/* Log lines and progress. */
#include "contract.h"

static void is_line(fixture *f, const mf_key *key, uint64_t n, const char *want, size_t want_len)
{
    char *text = NULL;
    size_t len = 0;
    is_status(mf_store_read_log(f->store, key, n, &f->counting.allocator, &text, &len), MF_OK);
    cr_assert(eq(sz, len, want_len));
    cr_assert(memcmp(text, want, len) == 0);
    cr_assert(eq(chr, text[len], '\0'));
    f->counting.allocator.release(f->counting.allocator.user, text, len + 1);
}

STORE_TEST(store_log, lines_are_read_back_by_number)
{
    mf_key key = world_key(TASK), other = world_key(SWARM);
    char *text;
    size_t len;
    world_make(f);
    is_status(mf_store_read_log(f->store, &key, 0, NULL, &text, &len), MF_E_NOT_FOUND);
    is_status(mf_store_log(f->store, &key, MF_STR_LIT("one")), MF_OK);
    is_status(mf_store_log(f->store, &key, mf_str_of(NULL, 0)), MF_OK);
    is_status(mf_store_log(f->store, &other, MF_STR_LIT("elsewhere")), MF_OK);
    is_status(mf_store_log(f->store, &key, mf_str_of("a\0b", 3)), MF_OK);
    is_line(f, &key, 0, "one", 3);
    is_line(f, &key, 1, "", 0);
    is_line(f, &key, 2, "a\0b", 3);
    is_line(f, &other, 0, "elsewhere", 9);
    is_status(mf_store_read_log(f->store, &key, 3, NULL, &text, &len), MF_E_NOT_FOUND);
    is_status(mf_store_read_log(f->store, &key, UINT64_MAX, NULL, &text, &len), MF_E_NOT_FOUND);
}

STORE_TEST(store_log, beyond_the_bound_the_oldest_lines_go)
{
    size_t max = f->maker->quirks.lines_max;
    mf_key key = world_key(TASK);
    char line[32], *text;
    size_t len;
    if (max == 0)
        return;
    world_make(f);
    for (size_t i = 0; i < max + 5; i++) {
        snprintf(line, sizeof line, "%zu", i);
        is_status(mf_store_log(f->store, &key, mf_cstr(line)), MF_OK);
    }
    is_line(f, &key, 0, "5", 1);
    snprintf(line, sizeof line, "%zu", max + 4);
    is_line(f, &key, max - 1, line, strlen(line));
    is_status(mf_store_read_log(f->store, &key, max, NULL, &text, &len), MF_E_NOT_FOUND);
}

/* Read from number `from` on and compare with the numbers that the lines say. */
static void are_lines(fixture *f, const mf_key *key, uint64_t from, size_t n, uint64_t first, size_t count)
{
    mf_line lines[8];
    size_t got = 0;
    char want[24];
    is_status(mf_store_read_lines(f->store, key, from, n, &f->counting.allocator, lines, &got, NULL), MF_OK);
    cr_assert(eq(sz, got, count));
    for (size_t i = 0; i < got; i++) {
        snprintf(want, sizeof want, "%llu", (unsigned long long)(first + i));
        cr_assert(eq(u64, lines[i].number, first + i));
        cr_assert(eq(sz, lines[i].len, strlen(want)));
        cr_assert(eq(str, lines[i].text, want));
        f->counting.allocator.release(f->counting.allocator.user, lines[i].text, lines[i].len + 1);
    }
}

static void log_numbers(fixture *f, const mf_key *key, size_t from, size_t to)
{
    char line[24];
    for (size_t i = from; i < to; i++) {
        snprintf(line, sizeof line, "%zu", i);
        is_status(mf_store_log(f->store, key, mf_cstr(line)), MF_OK);
    }
}

STORE_TEST(store_log, pages_of_lines_follow_each_other_and_new_ones_are_found_where_the_last_ended)
{
    mf_key key = world_key(TASK), other = world_key(SWARM);
    world_make(f);
    are_lines(f, &key, 0, 8, 0, 0);
    log_numbers(f, &key, 0, 7);
    log_numbers(f, &other, 0, 3);
    are_lines(f, &key, 0, 4, 0, 4);
    are_lines(f, &key, 4, 4, 4, 3);
    are_lines(f, &key, 7, 4, 7, 0);
    log_numbers(f, &key, 7, 8);
    are_lines(f, &key, 7, 4, 7, 1);
    are_lines(f, &key, 0, 0, 0, 0);
    are_lines(f, &key, UINT64_MAX, 8, 0, 0);
    are_lines(f, &other, 1, 8, 1, 2);
}

STORE_TEST(store_log, a_line_keeps_its_number_when_older_ones_go)
{
    size_t max = f->maker->quirks.lines_max;
    mf_key key = world_key(TASK);
    if (max == 0)
        return;
    world_make(f);
    log_numbers(f, &key, 0, max + 5);
    are_lines(f, &key, 0, 3, 5, 3);
    are_lines(f, &key, max, 3, max, 3);
    are_lines(f, &key, max + 3, 8, max + 3, 2);
    are_lines(f, &key, max + 5, 8, 0, 0);
}

STORE_TEST(store_log, the_last_progress_is_kept)
{
    mf_key key = world_key(TASK);
    mf_message *read = NULL;
    world_make(f);
    is_status(mf_store_read_progress(f->store, &key, &read), MF_OK);
    cr_assert(eq(ptr, read, NULL));
    for (unsigned i = 1; i <= 3; i++) {
        mf_message *progress = say(f, i);
        is_status(mf_store_progress(f->store, &key, progress), MF_OK);
        mf_message_unref(progress);
    }
    is_status(mf_store_read_progress(f->store, &key, &read), MF_OK);
    cr_assert(eq(uint, said(read), 3));
    mf_message_unref(read);
}

STORE_TEST(store_log, a_record_that_is_not_there_has_neither)
{
    mf_key nobody = key_of(MF_KIND_TASK, 99);
    mf_message *read = NULL;
    char *text;
    size_t len;
    is_status(mf_store_log(f->store, &nobody, MF_STR_LIT("x")), MF_E_NOT_FOUND);
    is_status(mf_store_read_log(f->store, &nobody, 0, NULL, &text, &len), MF_E_NOT_FOUND);
    mf_line lines[1];
    size_t got;
    is_status(mf_store_read_lines(f->store, &nobody, 0, 1, NULL, lines, &got, NULL), MF_E_NOT_FOUND);
    is_status(mf_store_progress(f->store, &nobody, NULL), MF_E_NOT_FOUND);
    is_status(mf_store_read_progress(f->store, &nobody, &read), MF_E_NOT_FOUND);
}
