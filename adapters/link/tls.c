#include "tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "memory.h"

/* OpenSSL keeps failures in a queue per thread: it is emptied before each call, so that what is found is that call's. */

struct mfi_tls_rules {
    const mf_allocator *allocator;
    SSL_CTX            *ctx;
    BIO_METHOD         *method;
    bool                asks;         /* for a protocol */
};

struct mfi_tls {
    mfi_tls_rules *rules;
    const char    *what, *host;
    SSL           *ssl;
    int            fd;
    int            error;             /* errno of the last read or write below, 0 */
    short          waits;
    bool           heard;
    bool           ended;             /* the socket has nothing more */
    bool           broken;            /* no good-bye */
    mf_error       late;              /* found behind bytes that arrived: the next read tells it; MF_OK: none */
};

/* ---- the socket, as OpenSSL sees it ------------------------------------------------------------------------------- *
 * Its own would write with write(2), and a peer that is gone would then raise SIGPIPE in a program that is not ours. */

static int socket_write(BIO *bio, const char *at, int len)
{
    mfi_tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t n;
    while ((n = send(tls->fd, at, (size_t)len, MSG_NOSIGNAL)) < 0 && errno == EINTR)
        ;
    if (n >= 0)
        return (int)n;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        BIO_set_retry_write(bio);
    else
        tls->error = errno;
    return -1;
}

static int socket_read(BIO *bio, char *at, int len)
{
    mfi_tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t n;
    while ((n = recv(tls->fd, at, (size_t)len, 0)) < 0 && errno == EINTR)
        ;
    if (n >= 0) {
        tls->heard |= n > 0;
        tls->ended |= n == 0 && len > 0;
        return (int)n;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        BIO_set_retry_read(bio);
    else
        tls->error = errno;
    return -1;
}

static long socket_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)number;
    (void)pointer;
    if (command == BIO_CTRL_EOF)
        return ((mfi_tls *)BIO_get_data(bio))->ended;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *socket_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "mageflow socket");
    if (m != NULL) {
        BIO_meth_set_write(m, socket_write);
        BIO_meth_set_read(m, socket_read);
        BIO_meth_set_ctrl(m, socket_ctrl);
    }
    return m;
}

/* ---- rules ------------------------------------------------------------------------------------------------------ */

/* The reason of the newest failure: of libraries below (a file, its PEM) or of TLS itself. */
static const char *reason_text(unsigned long code)
{
    const char *text = ERR_SYSTEM_ERROR(code) ? strerrordesc_np(ERR_GET_REASON(code)) : ERR_reason_error_string(code);
    return text != NULL ? text : "reason unknown";
}

static mf_status file_failure(const char *what, const char *role, const char *path, mf_error *err)
{
    /* The first failure says what happened to the file; what follows says that therefore nothing was loaded. */
    unsigned long first = ERR_peek_error();
    mf_status st = MF_E_INVALID;
    if (ERR_SYSTEM_ERROR(first))
        st = ERR_GET_REASON(first) == ENOENT ? MF_E_NOT_FOUND : MF_E_IO;
    else if (ERR_GET_REASON(first) == ERR_R_MALLOC_FAILURE)
        st = MF_E_NOMEM;
    mf_fail(err, st, "%s: tls: %s %s: %s", what, role, path, reason_text(first));
    ERR_clear_error();
    return st;
}

/* Without one OpenSSL asks at the terminal. */
static int no_passphrase(char *at, int size, int writing, void *user)
{
    (void)at;
    (void)size;
    (void)writing;
    (void)user;
    return -1;
}

static mf_status load_files(SSL_CTX *ctx, const char *what, const char *ca, const char *cert, const char *key, mf_error *err)
{
    ERR_clear_error();
    if (ca != NULL && ca[0] != '\0') {
        if (SSL_CTX_load_verify_file(ctx, ca) != 1)
            return file_failure(what, "ca", ca, err);
    } else if (SSL_CTX_set_default_verify_paths(ctx) != 1) {
        return file_failure(what, "ca", "of the system", err);
    }
    if (cert == NULL || cert[0] == '\0')
        return MF_OK;
    if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1)
        return file_failure(what, "cert", cert, err);
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
        return file_failure(what, "key", key, err);
    if (SSL_CTX_check_private_key(ctx) != 1)
        return file_failure(what, "key", key, err);
    return MF_OK;
}

mf_status mfi_tls_rules_create(const mf_allocator *allocator, const char *what, const char *ca, const char *cert,
                               const char *key, const char *protocol, mfi_tls_rules **out, mf_error *err)
{
    mfi_tls_rules *rules = mf_new(allocator, mfi_tls_rules);
    if (rules == NULL)
        return mf_fail(err, MF_E_NOMEM, "%s: tls: out of memory", what);
    rules->allocator = allocator;
    rules->method = socket_method();
    rules->ctx = SSL_CTX_new(TLS_client_method());
    mf_status st = MF_OK;
    if (rules->method == NULL || rules->ctx == NULL) {
        st = mf_fail(err, MF_E_NOMEM, "%s: tls: out of memory", what);
        goto fail;
    }
    SSL_CTX_set_min_proto_version(rules->ctx, TLS1_2_VERSION);
    SSL_CTX_set_verify(rules->ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_default_passwd_cb(rules->ctx, no_passphrase);
    /* Partial writes, and a buffer that has moved when a write is tried again: the link's write is a plain one. */
    SSL_CTX_set_mode(rules->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (protocol != NULL && protocol[0] != '\0') {
        unsigned char list[256];
        size_t len = strlen(protocol);
        if (len > 255) {
            st = mf_fail(err, MF_E_INVALID, "%s: tls: the name of a protocol has at most 255 bytes", what);
            goto fail;
        }
        list[0] = (unsigned char)len;
        memcpy(list + 1, protocol, len);
        if (SSL_CTX_set_alpn_protos(rules->ctx, list, (unsigned)len + 1) != 0) {
            st = mf_fail(err, MF_E_NOMEM, "%s: tls: out of memory", what);
            goto fail;
        }
        rules->asks = true;
    }
    st = load_files(rules->ctx, what, ca, cert, key, err);
    if (st != MF_OK)
        goto fail;
    *out = rules;
    return MF_OK;

fail:
    mfi_tls_rules_destroy(rules);
    return st;
}

void mfi_tls_rules_destroy(mfi_tls_rules *rules)
{
    if (rules == NULL)
        return;
    SSL_CTX_free(rules->ctx);
    BIO_meth_free(rules->method);
    mf_delete(rules->allocator, rules);
}

/* ---- one connection --------------------------------------------------------------------------------------------- */

static bool expect_host(SSL *ssl, const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    /* The name goes out too, so that a server with several certificates shows the right one. */
    void *name = (void *)(uintptr_t)host;      /* what SSL_set_tlsext_host_name casts away as well; it is copied */
    return SSL_set1_host(ssl, host) == 1 && SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name) == 1;
}

mf_status mfi_tls_create(mfi_tls_rules *rules, const char *what, const char *host, int fd, mfi_tls **out, mf_error *err)
{
    mfi_tls *tls = mf_new(rules->allocator, mfi_tls);
    if (tls == NULL)
        return mf_fail(err, MF_E_NOMEM, "%s: tls: out of memory", what);
    tls->rules = rules;
    tls->what = what;
    tls->host = host;
    tls->fd = fd;
    ERR_clear_error();
    tls->ssl = SSL_new(rules->ctx);
    BIO *bio = tls->ssl != NULL ? BIO_new(rules->method) : NULL;
    if (bio == NULL || !expect_host(tls->ssl, host)) {
        ERR_clear_error();
        BIO_free(bio);
        tls->broken = true;
        mfi_tls_destroy(tls);
        return mf_fail(err, MF_E_NOMEM, "%s: tls: out of memory", what);
    }
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio);
    SSL_set_connect_state(tls->ssl);
    *out = tls;
    return MF_OK;
}

void mfi_tls_destroy(mfi_tls *tls)
{
    if (tls == NULL)
        return;
    ERR_clear_error();
    if (!tls->broken && SSL_is_init_finished(tls->ssl))
        SSL_shutdown(tls->ssl);
    ERR_clear_error();
    SSL_free(tls->ssl);
    mf_delete(tls->rules->allocator, tls);
}

static mf_status not_verified(const mfi_tls *tls, long verdict, mf_error *err)
{
    switch (verdict) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return mf_fail(err, MF_E_INVALID, "%s: tls: the server's certificate comes from an authority that is not trusted here "
                       "(%s); name it with ca=", tls->what, X509_verify_cert_error_string(verdict));
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return mf_fail(err, MF_E_INVALID, "%s: tls: the server's certificate has expired", tls->what);
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return mf_fail(err, MF_E_INVALID, "%s: tls: the server's certificate is not valid yet; does this machine know the time?",
                       tls->what);
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return mf_fail(err, MF_E_INVALID, "%s: tls: the server's certificate is for another host than %s", tls->what, tls->host);
    default:
        return mf_fail(err, MF_E_INVALID, "%s: tls: the server's certificate: %s", tls->what,
                       X509_verify_cert_error_string(verdict));
    }
}

static mf_status protocol_failure(const mfi_tls *tls, unsigned long code, mf_error *err)
{
    switch (ERR_GET_REASON(code)) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_RECORD_LENGTH_MISMATCH:
        if (!SSL_is_init_finished(tls->ssl))
            return mf_fail(err, MF_E_INVALID, "%s: tls: what answers at this port does not speak TLS", tls->what);
        break;
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
        return mf_fail(err, MF_E_INVALID, "%s: tls: the server does not accept our certificate, or asks for one: cert= and key= "
                       "(%s)", tls->what, reason_text(code));
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    case SSL_R_NO_PROTOCOLS_AVAILABLE:
        return mf_fail(err, MF_E_INVALID, "%s: tls: no agreement with the server: it asks for a certificate of ours (cert=, "
                       "key=), or knows neither TLS 1.2 nor 1.3 (%s)", tls->what, reason_text(code));
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
        return mf_fail(err, SSL_is_init_finished(tls->ssl) ? MF_E_CLOSED : MF_E_IO, SSL_is_init_finished(tls->ssl) ?
                       "%s: the server closed the connection" :
                       "%s: tls: the server closed the connection during the handshake; is this a port without TLS?", tls->what);
    default:
        break;
    }
    return mf_fail(err, MF_E_IO, "%s: tls: %s", tls->what, reason_text(code));
}

/* What a call that did not succeed means. */
static mf_status outcome(mfi_tls *tls, int rc, mf_error *err)
{
    switch (SSL_get_error(tls->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
        tls->waits = POLLIN;
        return MF_E_AGAIN;
    case SSL_ERROR_WANT_WRITE:
        tls->waits = POLLOUT;
        return MF_E_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return mf_fail(err, MF_E_CLOSED, "%s: the server closed the connection", tls->what);
    default:
        break;
    }
    tls->broken = true;
    unsigned long code = ERR_peek_last_error();
    long verdict = SSL_get_verify_result(tls->ssl);
    mf_status st;
    if (tls->error != 0) {
        char text[128];
        st = mf_fail(err, MF_E_IO, "%s: %s", tls->what, strerror_r(tls->error, text, sizeof text));
    } else if (!SSL_is_init_finished(tls->ssl) && verdict != X509_V_OK) {
        st = not_verified(tls, verdict, err);
    } else {
        st = protocol_failure(tls, code, err);
    }
    ERR_clear_error();
    return st;
}

static void begin(mfi_tls *tls)
{
    ERR_clear_error();
    tls->error = 0;
    tls->waits = 0;
}

mf_status mfi_tls_handshake(mfi_tls *tls, mf_error *err)
{
    begin(tls);
    int rc = SSL_do_handshake(tls->ssl);
    if (rc != 1)
        return outcome(tls, rc, err);
    if (tls->rules->asks) {
        const unsigned char *chosen;
        unsigned len;
        SSL_get0_alpn_selected(tls->ssl, &chosen, &len);
        if (len == 0)
            return mf_fail(err, MF_E_INVALID, "%s: tls: the server does not speak the protocol that is needed here", tls->what);
    }
    return MF_OK;
}

mf_status mfi_tls_read(mfi_tls *tls, void *at, size_t len, size_t *got, mf_error *err)
{
    size_t total = 0;
    mf_status st = MF_E_AGAIN;
    *got = 0;
    if (tls->late.status != MF_OK) {
        if (err != NULL)
            *err = tls->late;
        return tls->late.status;
    }
    begin(tls);
    /* One call gives one record, of 16 KiB at most: as many as fit, so that "fewer than asked" means "nothing more there". */
    while (total < len) {
        size_t n;
        int rc = SSL_read_ex(tls->ssl, (char *)at + total, len - total, &n);
        if (rc != 1) {
            st = outcome(tls, rc, total > 0 ? &tls->late : err);
            break;
        }
        total += n;
    }
    if (tls->waits == POLLIN)
        tls->waits = 0;             /* who reads polls for that anyway */
    *got = total;
    return total > 0 ? MF_OK : st;
}

mf_status mfi_tls_write(mfi_tls *tls, const void *at, size_t len, size_t *put, mf_error *err)
{
    *put = 0;
    begin(tls);
    int rc = SSL_write_ex(tls->ssl, at, len, put);
    return rc == 1 ? MF_OK : outcome(tls, rc, err);
}

short mfi_tls_waits(const mfi_tls *tls)
{
    return tls->waits;
}

bool mfi_tls_heard(const mfi_tls *tls)
{
    return tls->heard;
}
