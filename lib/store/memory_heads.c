#include "memory_store.h"

#include "record.h"

/* ---- the table -------------------------------------------------------------------------------------------------- */

/* Keys are made of random bits, but a test may count them up: every byte has its say. */
static unsigned key_hash(const mf_key *key)
{
    uint64_t hash = 0, word;
    for (size_t i = 0; i < sizeof key->text; i += sizeof word) {
        memcpy(&word, key->text + i, sizeof word);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    return (unsigned)hash;
}

static struct mfi_head *look_up(struct mfi_memory *m, const mf_key *key)
{
    struct mfi_head *head;
    HASH_FIND_BYHASHVALUE(hh, m->heads, key, sizeof *key, key_hash(key), head);
    return head;
}

/* A swarm's operations name the same head again and again: the last one is tried before the table. */
struct mfi_head *mfi_head_find(struct mfi_memory *m, const mf_key *key)
{
    if (m->recent != NULL && mf_key_eq(&m->recent->spec->key, key))
        return m->recent;
    struct mfi_head *head = look_up(m, key);
    if (head != NULL)
        m->recent = head;
    return head;
}

struct mfi_head *mfi_head_add(struct mfi_memory *m, const mf_spec *spec, const mf_state *state)
{
    const mf_allocator *allocator = m->allocator;
    struct mfi_head *head = mf_new(allocator, struct mfi_head);
    if (head == NULL)
        return NULL;
    if (!mfi_head_reserve(m, head, state)) {
        mf_delete(allocator, head);
        return NULL;
    }
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, m->heads, &spec->key, sizeof spec->key, key_hash(&spec->key), head);
    if (head->hh.tbl == NULL) {    /* how uthash says that there was no memory */
        mfi_release(allocator, head->cursor, head->cursor == NULL ? 0 : sizeof *head->cursor);
        mf_delete(allocator, head);
        return NULL;
    }
    head->spec = mf_spec_ref(spec);
    mfi_head_write(head, state);
    return head;
}

static void release_items(struct mfi_head *head, const mf_allocator *a)
{
    for (uint64_t i = 0; i < head->item_count; i++)
        mfi_item_unref(mfi_head_item(head, i));
    mfi_pages_fini(&head->items, a, sizeof(mf_item));
}

static void release_outcomes(struct mfi_head *head, const mf_allocator *a)
{
    for (uint64_t i = 0; i < head->outcome_end; i++) {
        const uintptr_t *packed = mfi_head_outcome(head, i);
        if (packed == NULL)
            i |= MFI_PAGE - 1;    /* none in this page */
        else
            mf_message_unref(mfi_outcome_value(*packed));
    }
    mfi_pages_fini(&head->outcomes, a, sizeof(uintptr_t));
}

static void head_free(struct mfi_head *head, const mf_allocator *a)
{
    release_items(head, a);
    release_outcomes(head, a);
    mfi_kept_unref(&head->state);
    mf_message_unref(head->progress);
    mfi_lines_free(a, head->log);
    mf_spec_unref(head->spec);
    mfi_release(a, head->cursor, head->cursor == NULL ? 0 : sizeof *head->cursor);
    mf_delete(a, head);
}

void mfi_head_remove(struct mfi_memory *m, struct mfi_head *head)
{
    const mf_allocator *allocator = m->allocator;
    if (m->recent == head)
        m->recent = NULL;
    HASH_DELETE(hh, m->heads, head);
    head_free(head, allocator);
}

void mfi_heads_fini(struct mfi_memory *m)
{
    const mf_allocator *allocator = m->allocator;
    struct mfi_head *head = m->heads;
    HASH_CLEAR(hh, m->heads);
    while (head != NULL) {
        struct mfi_head *next = head->hh.next;
        head_free(head, allocator);
        head = next;
    }
    m->recent = NULL;
}

/* ---- state ------------------------------------------------------------------------------------------------------- */

_Static_assert(sizeof(mf_state) == 96 + 3 * sizeof(void *) + sizeof(mf_cursor),
               "a new field of mf_state is kept, read and written here too");

void mfi_head_state(const struct mfi_head *head, mf_state *out)
{
    const struct mfi_kept *s = &head->state;
    out->version = s->version;
    out->epoch = s->epoch;
    out->status = (mf_signature_status)s->status;
    out->last_status = (mf_signature_status)s->last_status;
    out->closed = s->closed;
    out->total = s->total;
    out->expected = s->expected;
    out->next = s->next;
    out->running = s->running;
    out->done = s->done;
    out->failed = s->failed;
    out->canceled = s->canceled;
    out->started_ms = s->started_ms;
    out->ended_ms = s->ended_ms;
    out->input = s->input;
    out->inherited = s->inherited;
    out->result = s->result;
    if (head->cursor != NULL)
        out->cursor = *head->cursor;
    else
        memset(&out->cursor, 0, sizeof out->cursor);
}

bool mfi_head_reserve(struct mfi_memory *m, struct mfi_head *head, const mf_state *state)
{
    if (head->cursor == NULL && state->cursor.len > 0)
        head->cursor = mf_new(m->allocator, mf_cursor);
    return head->cursor != NULL || state->cursor.len == 0;
}

struct mfi_kept mfi_head_write(struct mfi_head *head, const mf_state *state)
{
    struct mfi_kept before = head->state;
    head->state = (struct mfi_kept){
        .version = state->version, .epoch = state->epoch,
        .status = (uint8_t)state->status, .last_status = (uint8_t)state->last_status, .closed = state->closed,
        .total = state->total, .expected = state->expected, .next = state->next,
        .running = state->running, .done = state->done, .failed = state->failed, .canceled = state->canceled,
        .started_ms = state->started_ms, .ended_ms = state->ended_ms,
        .input = mf_message_ref(state->input), .inherited = mf_message_ref(state->inherited),
        .result = mf_message_ref(state->result),
    };
    if (head->cursor != NULL)
        *head->cursor = state->cursor;
    return before;
}

void mfi_kept_unref(const struct mfi_kept *kept)
{
    mf_message_unref(kept->input);
    mf_message_unref(kept->inherited);
    mf_message_unref(kept->result);
}

/* ---- the way up -------------------------------------------------------------------------------------------------- */

static struct mfi_head *container_of_head(struct mfi_memory *m, struct mfi_head *head)
{
    if (head->container == NULL && mf_key_is_set(&head->spec->container))
        head->container = look_up(m, &head->spec->container);
    return head->container;
}

mf_signature_status mfi_head_above(struct mfi_memory *m, struct mfi_head *head)
{
    for (int i = 0; i < MFI_ABOVE_MAX; i++) {
        head = container_of_head(m, head);
        if (head == NULL)
            break;
        if (!mf_signature_status_runs((mf_signature_status)head->state.status))
            return (mf_signature_status)head->state.status;
    }
    return MF_STATUS_ACTIVE;
}
