/* support/temp_store.h: a path for a store in a file, and the end of what was made there. */
#ifndef MFT_TEMP_STORE_H
#define MFT_TEMP_STORE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char temp_store_path[256];

/* The store's file and those that SQLite and we keep beside it. */
static inline void temp_store_remove(const char *path)
{
    static const char *const tails[] = {"", "-wal", "-shm", "-journal", "-lock"};
    char name[300];
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        snprintf(name, sizeof name, "%s%s", path, tails[i]);
        unlink(name);
    }
}

static inline void temp_store_clean(void)
{
    if (temp_store_path[0] != '\0')
        temp_store_remove(temp_store_path);
    temp_store_path[0] = '\0';
}

/* A path where nothing is yet, in memory where the system has a file system there: what waits for a disk is another test's
 * subject. What the path before it names is taken away. */
static inline const char *temp_store_new(void)
{
    static unsigned count;
    const char *dir = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");
    temp_store_clean();
    snprintf(temp_store_path, sizeof temp_store_path, "%s/mageflow-test-%ld-%u.db", dir != NULL ? dir : "/tmp", (long)getpid(),
             ++count);
    temp_store_remove(temp_store_path);
    return temp_store_path;
}

#endif
