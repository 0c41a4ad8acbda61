/* groups.c: what is equal to what.
 *
 * Memory is 24 bytes a file: its size, a part of its hash, and where the rest stands, in the spool. Sorting brings equal
 * ones together, and the full hashes are read back for those alone. */
#include "groups.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define GROUP_HEAD (8 + 4 + GROUPS_HASH_SIZE)

struct entry {
    uint64_t size;
    uint64_t offset;       /* of the record */
    uint32_t prefix;       /* of the hash */
    uint32_t number;       /* of the hash in the spool */
};

struct run {              /* entries that are one group */
    uint64_t wasted;
    uint32_t first, count;
};

struct report {
    struct spool          *spool;
    struct groups_summary *sum;
    struct entry          *entries;
    size_t                 count, room;
    struct run            *runs;
    size_t                 run_count, run_room;
    struct spool_window    window;
    struct spool_text      name;
    struct spool_writer    writer;
    uint64_t               hashes;      /* offset of the first */
};

/* Room for one more of an array's elements. */
static void *grown(void *array, size_t count, size_t *room, size_t size, mf_error *err)
{
    if (count < *room)
        return array;
    size_t more = *room + *room / 2 + 256;
    void *at = realloc(array, more * size);
    if (at == NULL)
        mf_fail(err, MF_E_NOMEM, "no memory to compare %zu files", count);
    else
        *room = more;
    return at;
}

static mf_status read_exactly(int fd, void *to, size_t len, uint64_t offset, mf_error *err)
{
    if (pread(fd, to, len, (off_t)offset) == (ssize_t)len)
        return MF_OK;
    return mf_fail(err, MF_E_IO, "the list of groups cannot be read");
}

/* ---- collecting -------------------------------------------------------------------------------------------------------- */

static mf_status add_entry(struct report *r, uint64_t size, const unsigned char *hash, uint64_t offset, mf_error *err)
{
    struct entry *entries = grown(r->entries, r->count, &r->room, sizeof *entries, err);
    if (entries == NULL)
        return MF_E_NOMEM;
    r->entries = entries;
    if (r->count == UINT32_MAX)
        return mf_fail(err, MF_E_TOO_BIG, "more than %u files", UINT32_MAX);
    struct entry *entry = &entries[r->count];
    *entry = (struct entry){.size = size, .offset = offset, .number = (uint32_t)r->count++};
    memcpy(&entry->prefix, hash, sizeof entry->prefix);
    r->sum->files++;
    r->sum->bytes += size;
    return spool_put(&r->writer, hash, GROUPS_HASH_SIZE, err);
}

static mf_status add_outcome(struct report *r, const mf_outcome *outcome, uint64_t offset, mf_error *err)
{
    uint64_t size;
    mf_str hash;
    if (outcome->status != MF_STATUS_DONE) {
        r->sum->failed++;
        return MF_OK;
    }
    mf_status st = mf_message_scan(outcome->value, err, "{s:U, s:B}", "b", &size, "h", &hash);
    if (st == MF_OK && hash.len != GROUPS_HASH_SIZE)
        st = mf_fail(err, MF_E_INVALID, "a hash of %zu bytes", hash.len);
    return st == MF_OK ? add_entry(r, size, (const unsigned char *)hash.at, offset, err) : st;
}

/* The record of the next item: directories that could be read are none. */
static mf_status next_record(struct report *r, uint64_t *at, struct spool_record *record, mf_error *err)
{
    do {
        mf_status st = spool_scan(r->spool->fd, &r->window, *at, record, &r->name, err);
        if (st != MF_OK)
            return st;
        *at = record->next;
    } while (record->kind == SPOOL_DIRECTORY);
    return MF_OK;
}

static mf_status collect(struct report *r, mf_results *results, mf_error *err)
{
    uint64_t at = r->spool->first;
    for (;;) {
        mf_outcome outcome;
        struct spool_record record;
        mf_status st = mf_results_next(results, &outcome, err);
        if (st != MF_OK && st != MF_E_NOT_FOUND)
            return st;
        mf_status found = next_record(r, &at, &record, err);
        if (found != MF_OK)
            return found;
        if (st == MF_E_NOT_FOUND)
            return record.kind == SPOOL_END ? MF_OK : mf_fail(err, MF_E_MALFORMED, "there are fewer results than files");
        if (record.kind == SPOOL_END)
            return mf_fail(err, MF_E_MALFORMED, "there are more results than files");
        st = add_outcome(r, &outcome, record.offset, err);
        if (st != MF_OK)
            return st;
    }
}

/* ---- comparing --------------------------------------------------------------------------------------------------------- */

static int order(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *one = a, *other = b;
    int by = order(one->size, other->size);
    if (by == 0)
        by = order(one->prefix, other->prefix);
    return by == 0 ? order(one->offset, other->offset) : by;
}

static mf_status hash_of(const struct report *r, const struct entry *entry, unsigned char *hash, mf_error *err)
{
    return read_exactly(r->spool->fd, hash, GROUPS_HASH_SIZE, r->hashes + (uint64_t)GROUPS_HASH_SIZE * entry->number, err);
}

/* Move the entries from first to end that are equal to the first one to the front. *equal: behind the last of them. */
static mf_status gather_equal(struct report *r, size_t first, size_t end, size_t *equal, mf_error *err)
{
    unsigned char want[GROUPS_HASH_SIZE], have[GROUPS_HASH_SIZE];
    mf_status st = hash_of(r, &r->entries[first], want, err);
    *equal = first + 1;
    for (size_t i = first + 1; st == MF_OK && i < end; i++) {
        st = hash_of(r, &r->entries[i], have, err);
        if (st != MF_OK || memcmp(want, have, GROUPS_HASH_SIZE) != 0)
            continue;
        struct entry moved = r->entries[i];
        r->entries[i] = r->entries[*equal];
        r->entries[(*equal)++] = moved;
    }
    return st;
}

static mf_status add_run(struct report *r, size_t first, size_t count, mf_error *err)
{
    struct run *runs = grown(r->runs, r->run_count, &r->run_room, sizeof *runs, err);
    if (runs == NULL)
        return MF_E_NOMEM;
    r->runs = runs;
    uint64_t wasted = r->entries[first].size * (count - 1);
    runs[r->run_count++] = (struct run){.wasted = wasted, .first = (uint32_t)first, .count = (uint32_t)count};
    r->sum->groups++;
    r->sum->duplicates += count - 1;
    r->sum->wasted += wasted;
    return MF_OK;
}

/* Entries of one size and prefix: nearly always one group; more only when two hashes begin alike. */
static mf_status split_alike(struct report *r, size_t first, size_t end, mf_error *err)
{
    mf_status st = MF_OK;
    while (st == MF_OK && end - first > 1) {
        size_t equal;
        st = gather_equal(r, first, end, &equal, err);
        if (st == MF_OK && equal - first > 1)
            st = add_run(r, first, equal - first, err);
        first = equal;
    }
    return st;
}

static mf_status compare(struct report *r, mf_error *err)
{
    mf_status st = MF_OK;
    qsort(r->entries, r->count, sizeof *r->entries, compare_entries);
    for (size_t first = 0, end; st == MF_OK && first < r->count; first = end) {
        for (end = first + 1; end < r->count; end++) {
            if (r->entries[end].size != r->entries[first].size || r->entries[end].prefix != r->entries[first].prefix)
                break;
        }
        st = split_alike(r, first, end, err);
    }
    return st;
}

/* ---- writing ----------------------------------------------------------------------------------------------------------- */

static int compare_runs(const void *a, const void *b)
{
    const struct run *one = a, *other = b;
    int by = order(other->wasted, one->wasted);
    if (by == 0)
        by = order(other->count, one->count);
    return by == 0 ? order(one->first, other->first) : by;
}

static mf_status write_run(struct report *r, const struct run *run, mf_error *err)
{
    unsigned char head[GROUP_HEAD];
    uint64_t size = htole64(r->entries[run->first].size);
    uint32_t count = htole32(run->count);
    memcpy(head, &size, sizeof size);
    memcpy(head + 8, &count, sizeof count);
    mf_status st = hash_of(r, &r->entries[run->first], head + 12, err);
    if (st == MF_OK)
        st = spool_put(&r->writer, head, sizeof head, err);
    for (uint32_t i = 0; st == MF_OK && i < run->count; i++) {
        uint64_t offset = htole64(r->entries[run->first + i].offset);
        st = spool_put(&r->writer, &offset, sizeof offset, err);
    }
    return st;
}

static mf_status write_runs(struct report *r, mf_error *err)
{
    mf_status st = MF_OK;
    r->sum->at = r->writer.end;
    if (r->run_count > 0)
        qsort(r->runs, r->run_count, sizeof *r->runs, compare_runs);
    for (size_t i = 0; st == MF_OK && i < r->run_count; i++)
        st = write_run(r, &r->runs[i], err);
    return st == MF_OK ? spool_flush(&r->writer, err) : st;
}

/* Where the list ends, what was found begins. */
static mf_status find_end(struct report *r, mf_error *err)
{
    struct spool_record record = {.next = r->spool->first};
    mf_status st;
    do {
        st = spool_scan(r->spool->fd, &r->window, record.next, &record, &r->name, err);
    } while (st == MF_OK && record.kind != SPOOL_END);
    r->hashes = record.next;
    return st == MF_OK ? spool_writer_resume(&r->writer, r->spool->fd, r->hashes, err) : st;
}

mf_status groups_find(struct spool *spool, mf_results *results, struct groups_summary *out, mf_error *err)
{
    *out = (struct groups_summary){0};
    struct report r = {.spool = spool, .sum = out, .writer.fd = -1};
    mf_status st = find_end(&r, err);
    if (st == MF_OK)
        st = collect(&r, results, err);
    if (st == MF_OK)
        st = spool_flush(&r.writer, err);
    if (st == MF_OK && r.count > 0)
        st = compare(&r, err);
    if (st == MF_OK)
        st = write_runs(&r, err);
    spool_writer_fini(&r.writer);
    spool_window_fini(&r.window);
    spool_text_fini(&r.name);
    free(r.entries);
    free(r.runs);
    return st;
}

/* ---- the summary as a message ------------------------------------------------------------------------------------------ */

mf_message *groups_message(const struct groups_summary *s)
{
    return mf_msg("{s:U, s:U, s:U, s:U, s:U, s:U, s:U}", "files", s->files, "bytes", s->bytes, "failed", s->failed,
                  "duplicate_groups", s->groups, "duplicate_files", s->duplicates, "wasted_bytes", s->wasted, "at", s->at);
}

mf_status groups_of_message(const mf_message *message, struct groups_summary *s, mf_error *err)
{
    return mf_message_scan(message, err, "{s:U, s:U, s:U, s:U, s:U, s:U, s:U}", "files", &s->files, "bytes", &s->bytes,
                           "failed", &s->failed, "duplicate_groups", &s->groups, "duplicate_files", &s->duplicates,
                           "wasted_bytes", &s->wasted, "at", &s->at);
}

/* ---- reading back ------------------------------------------------------------------------------------------------------ */

mf_status groups_member(int fd, const struct group *group, uint32_t i, struct spool_record *out, struct spool_text *name,
                       mf_error *err)
{
    uint64_t offset;
    mf_status st = read_exactly(fd, &offset, sizeof offset, group->members + 8 * (uint64_t)i, err);
    return st == MF_OK ? spool_read(fd, le64toh(offset), out, name, err) : st;
}

mf_status groups_read(int fd, uint64_t offset, struct group *out, mf_error *err)
{
    unsigned char head[GROUP_HEAD];
    mf_status st = read_exactly(fd, head, sizeof head, offset, err);
    if (st != MF_OK)
        return st;
    memcpy(&out->size, head, 8);
    memcpy(&out->count, head + 8, 4);
    memcpy(out->hash, head + 12, GROUPS_HASH_SIZE);
    out->size = le64toh(out->size);
    out->count = le32toh(out->count);
    out->members = offset + sizeof head;
    out->next = out->members + 8 * (uint64_t)out->count;
    return MF_OK;
}
