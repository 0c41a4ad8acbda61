/* Where the bridge to Hatchet takes its settings from. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hatchet_adapter.h"

/* {"grpc_broadcast_address":"engine.example:7070","sub":"t"} between a header and a signature that nobody here looks at */
#define TOKEN "eyJhbGciOiJFUzI1NiJ9.eyJncnBjX2Jyb2FkY2FzdF9hZGRyZXNzIjoiZW5naW5lLmV4YW1wbGU6NzA3MCIsInN1YiI6InQifQ.c2ln"
#define TOKEN_OF_NOWHERE "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ0In0.c2ln"

/* {"grpc_broadcast_address":"e:1","exp":1000000000} */
#define TOKEN_OF_LONG_AGO "eyJhbGciOiJFUzI1NiJ9.eyJncnBjX2Jyb2FkY2FzdF9hZGRyZXNzIjoiZToxIiwiZXhwIjoxMDAwMDAwMDAwfQ.c2ln"

static const char *const variables[] = {"TOKEN", "HOST_PORT", "NAMESPACE", "TLS_STRATEGY", "TLS_ROOT_CA_FILE", "TLS_CERT_FILE",
                                        "TLS_KEY_FILE", "TLS_SERVER_NAME"};

static void put(const char *tail, const char *value)
{
    char name[64];
    snprintf(name, sizeof name, "HATCHET_CLIENT_%s", tail);
    if (value == NULL)
        unsetenv(name);
    else
        setenv(name, value, 1);
}

static void clean(void)
{
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        put(variables[i], NULL);
}

static mf_status read_all(mfi_hatchet_options *o, const char *rest, mf_error *err)
{
    mf_status st = mfi_hatchet_options_init(o, err);
    if (st == MF_OK)
        st = mfi_hatchet_options_address(o, mf_cstr(rest), err);
    return st == MF_OK ? mfi_hatchet_options_finish(o, err) : st;
}

TestSuite(hatchet_options, .init = clean);

Test(hatchet_options, a_token_alone_is_enough)
{
    mfi_hatchet_options o;
    mf_error err;
    put("TOKEN", TOKEN);
    cr_assert(eq(int, read_all(&o, "", &err), MF_OK), "%s", err.text);
    cr_assert(eq(str, o.host, "engine.example"));
    cr_assert(eq(uint, o.port, 7070));
    cr_assert(eq(int, o.tls, MFI_HATCHET_TLS));
    cr_assert(o.started);
}

Test(hatchet_options, the_url_goes_before_the_environment_and_that_before_the_token)
{
    mfi_hatchet_options o;
    mf_error err;
    put("TOKEN", TOKEN);
    put("HOST_PORT", "db:1");
    put("TLS_STRATEGY", "none");
    put("NAMESPACE", "Mine");
    cr_assert(eq(int, read_all(&o, "", &err), MF_OK));
    cr_assert(eq(str, o.host, "db"));
    cr_assert(eq(str, o.ns, "mine_"));
    cr_assert(eq(int, o.tls, MFI_HATCHET_PLAIN));
    cr_assert(eq(int, read_all(&o, "//[::1]:7", &err), MF_OK), "%s", err.text);
    cr_assert(eq(str, o.host, "::1"));
    cr_assert(eq(uint, o.port, 7));
    cr_assert(eq(int, mfi_hatchet_options_set(&o, "namespace", "other_", &err), MF_OK));
    cr_assert(eq(str, o.ns, "other_"));
    cr_assert(eq(int, mfi_hatchet_options_set(&o, "nothing", "x", &err), MF_E_NOT_FOUND));
}

Test(hatchet_options, what_is_wrong_is_named_and_no_secret_is_told)
{
    static const struct {
        const char *variable, *value, *rest, *text;
    } wrong[] = {
        {"TOKEN", "", "", "no token: set HATCHET_CLIENT_TOKEN"},
        {"TOKEN", "secret", "", "no JWT"},
        {"TOKEN", "secret.!!!.x", "", "no JWT"},
        {"TOKEN", TOKEN_OF_NOWHERE, "", "set HATCHET_CLIENT_HOST_PORT"},
        {"TOKEN", TOKEN_OF_LONG_AGO, "", "the token has expired on 2001-09-09 at 01:46 UTC"},
        {"HOST_PORT", "db", "", "HATCHET_CLIENT_HOST_PORT: expected host:port"},
        {"HOST_PORT", "db:70000", "", "expected host:port"},
        {"HOST_PORT", "db:7x", "", "expected host:port"},
        {"TLS_STRATEGY", "maybe", "", "HATCHET_CLIENT_TLS_STRATEGY: expected tls, mtls or none, got \"maybe\""},
        {"TLS_STRATEGY", "mtls", "", "needs a certificate and its key"},
        {"TLS_SERVER_NAME", "other", "", "certificate for another name"},
        {"NAMESPACE", "x", "//secret@db:1", "no secret in it"},
        {"NAMESPACE", "x", "db:1", "expected hatchet: or hatchet://host:port"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        mfi_hatchet_options o;
        mf_error err;
        clean();
        put("TOKEN", TOKEN);
        put(wrong[i].variable, wrong[i].value);
        cr_assert(ne(int, read_all(&o, wrong[i].rest, &err), MF_OK), "%zu", i);
        cr_assert(strstr(err.text, wrong[i].text) != NULL, "\"%s\" is not in \"%s\"", wrong[i].text, err.text);
        cr_assert(strstr(err.text, "secret.") == NULL && strstr(err.text, "secret@") == NULL);
    }
}

Test(hatchet_options, a_worker_lingers_as_long_as_it_is_told)
{
    mfi_hatchet_options o;
    mf_error err;
    cr_assert(eq(int, mfi_hatchet_options_init(&o, &err), MF_OK));
    cr_assert(eq(i64, o.linger, mf_seconds(2)));
    cr_assert(eq(int, mfi_hatchet_options_set(&o, "linger", "0s", &err), MF_OK), "%s", err.text);
    cr_assert(eq(i64, o.linger, 0));
    cr_assert(eq(int, mfi_hatchet_options_set(&o, "linger", "1m", &err), MF_OK), "%s", err.text);
    cr_assert(eq(i64, o.linger, mf_minutes(1)));
    static const char *const wrong[] = {"", "2", "-1s", "61s", "soon"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cr_assert(eq(int, mfi_hatchet_options_set(&o, "linger", wrong[i], &err), MF_E_INVALID), "%s", wrong[i]);
        cr_assert(strstr(err.text, "\"linger\": expected a span from 0s to 1m") != NULL, "%s", err.text);
    }
}

Test(hatchet_options, a_token_may_stand_in_a_file)
{
    char path[] = "/tmp/mageflow-token-XXXXXX";
    mfi_hatchet_options o;
    mf_error err;
    int fd = mkstemp(path);
    cr_assert(eq(int, (int)write(fd, TOKEN "\n", sizeof TOKEN), (int)sizeof TOKEN));
    close(fd);
    cr_assert(eq(int, mfi_hatchet_options_init(&o, &err), MF_OK));
    cr_assert(eq(int, mfi_hatchet_options_set(&o, "token_file", path, &err), MF_OK), "%s", err.text);
    cr_assert(eq(str, o.token, TOKEN));
    cr_assert(eq(int, mfi_hatchet_options_finish(&o, &err), MF_OK), "%s", err.text);
    mfi_hatchet_options_wipe(&o);
    cr_assert(eq(str, o.token, ""));
    unlink(path);
    cr_assert(eq(int, mfi_hatchet_options_set(&o, "token_file", path, &err), MF_E_NOT_FOUND));
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    cr_assert(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

Test(hatchet_options, a_token_is_read_from_its_file_again)
{
    char path[] = "/tmp/mageflow-token-XXXXXX", day[MFI_HATCHET_EXPIRED_TEXT];
    mfi_hatchet_options o;
    mf_error err;
    close(mkstemp(path));
    write_file(path, TOKEN "\n");
    cr_assert(eq(int, mfi_hatchet_options_init(&o, &err), MF_OK));
    cr_assert(eq(int, mfi_hatchet_options_token_again(&o, &err), MF_E_UNSUPPORTED));
    cr_assert(eq(int, mfi_hatchet_options_set(&o, "token_file", path, &err), MF_OK));
    cr_assert(eq(int, mfi_hatchet_options_finish(&o, &err), MF_OK), "%s", err.text);
    cr_assert(not(mfi_hatchet_token_expired(&o, day)));
    mfi_hatchet_options_wipe(&o);
    write_file(path, TOKEN_OF_NOWHERE "\n");        /* an address is not asked for a second time */
    cr_assert(eq(int, mfi_hatchet_options_token_again(&o, &err), MF_OK), "%s", err.text);
    cr_assert(eq(str, o.token, TOKEN_OF_NOWHERE));
    write_file(path, TOKEN_OF_LONG_AGO "\n");
    cr_assert(eq(int, mfi_hatchet_options_token_again(&o, &err), MF_E_INVALID));
    cr_assert(mfi_hatchet_token_expired(&o, day));
    cr_assert(eq(str, day, " on 2001-09-09 at 01:46"));
    write_file(path, "");
    cr_assert(eq(int, mfi_hatchet_options_token_again(&o, &err), MF_E_INVALID));
    unlink(path);
    cr_assert(eq(int, mfi_hatchet_options_token_again(&o, &err), MF_E_NOT_FOUND));
}

Test(hatchet_options, every_parameter_has_a_help)
{
    const char *help = NULL;
    size_t n = 0;
    for (; mfi_hatchet_parameter(n, &help) != NULL; n++)
        cr_assert(help != NULL);
    cr_assert(gt(sz, n, 4));
}
