/* Log lines and progress: what a signature tells of itself, kept with its record.
 *
 * Lines are counted by reference, so that a reader copies the text without the lock. */
#include "memory_store.h"

struct line {
    unsigned refs;      /* under the store's lock: the ring, and readers */
    size_t   len;
    char     text[];
};

/* A ring once it is full; until then `first` is 0. */
struct mfi_lines {
    struct line **ring;
    size_t        capacity, first, count;
    uint64_t      gone;     /* lines that were kept once: the number of the oldest */
};

static struct line *line_of(const mf_allocator *a, mf_str text)
{
    struct line *line = text.len > SIZE_MAX - sizeof *line ? NULL : mfi_alloc(a, sizeof *line + text.len);
    if (line == NULL)
        return NULL;
    line->refs = 1;
    line->len = text.len;
    if (text.len > 0)
        memcpy(line->text, text.at, text.len);
    return line;
}

static void line_unref(const mf_allocator *a, struct line *line)
{
    if (line != NULL && --line->refs == 0)
        mfi_release(a, line, sizeof *line + line->len);
}

static bool lines_append(struct mfi_memory *m, struct mfi_head *head, struct line *line)
{
    if (head->log == NULL)
        head->log = mf_new(m->allocator, struct mfi_lines);
    struct mfi_lines *log = head->log;
    if (log == NULL)
        return false;
    if (log->count == MFI_LINES_MAX) {
        line_unref(m->allocator, log->ring[log->first]);
        log->ring[log->first] = line;
        log->first = (log->first + 1) % MFI_LINES_MAX;
        log->gone++;
        return true;
    }
    if (!mfi_array_reserve(m->allocator, (void **)&log->ring, &log->capacity, log->count + 1, sizeof *log->ring))
        return false;
    log->ring[log->count++] = line;
    return true;
}

void mfi_lines_free(const mf_allocator *a, struct mfi_lines *lines)
{
    if (lines == NULL)
        return;
    for (size_t i = 0; i < lines->count; i++)
        line_unref(a, lines->ring[i]);
    mfi_release(a, lines->ring, lines->capacity * sizeof *lines->ring);
    mf_delete(a, lines);
}

mf_status mfi_memory_log(mf_store *base, const mf_key *key, mf_str text)
{
    struct mfi_memory *m = mfi_memory_of(base);
    struct line *line = line_of(m->allocator, text);
    if (line == NULL)
        return MF_E_NOMEM;
    mfi_mutex_lock(&m->lock);
    struct mfi_head *head = mfi_head_find(m, key);
    mf_status st = head == NULL ? MF_E_NOT_FOUND : lines_append(m, head, line) ? MF_OK : MF_E_NOMEM;
    if (st != MF_OK)
        line_unref(m->allocator, line);
    mfi_mutex_unlock(&m->lock);
    return st;
}

static struct line *line_at(struct mfi_memory *m, const mf_key *key, uint64_t n)
{
    const struct mfi_head *head = mfi_head_find(m, key);
    if (head == NULL || head->log == NULL || n >= head->log->count)
        return NULL;
    struct line *line = head->log->ring[(head->log->first + n) % MFI_LINES_MAX];
    line->refs++;
    return line;
}

mf_status mfi_memory_read_log(mf_store *base, const mf_key *key, uint64_t n, const mf_allocator *allocator, char **text,
                              size_t *len)
{
    struct mfi_memory *m = mfi_memory_of(base);
    mfi_mutex_lock(&m->lock);
    struct line *line = line_at(m, key, n);
    mfi_mutex_unlock(&m->lock);
    if (line == NULL)
        return MF_E_NOT_FOUND;
    char *copy = mfi_copy_text(allocator, mf_str_of(line->text, line->len));
    if (copy != NULL) {
        *text = copy;
        *len = line->len;
    }
    mfi_mutex_lock(&m->lock);
    line_unref(m->allocator, line);
    mfi_mutex_unlock(&m->lock);
    return copy != NULL ? MF_OK : MF_E_NOMEM;
}

/* One line from number `from` on, with a reference; NULL: there is none, or no record. */
static struct line *line_from(struct mfi_memory *m, const mf_key *key, uint64_t from, uint64_t *number, bool *there)
{
    const struct mfi_head *head = mfi_head_find(m, key);
    *there = head != NULL;
    if (head == NULL || head->log == NULL)
        return NULL;
    const struct mfi_lines *log = head->log;
    *number = from > log->gone ? from : log->gone;
    if (*number - log->gone >= log->count)
        return NULL;
    struct line *line = log->ring[(log->first + (size_t)(*number - log->gone)) % MFI_LINES_MAX];
    line->refs++;
    return line;
}

static mf_status copy_line(struct mfi_memory *m, struct line *line, uint64_t number, const mf_allocator *allocator, mf_line *out)
{
    *out = (mf_line){.number = number, .text = mfi_copy_text(allocator, mf_str_of(line->text, line->len)), .len = line->len};
    mfi_mutex_lock(&m->lock);
    line_unref(m->allocator, line);
    mfi_mutex_unlock(&m->lock);
    return out->text != NULL ? MF_OK : MF_E_NOMEM;
}

mf_status mfi_memory_read_lines(mf_store *base, const mf_key *key, uint64_t from, size_t n, const mf_allocator *allocator,
                                mf_line *out, size_t *got, mf_error *err)
{
    struct mfi_memory *m = mfi_memory_of(base);
    mf_status st = MF_OK;
    bool there = true;
    while (st == MF_OK && *got < n) {
        uint64_t number = 0;
        mfi_mutex_lock(&m->lock);
        struct line *line = line_from(m, key, from, &number, &there);
        mfi_mutex_unlock(&m->lock);
        if (line == NULL)
            break;
        st = copy_line(m, line, number, allocator, &out[*got]);
        *got += st == MF_OK;
        from = number + 1;
    }
    if (st == MF_OK && !there && *got == 0)
        return mf_fail(err, MF_E_NOT_FOUND, "store: no record %s", key->text);
    if (st != MF_OK)
        mf_fail(err, st, "store: no memory to read a log");
    while (st != MF_OK && *got > 0) {
        --*got;
        mfi_release(allocator, out[*got].text, out[*got].len + 1);
    }
    return st;
}

mf_status mfi_memory_progress(mf_store *base, const mf_key *key, const mf_message *progress)
{
    struct mfi_memory *m = mfi_memory_of(base);
    mf_message *before = NULL;
    mfi_mutex_lock(&m->lock);
    struct mfi_head *head = mfi_head_find(m, key);
    if (head != NULL) {
        before = head->progress;
        head->progress = mf_message_ref(progress);
    }
    mfi_mutex_unlock(&m->lock);
    mf_message_unref(before);
    return head == NULL ? MF_E_NOT_FOUND : MF_OK;
}

mf_status mfi_memory_read_progress(mf_store *base, const mf_key *key, mf_message **out)
{
    struct mfi_memory *m = mfi_memory_of(base);
    mfi_mutex_lock(&m->lock);
    struct mfi_head *head = mfi_head_find(m, key);
    if (head != NULL)
        *out = mf_message_ref(head->progress);
    mfi_mutex_unlock(&m->lock);
    return head == NULL ? MF_E_NOT_FOUND : MF_OK;
}
