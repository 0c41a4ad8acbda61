/* taskiq/taskiq_text.h: what the files of the wire share beneath taskiq_wire.h. */
#ifndef MFI_TASKIQ_TEXT_H
#define MFI_TASKIQ_TEXT_H

#include <mageflow/message.h>

#include "json_number.h"
#include "verify.h"

/* What is put together from parts that keep the limits may be above them as a whole. */
#define TASKIQ_NO_LIMITS MF_LIMITS(.bytes = SIZE_MAX, .depth = MF_DEPTH_MAX, .elements = UINT32_MAX)

/** A number as Python's int() reads it from text: blanks around, a sign, single underscores between digits. */
typedef enum taskiq_number { TASKIQ_NUMBER_BAD, TASKIQ_NUMBER_OK, TASKIQ_NUMBER_TOO_BIG } taskiq_number;
taskiq_number taskiq_text_int(mf_str text, int64_t *out);
/** As float() does: the same, and fractions, exponents, inf, infinity, nan in any case. */
bool taskiq_text_float(mf_str text, double *out);
bool taskiq_text_is_true(mf_str text);

/** Base64 as Python's b64decode reads it: what is no letter of the alphabet is passed over, the padding must be right.
 * out has room for 3 bytes of every 4. false: the padding is wrong. */
bool taskiq_base64_decode(mf_str text, char *out, size_t *len);

#endif
