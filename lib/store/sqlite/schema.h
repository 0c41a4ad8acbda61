/* store/sqlite/schema.h: the tables of a store's file, and every statement that is run on them.
 *
 *    meta           one row: the last numbers given to entries, records, and all else; store clock; number of commits; sweeps of
 *                   `calls`
 *    boots          one row: which boot of the machine the store clock was last set for, and by how much it is ahead
 *    records        a row a signature: its state; messages up to 1 KiB inline, longer ones as an id of `messages`
 *    record_specs   its spec, which does not change
 *    messages       long messages of states, written once however often the state is
 *    deadlines      (ended, when, record) of records that have one
 *    item_pages     up to 64 items appended together: [spec, message] each
 *    outcomes       one item's outcome
 *    retries        of a unit that was tried again: its latest attempt that was sent, and in which epoch (since version 2)
 *    calls          specs without a key, once each: what items and entries call
 *    entries        messages on their way, whole; where one is in its life tells the table that its id stands in:
 *    ready, delayed, parked      … due in the order of `take` · not due yet · waiting for a key
 *    claims         … in somebody's hands; entry 0: a claim of a message from elsewhere
 *    notes, logs, progress
 *
 * A record's number is below 2^31 and an index below 2^32, so that both make one 63-bit integer: item_pages, outcomes
 * and retries are keyed by it ("place"), which SQLite compares and finds fastest. Ids and record numbers are never used again. */
#ifndef MFI_SQLITE_SCHEMA_H
#define MFI_SQLITE_SCHEMA_H

#define MFI_SCHEMA_VERSION 2
#define MFI_APPLICATION_ID 0x6d67666c    /* "mgfl" */

extern const char mfi_sq_schema[];                                  /* version 1 */
extern const char *const mfi_sq_upgrades[MFI_SCHEMA_VERSION - 1];    /* from 1 to 2, and so on: a new file is brought up by them, too */

enum mfi_sql {
    MFI_SQL_BEGIN, MFI_SQL_COMMIT, MFI_SQL_ROLLBACK, MFI_SQL_BEGIN_READ, MFI_SQL_DATA_VERSION,
    MFI_SQL_META_READ, MFI_SQL_META_WRITE, MFI_SQL_BOOT_READ, MFI_SQL_BOOT_WRITE, MFI_SQL_HEAD_FIND,
    MFI_SQL_RECORD_READ, MFI_SQL_RECORD_INSERT, MFI_SQL_RECORD_UPDATE, MFI_SQL_RECORD_ACTIVATE, MFI_SQL_RECORD_DELETE,
    MFI_SQL_RECORD_LIST, MFI_SQL_RECORD_NUMBER, MFI_SQL_SPEC_READ, MFI_SQL_SPEC_INSERT, MFI_SQL_SPEC_DELETE,
    MFI_SQL_MESSAGE_READ, MFI_SQL_MESSAGE_INSERT, MFI_SQL_MESSAGE_DELETE, MFI_SQL_DEADLINE_INSERT,
    MFI_SQL_DEADLINE_DELETE, MFI_SQL_DEADLINE_LIST, MFI_SQL_DEADLINE_FIRST, MFI_SQL_PAGE_LAST, MFI_SQL_PAGE_INSERT,
    MFI_SQL_PAGES_READ, MFI_SQL_PAGES_DELETE, MFI_SQL_OUTCOME_FIND, MFI_SQL_OUTCOME_INSERT, MFI_SQL_OUTCOME_LAST,
    MFI_SQL_OUTCOMES_READ, MFI_SQL_OUTCOMES_DELETE, MFI_SQL_RETRY_FIND, MFI_SQL_RETRY_WRITE, MFI_SQL_RETRIES_DELETE,
    MFI_SQL_CALL_READ, MFI_SQL_CALL_FIND, MFI_SQL_CALL_INSERT,
    MFI_SQL_CALL_USE, MFI_SQL_CALLS_SWEEP, MFI_SQL_ENTRY_READ, MFI_SQL_ENTRY_INSERT, MFI_SQL_ENTRY_DELETE,
    MFI_SQL_ENTRY_DUE, MFI_SQL_ENTRY_DEATH, MFI_SQL_READY_INSERT, MFI_SQL_READY_DELETE, MFI_SQL_READY_TRIM,
    MFI_SQL_READY_LIST, MFI_SQL_READY_FIRST, MFI_SQL_DELAYED_INSERT, MFI_SQL_DELAYED_DELETE, MFI_SQL_DELAYED_FIRST,
    MFI_SQL_DELAYED_RIPEN, MFI_SQL_DELAYED_TRIM, MFI_SQL_PARKED_INSERT, MFI_SQL_PARKED_DELETE, MFI_SQL_ENTRY_WHERE,
    MFI_SQL_UNPARK_DUE, MFI_SQL_UNPARK_READY, MFI_SQL_UNPARK, MFI_SQL_CLAIM_INSERT, MFI_SQL_CLAIM_READ,
    MFI_SQL_CLAIM_DELETE, MFI_SQL_CLAIM_HELD, MFI_SQL_CLAIM_OF_ENTRY, MFI_SQL_CLAIM_OWNERS, MFI_SQL_CLAIMS_OF_OWNER,
    MFI_SQL_COUNTS, MFI_SQL_NOTE_READ, MFI_SQL_NOTE_WRITE, MFI_SQL_NOTE_DELETE, MFI_SQL_NOTE_LIST,
    MFI_SQL_NOTES_EXPIRE, MFI_SQL_LOG_ENDS, MFI_SQL_LOG_INSERT, MFI_SQL_LOG_DELETE, MFI_SQL_LOG_READ,
    MFI_SQL_LOG_LINES,    MFI_SQL_LOGS_DELETE, MFI_SQL_PROGRESS_READ, MFI_SQL_PROGRESS_WRITE, MFI_SQL_PROGRESS_DELETE, MFI_SQL_STATEMENTS
};

extern const char *const mfi_sql_text[MFI_SQL_STATEMENTS];

#endif
