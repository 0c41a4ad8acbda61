/* Taking records away, and the deadlines after which they go.
 *
 * A record goes with everything that stands in it: steps and items that are records, the callbacks of each, and so on down.
 * What is taken out of the table first joins a list, and the list is walked to its end: no recursion, no memory, and a
 * circle of keys ends where a key is not found any more. Releasing is done later, without the lock. */
#include "memory_store.h"

struct removal {
    struct mfi_memory *m;
    struct mfi_head   *first, **last;    /* what was taken out, in that order */
    size_t             count, ready;
    int64_t            now_ms;
};

static void take_out(struct removal *r, struct mfi_head *head)
{
    if (head->rare != NULL)
        r->ready += mfi_queue_unpark(&r->m->queue, &head->rare->parked, r->now_ms);
    mfi_head_remove(r->m, head);
    head->gone = NULL;
    *r->last = head;
    r->last = &head->gone;
    r->count++;
}

static void take_out_keys(struct removal *r, const mf_key *keys, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct mfi_head *head = mfi_head_find(r->m, &keys[i]);
        if (head != NULL)
            take_out(r, head);
    }
}

static void take_out_callbacks(struct removal *r, const mf_spec *spec, bool on_success, bool on_error)
{
    if (on_success)
        take_out_keys(r, spec->on_success, spec->on_success_count);
    if (on_error)
        take_out_keys(r, spec->on_error, spec->on_error_count);
}

/* What an item names: a record of its own, or, of the task that a swarm gives its messages to, the numbered callbacks. */
static void take_out_item(struct removal *r, const mf_spec *spec)
{
    if (spec == NULL)
        return;
    if (mf_key_is_set(&spec->key))
        take_out_keys(r, &spec->key, 1);
    else
        take_out_callbacks(r, spec, true, true);
}

static void take_out_contents(struct removal *r, const struct mfi_head *head)
{
    const mf_spec *spec = head->spec;
    for (size_t i = 0; i < spec->step_count; i++)
        take_out_item(r, spec->steps[i].spec);
    take_out_item(r, spec->each.spec);
    for (uint64_t i = 0; head->keyed && i < head->item_count; i++) {
        const mf_spec *item = mfi_head_item(head, i)->spec;
        if (item != spec->each.spec)
            take_out_item(r, item);
    }
}

static void remove_all(struct removal *r, struct mfi_head *head, bool on_success, bool on_error)
{
    take_out(r, head);
    take_out_callbacks(r, head->spec, on_success, on_error);
    take_out_contents(r, head);
    for (head = head->gone; head != NULL; head = head->gone) {
        take_out_callbacks(r, head->spec, true, true);
        take_out_contents(r, head);
    }
}

size_t mfi_remove(struct mfi_memory *m, const mf_removal *removal, struct mfi_head **gone, int64_t now_ms)
{
    struct removal r = {.m = m, .now_ms = now_ms, .last = &r.first};
    struct mfi_head *head = mfi_head_find(m, &removal->key);
    if (head != NULL)
        remove_all(&r, head, removal->on_success, removal->on_error);
    *r.last = *gone;
    *gone = r.first;
    return r.ready;
}

void mfi_gone_free(struct mfi_head *gone, const mf_allocator *a)
{
    while (gone != NULL) {
        struct mfi_head *next = gone->gone;
        mfi_head_free(gone, a);
        gone = next;
    }
}

/* ---- deadlines --------------------------------------------------------------------------------------------------- */

/* Those past their deadline are taken out of the heap, for the one behind them to be found, and put back at once: so
 * none is out of it when records are taken away, which may take some of these with them. */
struct overdue {
    struct mfi_rare *alive, **last_alive, *ended;
    size_t           alive_count, ended_count;
    int64_t          next_ms;    /* the first deadline that is not of these; INT64_MAX: none */
};

static void put_back(struct mfi_memory *m, struct mfi_rare *list)
{
    for (; list != NULL; list = list->overdue)
        mfi_heap_push(&m->deadlines, &list->deadline);
}

static void look(struct mfi_memory *m, size_t max, struct overdue *found, int64_t now_ms)
{
    struct mfi_node *top;
    found->last_alive = &found->alive;
    while ((top = mfi_heap_top(&m->deadlines)) != NULL && top->due <= now_ms) {
        struct mfi_rare *rare = (struct mfi_rare *)(void *)top;    /* its first member */
        bool ended = mf_signature_status_ended(mfi_head_status(rare->head));
        if (ended ? found->ended_count == MFI_FORGET_MAX : found->alive_count == max)
            break;
        mfi_heap_remove(&m->deadlines, top);
        if (ended) {
            rare->overdue = found->ended;
            found->ended = rare;
            found->ended_count++;
        } else {
            rare->overdue = NULL;
            *found->last_alive = rare;
            found->last_alive = &rare->overdue;
            found->alive_count++;
        }
    }
    found->next_ms = top == NULL ? INT64_MAX : top->due <= now_ms ? now_ms : top->due;
    put_back(m, found->alive);
    put_back(m, found->ended);
}

/* One that another took with it has no deadline any more. */
static void forget(struct removal *r, struct overdue *found)
{
    struct mfi_rare *rare = found->ended;
    for (; rare != NULL && r->count < MFI_FORGET_MAX; rare = rare->overdue)
        if (rare->deadline.due != 0)
            remove_all(r, rare->head, false, false);
    if (rare != NULL)
        found->next_ms = r->now_ms;
}

mf_status mfi_memory_expired(mf_store *base, size_t max, mf_key *out, size_t *got, int64_t *next_ms, mf_error *err)
{
    (void)err;    /* nothing is allocated */
    struct mfi_memory *m = mfi_memory_of(base);
    struct mfi_note *notes = NULL;
    struct overdue found = {0};
    int64_t now = mfi_memory_clock(m);
    mfi_mutex_lock(&m->lock);
    now = mfi_memory_advance(m, now);
    struct removal r = {.m = m, .now_ms = now, .last = &r.first, .ready = mfi_claims_sweep(&m->queue, now)};
    look(m, max, &found, now);
    forget(&r, &found);
    for (struct mfi_rare *rare = found.alive; rare != NULL; rare = rare->overdue)
        if (rare->deadline.due != 0)
            out[(*got)++] = rare->head->spec->key;
    mfi_notes_sweep(m, MFI_FORGET_MAX, &notes, now);
    mfi_mutex_unlock(&m->lock);
    *next_ms = found.next_ms;
    mfi_gone_free(r.first, m->allocator);
    mfi_notes_free(notes, m->allocator);
    mfi_watchers_tell_ready(&m->watchers, r.ready);
    return MF_OK;
}
