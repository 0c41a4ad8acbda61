/* The chunks of a run's stream, which go to the engine one after another.
 *
 * Each has its number, by which the engine puts in order what comes to it out of order; but only for who listens from the first one
 * on, and calls of one connection it works on side by side. So a chunk goes out when the one before was answered, and the run's end
 * when its last chunk was: who hears of the end hangs up. Nobody keeps chunks: what cannot be sent in time is dropped.
 *
 * A stream is its job's, and where the job ends first, its last answer's. */
#include "hatchet.h"

#include "clock.h"
#include "memory.h"

#define WITHIN mf_seconds(10)
#define WAITING_MAX 4096
#define CHUNK_MAX (((size_t)4 << 20) - 4096)

typedef struct chunk {
    struct chunk *next;
    int64_t       at_ms;
    size_t        len;
    char          bytes[];
} chunk;

/* L under the adapter's lock · U whoever has set under_way */
struct hatchet_stream {
    hatchet      *owner;
    char          run[HATCHET_ID_MAX];
    chunk        *first, *last;     /* L  that wait */
    size_t        waiting;          /* L */
    bool          under_way;        /* L  one is sent and not answered; counted in hatchet.streaming */
    bool          left;             /* L  its job is gone */
    hatchet_news *end;              /* L  of the run, held back; or NULL */
    int64_t       index;            /* U  of the next one */
    bool          told;             /* U  that one was not taken: said once */
};

static void chunk_ended(void *user, const mfi_rpc_end *end);

static mf_status send_chunk(hatchet_stream *s, const chunk *c)
{
    char none[] = "";
    HatchetPb__Timestamp at = hatchet_stamp(c->at_ms);
    HatchetPb__Stream m = HATCHET_PB__STREAM__INIT;
    m.task_run_external_id = s->run;
    m.created_at = &at;
    m.has_message = m.has_event_index = true;
    m.message.data = (uint8_t *)(uintptr_t)c->bytes;
    m.message.len = c->len;
    m.metadata = none;
    m.event_index = s->index++;
    return hatchet_begin(s->owner, "/EventsService/PutStreamEvent", &m.base, WITHIN, NULL, chunk_ended, s, NULL, NULL);
}

/* The next one that waits, the caller's to free. NULL: there is none, and the stream rests; it may be gone. */
static chunk *take(hatchet_stream *s)
{
    hatchet *h = s->owner;
    pthread_mutex_lock(&h->lock);
    chunk *c = s->first;
    bool over = c == NULL && s->left;
    if (c != NULL) {
        s->first = c->next;
        s->waiting--;
    } else {
        s->under_way = false;
        h->streaming--;
        if (s->end != NULL)
            hatchet_news_push(h, s->end);
        s->end = NULL;
        pthread_cond_broadcast(&h->changed);
    }
    pthread_mutex_unlock(&h->lock);
    if (c == NULL)
        mfi_rpc_poke(h->rpc);
    if (over)
        mf_delete(h->allocator, s);
    return c;
}

static void chunk_free(hatchet *h, chunk *c)
{
    mfi_release(h->allocator, c, sizeof *c + c->len);
}

/* The first that can be sent. What is not sent leaves no hole in the numbers. */
static mf_status send_next(hatchet_stream *s)
{
    hatchet *h = s->owner;
    mf_status first = MF_OK;
    for (chunk *c; (c = take(s)) != NULL;) {
        mf_status st = send_chunk(s, c);
        chunk_free(h, c);
        if (st == MF_OK)
            break;
        s->index--;
        first = first != MF_OK ? first : st;
    }
    return first;
}

static void drop_waiting(hatchet_stream *s)
{
    hatchet *h = s->owner;
    pthread_mutex_lock(&h->lock);
    chunk *c = s->first;
    s->first = NULL;
    s->waiting = 0;
    pthread_mutex_unlock(&h->lock);
    for (chunk *next; c != NULL; c = next) {
        next = c->next;
        chunk_free(h, c);
    }
}

static void chunk_ended(void *user, const mfi_rpc_end *end)
{
    hatchet_stream *s = user;
    if (end->status != MF_OK) {
        if (end->unseen)
            s->index--;
        if (!s->told && end->status != MF_E_CLOSED && !io_token_refused(s->owner, end))
            hatchet_log(s->owner, MF_LOG_WARN, "a part of a run's stream was not taken: %s", end->err->text);
        s->told = true;
        if (end->status == MF_E_TIMEOUT || end->status == MF_E_CLOSED)      /* the others have waited as long */
            drop_waiting(s);
    }
    (void)send_next(s);
}

/* The lock is held. */
static hatchet_stream *stream_of(hatchet_job *job)
{
    if (job->stream == NULL && (job->stream = mf_new(job->owner->allocator, hatchet_stream)) != NULL) {
        job->stream->owner = job->owner;
        memcpy(job->stream->run, job->action->task_run_external_id, strlen(job->action->task_run_external_id) + 1);
    }
    return job->stream;
}

static mf_status push(hatchet_job *job, chunk *c, bool *idle)
{
    hatchet *h = job->owner;
    mf_status st = MF_OK;
    pthread_mutex_lock(&h->lock);
    hatchet_stream *s = stream_of(job);
    if (s == NULL)
        st = MF_E_NOMEM;
    else if (s->waiting >= WAITING_MAX)
        st = MF_E_FULL;
    if (st == MF_OK) {
        *(s->first != NULL ? &s->last->next : &s->first) = c;
        s->last = c;
        s->waiting++;
        *idle = !s->under_way;
        h->streaming += *idle;
        s->under_way = true;
    }
    pthread_mutex_unlock(&h->lock);
    return st;
}

mf_status mf_hatchet_stream(mf_context *ctx, mf_str bytes)
{
    hatchet *h;
    mf_status st = hatchet_of_context(ctx, &h);
    if (st != MF_OK || bytes.len > CHUNK_MAX)
        return st != MF_OK ? st : MF_E_TOO_BIG;
    hatchet_job *job = hatchet_job_of(ctx);
    chunk *c = mfi_alloc(h->allocator, sizeof *c + bytes.len);
    if (c == NULL)
        return MF_E_NOMEM;
    *c = (chunk){.at_ms = mfi_wall_ms(h->clock), .len = bytes.len};
    if (bytes.len > 0)
        memcpy(c->bytes, bytes.at, bytes.len);
    bool idle = false;
    st = push(job, c, &idle);
    if (st != MF_OK) {
        chunk_free(h, c);
        return st;
    }
    return idle ? send_next(job->stream) : MF_OK;
}

bool hatchet_stream_holds(hatchet_job *job, hatchet_news *end)
{
    hatchet_stream *s = job->stream;
    bool holds = s != NULL && s->under_way && s->end == NULL;
    if (holds)
        s->end = end;
    return holds;
}

void hatchet_stream_leave(hatchet_job *job)
{
    hatchet *h = job->owner;
    if (job->stream == NULL)        /* its call is over, which alone makes one */
        return;
    pthread_mutex_lock(&h->lock);
    bool over = !job->stream->under_way;
    job->stream->left = true;
    pthread_mutex_unlock(&h->lock);
    if (over)
        mf_delete(h->allocator, job->stream);
}
