/* JSON text to msgpack and back, ours beside the libraries that Debian packages, and how strict each of them reads.
 *
 *     bench_json [--quick]
 *     bench_json --one [ROW N]     N times one row of the tables and nothing else, for bench/codec/counts; without them, the rows
 *
 * Rounds are interleaved: in each one every library reads a batch and writes a batch, so that what the machine does
 * meanwhile hits all of them. */
#include "peer.h"
#include "report.h"
#include "texts.h"

#include <stdio.h>

static const peer *const peers[] = {
    &peer_ours,
#ifdef BENCH_JSMN
    &peer_jsmn,
#endif
#ifdef BENCH_YAJL
    &peer_yajl,
#endif
#ifdef BENCH_CJSON
    &peer_cjson,
#endif
#ifdef BENCH_JSONC
    &peer_jsonc,
#endif
#ifdef BENCH_JANSSON
    &peer_jansson,
#endif
};
#define PEERS ((int)(sizeof peers / sizeof peers[0]))
_Static_assert(sizeof peers / sizeof peers[0] <= (size_t)REPORT_ROWS_MAX, "a row each");

/* ---- how fast ------------------------------------------------------------------------------------------------- */

/* In CPU time of this thread: one that never waits, on a machine that may be busy. */
static double read_batch(const peer *p, int batch)
{
    double begin = report_thread_cpu_ns();
    for (int i = 0; i < batch; i++)
        mf_message_unref(p->read(texts_task));
    return (report_thread_cpu_ns() - begin) / batch;
}

static double write_batch(const peer *p, const mf_message *message, int batch)
{
    double begin = report_thread_cpu_ns();
    for (int i = 0; i < batch; i++) {
        size_t len;
        free(p->write(message, &len));
    }
    return (report_thread_cpu_ns() - begin) / batch;
}

/* Nobody is timed for doing something else: what each writes must read back as the same message. */
static bool writes_the_same(const peer *p, const mf_message *message)
{
    size_t len;
    char *text = p->write(message, &len);
    mf_message *back = text != NULL ? peer_ours.read(mf_str_of(text, len)) : NULL;
    bool same = back != NULL && mf_str_eq(mf_message_bytes(back), mf_message_bytes(message));
    mf_message_unref(back);
    free(text);
    return same;
}

static bool reads_the_same(const peer *p, const mf_message *message)
{
    mf_message *theirs = p->read(texts_task);
    bool same = theirs != NULL && (p->tokens_only || mf_str_eq(mf_message_bytes(theirs), mf_message_bytes(message)));
    mf_message_unref(theirs);
    return same;
}

static int time_all(const mf_message *message, int rounds, int batch)
{
    static report_row reading[REPORT_ROWS_MAX], writing[REPORT_ROWS_MAX];
    for (int i = 0; i < PEERS; i++)
        if (!reads_the_same(peers[i], message) || (peers[i]->write != NULL && !writes_the_same(peers[i], message))) {
            fprintf(stderr, "bench_json: %s makes something else of the message\n", peers[i]->name);
            return 1;
        }
    for (int r = -1; r < rounds; r++) {     /* the first one warms up */
        int writers = 0;
        for (int i = 0; i < PEERS; i++) {
            double read = read_batch(peers[i], batch);
            reading[i].name = peers[i]->name;
            if (r >= 0)
                reading[i].value[r] = read;
            if (peers[i]->write == NULL)
                continue;
            double write = write_batch(peers[i], message, batch);
            writing[writers].name = peers[i]->name;
            if (r >= 0)
                writing[writers].value[r] = write;
            writers++;
        }
        if (r == rounds - 1) {
            report_table("Text to msgpack, one message", "ns", reading, PEERS, rounds, REPORT_VALUES);
            report_table("msgpack to text, one message", "ns", writing, writers, rounds, REPORT_VALUES);
        }
    }
    return 0;
}

static int run_one(int argc, char **argv, const mf_message *message)
{
    int row = 0;
    for (int writing = 0; writing < 2; writing++)
        for (int i = 0; i < PEERS; i++) {
            if (writing && peers[i]->write == NULL)
                continue;
            if (argc < 4)
                printf("%d %s | %s\n", row, writing ? "msgpack to text" : "Text to msgpack", peers[i]->name);
            else if (row == atoi(argv[2]))
                writing ? write_batch(peers[i], message, atoi(argv[3])) : read_batch(peers[i], atoi(argv[3]));
            row++;
        }
    return 0;
}

/* ---- how strict ----------------------------------------------------------------------------------------------- */

/* What is counted, by name, behind its number. */
typedef struct names {
    size_t count, len;
    char   text[1024];
} names;

static void note(names *n, const char *name, const char *remark)
{
    size_t room = sizeof n->text - n->len;
    int len = snprintf(n->text + n->len, room, "%s`%s`%s", n->count == 0 ? ": " : ", ", name, remark);
    n->len += (size_t)len < room ? (size_t)len : room - 1;
    n->count++;
}

/* A reader may look at the byte behind the text, and a sanitizer at the one after that. */
static mf_message *read_copy(const peer *p, mf_str text)
{
    char *copy = peer_copy(text.at, text.len);
    mf_message *message = p->read(mf_str_of(copy, text.len));
    free(copy);
    return message;
}

static void judge(const peer *p, names *refused, names *accepted)
{
    for (size_t i = 0; i < texts_good_count; i++) {
        mf_message *want = read_copy(&peer_ours, texts_good[i].text);
        mf_message *got = read_copy(p, texts_good[i].text);
        if (got == NULL)
            note(refused, texts_good[i].name, "");
        else if (!p->tokens_only && !mf_str_eq(mf_message_bytes(got), mf_message_bytes(want)))
            note(refused, texts_good[i].name, " (changed)");
        mf_message_unref(got);
        mf_message_unref(want);
    }
    for (size_t i = 0; i < texts_bad_count; i++) {
        mf_message *got = read_copy(p, texts_bad[i].text);
        if (got != NULL)
            note(accepted, texts_bad[i].name, "");
        mf_message_unref(got);
    }
}

static void judge_all(void)
{
    printf("\n### Strictness\n\n| library | of %zu good texts refused or changed | of %zu bad ones accepted |\n|---|---|---|\n",
           texts_good_count, texts_bad_count);
    for (int i = 0; i < PEERS; i++) {
        names refused = {0}, accepted = {0};
        judge(peers[i], &refused, &accepted);
        printf("| %s | **%zu**%s | **%zu**%s |\n", peers[i]->name, refused.count, refused.text, accepted.count, accepted.text);
    }
}

/* ---- all of it ------------------------------------------------------------------------------------------------ */

static void print_missing(void)
{
#ifndef BENCH_JSMN
    printf("- missing: jsmn was not found when this was built\n");
#endif
#ifndef BENCH_YAJL
    printf("- missing: yajl was not found when this was built\n");
#endif
#ifndef BENCH_CJSON
    printf("- missing: cJSON was not found when this was built\n");
#endif
#ifndef BENCH_JSONC
    printf("- missing: json-c was not found when this was built\n");
#endif
#ifndef BENCH_JANSSON
    printf("- missing: jansson was not found when this was built\n");
#endif
}

int main(int argc, char **argv)
{
    bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    int rounds = quick ? 7 : 15, batch = quick ? 4000 : 40000;
    mf_message *message = peer_ours.read(texts_task);
    if (message == NULL)
        return 1;
    if (argc > 1 && strcmp(argv[1], "--one") == 0) {
        int rc = run_one(argc, argv, message);
        mf_message_unref(message);
        return rc;
    }
    printf("## JSON beside other libraries\n\n");
    report_machine(quick ? "script/bench --quick json" : "script/bench json");
    printf("- a TaskIQ message of %zu bytes, %zu of msgpack; CPU time, medians of %d rounds of %d each, one thread\n",
           texts_task.len, mf_message_bytes(message).len, rounds, batch);
    print_missing();
    int failed = time_all(message, rounds, batch);
    judge_all();
    mf_message_unref(message);
    return failed;
}
