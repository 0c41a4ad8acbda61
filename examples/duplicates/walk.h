/* walk.h: list a tree of files into a spool. */
#ifndef DUPLICATES_WALK_H
#define DUPLICATES_WALK_H

#include <mageflow/task.h>

struct walk_result {
    uint64_t files;          /* items for the swarm: regular files, and directories that could not be read */
    uint64_t directories;
};

/** List every regular file below dir into the spool. Symbolic links are not followed. A directory that cannot be read is
 * listed as such, and takes part like a file, so that its failure is one of the swarm's. shown is dir as the user wrote
 * it. The task fails if the spool cannot be written or dir not be read; MF_E_CANCELED: it was asked to stop. */
mf_status walk_tree(mf_context *ctx, mf_str dir, mf_str shown, mf_str spool, struct walk_result *out);

#endif
