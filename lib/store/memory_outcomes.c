/* What ended, in 8 bytes an item.
 *
 *    the value's address, its status in the low three bits          a message is aligned for pointers
 *    a scalar of up to 7 bytes, its length, 7 in the low three      done, and the message itself is not kept
 *
 * A message of its own costs a number 48 bytes, which are new memory for each item of a large swarm. */
#include "memory_store.h"

#include "message_row.h"

enum { STATUS = 7, HERE = 7, LEN_SHIFT = 3 };
_Static_assert(MFI_ROW_BYTES < sizeof(uint64_t), "one byte is left for how long it is");

static bool is_here(uint64_t packed)
{
    return (packed & STATUS) == HERE;
}

/* The nil that is everybody's needs no memory as it is. */
static bool fits(const mf_outcome *outcome)
{
    return outcome->status == MF_STATUS_DONE && outcome->value != NULL &&
           mfi_message_row_takes(mf_message_value(outcome->value)) && outcome->value != mf_message_nil();
}

uint64_t mfi_outcome_pack(const mf_outcome *outcome)
{
    if (!fits(outcome))
        return (uintptr_t)outcome->value | (uintptr_t)outcome->status;
    mf_value value = mf_message_value(outcome->value);
    uint64_t packed = 0;
    for (size_t i = value.len; i-- > 0;)
        packed = (packed | value.at[i]) << 8;
    return packed | (uint64_t)value.len << LEN_SHIFT | HERE;
}

static mf_message *value_of(uint64_t packed)
{
    return is_here(packed) ? NULL : (mf_message *)(uintptr_t)(packed & ~(uint64_t)STATUS);
}

void mfi_outcome_ref(uint64_t packed)
{
    mf_message *value = value_of(packed);
    if (value != NULL)      /* saves a call, once an item */
        mf_message_ref(value);
}

static mf_message *unpack(uint64_t packed, mfi_message_row *row)
{
    unsigned char scalar[MFI_ROW_BYTES];
    size_t len = packed >> LEN_SHIFT & STATUS;
    for (size_t i = 0; i < len; i++)
        scalar[i] = (unsigned char)(packed >> 8 * (i + 1));
    return mfi_message_row_add(row, scalar, len);
}

static uint64_t packed_at(const struct mfi_head *head, uint64_t i)
{
    const uint64_t *packed = mfi_head_outcome(head, i);
    return packed == NULL ? 0 : *packed;
}

mf_status mfi_outcomes_read(const struct mfi_memory *m, const struct mfi_head *head, uint64_t from, size_t n, mf_outcome *out,
                            mf_error *err)
{
    mfi_message_row *row = NULL;
    size_t here = 0;
    for (size_t i = 0; i < n; i++)
        here += is_here(packed_at(head, from + i));
    if (here > 0 && (row = mfi_message_row_new(m->allocator, here)) == NULL)
        return mf_fail(err, MF_E_NOMEM, "store: no memory for %zu outcomes", n);
    for (size_t i = 0; i < n; i++) {
        uint64_t packed = packed_at(head, from + i);
        if (is_here(packed))
            out[i] = (mf_outcome){from + i, MF_STATUS_DONE, unpack(packed, row)};
        else
            out[i] = (mf_outcome){from + i, (mf_signature_status)(packed & STATUS), mf_message_ref(value_of(packed))};
    }
    return MF_OK;
}

void mfi_outcomes_fini(struct mfi_head *head, const mf_allocator *a)
{
    for (uint64_t i = 0; i < head->outcome_end; i++) {
        const uint64_t *packed = mfi_head_outcome(head, i);
        if (packed == NULL)
            i |= MFI_PAGE - 1;    /* none in this page */
        else if (value_of(*packed) != NULL)
            mf_message_unref(value_of(*packed));
    }
    mfi_pages_fini(&head->outcomes, a, sizeof(uint64_t));
}
