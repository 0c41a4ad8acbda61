/* unit/store/sqlite/kit.h: a store in a file, and a swarm in it, in a few words. All of it may be called in a child. */
#ifndef MFT_SQLITE_KIT_H
#define MFT_SQLITE_KIT_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <mageflow/store.h>

#include <sqlite3.h>

#include "sqlite_create.h"
#include "temp_store.h"

/* What has to be so for a test to make sense. Unlike an assertion it may stand in a forked child, whose assertions would
 * speak to Criterion's runner in the parent's name. */
#define KIT_MUST(condition)                                                                                            \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                            \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

#define is_status(got, want) cr_assert(eq(str, (char *)mf_status_name(got), (char *)mf_status_name(want)))

mf_store *kit_open(const char *path);
mf_key    kit_key(void);                              /* of the swarm */
mf_spec  *kit_call(void);                             /* of a plain task, to unref */
/* Put the swarm, active, with entries for its items 0 to n - 1. */
void      kit_swarm(mf_store *s, size_t n);
mf_entry  kit_entry(const mf_spec *call, uint64_t index);
/* Commit an entry for that item. */
mf_status kit_send(mf_store *s, uint64_t index, mf_error *err);
/* Take up to max, release their messages; the number taken. */
size_t    kit_take(mf_store *s, mf_taken *out, size_t max);
/* Record that item's outcome and settle its claim. */
mf_status kit_finish(mf_store *s, const mf_taken *taken);
/* Waiting + claimed, and how many outcomes the swarm has. */
size_t    kit_entries(mf_store *s);
size_t    kit_outcomes(mf_store *s);
/* The first cell of a query on the file itself, through a connection of its own. */
int64_t   kit_ask(const char *path, const char *sql);
/* What SQLite says of the file is "ok". */
bool      kit_is_whole(const char *path);

#endif
