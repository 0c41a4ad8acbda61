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

static void sides_free(struct mfi_head *head, const mf_allocator *a)
{
    mfi_release(a, head->cursor, head->cursor == NULL ? 0 : sizeof *head->cursor);
    if (head->rare == NULL)
        return;
    mfi_pages_fini(&head->rare->tried, a, sizeof(struct mfi_tried));
    mf_delete(a, head->rare);
}

static void sides_leave(struct mfi_memory *m, struct mfi_head *head)
{
    if (head->rare == NULL)
        return;
    if (head->rare->deadline.due != 0)
        mfi_heap_remove(&m->deadlines, &head->rare->deadline);
    head->rare->deadline.due = 0;
    m->rares--;
}

struct mfi_head *mfi_head_add(struct mfi_memory *m, const mf_spec *spec, const mf_state *state)
{
    const mf_allocator *allocator = m->allocator;
    struct mfi_head *head = mf_new(allocator, struct mfi_head);
    if (head == NULL)
        return NULL;
    head->serial = m->last_serial + 1;
    if (!mfi_head_reserve(m, head, state))
        goto fail;
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, m->heads, &spec->key, sizeof spec->key, key_hash(&spec->key), head);
    if (head->hh.tbl == NULL)    /* how uthash says that there was no memory */
        goto fail;
    m->last_serial++;
    head->spec = mf_spec_ref(spec);
    head->created_ms = m->now_ms;
    mfi_head_write(m, head, state);
    return head;

fail:
    sides_leave(m, head);
    sides_free(head, allocator);
    mf_delete(allocator, head);
    return NULL;
}

static void release_items(struct mfi_head *head, const mf_allocator *a)
{
    for (uint64_t i = 0; i < head->item_count; i++)
        mfi_item_unref(mfi_head_item(head, i));
    mfi_pages_fini(&head->items, a, sizeof(mf_item));
}

void mfi_head_free(struct mfi_head *head, const mf_allocator *a)
{
    release_items(head, a);
    mfi_outcomes_fini(head, a);
    mfi_kept_unref(&head->state);
    mf_message_unref(head->progress);
    mfi_lines_free(a, head->log);
    mf_spec_unref(head->spec);
    sides_free(head, a);
    mf_delete(a, head);
}

void mfi_head_remove(struct mfi_memory *m, struct mfi_head *head)
{
    const mf_allocator *allocator = m->allocator;
    if (m->recent == head)
        m->recent = NULL;
    m->removals++;
    sides_leave(m, head);
    HASH_DELETE(hh, m->heads, head);
}

void mfi_heads_fini(struct mfi_memory *m)
{
    const mf_allocator *allocator = m->allocator;
    struct mfi_head *head = m->heads;
    HASH_CLEAR(hh, m->heads);
    while (head != NULL) {
        struct mfi_head *next = head->hh.next;
        mfi_head_free(head, allocator);
        head = next;
    }
    m->recent = NULL;
    mfi_heap_fini(&m->deadlines, allocator);
}

/* ---- state ------------------------------------------------------------------------------------------------------- */

_Static_assert(sizeof(mf_state) == 136 + 4 * sizeof(void *) + sizeof(mf_cursor),
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
    out->priority = s->priority;
    out->created_ms = head->created_ms;
    out->started_ms = s->started_ms;
    out->ended_ms = s->ended_ms;
    out->deadline_ms = head->rare != NULL ? head->rare->deadline.due : 0;
    out->lock = head->rare != NULL ? head->rare->lock : 0;
    out->lock_until_ms = head->rare != NULL ? head->rare->lock_until_ms : 0;
    out->kwargs = s->kwargs;
    out->input = s->input;
    out->inherited = s->inherited;
    out->result = s->result;
    if (head->cursor != NULL)
        out->cursor = *head->cursor;
    else
        memset(&out->cursor, 0, sizeof out->cursor);
}

bool mfi_rare_reserve(struct mfi_memory *m, struct mfi_head *head)
{
    if (head->rare != NULL)
        return true;
    if (!mfi_heap_reserve(&m->deadlines, m->allocator, m->rares + 1))
        return false;
    struct mfi_rare *rare = mf_new(m->allocator, struct mfi_rare);
    if (rare == NULL)
        return false;
    rare->head = head;
    rare->deadline.id = head->serial;
    head->rare = rare;
    m->rares++;
    return true;
}

bool mfi_tried_reserve(struct mfi_memory *m, struct mfi_head *head, uint64_t index)
{
    return mfi_rare_reserve(m, head) && mfi_pages_reserve(&head->rare->tried, m->allocator, index, 1, sizeof(struct mfi_tried));
}

/* A call of an epoch that is over may be tried again, too: it says nothing of the one that counts. */
void mfi_tried_note(struct mfi_head *head, const mf_unit *unit, uint32_t attempt)
{
    struct mfi_tried *tried = mfi_pages_at(&head->rare->tried, unit->index, sizeof *tried);
    if (unit->epoch > tried->epoch || (unit->epoch == tried->epoch && attempt > tried->attempt))
        *tried = (struct mfi_tried){unit->epoch, attempt};
}

bool mfi_head_reserve(struct mfi_memory *m, struct mfi_head *head, const mf_state *state)
{
    if (head->cursor == NULL && state->cursor.len > 0 && (head->cursor = mf_new(m->allocator, mf_cursor)) == NULL)
        return false;
    bool rare = state->deadline_ms != 0 || state->lock != 0 || state->lock_until_ms != 0;
    return !rare || mfi_rare_reserve(m, head);
}

static void rare_write(struct mfi_memory *m, struct mfi_rare *rare, const mf_state *state)
{
    rare->lock = state->lock;
    rare->lock_until_ms = state->lock_until_ms;
    if (rare->deadline.due == state->deadline_ms)
        return;
    if (rare->deadline.due != 0)
        mfi_heap_remove(&m->deadlines, &rare->deadline);
    rare->deadline.due = state->deadline_ms;
    if (state->deadline_ms != 0)
        mfi_heap_push(&m->deadlines, &rare->deadline);
}

struct mfi_kept mfi_head_write(struct mfi_memory *m, struct mfi_head *head, const mf_state *state)
{
    struct mfi_kept before = head->state;
    head->state = (struct mfi_kept){
        .version = state->version, .epoch = state->epoch, .priority = state->priority,
        .status = (uint8_t)state->status, .last_status = (uint8_t)state->last_status, .closed = state->closed,
        .total = state->total, .expected = state->expected, .next = state->next,
        .running = state->running, .done = state->done, .failed = state->failed, .canceled = state->canceled,
        .started_ms = state->started_ms, .ended_ms = state->ended_ms, .kwargs = mfi_message_ref_some(state->kwargs),
        .input = mfi_message_ref_some(state->input), .inherited = mfi_message_ref_some(state->inherited),
        .result = mfi_message_ref_some(state->result),
    };
    if (head->cursor != NULL)
        mfi_cursor_copy(head->cursor, &state->cursor);
    if (head->rare != NULL)
        rare_write(m, head->rare, state);
    return before;
}

void mfi_kept_unref(const struct mfi_kept *kept)
{
    mfi_message_unref_some(kept->kwargs);
    mfi_message_unref_some(kept->input);
    mfi_message_unref_some(kept->inherited);
    mfi_message_unref_some(kept->result);
}

/* ---- the way up -------------------------------------------------------------------------------------------------- */

/* Looked for again after each removal, which may have taken it, and is rare. */
static struct mfi_head *container_of_head(struct mfi_memory *m, struct mfi_head *head)
{
    if (!mf_key_is_set(&head->spec->container))
        return NULL;
    if (head->container == NULL || head->container_at != m->removals) {
        head->container = look_up(m, &head->spec->container);
        head->container_at = m->removals;
    }
    return head->container;
}

struct mfi_head *mfi_head_blocker(struct mfi_memory *m, struct mfi_head *head)
{
    for (int i = 0; i < MFI_ABOVE_MAX; i++) {
        head = container_of_head(m, head);
        if (head == NULL || !mf_signature_status_runs(mfi_head_status(head)))
            return head;
    }
    return NULL;
}
