/* store/record.h: what the layers to the right need of keys and specs beyond the public header. */
#ifndef MFI_RECORD_H
#define MFI_RECORD_H

#include <mageflow/store.h>

#include "random.h"

#define MFI_KEY_CODE_LEN 25    /* letters and digits after the prefix, five random bits each */
#define MFI_INDEX_MAX UINT32_MAX    /* no item has a greater index */
#define MFI_NOTE_TEXT_MAX 255

/** A new key of that kind (not MF_KIND_NONE) from source; NULL: the kernel. Fails as mfi_random_fill does. */
MF_NODISCARD mf_status mfi_key_make(mf_kind kind, const mfi_random *source, mf_key *out);
/** The kind that a key's prefix tells; MF_KIND_NONE for the unset one. */
mf_kind mfi_key_kind(const mf_key *key);

/** What is wrong with a batch, whichever store it is for: MF_E_INVALID or MF_E_TOO_BIG. */
MF_NODISCARD mf_status mfi_batch_check(const mf_batch *b, mf_error *err);

/** n more references at once. */
void mfi_spec_ref_many(const mf_spec *spec, unsigned n);
/** n references less; NULL is allowed. */
void mfi_spec_unref_many(const mf_spec *spec, unsigned n);
/** Take and drop both references of an item; either may be NULL. */
void mfi_item_ref(const mf_item *item);
void mfi_item_unref(const mf_item *item);
/** True for the names that are ours, "mageflow.<name>": calls of framework tasks. */
static inline bool mfi_name_is_framework(mf_str name)
{
    static const char prefix[] = "mageflow.";
    return name.len >= sizeof prefix - 1 && memcmp(name.at, prefix, sizeof prefix - 1) == 0;
}

/** True for the call of a unit, whose attempts are told apart: not for what is on nobody's behalf or a framework task's. */
static inline bool mfi_entry_is_of_unit(const mf_entry *entry)
{
    return mf_key_is_set(&entry->unit.key) && entry->unit.index <= MFI_INDEX_MAX && !mfi_name_is_framework(entry->spec->name);
}

/** For fields that are NULL in most records: not worth a call then. */
static inline mf_message *mfi_message_ref_some(const mf_message *message)
{
    return message == NULL ? NULL : mf_message_ref(message);
}
static inline void mfi_message_unref_some(const mf_message *message)
{
    if (message != NULL)
        mf_message_unref(message);
}

/** A copy without references of its own. Of the cursor, most of a state, only what it uses: states are copied for each item. */
static inline void mfi_state_copy(mf_state *to, const mf_state *from)
{
    memcpy(to, from, offsetof(mf_state, cursor.bytes) + from->cursor.len);
}
static inline void mfi_cursor_copy(mf_cursor *to, const mf_cursor *from)
{
    memcpy(to, from, offsetof(mf_cursor, bytes) + from->len);
}

#endif
