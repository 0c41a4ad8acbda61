/* testing/match.h: whether a message is as expected, and how it differs. */
#ifndef MFI_MATCH_H
#define MFI_MATCH_H

#include <mageflow/message.h>

/** The same value: maps in any order of their keys, numbers by what they are worth. */
bool mfi_value_eq(mf_value a, mf_value b);

/** Whether every field of `expected` (a map) is in `message` with that value, and, if `exactly`, no other. */
bool mfi_fields_match(const mf_message *message, const mf_message *expected, bool exactly);

/** How it differs, for a person: `field "n": expected 1, got 2; field "to": expected "a", missing; …`. Cut at size. */
void mfi_fields_differ(const mf_message *message, const mf_message *expected, bool exactly, char *text, size_t size);

#endif
