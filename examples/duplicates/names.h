/* names.h: file names are bytes: how they travel in a message, are shown to a person, and are opened however long. */
#ifndef DUPLICATES_NAMES_H
#define DUPLICATES_NAMES_H

#include <mageflow/message.h>

/** Bytes as a message: text where they are UTF-8, else binary. The caller's to unref; may be a failed message. */
mf_message *name_message(mf_str bytes);
/** What name_message put into a message. MF_E_TYPE: neither text nor binary. */
MF_NODISCARD mf_status name_of(mf_value value, mf_str *out);

/** A path as a person and JSON can take it: valid UTF-8 on one line. What is no printable text becomes \n, \t, \r or
 * \xHH, and a backslash \\, so that the bytes can be had back. Release with free; NULL: no memory. */
char *name_shown(const char *directory, mf_str name);

/** open() for a name below a directory, also one that is longer than PATH_MAX. The empty name is the directory itself.
 * Negative: errno. */
int name_open(int directory, const char *name, int flags);

#endif
