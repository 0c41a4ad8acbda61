/* duplicates_tasks.h: the tasks of the example, for the program that runs them itself; a worker elsewhere loads them as a
 * module. */
#ifndef DUPLICATES_TASKS_H
#define DUPLICATES_TASKS_H

#include <mageflow/client.h>

#define TASK_LIST    "duplicates.list"       /* {dir, shown, spool} → {spool, files, directories} */
#define TASK_HASH    "duplicates.hash"       /* {spool, o} → {b, h}: bytes read and SHA-256 of the file listed at o */
#define TASK_FAILED  "duplicates.failed"     /* the error callback of a hash: tells which file, and why */
#define TASK_REPORT  "duplicates.report"     /* the end of the swarm, and {spool} → what groups.h says */
#define SOURCE_FILES "duplicates.files"      /* draws {o} from the spool that list named */

/** Declare the tasks and the source. say receives the lines of TASK_FAILED; NULL: they go to standard error. */
mf_status duplicates_register(mf_client *client, void (*say)(const char *line), mf_error *err);

#endif
