/* The parameters of a hatchet: URL, the environment that Hatchet's SDKs read, and the claims of the token. */
#include "hatchet_adapter.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <mageflow/message.h>

#include "clock.h"

typedef mf_status set_fn(mfi_hatchet_options *o, const char *value, const char *what, mf_error *err);

static mf_status copy(char *to, size_t size, const char *value, const char *what, mf_error *err)
{
    size_t len = strlen(value);
    if (len == 0 || len >= size)
        return mf_fail(err, MF_E_INVALID, "%s: expected 1 to %zu bytes, got %zu", what, size - 1, len);
    memcpy(to, value, len + 1);
    return MF_OK;
}

static mf_status set_address(mfi_hatchet_options *o, const char *value, const char *what, mf_error *err)
{
    const char *colon = strrchr(value, ':');
    const char *host = value;
    size_t len = colon != NULL ? (size_t)(colon - value) : 0;
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    }
    char *end = NULL;
    unsigned long port = colon != NULL && isdigit((unsigned char)colon[1]) ? strtoul(colon + 1, &end, 10) : 0;
    if (end == NULL || *end != '\0' || port == 0 || port > 65535 || len == 0 || len >= sizeof o->host)
        return mf_fail(err, MF_E_INVALID, "%s: expected host:port, got \"%.80s\"", what, value);
    memcpy(o->host, host, len);
    o->host[len] = '\0';
    o->port = (unsigned)port;
    return MF_OK;
}

static mf_status set_token(mfi_hatchet_options *o, const char *value, const char *what, mf_error *err)
{
    return copy(o->token, sizeof o->token, value, what, err);
}

/* One line; what a file's editor put behind it is no part of it. */
static mf_status set_token_file(mfi_hatchet_options *o, const char *value, const char *what, mf_error *err)
{
    char reason[128];
    if (strlen(value) >= sizeof o->token_file)
        return mf_fail(err, MF_E_INVALID, "%s: expected at most %zu bytes", what, sizeof o->token_file - 1);
    FILE *file = fopen(value, "re");
    if (file == NULL)
        return mf_fail(err, errno == ENOENT ? MF_E_NOT_FOUND : MF_E_IO, "%s: %.200s: %s", what, value,
                       strerror_r(errno, reason, sizeof reason));
    size_t len = fread(o->token, 1, sizeof o->token - 1, file);
    bool whole = feof(file) != 0 && ferror(file) == 0;
    fclose(file);
    while (len > 0 && isspace((unsigned char)o->token[len - 1]))
        len--;
    o->token[len] = '\0';
    snprintf(o->token_file, sizeof o->token_file, "%s", value);
    return whole && len > 0 ? MF_OK : mf_fail(err, MF_E_INVALID, "%s: %.200s holds no token", what, value);
}

static mf_status set_namespace(mfi_hatchet_options *o, const char *value, const char *what, mf_error *err)
{
    size_t len = strlen(value);
    if (len + 2 > sizeof o->ns)
        return mf_fail(err, MF_E_INVALID, "%s: expected at most %zu bytes", what, sizeof o->ns - 2);
    for (size_t i = 0; i <= len; i++)
        o->ns[i] = (char)tolower((unsigned char)value[i]);
    if (len > 0 && o->ns[len - 1] != '_')
        memcpy(o->ns + len, "_", 2);
    return MF_OK;
}

static mf_status set_tls(mfi_hatchet_options *o, const char *value, const char *what, mf_error *err)
{
    static const char *const words[] = {[MFI_HATCHET_TLS] = "tls", [MFI_HATCHET_MTLS] = "mtls", [MFI_HATCHET_PLAIN] = "none"};
    for (int i = 0; i < 3; i++)
        if (strcmp(value, words[i]) == 0) {
            o->tls = (mfi_hatchet_tls)i;
            return MF_OK;
        }
    return mf_fail(err, MF_E_INVALID, "%s: expected tls, mtls or none, got \"%.40s\"", what, value);
}

static mf_status set_ca(mfi_hatchet_options *o, const char *value, const char *what, mf_error *err)
{
    return copy(o->ca, sizeof o->ca, value, what, err);
}

static mf_status set_cert(mfi_hatchet_options *o, const char *value, const char *what, mf_error *err)
{
    return copy(o->cert, sizeof o->cert, value, what, err);
}

static mf_status set_key(mfi_hatchet_options *o, const char *value, const char *what, mf_error *err)
{
    return copy(o->key, sizeof o->key, value, what, err);
}

static mf_status set_server_name(mfi_hatchet_options *o, const char *value, const char *what, mf_error *err)
{
    return copy(o->server_name, sizeof o->server_name, value, what, err);
}

static mf_status set_started(mfi_hatchet_options *o, const char *value, const char *what, mf_error *err)
{
    o->started = strcmp(value, "on") == 0;
    if (!o->started && strcmp(value, "off") != 0)
        return mf_fail(err, MF_E_INVALID, "%s: expected on or off, got \"%.40s\"", what, value);
    return MF_OK;
}

static mf_status set_linger(mfi_hatchet_options *o, const char *value, const char *what, mf_error *err)
{
    mf_error why = {0};
    if (mf_duration_parse(mf_cstr(value), &o->linger, &why) != MF_OK || o->linger < 0 || o->linger > mf_minutes(1))
        return mf_fail(err, MF_E_INVALID, "%s: expected a span from 0s to 1m, got \"%.40s\"", what, value);
    return MF_OK;
}

static const struct {
    const char *name, *variable, *help;     /* name NULL: not in the URL, where secrets do not belong */
    set_fn     *set;
} parameters[] = {
    {NULL, "HATCHET_CLIENT_TOKEN", NULL, set_token},
    {"token_file", NULL, "a file that holds the token (HATCHET_CLIENT_TOKEN)", set_token_file},
    {NULL, "HATCHET_CLIENT_HOST_PORT", NULL, set_address},
    {"namespace", "HATCHET_CLIENT_NAMESPACE", "put before the names of tasks (HATCHET_CLIENT_NAMESPACE)", set_namespace},
    {"tls", "HATCHET_CLIENT_TLS_STRATEGY", "tls (the default), mtls or none (HATCHET_CLIENT_TLS_STRATEGY)", set_tls},
    {"ca", "HATCHET_CLIENT_TLS_ROOT_CA_FILE", "PEM file of trusted authorities (HATCHET_CLIENT_TLS_ROOT_CA_FILE)", set_ca},
    {"cert", "HATCHET_CLIENT_TLS_CERT_FILE", "mtls: PEM file of our certificate (HATCHET_CLIENT_TLS_CERT_FILE)", set_cert},
    {"key", "HATCHET_CLIENT_TLS_KEY_FILE", "mtls: PEM file of its key (HATCHET_CLIENT_TLS_KEY_FILE)", set_key},
    {NULL, "HATCHET_CLIENT_TLS_SERVER_NAME", NULL, set_server_name},
    {"started", NULL, "on (the default) or off: tell the engine when a task begins", set_started},
    {"linger", NULL, "how long a worker that stops still takes what the engine had for it (2s)", set_linger},
};
#define COUNT (sizeof parameters / sizeof *parameters)

mf_status mfi_hatchet_options_init(mfi_hatchet_options *o, mf_error *err)
{
    memset(o, 0, sizeof *o);
    o->tls = MFI_HATCHET_TLS;
    o->started = true;
    o->linger = mf_seconds(2);
    for (size_t i = 0; i < COUNT; i++) {
        const char *value = parameters[i].variable != NULL ? getenv(parameters[i].variable) : NULL;
        mf_status st = value != NULL && value[0] != '\0' ? parameters[i].set(o, value, parameters[i].variable, err) : MF_OK;
        if (st != MF_OK)
            return st;
    }
    return MF_OK;
}

mf_status mfi_hatchet_options_address(mfi_hatchet_options *o, mf_str rest, mf_error *err)
{
    char text[300];
    if (rest.len == 0)
        return MF_OK;
    if (rest.len < 3 || memcmp(rest.at, "//", 2) != 0 || rest.len - 2 >= sizeof text || memchr(rest.at, '@', rest.len) != NULL)
        return mf_fail(err, MF_E_INVALID, "url: expected hatchet: or hatchet://host:port, and no secret in it: the token stands in "
                       "HATCHET_CLIENT_TOKEN or in token_file=");
    memcpy(text, rest.at + 2, rest.len - 2);
    text[rest.len - 2] = '\0';
    return set_address(o, text, "url", err);
}

mf_status mfi_hatchet_options_set(mfi_hatchet_options *o, const char *name, const char *value, mf_error *err)
{
    char what[64];
    snprintf(what, sizeof what, "url: parameter \"%.30s\"", name);
    for (size_t i = 0; i < COUNT; i++)
        if (parameters[i].name != NULL && strcmp(parameters[i].name, name) == 0)
            return parameters[i].set(o, value, what, err);
    return MF_E_NOT_FOUND;
}

const char *mfi_hatchet_parameter(size_t n, const char **help)
{
    for (size_t i = 0; i < COUNT; i++)
        if (parameters[i].name != NULL && n-- == 0) {
            *help = parameters[i].help;
            return parameters[i].name;
        }
    return NULL;
}

/* ---- the token ----------------------------------------------------------------------------------------------------- */

static int sextet(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' || c == '+' ? 62 : c == '_' || c == '/' ? 63 : -1;
}

size_t mfi_hatchet_base64_read(mf_str text, char *out, size_t room)
{
    uint32_t bits = 0;
    unsigned have = 0;
    size_t len = 0;
    for (size_t i = 0; i < text.len && text.at[i] != '='; i++) {
        int six = sextet(text.at[i]);
        if (six < 0 || len == room)
            return 0;
        bits = bits << 6 | (uint32_t)six;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[len++] = (char)(bits >> have);
        }
    }
    return len;
}

/* The claims, unverified: it is the engine that verifies. NULL: it has none that can be read. */
static mf_message *claims_of(const mfi_hatchet_options *o)
{
    char json[MFI_HATCHET_TOKEN_MAX];
    mf_message *claims = NULL;
    const char *first = strchr(o->token, '.');
    const char *second = first != NULL ? strchr(first + 1, '.') : NULL;
    size_t len = second != NULL ? mfi_hatchet_base64_read(mf_str_of(first + 1, (size_t)(second - first - 1)), json, sizeof json) : 0;
    if (len > 0 && mf_message_from_json(mf_str_of(json, len), NULL, o->allocator, &claims, NULL) != MF_OK)
        claims = NULL;
    explicit_bzero(json, sizeof json);
    return claims;
}

static mf_status address_from_token(mfi_hatchet_options *o, const mf_message *claims, mf_error *err)
{
    char address[300];
    mf_value value;
    mf_str text;
    if (claims == NULL || !mf_value_get(mf_message_value(claims), MF_STR_LIT("grpc_broadcast_address"), &value) ||
        mf_value_str(value, &text) != MF_OK || text.len >= sizeof address)
        return mf_fail(err, MF_E_INVALID, "hatchet: no address: the token names none; set HATCHET_CLIENT_HOST_PORT, or write "
                       "hatchet://host:port");
    memcpy(address, text.at, text.len);
    address[text.len] = '\0';
    return set_address(o, address, "hatchet: the token's grpc_broadcast_address", err);
}

bool mfi_hatchet_token_expired(const mfi_hatchet_options *o, char day[MFI_HATCHET_EXPIRED_TEXT])
{
    struct tm utc;
    time_t at = (time_t)o->expires_s;
    day[0] = '\0';
    if (o->expires_s > mfi_wall_ms(o->clock) / 1000)
        return false;
    if (gmtime_r(&at, &utc) != NULL)
        strftime(day, MFI_HATCHET_EXPIRED_TEXT, " on %Y-%m-%d at %H:%M", &utc);
    return true;
}

/* The engine would only say that it is invalid. */
static mf_status check_expiry(mfi_hatchet_options *o, const mf_message *claims, mf_error *err)
{
    mf_value value;
    char day[MFI_HATCHET_EXPIRED_TEXT];
    o->expires_s = INT64_MAX;
    if (!mf_value_get(mf_message_value(claims), MF_STR_LIT("exp"), &value) || mf_value_int(value, &o->expires_s) != MF_OK)
        return MF_OK;
    if (!mfi_hatchet_token_expired(o, day))
        return MF_OK;
    return mf_fail(err, MF_E_INVALID, "hatchet: the token has expired%s UTC: make a new one, in the dashboard or with hatchet-admin", day);
}

static mf_status check_token(mfi_hatchet_options *o, mf_message **claims, mf_error *err)
{
    if (o->token[0] == '\0')
        return mf_fail(err, MF_E_INVALID, "hatchet: no token: set HATCHET_CLIENT_TOKEN, or name a file with token_file=");
    *claims = claims_of(o);
    if (*claims == NULL)
        return mf_fail(err, MF_E_INVALID, "hatchet: the token is no JWT: expected three parts between dots, the second one JSON in base64");
    return check_expiry(o, *claims, err);
}

mf_status mfi_hatchet_options_token_again(mfi_hatchet_options *o, mf_error *err)
{
    char path[MFI_HATCHET_TEXT_MAX];
    mf_message *claims = NULL;
    if (o->token_file[0] == '\0')
        return MF_E_UNSUPPORTED;
    memcpy(path, o->token_file, sizeof path);
    mf_status st = set_token_file(o, path, "token_file", err);
    if (st == MF_OK)
        st = check_token(o, &claims, err);
    mf_message_unref(claims);
    return st;
}

mf_status mfi_hatchet_options_finish(mfi_hatchet_options *o, mf_error *err)
{
    mf_message *claims = NULL;
    mf_status st = check_token(o, &claims, err);
    if (st == MF_OK && o->host[0] == '\0')
        st = address_from_token(o, claims, err);
    mf_message_unref(claims);
    if (st != MF_OK)
        return st;
    if (o->tls == MFI_HATCHET_MTLS && (o->cert[0] == '\0' || o->key[0] == '\0'))
        return mf_fail(err, MF_E_INVALID, "hatchet: tls=mtls needs a certificate and its key: cert=, key=");
    if (o->tls != MFI_HATCHET_MTLS)
        o->cert[0] = o->key[0] = '\0';
    if (o->tls == MFI_HATCHET_PLAIN)
        o->ca[0] = '\0';
    else if (o->server_name[0] != '\0' && strcmp(o->server_name, o->host) != 0)
        return mf_fail(err, MF_E_UNSUPPORTED, "hatchet: HATCHET_CLIENT_TLS_SERVER_NAME: a certificate for another name than the host's "
                       "(%.100s) is not accepted", o->host);
    return MF_OK;
}

void mfi_hatchet_options_wipe(mfi_hatchet_options *o)
{
    explicit_bzero(o->token, sizeof o->token);
}
