/* adapters/hatchet/hatchet_adapter.h: what the factory knows of this folder. */
#ifndef MFI_HATCHET_ADAPTER_H
#define MFI_HATCHET_ADAPTER_H

#include <mageflow/adapter.h>

#define MFI_HATCHET_TEXT_MAX 512
#define MFI_HATCHET_TOKEN_MAX 8192

typedef enum mfi_hatchet_tls { MFI_HATCHET_TLS, MFI_HATCHET_MTLS, MFI_HATCHET_PLAIN } mfi_hatchet_tls;

typedef struct mfi_hatchet_options {
    const mf_allocator *allocator;
    const mf_clock     *clock;
    mf_log_fn          *log;
    void               *log_user;
    const mf_limits    *limits;
    char                host[256];                          /* "": what the token says */
    unsigned            port;
    char                token[MFI_HATCHET_TOKEN_MAX];       /* a secret */
    char                token_file[MFI_HATCHET_TEXT_MAX];   /* that it was read from; "" */
    int64_t             expires_s;                          /* as the token says, in s since 1970; INT64_MAX: it does not */
    char                ns[128];                            /* namespace: lower case, with its "_" at the end; or "" */
    mfi_hatchet_tls     tls;
    char                ca[MFI_HATCHET_TEXT_MAX], cert[MFI_HATCHET_TEXT_MAX], key[MFI_HATCHET_TEXT_MAX];
    char                server_name[256];
    bool                started;                            /* tell the engine when tasks begin */
    mf_duration         linger;                             /* a worker that stops still takes what was on its way to it */
} mfi_hatchet_options;

/** From the environment, as Hatchet's SDKs read it: HATCHET_CLIENT_TOKEN, _HOST_PORT, _NAMESPACE, _TLS_STRATEGY, _TLS_ROOT_CA_FILE,
 * _TLS_CERT_FILE, _TLS_KEY_FILE, _TLS_SERVER_NAME. MF_E_INVALID names the variable. */
MF_NODISCARD mf_status mfi_hatchet_options_init(mfi_hatchet_options *o, mf_error *err);
/** "//host:port", or nothing. */
MF_NODISCARD mf_status mfi_hatchet_options_address(mfi_hatchet_options *o, mf_str rest, mf_error *err);
/** A parameter of the URL, which goes before the environment. MF_E_NOT_FOUND: there is none of that name. */
MF_NODISCARD mf_status mfi_hatchet_options_set(mfi_hatchet_options *o, const char *name, const char *value, mf_error *err);
/** The n-th of them; NULL past the last. */
const char *mfi_hatchet_parameter(size_t n, const char **help);
/** What is missing is taken from the token's claims; what contradicts is refused. Once, after everything is set. */
MF_NODISCARD mf_status mfi_hatchet_options_finish(mfi_hatchet_options *o, mf_error *err);
/** The token once more from its file, if it came from one (else MF_E_UNSUPPORTED), with the checks of `finish`. */
MF_NODISCARD mf_status mfi_hatchet_options_token_again(mfi_hatchet_options *o, mf_error *err);
/** Whether its time is over; day: " on 2026-01-31 at 12:00", in UTC. */
#define MFI_HATCHET_EXPIRED_TEXT 32
bool mfi_hatchet_token_expired(const mfi_hatchet_options *o, char day[MFI_HATCHET_EXPIRED_TEXT]);
/** The token is overwritten. */
void mfi_hatchet_options_wipe(mfi_hatchet_options *o);

/** Base64 in either alphabet, up to its padding or its end: how many bytes it held; 0: it is none, or holds more than room. */
size_t mfi_hatchet_base64_read(mf_str text, char *out, size_t room);

/** options is borrowed for the call, and finished. Does not wait for the engine. */
MF_NODISCARD mf_status mfi_hatchet_create(const mfi_hatchet_options *options, mf_adapter **out, mf_error *err);

#endif
