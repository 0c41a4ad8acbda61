#include "schema.h"

const char mfi_sq_schema[] =
    "CREATE TABLE meta("
    "  one INTEGER PRIMARY KEY CHECK(one = 1), last_entry INTEGER NOT NULL, last_id INTEGER NOT NULL, last_record INTEGER NOT NULL,"
    "  clock_ms INTEGER NOT NULL, commits INTEGER NOT NULL, sweeps INTEGER NOT NULL);"
    "INSERT INTO meta VALUES(1, 0, 0, 0, 0, 0, 0);"
    "CREATE TABLE boots(one INTEGER PRIMARY KEY CHECK(one = 1), boot TEXT NOT NULL, ahead_ms INTEGER NOT NULL);"
    "INSERT INTO boots VALUES(1, '', 0);"

    "CREATE TABLE records("
    "  rec INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, kind INTEGER NOT NULL, numbered INTEGER NOT NULL,"
    "  root INTEGER NOT NULL, container TEXT,"
    "  version INTEGER NOT NULL, epoch INTEGER NOT NULL, status INTEGER NOT NULL, last_status INTEGER NOT NULL,"
    "  closed INTEGER NOT NULL, total INTEGER NOT NULL, expected INTEGER NOT NULL, next INTEGER NOT NULL,"
    "  running INTEGER NOT NULL, done INTEGER NOT NULL, failed INTEGER NOT NULL, canceled INTEGER NOT NULL,"
    "  priority INTEGER NOT NULL, created_ms INTEGER NOT NULL, started_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL,"
    "  deadline_ms INTEGER NOT NULL, lock INTEGER NOT NULL, lock_until_ms INTEGER NOT NULL,"
    "  kwargs, input, inherited, result, cursor BLOB);"
    "CREATE TABLE record_specs(rec INTEGER PRIMARY KEY, body BLOB NOT NULL);"
    "CREATE TABLE messages(id INTEGER PRIMARY KEY, body BLOB NOT NULL);"
    "CREATE TABLE deadlines(ended INTEGER, at_ms INTEGER, rec INTEGER, PRIMARY KEY(ended, at_ms, rec)) WITHOUT ROWID;"

    "CREATE TABLE item_pages(place INTEGER PRIMARY KEY, count INTEGER NOT NULL, keyed INTEGER NOT NULL, body BLOB NOT NULL);"
    "CREATE TABLE outcomes(place INTEGER PRIMARY KEY, status INTEGER NOT NULL, value BLOB);"
    "CREATE TABLE calls(id INTEGER PRIMARY KEY, hash INTEGER NOT NULL, pinned INTEGER NOT NULL, body BLOB NOT NULL);"
    "CREATE INDEX calls_hash ON calls(hash);"

    "CREATE TABLE entries("
    "  id INTEGER PRIMARY KEY, spec NOT NULL, unit_key TEXT, unit_index INTEGER NOT NULL, unit_epoch INTEGER NOT NULL,"
    "  attempt INTEGER NOT NULL, priority INTEGER NOT NULL, due_ms INTEGER NOT NULL, deaths INTEGER NOT NULL,"
    "  message BLOB, error BLOB, parked TEXT);"
    "CREATE TABLE ready(rank INTEGER, due_ms INTEGER, id INTEGER, PRIMARY KEY(rank, due_ms, id)) WITHOUT ROWID;"
    "CREATE TABLE delayed(due_ms INTEGER, id INTEGER, PRIMARY KEY(due_ms, id)) WITHOUT ROWID;"
    "CREATE TABLE parked(key TEXT, id INTEGER, PRIMARY KEY(key, id)) WITHOUT ROWID;"
    "CREATE TABLE claims("
    "  token INTEGER PRIMARY KEY, owner INTEGER NOT NULL, entry INTEGER NOT NULL, place INTEGER, epoch INTEGER NOT NULL);"
    "CREATE INDEX claims_place ON claims(place) WHERE place IS NOT NULL;"

    "CREATE TABLE notes(space BLOB, name BLOB, expires_ms INTEGER NOT NULL, value BLOB NOT NULL,"
    "  PRIMARY KEY(space, name)) WITHOUT ROWID;"
    "CREATE INDEX notes_expiry ON notes(expires_ms) WHERE expires_ms <> 0;"
    "CREATE TABLE logs(place INTEGER PRIMARY KEY, line BLOB NOT NULL);"
    "CREATE TABLE progress(rec INTEGER PRIMARY KEY, body BLOB NOT NULL);";

const char *const mfi_sq_upgrades[MFI_SCHEMA_VERSION - 1] = {
    "CREATE TABLE retries(place INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, attempt INTEGER NOT NULL);",
};

#define STATE "version, epoch, status, last_status, closed, total, expected, next, running, done, failed, canceled, " \
              "priority, started_ms, ended_ms, deadline_ms, lock, lock_until_ms, kwargs, input, inherited, result, cursor"
#define ENTRY "id, spec, unit_key, unit_index, unit_epoch, attempt, priority, due_ms, deaths, message, error"

const char *const mfi_sql_text[MFI_SQL_STATEMENTS] = {
    [MFI_SQL_BEGIN] = "BEGIN IMMEDIATE",
    [MFI_SQL_COMMIT] = "COMMIT",
    [MFI_SQL_ROLLBACK] = "ROLLBACK",
    [MFI_SQL_BEGIN_READ] = "BEGIN",
    [MFI_SQL_DATA_VERSION] = "PRAGMA data_version",
    [MFI_SQL_META_READ] = "SELECT last_entry, last_id, last_record, clock_ms, commits, sweeps,"
                          " EXISTS(SELECT 1 FROM retries) FROM meta",
    [MFI_SQL_META_WRITE] = "UPDATE meta SET last_entry = ?, last_id = ?, last_record = ?, clock_ms = ?, commits = ?,"
                           " sweeps = ?",
    [MFI_SQL_BOOT_READ] = "SELECT boot, ahead_ms FROM boots",
    [MFI_SQL_BOOT_WRITE] = "UPDATE boots SET boot = ?, ahead_ms = ?",

    [MFI_SQL_HEAD_FIND] = "SELECT rec, kind, numbered, container, version, epoch, status, next, running, started_ms,"
                          " deadline_ms, lock, lock_until_ms, kwargs, input, inherited, result FROM records WHERE key = ?",
    [MFI_SQL_RECORD_READ] = "SELECT rec, created_ms, " STATE " FROM records WHERE key = ?",
    [MFI_SQL_RECORD_INSERT] = "INSERT INTO records(" STATE ", rec, key, kind, numbered, root, container, created_ms)"
                              " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?, ?,?,?,?,?,?,?)",
    [MFI_SQL_RECORD_UPDATE] =
        "UPDATE records SET version = ?, epoch = ?, status = ?, last_status = ?, closed = ?, total = ?, expected = ?,"
        " next = ?, running = ?, done = ?, failed = ?, canceled = ?, priority = ?, started_ms = ?, ended_ms = ?,"
        " deadline_ms = ?, lock = ?, lock_until_ms = ?, kwargs = ?, input = ?, inherited = ?, result = ?, cursor = ?"
        " WHERE rec = ?",
    [MFI_SQL_RECORD_ACTIVATE] = "UPDATE records SET status = ?2, last_status = ?3, started_ms = ?4 WHERE rec = ?1",
    [MFI_SQL_RECORD_DELETE] = "DELETE FROM records WHERE rec = ?",
    [MFI_SQL_RECORD_LIST] = "SELECT rec, key FROM records WHERE rec < ?1 AND (?2 = 0 OR kind = ?2)"
                            " AND (?3 = 0 OR (?3 >> status) & 1) AND (?4 = 0 OR root) ORDER BY rec DESC LIMIT ?5",
    [MFI_SQL_RECORD_NUMBER] = "SELECT rec FROM records WHERE key = ?",
    [MFI_SQL_SPEC_READ] = "SELECT body FROM record_specs WHERE rec = ?",
    [MFI_SQL_SPEC_INSERT] = "INSERT INTO record_specs VALUES(?, ?)",
    [MFI_SQL_SPEC_DELETE] = "DELETE FROM record_specs WHERE rec = ?",
    [MFI_SQL_MESSAGE_READ] = "SELECT body FROM messages WHERE id = ?",
    [MFI_SQL_MESSAGE_INSERT] = "INSERT INTO messages VALUES(?, ?)",
    [MFI_SQL_MESSAGE_DELETE] = "DELETE FROM messages WHERE id = ?",
    [MFI_SQL_DEADLINE_INSERT] = "INSERT INTO deadlines VALUES(?, ?, ?)",
    [MFI_SQL_DEADLINE_DELETE] = "DELETE FROM deadlines WHERE ended = ? AND at_ms = ? AND rec = ?",
    [MFI_SQL_DEADLINE_LIST] = "SELECT d.rec, d.at_ms, r.key FROM deadlines d CROSS JOIN records r ON r.rec = d.rec"
                              " WHERE ended = ?1 AND at_ms <= ?2 ORDER BY at_ms, d.rec LIMIT ?3",
    [MFI_SQL_DEADLINE_FIRST] = "SELECT min(at_ms) FROM deadlines WHERE ended = ?1 AND at_ms > ?2",

    [MFI_SQL_PAGE_LAST] = "SELECT place + count FROM item_pages WHERE place >= ?1 AND place < ?2 ORDER BY place DESC LIMIT 1",
    [MFI_SQL_PAGE_INSERT] = "INSERT INTO item_pages VALUES(?, ?, ?, ?)",
    [MFI_SQL_PAGES_READ] = "SELECT place, count, body FROM item_pages WHERE place >= coalesce((SELECT max(place) FROM"
                           " item_pages WHERE place BETWEEN ?1 AND ?2), ?2) AND place < ?3 AND keyed >= ?4 ORDER BY place",
    [MFI_SQL_PAGES_DELETE] = "DELETE FROM item_pages WHERE place >= ? AND place < ?",
    [MFI_SQL_OUTCOME_FIND] = "SELECT 1 FROM outcomes WHERE place = ?",
    [MFI_SQL_OUTCOME_INSERT] = "INSERT OR IGNORE INTO outcomes VALUES(?, ?, ?)",
    [MFI_SQL_OUTCOME_LAST] = "SELECT max(place) FROM outcomes WHERE place >= ? AND place < ?",
    [MFI_SQL_OUTCOMES_READ] = "SELECT place, status, value FROM outcomes WHERE place >= ? AND place < ? ORDER BY place",
    [MFI_SQL_OUTCOMES_DELETE] = "DELETE FROM outcomes WHERE place >= ? AND place < ?",
    [MFI_SQL_RETRY_FIND] = "SELECT 1 FROM retries WHERE place = ? AND epoch = ? AND attempt > ?",
    [MFI_SQL_RETRY_WRITE] =
        "INSERT INTO retries VALUES(?, ?, ?) ON CONFLICT(place) DO UPDATE SET epoch = excluded.epoch, attempt = excluded.attempt"
        " WHERE (excluded.epoch, excluded.attempt) > (epoch, attempt)",
    [MFI_SQL_RETRIES_DELETE] = "DELETE FROM retries WHERE place >= ? AND place < ?",
    [MFI_SQL_CALL_READ] = "SELECT body, pinned FROM calls WHERE id = ?",
    [MFI_SQL_CALL_FIND] = "SELECT id, pinned FROM calls WHERE hash = ? AND body = ?",
    [MFI_SQL_CALL_INSERT] = "INSERT INTO calls VALUES(?, ?, ?, ?)",
    [MFI_SQL_CALL_USE] = "UPDATE calls SET pinned = 1 WHERE id = ?",
    [MFI_SQL_CALLS_SWEEP] = "DELETE FROM calls WHERE pinned = 0 AND id NOT IN"
                            " (SELECT spec FROM entries WHERE typeof(spec) = 'integer')",

    [MFI_SQL_ENTRY_READ] = "SELECT " ENTRY " FROM entries WHERE id = ?",
    [MFI_SQL_ENTRY_INSERT] = "INSERT INTO entries(" ENTRY ", parked) VALUES(?,?,?,?,?,?,?,?,?,?,?,?)",
    [MFI_SQL_ENTRY_DELETE] = "DELETE FROM entries WHERE id = ?",
    [MFI_SQL_ENTRY_DUE] = "UPDATE entries SET due_ms = ?2 WHERE id = ?1",
    [MFI_SQL_ENTRY_DEATH] = "UPDATE entries SET deaths = deaths + 1 WHERE id = ?",
    [MFI_SQL_READY_INSERT] = "INSERT INTO ready VALUES(?, ?, ?)",
    [MFI_SQL_READY_DELETE] = "DELETE FROM ready WHERE rank = ? AND due_ms = ? AND id = ?",
    [MFI_SQL_READY_TRIM] = "DELETE FROM ready WHERE (rank, due_ms, id) <= (?, ?, ?)",
    [MFI_SQL_READY_LIST] = "SELECT e.id, spec, unit_key, unit_index, unit_epoch, attempt, priority, e.due_ms, deaths,"
                           " message, error FROM ready r CROSS JOIN entries e ON e.id = r.id"
                           " ORDER BY r.rank, r.due_ms, r.id LIMIT ?",
    [MFI_SQL_READY_FIRST] = "SELECT due_ms FROM ready ORDER BY rank, due_ms, id LIMIT 1",
    [MFI_SQL_DELAYED_INSERT] = "INSERT INTO delayed VALUES(?, ?)",
    [MFI_SQL_DELAYED_DELETE] = "DELETE FROM delayed WHERE due_ms = ? AND id = ?",
    [MFI_SQL_DELAYED_FIRST] = "SELECT min(due_ms) FROM delayed",
    [MFI_SQL_DELAYED_RIPEN] = "INSERT INTO ready SELECT -e.priority, d.due_ms, d.id FROM delayed d CROSS JOIN entries e"
                              " ON e.id = d.id WHERE d.due_ms <= ?",
    [MFI_SQL_DELAYED_TRIM] = "DELETE FROM delayed WHERE due_ms <= ?",
    [MFI_SQL_PARKED_INSERT] = "INSERT INTO parked VALUES(?, ?)",
    [MFI_SQL_PARKED_DELETE] = "DELETE FROM parked WHERE key = ? AND id = ?",
    [MFI_SQL_ENTRY_WHERE] = "SELECT priority, due_ms, parked FROM entries WHERE id = ?",
    [MFI_SQL_UNPARK_DUE] = "UPDATE entries SET due_ms = ?2 WHERE id IN (SELECT id FROM parked WHERE key = ?1)",
    [MFI_SQL_UNPARK_READY] = "INSERT INTO ready SELECT -e.priority, ?2, p.id FROM parked p CROSS JOIN entries e"
                             " ON e.id = p.id WHERE p.key = ?1",
    [MFI_SQL_UNPARK] = "DELETE FROM parked WHERE key = ?",
    [MFI_SQL_CLAIM_INSERT] = "INSERT INTO claims VALUES(?, ?, ?, ?, ?)",
    [MFI_SQL_CLAIM_READ] = "SELECT entry FROM claims WHERE token = ?",
    [MFI_SQL_CLAIM_DELETE] = "DELETE FROM claims WHERE token = ?",
    [MFI_SQL_CLAIM_HELD] = "SELECT 1 FROM claims WHERE place = ? AND epoch = ?",
    [MFI_SQL_CLAIM_OF_ENTRY] = "DELETE FROM claims WHERE entry = ?",
    [MFI_SQL_CLAIM_OWNERS] = "SELECT DISTINCT owner FROM claims WHERE owner <> ?",
    [MFI_SQL_CLAIMS_OF_OWNER] = "SELECT token, entry FROM claims WHERE owner = ? LIMIT 256",
    [MFI_SQL_COUNTS] = "SELECT (SELECT count(*) FROM ready) + (SELECT count(*) FROM delayed) + (SELECT count(*) FROM parked),"
                       " (SELECT count(*) FROM claims)",

    [MFI_SQL_NOTE_READ] = "SELECT value FROM notes WHERE space = ?1 AND name = ?2 AND (expires_ms = 0 OR expires_ms > ?3)",
    [MFI_SQL_NOTE_WRITE] = "INSERT OR REPLACE INTO notes VALUES(?, ?, ?, ?)",
    [MFI_SQL_NOTE_DELETE] = "DELETE FROM notes WHERE space = ? AND name = ?",
    [MFI_SQL_NOTE_LIST] = "SELECT name, value, expires_ms FROM notes WHERE space = ?1 AND name > ?2"
                          " AND (expires_ms = 0 OR expires_ms > ?3) ORDER BY name LIMIT ?4",
    [MFI_SQL_NOTES_EXPIRE] = "DELETE FROM notes WHERE (space, name) IN"
                             " (SELECT space, name FROM notes WHERE expires_ms <> 0 AND expires_ms <= ?1 LIMIT ?2)",
    [MFI_SQL_LOG_ENDS] = "SELECT min(place), max(place) FROM (SELECT (SELECT min(place) FROM logs WHERE place >= ?1 AND"
                         " place < ?2) AS place UNION ALL SELECT (SELECT max(place) FROM logs WHERE place >= ?1 AND place < ?2))",
    [MFI_SQL_LOG_INSERT] = "INSERT INTO logs VALUES(?, ?)",
    [MFI_SQL_LOG_DELETE] = "DELETE FROM logs WHERE place = ?",
    [MFI_SQL_LOG_READ] = "SELECT line FROM logs WHERE place = ?",
    [MFI_SQL_LOG_LINES] = "SELECT place, line FROM logs WHERE place >= ? AND place < ? ORDER BY place LIMIT ?",
    [MFI_SQL_LOGS_DELETE] = "DELETE FROM logs WHERE place >= ? AND place < ?",
    [MFI_SQL_PROGRESS_READ] = "SELECT body FROM progress WHERE rec = ?",
    [MFI_SQL_PROGRESS_WRITE] = "INSERT OR REPLACE INTO progress VALUES(?, ?)",
    [MFI_SQL_PROGRESS_DELETE] = "DELETE FROM progress WHERE rec = ?",
};
