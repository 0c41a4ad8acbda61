/* codec/json.h: JSON for peers that take only what RFC 8259 has. */
#ifndef MFI_JSON_H
#define MFI_JSON_H

#include <mageflow/message.h>

typedef enum mfi_json_style {
    MFI_JSON_PYTHON,    /* what mf_value_to_json writes: NaN, Infinity and -Infinity as words, bin as base64 */
    MFI_JSON_EXACT      /* those are MF_E_UNSUPPORTED, so that what is written reads back as the same value everywhere */
} mfi_json_style;

/** mf_value_to_json in a style; the error names the field. Free with mf_json_free. */
MF_NODISCARD mf_status mfi_value_to_json(mf_value value, mfi_json_style style, const mf_allocator *allocator, char **text,
                                         size_t *len, mf_error *err);

#endif
