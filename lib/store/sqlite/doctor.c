/* What can be wrong with a file of flows and the disk it lies on, told before it hurts. What is wrong with its form (another program's
 * database, a newer schema, no right to write) the opening has told already. */
#include "sqlite_store.h"

#include "finding.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#define MIB (INT64_C(1) << 20)
#define ROOM_LEAST   (16 * MIB)     /* of free space: below it the next commits fail; */
#define ROOM_SOON    (512 * MIB)    /* below it some day soon */
#define LOG_MOST     (256 * MIB)    /* of the write-ahead log: more means that it is not folded back into the file */
#define CHECK_MOST   (64 * MIB)     /* a file up to this is read through */

/* One value of a PRAGMA as text; what cannot be asked is its own text. */
static void pragma(struct mfi_sq_db *db, const char *sql, char *out, size_t size)
{
    sqlite3_stmt *stmt = NULL;
    snprintf(out, size, "cannot be asked: %s", sqlite3_errmsg(db->at));
    if (sqlite3_prepare_v2(db->at, sql, -1, &stmt, NULL) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
        snprintf(out, size, "%s", (const char *)sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
}

static void look_at_form(struct mfi_sq_db *db, int64_t size, const mfi_teller *t)
{
    char mode[200], version[200], check[200] = "";
    pragma(db, "PRAGMA journal_mode", mode, sizeof mode);
    bool wal = strcmp(mode, "wal") == 0;
    mfi_tell(t, wal ? MF_FINDING_OK : MF_FINDING_ERROR, "journal", "journal_mode wal: readers do not wait, and a commit is one write",
             "close what else has the file open, and open it here again, which sets it", "journal_mode %s", mode);
    pragma(db, "PRAGMA user_version", version, sizeof version);
    char expected[40];
    snprintf(expected, sizeof expected, "schema version %d", MFI_SCHEMA_VERSION);
    mfi_tell(t, strtol(version, NULL, 10) == MFI_SCHEMA_VERSION ? MF_FINDING_OK : MF_FINDING_ERROR, "schema", expected,
             "use the mageflow that wrote the file, or a newer one", "schema version %s", version);
    if (size > CHECK_MOST) {
        mfi_tell(t, MF_FINDING_OK, "integrity", "PRAGMA quick_check finds nothing", "", "not looked at: %" PRId64 " MiB take their time; "
                 "sqlite3 -readonly FILE 'PRAGMA quick_check'", size / MIB);
        return;
    }
    pragma(db, "PRAGMA quick_check(1)", check, sizeof check);
    mfi_tell(t, strcmp(check, "ok") == 0 ? MF_FINDING_OK : MF_FINDING_ERROR, "integrity", "PRAGMA quick_check finds nothing",
             "stop the workers, keep a copy of the file with its -wal and -shm, and recover it: sqlite3 FILE .recover", "%s", check);
}

static void look_at_disk(const char *path, const mfi_teller *t)
{
    static const char expected[] = "512 MiB or more free on its disk";
    struct statvfs disk;
    if (statvfs(path, &disk) != 0) {
        mfi_tell(t, MF_FINDING_WARN, "space", expected, "look at the file and its directory", "cannot be asked");
        return;
    }
    int64_t room = (int64_t)(disk.f_bavail > (uint64_t)INT64_MAX / disk.f_frsize ? INT64_MAX : (int64_t)(disk.f_bavail * disk.f_frsize));
    mfi_tell(t, room < ROOM_LEAST ? MF_FINDING_ERROR : room < ROOM_SOON ? MF_FINDING_WARN : MF_FINDING_OK, "space", expected,
             "make room: without it commits are refused, and tried again until there is some", "%" PRId64 " MiB free", room / MIB);
}

/* Locks and shared memory do not reach over a network. */
static void look_at_file_system(const char *path, const mfi_teller *t)
{
    static const struct { uint64_t magic; const char *name; } remote[] = {
        {0x6969, "NFS"}, {0xff534d42, "CIFS"}, {0xfe534d42, "SMB2"}, {0x517b, "SMB"}, {0x01021997, "9P"}, {0x00c36400, "Ceph"},
        {0x5346414f, "AFS"}, {0x47504653, "GPFS"}, {0x0bd00bd0, "Lustre"},
    };
    struct statfs fs;
    const char *name = NULL;
    if (statfs(path, &fs) != 0)
        return;
    for (size_t i = 0; i < sizeof remote / sizeof *remote; i++)
        if ((uint64_t)fs.f_type == remote[i].magic)
            name = remote[i].name;
    mfi_tell(t, name == NULL ? MF_FINDING_OK : MF_FINDING_ERROR, "file-system", "a file system of this machine", "move the file to a local "
             "disk; for several machines take a redis: store", "%s%s", name == NULL ? "none that is known to lie on another machine" : name,
             name == NULL ? "" : ", which lies on another machine");
}

static void look_at_log(const char *path, const mfi_teller *t)
{
    char name[4200];
    struct stat file;
    snprintf(name, sizeof name, "%s-wal", path);
    int64_t size = stat(name, &file) == 0 ? file.st_size : 0;
    mfi_tell(t, size > LOG_MOST ? MF_FINDING_WARN : MF_FINDING_OK, "log", "a write-ahead log of 256 MiB at most", "find what reads the file for "
             "so long (a backup, a shell with an open transaction) and end it", "%" PRId64 " MiB", size / MIB);
}

static mf_status nothing(struct mfi_sqlite *s, struct mfi_sq_op *op)
{
    (void)s;
    (void)op;
    return MF_OK;
}

/* The same way that everything goes which is kept: begun, committed, on the disk. */
static void look_at_writing(struct mfi_sqlite *s, const mfi_teller *t)
{
    mf_error err = {.text = ""};
    struct mfi_sq_op op = {.run = nothing, .durable = true, .err = &err};
    mf_status st = mfi_sq_submit(s, &op);
    mfi_tell(t, st == MF_OK ? MF_FINDING_OK : MF_FINDING_ERROR, "write", "a transaction can be committed", "mend what the text says",
             "%s", st == MF_OK ? "it can" : err.text);
}

void mfi_sqlite_doctor(mf_store *base, mf_finding_fn *tell, void *user)
{
    struct mfi_sqlite *s = mfi_sqlite_of(base);
    mfi_teller t = {.tell = tell, .user = user, .where = s->path};
    mf_error err = {.text = ""};
    struct mfi_sq_db *db = NULL;
    struct stat file;
    int64_t size = stat(s->full_path, &file) == 0 ? file.st_size : 0;
    if (mfi_sq_reader_borrow(s, false, &db, &err) == MF_OK) {
        look_at_form(db, size, &t);
        mfi_sq_reader_return(s, db);
    } else {
        mfi_tell(&t, MF_FINDING_ERROR, "read", "the file can be read", "mend what the text says", "%s", err.text);
    }
    look_at_writing(s, &t);
    look_at_disk(s->full_path, &t);
    look_at_file_system(s->full_path, &t);
    look_at_log(s->full_path, &t);
}
