/* Files that are no store of ours: one clear error each, and nothing is changed in them. */
#include "kit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static char dir[32];

static void make_dir(void)
{
    snprintf(dir, sizeof dir, "/tmp/mageflow-open-XXXXXX");
    cr_assert(ne(ptr, mkdtemp(dir), NULL));
}

static void remove_dir(void)
{
    char command[128];
    snprintf(command, sizeof command, "chmod -R u+w %s; rm -rf %s", dir, dir);
    cr_assert(eq(int, system(command), 0));
}

TestSuite(sqlite_open, .init = make_dir, .fini = remove_dir);

static const char *in_dir(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void refused(const char *path, mf_status want, const char *because)
{
    mf_store *s = NULL;
    mf_error err = {0};
    mf_status st = mfi_sqlite_store_open(path, NULL, NULL, 50, &s, &err);
    cr_assert(eq(int, st, want), "%s: %s", mf_status_name(st), err.text);
    cr_assert(eq(int, err.status, want));
    cr_assert(ne(ptr, strstr(err.text, because), NULL), "%s", err.text);
    cr_assert(ne(ptr, strstr(err.text, path), NULL), "the text names the file: %s", err.text);
    cr_assert(eq(ptr, s, NULL));
}

static void write_file(const char *path, const char *text, size_t len)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    cr_assert(eq(i64, (int64_t)write(fd, text, len), (int64_t)len));
    close(fd);
}

static void make_database(const char *path, const char *sql)
{
    sqlite3 *db;
    cr_assert(eq(int, sqlite3_open(path, &db), SQLITE_OK));
    cr_assert(eq(int, sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK));
    sqlite3_close(db);
}

Test(sqlite_open, a_file_that_is_no_database)
{
    static const char text[] = "this is a letter to my aunt, of more than a hundred bytes, so that it is longer than the header "
                               "of a database, which it is not";
    write_file(in_dir("letter"), text, sizeof text);
    refused(in_dir("letter"), MF_E_MALFORMED, "not a database");
    char again[sizeof text];
    int fd = open(in_dir("letter"), O_RDONLY);
    cr_assert(eq(i64, (int64_t)read(fd, again, sizeof again), (int64_t)sizeof text));
    cr_assert(eq(int, memcmp(again, text, sizeof text), 0));
    close(fd);
}

Test(sqlite_open, a_directory)
{
    refused(dir, MF_E_INVALID, "is a directory");
}

Test(sqlite_open, what_is_no_regular_file)
{
    refused("/dev/null", MF_E_INVALID, "a regular file was expected");
    cr_assert(eq(int, mkfifo(in_dir("pipe"), 0600), 0));
    refused(in_dir("pipe"), MF_E_INVALID, "a regular file was expected");
}

Test(sqlite_open, a_directory_that_is_not_there)
{
    refused(in_dir("nowhere/jobs.db"), MF_E_NOT_FOUND, "no directory");
}

Test(sqlite_open, a_directory_that_is_a_file)
{
    write_file(in_dir("file"), "x", 1);
    refused(in_dir("file/jobs.db"), MF_E_IO, "Not a directory");
}

Test(sqlite_open, a_database_of_another_program)
{
    make_database(in_dir("other.db"), "CREATE TABLE letters(text); INSERT INTO letters VALUES('dear aunt')");
    refused(in_dir("other.db"), MF_E_INVALID, "some other program");
    cr_assert(eq(i64, kit_ask(in_dir("other.db"), "SELECT count(*) FROM sqlite_schema"), 1));
    cr_assert(eq(i64, kit_ask(in_dir("other.db"), "SELECT journal_mode = 'delete' FROM pragma_journal_mode"), 1));
    make_database(in_dir("marked.db"), "PRAGMA application_id=7; CREATE TABLE letters(text)");
    refused(in_dir("marked.db"), MF_E_INVALID, "some other program");
}

Test(sqlite_open, a_newer_schema)
{
    mf_store_destroy(kit_open(in_dir("jobs.db")));
    make_database(in_dir("jobs.db"), "PRAGMA user_version=3");
    refused(in_dir("jobs.db"), MF_E_UNSUPPORTED, "newer mageflow (schema 3, this one knows up to 2)");
    make_database(in_dir("jobs.db"), "PRAGMA user_version=2");
    mf_store_destroy(kit_open(in_dir("jobs.db")));
}

/* ---- attempts, since schema 2 ------------------------------------------------------------------------------------- */

static mf_claim claim_attempt(mf_store *s, uint64_t index, uint32_t attempt)
{
    mf_claim claim = {.unit = {kit_key(), index, 0}, .attempt = attempt};
    is_status(mf_store_claim(s, &claim, 1, NULL), MF_OK);
    return claim;
}

/* The first attempt of an item fails, and the second one is sent. */
static void try_again(mf_store *s, uint64_t index)
{
    mf_claim claim = claim_attempt(s, index, 1);
    mf_spec *call = kit_call();
    mf_entry next = kit_entry(call, index);
    next.attempt = 2;
    is_status(claim.status, MF_OK);
    is_status(mf_store_commit(s, &(mf_batch){.settles = &claim.token, .settle_count = 1, .entries = &next, .entry_count = 1}, NULL,
                              NULL), MF_OK);
    mf_spec_unref(call);
}

Test(sqlite_open, a_file_of_schema_1_is_brought_up_with_all_that_is_in_it)
{
    mf_taken taken;
    mf_store *s = kit_open(in_dir("jobs.db"));
    kit_swarm(s, 3);
    cr_assert(eq(sz, kit_take(s, &taken, 1), 1));
    is_status(kit_finish(s, &taken), MF_OK);
    mf_store_destroy(s);
    make_database(in_dir("jobs.db"), "DROP TABLE retries; PRAGMA user_version=1");    /* all that version 2 added */
    s = kit_open(in_dir("jobs.db"));
    cr_assert(eq(i64, kit_ask(in_dir("jobs.db"), "PRAGMA user_version"), 2));
    cr_assert(eq(i64, kit_ask(in_dir("jobs.db"), "SELECT count(*) FROM retries"), 0));
    cr_assert(eq(sz, kit_entries(s), 2));
    cr_assert(eq(sz, kit_outcomes(s), 1));
    try_again(s, 2);
    is_status(claim_attempt(s, 2, 1).status, MF_E_STALE);
    mf_store_destroy(s);
    cr_assert(kit_is_whole(in_dir("jobs.db")));
}

Test(sqlite_open, an_upgrade_that_cannot_be_made_leaves_the_file_as_it_was)
{
    mf_store_destroy(kit_open(in_dir("jobs.db")));
    make_database(in_dir("jobs.db"), "PRAGMA user_version=1");    /* and yet `retries` is there */
    refused(in_dir("jobs.db"), MF_E_IO, "retries already exists");
    cr_assert(eq(i64, kit_ask(in_dir("jobs.db"), "PRAGMA user_version"), 1));
    make_database(in_dir("jobs.db"), "DROP TABLE retries");
    mf_store_destroy(kit_open(in_dir("jobs.db")));
    cr_assert(eq(i64, kit_ask(in_dir("jobs.db"), "PRAGMA user_version"), 2));
}

Test(sqlite_open, an_attempt_is_remembered_by_everybody_who_has_the_file_open_and_who_opens_it_next)
{
    mf_store *s = kit_open(in_dir("jobs.db")), *other = kit_open(in_dir("jobs.db"));
    kit_swarm(s, 0);
    is_status(claim_attempt(other, 1, 1).status, MF_OK);    /* it has seen that nothing was tried again so far */
    try_again(s, 2);
    is_status(claim_attempt(other, 2, 1).status, MF_E_STALE);
    mf_store_destroy(s);
    mf_store_destroy(other);
    s = kit_open(in_dir("jobs.db"));
    is_status(claim_attempt(s, 2, 1).status, MF_E_STALE);
    is_status(claim_attempt(s, 2, 2).status, MF_OK);
    is_status(claim_attempt(s, 1, 1).status, MF_OK);
    is_status(mf_store_commit(s, &(mf_batch){.removals = &(mf_removal){.key = kit_key()}, .removal_count = 1}, NULL, NULL), MF_OK);
    cr_assert(eq(i64, kit_ask(in_dir("jobs.db"), "SELECT count(*) FROM retries"), 0), "they go with their record");
    mf_store_destroy(s);
}

/* A store that only takes has nobody who would ask. */
Test(sqlite_open, without_claims_from_elsewhere_no_attempt_is_kept)
{
    mf_store *s = kit_open(in_dir("jobs.db"));
    mf_spec *call = kit_call();
    mf_entry next = kit_entry(call, 1);
    next.attempt = 2;
    kit_swarm(s, 3);
    is_status(mf_store_commit(s, &(mf_batch){.entries = &next, .entry_count = 1}, NULL, NULL), MF_OK);
    cr_assert(eq(i64, kit_ask(in_dir("jobs.db"), "SELECT count(*) FROM retries"), 0));
    mf_spec_unref(call);
    mf_store_destroy(s);
}

/* ---- what is no store, once more ---------------------------------------------------------------------------------- */

Test(sqlite_open, a_name_that_is_none)
{
    mf_store *s = NULL;
    mf_error err = {0};
    is_status(mfi_sqlite_store_create("", NULL, NULL, &s, &err), MF_E_INVALID);
    is_status(mfi_sqlite_store_create(":memory:", NULL, NULL, &s, &err), MF_E_INVALID);
}

Test(sqlite_open, a_damaged_database)
{
    mf_store *s = kit_open(in_dir("jobs.db"));
    kit_swarm(s, 10);
    mf_store_destroy(s);
    int fd = open(in_dir("jobs.db"), O_WRONLY);
    char noise[4096];
    memset(noise, 0xa5, sizeof noise);
    for (int page = 1; page < 4; page++)
        cr_assert(eq(i64, (int64_t)pwrite(fd, noise, sizeof noise, page * 4096), 4096));
    close(fd);
    mf_error err = {0};
    mf_status st = mfi_sqlite_store_open(in_dir("jobs.db"), NULL, NULL, 50, &s, &err);
    cr_assert(st == MF_E_IO || st == MF_E_MALFORMED, "%s: %s", mf_status_name(st), err.text);
    cr_assert(ne(ptr, strstr(err.text, "damaged"), NULL), "%s", err.text);
}

/* Root may write anywhere: who is root goes on as nobody. */
static void be_nobody(void)
{
    if (geteuid() == 0)
        cr_assert(eq(int, seteuid(65534), 0));
}

static void be_oneself(void)
{
    if (getuid() == 0)
        cr_assert(eq(int, seteuid(0), 0));
}

Test(sqlite_open, a_file_that_may_not_be_written)
{
    mf_store_destroy(kit_open(in_dir("jobs.db")));
    cr_assert(eq(int, chmod(dir, 0777), 0));
    cr_assert(eq(int, chmod(in_dir("jobs.db"), 0444), 0));
    be_nobody();
    refused(in_dir("jobs.db"), MF_E_IO, "cannot be written to");
    be_oneself();
}

Test(sqlite_open, a_directory_that_may_not_be_written)
{
    mf_store_destroy(kit_open(in_dir("jobs.db")));
    cr_assert(eq(int, chmod(in_dir("jobs.db"), 0666), 0));
    cr_assert(eq(int, chmod(dir, 0555), 0));
    be_nobody();
    refused(in_dir("jobs.db"), MF_E_IO, "cannot be written to");
    refused(in_dir("new.db"), MF_E_IO, "cannot be written to");
    be_oneself();
}

Test(sqlite_open, a_lock_that_is_not_given_back)
{
    mf_store *s = NULL, *other = NULL;
    mf_error err = {0};
    sqlite3 *db;
    is_status(mfi_sqlite_store_open(in_dir("jobs.db"), NULL, NULL, 50, &s, &err), MF_OK);
    kit_swarm(s, 3);
    cr_assert(eq(int, sqlite3_open(in_dir("jobs.db"), &db), SQLITE_OK));
    cr_assert(eq(int, sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK));
    mf_spec *call = kit_call();
    mf_entry entry = kit_entry(call, 9);
    mf_status st = mf_store_commit(s, &(mf_batch){.entries = &entry, .entry_count = 1}, NULL, &err);
    is_status(st, MF_E_IO);
    cr_assert(ne(ptr, strstr(err.text, "locked for more than 0.1 s by another program"), NULL), "%s", err.text);
    is_status(mfi_sqlite_store_open(in_dir("jobs.db"), NULL, NULL, 50, &other, &err), MF_E_IO);
    cr_assert(eq(sz, kit_entries(s), 3), "reading does not wait for it");
    cr_assert(eq(int, sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK));
    is_status(mf_store_commit(s, &(mf_batch){.entries = &entry, .entry_count = 1}, NULL, &err), MF_OK);
    cr_assert(eq(sz, kit_entries(s), 4));
    sqlite3_close(db);
    mf_spec_unref(call);
    mf_store_destroy(s);
}

/* ---- names -------------------------------------------------------------------------------------------------------- */

Test(sqlite_open, a_relative_name_holds_wherever_the_program_goes)
{
    cr_assert(eq(int, chdir(dir), 0));
    mf_store *s = kit_open("jobs.db");
    kit_swarm(s, 3);
    cr_assert(eq(int, chdir("/"), 0));
    cr_assert(eq(sz, kit_entries(s), 3), "a reader is opened only now");
    mf_store_destroy(s);
    cr_assert(eq(int, access(in_dir("jobs.db-lock"), F_OK), 0));
}

/* Who calls the file by another name must still be seen to live. */
Test(sqlite_open, a_link_to_the_file_is_the_file)
{
    char target[128];
    mf_taken taken[3];
    snprintf(target, sizeof target, "%s", in_dir("jobs.db"));
    mf_store *s = kit_open(target);
    kit_swarm(s, 3);
    cr_assert(eq(int, symlink(target, in_dir("link.db")), 0));
    mf_store *other = kit_open(in_dir("link.db"));
    cr_assert(eq(sz, kit_take(s, taken, 3), 3));
    mf_store *third = kit_open(in_dir("link.db"));
    cr_assert(eq(sz, kit_take(third, taken, 3), 0), "their holder lives");
    cr_assert(eq(int, access(in_dir("link.db-lock"), F_OK), -1));
    mf_store_destroy(third);
    mf_store_destroy(other);
    mf_store_destroy(s);
}

/* ---- gone while it is open ---------------------------------------------------------------------------------------- */

static const char *const names[] = {"jobs.db", "jobs.db-wal", "jobs.db-lock"};

Test(sqlite_open, what_is_moved_away_while_open_takes_no_commit_until_it_is_put_back)
{
    mf_store *s = kit_open(in_dir("jobs.db"));
    char path[128];
    kit_swarm(s, 1);
    for (size_t i = 0; i < 2; i++) {    /* a lock that is moved is still the same for who has it open */
        mf_error err = {0};
        snprintf(path, sizeof path, "%s", in_dir(names[i]));
        cr_assert(eq(int, rename(path, in_dir("away")), 0));
        is_status(kit_send(s, 1 + i, &err), MF_E_IO);
        cr_assert(ne(ptr, strstr(err.text, "was deleted or replaced while it was open; nothing was changed"), NULL), "%s", err.text);
        cr_assert(ne(ptr, strstr(err.text, path), NULL), "the text names the file: %s", err.text);
        write_file(path, "", 0);
        is_status(kit_send(s, 1 + i, &err), MF_E_IO);
        cr_assert(eq(int, rename(in_dir("away"), path), 0));
        is_status(kit_send(s, 1 + i, NULL), MF_OK);
    }
    cr_assert(eq(sz, kit_entries(s), 3));
    mf_store_destroy(s);
    cr_assert(kit_is_whole(in_dir("jobs.db")));
}

Test(sqlite_open, who_lost_its_lock_file_commits_no_more)
{
    mf_error err = {0};
    mf_store *s = kit_open(in_dir("jobs.db"));
    kit_swarm(s, 1);
    cr_assert(eq(int, unlink(in_dir("jobs.db-lock")), 0));
    is_status(kit_send(s, 1, &err), MF_E_IO);
    cr_assert(ne(ptr, strstr(err.text, "jobs.db-lock was deleted"), NULL), "%s", err.text);
    mf_store_destroy(s);
    s = kit_open(in_dir("jobs.db"));
    is_status(kit_send(s, 1, NULL), MF_OK);
    cr_assert(eq(sz, kit_entries(s), 2));
    mf_store_destroy(s);
}

static ino_t inode_of(const char *path)
{
    struct stat file = {0};
    return stat(path, &file) == 0 ? file.st_ino : 0;
}

/* SQLite's last one to close a database deletes its log by name. */
Test(sqlite_open, who_closes_a_deleted_file_leaves_the_log_of_the_next_one_alone)
{
    mf_store *s = kit_open(in_dir("jobs.db"));
    kit_swarm(s, 1);
    for (size_t i = 0; i < 3; i++)
        unlink(in_dir(names[i]));
    unlink(in_dir("jobs.db-shm"));
    mf_store *next = kit_open(in_dir("jobs.db"));
    kit_swarm(next, 3);
    ino_t log = inode_of(in_dir("jobs.db-wal"));
    cr_assert(log != 0);
    mf_store_destroy(s);
    cr_assert(inode_of(in_dir("jobs.db-wal")) == log);
    is_status(kit_send(next, 7, NULL), MF_OK);
    mf_store_destroy(next);
    next = kit_open(in_dir("jobs.db"));
    cr_assert(eq(sz, kit_entries(next), 4));
    mf_store_destroy(next);
}
