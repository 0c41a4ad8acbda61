/* uthash in its non-fatal mode: an addition without memory leaves the table as it was and is seen by the missing tbl. */
#define HASH_NONFATAL_OOM 1
#include "registry.h"

#include <stdio.h>

#include "memory.h"
#include "schema_read.h"

#define NAME_MAX_BYTES 255

void mfi_registry_init(mfi_registry *registry, const mf_allocator *allocator)
{
    registry->allocator = allocator;
    registry->tasks = NULL;
    registry->sources = NULL;
    registry->refused = NULL;
    atomic_init(&registry->recent_task, NULL);
    atomic_init(&registry->recent_source, NULL);
    pthread_rwlock_init(&registry->lock, NULL);
}

static void task_free(mfi_registry *registry, mfi_task *task)
{
    mf_spec_unref(task->plain);
    mfi_fields_free(task->table, registry->allocator);
    if (task->name.at != NULL)
        mfi_release(registry->allocator, (char *)(uintptr_t)task->name.at, task->name.len + 1);
    mf_delete(registry->allocator, task);
}

static void source_free(mfi_registry *registry, mfi_source *source)
{
    if (source->name.at != NULL)
        mfi_release(registry->allocator, (char *)(uintptr_t)source->name.at, source->name.len + 1);
    mf_delete(registry->allocator, source);
}

void mfi_registry_fini(mfi_registry *registry)
{
    mfi_task *task, *next_task;
    HASH_ITER(hh, registry->tasks, task, next_task) {
        HASH_DEL(registry->tasks, task);
        task_free(registry, task);
    }
    while (registry->refused != NULL) {
        next_task = registry->refused->next_refused;
        task_free(registry, registry->refused);
        registry->refused = next_task;
    }
    mfi_source *source, *next_source;
    HASH_ITER(hh, registry->sources, source, next_source) {
        HASH_DEL(registry->sources, source);
        source_free(registry, source);
    }
    pthread_rwlock_destroy(&registry->lock);
}

static mf_status check_name(const char *what, const char *name, bool own, mf_error *err)
{
    if (name == NULL || name[0] == '\0')
        return mf_fail(err, MF_E_INVALID, "%s: expected a name, got none", what);
    size_t len = strlen(name);
    if (len > NAME_MAX_BYTES)
        return mf_fail(err, MF_E_TOO_BIG, "%s name: expected at most %d bytes, got %zu", what, NAME_MAX_BYTES, len);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
            return mf_fail(err, MF_E_INVALID, "%s name: control character 0x%02x at byte %zu", what,
                           (unsigned char)name[i], i);
    if (!own && strncmp(name, "mageflow.", 9) == 0)
        return mf_fail(err, MF_E_INVALID, "%s name \"%s\": names under \"mageflow.\" are mageflow's own", what, name);
    return MF_OK;
}

static mf_status check_foreign(const mf_task_def *def, mf_error *err)
{
    if (def->run != NULL)
        return mf_fail(err, MF_E_INVALID, "foreign task \"%s\": expected no function in .run, since others serve it", def->name);
    if (def->timeout <= 0)
        return mf_fail(err, MF_E_INVALID, "foreign task \"%s\": expected a .timeout, since nothing else tells that nobody "
                       "serves it", def->name);
    return MF_OK;
}

static mf_status check_task(const mf_task_def *def, mfi_task_kind kind, mf_error *err)
{
    mf_status st = check_name("task", def->name, kind == MFI_TASK_OWN, err);
    if (st == MF_OK && kind == MFI_TASK_FOREIGN)
        st = check_foreign(def, err);
    if (st != MF_OK)
        return st;
    if (def->run == NULL && kind != MFI_TASK_FOREIGN)
        return mf_fail(err, MF_E_INVALID, "task \"%s\": expected a function in .run, got NULL", def->name);
    if (def->backoff < 0 || def->timeout < 0)
        return mf_fail(err, MF_E_INVALID, "task \"%s\": a negative %s", def->name, def->backoff < 0 ? "backoff" : "timeout");
    return MF_OK;
}

/* A task with its name and the spec that its plain calls share. NULL: no memory. */
static mfi_task *task_make(mfi_registry *registry, mf_str name, mf_str return_field)
{
    mfi_task *task = mf_new(registry->allocator, mfi_task);
    if (task == NULL)
        return NULL;
    task->name = mf_str_of(mfi_copy_text(registry->allocator, name), name.len);
    if (task->name.at != NULL)
        task->plain = mf_spec_create(registry->allocator, MF_KIND_TASK, task->name);
    if (task->plain != NULL)
        task->plain->return_field = mf_str_of(mfi_copy_text(registry->allocator, return_field), return_field.len);
    if (task->name.at != NULL && task->plain != NULL && task->plain->return_field.at != NULL)
        return task;
    task_free(registry, task);
    return NULL;
}

/* task is consumed. */
static mf_status task_add(mfi_registry *registry, mfi_task *task, mf_error *err)
{
    mfi_task *there = NULL;
    pthread_rwlock_wrlock(&registry->lock);
    HASH_FIND(hh, registry->tasks, task->name.at, task->name.len, there);
    if (there == NULL)
        HASH_ADD_KEYPTR(hh, registry->tasks, task->name.at, task->name.len, task);
    bool added = there == NULL && task->hh.tbl != NULL;
    pthread_rwlock_unlock(&registry->lock);
    if (added)
        return MF_OK;
    mf_status st = there == NULL ? mf_fail(err, MF_E_NOMEM, "task \"%s\": no memory", task->name.at)
                   : there->kind == MFI_TASK_REMOTE
                       ? mf_fail(err, MF_E_EXISTS, "task \"%s\" was signed before it was declared, and so taken for another "
                                 "process's: declare tasks first", task->name.at)
                       : mf_fail(err, MF_E_EXISTS, "task \"%s\" is declared already", task->name.at);
    task_free(registry, task);
    return st;
}

mf_status mfi_registry_add_task(mfi_registry *registry, const mf_task_def *def, mfi_task_kind kind, mf_error *err)
{
    if (def == NULL || def->struct_size == 0)
        return mf_fail(err, MF_E_INVALID, "task: struct_size is 0; declare it with MF_TASK_DEF(...)");
    /* A caller with an older header has a shorter struct; what it does not know stays 0. */
    mf_task_def known = {0};
    memcpy(&known, def, def->struct_size < sizeof known ? def->struct_size : sizeof known);
    def = &known;
    mf_status st = check_task(def, kind, err);
    if (st != MF_OK)
        return st;
    mfi_task *task = task_make(registry, mf_cstr(def->name), mf_fields_return_name(def->in));
    if (task == NULL)
        return mf_fail(err, MF_E_NOMEM, "task \"%s\": no memory", def->name);
    task->def = known;
    task->def.name = task->name.at;
    task->kind = kind;
    task->durable = kind == MFI_TASK_DURABLE;
    task->plain->foreign = kind == MFI_TASK_FOREIGN;
    task->plain->timeout_ms = kind == MFI_TASK_FOREIGN ? def->timeout / 1000000 + 1 : 0;
    return task_add(registry, task, err);
}

mf_status mfi_registry_add_remote(mfi_registry *registry, const mfi_remote *remote, mf_error *err)
{
    mfi_task *task = task_make(registry, remote->name, remote->return_field);
    if (task == NULL) {
        mfi_fields_free(remote->in, registry->allocator);
        return mf_fail(err, MF_E_NOMEM, "task \"%.*s\": no memory", (int)remote->name.len, remote->name.at);
    }
    task->def.struct_size = sizeof task->def;
    task->def.name = task->name.at;
    task->def.in = task->table = remote->in;
    task->kind = MFI_TASK_REMOTE;
    task->durable = remote->durable;
    return task_add(registry, task, err);
}

size_t mfi_registry_page(mfi_registry *registry, mf_str after, size_t max, mfi_task **out)
{
    size_t n = 0;
    mfi_task *task = NULL;
    pthread_rwlock_rdlock(&registry->lock);
    if (after.len > 0)
        HASH_FIND(hh, registry->tasks, after.at, after.len, task);
    for (task = task != NULL ? task->hh.next : registry->tasks; task != NULL && n < max; task = task->hh.next)
        if (task->kind == MFI_TASK_PLAIN || task->kind == MFI_TASK_DURABLE)
            out[n++] = task;
    pthread_rwlock_unlock(&registry->lock);
    return n;
}

void mfi_registry_remove_task(mfi_registry *registry, mf_str name)
{
    pthread_rwlock_wrlock(&registry->lock);
    mfi_task *task = NULL;
    HASH_FIND(hh, registry->tasks, name.at, name.len, task);
    if (task != NULL) {
        HASH_DEL(registry->tasks, task);
        task->next_refused = registry->refused;
        registry->refused = task;
        atomic_store_explicit(&registry->recent_task, NULL, memory_order_release);
    }
    pthread_rwlock_unlock(&registry->lock);
}

mf_status mfi_registry_add_source(mfi_registry *registry, const mf_source_def *def, mf_error *err)
{
    if (def == NULL || def->struct_size == 0)
        return mf_fail(err, MF_E_INVALID, "source: struct_size is 0; declare it with MF_SOURCE_DEF(...)");
    mf_status st = check_name("source", def->name, false, err);
    if (st != MF_OK)
        return st;
    if (def->next == NULL)
        return mf_fail(err, MF_E_INVALID, "source \"%s\": expected a function in .next, got NULL", def->name);
    mfi_source *source = mf_new(registry->allocator, mfi_source);
    if (source == NULL)
        return mf_fail(err, MF_E_NOMEM, "source \"%s\": no memory", def->name);
    memcpy(&source->def, def, def->struct_size < sizeof *def ? def->struct_size : sizeof *def);
    source->name = mf_str_of(mfi_copy_text(registry->allocator, mf_cstr(def->name)), strlen(def->name));
    source->def.name = source->name.at;

    mfi_source *there = NULL;
    bool added = false;
    if (source->name.at != NULL) {
        pthread_rwlock_wrlock(&registry->lock);
        HASH_FIND(hh, registry->sources, source->name.at, source->name.len, there);
        if (there == NULL)
            HASH_ADD_KEYPTR(hh, registry->sources, source->name.at, source->name.len, source);
        added = there == NULL && source->hh.tbl != NULL;
        pthread_rwlock_unlock(&registry->lock);
    }
    if (!added)
        source_free(registry, source);
    if (there != NULL)
        return mf_fail(err, MF_E_EXISTS, "source \"%s\" is declared already", def->name);
    return added ? MF_OK : mf_fail(err, MF_E_NOMEM, "source \"%s\": no memory", def->name);
}

/* The one found last is looked at without the lock: nothing that was found ever goes away. release and acquire: who finds it
 * here sees what was written before it was added. */
mfi_task *mfi_registry_task(mfi_registry *registry, mf_str name)
{
    mfi_task *task = atomic_load_explicit(&registry->recent_task, memory_order_acquire);
    if (task != NULL && mf_str_eq(task->name, name))
        return task;
    task = NULL;
    pthread_rwlock_rdlock(&registry->lock);
    HASH_FIND(hh, registry->tasks, name.at, name.len, task);
    if (task != NULL)
        atomic_store_explicit(&registry->recent_task, task, memory_order_release);
    pthread_rwlock_unlock(&registry->lock);
    return task;
}

mfi_source *mfi_registry_source(mfi_registry *registry, mf_str name)
{
    mfi_source *source = atomic_load_explicit(&registry->recent_source, memory_order_acquire);
    if (source != NULL && mf_str_eq(source->name, name))
        return source;
    source = NULL;
    pthread_rwlock_rdlock(&registry->lock);
    HASH_FIND(hh, registry->sources, name.at, name.len, source);
    if (source != NULL)
        atomic_store_explicit(&registry->recent_source, source, memory_order_release);
    pthread_rwlock_unlock(&registry->lock);
    return source;
}

mf_status mfi_registry_unknown_task(mfi_registry *registry, mf_str name, mf_error *err)
{
    char known[256] = "";
    size_t used = 0;
    pthread_rwlock_rdlock(&registry->lock);
    for (mfi_task *task = registry->tasks; task != NULL && used < sizeof known - 1; task = task->hh.next) {
        if (task->name.len > 9 && memcmp(task->name.at, "mageflow.", 9) == 0)
            continue;
        int wrote = snprintf(known + used, sizeof known - used, "%s%s", used == 0 ? "" : ", ", task->name.at);
        used += wrote > 0 ? (size_t)wrote : 0;
    }
    pthread_rwlock_unlock(&registry->lock);
    if (used == 0)
        return mf_fail(err, MF_E_UNKNOWN_TASK, "no task \"%.*s\" was declared, nor any other in this process", (int)name.len,
                       name.at);
    return mf_fail(err, MF_E_UNKNOWN_TASK, "no task \"%.*s\" was declared; known: %s%s", (int)name.len, name.at, known,
                   used >= sizeof known ? "…" : "");
}
