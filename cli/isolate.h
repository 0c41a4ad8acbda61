/* isolate.h: `mageflow worker --isolation process`: each attempt of a task in a child process, which is kept for the next one.
 *
 *   isolate.c         the worker's side: the children that are idle, and one call in one of them, to its end or the child's
 *   isolate_serve.c   what a task asks of its context meanwhile, and the verbs of durable tasks
 *   isolate_child.c   a child: a client whose adapter is the socket to the worker
 *   isolate_wire.c    what goes over that socket
 *
 * A child is this program again (posix_spawn of /proc/self/exe: a process with threads must not fork) with the verb
 * `task-process`, which no help shows. It loads the same modules and opens the same URL, but serves nothing: it is handed one
 * call at a time, and what its task starts, waits for or looks at goes to the store over a link of its own. */
#ifndef CLI_ISOLATE_H
#define CLI_ISOLATE_H

#include "options.h"

#include <mageflow/mageflow.h>

#define TASK_PROCESS_FD 3       /* the child's end of its socket */

struct isolation;

/** options are borrowed until isolation_destroy. NULL: no memory. */
struct isolation *isolation_create(const struct options *options);
/** Make the first child, so that what does not work there is known before anything is served. */
mf_status isolation_try(struct isolation *isolation, mf_error *err);
/** End the children; nothing runs in them any more. NULL is allowed. */
void isolation_destroy(struct isolation *isolation);

/** For mf_options.call; user is the isolation. Any number of threads. */
mf_call_fn isolation_call;

/* ---- the wire ----------------------------------------------------------------------------------------------------- */

/* A frame is its length, 32 bits little endian, and one msgpack array: a word and what belongs to it. Messages of tasks stand in
 * it as binary, so that neither's depth counts against the other's.
 *
 *   worker to child                                   child to worker
 *     init   [url, modules, json, foreign]   first       ready  []
 *     call   {see send_call}                            refused [text]   and it ends
 *     stop   []   the call should end                   log [text], progress [message], cancel [], refresh [ns]
 *     answer [status, message]   to log, progress, …    recall [key], remember [message], sleep [ns], event [name, ns]: the
 *                                                            verbs of durable tasks; see isolate_serve.c
 *                                                       waits [], goes_on []: its task waits for another flow's end, which may
 *                                                            need the thread and the slot that its worker has for it
 *                                                       end [word, message]: done with the result, failed with the error
 *                                                            map, canceled, stopped (it gave up as it was asked to, or waits) */

#define FRAME_MAX ((size_t)16 << 20)    /* two messages at their limit, several times over */

/** What came and was not looked at yet. Zeroed at first. */
struct frames {
    unsigned char *at;
    size_t         len, room;
};

/** Begin a frame with so many values behind its word, and send it: MF_E_IO: the other side is gone, or does not read. */
void      frame_begin(mf_builder *b, const char *word, size_t values);
mf_status frame_send(mf_builder *b, int fd);
/** A frame without values. */
mf_status frame_send_word(int fd, const char *word);
/** A task's message; NULL: nil. */
void      frame_message(mf_builder *b, const mf_message *message);

/** Read what is there, waiting for some if there is none. MF_E_CLOSED: the end; MF_E_IO; MF_E_NOMEM. */
mf_status frames_fill(struct frames *frames, int fd);
/** The next whole frame (unref it), its word (borrowed from it), and the value behind it. MF_E_AGAIN: more bytes have to come;
 * MF_E_MALFORMED; MF_E_NOMEM. */
mf_status frames_next(struct frames *frames, mf_message **out, mf_str *word);
void      frames_fini(struct frames *frames);
/** Value i behind the word; absent where there is none. */
mf_value  frame_value(const mf_message *frame, size_t i);
/** A message of a task that stands in a frame; nil gives NULL. */
mf_status frame_read_message(mf_value value, mf_message **out);

/* ---- one call, in the worker ---------------------------------------------------------------------------------------- */

struct child;

/* All of it belongs to the thread that calls. */
struct isolated {
    mf_context   *ctx;
    struct child *child;
    int           fd;           /* the child's */
    bool          waits;        /* its task waits for the end of another flow: this thread serves others meanwhile */
    bool          stopped;      /* it was asked to stop */
    int64_t       kill_ms;      /* and is killed then */
    bool          stepping;     /* the child does a step of a durable task; */
    bool          stepped;      /* it is done, with */
    mf_message   *step;
    mf_status     verb;         /* why the last verb of a durable task did not give what it was asked for, or MF_OK */
    bool          ended;        /* the child told the end: */
    mf_status     status;
    mf_message   *result;
};

/** Answer what the child asks. MF_E_MALFORMED; MF_E_IO and others: as of isolated_wait, for a step that it did meanwhile. */
mf_status isolated_serve(struct isolated *call, mf_str word, const mf_message *frame);
/** Serve the child until it told the end, or that its step is done. MF_E_TIMEOUT: it does not listen. Anything else: it is
 * dead, or mad. */
mf_status isolated_wait(struct isolated *call);

#endif
