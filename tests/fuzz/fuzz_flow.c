/* A flow that is taken is written as a flow that is taken, and that is written as the very same bytes; and it is drawn, whatever
 * its names. What is refused leaves a text, and nothing behind. */
#include "fuzz.h"

#include <mageflow/flow_data.h>

#include "bench.h"

static bench b;

static void open_once(void)
{
    static bool opened;
    if (opened)
        return;
    opened = true;
    PROMISE(bench_open(&b));
    PROMISE(mf_task(b.client, MF_TASK_DEF(.name = "t", .run = bench_nothing), NULL) == MF_OK);
    PROMISE(mf_source(b.client, MF_SOURCE_DEF(.name = "s", .next = bench_no_items), NULL) == MF_OK);
}

static void round_trip(const mf_signature *first)
{
    mf_message *written, *again;
    mf_error err;
    PROMISE(mf_flow_to_message(first, &written, &err) == MF_OK);
    mf_signature *second = mf_flow_from_message(b.client, written, &err);
    PROMISE(second != NULL);
    PROMISE(mf_flow_to_message(second, &again, &err) == MF_OK);
    PROMISE(same_bytes(written, again));
    mf_signature_destroy(second);
    mf_message_unref(again);
    mf_message_unref(written);
}

/* As many containers are opened as closed: no name got out of its label. */
static void is_drawn(const mf_signature *sig)
{
    char *text;
    long open = 0;
    PROMISE(mf_signature_graph(sig, MF_GRAPH_MERMAID, &text, NULL) == MF_OK);
    for (const char *line = text; line[0] != '\0'; line = strchr(line, '\n') + 1) {
        const char *word = line + strspn(line, " ");
        open += strncmp(word, "subgraph ", 9) == 0;
        open -= strncmp(word, "end\n", 4) == 0;
        PROMISE(open >= 0);
    }
    PROMISE(open == 0);
    mf_text_free(b.client, text);
    PROMISE(mf_signature_graph(sig, MF_GRAPH_DOT, &text, NULL) == MF_OK);
    mf_text_free(b.client, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mf_message *message;
    mf_error err = {0};
    mf_str bytes = {(const char *)data, size};
    const mf_limits *limits = MF_LIMITS(.depth = MF_DEPTH_MAX);
    open_once();
    if (mf_message_from_bytes(bytes, limits, NULL, &message, NULL) != MF_OK &&
        mf_message_from_json(bytes, limits, NULL, &message, NULL) != MF_OK)
        return 0;
    mf_signature_destroy(mf_chain(b.client, NULL, NULL, NULL));     /* its client may keep one for the next */
    long before = atomic_load(&b.counting.live);
    mf_signature *sig = mf_flow_from_message(b.client, message, &err);
    PROMISE(sig != NULL || err.text[0] != '\0');
    if (sig != NULL) {
        round_trip(sig);
        is_drawn(sig);
    }
    mf_signature_destroy(sig);
    PROMISE(atomic_load(&b.counting.live) == before && atomic_load(&b.counting.wrong_size) == 0);
    mf_message_unref(message);
    return 0;
}
