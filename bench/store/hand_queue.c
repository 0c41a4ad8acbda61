#include "hand_queue.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

struct hand_queue {
    sqlite3      *db;
    sqlite3_stmt *begin, *first, *result, *remove, *commit;
};

static const unsigned char message[20];

static int plain(hand_queue *q, const char *sql)
{
    int rc = sqlite3_exec(q->db, sql, NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        fprintf(stderr, "hand_queue: %s: %s\n", sql, sqlite3_errmsg(q->db));
    return rc;
}

static sqlite3_stmt *prepare(hand_queue *q, const char *sql)
{
    sqlite3_stmt *at = NULL;
    if (sqlite3_prepare_v3(q->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &at, NULL) != SQLITE_OK)
        fprintf(stderr, "hand_queue: %s: %s\n", sql, sqlite3_errmsg(q->db));
    return at;
}

static int run(sqlite3_stmt *at)
{
    int rc = sqlite3_step(at);
    sqlite3_reset(at);
    return rc;
}

static void fill(hand_queue *q, unsigned long long n)
{
    sqlite3_stmt *insert = prepare(q, "INSERT INTO queue(message) VALUES(?)");
    plain(q, "BEGIN");
    for (unsigned long long i = 0; i < n; i++) {
        sqlite3_bind_blob(insert, 1, message, sizeof message, SQLITE_STATIC);
        run(insert);
    }
    plain(q, "COMMIT");
    sqlite3_finalize(insert);
}

hand_queue *hand_queue_open(const char *path, unsigned long long n)
{
    hand_queue *q = calloc(1, sizeof *q);
    if (q == NULL || sqlite3_open(path, &q->db) != SQLITE_OK ||
        plain(q, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=4000;"
                 "CREATE TABLE queue(id INTEGER PRIMARY KEY, message BLOB);"
                 "CREATE TABLE results(id INTEGER PRIMARY KEY, value BLOB)") != SQLITE_OK) {
        hand_queue_close(q);
        return NULL;
    }
    fill(q, n);
    q->begin = prepare(q, "BEGIN IMMEDIATE");
    q->first = prepare(q, "SELECT id, message FROM queue ORDER BY id LIMIT 1");
    q->result = prepare(q, "INSERT INTO results VALUES(?, ?)");
    q->remove = prepare(q, "DELETE FROM queue WHERE id = ?");
    q->commit = prepare(q, "COMMIT");
    return q;
}

unsigned long long hand_queue_drain(hand_queue *q)
{
    for (unsigned long long n = 0;; n++) {
        run(q->begin);
        if (sqlite3_step(q->first) != SQLITE_ROW) {
            sqlite3_reset(q->first);
            run(q->commit);
            return n;
        }
        sqlite3_int64 id = sqlite3_column_int64(q->first, 0);
        sqlite3_bind_int64(q->result, 1, id);
        sqlite3_bind_blob(q->result, 2, sqlite3_column_blob(q->first, 1), sqlite3_column_bytes(q->first, 1), SQLITE_TRANSIENT);
        sqlite3_reset(q->first);
        run(q->result);
        sqlite3_bind_int64(q->remove, 1, id);
        run(q->remove);
        if (run(q->commit) != SQLITE_DONE)
            return n;
    }
}

void hand_queue_close(hand_queue *q)
{
    if (q == NULL)
        return;
    sqlite3_finalize(q->begin);
    sqlite3_finalize(q->first);
    sqlite3_finalize(q->result);
    sqlite3_finalize(q->remove);
    sqlite3_finalize(q->commit);
    sqlite3_close(q->db);
    free(q);
}
