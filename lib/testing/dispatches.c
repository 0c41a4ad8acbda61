/* Messages are what a commit sends: a task's call is one, and so is the start of a chain or swarm. What mageflow sends itself
 * to keep a flow going (the end of an item, a fill) is nobody's dispatch. */
#include "dispatches.h"

#include <stdio.h>
#include <stdlib.h>

#include "match.h"
#include "memory.h"
#include "record.h"

#define ITEM_PAGE 64

struct mfi_dispatched {
    mf_dispatch  said;
    mf_message  *message;       /* held */
    char        *name;
    char       **tasks;
    size_t       task_count, task_capacity;
    mf_status    valid;         /* against the task's field table */
    char         why[160];
};

/* ---- noting -------------------------------------------------------------------------------------------------------------- */

static void dispatched_fini(struct mfi_dispatched *d)
{
    mf_message_unref(d->message);
    free(d->name);
    for (size_t i = 0; i < d->task_count; i++)
        free(d->tasks[i]);
    free(d->tasks);
}

static char *copy_name(mf_str name)
{
    return strndup(name.at == NULL ? "" : name.at, name.len);
}

static bool add_task(struct mfi_dispatched *d, mf_str name)
{
    if (d->task_count == d->task_capacity) {
        size_t grown = d->task_capacity * 2 + 8;
        char **more = realloc(d->tasks, grown * sizeof *more);
        if (more == NULL)
            return false;
        d->tasks = more;
        d->task_capacity = grown;
    }
    d->tasks[d->task_count] = copy_name(name);
    return d->tasks[d->task_count] != NULL && ++d->task_count > 0;
}

static bool add_items(struct mfi_dispatched *d, mf_store *store, const mf_key *swarm)
{
    mf_item page[ITEM_PAGE];
    size_t got = 0;
    bool fine = true;
    for (uint64_t from = 0;; from += got) {
        if (mf_store_items(store, swarm, from, ITEM_PAGE, page, &got, NULL) != MF_OK || got == 0)
            return fine;
        for (size_t i = 0; i < got; i++) {
            fine = fine && add_task(d, page[i].spec->name);
            mfi_item_unref(&page[i]);
        }
    }
}

static bool fill_container(struct mfi_dispatched *d, mf_store *store, const mf_entry *entry)
{
    mf_record record = {0};
    mf_value message;
    if (mf_store_load(store, &entry->unit.key, 1, &record, NULL) != MF_OK || record.spec == NULL)
        return false;
    const mf_spec *spec = record.spec;
    d->said.kind = spec->kind;
    d->name = copy_name(spec->name);
    bool fine = d->name != NULL;
    if (mf_value_get(mf_message_value(entry->message), MF_STR_LIT("message"), &message) &&
        mf_value_type(message) != MF_TYPE_NIL)
        fine = fine && mf_message_of_value(message, NULL, &d->message, NULL) == MF_OK;
    for (size_t i = 0; fine && i < spec->step_count; i++)
        fine = add_task(d, spec->steps[i].spec->name);
    if (fine && spec->each.spec != NULL)
        fine = add_task(d, spec->each.spec->name);
    else if (fine && spec->kind == MF_KIND_SWARM)
        fine = add_items(d, store, &spec->key);
    mf_record_release(&record);
    return fine;
}

static bool fill_task(struct mfi_dispatched *d, mf_client *client, const mf_entry *entry)
{
    mf_error why;
    d->said.kind = MF_KIND_TASK;
    d->name = copy_name(entry->spec->name);
    d->message = mf_message_ref(entry->message);
    const mfi_task *task = mfi_registry_task(&client->registry, entry->spec->name);
    if (task != NULL && task->def.in != NULL)
        d->valid = mf_fields_validate(task->def.in, entry->message != NULL ? entry->message : mf_message_nil(), &why);
    if (d->valid != MF_OK)
        snprintf(d->why, sizeof d->why, "%.*s", (int)sizeof d->why - 1, why.text);
    return d->name != NULL;
}

static void note(mfi_dispatches *all, mf_client *client, const mf_entry *entry)
{
    struct mfi_dispatched d = {.valid = MF_OK};
    mfi_framework_task framework = mfi_framework_find(entry->spec->name);
    if (framework != MFI_FRAMEWORK_TASKS && framework != MFI_RUN_FLOW)
        return;
    bool fine = framework == MFI_RUN_FLOW ? fill_container(&d, all->store, entry) : fill_task(&d, client, entry);
    if (fine && all->count == all->capacity) {
        size_t grown = all->capacity * 2 + 16;
        struct mfi_dispatched *more = realloc(all->at, grown * sizeof *more);
        fine = more != NULL;
        if (fine) {
            all->at = more;
            all->capacity = grown;
        }
    }
    if (!fine) {
        all->lost = true;
        dispatched_fini(&d);
        return;
    }
    int64_t now_ms = mf_store_now_ms(all->store);
    d.said.name = d.name;
    d.said.message = d.message;
    d.said.key = entry->unit.key;
    d.said.index = entry->unit.index;
    d.said.attempt = entry->attempt;
    d.said.delay_ms = entry->due_ms > now_ms ? entry->due_ms - now_ms : 0;
    d.said.tasks = (const char *const *)d.tasks;
    d.said.task_count = d.task_count;
    all->at[all->count++] = d;
}

void mfi_dispatches_note(mfi_dispatches *d, mf_client *client, const mf_batch *batch)
{
    for (size_t i = 0; i < batch->entry_count; i++)
        note(d, client, &batch->entries[i]);
}

void mfi_dispatches_clear(mfi_dispatches *d)
{
    for (size_t i = 0; i < d->count; i++)
        dispatched_fini(&d->at[i]);
    free(d->at);
    d->at = NULL;
    d->count = d->capacity = 0;
    d->lost = false;
}

mf_status mfi_dispatches_get(const mfi_dispatches *d, size_t i, mf_dispatch *out)
{
    if (i >= d->count)
        return MF_E_NOT_FOUND;
    *out = d->at[i].said;
    return MF_OK;
}

/* ---- asking -------------------------------------------------------------------------------------------------------------- */

static const char *word_of(mf_kind kind)
{
    return kind == MF_KIND_TASK ? "task" : kind == MF_KIND_CHAIN ? "chain" : "swarm";
}

/* The names of what there is of a kind: `"a", "b", "b"`, or "none". */
static const char *names_of(const mfi_dispatches *d, mf_kind kind, char *text, size_t size)
{
    size_t used = 0;
    snprintf(text, size, "none");
    for (size_t i = 0; i < d->count && used < size - 8; i++)
        if (d->at[i].said.kind == kind) {
            int n = snprintf(text + used, size - used, "%s\"%s\"", used > 0 ? ", " : "", d->at[i].name);
            used += (size_t)n < size - used ? (size_t)n : size - used - 1;
        }
    return text;
}

static mf_status check_complete(const mfi_dispatches *d, mf_error *err)
{
    return d->lost ? mf_fail(err, MF_E_NOMEM, "not everything that was dispatched could be noted: no memory") : MF_OK;
}

static mf_status none_of_name(const mfi_dispatches *d, mf_kind kind, const char *name, mf_error *err)
{
    char names[300];
    return mf_fail(err, MF_E_NOT_FOUND, "%s \"%s\" was not dispatched; dispatched %ss: %s", word_of(kind), name, word_of(kind),
                   names_of(d, kind, names, sizeof names));
}

static mf_status check_expected(const mf_message *expected, mf_error *err)
{
    mf_status st = expected == NULL ? MF_OK : mf_message_status(expected);
    if (st != MF_OK)
        return mf_fail(err, MF_E_INVALID, "the expected fields could not be built: %s", mf_status_text(st));
    if (expected != NULL && mf_value_type(mf_message_value(expected)) != MF_TYPE_MAP)
        return mf_fail(err, MF_E_INVALID, "the expected fields: expected a map, got %s",
                       mf_type_name(mf_value_type(mf_message_value(expected))));
    return MF_OK;
}

mf_status mfi_dispatches_task(const mfi_dispatches *d, const char *task, const mf_message *expected, mf_test_match how,
                              mf_error *err)
{
    const struct mfi_dispatched *first = NULL;
    size_t times = 0;
    mf_status st = check_complete(d, err);
    if (st == MF_OK)
        st = check_expected(expected, err);
    if (st != MF_OK)
        return st;
    for (size_t i = 0; i < d->count; i++) {
        const struct mfi_dispatched *one = &d->at[i];
        if (one->said.kind != MF_KIND_TASK || strcmp(one->name, task) != 0)
            continue;
        times++;
        first = first == NULL ? one : first;
        if (expected != NULL && !mfi_fields_match(one->message, expected, how == MF_TEST_EXACTLY))
            continue;
        if (one->valid != MF_OK)
            return mf_fail(err, MF_E_INVALID, "task \"%s\" was dispatched with a message that it refuses: %s", task, one->why);
        return MF_OK;
    }
    if (first == NULL)
        return none_of_name(d, MF_KIND_TASK, task, err);
    char differs[300];
    mfi_fields_differ(first->message, expected, how == MF_TEST_EXACTLY, differs, sizeof differs);
    return mf_fail(err, MF_E_CONFLICT, "task \"%s\" was dispatched %zu time%s, never with %s these fields; the first: %s", task,
                   times, times == 1 ? "" : "s", how == MF_TEST_EXACTLY ? "exactly" : "at least", differs);
}

static bool holds(const struct mfi_dispatched *d, const char *const *tasks, size_t n)
{
    if (d->said.kind == MF_KIND_CHAIN) {
        bool same = d->task_count == n;
        for (size_t i = 0; same && i < n; i++)
            same = strcmp(d->tasks[i], tasks[i]) == 0;
        return same;
    }
    for (size_t i = 0; i < n; i++) {        /* each as often as it is asked for */
        size_t wanted = 0, there = 0;
        for (size_t k = 0; k < n; k++)
            wanted += strcmp(tasks[i], tasks[k]) == 0;
        for (size_t k = 0; k < d->task_count; k++)
            there += strcmp(tasks[i], d->tasks[k]) == 0;
        if (there < wanted)
            return false;
    }
    return true;
}

static const char *list_of(const char *const *tasks, size_t n, char *text, size_t size)
{
    size_t used = 0;
    snprintf(text, size, "nothing");
    for (size_t i = 0; i < n && used < size - 8; i++) {
        int wrote = snprintf(text + used, size - used, "%s\"%s\"", i > 0 ? ", " : "", tasks[i]);
        used += (size_t)wrote < size - used ? (size_t)wrote : size - used - 1;
    }
    return text;
}

mf_status mfi_dispatches_container(const mfi_dispatches *d, mf_kind kind, const char *name, const char *const *tasks, size_t n,
                                   mf_error *err)
{
    const struct mfi_dispatched *first = NULL;
    mf_status st = check_complete(d, err);
    if (st != MF_OK)
        return st;
    for (size_t i = 0; i < d->count; i++) {
        const struct mfi_dispatched *one = &d->at[i];
        if (one->said.kind != kind || strcmp(one->name, name) != 0)
            continue;
        if (tasks == NULL || holds(one, tasks, n))
            return MF_OK;
        first = first == NULL ? one : first;
    }
    if (first == NULL)
        return none_of_name(d, kind, name, err);
    char should[200], is[200];
    return mf_fail(err, MF_E_CONFLICT, "%s \"%s\" was dispatched, but it holds %s; expected %s", word_of(kind), name,
                   list_of((const char *const *)first->tasks, first->task_count, is, sizeof is),
                   list_of(tasks, n, should, sizeof should));
}

mf_status mfi_dispatches_nothing(const mfi_dispatches *d, mf_error *err)
{
    mf_status st = check_complete(d, err);
    if (st != MF_OK || d->count == 0)
        return st;
    char tasks[150], chains[150], swarms[150];
    return mf_fail(err, MF_E_CONFLICT, "expected no dispatch, got %zu; tasks: %s; chains: %s; swarms: %s", d->count,
                   names_of(d, MF_KIND_TASK, tasks, sizeof tasks), names_of(d, MF_KIND_CHAIN, chains, sizeof chains),
                   names_of(d, MF_KIND_SWARM, swarms, sizeof swarms));
}
