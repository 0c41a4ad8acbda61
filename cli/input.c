/* input.c: JSON from an argument, from a file, or from standard input. */
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define INPUT_MAX ((size_t)1 << 20)    /* what a message may have as JSON, see mf_limits; one byte more tells "too big" */

/* Everything up to the end of the file, or one byte more than a message may have. */
static mf_status read_all(int fd, const char *from, char *buffer, size_t *len, mf_error *err)
{
    *len = 0;
    while (*len <= INPUT_MAX) {
        ssize_t got = read(fd, buffer + *len, INPUT_MAX + 1 - *len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return mf_fail(err, MF_E_IO, "%s: %s", from, strerror(errno));
        if (got == 0)
            return MF_OK;
        *len += (size_t)got;
    }
    return MF_OK;
}

static mf_status parse(mf_str json, const char *from, unsigned depth, mf_message **out, mf_error *err)
{
    mf_error why;
    mf_status st = mf_message_from_json(json, MF_LIMITS(.depth = depth), NULL, out, &why);
    return st == MF_OK ? st : mf_fail(err, st, "%s: %s", from, why.text);
}

/* *text and *len are what was read, for the caller to free, once there is memory for it. */
static mf_status parse_fd(int fd, const char *from, unsigned depth, char **text, size_t *len, mf_message **out, mf_error *err)
{
    *len = 0;
    *text = malloc(INPUT_MAX + 1);
    if (*text == NULL)
        return mf_fail(err, MF_E_NOMEM, "no memory for %s", from);
    mf_status st = read_all(fd, from, *text, len, err);
    if (st == MF_OK && *len > INPUT_MAX)
        st = mf_fail(err, MF_E_TOO_BIG, "%s: expected at most %zu bytes, got more", from, INPUT_MAX);
    return st == MF_OK ? parse(mf_str_of(*text, *len), from, depth, out, err) : st;
}

mf_status input_read(const char *argument, mf_message **out, mf_error *err)
{
    if (argument == NULL) {
        *out = mf_msg("{}");
        return mf_message_status(*out);
    }
    if (strcmp(argument, "-") != 0)
        return parse(mf_cstr(argument), "the message", 0, out, err);
    char *text;
    size_t len;
    mf_status st = parse_fd(STDIN_FILENO, "the message on standard input", 0, &text, &len, out, err);
    free(text);
    return st;
}

mf_status input_read_file(const char *file, const char *from, char **text, size_t *len, mf_message **out, mf_error *err)
{
    if (strcmp(file, "-") == 0)
        return parse_fd(STDIN_FILENO, from, MF_DEPTH_MAX, text, len, out, err);
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return mf_fail(err, MF_E_IO, "%s: %s; expected a file with a flow as JSON, or - for standard input", file,
                       strerror(errno));
    mf_status st = parse_fd(fd, from, MF_DEPTH_MAX, text, len, out, err);
    close(fd);
    return st;
}
