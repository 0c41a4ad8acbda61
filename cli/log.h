/* log.h: how the command speaks on standard error: a line is text for people or one JSON object for programs. */
#ifndef CLI_LOG_H
#define CLI_LOG_H

#include <mageflow/mageflow.h>

/** From here on each line is an object: time (RFC 3339, UTC, milliseconds), level, message, worker, and where they are known
 * task, key, index, attempt and error. worker: who speaks; NULL: this process, HOST:PID. Before there are threads. */
void log_as_json(const char *worker);
bool log_is_json(void);
/** Who speaks; valid after log_as_json. */
const char *log_worker(void);
/** What is below this level is left out; MF_LOG_WARN unless told. Before there are threads. */
void log_from(mf_log_level level);

/** One line. Any thread. */
void tell(mf_log_level level, const char *fmt, ...) MF_PRINTF(2, 3);

/** Let the client log here: what mf_options has for it. */
void log_of_client(mf_options *options);

#endif
