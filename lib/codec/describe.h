/* codec/describe.h: a value in a few words, for error texts. */
#ifndef MFI_DESCRIBE_H
#define MFI_DESCRIBE_H

#include <mageflow/message.h>

#define MFI_ECHO_MAX 40    /* bytes of a value that an error text may repeat */

typedef struct mfi_words {
    char text[MFI_ECHO_MAX + 48];
} mfi_words;

/** `the string "wide"`, `the integer 7`, `a map of 3`, `nil`; at most MFI_ECHO_MAX bytes of a text, control characters
 * as dots. Returns words->text. */
const char *mfi_describe(mf_value value, mfi_words *words);

/** At most MFI_ECHO_MAX bytes of text, cut at a character, control characters as dots, "..." where cut. */
const char *mfi_echo(mf_str text, mfi_words *words);

#endif
