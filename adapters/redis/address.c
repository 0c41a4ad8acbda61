#include "redis_address.h"

#include <stdio.h>
#include <string.h>

#include "url.h"

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static mf_status no_room(const char *what, size_t size, mf_error *err)
{
    return mf_fail(err, MF_E_INVALID, "url: the %s has more than %zu bytes", what, size - 1);
}

/* Copy a part of the URL, its percent-escapes undone. */
static mf_status take_part(mf_str part, const char *what, char *at, size_t size, mf_error *err)
{
    size_t len = 0;
    for (size_t i = 0; i < part.len; i++) {
        char c = part.at[i];
        if (c == '%') {
            if (part.len - i < 3 || hex(part.at[i + 1]) < 0 || hex(part.at[i + 2]) < 0)
                return mf_fail(err, MF_E_INVALID, "url: the %s: a %% must be followed by two hexadecimal digits", what);
            c = (char)(hex(part.at[i + 1]) << 4 | hex(part.at[i + 2]));
            i += 2;
        }
        if (c == '\0')
            return mf_fail(err, MF_E_INVALID, "url: the %s holds a NUL byte", what);
        if (len + 1 >= size)
            return no_room(what, size, err);
        at[len++] = c;
    }
    at[len] = '\0';
    return MF_OK;
}

static mf_status take_number(mf_str text, const char *what, unsigned most, unsigned *out, mf_error *err)
{
    unsigned long n = 0;
    bool digits = text.len > 0 && text.len < 10;
    for (size_t i = 0; digits && i < text.len; i++) {
        digits = text.at[i] >= '0' && text.at[i] <= '9';
        n = n * 10 + (unsigned long)(text.at[i] - '0');
    }
    if (!digits || n > most)
        return mf_fail(err, MF_E_INVALID, "url: the %s: expected a number up to %u", what, most);
    *out = (unsigned)n;
    return MF_OK;
}

static mf_str cut(mf_str text, const char *at)
{
    return mf_str_of(text.at, (size_t)(at - text.at));
}

static mf_str behind(mf_str text, const char *at)
{
    return mf_str_of(at, (size_t)(text.at + text.len - at));
}

static const char *find_last(mf_str text, char c)
{
    return text.len == 0 ? NULL : memrchr(text.at, c, text.len);
}

/* host, host:port, [v6], [v6]:port */
static mf_status take_host(mf_str text, mfi_redis_address *out, mf_error *err)
{
    const char *colon = find_last(text, ':');
    mf_str host = text, port = mf_str_of(NULL, 0);
    if (text.len > 0 && text.at[0] == '[') {
        const char *end = memchr(text.at, ']', text.len);
        if (end == NULL || (end + 1 < text.at + text.len && end[1] != ':'))
            return mf_fail(err, MF_E_INVALID, "url: expected an address in brackets, as in [::1]:6379");
        host = mf_str_of(text.at + 1, (size_t)(end - text.at - 1));
        colon = end + 1 < text.at + text.len ? end + 1 : NULL;
    } else if (colon != NULL) {
        host = cut(text, colon);
        if (memchr(host.at, ':', host.len) != NULL)
            return mf_fail(err, MF_E_INVALID, "url: an IPv6 address stands in brackets, as in [::1]:6379");
    }
    if (colon != NULL)
        port = behind(text, colon + 1);
    unsigned number = 6379;
    mf_status st = port.len == 0 ? MF_OK : take_number(port, "port", UINT16_MAX, &number, err);
    if (st == MF_OK && number == 0)
        st = mf_fail(err, MF_E_INVALID, "url: port 0 is no port");
    out->port = (uint16_t)number;
    if (st == MF_OK)
        st = take_part(host, "host", out->host, sizeof out->host, err);
    if (st == MF_OK && out->host[0] == '\0')
        memcpy(out->host, "localhost", sizeof "localhost");
    return st;
}

static mf_status take_user(mf_str text, mfi_redis_address *out, mf_error *err)
{
    const char *colon = text.len == 0 ? NULL : memchr(text.at, ':', text.len);
    mf_status st = take_part(colon != NULL ? cut(text, colon) : text, "user", out->user, sizeof out->user, err);
    if (st == MF_OK && colon != NULL)
        st = take_part(behind(text, colon + 1), "password", out->password, sizeof out->password, err);
    return st;
}

mf_status mfi_redis_address_parse(mf_str transport, mf_str rest, mfi_redis_address *out, mf_error *err)
{
    memset(out, 0, sizeof *out);
    bool unix_socket = mf_str_eq(transport, MF_STR_LIT("unix"));
    out->tls = mf_str_eq(transport, MF_STR_LIT("rediss"));
    if (!unix_socket && !out->tls && !mf_str_eq(transport, MF_STR_LIT("redis")))
        return mf_fail(err, MF_E_INVALID, "url: expected redis, rediss or unix as transport");
    if (rest.len < 2 || rest.at[0] != '/' || rest.at[1] != '/')
        return mf_fail(err, MF_E_INVALID, unix_socket ? "url: expected unix:///path" :
                       "url: expected //host:port/db behind the scheme");
    rest = behind(rest, rest.at + 2);
    const char *slash = rest.len == 0 ? NULL : memchr(rest.at, '/', rest.len);
    mf_str authority = slash != NULL ? cut(rest, slash) : rest;
    mf_str path = slash != NULL ? behind(rest, slash) : mf_str_of(NULL, 0);

    /* The last one, since careless users leave the @ of a password as it is. */
    const char *at = find_last(authority, '@');
    mf_status st = MF_OK;
    if (at != NULL) {
        st = take_user(cut(authority, at), out, err);
        authority = behind(authority, at + 1);
    }
    if (st != MF_OK)
        return st;
    if (unix_socket) {
        if (authority.len > 0 || path.len < 2)
            return mf_fail(err, MF_E_INVALID, "url: expected unix:///path, with three slashes");
        return take_part(path, "socket's path", out->socket, sizeof out->socket, err);
    }
    st = take_host(authority, out, err);
    if (st == MF_OK && path.len > 1)
        st = take_number(behind(path, path.at + 1), "database", INT32_MAX, &out->db, err);
    return st;
}

const char *mfi_redis_address_parameter(size_t n, const char **help)
{
    static const char *const rows[][2] = {
        {"db", "the database, as in the path (0)"},
        {"user", "of an ACL, as before the password"},
        {"password_file", "a file whose first line is the password"},
        {"ca", "rediss: who may sign the server's certificate, in PEM (the system's)"},
        {"cert", "rediss: our own certificate, in PEM"},
        {"key", "rediss: and its key"},
    };
    if (n >= sizeof rows / sizeof *rows)
        return NULL;
    *help = rows[n][1];
    return rows[n][0];
}

mf_status mfi_redis_address_set(mfi_redis_address *address, const char *name, const char *value, mf_error *err)
{
    const struct { const char *name; char *at; size_t size; } texts[] = {
        {"user", address->user, sizeof address->user},
        {"password_file", address->password_file, sizeof address->password_file},
        {"ca", address->ca, sizeof address->ca},
        {"cert", address->cert, sizeof address->cert},
        {"key", address->key, sizeof address->key},
    };
    if (strcmp(name, "db") == 0)
        return take_number(mf_cstr(value), "parameter \"db\"", INT32_MAX, &address->db, err);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (strcmp(name, texts[i].name) != 0)
            continue;
        size_t len = strlen(value);
        if (len >= texts[i].size)
            return mf_fail(err, MF_E_INVALID, "url: parameter \"%s\": more than %zu bytes", name, texts[i].size - 1);
        memcpy(texts[i].at, value, len + 1);
        return MF_OK;
    }
    return MF_E_NOT_FOUND;
}

mf_status mfi_redis_address_check(const mfi_redis_address *address, mf_error *err)
{
    if (!address->tls && (address->ca[0] != '\0' || address->cert[0] != '\0' || address->key[0] != '\0'))
        return mf_fail(err, MF_E_INVALID, "url: ca=, cert= and key= are for rediss:, and this is a plain connection");
    if ((address->cert[0] != '\0') != (address->key[0] != '\0'))
        return mf_fail(err, MF_E_INVALID, "url: cert= and key= come together");
    if (address->password[0] != '\0' && address->password_file[0] != '\0')
        return mf_fail(err, MF_E_INVALID, "url: a password and password_file=: which one?");
    if (address->user[0] != '\0' && address->password[0] == '\0' && address->password_file[0] == '\0')
        return mf_fail(err, MF_E_INVALID, "url: a user without a password; give one, or password_file=");
    return MF_OK;
}

mf_status mfi_redis_address_from_url(const char *url, mfi_redis_address *out, mf_error *err)
{
    mfi_url parts;
    mf_status st = mfi_url_parse(url, &parts, err);
    if (st == MF_OK) {
        const char *plus = find_last(parts.scheme, '+');
        st = mfi_redis_address_parse(plus != NULL ? behind(parts.scheme, plus + 1) : parts.scheme, parts.rest, out, err);
    }
    for (size_t i = 0; st == MF_OK && i < parts.count; i++) {
        st = mfi_redis_address_set(out, parts.parameters[i].name, parts.parameters[i].value, err);
        if (st == MF_E_NOT_FOUND)
            st = mf_fail(err, MF_E_INVALID, "url: unknown parameter \"%.40s\"; expected one of db, user, password_file, ca, "
                         "cert, key", parts.parameters[i].name);
    }
    explicit_bzero(&parts, sizeof parts);
    return st == MF_OK ? mfi_redis_address_check(out, err) : st;
}

void mfi_redis_address_text(const mfi_redis_address *address, char *at, size_t size)
{
    if (address->socket[0] != '\0')
        snprintf(at, size, "redis at %s", address->socket);
    else
        snprintf(at, size, strchr(address->host, ':') != NULL ? "redis at [%s]:%u" : "redis at %s:%u", address->host,
                 address->port);
}

void mfi_redis_address_wipe(mfi_redis_address *address)
{
    explicit_bzero(address, sizeof *address);
}
