/* mageflow/taskiq.h: a TaskIQ message as it arrived, for a task that wants what TaskIQ gave.
 *
 *     const mf_taskiq_message *raw = mf_context_execution_info(ctx)->raw_context;
 *
 * Only where the client's URL says taskiq+…:; a task that runs on other managers, too, does not look.
 *
 * Memory    everything is borrowed, and valid until the task function returns.
 */
#ifndef MAGEFLOW_TASKIQ_H
#define MAGEFLOW_TASKIQ_H

#include <mageflow/message.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What raw_context points to. Fields may be added at the end: struct_size tells which are there. */
typedef struct mf_taskiq_message {
    size_t   struct_size;
    mf_str   task_id, task_name;
    mf_str   queue;             /* the stream or list that it came from */
    mf_str   entry;             /* the id of its entry in the stream; empty: a list */
    mf_str   payload;           /* the bytes, as somebody put them there */
    uint32_t deliveries;        /* how often it was handed to a worker before; 0: never */
    mf_value labels;            /* a map; values as they came: mostly texts, whatever they were */
    mf_value labels_types;      /* a map of TaskIQ's numbers of types; at NULL, or nil: none came */
    mf_value args;              /* the positional arguments: an array */
    mf_value kwargs;            /* the others: a map */
} mf_taskiq_message;

#ifdef __cplusplus
}
#endif
#endif
