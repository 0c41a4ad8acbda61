/* names.c: see names.h. */
#include "names.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

mf_message *name_message(mf_str bytes)
{
    mf_message *text = mf_msg("S", bytes);
    if (mf_message_status(text) != MF_E_INVALID)
        return text;
    mf_message_unref(text);
    return mf_msg("B", bytes);
}

mf_status name_of(mf_value value, mf_str *out)
{
    if (mf_value_str(value, out) == MF_OK)
        return MF_OK;
    return mf_value_bin(value, out);
}

/* ---- showing ----------------------------------------------------------------------------------------------------------- */

/* Length of the printable UTF-8 character at the start; 0: there is none. Control characters, the second set (U+0080 to
 * U+009F) included, are not printable: some terminals obey them. */
static size_t printable(const unsigned char *at, size_t len)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t size = at[0] < 0x80 ? 1 : at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : at[0] >= 0xc0 ? 2 : 0;
    if (size == 0 || size > len || at[0] > 0xf4)
        return 0;
    if (size == 1)
        return at[0] >= ' ' && at[0] != 127 ? 1 : 0;
    uint32_t code = at[0] & (0xffu >> (size + 1));
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (at[i] & 0x3fu);
    }
    bool good = code >= least[size] && code >= 0xa0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
    return good ? size : 0;
}

static char *escape_byte(char *to, unsigned char byte)
{
    static const char letters[] = {['\n'] = 'n', ['\t'] = 't', ['\r'] = 'r'};
    if (byte < sizeof letters && letters[byte] != 0)
        return to + sprintf(to, "\\%c", letters[byte]);
    return to + sprintf(to, "\\x%02x", byte);
}

static char *escape(char *to, mf_str text)
{
    const unsigned char *at = (const unsigned char *)text.at;
    for (size_t left = text.len; left > 0;) {
        size_t size = printable(at, left);
        if (size == 0) {
            to = escape_byte(to, *at);
            size = 1;
        } else {
            if (*at == '\\')
                *to++ = '\\';
            memcpy(to, at, size);
            to += size;
        }
        at += size;
        left -= size;
    }
    return to;
}

char *name_shown(const char *directory, mf_str name)
{
    size_t directory_len = strlen(directory);
    char *shown = malloc(4 * (directory_len + name.len) + 2);
    if (shown == NULL)
        return NULL;
    char *end = escape(shown, mf_str_of(directory, directory_len));
    if (name.len > 0 && directory_len > 0 && directory[directory_len - 1] != '/')
        *end++ = '/';
    end = escape(end, name);
    *end = '\0';
    return shown;
}

/* ---- opening ----------------------------------------------------------------------------------------------------------- */

/* The longest beginning that one call takes, up to a slash; 0: there is none. */
static size_t first_part(const char *name)
{
    size_t cut = PATH_MAX - 1;
    while (cut > 0 && name[cut] != '/')
        cut--;
    return cut;
}

int name_open(int directory, const char *name, int flags)
{
    int at = directory;
    while (strlen(name) >= PATH_MAX) {
        char part[PATH_MAX];
        size_t cut = first_part(name);
        memcpy(part, name, cut);
        part[cut] = '\0';
        int next = openat(at, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int error = cut == 0 ? ENAMETOOLONG : errno;
        if (at != directory)
            close(at);
        if (next < 0 || cut == 0) {
            if (next >= 0)
                close(next);
            errno = error;
            return -1;
        }
        at = next;
        name += cut + 1;
    }
    int fd = openat(at, name[0] == '\0' ? "." : name, flags | O_CLOEXEC);
    int error = errno;
    if (at != directory)
        close(at);
    errno = error;
    return fd;
}
