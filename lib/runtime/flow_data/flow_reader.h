/* flow_reader.h: one map of a flow written as data, its keys and its values, and errors that name the place. */
#ifndef MFI_FLOW_READER_H
#define MFI_FLOW_READER_H

#include <mageflow/flow.h>

#include "flow_form.h"

/** Where a value stands, as a list from itself up to the root, on the stack of those who read. */
typedef struct mfi_place {
    const struct mfi_place *above;
    const char             *key;      /* NULL: item `index` of an array */
    size_t                  index;
} mfi_place;

#define MFI_AT(above, word)     (&(const mfi_place){(above), mfi_word_text(word), 0})
#define MFI_ITEM_OF(above, i)   (&(const mfi_place){(above), NULL, (i)})

typedef struct mfi_reader {
    mf_client *client;
    mf_error  *err;
    mf_error   why;                        /* of the call that was made last */
    char       name[MFI_NAME_MAX + 1];     /* NUL-terminated, for the next call */
    char       source[MFI_NAME_MAX + 1];
} mfi_reader;

/** The values of one map, by their key; absent where there is none. */
typedef struct mfi_parts {
    mf_value at[MFI_WORDS];
    mf_str   unknown;      /* the first key that is none of ours; at NULL: none */
} mfi_parts;

static inline bool mfi_has(const mfi_parts *p, mfi_word word)
{
    return p->at[word].at != NULL;
}

/* All of these answer whether it went well; if not, the reader's error tells the place and what was expected there. */

/** false, so that a check can end with it. */
bool mfi_refuse(mfi_reader *r, const mfi_place *at, mf_status st, const char *fmt, ...) MF_PRINTF(4, 5);
bool mfi_refuse_type(mfi_reader *r, const mfi_place *at, const char *expected, mf_value got);

bool mfi_read_parts(mfi_reader *r, mf_value map, const mfi_place *at, mfi_parts *out);
/** What a flow is, by its one key of the four. */
bool mfi_read_form(mfi_reader *r, const mfi_place *at, const mfi_parts *p, mfi_form *out);
/** Every key may stand in such a map, and each that must is there. */
bool mfi_read_check(mfi_reader *r, const mfi_place *at, mfi_form form, const mfi_parts *p);

bool mfi_read_text(mfi_reader *r, mf_value value, const mfi_place *at, char out[MFI_NAME_MAX + 1]);
/* *out stays as it was where the key is missing. */
bool mfi_read_number(mfi_reader *r, const mfi_parts *p, mfi_word word, uint64_t min, uint64_t max, const mfi_place *at,
                     uint64_t *out);
bool mfi_read_int32(mfi_reader *r, const mfi_parts *p, mfi_word word, const mfi_place *at, int32_t *out);
/** A number and a unit as text, more than 0; "forever" too where it may be that. */
bool mfi_read_span(mfi_reader *r, const mfi_parts *p, mfi_word word, bool forever, const mfi_place *at, mf_duration *out);
bool mfi_read_bool(mfi_reader *r, const mfi_parts *p, mfi_word word, const mfi_place *at, bool *out);
/** A map as a message of its own, the caller's; NULL where the key is missing. */
bool mfi_read_fields(mfi_reader *r, const mfi_parts *p, mfi_word word, const mfi_place *at, mf_message **out);

#endif
