/* unit/store/sqlite/shim.h: a file system between SQLite and the real one, that counts, fails and stands still on demand.
 *
 * Threads   any; the hooks run on the thread that writes. */
#ifndef MFT_SHIM_H
#define MFT_SHIM_H

#include <stdatomic.h>
#include <stdbool.h>

/* What happened so far, and what is to happen. */
extern struct shim {
    atomic_long syncs, writes;       /* of the database and its log */
    atomic_long fail_at;             /* the call, of both kinds together and from 1, that fails; 0: none */
    atomic_bool fail_on;             /* every one from there on fails */
    atomic_int  fail_with;           /* SQLITE_FULL, SQLITE_IOERR_WRITE, … */
    atomic_long calls;
    void      (*on_sync)(void *user);    /* before a sync; NULL: nothing */
    void       *user;
} shim;

/* Make it SQLite's file system from now on. */
void shim_install(void);
void shim_reset(void);

#endif
