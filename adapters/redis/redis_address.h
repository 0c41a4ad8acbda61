/* redis/redis_address.h: where a Redis server is and how to get in, as a URL says it.
 *
 *     redis://user:password@host:6379/0      rediss://… (TLS)      unix:///run/redis.sock
 *
 * with db=, user=, password_file=, ca=, cert=, key= behind the "?". The part of the scheme before "+" is its owner's.
 */
#ifndef MFI_REDIS_ADDRESS_H
#define MFI_REDIS_ADDRESS_H

#include <mageflow/base.h>

#define MFI_REDIS_PASSWORD_MAX 4096    /* cloud tokens are long */
#define MFI_REDIS_PATH_MAX 1024

/** Holds a secret: mfi_redis_address_wipe it, and print nothing of it but mfi_redis_address_text. */
typedef struct mfi_redis_address {
    char     host[256];                         /* name, IPv4 or IPv6 without brackets; "" with a unix socket */
    char     socket[108];                       /* path of a unix socket, or "" */
    uint16_t port;
    bool     tls;
    unsigned db;
    char     user[256];                         /* ACL user, or "" */
    char     password[MFI_REDIS_PASSWORD_MAX];  /* or "" */
    char     password_file[MFI_REDIS_PATH_MAX]; /* or ""; read at each connect, so that a secret may be rotated */
    char     ca[MFI_REDIS_PATH_MAX];            /* PEM file of trusted authorities; "": the system's */
    char     cert[MFI_REDIS_PATH_MAX];          /* PEM: our certificate and what leads to it, or "" */
    char     key[MFI_REDIS_PATH_MAX];           /* PEM: its key, or "" */
} mfi_redis_address;

/** Read what stands before the "?": transport is the scheme's last part ("redis", "rediss", "unix"), rest what follows its
 * colon. MF_E_INVALID; the text never holds more of the URL than the host. */
MF_NODISCARD mf_status mfi_redis_address_parse(mf_str transport, mf_str rest, mfi_redis_address *out, mf_error *err);

/** Take one parameter, its percent-escapes undone. MF_E_NOT_FOUND: none of ours, err is untouched. MF_E_INVALID. */
MF_NODISCARD mf_status mfi_redis_address_set(mfi_redis_address *address, const char *name, const char *value,
                                             mf_error *err);

/** The name of the n-th of them, and what it is for; NULL past the last. */
const char *mfi_redis_address_parameter(size_t n, const char **help);

/** After the last parameter: what does not go together. MF_E_INVALID. */
MF_NODISCARD mf_status mfi_redis_address_check(const mfi_redis_address *address, mf_error *err);

/** The whole from text, "redis://…?…" (also with "owner+" in front). Parameters of others are MF_E_INVALID. */
MF_NODISCARD mf_status mfi_redis_address_from_url(const char *url, mfi_redis_address *out, mf_error *err);

/** "redis at host:port" or "redis at /path", cut to fit. */
void mfi_redis_address_text(const mfi_redis_address *address, char *at, size_t size);

/** Overwrite it, so that no secret stays in memory. */
void mfi_redis_address_wipe(mfi_redis_address *address);

#endif
