/* What the tests of the TaskIQ wire share. */
#ifndef WIRE_SUPPORT_H
#define WIRE_SUPPORT_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "counting_allocator.h"
#include "taskiq_wire.h"

#include <stdio.h>

#define BYTES(s) mf_str_of(s, sizeof(s) - 1)

static inline mf_message *from_json(const char *json)
{
    mf_message *message = NULL;
    mf_error err = {0};
    cr_assert(eq(int, mf_message_from_json(mf_cstr(json), NULL, NULL, &message, &err), MF_OK), "%s: %s", json, err.text);
    return message;
}

/* As JSON, in a static buffer. */
static inline char *json_of(mf_value value)
{
    static char buffers[4][8192];
    static unsigned turn;
    char *out = buffers[turn++ % 4], *text;
    size_t len;
    mf_status st = mf_value_to_json(value, NULL, &text, &len, NULL);
    snprintf(out, sizeof buffers[0], "%s", st == MF_OK ? text : mf_status_name(st));
    if (st == MF_OK)
        mf_json_free(NULL, text, len);
    return out;
}

static inline taskiq_message read_message(const char *json)
{
    taskiq_message m;
    mf_error err = {0};
    cr_assert(eq(int, taskiq_message_read(mf_cstr(json), NULL, NULL, &m, &err), MF_OK), "%s: %s", json, err.text);
    return m;
}

#endif
