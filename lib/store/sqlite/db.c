/* Opening is where a file shows what it is, so most of what can be wrong with one is told here. A database that SQLite can
 * only read is refused: it opens such a file without a word, and every commit would fail. */
#include "db.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MENDS "; put a copy back, with its -wal, or save what can be read with .recover of sqlite3"

/* ---- failures ----------------------------------------------------------------------------------------------------- */

/* Room that is missing for the log's index comes as an I/O error, and a quota that is used up does anywhere. */
static bool is_full(sqlite3 *at, int rc)
{
    if ((rc & 0xff) != SQLITE_IOERR)
        return (rc & 0xff) == SQLITE_FULL;
    int why = sqlite3_system_errno(at);
    return rc == SQLITE_IOERR_SHMSIZE || why == ENOSPC || why == EDQUOT;
}

mf_status mfi_sq_db_fail(struct mfi_sq_db *db, mf_error *err)
{
    int rc = db->at == NULL ? SQLITE_NOMEM : sqlite3_extended_errcode(db->at);
    switch (is_full(db->at, rc) ? SQLITE_FULL : rc & 0xff) {
    case SQLITE_NOMEM:
        return mf_fail(err, MF_E_NOMEM, "store %s: no memory", db->path);
    case SQLITE_FULL:
        return mf_fail(err, MF_E_IO, "store %s: its disk is full; nothing was changed, and it goes on once there is room",
                       db->path);
    case SQLITE_BUSY: case SQLITE_LOCKED:
        return mf_fail(err, MF_E_IO, "store %s: locked for more than %.1f s by another program that writes to it; nothing "
                       "was changed: end its transaction (fuser tells who has the file open) and try again", db->path, (double)db->busy_ms / 1000);
    case SQLITE_READONLY:
        return mf_fail(err, MF_E_IO, "store %s: the file or its directory cannot be written to any more (%s)", db->path,
                       sqlite3_errmsg(db->at));
    case SQLITE_CORRUPT: case SQLITE_NOTADB:
        return mf_fail(err, MF_E_IO, "store %s: the file is damaged (%s)" MENDS, db->path, sqlite3_errmsg(db->at));
    case SQLITE_TOOBIG:
        return mf_fail(err, MF_E_TOO_BIG, "store %s: a message above what SQLite holds in one row", db->path);
    default:
        return mf_fail(err, MF_E_IO, "store %s: %s (%d)", db->path, sqlite3_errmsg(db->at), rc);
    }
}

bool mfi_sq_db_in_transaction(const struct mfi_sq_db *db)
{
    return sqlite3_get_autocommit(db->at) == 0;
}

/* ---- waiting for others ------------------------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Another process holds the write lock, mostly for as long as a disk needs. SQLite's own waits grow to 100 ms, and a busy
 * pair of processes would starve each other in turns. */
static int wait_for_others(void *user, int tries)
{
    struct mfi_sq_db *db = user;
    if (tries == 0)
        db->busy_since_ms = now_ms();
    if (now_ms() - db->busy_since_ms >= db->busy_ms)
        return 0;
    long us = 100L << (tries < 6 ? tries : 6);
    nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
    return 1;
}

/* ---- opening ------------------------------------------------------------------------------------------------------ */

static mf_status check_path(const char *path, bool create, mf_error *err)
{
    struct stat file;
    const char *slash = strrchr(path, '/');
    if (stat(path, &file) == 0) {
        if (S_ISDIR(file.st_mode))
            return mf_fail(err, MF_E_INVALID, "store %s: is a directory; a file was expected", path);
        if (!S_ISREG(file.st_mode))
            return mf_fail(err, MF_E_INVALID, "store %s: is a device, a pipe or a socket; a regular file was expected", path);
        return MF_OK;
    }
    if (errno != ENOENT || !create)
        return mf_fail(err, MF_E_IO, "store %s: %s", path, strerror(errno));
    if (slash == NULL || slash == path)
        return MF_OK;
    char *parent = sqlite3_mprintf("%.*s", (int)(slash - path), path);
    int missing = parent != NULL && stat(parent, &file) != 0 ? errno : 0;
    mf_status st = parent == NULL ? mf_fail(err, MF_E_NOMEM, "store %s: no memory", path)
                 : missing != 0 ? mf_fail(err, MF_E_NOT_FOUND, "store %s: no directory %s", path, parent)
                 : S_ISDIR(file.st_mode) ? MF_OK
                 : mf_fail(err, MF_E_INVALID, "store %s: %s is no directory", path, parent);
    sqlite3_free(parent);
    return st;
}

static mf_status cannot_write(const struct mfi_sq_db *db, mf_error *err)
{
    return mf_fail(err, MF_E_IO, "store %s: cannot be written to; the file and its directory must be writable", db->path);
}

static mf_status open_failed(struct mfi_sq_db *db, mf_error *err)
{
    switch (sqlite3_extended_errcode(db->at) & 0xff) {
    case SQLITE_NOTADB:
        return mf_fail(err, MF_E_MALFORMED, "store %s: the file is not a database; expected one that mageflow made, an empty "
                       "file or none: give another name; nothing was changed", db->path);
    case SQLITE_CORRUPT:
        return mf_fail(err, MF_E_MALFORMED, "store %s: the database is damaged (%s)" MENDS, db->path, sqlite3_errmsg(db->at));
    case SQLITE_CANTOPEN: case SQLITE_READONLY: case SQLITE_PERM:
        return cannot_write(db, err);
    default:
        return mfi_sq_db_fail(db, err);
    }
}

static mf_status plain(struct mfi_sq_db *db, const char *sql, mf_error *err)
{
    return sqlite3_exec(db->at, sql, NULL, NULL, NULL) == SQLITE_OK ? MF_OK : open_failed(db, err);
}

static int first_int(void *out, int n, char **values, char **names)
{
    (void)names;
    *(int64_t *)out = n > 0 && values[0] != NULL ? strtoll(values[0], NULL, 10) : 0;
    return 0;
}

static mf_status ask(struct mfi_sq_db *db, const char *sql, int64_t *out, mf_error *err)
{
    *out = 0;
    return sqlite3_exec(db->at, sql, first_int, out, NULL) == SQLITE_OK ? MF_OK : open_failed(db, err);
}

/* A process with an older mageflow that has the file open goes on with it: an upgrade only adds what that one knows nothing of. */
static mf_status upgrade(struct mfi_sq_db *db, int64_t from, mf_error *err)
{
    mf_status st = MF_OK;
    for (int64_t version = from; st == MF_OK && version < MFI_SCHEMA_VERSION; version++)
        st = plain(db, mfi_sq_upgrades[version - 1], err);
    char *marks = sqlite3_mprintf("PRAGMA application_id=%d; PRAGMA user_version=%d;", MFI_APPLICATION_ID, MFI_SCHEMA_VERSION);
    if (marks == NULL)
        return mf_fail(err, MF_E_NOMEM, "store %s: no memory", db->path);
    if (st == MF_OK)
        st = plain(db, marks, err);
    sqlite3_free(marks);
    return st;
}

/* Inside a transaction, so that of two processes that find a new file one makes the tables and the other finds them. */
static mf_status check_schema(struct mfi_sq_db *db, mf_error *err)
{
    int64_t application, version, tables;
    mf_status st = ask(db, "PRAGMA application_id", &application, err);
    if (st == MF_OK)
        st = ask(db, "PRAGMA user_version", &version, err);
    if (st == MF_OK)
        st = ask(db, "SELECT count(*) FROM sqlite_schema", &tables, err);
    if (st != MF_OK)
        return st;
    if (application == 0 && version == 0 && tables == 0) {
        st = plain(db, mfi_sq_schema, err);
        return st == MF_OK ? upgrade(db, 1, err) : st;
    }
    if (application != MFI_APPLICATION_ID)
        return mf_fail(err, MF_E_INVALID, "store %s: is a database of some other program; expected one that mageflow made: give "
                       "another name; nothing was changed in it", db->path);
    if (version > MFI_SCHEMA_VERSION)
        return mf_fail(err, MF_E_UNSUPPORTED, "store %s: was written by a newer mageflow (schema %d, this one knows up to %d): open it "
                       "with that one; nothing was changed in it", db->path, (int)version, MFI_SCHEMA_VERSION);
    if (version < 1)
        return mf_fail(err, MF_E_MALFORMED, "store %s: has no schema version, as a file of mageflow has" MENDS, db->path);
    return version < MFI_SCHEMA_VERSION ? upgrade(db, version, err) : MF_OK;
}

static mf_status make_schema(struct mfi_sq_db *db, mf_error *err)
{
    mf_status st = plain(db, "BEGIN IMMEDIATE", err);
    if (st != MF_OK)
        return st;
    st = check_schema(db, err);
    if (st == MF_OK)
        st = plain(db, "COMMIT", err);
    if (mfi_sq_db_in_transaction(db))
        (void)sqlite3_exec(db->at, "ROLLBACK", NULL, NULL, NULL);
    return st;
}

/* A file that somebody else's program keeps in another mode stays as it is: its schema is looked at first. */
static mf_status open_new(struct mfi_sq_db *db, mf_error *err)
{
    int64_t ours;
    mf_status st = plain(db, "SELECT count(*) FROM sqlite_schema", err);
    if (st == MF_OK && sqlite3_db_readonly(db->at, "main") == 1)
        st = cannot_write(db, err);
    if (st == MF_OK)
        st = make_schema(db, err);
    if (st == MF_OK)
        st = plain(db, "PRAGMA journal_mode=WAL", err);
    if (st == MF_OK)
        st = ask(db, "SELECT journal_mode = 'wal' FROM pragma_journal_mode", &ours, err);
    if (st == MF_OK && ours != 1)
        st = mf_fail(err, MF_E_IO, "store %s: its file system cannot hold a write-ahead log that processes share", db->path);
    return st;
}

static mf_status configure(struct mfi_sq_db *db, bool create, mf_error *err)
{
    sqlite3_extended_result_codes(db->at, 1);
    sqlite3_busy_handler(db->at, wait_for_others, db);
    mf_status st = create ? open_new(db, err) : MF_OK;
    /* The log is copied into the database every 16 MiB (LOG_FULL): four times what SQLite does, for fewer of those pauses. */
    if (st == MF_OK)
        st = plain(db, "PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY; PRAGMA wal_autocheckpoint=4000;"
                       "PRAGMA journal_size_limit=33554432; PRAGMA cache_size=-16384; PRAGMA foreign_keys=OFF", err);
    db->full_sync = true;
    return st;
}

mf_status mfi_sq_db_open(struct mfi_sq_db *db, const char *path, int64_t busy_ms, bool create, mf_error *err)
{
    *db = (struct mfi_sq_db){.path = path, .busy_ms = busy_ms};
    mf_status st = check_path(path, create, err);
    if (st != MF_OK)
        return st;
    int flags = SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0) | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    if (sqlite3_open_v2(path, &db->at, flags, NULL) != SQLITE_OK)
        st = open_failed(db, err);
    if (st == MF_OK)
        st = configure(db, create, err);
    if (st != MF_OK)
        mfi_sq_db_close(db);
    return st;
}

void mfi_sq_db_close(struct mfi_sq_db *db)
{
    for (int i = 0; i < MFI_SQL_STATEMENTS; i++)
        sqlite3_finalize(db->stmts[i]);
    sqlite3_close(db->at);
    *db = (struct mfi_sq_db){.path = db->path};
}

mf_status mfi_sq_db_sync(struct mfi_sq_db *db, bool full, mf_error *err)
{
    if (db->full_sync == full)
        return MF_OK;
    const char *sql = full ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL";
    if (sqlite3_exec(db->at, sql, NULL, NULL, NULL) != SQLITE_OK)
        return mfi_sq_db_fail(db, err);
    db->full_sync = full;
    return MF_OK;
}

/* ---- room in the log ---------------------------------------------------------------------------------------------- */

#define LOG_FULL    (4000 * 4096)    /* then it is written from its beginning again, over what is there */
#define RESERVE_MAX (1 << 20)
#define RESERVE_MIN (1 << 16)

/* A commit that makes the log longer has the file system allocate blocks and commit its own journal, for a few pages each
 * time; one that writes over what is there waits for its bytes alone. SQLite reads a log up to the first frame that is not
 * of its salt, as after each of its restarts, so zeros behind the last one mean nothing to it. Nobody else writes to the log
 * while we hold the write lock, and we write behind its end alone. */
void mfi_sq_db_reserve(struct mfi_sq_db *db)
{
    static const char zeros[RESERVE_MIN];
    sqlite3_file *log = NULL;
    sqlite3_int64 size, before = db->log_size;
    if (sqlite3_file_control(db->at, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) != SQLITE_OK || log == NULL
        || log->pMethods == NULL || log->pMethods->xFileSize(log, &size) != SQLITE_OK)
        return;
    db->log_size = size;
    if (before == 0 || size <= before || size >= LOG_FULL)
        return;
    sqlite3_int64 more = size / 2 < RESERVE_MIN ? RESERVE_MIN : size / 2 > RESERVE_MAX ? RESERVE_MAX : size / 2;
    for (sqlite3_int64 end = size + more; size < end; size += RESERVE_MIN)
        if (log->pMethods->xWrite(log, zeros, RESERVE_MIN, size) != SQLITE_OK)
            return;
    db->log_size = size;
}

/* ---- statements --------------------------------------------------------------------------------------------------- */

struct mfi_sq_row mfi_sq_query(struct mfi_sq_db *db, enum mfi_sql sql)
{
    struct mfi_sq_row q = {.db = db, .rc = SQLITE_OK};
    if (db->stmts[sql] == NULL)
        q.rc = sqlite3_prepare_v3(db->at, mfi_sql_text[sql], -1, SQLITE_PREPARE_PERSISTENT, &db->stmts[sql], NULL);
    q.at = db->stmts[sql];
    return q;
}

static void note(struct mfi_sq_row *q, int rc)
{
    if (q->rc == SQLITE_OK)
        q->rc = rc;
}

void mfi_sq_bind(struct mfi_sq_row *q, int64_t value)
{
    if (q->rc == SQLITE_OK)
        note(q, sqlite3_bind_int64(q->at, ++q->bound, value));
}

void mfi_sq_bind_null(struct mfi_sq_row *q)
{
    if (q->rc == SQLITE_OK)
        note(q, sqlite3_bind_null(q->at, ++q->bound));
}

void mfi_sq_bind_text(struct mfi_sq_row *q, const char *text)
{
    if (q->rc == SQLITE_OK)
        note(q, sqlite3_bind_text(q->at, ++q->bound, text, -1, SQLITE_STATIC));
}

void mfi_sq_bind_bytes(struct mfi_sq_row *q, mf_str bytes)
{
    if (q->rc == SQLITE_OK)
        note(q, sqlite3_bind_blob64(q->at, ++q->bound, bytes.len == 0 ? "" : bytes.at, bytes.len, SQLITE_STATIC));
}

bool mfi_sq_next(struct mfi_sq_row *q)
{
    if (q->rc != SQLITE_OK)
        return false;
    int rc = sqlite3_step(q->at);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        q->rc = rc;
    return rc == SQLITE_ROW;
}

mf_status mfi_sq_done(struct mfi_sq_row *q, mf_error *err)
{
    mf_status st = q->rc == SQLITE_OK ? MF_OK : mfi_sq_db_fail(q->db, err);
    if (q->at != NULL)
        (void)sqlite3_reset(q->at);
    return st;
}

mf_status mfi_sq_run(struct mfi_sq_row *q, mf_error *err)
{
    (void)mfi_sq_next(q);
    return mfi_sq_done(q, err);
}

mf_status mfi_sq_exec_all(struct mfi_sq_db *db, enum mfi_sql sql, mf_error *err, const int64_t *values, size_t n)
{
    struct mfi_sq_row q = mfi_sq_query(db, sql);
    for (size_t i = 0; i < n; i++)
        mfi_sq_bind(&q, values[i]);
    return mfi_sq_run(&q, err);
}

mf_str mfi_sq_bytes(const struct mfi_sq_row *q, int column)
{
    const char *at = sqlite3_column_blob(q->at, column);
    return mf_str_of(at, at == NULL ? 0 : (size_t)sqlite3_column_bytes(q->at, column));
}
