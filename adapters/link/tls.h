/* link/tls.h: TLS over a socket that somebody else opened; the link's inside. */
#ifndef MFI_TLS_H
#define MFI_TLS_H

#include <mageflow/base.h>

/** What all connections of a link share: authorities, certificate, rules. */
typedef struct mfi_tls_rules mfi_tls_rules;
/** One connection. */
typedef struct mfi_tls mfi_tls;

/** Files and protocol may be NULL or "". Statuses as mfi_link_create. */
MF_NODISCARD mf_status mfi_tls_rules_create(const mf_allocator *allocator, const char *what, const char *ca, const char *cert,
                                            const char *key, const char *protocol, mfi_tls_rules **out, mf_error *err);
void mfi_tls_rules_destroy(mfi_tls_rules *rules);

/** On a connected, nonblocking fd, which stays the caller's. what and host must outlive it. */
MF_NODISCARD mf_status mfi_tls_create(mfi_tls_rules *rules, const char *what, const char *host, int fd, mfi_tls **out,
                                      mf_error *err);
/** Says good-bye if the connection is still whole; does not wait for the answer. */
void mfi_tls_destroy(mfi_tls *tls);

/* MF_E_AGAIN: poll for mfi_tls_events, then call again, a write with the same bytes first. */
MF_NODISCARD mf_status mfi_tls_handshake(mfi_tls *tls, mf_error *err);
MF_NODISCARD mf_status mfi_tls_read(mfi_tls *tls, void *at, size_t len, size_t *got, mf_error *err);
MF_NODISCARD mf_status mfi_tls_write(mfi_tls *tls, const void *at, size_t len, size_t *put, mf_error *err);

/** What the last call waits for, POLLIN or POLLOUT; 0: for nothing. */
short mfi_tls_waits(const mfi_tls *tls);
/** Whether the other side has sent anything at all. */
bool mfi_tls_heard(const mfi_tls *tls);

#endif
