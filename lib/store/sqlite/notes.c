/* Small things beside the records: notes by space and name, log lines, progress. Texts are compared as bytes. */
#include "sqlite_store.h"

#include "record_codec.h"

/* ---- notes -------------------------------------------------------------------------------------------------------- */

static mf_status note_is_there(struct mfi_sqlite *s, const mf_note *note, int64_t now_ms, bool *there, mf_error *err)
{
    struct mfi_sq_row q = mfi_sq_query(&s->writer, MFI_SQL_NOTE_READ);
    mfi_sq_bind_bytes(&q, note->space);
    mfi_sq_bind_bytes(&q, note->name);
    mfi_sq_bind(&q, now_ms);
    *there = mfi_sq_next(&q);
    return mfi_sq_done(&q, err);
}

static bool comes_earlier(const mf_batch *b, size_t i)
{
    for (size_t before = 0; before < i; before++)
        if (mf_str_eq(b->notes[before].name, b->notes[i].name) && mf_str_eq(b->notes[before].space, b->notes[i].space))
            return true;
    return false;
}

/* Before anything is written. What an earlier note of the batch decides is seen when that one is written. */
mf_status mfi_sq_notes_check(struct mfi_sqlite *s, const mf_batch *b, int64_t now_ms, size_t *refused, mf_error *err)
{
    mf_status st = MF_OK;
    for (size_t i = 0; st == MF_OK && i < b->note_count; i++) {
        bool there = false;
        if (b->notes[i].fresh && !comes_earlier(b, i))
            st = note_is_there(s, &b->notes[i], now_ms, &there, err);
        if (there) {
            *refused = i;
            break;
        }
    }
    return st;
}

static mf_status note_write(struct mfi_sqlite *s, const mf_note *note, mf_error *err)
{
    if (note->value != NULL && mf_message_status(note->value) != MF_OK)
        return mf_fail(err, MF_E_INVALID, "store: a note with a value that was never made");
    struct mfi_sq_row q = mfi_sq_query(&s->writer, note->value == NULL ? MFI_SQL_NOTE_DELETE : MFI_SQL_NOTE_WRITE);
    mfi_sq_bind_bytes(&q, note->space);
    mfi_sq_bind_bytes(&q, note->name);
    if (note->value != NULL) {
        mfi_sq_bind(&q, note->expires_ms);
        mfi_sq_bind_bytes(&q, mf_message_bytes(note->value));
    }
    return mfi_sq_run(&q, err);
}

mf_status mfi_sq_notes_write(struct mfi_sqlite *s, const mf_batch *b, int64_t now_ms, size_t *refused, mf_error *err)
{
    mf_status st = MF_OK;
    for (size_t i = 0; st == MF_OK && i < b->note_count; i++) {
        bool there = false;
        if (b->notes[i].fresh && comes_earlier(b, i))
            st = note_is_there(s, &b->notes[i], now_ms, &there, err);
        if (there) {
            *refused = i;
            return MF_OK;
        }
        if (st == MF_OK)
            st = note_write(s, &b->notes[i], err);
    }
    return st == MF_OK ? mfi_sq_exec(&s->writer, MFI_SQL_NOTES_EXPIRE, err, now_ms, 2 * (int64_t)b->note_count) : st;
}

static mf_status note_read(const struct mfi_sqlite *s, const struct mfi_sq_row *q, mf_str space, mf_note *out, mf_error *err)
{
    mf_str name = mfi_sq_bytes(q, 0);
    char *space_copy = mfi_copy_text(s->allocator, space), *name_copy = mfi_copy_text(s->allocator, name);
    *out = (mf_note){.space = mf_str_of(space_copy, space.len), .name = mf_str_of(name_copy, name.len),
                     .expires_ms = mfi_sq_int(q, 2)};
    if (space_copy == NULL || name_copy == NULL)
        return mf_fail(err, MF_E_NOMEM, "store: no memory to read notes");
    return mfi_message_decode(mfi_sq_bytes(q, 1), s->allocator, &out->value, err);
}

mf_status mfi_sqlite_notes(mf_store *base, mf_str space, mf_str after, size_t max, mf_note *out, size_t *got, mf_error *err)
{
    struct mfi_sqlite *s = mfi_sqlite_of(base);
    struct mfi_sq_db *db;
    int64_t now = mfi_sqlite_now_ms(base);
    mf_status st = mfi_sq_reader_borrow(s, false, &db, err);
    if (st != MF_OK)
        return st;
    struct mfi_sq_row q = mfi_sq_query(db, MFI_SQL_NOTE_LIST);
    mfi_sq_bind_bytes(&q, space);
    mfi_sq_bind_bytes(&q, after);
    mfi_sq_bind(&q, now);
    mfi_sq_bind(&q, max > INT32_MAX ? INT32_MAX : (int64_t)max);
    while (st == MF_OK && *got < max && mfi_sq_next(&q))
        st = note_read(s, &q, space, &out[(*got)++], err);
    mf_status done = mfi_sq_done(&q, err);
    mfi_sq_reader_return(s, db);
    st = st != MF_OK ? st : done;
    while (st != MF_OK && *got > 0)
        mf_note_release(base, &out[--*got]);
    return st;
}

mf_status mfi_sqlite_read_note(mf_store *base, mf_str space, mf_str name, mf_message **out, mf_error *err)
{
    struct mfi_sqlite *s = mfi_sqlite_of(base);
    struct mfi_sq_db *db;
    mf_status st = mfi_sq_reader_borrow(s, false, &db, err);
    if (st != MF_OK)
        return st;
    struct mfi_sq_row q = mfi_sq_query(db, MFI_SQL_NOTE_READ);
    mfi_sq_bind_bytes(&q, space);
    mfi_sq_bind_bytes(&q, name);
    mfi_sq_bind(&q, mfi_sqlite_now_ms(base));
    bool found = mfi_sq_next(&q);
    mf_message *value = NULL;
    if (found)
        st = mfi_message_decode(mfi_sq_bytes(&q, 0), s->allocator, &value, err);
    mf_status done = mfi_sq_done(&q, err);
    mfi_sq_reader_return(s, db);
    st = st != MF_OK ? st : done;
    if (st == MF_OK && !found)
        st = mf_fail(err, MF_E_NOT_FOUND, "store: no note \"%.*s\" in \"%.*s\"", (int)name.len, name.at, (int)space.len,
                     space.at);
    if (st == MF_OK)
        *out = value;
    else
        mf_message_unref(value);
    return st;
}

/* ---- log ---------------------------------------------------------------------------------------------------------- */

struct log_op {
    struct mfi_sq_op     op;
    const mf_key     *key;
    mf_str            line;
    const mf_message *progress;
};

/* The places of the first and the last line that are kept; first above last: none. */
static mf_status log_ends(struct mfi_sq_db *db, int64_t rec, int64_t *first, int64_t *last, mf_error *err)
{
    struct mfi_sq_row q = mfi_sq_query(db, MFI_SQL_LOG_ENDS);
    mfi_sq_bind(&q, mfi_sq_place(rec, 0));
    mfi_sq_bind(&q, mfi_sq_place(rec + 1, 0));
    bool any = mfi_sq_next(&q) && !mfi_sq_is_null(&q, 0);
    *first = any ? mfi_sq_int(&q, 0) : mfi_sq_place(rec, 0);
    *last = any ? mfi_sq_int(&q, 1) : *first - 1;
    return mfi_sq_done(&q, err);
}

static mf_status log_run(struct mfi_sqlite *s, struct mfi_sq_op *op)
{
    struct log_op *l = (struct log_op *)op;
    struct mfi_sq_head *head;
    int64_t first, last;
    mf_status st = mfi_sq_head_find(s, l->key, &head, op->err);
    if (st != MF_OK || head == NULL)
        return st != MF_OK ? st : MF_E_NOT_FOUND;
    st = log_ends(&s->writer, head->rec, &first, &last, op->err);
    if (st == MF_OK && last - first + 1 >= MFI_LINES_MAX)
        st = mfi_sq_exec(&s->writer, MFI_SQL_LOG_DELETE, op->err, first);
    if (st != MF_OK)
        return st;
    struct mfi_sq_row q = mfi_sq_query(&s->writer, MFI_SQL_LOG_INSERT);
    mfi_sq_bind(&q, last + 1);
    mfi_sq_bind_bytes(&q, l->line);
    return mfi_sq_run(&q, op->err);
}

mf_status mfi_sqlite_log(mf_store *base, const mf_key *key, mf_str line)
{
    mf_error err = {0};
    struct log_op l = {.op = {.run = log_run, .err = &err}, .key = key, .line = line};
    return mfi_sq_submit(mfi_sqlite_of(base), &l.op);
}

static mf_status read_line(struct mfi_sq_db *db, int64_t place, const mf_allocator *allocator, char **text, size_t *len,
                           mf_error *err)
{
    mf_status st = MF_E_NOT_FOUND;
    struct mfi_sq_row q = mfi_sq_query(db, MFI_SQL_LOG_READ);
    mfi_sq_bind(&q, place);
    if (mfi_sq_next(&q)) {
        mf_str line = mfi_sq_bytes(&q, 0);
        char *copy = mfi_copy_text(allocator, line);
        st = copy == NULL ? MF_E_NOMEM : MF_OK;
        if (copy != NULL) {
            *text = copy;
            *len = line.len;
        }
    }
    mf_status done = mfi_sq_done(&q, err);
    return done != MF_OK ? done : st;
}

mf_status mfi_sqlite_read_log(mf_store *base, const mf_key *key, uint64_t n, const mf_allocator *allocator, char **text,
                              size_t *len)
{
    struct mfi_sqlite *s = mfi_sqlite_of(base);
    struct mfi_sq_db *db;
    int64_t rec = 0, first, last;
    mf_error err = {0};
    mf_status st = mfi_sq_reader_borrow(s, true, &db, &err);
    if (st != MF_OK)
        return st;
    st = mfi_sq_record_number(db, key, &rec, &err);
    if (st == MF_OK && rec == 0)
        st = MF_E_NOT_FOUND;
    if (st == MF_OK)
        st = log_ends(db, rec, &first, &last, &err);
    if (st == MF_OK)
        st = n < MFI_LINES_MAX ? read_line(db, first + (int64_t)n, allocator, text, len, &err) : MF_E_NOT_FOUND;
    mfi_sq_reader_return(s, db);
    return st;
}

/* Places of lines go up from the record's first for as long as it lives, so that they are the lines' numbers. */
static mf_status read_lines(struct mfi_sq_db *db, int64_t rec, uint64_t from, size_t n, const mf_allocator *allocator, mf_line *out,
                            size_t *got, mf_error *err)
{
    mf_status st = MF_OK;
    struct mfi_sq_row q = mfi_sq_query(db, MFI_SQL_LOG_LINES);
    mfi_sq_bind(&q, mfi_sq_place(rec, from));
    mfi_sq_bind(&q, mfi_sq_place(rec + 1, 0));
    mfi_sq_bind(&q, n > INT32_MAX ? INT32_MAX : (int64_t)n);
    while (st == MF_OK && *got < n && mfi_sq_next(&q)) {
        mf_str line = mfi_sq_bytes(&q, 1);
        char *copy = mfi_copy_text(allocator, line);
        if (copy == NULL)
            st = mf_fail(err, MF_E_NOMEM, "store: no memory to read a log");
        else
            out[(*got)++] = (mf_line){.number = (uint64_t)(mfi_sq_int(&q, 0) - mfi_sq_place(rec, 0)), .text = copy, .len = line.len};
    }
    mf_status done = mfi_sq_done(&q, err);
    return st != MF_OK ? st : done;
}

mf_status mfi_sqlite_read_lines(mf_store *base, const mf_key *key, uint64_t from, size_t n, const mf_allocator *allocator,
                                mf_line *out, size_t *got, mf_error *err)
{
    struct mfi_sqlite *s = mfi_sqlite_of(base);
    struct mfi_sq_db *db;
    int64_t rec = 0;
    mf_status st = mfi_sq_reader_borrow(s, true, &db, err);
    if (st != MF_OK)
        return st;
    st = mfi_sq_record_number(db, key, &rec, err);
    if (st == MF_OK && rec == 0)
        st = mfi_sq_record_missing(key, err);
    else if (st == MF_OK && from <= UINT32_MAX)
        st = read_lines(db, rec, from, n, allocator, out, got, err);
    mfi_sq_reader_return(s, db);
    while (st != MF_OK && *got > 0) {
        --*got;
        mfi_release(allocator, out[*got].text, out[*got].len + 1);
    }
    return st;
}

/* ---- progress ----------------------------------------------------------------------------------------------------- */

static mf_status progress_run(struct mfi_sqlite *s, struct mfi_sq_op *op)
{
    struct log_op *l = (struct log_op *)op;
    struct mfi_sq_head *head;
    mf_status st = mfi_sq_head_find(s, l->key, &head, op->err);
    if (st != MF_OK || head == NULL)
        return st != MF_OK ? st : MF_E_NOT_FOUND;
    if (l->progress == NULL)
        return mfi_sq_exec(&s->writer, MFI_SQL_PROGRESS_DELETE, op->err, head->rec);
    struct mfi_sq_row q = mfi_sq_query(&s->writer, MFI_SQL_PROGRESS_WRITE);
    mfi_sq_bind(&q, head->rec);
    mfi_sq_bind_bytes(&q, mf_message_bytes(l->progress));
    return mfi_sq_run(&q, op->err);
}

mf_status mfi_sqlite_progress(mf_store *base, const mf_key *key, const mf_message *progress)
{
    mf_error err = {0};
    if (progress != NULL && mf_message_status(progress) != MF_OK)
        return MF_E_INVALID;
    struct log_op l = {.op = {.run = progress_run, .err = &err}, .key = key, .progress = progress};
    return mfi_sq_submit(mfi_sqlite_of(base), &l.op);
}

mf_status mfi_sqlite_read_progress(mf_store *base, const mf_key *key, mf_message **out)
{
    struct mfi_sqlite *s = mfi_sqlite_of(base);
    struct mfi_sq_db *db;
    mf_message *value = NULL;
    int64_t rec = 0;
    mf_error err = {0};
    mf_status st = mfi_sq_reader_borrow(s, true, &db, &err);
    if (st != MF_OK)
        return st;
    st = mfi_sq_record_number(db, key, &rec, &err);
    if (st == MF_OK && rec == 0)
        st = MF_E_NOT_FOUND;
    if (st == MF_OK) {
        struct mfi_sq_row q = mfi_sq_query(db, MFI_SQL_PROGRESS_READ);
        mfi_sq_bind(&q, rec);
        if (mfi_sq_next(&q))
            st = mfi_message_decode(mfi_sq_bytes(&q, 0), s->allocator, &value, &err);
        mf_status done = mfi_sq_done(&q, &err);
        st = st != MF_OK ? st : done;
    }
    mfi_sq_reader_return(s, db);
    if (st == MF_OK)
        *out = value;
    else
        mf_message_unref(value);
    return st;
}
