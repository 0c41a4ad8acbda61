/* codec/schema_read.h: tables of fields without a struct, read from a schema. */
#ifndef MFI_SCHEMA_READ_H
#define MFI_SCHEMA_READ_H

#include <mageflow/fields.h>

/** The table that mf_fields_schema wrote, for validating alone: no struct can be decoded with it. Which row returns is not in a
 * schema. MF_E_MALFORMED: it is no such schema; MF_E_TOO_BIG; MF_E_NOMEM. *out is the caller's: mfi_fields_free it. */
MF_NODISCARD mf_status mfi_fields_from_schema(mf_value schema, const mf_allocator *allocator, mf_fields **out, mf_error *err);
/** NULL is allowed. */
void mfi_fields_free(mf_fields *table, const mf_allocator *allocator);

#endif
