/* A pickle that is read is data within the limits; what we write of it reads back as the same bytes. */
#include "fuzz.h"

#include "taskiq_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mf_message *first, *second;
    taskiq_bytes written;
    mf_error err;
    err.text[0] = '\0';
    if (taskiq_pickle_read(mf_str_of((const char *)data, size), NULL, NULL, &first, &err) != MF_OK) {
        PROMISE(err.text[0] != '\0');
        return 0;
    }
    promise_whole(first);
    if (taskiq_encode(mf_message_value(first), TASKIQ_PICKLE, NULL, &written, &err) == MF_OK) {
        PROMISE(taskiq_pickle_read(mf_str_of(written.at, written.len), MF_LIMITS(.bytes = SIZE_MAX), NULL, &second, &err) == MF_OK);
        PROMISE(same_bytes(first, second));
        mf_message_unref(second);
        taskiq_bytes_free(NULL, &written);
    }
    mf_message_unref(first);
    return 0;
}
