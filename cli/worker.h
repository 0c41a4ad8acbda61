/* worker.h: what the files of `mageflow worker` share: what it tells the world about itself. */
#ifndef CLI_WORKER_H
#define CLI_WORKER_H

#include <mageflow/mageflow.h>

#include <stdatomic.h>
#include <stdio.h>

/** One worker, as its health port and its service manager see it. */
struct worker {
    mf_client  *client;
    atomic_bool leaving;      /* a signal came: nothing new is taken */
    int64_t     started_ms;   /* wall clock */
};

/** How it does, with what only the command knows. Returns whether work can be taken; if not, why is in text. */
bool worker_is_ready(struct worker *worker, mf_health *health, char *text, size_t size);

/** Everything that can be counted of it, in the text format of Prometheus, version 0.0.4. */
void worker_metrics(struct worker *worker, FILE *to);

/* ---- the health port: worker_http.c ------------------------------------------------------------------------------ */

struct http;

/** Answer GET /health and /metrics on this port of 127.0.0.1 (0: any that is free), on a thread of its own. The worker is
 * borrowed until http_stop. MF_E_UNSUPPORTED: not built in, the text says what to install; MF_E_IO. */
MF_NODISCARD mf_status http_start(struct worker *worker, unsigned port, struct http **out, mf_error *err);
unsigned http_port(const struct http *http);
/** NULL is fine. */
void http_stop(struct http *http);

/* ---- who looks for workers: announce.c --------------------------------------------------------------------------- */

struct announcer;

/** Tell others on the store that this process serves, until announce_end; NULL, which the others take, where it cannot. The client
 * is borrowed until then. */
struct announcer *announce_start(mf_client *client);
/** Take it back, in the background; announce_end waits for that. */
void announce_leaving(struct announcer *announcer);
void announce_end(struct announcer *announcer);

/* ---- the service manager: notify.c -------------------------------------------------------------------------------- */

/** Tell systemd, or whoever set NOTIFY_SOCKET: "READY=1", several lines at once. Nothing happens where nobody asked. */
void notify_tell(const char *fmt, ...) MF_PRINTF(1, 2);
/** How often WATCHDOG=1 is wanted, in seconds: half of WATCHDOG_USEC; 0: not at all. */
double notify_watchdog(void);

#endif
