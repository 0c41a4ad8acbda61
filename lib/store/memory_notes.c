/* Notes: small values by name, beside the records.
 *
 * A treap: a search tree by space and name, and a heap by a random weight, which keeps it about as deep as it must be. It is
 * cut and joined without recursion, and needs no memory for either, so that a batch has nothing to fail at once its nodes
 * are there; those are made before the lock is taken, one for each note that is set, and replace what has their name.
 *
 * A note that expired counts as absent wherever one is looked for; a heap by time finds those nobody looks for. */
#include "memory_store.h"

struct mfi_note {
    struct mfi_node  expires;         /* in the heap while due is not 0. First: a node there is one of these */
    struct mfi_note *left, *right;    /* out of the tree: right is the next of a list */
    uint64_t         weight;
    mf_message      *value;
    uint16_t         space_len, name_len;
    char             texts[];         /* space, then name */
};

static mf_str space_of(const struct mfi_note *note)
{
    return mf_str_of(note->texts, note->space_len);
}

static mf_str name_of(const struct mfi_note *note)
{
    return mf_str_of(note->texts + note->space_len, note->name_len);
}

/* ---- order ------------------------------------------------------------------------------------------------------- */

static int text_order(mf_str a, mf_str b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.at, b.at, len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int note_order(const struct mfi_note *note, mf_str space, mf_str name)
{
    int order = text_order(space_of(note), space);
    return order != 0 ? order : text_order(name_of(note), name);
}

static bool expired(const struct mfi_note *note, int64_t now_ms)
{
    return note->expires.due != 0 && note->expires.due <= now_ms;
}

/* ---- the tree ---------------------------------------------------------------------------------------------------- */

/* The link that leads to the note of that name, or to where it would be. */
static struct mfi_note **find_link(struct mfi_note **link, mf_str space, mf_str name)
{
    int order;
    while (*link != NULL && (order = note_order(*link, space, name)) != 0)
        link = order < 0 ? &(*link)->right : &(*link)->left;
    return link;
}

/* The first note behind that name, or NULL. */
static struct mfi_note *find_after(struct mfi_note *note, mf_str space, mf_str name)
{
    struct mfi_note *found = NULL;
    while (note != NULL) {
        bool behind = note_order(note, space, name) > 0;
        if (behind)
            found = note;
        note = behind ? note->left : note->right;
    }
    return found;
}

/* Cut what lies under a link in two, at a name that is not in it, as the branches of `at`. */
static void cut(struct mfi_note *note, struct mfi_note *at)
{
    struct mfi_note **left = &at->left, **right = &at->right;
    while (note != NULL) {
        if (note_order(note, space_of(at), name_of(at)) < 0) {
            *left = note;
            left = &note->right;
            note = note->right;
        } else {
            *right = note;
            right = &note->left;
            note = note->left;
        }
    }
    *left = *right = NULL;
}

/* Join two branches, everything in a before everything in b. */
static struct mfi_note *join(struct mfi_note *a, struct mfi_note *b)
{
    struct mfi_note *top, **link = &top;
    while (a != NULL && b != NULL) {
        if (a->weight > b->weight) {
            *link = a;
            link = &a->right;
            a = a->right;
        } else {
            *link = b;
            link = &b->left;
            b = b->left;
        }
    }
    *link = a != NULL ? a : b;
    return top;
}

static void take_out(struct mfi_memory *m, struct mfi_note **link, struct mfi_note **gone)
{
    struct mfi_note *note = *link;
    *link = join(note->left, note->right);
    if (note->expires.due != 0)
        mfi_heap_remove(&m->expiring, &note->expires);
    note->right = *gone;
    *gone = note;
}

static void put_in(struct mfi_memory *m, struct mfi_note *note)
{
    struct mfi_note **link = &m->notes;
    note->expires.id = ++m->last_note;
    note->weight = (note->expires.id ^ note->expires.id >> 30) * UINT64_C(0xbf58476d1ce4e5b9);    /* splitmix: well mixed */
    note->weight = (note->weight ^ note->weight >> 27) * UINT64_C(0x94d049bb133111eb);
    while (*link != NULL && (*link)->weight >= note->weight)
        link = note_order(*link, space_of(note), name_of(note)) < 0 ? &(*link)->right : &(*link)->left;
    cut(*link, note);
    *link = note;
    if (note->expires.due != 0)
        mfi_heap_push(&m->expiring, &note->expires);
}

/* ---- a batch ----------------------------------------------------------------------------------------------------- */

static struct mfi_note *note_make(const mf_allocator *a, const mf_note *from)
{
    struct mfi_note *note = mfi_alloc_zero(a, sizeof *note + from->space.len + from->name.len);
    if (note == NULL)
        return NULL;
    note->space_len = (uint16_t)from->space.len;
    note->name_len = (uint16_t)from->name.len;
    memcpy(note->texts, from->space.at, from->space.len);
    memcpy(note->texts + from->space.len, from->name.at, from->name.len);
    note->value = mf_message_ref(from->value);
    note->expires.due = from->expires_ms;
    return note;
}

bool mfi_notes_make(struct mfi_memory *m, const mf_batch *batch, struct mfi_note **made)
{
    struct mfi_note **last = made;
    *made = NULL;
    for (size_t i = 0; i < batch->note_count; i++) {
        if (batch->notes[i].value == NULL)
            continue;
        *last = note_make(m->allocator, &batch->notes[i]);
        if (*last == NULL) {
            mfi_notes_free(*made, m->allocator);
            *made = NULL;
            return false;
        }
        last = &(*last)->right;
    }
    return true;
}

bool mfi_notes_reserve(struct mfi_memory *m, size_t n)
{
    return n == 0 || mfi_heap_reserve(&m->expiring, m->allocator, m->expiring.count + n);
}

static bool same(const mf_note *a, const mf_note *b)
{
    return text_order(a->name, b->name) == 0 && text_order(a->space, b->space) == 0;
}

/* There is one if the last of the notes before this one in the batch left one, or else if one is stored. */
static bool is_there(struct mfi_memory *m, const mf_batch *batch, size_t i, int64_t now_ms)
{
    const mf_note *note = &batch->notes[i];
    for (size_t before = i; before-- > 0;)
        if (same(&batch->notes[before], note))
            return batch->notes[before].value != NULL;
    const struct mfi_note *stored = *find_link(&m->notes, note->space, note->name);
    return stored != NULL && !expired(stored, now_ms);
}

size_t mfi_notes_refused(struct mfi_memory *m, const mf_batch *batch, int64_t now_ms)
{
    size_t i = 0;
    while (i < batch->note_count && !(batch->notes[i].fresh && is_there(m, batch, i, now_ms)))
        i++;
    return i;
}

void mfi_notes_write(struct mfi_memory *m, const mf_batch *batch, struct mfi_note **made, int64_t now_ms)
{
    struct mfi_note *fresh = *made, *gone = NULL;
    for (size_t i = 0; i < batch->note_count; i++) {
        const mf_note *note = &batch->notes[i];
        struct mfi_note **link = find_link(&m->notes, note->space, note->name);
        if (*link != NULL)
            take_out(m, link, &gone);
        if (note->value == NULL)
            continue;
        struct mfi_note *next = fresh->right;
        put_in(m, fresh);
        fresh = next;
    }
    mfi_notes_sweep(m, 2 * batch->note_count, &gone, now_ms);
    *made = gone;
}

void mfi_notes_sweep(struct mfi_memory *m, size_t most, struct mfi_note **gone, int64_t now_ms)
{
    struct mfi_node *top;
    for (size_t i = 0; i < most && (top = mfi_heap_top(&m->expiring)) != NULL && top->due <= now_ms; i++) {
        const struct mfi_note *note = (struct mfi_note *)(void *)top;    /* its first member */
        take_out(m, find_link(&m->notes, space_of(note), name_of(note)), gone);
    }
}

static void note_free(struct mfi_note *note, const mf_allocator *a)
{
    mf_message_unref(note->value);
    mfi_release(a, note, sizeof *note + note->space_len + note->name_len);
}

void mfi_notes_free(struct mfi_note *list, const mf_allocator *a)
{
    while (list != NULL) {
        struct mfi_note *next = list->right;
        note_free(list, a);
        list = next;
    }
}

void mfi_notes_fini(struct mfi_memory *m)
{
    struct mfi_note *gone = NULL;
    while (m->notes != NULL)
        take_out(m, &m->notes, &gone);
    mfi_notes_free(gone, m->allocator);
    mfi_heap_fini(&m->expiring, m->allocator);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static bool copy_out(const struct mfi_memory *m, const struct mfi_note *note, mf_note *out)
{
    char *space = mfi_copy_text(m->allocator, space_of(note)), *name = mfi_copy_text(m->allocator, name_of(note));
    *out = (mf_note){.space = mf_str_of(space, note->space_len), .name = mf_str_of(name, note->name_len),
                     .value = mf_message_ref(note->value), .expires_ms = note->expires.due};
    return space != NULL && name != NULL;
}

mf_status mfi_memory_notes(mf_store *base, mf_str space, mf_str after, size_t max, mf_note *out, size_t *got, mf_error *err)
{
    struct mfi_memory *m = mfi_memory_of(base);
    bool room = true;
    int64_t now = mfi_memory_clock(m);
    mfi_mutex_lock(&m->lock);
    now = mfi_memory_advance(m, now);
    struct mfi_note *note = find_after(m->notes, space, after);
    while (room && *got < max && note != NULL && text_order(space_of(note), space) == 0) {
        if (!expired(note, now))
            room = copy_out(m, note, &out[(*got)++]);
        note = find_after(m->notes, space, name_of(note));
    }
    mfi_mutex_unlock(&m->lock);
    if (room)
        return MF_OK;
    while (*got > 0)
        mf_note_release(base, &out[--*got]);
    return mf_fail(err, MF_E_NOMEM, "store: no memory to read notes");
}

mf_status mfi_memory_read_note(mf_store *base, mf_str space, mf_str name, mf_message **out, mf_error *err)
{
    struct mfi_memory *m = mfi_memory_of(base);
    int64_t now = mfi_memory_clock(m);
    mfi_mutex_lock(&m->lock);
    now = mfi_memory_advance(m, now);
    const struct mfi_note *note = *find_link(&m->notes, space, name);
    bool found = note != NULL && !expired(note, now);
    if (found)
        *out = mf_message_ref(note->value);
    mfi_mutex_unlock(&m->lock);
    if (found)
        return MF_OK;
    return mf_fail(err, MF_E_NOT_FOUND, "store: no note \"%.*s\" in \"%.*s\"", (int)name.len, name.at, (int)space.len, space.at);
}
