/* adapters/url.h: a URL taken apart: "scheme:rest?name=value&name=value". */
#ifndef MFI_URL_H
#define MFI_URL_H

#include <mageflow/base.h>

#define MFI_URL_PARAMETERS 16
#define MFI_URL_MAX 4096

typedef struct mfi_url {
    char   text[2 * MFI_URL_MAX];   /* what everything below points into */
    mf_str scheme;                  /* "taskiq+redis" */
    mf_str rest;                    /* between ":" and "?"; may hold a password: never printed */
    struct {
        const char *name, *value;   /* value with its percent-escapes undone */
    } parameters[MFI_URL_PARAMETERS];
    size_t count;
} mfi_url;

/** MF_E_INVALID: no scheme, too long, too many parameters, a broken escape. The error never holds more of the URL than its
 * scheme and the name of a parameter. */
MF_NODISCARD mf_status mfi_url_parse(const char *text, mfi_url *out, mf_error *err);

#endif
