/* input.h: the messages and flows that a command line gives. */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include <mageflow/message.h>

/** The message for an argument: JSON text, "-" for standard input, NULL for the empty map. The error says where the
 * message came from, and the position of what is wrong in it. MF_E_MALFORMED, MF_E_TOO_BIG, MF_E_IO, MF_E_NOMEM. */
MF_NODISCARD mf_status input_read(const char *argument, mf_message **out, mf_error *err);

/** The flow in a file; "-" for standard input. Its error names the file. MF_E_MALFORMED, MF_E_TOO_BIG, MF_E_IO, MF_E_NOMEM. */
MF_NODISCARD mf_status input_read_file(const char *file, mf_message **out, mf_error *err);

#endif
