/* duplicates_tasks.c: list → a swarm of hashes → report, as tasks, and as the module that serves them elsewhere.
 *
 * What travels is small and of one size however long the paths are: an item is the offset of a file in the spool, a result
 * its size and hash. The spool's path is in the kwargs, kept once for all items. */
#include "duplicates_tasks.h"

#include "file_hash.h"
#include "groups.h"
#include "names.h"
#include "spool.h"
#include "walk.h"

#include <mageflow/mageflow.h>

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static mf_status name_field(mf_context *ctx, const char *field, mf_value value, mf_str *out)
{
    if (name_of(value, out) == MF_OK)
        return MF_OK;
    return mf_task_fail(ctx, MF_FINAL, "InvalidMessage", "field \"%s\": expected text or binary, got %s", field,
                        mf_type_name(mf_value_type(value)));
}

/* ---- list ------------------------------------------------------------------------------------------------------------ */

struct list_in { mf_value dir, shown, spool; };
MF_FIELDS(list_in, struct list_in, MF_VALUE(dir, MF_REQUIRED), MF_VALUE(shown, MF_REQUIRED), MF_VALUE(spool, MF_REQUIRED));

static mf_status list(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)user;
    mf_error err;
    struct list_in fields;
    mf_str dir, shown, spool;
    if (mf_fields_decode(&list_in, in, &fields, &err) != MF_OK)
        return mf_task_fail(ctx, MF_FINAL, "InvalidMessage", "%s", err.text);
    mf_status st = name_field(ctx, "dir", fields.dir, &dir);
    if (st == MF_OK)
        st = name_field(ctx, "shown", fields.shown, &shown);
    if (st == MF_OK)
        st = name_field(ctx, "spool", fields.spool, &spool);
    struct walk_result found;
    if (st == MF_OK)
        st = walk_tree(ctx, dir, shown, spool, &found);
    if (st != MF_OK)
        return st;
    *out = mf_msg("{s:v, s:U, s:U}", "spool", fields.spool, "files", found.files, "directories", found.directories);
    return mf_message_status(*out);
}

/* ---- the source: one item per file ----------------------------------------------------------------------------------- */

/* The swarm receives list's result in the field where a step of a chain finds what came before it. */
static mf_status listed(const mf_message *message, mf_str *spool, uint64_t *files, mf_error *err)
{
    mf_value name;
    mf_status st = mf_message_scan(message, err, "{s:{s:v, s:U}}", "mageflow_results", "spool", &name, "files", files);
    if (st == MF_OK && name_of(name, spool) != MF_OK)
        st = mf_fail(err, MF_E_TYPE, "field \"spool\": expected text or binary");
    return st;
}

static uint64_t expected_files(const mf_message *message, void *user)
{
    (void)user;
    mf_str spool;
    uint64_t files;
    return listed(message, &spool, &files, NULL) == MF_OK ? files : 0;
}

/* The next record that stands for an item, from offset on; SPOOL_END when there is none. */
static mf_status next_item(int fd, uint64_t offset, struct spool_record *record, mf_error *err)
{
    struct spool_text name = {0};
    mf_status st;
    do {
        st = spool_read(fd, offset, record, &name, err);
        offset = record->next;
    } while (st == MF_OK && record->kind == SPOOL_DIRECTORY);
    spool_text_fini(&name);
    return st;
}

static mf_status next_file(const mf_message *message, mf_cursor *cursor, mf_message **item, void *user, mf_error *err)
{
    (void)user;
    mf_str path;
    uint64_t files, offset;
    struct spool *spool;
    struct spool_record record;
    mf_status st = listed(message, &path, &files, err);
    if (st == MF_OK)
        st = spool_open(path, &spool, err);
    if (st != MF_OK)
        return st;
    memcpy(&offset, cursor->bytes, sizeof offset);
    offset = cursor->len == sizeof offset ? le64toh(offset) : spool->first;
    st = next_item(spool->fd, offset, &record, err);
    spool_close(spool);
    if (st != MF_OK || record.kind == SPOOL_END)
        return st;
    offset = htole64(record.next);
    memcpy(cursor->bytes, &offset, sizeof offset);
    cursor->len = sizeof offset;
    *item = mf_msg("{s:U}", "o", record.offset);
    return mf_message_status(*item);
}

/* ---- hash ------------------------------------------------------------------------------------------------------------ */

struct hash_in { mf_value spool; uint64_t o; };
MF_FIELDS(hash_in, struct hash_in, MF_VALUE(spool, MF_REQUIRED), MF_INT(o, MF_REQUIRED));

struct hash_out { uint64_t b; mf_str h; struct file_hash file; };
MF_FIELDS(hash_out, struct hash_out, MF_INT(b), MF_BIN(h));

/* The file or directory that a record names, opened for reading. */
static mf_status open_listed(mf_context *ctx, const struct spool *spool, const struct spool_record *record, int *fd)
{
    char reason[128];
    if (record->kind == SPOOL_UNLISTED)
        return mf_task_fail(ctx, MF_FINAL, "NotListed", "the directory cannot be read: %s",
                            strerror_r(record->error, reason, sizeof reason));
    *fd = name_open(spool->root, record->name.at, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    return *fd < 0 ? file_fail(ctx, "", errno) : MF_OK;
}

static mf_status hash_listed(mf_context *ctx, const struct spool *spool, uint64_t offset, struct file_hash *out)
{
    mf_error err;
    struct spool_record record;
    struct spool_text name = {0};
    int fd = -1;
    mf_status st = spool_read(spool->fd, offset, &record, &name, &err);
    if (st != MF_OK)
        st = mf_task_fail(ctx, MF_FINAL, "ReadFailed", "%s", err.text);
    else
        st = open_listed(ctx, spool, &record, &fd);
    if (st == MF_OK) {
        int problem = file_hash(ctx, fd, out);
        close(fd);
        st = problem == 0 ? MF_OK : file_fail(ctx, "", problem);
    }
    spool_text_fini(&name);
    return st;
}

static mf_status hash(mf_context *ctx, const struct hash_in *in, struct hash_out *out, void *user)
{
    (void)user;
    mf_error err;
    mf_str path;
    struct spool *spool;
    mf_status st = name_field(ctx, "spool", in->spool, &path);
    if (st != MF_OK)
        return st;
    if (spool_open(path, &spool, &err) != MF_OK)
        return mf_task_fail(ctx, MF_FINAL, "ReadFailed", "%s", err.text);
    st = hash_listed(ctx, spool, in->o, &out->file);
    spool_close(spool);
    out->b = out->file.bytes;
    out->h = mf_str_of((const char *)out->file.sha256, FILE_HASH_SIZE);
    return st;
}
MF_TASK(hash, hash_in, hash_out)

/* ---- failed: the error callback of one hash -------------------------------------------------------------------------- */

struct speaker { void (*say)(const char *line); };

static void say_to_stderr(const char *line)
{
    fprintf(stderr, "%s\n", line);
}

/* The name of the file at an offset, as a person reads it; the offset where even that cannot be read. */
static char *shown_at(mf_str path, uint64_t offset)
{
    char *shown = NULL;
    struct spool *spool;
    struct spool_record record;
    struct spool_text name = {0};
    if (spool_open(path, &spool, NULL) != MF_OK)
        return NULL;
    if (spool_read(spool->fd, offset, &record, &name, NULL) == MF_OK)
        shown = name_shown(spool->shown, record.name);
    spool_text_fini(&name);
    spool_close(spool);
    return shown;
}

static mf_status failed(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)out;
    const struct speaker *speaker = user;
    mf_error err;
    struct hash_in item;
    mf_str path, text = mf_cstr("no reason was given");
    if (mf_fields_decode(&hash_in, in, &item, &err) != MF_OK)
        return mf_task_fail(ctx, MF_FINAL, "InvalidMessage", "%s", err.text);
    mf_status st = name_field(ctx, "spool", item.spool, &path);
    if (st != MF_OK)
        return st;
    (void)!mf_message_scan(mf_context_error(ctx), NULL, "{s?:s}", "text", &text);

    char *shown = shown_at(path, item.o), *line = NULL;
    if (asprintf(&line, "duplicates: %s: %.*s", shown != NULL ? shown : "a file", (int)text.len, text.at) > 0)
        speaker->say(line);
    free(line);
    free(shown);
    return MF_OK;
}

/* ---- report ---------------------------------------------------------------------------------------------------------- */

struct report_in { mf_value spool; };
MF_FIELDS(report_in, struct report_in, MF_VALUE(spool, MF_REQUIRED));

static mf_status report(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)user;
    mf_error err;
    struct report_in fields;
    mf_str path;
    struct spool *spool;
    struct groups_summary summary;
    mf_results *results;
    if (mf_fields_decode(&report_in, in, &fields, &err) != MF_OK)
        return mf_task_fail(ctx, MF_FINAL, "InvalidMessage", "%s", err.text);
    mf_status st = name_field(ctx, "spool", fields.spool, &path);
    if (st != MF_OK)
        return st;
    st = mf_context_results(ctx, in, &results, &err);
    if (st != MF_OK)
        return mf_task_fail(ctx, MF_FINAL, "NoResults", "%s", err.text);
    st = spool_open(path, &spool, &err);
    if (st == MF_OK) {
        st = groups_find(spool, results, &summary, &err);
        spool_close(spool);
    }
    mf_results_close(results);
    if (st != MF_OK)
        return mf_task_fail(ctx, MF_FINAL, "ReportFailed", "%s", err.text);
    *out = groups_message(&summary);
    return mf_message_status(*out);
}

/* ---- declaring ------------------------------------------------------------------------------------------------------- */

mf_status duplicates_register(mf_client *client, void (*say)(const char *line), mf_error *err)
{
    static struct speaker speaker;
    speaker.say = say == NULL ? say_to_stderr : say;
    const mf_task_def tasks[] = {
        {.name = TASK_LIST, .run = list, .in = &list_in},
        {.name = TASK_HASH, .run = hash_task, .in = &hash_in, .out = &hash_out},
        {.name = TASK_FAILED, .run = failed, .user = &speaker},
        {.name = TASK_REPORT, .run = report, .in = &report_in},
    };
    mf_status st = mf_source(client, MF_SOURCE_DEF(.name = SOURCE_FILES, .next = next_file, .expected = expected_files), err);
    for (size_t i = 0; st == MF_OK && i < sizeof tasks / sizeof tasks[0]; i++) {
        mf_task_def def = tasks[i];
        def.struct_size = sizeof def;
        st = mf_task(client, &def, err);
    }
    return st;
}

/* A module may be unloaded, a program may end: the list that was opened last is let go of. */
__attribute__((destructor)) static void unloaded(void)
{
    spool_forget();
}

mf_status mf_module_init(mf_client *client, mf_error *err);      /* for compilers that ask for a prototype */

MF_MODULE
{
    return duplicates_register(client, NULL, err);
}
