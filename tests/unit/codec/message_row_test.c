/* Messages that share one allocation are messages like any other, and it ends with the last of them. */
#include "codec_support.h"

#include "message_row.h"

static counting_allocator counting;

Test(codec_message_row, each_is_a_message_of_its_own_and_the_last_frees_the_row)
{
    enum { MANY = 50 };
    mf_message *messages[MANY];
    counting_init(&counting);
    mfi_message_row *row = mfi_message_row_new(&counting.allocator, MANY);
    cr_assert(ne(ptr, row, NULL));
    for (int i = 0; i < MANY; i++) {
        const unsigned char bytes[] = {0xcd, 0x10, (unsigned char)i};
        messages[i] = mfi_message_row_add(row, bytes, sizeof bytes);
    }
    cr_assert(eq(long, atomic_load(&counting.calls), 1));
    cr_assert(eq(ptr, mf_message_ref(messages[7]), messages[7]));
    for (int i = 0; i < MANY; i++)
        mf_message_unref(messages[i]);
    cr_assert(eq(str, hex_of(messages[7]), "cd1007"));
    cr_assert(eq(str, json_of(messages[7]), "4103"));
    mf_message_unref(messages[7]);
    assert_nothing_out(&counting);
}

Test(codec_message_row, the_longest_and_the_shortest_fit)
{
    counting_init(&counting);
    mfi_message_row *row = mfi_message_row_new(&counting.allocator, 2);
    mf_message *longest = mfi_message_row_add(row, (const unsigned char *)"\xa6seven.", MFI_ROW_BYTES),
               *shortest = mfi_message_row_add(row, (const unsigned char *)"\xc3", 1);
    cr_assert(eq(str, json_of(longest), "\"seven.\""));
    cr_assert(eq(str, json_of(shortest), "true"));
    mf_message_unref(longest);
    mf_message_unref(shortest);
    assert_nothing_out(&counting);
}

static bool takes(const char *bytes, size_t len)
{
    return mfi_message_row_takes((mf_value){(const unsigned char *)bytes, len});
}

Test(codec_message_row, takes_scalars_whose_first_byte_tells_their_length)
{
    static const struct { const char *bytes; size_t len; bool taken; } rows[] = {
        {"\x05", 1, true}, {"\xc0", 1, true}, {"\xc3", 1, true}, {"\xa0", 1, true}, {"\xce\x00\x01\x02\x03", 5, true},
        {"\xca\x40\x20\x00\x00", 5, true}, {"\xa6" "abcdef", 7, true}, {"\xa7" "abcdefg", 8, false},
        {"\xcf\1\2\3\4\5\6\7\10", 9, false}, {"\xc4\x01\x02", 3, false}, {"\x80", 1, false}, {"\x91\x01", 2, false},
        {"\x81\xa1n\x07", 4, false}, {NULL, 0, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_assert(eq(int, takes(rows[i].bytes, rows[i].len), rows[i].taken), "row %zu", i);
}

Test(codec_message_row, without_memory_there_is_none)
{
    counting_init(&counting);
    atomic_store(&counting.fail_at, 1);
    cr_assert(eq(ptr, mfi_message_row_new(&counting.allocator, 3), NULL));
    assert_nothing_out(&counting);
}
