/* flow/registry.h: what was declared: tasks and sources, by name. Names select from here, never a symbol.
 *
 * Threads   all functions; a found entry stays valid until the registry ends, since nothing is ever taken out. */
#ifndef MFI_REGISTRY_H
#define MFI_REGISTRY_H

#include <mageflow/flow.h>
#include <mageflow/task.h>

#include <pthread.h>
#include <stdatomic.h>

#include "memory.h"
#include "tally.h"

/* Tables ask where everybody asks who was given no allocator. */
#define uthash_malloc(size) mfi_alloc(NULL, (size))
#define uthash_free(at, size) mfi_release(NULL, (at), (size))
#include <uthash.h>

typedef enum mfi_task_kind {
    MFI_TASK_PLAIN,
    MFI_TASK_DURABLE,    /* its body may be called again, and is answered from its record */
    MFI_TASK_FOREIGN,    /* others serve it */
    MFI_TASK_OWN,        /* mageflow's own, under "mageflow." */
    MFI_TASK_REMOTE      /* other processes on the same store serve it */
} mfi_task_kind;

typedef struct mfi_task {
    mf_task_def    def;          /* name points to our copy */
    mf_str         name;
    mfi_task_kind  kind;
    bool           durable;
    mf_fields     *table;        /* of a remote one, which owns it; else NULL */
    mf_spec       *plain;        /* the spec that all its plain calls without kwargs share */
    struct mfi_task *next_refused;
    UT_hash_handle hh;
    mfi_tally      tally;        /* its calls in this process; the runtime's */
} mfi_task;

typedef struct mfi_source {
    mf_source_def  def;
    mf_str         name;
    UT_hash_handle hh;
} mfi_source;

typedef struct mfi_registry {
    const mf_allocator *allocator;
    pthread_rwlock_t    lock;
    mfi_task           *tasks;      /* L */
    mfi_source         *sources;    /* L */
    mfi_task           *refused;    /* L  taken back; kept, since what was found stays valid */
    _Atomic(mfi_task *)   recent_task;      /* A  found last: mostly what is looked for next; NULL: none */
    _Atomic(mfi_source *) recent_source;    /* A */
} mfi_registry;

void mfi_registry_init(mfi_registry *registry, const mf_allocator *allocator);
void mfi_registry_fini(mfi_registry *registry);

/** Check and copy a declaration (of any kind but a remote one). MF_E_INVALID, MF_E_EXISTS, MF_E_NOMEM. */
MF_NODISCARD mf_status mfi_registry_add_task(mfi_registry *registry, const mf_task_def *def, mfi_task_kind kind, mf_error *err);
MF_NODISCARD mf_status mfi_registry_add_source(mfi_registry *registry, const mf_source_def *def, mf_error *err);
/** What is known of a task that other processes declared. */
typedef struct mfi_remote {
    mf_str     name, return_field;
    bool       durable;
    mf_fields *in;      /* consumed, on failure too; NULL: any message */
} mfi_remote;
/** MF_E_EXISTS: it is declared here already; MF_E_NOMEM. */
MF_NODISCARD mf_status mfi_registry_add_remote(mfi_registry *registry, const mfi_remote *remote, mf_error *err);
/** Up to max of the tasks with a function of their own here, in the order they were declared, behind the one of that name
 * (empty: from the first). Returns how many. */
size_t mfi_registry_page(mfi_registry *registry, mf_str after, size_t max, mfi_task **out);
/** Take back a task that the manager then refused; nobody has seen it yet. */
void mfi_registry_remove_task(mfi_registry *registry, mf_str name);

/** NULL: nobody declared it. */
mfi_task   *mfi_registry_task(mfi_registry *registry, mf_str name);
mfi_source *mfi_registry_source(mfi_registry *registry, mf_str name);

/** Text for the error about an unknown name: "no task \"x\" was declared; known: a, b, c". */
mf_status mfi_registry_unknown_task(mfi_registry *registry, mf_str name, mf_error *err);

#endif
