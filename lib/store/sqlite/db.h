/* store/sqlite/db.h: one connection to the file, its statements prepared once each, and its failures as statuses.
 *
 * Threads   a connection belongs to one thread at a time: the leader of a group, or who borrowed a reader. */
#ifndef MFI_SQLITE_DB_H
#define MFI_SQLITE_DB_H

#include <mageflow/base.h>

#include <sqlite3.h>

#include "schema.h"

#define MFI_BUSY_MS 10000    /* how long another process's transaction is waited for, unless a test says otherwise */

struct mfi_sq_db {
    sqlite3      *at;
    sqlite3_stmt *stmts[MFI_SQL_STATEMENTS];
    const char   *path;                          /* borrowed; for error texts */
    int64_t       busy_ms, busy_since_ms;
    int64_t       log_size;                      /* bytes, when this connection last looked; 0: never */
    bool          full_sync;
};

/** Open the file and see that it is ours, or new, and of a schema we know; the first one makes the tables. Each way that
 * this can go wrong has a text of its own. */
MF_NODISCARD mf_status mfi_sq_db_open(struct mfi_sq_db *db, const char *path, int64_t busy_ms, bool create, mf_error *err);
void mfi_sq_db_close(struct mfi_sq_db *db);

/** What SQLite said last, as a status: MF_E_NOMEM; MF_E_IO for what may pass (no room, locked by somebody, a disk that does
 * not answer) and what the text tells how to mend; MF_E_TOO_BIG. */
mf_status mfi_sq_db_fail(struct mfi_sq_db *db, mf_error *err);
/** Whether a transaction is open. SQLite itself ends one on some errors. */
bool mfi_sq_db_in_transaction(const struct mfi_sq_db *db);
/** In a transaction that holds the write lock: where the log has outgrown what it had, give it room ahead, so that the next
 * commits write over bytes that are there. What cannot be had is done without. */
void mfi_sq_db_reserve(struct mfi_sq_db *db);
/** Whether a commit waits for the disk, from the next transaction on. */
MF_NODISCARD mf_status mfi_sq_db_sync(struct mfi_sq_db *db, bool full, mf_error *err);

/* ---- statements: a cursor that remembers the first failure -------------------------------------------------------- */

/** A statement on its way: bind its parameters in order, then run it or step over its rows.
 *
 *     struct mfi_sq_row q = mfi_sq_query(db, MFI_SQL_OUTCOME_FIND);
 *     mfi_sq_bind(&q, place);
 *     bool known = mfi_sq_next(&q);
 *     st = mfi_sq_done(&q, err);
 */
struct mfi_sq_row {
    struct mfi_sq_db *db;
    sqlite3_stmt  *at;
    int            bound;
    int            rc;
};

struct mfi_sq_row mfi_sq_query(struct mfi_sq_db *db, enum mfi_sql sql);
void mfi_sq_bind(struct mfi_sq_row *q, int64_t value);
void mfi_sq_bind_null(struct mfi_sq_row *q);
/** Texts and bytes are borrowed until mfi_sq_done. An empty one is bound as empty, not as NULL. */
void mfi_sq_bind_text(struct mfi_sq_row *q, const char *text);
void mfi_sq_bind_bytes(struct mfi_sq_row *q, mf_str bytes);
/** The next row; false: there are no more, or something failed. */
bool mfi_sq_next(struct mfi_sq_row *q);
/** The end of the statement, needed in any case; its failure if it had one. */
MF_NODISCARD mf_status mfi_sq_done(struct mfi_sq_row *q, mf_error *err);
/** Run to the end a statement that gives no rows. */
MF_NODISCARD mf_status mfi_sq_run(struct mfi_sq_row *q, mf_error *err);
/** The same for one that takes integers alone: mfi_sq_exec(db, sql, err, a, b). */
#define mfi_sq_exec(db, sql, err, ...) \
    mfi_sq_exec_all((db), (sql), (err), (const int64_t[]){__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))
MF_NODISCARD mf_status mfi_sq_exec_all(struct mfi_sq_db *db, enum mfi_sql sql, mf_error *err, const int64_t *values, size_t n);

static inline int64_t mfi_sq_int(const struct mfi_sq_row *q, int column)
{
    return sqlite3_column_int64(q->at, column);
}
static inline bool mfi_sq_is_null(const struct mfi_sq_row *q, int column)
{
    return sqlite3_column_type(q->at, column) == SQLITE_NULL;
}
/** Borrowed until the next step. */
mf_str mfi_sq_bytes(const struct mfi_sq_row *q, int column);

#endif
