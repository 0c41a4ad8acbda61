#include <stdio.h>

#include "rpc_impl.h"
#include "verify.h"

static const struct {
    const char *name;
    mf_status   status;
} codes[] = {
    [MFI_RPC_OK] = {"OK", MF_OK},
    [MFI_RPC_CANCELLED] = {"CANCELLED", MF_E_CANCELED},
    [MFI_RPC_UNKNOWN] = {"UNKNOWN", MF_E_IO},
    [MFI_RPC_INVALID_ARGUMENT] = {"INVALID_ARGUMENT", MF_E_INVALID},
    [MFI_RPC_DEADLINE_EXCEEDED] = {"DEADLINE_EXCEEDED", MF_E_TIMEOUT},
    [MFI_RPC_NOT_FOUND] = {"NOT_FOUND", MF_E_NOT_FOUND},
    [MFI_RPC_ALREADY_EXISTS] = {"ALREADY_EXISTS", MF_E_EXISTS},
    [MFI_RPC_PERMISSION_DENIED] = {"PERMISSION_DENIED", MF_E_INVALID},
    [MFI_RPC_RESOURCE_EXHAUSTED] = {"RESOURCE_EXHAUSTED", MF_E_FULL},
    [MFI_RPC_FAILED_PRECONDITION] = {"FAILED_PRECONDITION", MF_E_STATE},
    [MFI_RPC_ABORTED] = {"ABORTED", MF_E_CONFLICT},
    [MFI_RPC_OUT_OF_RANGE] = {"OUT_OF_RANGE", MF_E_INVALID},
    [MFI_RPC_UNIMPLEMENTED] = {"UNIMPLEMENTED", MF_E_UNSUPPORTED},
    [MFI_RPC_INTERNAL] = {"INTERNAL", MF_E_IO},
    [MFI_RPC_UNAVAILABLE] = {"UNAVAILABLE", MF_E_IO},
    [MFI_RPC_DATA_LOSS] = {"DATA_LOSS", MF_E_MALFORMED},
    [MFI_RPC_UNAUTHENTICATED] = {"UNAUTHENTICATED", MF_E_INVALID},
};

#define CODES (sizeof codes / sizeof *codes)

const char *mfi_rpc_code_name(mfi_rpc_code code)
{
    return (size_t)code < CODES ? codes[code].name : "UNKNOWN";
}

mf_status rpc_status_of(mfi_rpc_code code)
{
    return (size_t)code < CODES ? codes[code].status : MF_E_IO;
}

/* As gRPC's "HTTP to gRPC status code mapping" has it, for what stands between us and the server. */
mfi_rpc_code rpc_code_of_http(int status)
{
    switch (status) {
    case 400: return MFI_RPC_INTERNAL;
    case 401: return MFI_RPC_UNAUTHENTICATED;
    case 403: return MFI_RPC_PERMISSION_DENIED;
    case 404: return MFI_RPC_UNIMPLEMENTED;
    case 429: case 502: case 503: case 504: return MFI_RPC_UNAVAILABLE;
    default:  return MFI_RPC_UNKNOWN;
    }
}

mfi_rpc_code rpc_code_of_reset(uint32_t error)
{
    switch (error) {
    case NGHTTP2_REFUSED_STREAM:      return MFI_RPC_UNAVAILABLE;
    case NGHTTP2_CANCEL:              return MFI_RPC_CANCELLED;
    case NGHTTP2_ENHANCE_YOUR_CALM:   return MFI_RPC_RESOURCE_EXHAUSTED;
    case NGHTTP2_INADEQUATE_SECURITY: return MFI_RPC_PERMISSION_DENIED;
    default:                          return MFI_RPC_INTERNAL;
    }
}

static int hex_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

void rpc_percent_decode(mf_str text, char *out, size_t room)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len && len + 1 < room; i++) {
        char c = text.at[i];
        if (c == '%' && i + 2 < text.len && hex_of(text.at[i + 1]) >= 0 && hex_of(text.at[i + 2]) >= 0) {
            c = (char)(hex_of(text.at[i + 1]) << 4 | hex_of(text.at[i + 2]));
            i += 2;
        }
        out[len++] = (unsigned char)c < ' ' || c == 0x7f ? (c == '\n' || c == '\t' ? ' ' : '.') : c;
    }
    out[len] = '\0';
    for (size_t valid = mfi_utf8_valid(mf_str_of(out, len)); valid < len; valid += mfi_utf8_valid(mf_str_of(out + valid, len - valid)))
        out[valid] = '.';
}

void rpc_timeout_write(mf_duration left, char out[16])
{
    int64_t ms = left > 0 ? left / 1000000 + (left % 1000000 != 0) : 1;
    if (ms <= 99999999)
        snprintf(out, 16, "%lldm", (long long)ms);
    else
        snprintf(out, 16, "%lldS", (long long)(ms / 1000 <= 99999999 ? ms / 1000 : 99999999));
}

/* An HTTP/2 server's first frame is SETTINGS, on stream 0: length (3), type 4, flags, stream (4). */
const char *rpc_first_words(const unsigned char *at, size_t len, bool tls)
{
    if (len >= 5 && memcmp(at, "HTTP/", 5) == 0)
        return "an HTTP/1 server answers there: this is not a gRPC port";
    if (len >= 4 && (memcmp(at, "-ERR", 4) == 0 || memcmp(at, "-NOA", 4) == 0 || memcmp(at, "-DEN", 4) == 0))
        return "a Redis answers there: this is not a gRPC port";
    if (!tls && len >= 3 && at[0] == 0x15 && at[1] == 3 && at[2] <= 4)
        return "the port speaks TLS, and this is a plain connection: tls=tls";
    if (len >= 9 && (at[3] != NGHTTP2_SETTINGS || (at[5] & 0x7f) != 0 || at[6] != 0 || at[7] != 0 || at[8] != 0))
        return "what answers there does not speak HTTP/2: this is not a gRPC port";
    return NULL;
}
