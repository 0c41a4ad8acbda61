/* Framing, percent-encoding, time-outs and first words: bytes in, bytes out. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "rpc_impl.h"

static bool count(void *user, mf_str message)
{
    size_t *seen = user;
    seen[0]++;
    seen[1] += message.len;
    return true;
}

Test(hatchet_rpc_words, messages_come_whole_whatever_the_pieces_are)
{
    static const char bytes[] = "\0\0\0\0\3" "abc" "\0\0\0\0\0" "\0\0\0\0\5" "defgh";
    for (size_t piece = 1; piece <= sizeof bytes - 1; piece++) {
        mfi_rpc_framer f;
        size_t seen[2] = {0, 0};
        mfi_rpc_framer_init(&f, NULL, 16);
        for (size_t at = 0; at < sizeof bytes - 1; at += piece) {
            size_t n = sizeof bytes - 1 - at < piece ? sizeof bytes - 1 - at : piece;
            cr_assert(eq(int, mfi_rpc_framer_feed(&f, bytes + at, n, count, seen, NULL), MF_OK));
        }
        cr_assert(eq(sz, seen[0], 3), "pieces of %zu", piece);
        cr_assert(eq(sz, seen[1], 8));
        cr_assert(mfi_rpc_framer_is_between(&f));
        mfi_rpc_framer_fini(&f);
    }
}

Test(hatchet_rpc_words, a_head_reads_back_as_its_length)
{
    unsigned char head[MFI_RPC_HEAD];
    mfi_rpc_head_write(head, 0x01020304);
    cr_assert(eq(int, memcmp(head, "\0\1\2\3\4", 5), 0));
}

Test(hatchet_rpc_words, percent_encoding_is_undone_and_what_is_no_text_becomes_dots)
{
    static const struct { const char *in, *out; } cases[] = {
        {"plain", "plain"}, {"a%20b", "a b"}, {"100%", "100%"}, {"%4", "%4"}, {"%zz", "%zz"}, {"%00x", ".x"}, {"a%0Ab", "a b"},
        {"%C3%A4", "\xc3\xa4"}, {"%FFx", ".x"}, {"%1b[31m", ".[31m"}, {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[32];
        rpc_percent_decode(mf_cstr(cases[i].in), out, sizeof out);
        cr_assert(eq(str, out, (char *)(uintptr_t)cases[i].out));
    }
    char tight[4];
    rpc_percent_decode(MF_STR_LIT("abcdef"), tight, sizeof tight);
    cr_assert(eq(str, tight, "abc"));
}

Test(hatchet_rpc_words, a_timeout_is_rounded_up_and_has_at_most_eight_digits)
{
    const struct { mf_duration left; const char *text; } cases[] = {
        {mf_milliseconds(5), "5m"}, {mf_milliseconds(5) + 1, "6m"}, {0, "1m"}, {-5, "1m"}, {mf_seconds(99999), "99999000m"},
        {mf_seconds(100000), "100000S"}, {MF_FOREVER - 1, "99999999S"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[16];
        rpc_timeout_write(cases[i].left, out);
        cr_assert(eq(str, out, (char *)(uintptr_t)cases[i].text));
    }
}

Test(hatchet_rpc_words, each_code_has_a_name_and_its_status)
{
    for (int code = 0; code <= MFI_RPC_UNAUTHENTICATED; code++)
        cr_assert(eq(int, rpc_status_of((mfi_rpc_code)code) == MF_OK, code == MFI_RPC_OK), "%s", mfi_rpc_code_name((mfi_rpc_code)code));
    cr_assert(eq(str, (char *)(uintptr_t)mfi_rpc_code_name((mfi_rpc_code)99), "UNKNOWN"));
}

Test(hatchet_rpc_words, first_words_need_not_come_at_once)
{
    cr_assert(rpc_first_words((const unsigned char *)"HTT", 3, false) == NULL);
    cr_assert(rpc_first_words((const unsigned char *)"HTTP/1.1", 8, false) != NULL);
    cr_assert(rpc_first_words((const unsigned char *)"\0\0\0\4\0\0\0\0\0", 9, false) == NULL);
    cr_assert(rpc_first_words((const unsigned char *)"\0\0\0\4\0\0\0\0\1", 9, false) != NULL);
}
