/* mageflow/client.h: the root object: open it, declare tasks and sources, serve them.
 *
 * Threads   every function may be called from any thread, mf_client_destroy once and last.
 * Lifetime  mf_open, any number of calls, mf_client_destroy (which stops the worker and frees everything).
 */
#ifndef MAGEFLOW_CLIENT_H
#define MAGEFLOW_CLIENT_H

#include <mageflow/adapter.h>
#include <mageflow/base.h>
#include <mageflow/flow.h>
#include <mageflow/message.h>
#include <mageflow/store.h>
#include <mageflow/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How long signatures of a kind live and are kept, unless they say otherwise. */
typedef struct mf_ttl_default {
    mf_duration live;       /* from their storing, start or resume on; 0: 24 hours; MF_FOREVER */
    mf_duration keep;       /* after their end; 0: 24 hours in a durable store, else 5 minutes; MF_FOREVER */
} mf_ttl_default;

/** A line of the library's own log that is about something, taken apart. Borrowed for the call; what is empty or zero is not
 * known of it. */
typedef struct mf_log_event {
    size_t       struct_size;
    mf_log_level level;
    mf_str       message;       /* what happened */
    mf_str       error;         /* and why */
    mf_str       task;          /* its name */
    mf_key       key;           /* the signature, or the container of a plain item, whose place there is index */
    uint64_t     index;
    uint32_t     attempt;       /* from 1 */
} mf_log_event;

/** As mf_log_fn, and under the same conditions. */
typedef void mf_log_event_fn(void *user, const mf_log_event *event);

/** Calls a task in place of def->run, which is its function: in another process, between two measurements, or not at all. What
 * holds for a task function holds for it, and ctx, in and out are those of the call; user is the options' call_user. */
typedef mf_status mf_call_fn(mf_context *ctx, const mf_task_def *def, const mf_message *in, mf_message **out, void *user);

typedef struct mf_options {
    size_t              struct_size;
    const mf_allocator *allocator;      /* NULL: malloc and friends */
    const mf_clock     *clock;          /* NULL: the system's */
    mf_adapter         *adapter;        /* an instance of the caller's, consumed; the URL is then not looked at */
    mf_store           *store;          /* an instance of the caller's, consumed */
    mf_log_fn          *log;            /* NULL: the library's log goes nowhere */
    void               *log_user;
    const mf_limits    *limits;         /* of messages; NULL: the defaults */
    unsigned            threads;        /* of a worker that is started without options; 0: one per online CPU */
    bool                no_fast_path;   /* outcomes travel as framework tasks even where this process could record them */
    mf_ttl_default      task_ttl, chain_ttl, swarm_ttl;
    mf_log_event_fn    *log_event;      /* what the log tells of tasks, and why something failed, comes here, with log_user, and
                                         * the rest to log; NULL: all of it to log, as lines that say the same */
    bool                existing;       /* a file of flows that a URL names must be there: it is not made (MF_E_NOT_FOUND) */
    mf_call_fn         *call;           /* calls the tasks that are declared here; NULL: their functions are called */
    void               *call_user;
} mf_options;
#define MF_OPTIONS(...) (&(const mf_options){ .struct_size = sizeof(mf_options), __VA_ARGS__ })

/** Open the task manager that the URL names; NULL or "local:" is this process with its threads.
 *
 * Parameters follow a "?", as in "local:?threads=4"; --help of the command lists them. options may be NULL; what it
 * consumes is consumed on failure too. MF_E_INVALID: an unknown scheme or parameter; MF_E_UNSUPPORTED: known, but not
 * built in; the text says what was expected and never holds a password. */
MF_NODISCARD mf_status mf_open(const char *url, const mf_options *options, mf_client **out, mf_error *err);

/** The first half of mf_open: put the adapter and the store that the URL names into options (made with MF_OPTIONS, in the
 * caller's memory), where they are missing, and what else the URL says. For who wants to wrap one of them, a recording
 * adapter around the local one for instance, before mf_client_create. On failure both are gone and set to NULL; but with a wrong struct_size (MF_E_INVALID) nothing is
 * touched, neither here nor in mf_open. */
MF_NODISCARD mf_status mf_options_from_url(const char *url, mf_options *options, mf_error *err);

/** The same with an adapter and a store at hand (both consumed, on failure too); what mf_open ends in. */
MF_NODISCARD mf_status mf_client_create(mf_adapter *adapter, mf_store *store, const mf_options *options, mf_client **out,
                                        mf_error *err);

/** Stop the worker (what runs is asked to stop and waited for; what waits is lost with a store that is not durable; see
 * mf_drain), free everything. NULL is allowed. Not from a task, a source or an on_end callback. */
void mf_client_destroy(mf_client *client);
/** After fork, in the child: forget the client without touching what it shares with the parent. Leaks on purpose. */
void mf_client_abandon(mf_client *client);

/** True where the task manager is this process: what was not finished ends with it, unless the store is durable. */
bool mf_client_in_process(const mf_client *client);
/** True where the store keeps what was committed beyond the end of the process. */
bool mf_client_durable(const mf_client *client);
/** Every scheme and parameter that mf_open knows, for a person to read: lines of text, static. */
const char *mf_url_help(void);

/** Declare a task before signing or serving it. def is copied; its tables and user pointer must outlive the client.
 * MF_E_INVALID, MF_E_EXISTS, MF_E_UNSUPPORTED (names the option the manager cannot honour), MF_E_STATE (Hatchet: it is served already). */
MF_NODISCARD mf_status mf_task(mf_client *client, const mf_task_def *def, mf_error *err);
MF_NODISCARD mf_status mf_durable_task(mf_client *client, const mf_task_def *def, mf_error *err);
/** Declare a task that workers without mageflow serve: def's name, tables and timeout count, run must be NULL. A timeout is
 * required, since only its end tells that nobody serves the task (MF_E_INVALID). MF_E_UNSUPPORTED: the manager cannot watch
 * for the ends of other workers' tasks. */
MF_NODISCARD mf_status mf_task_foreign(mf_client *client, const mf_task_def *def, mf_error *err);

/** Declare where the items of a map come from (see mageflow/flow.h), before mf_map names it. def is copied; its user pointer
 * must outlive the client. MF_E_INVALID, MF_E_EXISTS, MF_E_NOMEM. */
MF_NODISCARD mf_status mf_source(mf_client *client, const mf_source_def *def, mf_error *err);

/** Serve the declared tasks. Where the manager is this process the first mf_start does it. MF_E_STATE: serves already. */
MF_NODISCARD mf_status mf_serve(mf_client *client, const mf_worker_options *options, mf_error *err);
/** Wait until nothing that is due waits and nothing runs in this process's worker. Not from a task, which would wait for
 * itself. MF_OK; MF_E_TIMEOUT; MF_E_FORKED. */
mf_status mf_drain(mf_client *client, mf_duration timeout);

/** Serve no more: take nothing new, give back what has not begun, and return when what runs here has ended, by itself or because
 * mf_stop_calls asked it to. MF_OK, also where nothing is served; MF_E_FORKED. Not from a task. */
mf_status mf_unserve(mf_client *client);
/** Ask every call that runs in this process to stop, now and later, as mf_client_destroy does. Does not wait. */
void mf_stop_calls(mf_client *client);

/** The client that runs this call, for a task that starts flows, waits for them or looks at them. Borrowed for the call; where
 * tasks run in processes of their own, that process's. */
mf_client *mf_context_client(const mf_context *ctx);

/** A handle for triggering a task by name, without a signature (see mageflow/adapter.h); mf_workflow_destroy it. */
MF_NODISCARD mf_status mf_workflow_open(mf_client *client, const char *task, mf_workflow **out, mf_error *err);

/* ---- modules ----------------------------------------------------------------------------------------------------- */

/** A module is a shared object that declares tasks: MF_MODULE once, and mf_module_init. */
#define MF_MODULE_ABI 1
#define MF_MODULE                                                                                                      \
    extern const unsigned mf_module_abi;                                                                               \
    const unsigned        mf_module_abi = MF_MODULE_ABI;                                                               \
    mf_status             mf_module_init(mf_client *client, mf_error *err);                                            \
    mf_status             mf_module_init(mf_client *client, mf_error *err)

/** Load a module and let it declare its tasks; it stays loaded until the client is destroyed. file: a path; without a "/"
 * the dynamic linker looks for it where it looks for libraries. MF_E_IO: cannot be loaded;
 * MF_E_INVALID: no entry, or of another ABI; or what mf_module_init answered. */
MF_NODISCARD mf_status mf_load(mf_client *client, const char *file, mf_error *err);

#ifdef __cplusplus
}
#endif
#endif
