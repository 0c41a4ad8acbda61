#include "shim.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

struct shim shim;

/* The real file stands behind ours. */
struct shim_file {
    sqlite3_file base;
    bool         kept;    /* the database or its log */
};

static sqlite3_vfs *real_vfs, shim_vfs;

static sqlite3_file *real(sqlite3_file *file)
{
    return (sqlite3_file *)(void *)((struct shim_file *)(void *)file + 1);
}

static int hurdle(sqlite3_file *file)
{
    if (!((struct shim_file *)(void *)file)->kept)
        return SQLITE_OK;
    long call = atomic_fetch_add(&shim.calls, 1) + 1, fail_at = atomic_load(&shim.fail_at);
    bool fails = fail_at != 0 && (call == fail_at || (call > fail_at && atomic_load(&shim.fail_on)));
    return fails ? atomic_load(&shim.fail_with) : SQLITE_OK;
}

static int shim_close(sqlite3_file *f) { return real(f)->pMethods->xClose(real(f)); }
static int shim_read(sqlite3_file *f, void *at, int n, sqlite3_int64 from) { return real(f)->pMethods->xRead(real(f), at, n, from); }
static int shim_size(sqlite3_file *f, sqlite3_int64 *size) { return real(f)->pMethods->xFileSize(real(f), size); }
static int shim_lock(sqlite3_file *f, int how) { return real(f)->pMethods->xLock(real(f), how); }
static int shim_unlock(sqlite3_file *f, int how) { return real(f)->pMethods->xUnlock(real(f), how); }
static int shim_reserved(sqlite3_file *f, int *out) { return real(f)->pMethods->xCheckReservedLock(real(f), out); }
static int shim_control(sqlite3_file *f, int op, void *arg) { return real(f)->pMethods->xFileControl(real(f), op, arg); }
static int shim_sector(sqlite3_file *f) { return real(f)->pMethods->xSectorSize(real(f)); }
static int shim_traits(sqlite3_file *f) { return real(f)->pMethods->xDeviceCharacteristics(real(f)); }
static int shim_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
    return real(f)->pMethods->xShmMap(real(f), page, size, extend, out);
}
static int shim_shmlock(sqlite3_file *f, int at, int n, int how) { return real(f)->pMethods->xShmLock(real(f), at, n, how); }
static void shim_barrier(sqlite3_file *f) { real(f)->pMethods->xShmBarrier(real(f)); }
static int shim_unmap(sqlite3_file *f, int drop) { return real(f)->pMethods->xShmUnmap(real(f), drop); }

static int shim_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    int rc = hurdle(f);
    return rc != SQLITE_OK ? rc : real(f)->pMethods->xTruncate(real(f), size);
}

static int shim_write(sqlite3_file *f, const void *at, int n, sqlite3_int64 to)
{
    int rc = hurdle(f);
    if (rc != SQLITE_OK)
        return rc;
    if (((struct shim_file *)(void *)f)->kept)
        atomic_fetch_add(&shim.writes, 1);
    return real(f)->pMethods->xWrite(real(f), at, n, to);
}

static int shim_sync(sqlite3_file *f, int flags)
{
    int rc = hurdle(f);
    if (rc != SQLITE_OK)
        return rc;
    if (((struct shim_file *)(void *)f)->kept) {
        atomic_fetch_add(&shim.syncs, 1);
        if (shim.on_sync != NULL)
            shim.on_sync(shim.user);
    }
    return real(f)->pMethods->xSync(real(f), flags);
}

static const sqlite3_io_methods methods = {
    2, shim_close, shim_read, shim_write, shim_truncate, shim_sync, shim_size, shim_lock, shim_unlock, shim_reserved,
    shim_control, shim_sector, shim_traits, shim_map, shim_shmlock, shim_barrier, shim_unmap, NULL, NULL,
};

static int shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
    struct shim_file *ours = (struct shim_file *)(void *)file;
    (void)vfs;
    ours->kept = (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)) != 0;
    int rc = real_vfs->xOpen(real_vfs, name, real(file), flags, out);
    file->pMethods = real(file)->pMethods == NULL ? NULL : &methods;
    return rc;
}

void shim_install(void)
{
    real_vfs = sqlite3_vfs_find(NULL);
    shim_vfs = *real_vfs;
    shim_vfs.zName = "shim";
    shim_vfs.szOsFile = (int)sizeof(struct shim_file) + real_vfs->szOsFile;
    shim_vfs.xOpen = shim_open;
    sqlite3_vfs_register(&shim_vfs, 1);
    shim_reset();
}

void shim_reset(void)
{
    memset(&shim, 0, sizeof shim);
}
