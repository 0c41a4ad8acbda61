/* codec/builder.h: what the builder offers the files beside it. */
#ifndef MFI_BUILDER_H
#define MFI_BUILDER_H

#include <mageflow/message.h>

#include <msgpack/pack.h>

/** The first failure sticks. problem is static. */
void mfi_builder_fail(mf_builder *builder, mf_status st, const char *problem);

/** Every value passes here first: is there a place for it, and may it stand there? false: it failed, write nothing. */
bool mfi_builder_begin_value(mf_builder *builder, bool container);
/** And here afterwards: what was waiting for it alone is complete. */
void mfi_builder_end_value(mf_builder *builder);
/** n more array items or map entries, against the limit. */
bool mfi_builder_count_elements(mf_builder *builder, size_t n);

/** Room for so many bytes more, against the limit. */
bool mfi_builder_reserve(mf_builder *builder, size_t more);
/** A msgpack_packer_write over a builder. */
int            mfi_builder_append(void *builder, const char *bytes, size_t len);
msgpack_packer mfi_builder_packer(mf_builder *builder);

/** A str in parts: its length first, then bytes of exactly that length in all, then the end. The bytes must be valid
 * UTF-8: nothing checks them again. */
void mfi_build_str_begin(mf_builder *builder, size_t len);
void mfi_build_str_part(mf_builder *builder, const char *at, size_t len);
void mfi_build_str_end(mf_builder *builder);

#endif
