/* codec/rules.h: the rules of one field, shared by decoding, encoding and the schema. */
#ifndef MFI_RULES_H
#define MFI_RULES_H

#include <mageflow/fields.h>

/* Where a field stands: nested structs make a chain, printed as "box.width". */
typedef struct mfi_place {
    const struct mfi_place *outer;
    const mf_field         *field;
} mfi_place;

/** The bounds of an integer row: its own, and those of its member. */
long double mfi_lowest(const mf_field *field);
long double mfi_highest(const mf_field *field);

/** An integer of whatever width in the struct `base`; negative tells that bits is its two's complement. */
uint64_t mfi_member_load(const mf_field *field, const void *base, bool *negative);
void     mfi_member_store(const mf_field *field, void *base, uint64_t bits);

/** Does the value keep the row's rules? A nested row is only checked to be a map. MF_E_INVALID tells the field, what was
 * expected and what came. */
mf_status mfi_field_check(const mfi_place *place, mf_value value, mf_error *err);
/** `field "path": required, but missing` */
mf_status mfi_field_missing(const mfi_place *place, mf_error *err);
/** MF_E_INVALID for a table of more rows than MF_FIELDS_MAX. */
mf_status mfi_table_check(const mf_fields *table, mf_error *err);

#endif
