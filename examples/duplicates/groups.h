/* groups.h: from the results of a swarm of hashes to groups of equal files, and back from the spool for showing them.
 *
 * Behind END the spool gets the hash of every file that was read (32 bytes each, in the order of the files), and then the
 * groups, the largest waste first: size of one member (8 bytes), how many members (4), their hash (32), and the offset of
 * each member's record (8 each), little-endian. So a million groups cost no message. */
#ifndef DUPLICATES_GROUPS_H
#define DUPLICATES_GROUPS_H

#include "spool.h"

#include <mageflow/flow.h>

#define GROUPS_HASH_SIZE 32

struct groups_summary {
    uint64_t files, bytes;            /* that were read */
    uint64_t failed;                  /* that were not */
    uint64_t groups;                  /* of two or more equal files */
    uint64_t duplicates;              /* all members but one of each group */
    uint64_t wasted;                  /* their bytes */
    uint64_t at;                      /* offset of the first group in the spool */
};

/** Read the results, which are in the order of the spool's items, and write the groups. */
mf_status groups_find(struct spool *spool, mf_results *results, struct groups_summary *out, mf_error *err);

/** A summary as the report's result, and back. */
mf_message *groups_message(const struct groups_summary *summary);
MF_NODISCARD mf_status groups_of_message(const mf_message *message, struct groups_summary *out, mf_error *err);

/** One group while it is shown; its members are read one after the other. */
struct group {
    uint64_t      size;
    uint32_t      count;
    uint64_t      next;                          /* offset of the group after it */
    uint64_t      members;                       /* offset of the list of members */
    unsigned char hash[GROUPS_HASH_SIZE];
};
MF_NODISCARD mf_status groups_read(int fd, uint64_t offset, struct group *out, mf_error *err);
/** Member i's record. */
MF_NODISCARD mf_status groups_member(int fd, const struct group *group, uint32_t i, struct spool_record *out,
                                    struct spool_text *name, mf_error *err);

#endif
