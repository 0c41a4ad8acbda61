/* flow_form.h: the words of a flow written as data, and where each may stand. The one table that reader, writer and
 * tests share; docs/flow.schema.json says the same, and tests/unit/runtime/flow_schema_test.c holds the two together. */
#ifndef MFI_FLOW_FORM_H
#define MFI_FLOW_FORM_H

#include <mageflow/message.h>

/** The maps of which a document is made. The first four are named by their own key, mfi_form_word. */
typedef enum mfi_form {
    MFI_FORM_TASK,
    MFI_FORM_CHAIN,
    MFI_FORM_SWARM,
    MFI_FORM_MAP,
    MFI_FORM_DOCUMENT,
    MFI_FORMS
} mfi_form;

typedef enum mfi_word {
    MFI_WORD_TASK,
    MFI_WORD_CHAIN,
    MFI_WORD_SWARM,
    MFI_WORD_MAP,
    MFI_WORD_SOURCE,
    MFI_WORD_NAME,
    MFI_WORD_KWARGS,
    MFI_WORD_MAX_CONCURRENCY,
    MFI_WORD_STOP_AFTER_FAILURES,
    MFI_WORD_MAX_ITEMS,
    MFI_WORD_CLOSE_ON_MAX,
    MFI_WORD_CLOSED,
    MFI_WORD_MESSAGE_AS_RESULT,
    MFI_WORD_TTL,
    MFI_WORD_KEEP,
    MFI_WORD_STAGGER,
    MFI_WORD_ON_SUCCESS,
    MFI_WORD_ON_ERROR,
    MFI_WORD_FLOW,
    MFI_WORD_MESSAGE,
    MFI_WORD_DELAY,
    MFI_WORD_PRIORITY,
    MFI_WORD_UNIQUE,
    MFI_WORD_UNIQUE_WINDOW,
    MFI_WORD_JOIN,
    MFI_WORDS
} mfi_word;

/** "task", …; static. */
const char *mfi_word_text(mfi_word word);
/** MFI_WORDS: none of ours. */
mfi_word mfi_word_find(mf_str text);
/** Whether it may stand, or must stand, in such a map. */
bool mfi_word_may(mfi_word word, mfi_form form);
bool mfi_word_must(mfi_word word, mfi_form form);
/** "a chain", …; static. */
const char *mfi_form_name(mfi_form form);

#define MFI_NAME_MAX 255    /* bytes of a name, see mf_sign and mf_chain */

#endif
