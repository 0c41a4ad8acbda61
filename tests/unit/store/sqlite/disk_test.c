/* What waits for the disk, and how often; and a disk that fails. Through a file system of our own under SQLite. */
#include "kit.h"
#include "shim.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(sqlite_disk, .init = shim_install, .fini = temp_store_clean);

static long syncs_of(void (*what)(mf_store *s), mf_store *s)
{
    long before = atomic_load(&shim.syncs);
    what(s);
    return atomic_load(&shim.syncs) - before;
}

static void commit_one(mf_store *s)
{
    is_status(kit_send(s, 1, NULL), MF_OK);
}

static void take_all(mf_store *s)
{
    mf_taken taken[64];
    cr_assert(gt(sz, kit_take(s, taken, 64), 0));
}

static void take_nothing(mf_store *s)
{
    mf_taken taken[64];
    cr_assert(eq(sz, kit_take(s, taken, 64), 0));
}

static void be_refused(mf_store *s)
{
    mf_key key = kit_key();
    mf_state state = {0};
    is_status(mf_store_commit(s, &(mf_batch){.key = key, .version = 99, .state = &state}, NULL, NULL), MF_E_CONFLICT);
}

static void log_and_progress(mf_store *s)
{
    mf_key key = kit_key();
    mf_message *progress = mf_msg("{s:i}", "percent", 50);
    is_status(mf_store_log(s, &key, MF_STR_LIT("a line")), MF_OK);
    is_status(mf_store_progress(s, &key, progress), MF_OK);
    mf_message_unref(progress);
}

Test(sqlite_disk, a_commit_waits_for_the_disk_once_and_nothing_else_does)
{
    mf_store *s = kit_open(temp_store_new());
    kit_swarm(s, 10);
    commit_one(s);
    cr_assert(eq(long, syncs_of(commit_one, s), 1));
    cr_assert(eq(long, syncs_of(commit_one, s), 1));
    cr_assert(eq(long, syncs_of(take_all, s), 0), "a power failure takes the claim's process along");
    cr_assert(eq(long, syncs_of(commit_one, s), 1));
    cr_assert(eq(long, syncs_of(take_all, s), 0));
    cr_assert(eq(long, syncs_of(log_and_progress, s), 0));
    long writes = atomic_load(&shim.writes);
    cr_assert(eq(long, syncs_of(take_nothing, s), 0));
    cr_assert(eq(long, syncs_of(be_refused, s), 0));
    cr_assert(eq(long, atomic_load(&shim.writes), writes), "what changes nothing writes nothing");
    mf_store_destroy(s);
}

/* ---- room in the log ---------------------------------------------------------------------------------------------- */

enum { COMMITS = 200 };

static void copy_file(const char *from, const char *to)
{
    char bytes[4096];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    KIT_MUST(in != NULL && out != NULL);
    for (size_t n; (n = fread(bytes, 1, sizeof bytes, in)) > 0;)
        KIT_MUST(fwrite(bytes, 1, n, out) == n);
    KIT_MUST(fclose(out) == 0 && fclose(in) == 0);
}

static off_t size_of(const char *path)
{
    struct stat file;
    KIT_MUST(stat(path, &file) == 0);
    return file.st_size;
}

Test(sqlite_disk, the_log_grows_ahead_of_what_is_written_to_it)
{
    char path[512], log[520], copy[520], copy_log[528];
    snprintf(path, sizeof path, "%s", temp_store_new());
    snprintf(log, sizeof log, "%s-wal", path);
    mf_store *s = kit_open(path);
    size_t growths = 0;
    for (size_t i = 0; i < COMMITS; i++) {
        off_t before = size_of(log);
        commit_one(s);
        growths += size_of(log) != before;
    }
    cr_assert(lt(sz, growths, COMMITS / 10), "%zu of %d commits had to make it longer", growths, COMMITS);

    /* As after a power failure: what is in the file and its log, and no index of the log. */
    snprintf(copy, sizeof copy, "%s-copy", path);
    snprintf(copy_log, sizeof copy_log, "%s-wal", copy);
    copy_file(path, copy);
    copy_file(log, copy_log);
    mf_store *again = kit_open(copy);
    cr_assert(eq(sz, kit_entries(again), COMMITS), "the room behind the last commit is nothing to read");
    commit_one(again);
    mf_store_destroy(again);
    cr_assert(kit_is_whole(copy));
    mf_store_destroy(s);
}

/* ---- group commit ------------------------------------------------------------------------------------------------- */

enum { FOLLOWERS = 16 };

/* The first sync stands still until all the others have joined the line. */
struct standstill {
    mf_store   *s;
    sem_t       begun, go_on;
    atomic_bool stands;
    atomic_int  done;
};

static void stand_still(void *user)
{
    struct standstill *st = user;
    if (!atomic_exchange(&st->stands, false))
        return;
    sem_post(&st->begun);
    sem_wait(&st->go_on);
}

static void *commit_here(void *user)
{
    struct standstill *st = user;
    is_status(kit_send(st->s, 1, NULL), MF_OK);
    atomic_fetch_add(&st->done, 1);
    return NULL;
}

/* Threads of ours, but this one, that do not sleep. */
static unsigned awake(void)
{
    char path[64], line[512], self[16];
    unsigned n = 0;
    DIR *tasks = opendir("/proc/self/task");
    snprintf(self, sizeof self, "%ld", (long)gettid());
    for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
        snprintf(path, sizeof path, "/proc/self/task/%.16s/stat", task->d_name);
        FILE *stat = task->d_name[0] == '.' || strcmp(task->d_name, self) == 0 ? NULL : fopen(path, "r");
        if (stat != NULL && fgets(line, sizeof line, stat) != NULL)
            n += strstr(line, ") S ") == NULL;
        if (stat != NULL)
            fclose(stat);
    }
    closedir(tasks);
    return n;
}

/* The leader sleeps in its sync. When nobody is awake for ten looks in a row, all the others have joined the line. */
static void wait_for_line(void)
{
    for (unsigned steady = 0; steady < 10;) {
        steady = awake() == 0 ? steady + 1 : 0;
        sched_yield();
    }
}

Test(sqlite_disk, who_comes_while_the_disk_is_busy_shares_the_next_wait)
{
    struct standstill st = {.s = kit_open(temp_store_new())};
    pthread_t threads[1 + FOLLOWERS];
    kit_swarm(st.s, 1);
    sem_init(&st.begun, 0, 0);
    sem_init(&st.go_on, 0, 0);
    atomic_store(&st.stands, true);
    shim.user = &st;
    shim.on_sync = stand_still;
    long before = atomic_load(&shim.syncs);
    cr_assert(eq(int, pthread_create(&threads[0], NULL, commit_here, &st), 0));
    sem_wait(&st.begun);
    for (int i = 1; i <= FOLLOWERS; i++)
        cr_assert(eq(int, pthread_create(&threads[i], NULL, commit_here, &st), 0));
    wait_for_line();
    cr_assert(eq(int, atomic_load(&st.done), 0), "nobody is answered before the disk is");
    sem_post(&st.go_on);
    for (int i = 0; i <= FOLLOWERS; i++)
        pthread_join(threads[i], NULL);
    cr_assert(eq(long, atomic_load(&shim.syncs) - before, 2), "one for the first, one for all the others");
    cr_assert(eq(sz, kit_entries(st.s), 1 + 1 + FOLLOWERS));
    mf_store_destroy(st.s);
}

/* ---- a disk that fails -------------------------------------------------------------------------------------------- */

static void finish_all(mf_store *s)
{
    mf_taken taken[8];
    for (size_t got; (got = kit_take(s, taken, 8)) > 0;)
        for (size_t i = 0; i < got; i++)
            is_status(kit_finish(s, &taken[i]), MF_OK);
}

/* Commits of several pages, of which the n-th write or sync fails: it is told, nothing of it is there, and it works again. */
static bool fail_nth(long n, int how, bool for_good)
{
    mf_store *s = kit_open(temp_store_new());
    mf_spec *call = kit_call();
    mf_entry entries[300];
    mf_error err = {0};
    kit_swarm(s, 10);
    for (size_t i = 0; i < 300; i++)
        entries[i] = kit_entry(call, 10 + i);
    mf_batch batch = {.entries = entries, .entry_count = 300};
    atomic_store(&shim.fail_with, how);
    atomic_store(&shim.fail_on, for_good);
    atomic_store(&shim.fail_at, atomic_load(&shim.calls) + n);
    mf_status st = mf_store_commit(s, &batch, NULL, &err);
    bool reached = atomic_load(&shim.calls) >= atomic_load(&shim.fail_at);
    atomic_store(&shim.fail_at, 0);
    if (st != MF_OK) {
        is_status(st, MF_E_IO);
        cr_assert(ne(ptr, strstr(err.text, how == SQLITE_FULL ? "disk is full" : "store "), NULL), "%s", err.text);
        cr_assert(eq(sz, kit_entries(s), 10), "call %ld: something is there", n);
        is_status(mf_store_commit(s, &batch, NULL, &err), MF_OK);
    }
    cr_assert(eq(sz, kit_entries(s), 310), "call %ld", n);
    finish_all(s);
    mf_spec_unref(call);
    mf_store_destroy(s);
    cr_assert(kit_is_whole(temp_store_path), "call %ld", n);
    return reached;
}

Test(sqlite_disk, a_failed_write_or_sync_fails_the_commit_and_nothing_else)
{
    static const int ways[] = {SQLITE_FULL, SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC};
    for (size_t way = 0; way < 3; way++)
        for (int for_good = 0; for_good < 2; for_good++) {
            long n = 1;
            while (fail_nth(n, ways[way], for_good != 0))
                n += way == 0 ? 1 : 5;
            cr_assert(gt(long, n, 5));
        }
}

/* Of a group, each fails or succeeds for itself. */
static void *commit_or_fail(void *user)
{
    struct standstill *st = user;
    mf_error err = {0};
    mf_status got = kit_send(st->s, 1, &err);
    cr_assert(got == MF_OK || got == MF_E_IO);
    if (got == MF_OK)
        atomic_fetch_add(&st->done, 1);
    return NULL;
}

Test(sqlite_disk, a_group_whose_commit_fails_is_answered_one_by_one)
{
    struct standstill st = {.s = kit_open(temp_store_new())};
    pthread_t threads[1 + FOLLOWERS];
    kit_swarm(st.s, 1);
    sem_init(&st.begun, 0, 0);
    sem_init(&st.go_on, 0, 0);
    atomic_store(&st.stands, true);
    shim.user = &st;
    shim.on_sync = stand_still;
    atomic_store(&shim.fail_with, SQLITE_FULL);
    cr_assert(eq(int, pthread_create(&threads[0], NULL, commit_or_fail, &st), 0));
    sem_wait(&st.begun);
    for (int i = 1; i <= FOLLOWERS; i++)
        cr_assert(eq(int, pthread_create(&threads[i], NULL, commit_or_fail, &st), 0));
    wait_for_line();
    atomic_store(&shim.fail_at, atomic_load(&shim.calls) + 1);    /* the group's first write */
    sem_post(&st.go_on);
    for (int i = 0; i <= FOLLOWERS; i++)
        pthread_join(threads[i], NULL);
    cr_assert(eq(int, atomic_load(&st.done), 1 + FOLLOWERS), "the disk failed once, and each was tried again for itself");
    cr_assert(eq(sz, kit_entries(st.s), 1 + 1 + FOLLOWERS));
    mf_store_destroy(st.s);
}

/* ---- a disk that is really full ----------------------------------------------------------------------------------- */

/* A file system of 2 MiB that nobody else sees; false: this system lets us have none. */
static bool small_disk(char *dir)
{
    return mkdtemp(dir) != NULL && unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", dir, "tmpfs", 0, "size=2m") == 0;
}

/* Everything that is left, in one file. */
static void fill(const char *path)
{
    static const char block[4096];
    FILE *file = fopen(path, "w");
    while (fwrite(block, 1, sizeof block, file) == sizeof block && fflush(file) == 0)
        ;
    fclose(file);
}

Test(sqlite_disk, on_a_full_disk_nothing_is_half_done_and_room_mends_it)
{
    char dir[] = "/tmp/mageflow-full-XXXXXX", path[64], ballast[64], ballast2[64];
    if (!small_disk(dir)) {
        rmdir(dir);
        cr_skip_test("no file system of our own to fill here");
    }
    snprintf(path, sizeof path, "%s/jobs.db", dir);
    snprintf(ballast, sizeof ballast, "%s/ballast", dir);
    snprintf(ballast2, sizeof ballast2, "%s/ballast2", dir);
    mf_store *s = kit_open(path);
    mf_error err = {0};
    mf_taken taken[4];
    mf_status st = MF_OK;
    kit_swarm(s, 4);
    fill(ballast);
    size_t sent = 0;
    while (sent < 5000 && (st = kit_send(s, 10 + sent, &err)) == MF_OK)
        sent++;
    is_status(st, MF_E_IO);
    cr_assert(ne(ptr, strstr(err.text, "its disk is full"), NULL), "%s", err.text);
    cr_assert(eq(sz, kit_entries(s), 4 + sent));
    is_status(kit_send(s, 9, &err), MF_E_IO);
    mf_store_destroy(s);
    fill(ballast2);
    s = NULL;
    err.text[0] = '\0';
    st = mfi_sqlite_store_open(path, NULL, NULL, 50, &s, &err);
    is_status(st, MF_E_IO);
    cr_assert(ne(ptr, strstr(err.text, "its disk is full"), NULL), "neither does it open, and says so: %s", err.text);
    unlink(ballast2);
    unlink(ballast);
    s = kit_open(path);
    is_status(kit_send(s, 10 + sent, &err), MF_OK);
    cr_assert(eq(sz, kit_entries(s), 4 + sent + 1));
    cr_assert(eq(sz, kit_take(s, taken, 4), 4));
    for (size_t i = 0; i < 4; i++)
        is_status(kit_finish(s, &taken[i]), MF_OK);
    mf_store_destroy(s);
    cr_assert(kit_is_whole(path));
    umount(dir);
    rmdir(dir);
}
