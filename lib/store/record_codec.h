/* store/record_codec.h: records as bytes and back, for the stores that keep them outside this process.
 *
 * The bytes are one msgpack map with small numbers as keys; what is zero or empty is left out, so that a plain call costs
 * its name and six bytes. A number that is not known is passed over: an older program reads what a newer one wrote, as
 * far as it understands it. Messages and specs inside stand as binary: each is verified when it is read, and neither's
 * depth nor size counts against the other's.
 *
 * Threads   any; nothing is shared.
 * Memory    what is encoded is borrowed. What is decoded is the caller's to release, and comes from `allocator`.
 * Answers   MF_E_NOMEM; decoding: MF_E_MALFORMED, whose text names the field, for whatever bytes it is given;
 *           encoding: the status of a failed message in it, MF_E_TOO_BIG above 4 GiB - 1. *out is written on success
 *           only. */
#ifndef MFI_RECORD_CODEC_H
#define MFI_RECORD_CODEC_H

#include <mageflow/store.h>

#define MFI_SPEC_DEPTH_MAX 32    /* specs within each other: the steps of a chain of chains */

/** A spec with everything in it, also the specs of its steps. Not its references. */
MF_NODISCARD mf_status mfi_spec_encode(const mf_spec *spec, const mf_allocator *allocator, mf_message **out, mf_error *err);
MF_NODISCARD mf_status mfi_spec_decode(mf_str bytes, const mf_allocator *allocator, mf_spec **out, mf_error *err);

/** A state with its messages; release it with mf_state_unref. */
MF_NODISCARD mf_status mfi_state_encode(const mf_state *state, const mf_allocator *allocator, mf_message **out,
                                        mf_error *err);
MF_NODISCARD mf_status mfi_state_decode(mf_str bytes, const mf_allocator *allocator, mf_state *out, mf_error *err);

/** An outcome with its value; unref that. */
MF_NODISCARD mf_status mfi_outcome_encode(const mf_outcome *outcome, const mf_allocator *allocator, mf_message **out,
                                          mf_error *err);
MF_NODISCARD mf_status mfi_outcome_decode(mf_str bytes, const mf_allocator *allocator, mf_outcome *out, mf_error *err);

/** An entry; release it with mf_entry_release. spec NULL: it is kept elsewhere, and comes back as NULL. */
MF_NODISCARD mf_status mfi_entry_encode(const mf_entry *entry, const mf_allocator *allocator, mf_message **out,
                                        mf_error *err);
MF_NODISCARD mf_status mfi_entry_decode(mf_str bytes, const mf_allocator *allocator, mf_entry *out, mf_error *err);

/** One message as it was kept: whole, and of any size and depth that a message can have. */
MF_NODISCARD mf_status mfi_message_decode(mf_str bytes, const mf_allocator *allocator, mf_message **out, mf_error *err);

#endif
