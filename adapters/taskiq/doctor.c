/* What can be wrong with a fleet's Redis, told before it hurts: who else reads the queues, and in what form the results lie there. */
#include "taskiq.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "finding.h"
#include "memory.h"
#include "redis_doctor.h"

#define SAMPLE_MAX  64      /* results that are looked at */
#define SCANS_MAX   20      /* pages of keys they are looked for in */
#define HEAD_BYTES  "63"    /* of a result: up to where its first key stands, in each form */
#define LEFT_BEHIND mf_minutes(60)

/* ---- asking -------------------------------------------------------------------------------------------------------- */

/* One command that only reads. NULL: it failed, as err tells. */
static mfi_redis_replies *ask(mfi_redis *link, const mf_str *words, size_t n, mf_error *err)
{
    mfi_redis_replies *r = NULL;
    mfi_redis_request *rq = mfi_redis_request_create(link);
    mfi_redis_add_argv(rq, n, words);
    if (mfi_redis_call(link, rq, MFI_REDIS_HOW(.idempotent = true), &r, err) == MF_OK)
        return r;
    mfi_redis_replies_destroy(r);
    return NULL;
}
#define ASK(link, err, ...) ask((link), (const mf_str[]){__VA_ARGS__}, sizeof((const mf_str[]){__VA_ARGS__}) / sizeof(mf_str), (err))

/* The value behind a name in [name, value, …]. */
static const mfi_redis_reply *field(const mfi_redis_reply *map, const char *name)
{
    static const mfi_redis_reply none = {.type = MFI_REDIS_NIL, .text = {"", 0}};
    for (size_t i = 0; i + 1 < map->count; i += 2)
        if (mf_str_eq(map->items[i].text, mf_cstr(name)))
            return &map->items[i + 1];
    return &none;
}

static void span(int64_t ms, char out[24])
{
    if (ms < 60000)
        snprintf(out, 24, "%" PRId64 " s", ms / 1000);
    else if (ms < 3600000)
        snprintf(out, 24, "%" PRId64 " min", ms / 60000);
    else
        snprintf(out, 24, "%" PRId64 " h", ms / 3600000);
}

/* ---- groups -------------------------------------------------------------------------------------------------------- */

struct consumers {
    size_t  ours, others;
    int64_t least_idle_ms;      /* of any; INT64_MAX: there is none */
};

static struct consumers consumers_of(taskiq *t, const taskiq_queue *q, mf_str group)
{
    static const size_t prefix = sizeof TASKIQ_CONSUMER_PREFIX - 1;
    struct consumers c = {.least_idle_ms = INT64_MAX};
    mfi_redis_replies *r = ASK(t->redis, NULL, MF_STR_LIT("XINFO"), MF_STR_LIT("CONSUMERS"), mf_cstr(q->name), group);
    for (size_t i = 0; r != NULL && i < r->at[0].count; i++) {
        const mfi_redis_reply *consumer = &r->at[0].items[i];
        mf_str name = field(consumer, "name")->text;
        int64_t idle = field(consumer, "idle")->integer;
        bool ours = name.len > prefix && memcmp(name.at, TASKIQ_CONSUMER_PREFIX, prefix) == 0;
        c.ours += ours;
        c.others += !ours;
        c.least_idle_ms = idle < c.least_idle_ms ? idle : c.least_idle_ms;
    }
    mfi_redis_replies_destroy(r);
    return c;
}

static void tell_foreign(taskiq *t, const taskiq_queue *q, const mfi_redis_reply *group, const mfi_teller *to)
{
    mf_str name = field(group, "name")->text;
    struct consumers c = consumers_of(t, q, name);
    char idle[24] = "", expected[320], advice[700];
    if (c.least_idle_ms != INT64_MAX)
        span(c.least_idle_ms, idle);
    snprintf(expected, sizeof expected, "no consumer group but \"%s\"", t->options.group);
    snprintf(advice, sizeof advice, "while it is there it gets every message once more, and what is acknowledged stays in the stream. If it is the "
             "fleet's own, say group=%.*s in the URL; if nobody uses it: redis-cli XGROUP DESTROY %s %.*s", (int)(name.len < 80 ? name.len : 80),
             name.at, q->name, (int)(name.len < 80 ? name.len : 80), name.at);
    mfi_tell(to, MF_FINDING_WARN, "foreign-group", expected, advice, "group \"%.*s\": consumers %zu%s%s, messages "
             "pending %" PRId64, (int)(name.len < 80 ? name.len : 80), name.at, c.ours + c.others, idle[0] != '\0' ? ", idle for " : "", idle,
             field(group, "pending")->integer);
}

static void tell_own(taskiq *t, const taskiq_queue *q, const mfi_redis_reply *group, const mfi_teller *to)
{
    struct consumers c = consumers_of(t, q, mf_cstr(t->options.group));
    int64_t pending = field(group, "pending")->integer;
    bool left = pending > 0 && (c.least_idle_ms == INT64_MAX || mf_milliseconds(c.least_idle_ms) > LEFT_BEHIND);
    mfi_tell(to, left ? MF_FINDING_WARN : MF_FINDING_OK, "group", "somebody reads, or nothing waits", "start a worker: it takes over "
             "what others left", "group \"%s\": consumers of mageflow %zu, of others %zu, messages pending %" PRId64 "%s",
             t->options.group, c.ours, c.others, pending, left ? ", and nobody has read for an hour" : "");
}

static void look_at_groups(taskiq *t, const taskiq_queue *q, const mfi_teller *to)
{
    mf_error err = {.text = ""};
    bool own = false;
    mfi_redis_replies *r = ASK(t->redis, &err, MF_STR_LIT("XINFO"), MF_STR_LIT("GROUPS"), mf_cstr(q->name));
    if (r == NULL) {
        mfi_tell(to, MF_FINDING_WARN, "group", "XINFO GROUPS answers", "allow the user +xinfo|groups", "%s", err.text);
        return;
    }
    for (size_t i = 0; i < r->at[0].count; i++) {
        const mfi_redis_reply *group = &r->at[0].items[i];
        bool is_own = mf_str_eq(field(group, "name")->text, mf_cstr(t->options.group));
        own = own || is_own;
        if (is_own)
            tell_own(t, q, group, to);
        else
            tell_foreign(t, q, group, to);
    }
    mfi_redis_replies_destroy(r);
    if (!own)
        mfi_tell(to, MF_FINDING_OK, "group", "somebody reads, or nothing waits", "", "group \"%s\" is not there yet: the first "
                 "worker or sender makes it", t->options.group);
}

static void look_at_queue(taskiq *t, const taskiq_queue *q, const mfi_teller *to)
{
    const char *want = q->list ? "list" : "stream";
    mf_error err = {.text = ""};
    mfi_redis_replies *r = ASK(t->redis, &err, MF_STR_LIT("TYPE"), mf_cstr(q->name));
    if (r == NULL) {
        mfi_tell(to, MF_FINDING_WARN, "queue", "TYPE answers", "allow the user +type on the queue's keys", "%s", err.text);
        return;
    }
    mf_str type = r->at[0].text;
    bool there = !mf_str_eq(type, MF_STR_LIT("none")), good = !there || mf_str_eq(type, mf_cstr(want));
    mfi_tell(to, good ? MF_FINDING_OK : MF_FINDING_ERROR, "queue", q->list ? "a list, as broker=list says" : "a stream, as broker=stream says",
             "say broker= in the URL as the fleet's broker is (RedisStreamBroker: stream; ListQueueBroker: list), or name another "
             "queue=", there ? "a %.*s" : "not there yet", (int)type.len, type.at);
    mfi_redis_replies_destroy(r);
    if (good && there && !q->list)
        look_at_groups(t, q, to);
}

/* ---- results ------------------------------------------------------------------------------------------------------- */

enum { FORM_CBOR = TASKIQ_PICKLE + 1, FORMS };

struct sample {
    char   keys[SAMPLE_MAX][MFI_TASKIQ_NAME_MAX + 64];
    size_t count;                   /* keys that may be results */
    size_t forms[FORMS], results;   /* those that are */
    size_t lasting;                 /* of these, without a time to live */
};

/* A result's key: 32 hexadecimal digits, as taskiq makes its ids; behind a prefix any id. */
static bool may_be_result(taskiq *t, mf_str key)
{
    size_t prefix = strlen(t->options.prefix);
    static const char progress[] = "__progress";
    if (key.len >= sizeof ((struct sample *)0)->keys[0] || memchr(key.at, '\0', key.len) != NULL ||
        (key.len > sizeof progress && memcmp(key.at + key.len - (sizeof progress - 1), progress, sizeof progress - 1) == 0))
        return false;
    if (prefix > 0)
        return key.len > prefix + 1 && memcmp(key.at, t->options.prefix, prefix) == 0 && key.at[prefix] == ':';
    for (size_t i = 0; i < key.len; i++)
        if (!isxdigit((unsigned char)key.at[i]))
            return false;
    return key.len == 32;
}

static mf_status find_results(taskiq *t, struct sample *out, mf_error *err)
{
    char cursor[24] = "0";
    for (int i = 0; i < SCANS_MAX && out->count < SAMPLE_MAX; i++) {
        mfi_redis_replies *r = ASK(t->results, err, MF_STR_LIT("SCAN"), mf_cstr(cursor), MF_STR_LIT("COUNT"), MF_STR_LIT("500"),
                                   MF_STR_LIT("TYPE"), MF_STR_LIT("string"));
        if (r == NULL)
            return MF_E_IO;
        const mfi_redis_reply *answer = &r->at[0];
        const mfi_redis_reply *keys = answer->count == 2 ? &answer->items[1] : answer;
        for (size_t k = 0; answer->count == 2 && k < keys->count && out->count < SAMPLE_MAX; k++) {
            mf_str key = keys->items[k].text;
            if (may_be_result(t, key))
                memcpy(out->keys[out->count++], key.at, key.len + 1);      /* an answer's text ends in NUL */
        }
        snprintf(cursor, sizeof cursor, "%s", answer->count == 2 ? answer->items[0].text.at : "0");
        mfi_redis_replies_destroy(r);
        if (strcmp(cursor, "0") == 0)
            break;
    }
    return MF_OK;
}

static bool holds(mf_str bytes, const char *word)
{
    size_t len = strlen(word);
    for (size_t i = 0; i + len <= bytes.len; i++)
        if (memcmp(bytes.at + i, word, len) == 0)
            return true;
    return false;
}

/* By its first bytes; FORMS: it is no result. */
static int form_of(mf_str head)
{
    if (head.len < 2 || !holds(head, "is_err"))
        return FORMS;
    unsigned char first = (unsigned char)head.at[0], second = (unsigned char)head.at[1];
    if (first == '{')
        return TASKIQ_JSON;
    if (first == 0x80 && second >= 2 && second <= 5)
        return TASKIQ_PICKLE;
    if ((first >= 0x81 && first <= 0x8f) || first == 0xde || first == 0xdf)
        return TASKIQ_MSGPACK;
    return (first >= 0xa0 && first < 0xc0) || first == 0xd9 ? FORM_CBOR : FORMS;
}

static mf_status look_into_results(taskiq *t, struct sample *s, mf_error *err)
{
    if (s->count == 0)
        return MF_OK;
    mfi_redis_replies *r = NULL;
    mfi_redis_request *rq = mfi_redis_request_create(t->results);
    for (size_t i = 0; i < s->count; i++) {
        mfi_redis_add(rq, MF_STR_LIT("GETRANGE"), mf_cstr(s->keys[i]), MF_STR_LIT("0"), MF_STR_LIT(HEAD_BYTES));
        mfi_redis_add(rq, MF_STR_LIT("PTTL"), mf_cstr(s->keys[i]));
    }
    mf_status st = mfi_redis_call(t->results, rq, MFI_REDIS_HOW(.idempotent = true), &r, err);
    for (size_t i = 0; st == MF_OK && i < s->count; i++) {
        int form = form_of(r->at[2 * i].text);
        if (form == FORMS)
            continue;
        s->results++;
        s->forms[form]++;
        s->lasting += r->at[2 * i + 1].integer == -1;
    }
    mfi_redis_replies_destroy(r);
    return st;
}

static void list_forms(const struct sample *s, char *out, size_t size)
{
    size_t len = 0;
    out[0] = '\0';
    for (int f = 0; f < FORMS && len < size; f++)
        if (s->forms[f] > 0)
            len += (size_t)snprintf(out + len, size - len, "%s%zu %s", len > 0 ? ", " : "", s->forms[f],
                                    f == FORM_CBOR ? "cbor" : taskiq_format_name((taskiq_format)f));
}

static void tell_forms(taskiq *t, const struct sample *s, const mfi_teller *to)
{
    char expected[160], forms[100], advice[400];
    taskiq_format ours = (taskiq_format)t->options.result_serializer;
    int other = -1;
    for (int f = 0; f < FORMS; f++)
        if (f != (int)ours && s->forms[f] > 0 && (other < 0 || s->forms[f] > s->forms[other]))
            other = f;
    list_forms(s, forms, sizeof forms);
    snprintf(expected, sizeof expected, "results as this URL has them written: %s", taskiq_format_name(ours));
    if (other == FORM_CBOR)
        snprintf(advice, sizeof advice, "give the fleet's result backend a serializer that both know, such as JSONSerializer()");
    else
        snprintf(advice, sizeof advice, "the fleet's clients read one form: if that is %s, say result_serializer=%s in the URL, or their waits "
                 "end in ResultGetError; a backend without a serializer reads pickle", other >= 0 ? taskiq_format_name((taskiq_format)other) : "",
                 other >= 0 ? taskiq_format_name((taskiq_format)other) : "");
    if (s->results == 0)
        mfi_tell(to, MF_FINDING_OK, "results-form", expected, "", "no result is there to be looked at");
    else
        mfi_tell(to, other < 0 ? MF_FINDING_OK : s->forms[ours] > 0 ? MF_FINDING_WARN : MF_FINDING_ERROR, "results-form", expected, advice,
                 "of %zu results that were looked at: %s", s->results, forms);
}

static void look_at_results(taskiq *t, const mfi_teller *to)
{
    mf_error err = {.text = ""};
    struct sample *s = mf_new(t->allocator, struct sample);
    mf_status st = s == NULL ? mf_fail(&err, MF_E_NOMEM, "no memory") : find_results(t, s, &err);
    if (st == MF_OK)
        st = look_into_results(t, s, &err);
    if (st != MF_OK) {
        mfi_tell(to, MF_FINDING_WARN, "results-form", "results can be looked at", "allow the user +scan, +getrange and +pttl",
                 "they cannot: %s", err.text);
    } else {
        tell_forms(t, s, to);
        if (s->results > 0)
            mfi_tell(to, s->lasting == 0 ? MF_FINDING_OK : MF_FINDING_WARN, "results-ttl", "every result has a time to live",
                     "RedisAsyncResultBackend(..., result_ex_time=86400) in the fleet, result_ttl=24h in this URL: results of old tasks fill "
                     "the memory for ever otherwise", "%zu of %zu results that were looked at stay for ever", s->lasting, s->results);
    }
    mf_delete(t->allocator, s);
}

/* ---- rights -------------------------------------------------------------------------------------------------------- */

#define COMMANDS_MAX 40

/* What scripts.c, source.c, dead.c, lease.c, numbers.c, watch.c and workflow.c send, on this queue's own keys; Q stands for the
 * queue. */
static const char *const of_streams[] = {
    "XADD Q * data x", "XGROUP CREATE Q mageflow-doctor 0 MKSTREAM", "XREADGROUP GROUP g c COUNT 1 STREAMS Q >", "XACK Q g 0-1",
    "XDEL Q 0-1", "XPENDING Q g 0-1 0-1 1", "XCLAIM Q g c 0 0-1", "XINFO GROUPS Q", "XINFO CONSUMERS Q g", "XLEN Q",
};
static const char *const of_lists[] = {
    "LPUSH Q x", "RPUSH Q x", "LLEN Q", "LRANGE Q 0 0", "LREM Q:mageflow:c 1 x", "LMOVE Q Q:mageflow:c RIGHT LEFT",
    "BLMOVE Q Q:mageflow:c RIGHT LEFT 1", "SADD Q:mageflow:workers c", "SREM Q:mageflow:workers c", "SMEMBERS Q:mageflow:workers",
    "HGET Q:mageflow:deaths f", "HDEL Q:mageflow:deaths f", "HINCRBY Q:mageflow:deaths f 1", "EXPIRE Q:mageflow:deaths 1",
    "EXISTS Q:mageflow:c:alive", "SET Q:mageflow:c:alive 1 PX 1",
};
static const char *const of_both[] = {
    "EVAL return 0", "EVALSHA 0000000000000000000000000000000000000000 0", "SCRIPT LOAD return", "TIME",
    "ZADD Q:mageflow:delayed 0 x", "ZRANGE Q:mageflow:delayed 0 0", "ZRANGEBYSCORE Q:mageflow:delayed 0 0", "ZREM Q:mageflow:delayed x",
    "ZCARD Q:mageflow:delayed", "ZADD Q:mageflow:watched 0 x", "ZSCORE Q:mageflow:watched x", "ZREM Q:mageflow:watched x",
    "XADD Q:mageflow:dead * data x", "XRANGE Q:mageflow:dead - +", "XLEN Q:mageflow:dead", "XDEL Q:mageflow:dead 0-1",
};

struct commands {
    const char *at[COMMANDS_MAX + 1];
    char        texts[COMMANDS_MAX][3 * MFI_TASKIQ_NAME_MAX + 64];
    size_t      count;
};

static void add_commands(struct commands *c, const char *const *templates, size_t n, const char *queue)
{
    for (size_t i = 0; i < n && c->count < COMMANDS_MAX; i++) {
        char *to = c->texts[c->count];
        size_t room = sizeof c->texts[0], len = 0;
        for (const char *at = templates[i]; *at != '\0' && len + 1 < room; at++) {
            bool word = *at == 'Q' && (at[1] == ' ' || at[1] == ':' || at[1] == '\0') && at[-1] == ' ';
            len += (size_t)snprintf(to + len, room - len, "%.*s", word ? MFI_TASKIQ_NAME_MAX : 1, word ? queue : at);
        }
        c->at[c->count++] = to;
    }
}

void taskiq_doctor(mf_adapter *base, mf_finding_fn *tell, void *user)
{
    taskiq *t = taskiq_of(base);
    const taskiq_queue *first = &t->queues[0];
    mf_error err;
    struct commands *c = mf_new(t->allocator, struct commands);
    if (c != NULL) {        /* a name with a blank in it would be several words: its rights are not asked for */
        add_commands(c, of_both, sizeof of_both / sizeof *of_both, first->name);
        if (first->list)
            add_commands(c, of_lists, sizeof of_lists / sizeof *of_lists, first->name);
        else
            add_commands(c, of_streams, sizeof of_streams / sizeof *of_streams, first->name);
        c->at[strchr(first->name, ' ') != NULL ? 0 : c->count] = NULL;
        mfi_redis_doctor(t->redis, "the bridge", c->at, tell, user);
    }
    mf_delete(t->allocator, c);
    if (mfi_redis_wait_up(t->redis, mf_milliseconds(1), &err) != MF_OK)
        return;
    for (size_t i = 0; i < t->queue_count; i++) {
        char where[MFI_TASKIQ_NAME_MAX + 16];
        snprintf(where, sizeof where, "queue %s", t->queues[i].name);
        look_at_queue(t, &t->queues[i], &(mfi_teller){.tell = tell, .user = user, .where = where});
    }
    if (t->options.no_results)
        return;
    static const char *const of_results[] = {"SET mageflow:doctor x PX 1", "GET mageflow:doctor", "MGET mageflow:doctor", NULL};
    if (t->results != t->redis)
        mfi_redis_doctor(t->results, "the result backend", t->options.prefix[0] == '\0' ? of_results : of_results + 3, tell, user);
    if (mfi_redis_wait_up(t->results, mf_milliseconds(1), &err) == MF_OK)
        look_at_results(t, &(mfi_teller){.tell = tell, .user = user, .where = mfi_redis_text(t->results)});
}
