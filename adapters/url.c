#include "url.h"

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Undo the percent-escapes of at, up to end, at *to. NULL: a broken escape, or a NUL byte. */
static const char *unescape(const char *at, const char *end, char **to)
{
    char *start = *to, *out = *to;
    for (; at < end; at++) {
        char c = *at;
        if (c == '%') {
            if (end - at < 3 || hex(at[1]) < 0 || hex(at[2]) < 0)
                return NULL;
            c = (char)(hex(at[1]) << 4 | hex(at[2]));
            at += 2;
        }
        if (c == '\0')
            return NULL;
        *out++ = c;
    }
    *out++ = '\0';
    *to = out;
    return start;
}

static mf_status add_parameter(mfi_url *url, const char *at, const char *end, char **to, mf_error *err)
{
    const char *equals = memchr(at, '=', (size_t)(end - at));
    if (url->count == MFI_URL_PARAMETERS)
        return mf_fail(err, MF_E_INVALID, "url: more than %d parameters", MFI_URL_PARAMETERS);
    if (equals == NULL || equals == at)
        return mf_fail(err, MF_E_INVALID, "url: parameter %zu: expected name=value; in a value & is written %%26", url->count + 1);
    const char *name = unescape(at, equals, to);
    const char *value = name == NULL ? NULL : unescape(equals + 1, end, to);
    if (value == NULL)
        return mf_fail(err, MF_E_INVALID, "url: parameter %zu: a %% must be followed by two hexadecimal digits, not 00; a %% itself is "
                       "written %%25, as in sqlite:50%%25.db", url->count + 1);
    url->parameters[url->count].name = name;
    url->parameters[url->count].value = value;
    url->count++;
    return MF_OK;
}

mf_status mfi_url_parse(const char *text, mfi_url *out, mf_error *err)
{
    size_t len = strlen(text);
    memset(out, 0, sizeof *out);
    if (len >= MFI_URL_MAX)
        return mf_fail(err, MF_E_INVALID, "url: expected fewer than %d bytes, got %zu", MFI_URL_MAX, len);
    memcpy(out->text, text, len + 1);
    const char *end = out->text + len;
    const char *colon = memchr(out->text, ':', len);
    if (colon == NULL || colon == out->text)
        return mf_fail(err, MF_E_INVALID, "url: expected scheme:…, as in \"local:\", got no scheme");
    out->scheme = mf_str_of(out->text, (size_t)(colon - out->text));
    const char *query = memchr(colon, '?', (size_t)(end - colon));
    const char *rest_end = query == NULL ? end : query;
    out->rest = mf_str_of(colon + 1, (size_t)(rest_end - colon - 1));

    char *to = out->text + len + 1;
    for (const char *at = query == NULL ? end : query + 1; at < end;) {
        const char *next = memchr(at, '&', (size_t)(end - at));
        if (next == NULL)
            next = end;
        mf_status st = add_parameter(out, at, next, &to, err);
        if (st != MF_OK)
            return st;
        at = next == end ? end : next + 1;
    }
    return MF_OK;
}
