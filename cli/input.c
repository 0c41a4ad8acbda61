/* input.c: JSON from an argument or from standard input. */
#include "input.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define INPUT_MAX ((size_t)1 << 20)    /* what a message may have as JSON, see mf_limits; one byte more tells "too big" */

/* Everything up to the end of the file, or one byte more than a message may have. */
static mf_status read_all(int fd, char *buffer, size_t *len, mf_error *err)
{
    *len = 0;
    while (*len <= INPUT_MAX) {
        ssize_t got = read(fd, buffer + *len, INPUT_MAX + 1 - *len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return mf_fail(err, MF_E_IO, "standard input: %s", strerror(errno));
        if (got == 0)
            return MF_OK;
        *len += (size_t)got;
    }
    return MF_OK;
}

static mf_status parse(mf_str json, const char *from, mf_message **out, mf_error *err)
{
    mf_error why;
    mf_status st = mf_message_from_json(json, NULL, NULL, out, &why);
    return st == MF_OK ? st : mf_fail(err, st, "%s: %s", from, why.text);
}

static mf_status parse_stdin(mf_message **out, mf_error *err)
{
    char *buffer = malloc(INPUT_MAX + 1);
    if (buffer == NULL)
        return mf_fail(err, MF_E_NOMEM, "no memory for standard input");
    size_t len;
    mf_status st = read_all(STDIN_FILENO, buffer, &len, err);
    if (st == MF_OK)
        st = parse(mf_str_of(buffer, len), "the message on standard input", out, err);
    free(buffer);
    return st;
}

mf_status input_read(const char *argument, mf_message **out, mf_error *err)
{
    if (argument == NULL) {
        *out = mf_msg("{}");
        return mf_message_status(*out);
    }
    if (strcmp(argument, "-") == 0)
        return parse_stdin(out, err);
    return parse(mf_cstr(argument), "the message", out, err);
}
