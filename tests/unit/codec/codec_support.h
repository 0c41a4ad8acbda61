/* What the tests of lib/codec share: messages and bytes as text that a failed assertion can print. */
#ifndef CODEC_SUPPORT_H
#define CODEC_SUPPORT_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <mageflow/message.h>

#include "counting_allocator.h"

#include <stdio.h>

/* Bytes as hex, in one of a few static buffers. */
static inline char *hex(mf_str bytes)
{
    static char buffers[8][4096];
    static unsigned turn;
    char *out = buffers[turn++ % 8];
    out[0] = '\0';
    for (size_t i = 0; i < bytes.len && 2 * i + 3 < sizeof buffers[0]; i++)
        snprintf(out + 2 * i, 3, "%02x", (unsigned char)bytes.at[i]);
    return out;
}

static inline char *hex_of(const mf_message *message)
{
    return hex(mf_message_bytes(message));
}

/* A message as JSON, in a static buffer; the status's name where it has none. */
static inline char *json_of(const mf_message *message)
{
    static char buffers[4][8192];
    static unsigned turn;
    char *out = buffers[turn++ % 4], *text;
    size_t len;
    mf_status st = mf_message_to_json(message, NULL, &text, &len, NULL);
    snprintf(out, sizeof buffers[0], "%s", st == MF_OK ? text : mf_status_name(st));
    if (st == MF_OK)
        mf_json_free(NULL, text, len);
    return out;
}

static inline mf_message *from_json(const char *json)
{
    mf_message *message = NULL;
    mf_error err = {0};
    cr_assert(eq(int, mf_message_from_json(mf_cstr(json), NULL, NULL, &message, &err), MF_OK), "%s: %s", json, err.text);
    return message;
}

static inline void assert_nothing_out(counting_allocator *c)
{
    cr_assert(eq(long, atomic_load(&c->live), 0));
    cr_assert(eq(long, atomic_load(&c->wrong_size), 0));
}

#endif
