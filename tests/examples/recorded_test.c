/* What the main job looks like from outside: the recording adapter around local threads sees one chain, one map swarm with
 * an item a file, the callbacks of those that failed, and one report. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <mageflow/mageflow.h>

#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "duplicates_tasks.h"
#include "search.h"

enum { GOOD_FILES = 40, BAD_FILES = 3 };

static _Atomic int lines_said;

static void hear(const char *line)
{
    (void)line;
    lines_said++;
}

static void write_file(const char *dir, const char *name, int number, mode_t mode)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s%d", dir, name, number);
    FILE *f = fopen(path, "w");
    cr_assert(ne(ptr, f, NULL));
    fprintf(f, "content %d", number % 10);
    fclose(f);
    cr_assert(eq(int, chmod(path, mode), 0));
}

/* Permission bits do not stop root: the tree belongs to somebody else, and so do we. */
static void stop_being_root(const char *dir)
{
    struct passwd *nobody = getpwnam("nobody");
    if (geteuid() != 0 || nobody == NULL)
        return;
    cr_assert(eq(int, chmod(dir, 0777), 0));
    cr_assert(eq(int, setegid(nobody->pw_gid), 0));
    cr_assert(eq(int, seteuid(nobody->pw_uid), 0));
}

static int count(mf_adapter *recording, mf_recorded what, const char *name, mf_signature_status status)
{
    int n = 0;
    mf_record_line line;
    for (size_t i = 0; mf_recording_line(recording, i, &line) == MF_OK; i++)
        n += line.what == what && strcmp(line.name, name) == 0 && line.status == status;
    return n;
}

static int keys_of(mf_adapter *recording, const char *name, const char *prefix)
{
    mf_key seen[8];
    int n = 0;
    mf_record_line line;
    for (size_t i = 0; mf_recording_line(recording, i, &line) == MF_OK; i++) {
        if (line.what != MF_RECORDED_DELIVERY || strcmp(line.name, name) != 0 ||
            strncmp(line.unit.key.text, prefix, strlen(prefix)) != 0)
            continue;
        int k = 0;
        while (k < n && !mf_key_eq(&seen[k], &line.unit.key))
            k++;
        if (k == n && n < 8)
            seen[n++] = line.unit.key;
    }
    return n;
}

Test(duplicates_recorded, one_chain_one_map_swarm_n_items_their_failures_and_one_report)
{
    mf_error err = {0};
    char dir[] = "/tmp/duplicates-recorded-XXXXXX", spool[] = "/tmp/duplicates-recorded-spool-XXXXXX";
    cr_assert(ne(ptr, mkdtemp(dir), NULL));
    stop_being_root(dir);
    for (int i = 0; i < GOOD_FILES; i++)
        write_file(dir, "good", i, 0644);
    for (int i = 0; i < BAD_FILES; i++)
        write_file(dir, "bad", i, 0);
    int fd = mkstemp(spool);
    cr_assert(fd >= 0);
    close(fd);

    mf_options options = {.struct_size = sizeof options, .threads = 2};
    mf_adapter *recording;
    cr_assert(eq(int, mf_options_from_url("local:", &options, &err), MF_OK), "%s", err.text);
    cr_assert(eq(int, mf_recording_adapter_create(options.adapter, NULL, &recording, &err), MF_OK));
    options.adapter = recording;
    mf_client *client;
    cr_assert(eq(int, mf_open(NULL, &options, &client, &err), MF_OK), "%s", err.text);
    cr_assert(eq(int, duplicates_register(client, hear, &err), MF_OK), "%s", err.text);

    struct groups_summary summary;
    mf_key key;
    struct search search = {.directory = dir, .root = dir, .spool = spool, .max_concurrency = 7};
    cr_assert(eq(int, search_run(client, &search, &key, &summary, &err), MF_OK), "%s", err.text);

    int items = GOOD_FILES + BAD_FILES;
    cr_expect(eq(int, count(recording, MF_RECORDED_DELIVERY, TASK_LIST, MF_STATUS_PENDING), 1));
    cr_expect(eq(int, keys_of(recording, TASK_LIST, "chain-"), 1));
    cr_expect(eq(int, count(recording, MF_RECORDED_DELIVERY, TASK_HASH, MF_STATUS_PENDING), items));
    cr_expect(eq(int, keys_of(recording, TASK_HASH, "swarm-"), 1));
    cr_expect(eq(int, count(recording, MF_RECORDED_DELIVERY, TASK_FAILED, MF_STATUS_PENDING), BAD_FILES));
    cr_expect(eq(int, count(recording, MF_RECORDED_DELIVERY, TASK_REPORT, MF_STATUS_PENDING), 1));
    cr_expect(eq(int, keys_of(recording, TASK_REPORT, "chain-"), 1));
    cr_expect(eq(int, count(recording, MF_RECORDED_DELIVERY, "mageflow.on_chain_done", MF_STATUS_PENDING), 1));
    cr_expect(eq(int, lines_said, BAD_FILES));
    cr_expect(eq(u64, summary.files, GOOD_FILES));
    cr_expect(eq(u64, summary.failed, BAD_FILES));

    mf_client_destroy(client);
    char clean[1200];
    snprintf(clean, sizeof clean, "rm -rf '%s' '%s'", dir, spool);
    cr_expect(eq(int, system(clean), 0));
}
