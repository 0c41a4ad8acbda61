/* codec/merge.h: messages made from messages. */
#ifndef MFI_MERGE_H
#define MFI_MERGE_H

#include <mageflow/message.h>

/** The deep union of two maps: where both have a str key, `over` wins; two maps under one key merge in turn, everything
 * else is replaced whole. Order: under's entries, then what over adds.
 *
 * NULL or nil on a side: the other one, referenced and not copied; on both: nil. A failed operand answers its status.
 * MF_E_TYPE names what came where it was no map. MF_E_TOO_BIG: the union is above limits (NULL: the defaults). Both are
 * borrowed; *out is the caller's, written on success only. */
MF_NODISCARD mf_status mfi_message_merge(const mf_message *under, const mf_message *over,
                                         const mf_allocator *allocator, const mf_limits *limits, mf_message **out,
                                         mf_error *err);

/** The map (NULL or nil: the empty one) with one field set to value, replaced where it stood or added at the end. An
 * absent value sets nil. Statuses as above. */
MF_NODISCARD mf_status mfi_message_with(const mf_message *map, mf_str field, mf_value value,
                                        const mf_allocator *allocator, const mf_limits *limits, mf_message **out,
                                        mf_error *err);

#endif
