/* adapters/taskiq/taskiq_adapter.h: what the factory knows of this folder. */
#ifndef MFI_TASKIQ_ADAPTER_H
#define MFI_TASKIQ_ADAPTER_H

#include <mageflow/adapter.h>

#include "redis_address.h"

#define MFI_TASKIQ_QUEUES 16
#define MFI_TASKIQ_NAME_MAX 256     /* of a queue, a group, a prefix */

typedef struct mfi_taskiq_options {
    const mf_allocator *allocator;
    const mf_clock     *clock;
    mf_log_fn          *log;
    void               *log_user;
    const mf_limits    *limits;         /* of messages; borrowed until the adapter is destroyed; NULL: the defaults */
    mfi_redis_address   address;        /* of the broker */
    mfi_redis_address   results;        /* with has_results: of the result backend, where it is another Redis */
    bool                has_results;
    bool                lists;          /* broker=list */
    bool                leave_unknown;  /* unknown=leave */
    bool                no_results;     /* results=none: none is written, and none can be waited for */
    char                queues[MFI_TASKIQ_QUEUES][MFI_TASKIQ_NAME_MAX];
    size_t              queue_count;    /* 0: "taskiq" */
    char                group[MFI_TASKIQ_NAME_MAX];
    char                prefix[MFI_TASKIQ_NAME_MAX];
    int                 serializer;     /* a taskiq_format: of messages we send */
    int                 result_serializer;
    mf_duration         lease, idle_timeout, result_ttl;
} mfi_taskiq_options;

/** Defaults; the address is filled by the caller. */
void mfi_taskiq_options_init(mfi_taskiq_options *options);
/** Take one parameter of the URL. MF_E_NOT_FOUND: it is none of ours. MF_E_INVALID tells what was expected. */
MF_NODISCARD mf_status mfi_taskiq_options_set(mfi_taskiq_options *options, const char *name, const char *value, mf_error *err);
/** The n-th parameter for --help; NULL past the last. */
const char *mfi_taskiq_parameter(size_t n, const char **help);

/** The adapter over a Redis that TaskIQ uses as its broker. Returns at once; the link connects by itself, for ever. */
MF_NODISCARD mf_status mfi_taskiq_create(const mfi_taskiq_options *options, mf_adapter **out, mf_error *err);

/** A Redis store on the same server: from now on its commits carry the adapter's messages, so that it is used with this adapter,
 * and no longer than that lives. Before either is used. */
void mfi_taskiq_shares(mf_adapter *adapter, mf_store *store);

#endif
