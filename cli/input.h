/* input.h: the messages and flows that a command line gives. */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include <mageflow/message.h>

/** The message for an argument: JSON text, "-" for standard input, NULL for the empty map. The error says where the
 * message came from, and the position of what is wrong in it. MF_E_MALFORMED, MF_E_TOO_BIG, MF_E_IO, MF_E_NOMEM. */
MF_NODISCARD mf_status input_read(const char *argument, mf_message **out, mf_error *err);

/** JSON as deep as a flow may be, in a file, or with "-" on standard input; from is what the error calls it. *text, the caller's to
 * free, and *len are what was read, also where it is no JSON; they stay as they are where there is no such file.
 * MF_E_MALFORMED, MF_E_TOO_BIG, MF_E_IO, MF_E_NOMEM. */
MF_NODISCARD mf_status input_read_file(const char *file, const char *from, char **text, size_t *len, mf_message **out, mf_error *err);

#endif
