#include "describe.h"

#include "wire.h"

#include <inttypes.h>
#include <stdio.h>

const char *mfi_echo(mf_str text, mfi_words *words)
{
    size_t len = text.len < MFI_ECHO_MAX ? text.len : MFI_ECHO_MAX;
    while (len < text.len && len > 0 && ((unsigned char)text.at[len] & 0xc0) == 0x80)
        len--;    /* not inside a character */
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        words->text[i] = c < 0x20 || c == 0x7f ? '.' : text.at[i];
    }
    memcpy(words->text + len, "...", 4);
    if (len == text.len)
        words->text[len] = '\0';
    return words->text;
}

static void describe_int(const mfi_head *head, mfi_words *words)
{
    if (head->negative)
        snprintf(words->text, sizeof words->text, "the integer %" PRId64, (int64_t)head->bits);
    else
        snprintf(words->text, sizeof words->text, "the integer %" PRIu64, head->bits);
}

static void describe_float(const mfi_head *head, mfi_words *words)
{
    double number;
    memcpy(&number, &head->bits, sizeof number);
    snprintf(words->text, sizeof words->text, "the number %.17g", number);
}

static void describe_str(mf_value value, mfi_words *words)
{
    mf_str text = {NULL, 0};
    mfi_words echo;
    if (mf_value_str(value, &text) != MF_OK)
        text = mf_str_of("", 0);
    snprintf(words->text, sizeof words->text, "the string \"%s\"", mfi_echo(text, &echo));
}

const char *mfi_describe(mf_value value, mfi_words *words)
{
    mfi_head head;
    if (value.at == NULL || !mfi_head_read(value.at, value.at + value.len, &head))
        return "nothing";
    switch (head.type) {
    case MF_TYPE_BOOL:  return head.bits ? "true" : "false";
    case MF_TYPE_INT:   describe_int(&head, words); break;
    case MF_TYPE_FLOAT: describe_float(&head, words); break;
    case MF_TYPE_STR:   describe_str(value, words); break;
    case MF_TYPE_BIN:   snprintf(words->text, sizeof words->text, "%" PRIu32 " bytes of binary", head.count); break;
    case MF_TYPE_ARRAY: snprintf(words->text, sizeof words->text, "an array of %" PRIu32, head.count); break;
    case MF_TYPE_MAP:   snprintf(words->text, sizeof words->text, "a map of %" PRIu32, head.count); break;
    case MF_TYPE_EXT:   snprintf(words->text, sizeof words->text, "an extension of type %d", head.ext); break;
    case MF_TYPE_NIL:
    case MF_TYPE_NONE:  return mf_type_name(head.type);
    }
    return words->text;
}
