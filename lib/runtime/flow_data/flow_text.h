/* flow_text.h: a text that grows. */
#ifndef MFI_FLOW_TEXT_H
#define MFI_FLOW_TEXT_H

#include <mageflow/base.h>

/** Zero-initialise with the allocator. The first failure sticks: what is added later is dropped, and mfi_flow_text_take tells. */
typedef struct mfi_flow_text {
    const mf_allocator *allocator;
    char               *at;
    size_t              len, capacity;
    bool                no_memory;
} mfi_flow_text;

void mfi_flow_text_add(mfi_flow_text *text, mf_str more);
void mfi_flow_text_printf(mfi_flow_text *text, const char *fmt, ...) MF_PRINTF(2, 3);
/** The text, NUL-terminated, in a block of its length + 1. MF_E_NOMEM; the text is empty afterwards in any case. */
MF_NODISCARD mf_status mfi_flow_text_take(mfi_flow_text *text, char **out);
void mfi_flow_text_fini(mfi_flow_text *text);

#endif
