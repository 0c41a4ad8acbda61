/* Text that we accept is written as text that we accept, and that is read as the very same bytes. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mf_message *first, *second;
    mf_error err;
    char *text;
    size_t len;
    err.text[0] = '\0';
    if (mf_message_from_json(mf_str_of((const char *)data, size), NULL, NULL, &first, &err) != MF_OK) {
        PROMISE(err.text[0] != '\0');
        return 0;
    }
    promise_whole(first);
    PROMISE(mf_message_to_json(first, NULL, &text, &len, &err) == MF_OK);
    PROMISE(mf_message_from_json(mf_str_of(text, len), MF_LIMITS(.bytes = SIZE_MAX), NULL, &second, &err) == MF_OK);
    PROMISE(same_bytes(first, second));
    mf_json_free(NULL, text, len);
    mf_message_unref(first);
    mf_message_unref(second);
    return 0;
}
