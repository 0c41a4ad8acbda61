/* support/hatchet_engine.h: a real Hatchet engine for tests: a child process that starts it on a PostgreSQL server of its own,
 * which is gone with the test whatever becomes of it. What the child is, and its commands: tests/live/hatchet/README.md.
 *
 *     hatchet_engine e;
 *     hatchet_engine_start(&e);           aborts the test where that fails
 *     …
 *     hatchet_engine_stop(&e);
 *
 * The tests of one program share an engine that hatchet_main.c starts before them and names in the environment. A test that
 * stops the engine, or needs it empty, starts one of its own.
 *
 * Threads   one at a time.
 */
#ifndef MFT_HATCHET_ENGINE_H
#define MFT_HATCHET_ENGINE_H

#include <stdio.h>
#include <sys/types.h>

typedef struct hatchet_engine {
    char  grpc[64];          /* "127.0.0.1:port", plain text; kept over a restart */
    char  api[64];           /* the REST API's URL */
    char  token[1024];       /* of the last start; older ones stay valid */
    char  tenant[64];
    char  database[256];     /* URL of the engine's database */
    char  log[128];          /* what the engine says */
    pid_t engine;            /* 0: stopped */
    pid_t postgres;

    pid_t pid;               /* of the child; 0: not started */
    FILE *commands, *answers;
} hatchet_engine;

void hatchet_engine_start(hatchet_engine *e);
/** "stop" (in good order, some seconds), "kill", "start", "fresh" (start on an empty database). */
void hatchet_engine_do(hatchet_engine *e, const char *command);
/** End it and everything it has started; its files are gone. Nothing happens to one that was not started. */
void hatchet_engine_stop(hatchet_engine *e);
/** The same for one that says why it cannot be had: a static text, then it is not started. NULL: started. */
const char *hatchet_engine_try(hatchet_engine *e);

#endif
