/* codec/builder.h: what the builder offers the files beside it. */
#ifndef MFI_BUILDER_H
#define MFI_BUILDER_H

#include <mageflow/message.h>

/** A str in parts: its length first, then bytes of exactly that length in all, then the end. The bytes must be valid
 * UTF-8: nothing checks them again. */
void mfi_build_str_begin(mf_builder *builder, size_t len);
void mfi_build_str_part(mf_builder *builder, const char *at, size_t len);
void mfi_build_str_end(mf_builder *builder);

#endif
