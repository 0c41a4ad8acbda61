/* The object: opening and closing it, and its clock.
 *
 * The store's clock is the machine's monotonic one, moved forward by a number that the file holds. Whoever opens the file
 * first after the machine was started sets that number, so that the clock shows the time of day but is never behind what
 * the file was last told; everybody who opens it until the next start takes it over. So due times mean the same to all
 * processes, the clock does not jump when somebody sets the time of day, and no start or process makes it go back. */
#include "sqlite_store.h"

#include "clock.h"

#include <assert.h>
#include <fcntl.h>
#include <unistd.h>

static const mf_store_ops sqlite_ops;    /* filled in below the functions it names */

struct mfi_sqlite *mfi_sqlite_of(mf_store *base)
{
    assert(base->ops == &sqlite_ops);    /* the one cast, checked */
    return (struct mfi_sqlite *)base;
}

/* ---- the clock ---------------------------------------------------------------------------------------------------- */

int64_t mfi_sqlite_now_ms(mf_store *base)
{
    struct mfi_sqlite *s = mfi_sqlite_of(base);
    int64_t now = mfi_now_ns(s->clock) / 1000000 + s->ahead_ms;
    int64_t latest = atomic_load_explicit(&s->latest_ms, memory_order_relaxed);
    return now > latest ? now : latest;
}

struct boot {
    char text[64];
};

/* Which start of the machine this is. Empty: a clock of the caller's, or a system that does not tell: then the file's
 * number is set anew by everybody who opens it. */
static struct boot boot_now(const mf_clock *clock)
{
    struct boot boot = {{0}};
    if (clock != NULL && clock != mf_clock_default())
        return boot;
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return boot;
    ssize_t len = read(fd, boot.text, sizeof boot.text - 1);
    close(fd);
    boot.text[len > 0 ? strcspn(boot.text, "\n") : 0] = '\0';
    return boot;
}

static mf_status read_boot(struct mfi_sq_db *db, struct boot *boot, int64_t *ahead_ms, mf_error *err)
{
    struct mfi_sq_row q = mfi_sq_query(db, MFI_SQL_BOOT_READ);
    if (mfi_sq_next(&q)) {
        mf_str text = mfi_sq_bytes(&q, 0);
        memcpy(boot->text, text.at == NULL ? "" : text.at, text.len < sizeof boot->text ? text.len : 0);
        *ahead_ms = mfi_sq_int(&q, 1);
    }
    return mfi_sq_done(&q, err);
}

static mf_status set_clock(struct mfi_sqlite *s, mf_error *err)
{
    struct boot now = boot_now(s->clock), then = {{0}};
    mf_status st = read_boot(&s->writer, &then, &s->ahead_ms, err);
    if (st != MF_OK || (now.text[0] != '\0' && strcmp(now.text, then.text) == 0))
        return st;
    int64_t wall = mfi_wall_ms(s->clock);
    int64_t start = wall > s->meta.clock_ms ? wall : s->meta.clock_ms;
    s->ahead_ms = start - mfi_now_ns(s->clock) / 1000000;
    struct mfi_sq_row q = mfi_sq_query(&s->writer, MFI_SQL_BOOT_WRITE);
    mfi_sq_bind_text(&q, now.text);
    mfi_sq_bind(&q, s->ahead_ms);
    return mfi_sq_run(&q, err);
}

/* ---- opening ------------------------------------------------------------------------------------------------------ */

struct enter_op {
    struct mfi_sq_op op;
    int64_t       owner;
};

static mf_status enter_run(struct mfi_sqlite *s, struct mfi_sq_op *op)
{
    struct enter_op *e = (struct enter_op *)op;
    s->others_at_start = s->meta.commits;
    e->owner = mfi_sq_next_id(s);
    return set_clock(s, op->err);
}

static mf_status enter(struct mfi_sqlite *s, mf_error *err)
{
    size_t ready;
    struct enter_op e = {.op = {.run = enter_run, .err = err}};
    mf_status st = mfi_sq_owner_open(s, err);
    if (st == MF_OK)
        st = mfi_sq_submit(s, &e.op);
    if (st == MF_OK)
        st = mfi_sq_owner_enter(s, e.owner, err);
    /* Whoever was killed holds nothing any more: what it had begun goes on now. */
    return st == MF_OK ? mfi_sq_revive(s, &ready, err) : st;
}

/* The last one who closes a database deletes its log by name, which by now may be another's. */
static void leave_log(struct mfi_sq_db *db)
{
    int keeps = 1;
    if (db->at != NULL)
        (void)sqlite3_file_control(db->at, "main", SQLITE_FCNTL_PERSIST_WAL, &keeps);
}

static void close_all(struct mfi_sqlite *s)
{
    const mf_allocator *allocator = s->allocator;
    bool gone = s->full_path != NULL && mfi_sq_owner_in_place(s, NULL) != MF_OK;
    for (int i = 0; gone && i < MFI_READERS; i++)
        leave_log(&s->readers[i]);
    if (gone)
        leave_log(&s->writer);
    for (int i = 0; i < MFI_READERS; i++)
        mfi_sq_db_close(&s->readers[i]);
    mfi_sq_heads_forget(s);
    mfi_sq_cache_fini(&s->cache);
    mfi_sq_db_close(&s->writer);
    mfi_sq_owner_leave(s);
    pthread_mutex_destroy(&s->listener_lock);
    pthread_cond_destroy(&s->reader_free);
    pthread_mutex_destroy(&s->reader_lock);
    pthread_mutex_destroy(&s->group_lock);
    mfi_release(allocator, s->path, strlen(s->path) + 1);
    mf_delete(allocator, s);
}

static void sqlite_destroy(mf_store *base)
{
    struct mfi_sqlite *s = mfi_sqlite_of(base);
    if (s->forked)
        return;    /* a connection must not be closed in a child: what it holds is the parent's */
    mfi_sq_watch_fini(s);
    (void)!mfi_sq_claims_leave(s, NULL);    /* should it fail, the next one who opens the file finds an owner who is gone */
    close_all(s);
}

static const mf_store_ops sqlite_ops = {
    .struct_size = sizeof(mf_store_ops),
    .name = "sqlite",
    .durable = true,
    .shared = true,
    .destroy = sqlite_destroy,
    .watch = mfi_sqlite_watch,
    .unwatch = mfi_sqlite_unwatch,
    .now_ms = mfi_sqlite_now_ms,
    .load = mfi_sqlite_load,
    .items = mfi_sqlite_items,
    .outcomes = mfi_sqlite_outcomes,
    .commit = mfi_sqlite_commit,
    .claim = mfi_sqlite_claim,
    .take = mfi_sqlite_take,
    .lease_ms = mfi_sqlite_lease_ms,
    .renew = mfi_sqlite_renew,
    .give_back = mfi_sqlite_give_back,
    .outbox = mfi_sqlite_outbox,
    .expired = mfi_sqlite_expired,
    .list = mfi_sqlite_list,
    .notes = mfi_sqlite_notes,
    .read_note = mfi_sqlite_read_note,
    .load_counts = mfi_sqlite_load_counts,
    .log = mfi_sqlite_log,
    .read_log = mfi_sqlite_read_log,
    .read_lines = mfi_sqlite_read_lines,
    .progress = mfi_sqlite_progress,
    .read_progress = mfi_sqlite_read_progress,
    .doctor = mfi_sqlite_doctor,
};

static struct mfi_sqlite *create(const char *path, const mf_allocator *allocator, const mf_clock *clock)
{
    struct mfi_sqlite *s = mf_new(allocator, struct mfi_sqlite);
    if (s == NULL)
        return NULL;
    s->path = mfi_copy_text(allocator, mf_cstr(path));
    if (s->path == NULL) {
        mf_delete(allocator, s);
        return NULL;
    }
    s->base.ops = &sqlite_ops;
    s->base.allocator = allocator;
    s->allocator = allocator;
    s->clock = clock;
    s->last_waiting = &s->waiting;
    s->data_version = -1;
    s->lock_fd = s->inotify_fd = s->stop_fd = -1;
    mfi_sq_cache_init(&s->cache);
    pthread_mutex_init(&s->group_lock, NULL);    /* with default attributes none of these can fail on Linux */
    pthread_mutex_init(&s->reader_lock, NULL);
    pthread_cond_init(&s->reader_free, NULL);
    pthread_mutex_init(&s->listener_lock, NULL);
    mfi_watchers_init(&s->watchers, allocator);
    return s;
}

mf_status mfi_sqlite_store_create(const char *path, const mf_allocator *allocator, const mf_clock *clock, mf_store **out,
                                  mf_error *err)
{
    return mfi_sqlite_store_open(path, allocator, clock, MFI_BUSY_MS, out, err);
}

mf_status mfi_sqlite_store_open(const char *path, const mf_allocator *allocator, const mf_clock *clock, int64_t busy_ms,
                                mf_store **out, mf_error *err)
{
    if (allocator == NULL)
        allocator = mf_allocator_default();
    if (path[0] == '\0' || path[0] == ':')
        return mf_fail(err, MF_E_INVALID, "store: expected the path of a file, got \"%.40s\"", path);
    struct mfi_sqlite *s = create(path, allocator, clock);
    if (s == NULL)
        return mf_fail(err, MF_E_NOMEM, "store %s: no memory", path);
    mf_status st = mfi_sq_owner_may_open(path, err);
    if (st == MF_OK)
        st = mfi_sq_db_open(&s->writer, s->path, busy_ms, true, err);
    if (st == MF_OK) {
        s->full_path = sqlite3_db_filename(s->writer.at, "main");
        st = enter(s, err);
    }
    if (st == MF_OK)
        *out = &s->base;
    else
        close_all(s);
    return st;
}
