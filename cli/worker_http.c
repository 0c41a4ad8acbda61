/* worker_http.c: the health port: GET /health and GET /metrics on loopback, by libmicrohttpd on a thread of its own.
 *
 * Loopback alone: what is told here is nobody else's business, and whoever wants it elsewhere has a proxy or an agent. */
#include "worker.h"

#ifdef CLI_MICROHTTPD

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>

#define CONNECTIONS 16      /* a scraper and a few people */
#define IDLE_S 10

struct http {
    struct worker     *worker;
    struct MHD_Daemon *daemon;
};

/* An answer; text is malloced and consumed. */
static enum MHD_Result answer(struct MHD_Connection *connection, unsigned code, const char *type, char *text, size_t len)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(text);
        return MHD_NO;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (code == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result queued = MHD_queue_response(connection, code, response);
    MHD_destroy_response(response);
    return queued;
}

static enum MHD_Result answer_health(struct http *http, struct MHD_Connection *connection)
{
    mf_health h;
    char why[400], *json, *text;
    size_t len;
    bool ready = worker_is_ready(http->worker, &h, why, sizeof why);
    mf_message *message = mf_msg("{s:b, s:T, s:i, s:i, s:i, s:i, s:i}", "ready", ready, "reason", mf_cstr(ready ? "" : why),
                                 "threads", (int)h.manager.threads, "slots", (int)h.manager.slots, "held", (int)h.manager.held,
                                 "running", (int)h.running, "stuck", (int)h.stuck);
    mf_status st = mf_message_to_json(message, NULL, &json, &len, NULL);
    mf_message_unref(message);
    if (st != MF_OK)
        return MHD_NO;
    int size = asprintf(&text, "%s\n", json);
    mf_json_free(NULL, json, len);
    if (size < 0)
        return MHD_NO;
    return answer(connection, ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, "application/json", text, (size_t)size);
}

static enum MHD_Result answer_metrics(struct http *http, struct MHD_Connection *connection)
{
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    if (to == NULL)
        return MHD_NO;
    worker_metrics(http->worker, to);
    bool written = !ferror(to);
    if (fclose(to) != 0 || !written) {
        free(text);
        return MHD_NO;
    }
    return answer(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", text, len);
}

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned code, const char *words)
{
    char *text = strdup(words);
    return text == NULL ? MHD_NO : answer(connection, code, "text/plain; charset=utf-8", text, strlen(text));
}

static enum MHD_Result asked(void *user, struct MHD_Connection *connection, const char *url, const char *method,
                             const char *version, const char *upload, size_t *upload_size, void **state)
{
    struct http *http = user;
    (void)version, (void)upload, (void)state;
    if (*upload_size > 0) {     /* a body that nobody wants */
        *upload_size = 0;
        return MHD_YES;
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "expected GET or HEAD\n");
    if (strcmp(url, "/health") == 0)
        return answer_health(http, connection);
    if (strcmp(url, "/metrics") == 0)
        return answer_metrics(http, connection);
    return answer_text(connection, MHD_HTTP_NOT_FOUND, "there is /health, and /metrics\n");
}

mf_status http_start(struct worker *worker, unsigned port, struct http **out, mf_error *err)
{
    struct http *http = calloc(1, sizeof *http);
    if (http == NULL)
        return mf_fail(err, MF_E_NOMEM, "--health: no memory");
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    http->worker = worker;
    errno = 0;
    http->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, (uint16_t)port, NULL, NULL, asked, http,
                                    MHD_OPTION_SOCK_ADDR, (const struct sockaddr *)&at, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS,
                                    MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S, MHD_OPTION_END);
    if (http->daemon == NULL) {
        free(http);
        return mf_fail(err, MF_E_IO, "--health: cannot listen on 127.0.0.1:%u: %s", port,
                       errno != 0 ? strerror(errno) : "libmicrohttpd does not say why");
    }
    *out = http;
    return MF_OK;
}

unsigned http_port(const struct http *http)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info == NULL ? 0 : info->port;
}

void http_stop(struct http *http)
{
    if (http == NULL)
        return;
    MHD_stop_daemon(http->daemon);
    free(http);
}

#else

mf_status http_start(struct worker *worker, unsigned port, struct http **out, mf_error *err)
{
    (void)worker, (void)port, (void)out;
    return mf_fail(err, MF_E_UNSUPPORTED, "--health: this mageflow was built without libmicrohttpd; install it (Debian: "
                   "libmicrohttpd-dev) and build again");
}

unsigned http_port(const struct http *http)
{
    (void)http;
    return 0;
}

void http_stop(struct http *http)
{
    (void)http;
}

#endif
