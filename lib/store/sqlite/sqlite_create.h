/* store/sqlite/sqlite_create.h: all that the factory knows of the SQLite store. */
#ifndef MFI_SQLITE_CREATE_H
#define MFI_SQLITE_CREATE_H

#include <mageflow/store.h>

/** Open FILE, or make it, as a store. path is copied; allocator and clock are borrowed, NULL: the defaults.
 *
 * MF_E_INVALID: not a file, or another program's database; MF_E_MALFORMED: no database, or a damaged one;
 * MF_E_UNSUPPORTED: written by a newer mageflow; MF_E_NOT_FOUND: no such directory; MF_E_IO, MF_E_NOMEM. */
MF_NODISCARD mf_status mfi_sqlite_store_create(const char *path, const mf_allocator *allocator, const mf_clock *clock,
                                               mf_store **out, mf_error *err);

/** The same, and how long a lock of another process is waited for, in milliseconds: for tests, which do not wait 10 s. */
MF_NODISCARD mf_status mfi_sqlite_store_open(const char *path, const mf_allocator *allocator, const mf_clock *clock,
                                             int64_t busy_ms, mf_store **out, mf_error *err);

#endif
