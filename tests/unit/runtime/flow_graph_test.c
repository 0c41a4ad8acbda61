/* Flows drawn: what stands in the picture, its states, what is left out, and that both languages can be read. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <mageflow/flow_data.h>

#include "bench.h"
#include "flow_graph_kit.h"
#include "memory.h"
#include "record.h"

#include <stdio.h>
#include <stdlib.h>

static bench    b;
static mf_error err;
static char     problem[2000];

static void init(void)
{
    cr_assert(bench_open(&b));
    cr_assert(eq(int, mf_task(b.client, MF_TASK_DEF(.name = "a", .run = bench_nothing), NULL), MF_OK));
    cr_assert(eq(int, mf_task(b.client, MF_TASK_DEF(.name = "b", .run = bench_nothing), NULL), MF_OK));
    cr_assert(eq(int, mf_source(b.client, MF_SOURCE_DEF(.name = "numbers", .next = bench_no_items), NULL), MF_OK));
}

static void fini(void)
{
    cr_assert(bench_close(&b));
}

TestSuite(flow_graph, .init = init, .fini = fini, .timeout = 120);

static mf_signature *flow_of(const char *text)
{
    char *json = strdup(text);
    for (char *at = json; *at != '\0'; at++)
        *at = *at == '\'' ? '"' : *at;
    mf_message *message = NULL;
    cr_assert(eq(int, mf_message_from_json(mf_cstr(json), MF_LIMITS(.depth = MF_DEPTH_MAX), NULL, &message, &err), MF_OK), "%s", err.text);
    mf_signature *sig = mf_flow_from_message(b.client, message, &err);
    cr_assert(ne(ptr, sig, NULL), "%s", err.text);
    mf_message_unref(message);
    free(json);
    return sig;
}

/* A picture in both languages, each of them shown to be one. */
typedef struct picture {
    char *dot, *mermaid;
} picture;

static picture check_picture(picture p)
{
    cr_assert(dot_draws(p.dot, problem, sizeof problem), "dot: %s\n%s", problem, p.dot);
    cr_assert(mermaid_reads(p.mermaid, problem, sizeof problem), "mermaid: %s\n%s", problem, p.mermaid);
    return p;
}

static picture draw_signature(const mf_signature *sig)
{
    picture p = {NULL, NULL};
    cr_assert(eq(int, mf_signature_graph(sig, MF_GRAPH_DOT, &p.dot, &err), MF_OK), "%s", err.text);
    cr_assert(eq(int, mf_signature_graph(sig, MF_GRAPH_MERMAID, &p.mermaid, &err), MF_OK), "%s", err.text);
    return check_picture(p);
}

static picture draw_key(const mf_key *key)
{
    picture p = {NULL, NULL};
    cr_assert(eq(int, mf_flow_graph(b.client, key, MF_GRAPH_DOT, &p.dot, &err), MF_OK), "%s", err.text);
    cr_assert(eq(int, mf_flow_graph(b.client, key, MF_GRAPH_MERMAID, &p.mermaid, &err), MF_OK), "%s", err.text);
    return check_picture(p);
}

static void let_go(picture p)
{
    mf_text_free(b.client, p.dot);
    mf_text_free(b.client, p.mermaid);
}

static picture draw_text(const char *flow)
{
    mf_signature *sig = flow_of(flow);
    picture p = draw_signature(sig);
    mf_signature_destroy(sig);
    return p;
}

static size_t times(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part))
        n++;
    return n;
}

#define has(text, part) cr_assert(ne(ptr, strstr((text), (part)), NULL), "\"%s\" is not in\n%s", (part), (text))
#define lacks(text, part) cr_assert(eq(ptr, strstr((text), (part)), NULL), "\"%s\" is in\n%s", (part), (text))

/* ---- what is not started ------------------------------------------------------------------------------------------- */

static const char *const small = "{'chain':[{'task':'a'},{'swarm':[{'task':'a'},{'task':'b'}],'name':'both','stop_after_failures':1}],"
                                 "'on_success':[{'task':'b'}],'on_error':[{'task':'a'}]}";

Test(flow_graph, a_small_flow_as_dot)
{
    picture p = draw_text(small);
    cr_assert(eq(str, p.dot,
        "digraph flow {\n"
        "    graph [rankdir=LR, compound=true, fontname=\"Helvetica,sans-serif\", fontsize=12, style=rounded];\n"
        "    node [shape=box, style=\"rounded,filled\", fontname=\"Helvetica,sans-serif\", fontsize=12];\n"
        "    edge [fontname=\"Helvetica,sans-serif\", fontsize=10];\n"
        "    subgraph cluster_0 {\n"
        "        label=\"chain\"; color=\"#444444\"; bgcolor=\"#ffffff\";\n"
        "        n1 [label=\"a\", color=\"#444444\", fillcolor=\"#ffffff\"];\n"
        "        subgraph cluster_2 {\n"
        "            label=\"swarm both\\n30 at once, stops after 1 failure\"; color=\"#444444\"; bgcolor=\"#ffffff\";\n"
        "            n3 [label=\"[0] a\", color=\"#444444\", fillcolor=\"#ffffff\"];\n"
        "            n4 [label=\"[1] b\", color=\"#444444\", fillcolor=\"#ffffff\"];\n"
        "        }\n"
        "    }\n"
        "    n5 [label=\"b\", color=\"#444444\", fillcolor=\"#ffffff\"];\n"
        "    n6 [label=\"a\", color=\"#444444\", fillcolor=\"#ffffff\"];\n"
        "    n1 -> n3 [lhead=cluster_2];\n"
        "    n3 -> n5 [ltail=cluster_0, style=dashed, label=\"on_success\", color=\"#2e7d32\"];\n"
        "    n3 -> n6 [ltail=cluster_0, style=dashed, label=\"on_error\", color=\"#b71c1c\"];\n"
        "}\n"));
    let_go(p);
}

Test(flow_graph, a_small_flow_as_mermaid)
{
    picture p = draw_text(small);
    cr_assert(eq(str, p.mermaid,
        "flowchart LR\n"
        "    subgraph c0[\"chain\"]\n"
        "        n1[\"a\"]:::unstarted\n"
        "        subgraph c2[\"swarm both<br/>30 at once, stops after 1 failure\"]\n"
        "            n3[\"[0] a\"]:::unstarted\n"
        "            n4[\"[1] b\"]:::unstarted\n"
        "        end\n"
        "    end\n"
        "    n5[\"b\"]:::unstarted\n"
        "    n6[\"a\"]:::unstarted\n"
        "    n1 --> c2\n"
        "    c0 -. on_success .-> n5\n"
        "    c0 -. on_error .-> n6\n"
        "    class c0 unstarted\n"
        "    class c2 unstarted\n"
        "    classDef unstarted fill:#ffffff,stroke:#444444,color:#000000\n"));
    let_go(p);
}

Test(flow_graph, a_task_alone_and_what_is_not_complete_is_drawn)
{
    picture p = draw_text("{'task':'a'}");
    has(p.dot, "n0 [label=\"a\"");
    let_go(p);
    mf_signature *half = mf_chain_add(mf_chain(b.client, "half", NULL, NULL), mf_sign(b.client, "a", NULL, NULL), NULL);
    p = draw_signature(half);
    has(p.dot, "label=\"chain half\"");
    let_go(p);
    mf_signature_destroy(half);
    p = draw_text("{'swarm':[]}");
    has(p.dot, "label=\"no items\"");
    let_go(p);
}

Test(flow_graph, a_map_shows_the_call_that_each_item_is_given_to)
{
    picture p = draw_text("{'map':{'task':'a','on_error':[{'task':'b'}]},'source':'numbers','name':'all'}");
    has(p.mermaid, "subgraph c0[\"map all over numbers<br/>30 at once\"]");
    has(p.mermaid, "n1[\"a\"]");
    has(p.mermaid, "n1 -. on_error .-> n2");
    let_go(p);
}

Test(flow_graph, of_a_long_swarm_the_first_are_drawn_and_the_rest_is_counted)
{
    mf_signature *swarm = mf_swarm(b.client, "long", NULL, &err);
    for (int i = 0; i < 100; i++)
        swarm = mf_swarm_add(swarm, mf_sign(b.client, "a", NULL, &err), &err);
    picture p = draw_signature(swarm);
    cr_assert(eq(sz, times(p.dot, "] a\""), 3));
    has(p.dot, "[2] a");
    has(p.dot, "label=\"97 more\"");
    let_go(p);
    mf_signature_destroy(swarm);
}

Test(flow_graph, of_a_long_chain_the_ends_are_drawn)
{
    mf_signature *chain = mf_chain(b.client, "long", NULL, &err);
    for (int i = 0; i < 100; i++)
        chain = mf_chain_add(chain, mf_sign(b.client, "a", NULL, &err), &err);
    picture p = draw_signature(chain);
    cr_assert(eq(sz, times(p.mermaid, "] a\""), 4));
    has(p.mermaid, "[99] a");
    has(p.mermaid, "n4[\"96 more\"]:::note");
    has(p.mermaid, "n3 --> n4\n    n4 --> n5\n");
    let_go(p);
    mf_signature_destroy(chain);
}

/* 12 swarms of 12 swarms of 12 are more than anybody reads. */
Test(flow_graph, a_picture_has_a_bound_and_says_so)
{
    mf_signature *root = mf_swarm(b.client, "root", NULL, &err);
    for (int i = 0; i < 12; i++) {
        mf_signature *middle = mf_swarm(b.client, "middle", NULL, &err);
        for (int j = 0; j < 12; j++) {
            mf_signature *inner = mf_swarm(b.client, "inner", NULL, &err);
            for (int k = 0; k < 12; k++)
                inner = mf_swarm_add(inner, mf_sign(b.client, "a", NULL, &err), &err);
            middle = mf_swarm_add(middle, mf_swarm_close(inner, &err), &err);
        }
        root = mf_swarm_add(root, mf_swarm_close(middle, &err), &err);
    }
    root = mf_on_success(root, mf_sign(b.client, "b", NULL, &err), &err);
    picture p = draw_signature(root);
    size_t nodes = times(p.dot, "label=");
    cr_assert(gt(sz, nodes, 300));
    cr_assert(lt(sz, nodes, 400));
    has(p.dot, "more than 300 nodes:\\nthe rest is left out");
    let_go(p);
    mf_signature_destroy(root);
}

Test(flow_graph, callbacks_of_callbacks_without_end_are_bounded_too)
{
    mf_signature *sig = mf_sign(b.client, "a", NULL, &err);
    for (int i = 0; i < 5000; i++)
        sig = mf_on_error(mf_sign(b.client, "a", NULL, &err), sig, &err);
    picture p = draw_signature(sig);
    cr_assert(eq(sz, times(p.mermaid, "on_error"), 299));
    has(p.mermaid, "the rest is left out");
    let_go(p);
    mf_signature_destroy(sig);
}

static const char *const hostile[] = {
    "end", "\"]; x --> y", "</div><script>alert(1)</script>", "`md` *bold* _it_ __init__", "- item", "1. item", "12) item",
    "a\nb\tc\x7f\x1b[31m", "back\\slash \\N \\G \\", "#quot; &amp; %%{init: {}}%% $$x$$", "[a](b)", "\xff\xfe bad \xc3", "☃ é", "",
    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn\xc3\xa9nn",
};

Test(flow_graph, no_name_can_break_out_of_its_label)
{
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        mf_signature *swarm = mf_swarm_add(mf_swarm(b.client, hostile[i], NULL, &err), mf_sign(b.client, "a", NULL, &err), &err);
        swarm = mf_swarm_add(mf_swarm(b.client, "around", NULL, &err), mf_swarm_close(swarm, &err), &err);
        picture p = draw_signature(swarm);
        cr_assert(eq(sz, times(p.dot, "subgraph cluster_"), 2));
        cr_assert(eq(sz, times(p.mermaid, "\n    end\n"), 1));
        cr_assert(eq(sz, times(p.mermaid, ":::"), 1));
        let_go(p);
        mf_signature_destroy(swarm);
    }
}

/* What would be an entity of HTML to Graphviz, and an icon to Mermaid, is shown as it was written. */
Test(flow_graph, a_name_is_shown_as_it_is)
{
    mf_signature *swarm = mf_swarm(b.client, "R&amp;D fa:fa-user a:b", NULL, &err);
    picture p = draw_signature(swarm);
    has(p.dot, "label=\"swarm R&amp;amp;D fa:fa-user a:b\\n");
    has(p.mermaid, "[\"swarm R#38;amp;D fa#58;fa-user a:b<br/>");
    let_go(p);
    mf_signature_destroy(swarm);
}

/* ---- what is stored ------------------------------------------------------------------------------------------------ */

/* A record whose spec is made by hand: bench_put consumes it. */
static mf_key put(mf_spec *spec, const mf_state *state)
{
    mf_key key = spec->key;
    cr_assert(eq(int, bench_put(&b, spec, state), MF_OK));
    return key;
}

static mf_spec *with_callbacks(mf_spec *spec, const mf_key *success, const mf_key *error)
{
    mf_key **lists[] = {&spec->on_success, &spec->on_error};
    size_t *counts[] = {&spec->on_success_count, &spec->on_error_count};
    const mf_key *keys[] = {success, error};
    for (size_t i = 0; i < 2; i++) {
        if (keys[i] == NULL)
            continue;
        *lists[i] = mfi_alloc_array(spec->allocator, 1, sizeof **lists[i]);
        **lists[i] = *keys[i];
        *counts[i] = 1;
    }
    return spec;
}

static mf_spec *chain_of(unsigned n, size_t steps)
{
    mf_spec *spec = bench_spec(&b, MF_KIND_CHAIN, "chain", n);
    spec->steps = mfi_alloc_array(spec->allocator, steps, sizeof *spec->steps);
    spec->step_count = steps;
    for (size_t i = 0; i < steps; i++)
        spec->steps[i] = (mf_item){.spec = bench_spec(&b, MF_KIND_TASK, "step", 0)};
    return spec;
}

static mf_message *error_map(const char *type, const char *text)
{
    return mf_msg("{s:s, s:s, s:i}", "type", type, "text", text, "attempt", 1);
}

Test(flow_graph, a_running_chain_shows_where_it_is)
{
    mf_key key = put(chain_of(1, 4), &(mf_state){.status = MF_STATUS_ACTIVE, .total = 4, .next = 2, .done = 1, .running = 1});
    picture p = draw_key(&key);
    has(p.mermaid, "subgraph c0[\"chain<br/>active, 1/4 done\"]");
    has(p.mermaid, "n1[\"step<br/>done\"]:::done");
    has(p.mermaid, "n2[\"step<br/>active\"]:::active");
    has(p.mermaid, "n3[\"step<br/>pending\"]:::pending");
    has(p.mermaid, "n4[\"step<br/>pending\"]:::pending");
    has(p.dot, "bgcolor=\"#cfe2ff\"");
    let_go(p);
}

Test(flow_graph, a_failed_chain_shows_the_step_its_error_and_what_will_not_run)
{
    mf_key good = put(bench_spec(&b, MF_KIND_TASK, "good", 2), &(mf_state){0});
    mf_key bad = put(bench_spec(&b, MF_KIND_TASK, "bad", 3), &(mf_state){.status = MF_STATUS_DONE});
    mf_message *error = error_map("Boom", "it broke\nbadly");
    mf_key key = put(with_callbacks(chain_of(1, 3), &good, &bad),
                     &(mf_state){.status = MF_STATUS_FAILED, .total = 3, .next = 2, .done = 1, .failed = 1, .result = error});
    picture p = draw_key(&key);
    has(p.mermaid, "subgraph c0[\"chain<br/>failed, 1/3 done, 1 failed: Boom: it broke.badly\"]");
    has(p.mermaid, "n2[\"step<br/>failed: Boom: it broke.badly\"]:::failed");
    has(p.mermaid, "n3[\"step<br/>not run\"]:::pending");
    has(p.mermaid, "n4[\"good<br/>not run\"]:::pending");
    has(p.mermaid, "n5[\"bad<br/>done\"]:::done");
    has(p.mermaid, "c0 -. on_success .-> n4");
    let_go(p);
    mf_message_unref(error);
}

static const struct status_case {
    mf_signature_status status;
    const char         *mermaid;
} status_cases[] = {
    {MF_STATUS_PENDING, "n0[\"a<br/>pending\"]:::pending"},         {MF_STATUS_ACTIVE, "n0[\"a<br/>active\"]:::active"},
    {MF_STATUS_DONE, "n0[\"a<br/>done\"]:::done"},                  {MF_STATUS_FAILED, "n0[\"a<br/>failed\"]:::failed"},
    {MF_STATUS_SUSPENDED, "n0[\"a<br/>suspended\"]:::suspended"},   {MF_STATUS_INTERRUPTED, "n0[\"a<br/>interrupted\"]:::interrupted"},
    {MF_STATUS_CANCELED, "n0[\"a<br/>canceled\"]:::canceled"},
};

Test(flow_graph, every_status_has_a_colour_and_a_word)
{
    for (unsigned i = 0; i < sizeof status_cases / sizeof *status_cases; i++) {
        mf_key key = put(bench_spec(&b, MF_KIND_TASK, "a", 10 + i), &(mf_state){.status = status_cases[i].status});
        picture p = draw_key(&key);
        has(p.mermaid, status_cases[i].mermaid);
        has(p.mermaid, "classDef ");
        has(p.dot, mf_signature_status_name(status_cases[i].status));
        let_go(p);
    }
}

/* A swarm of n items of one task, of which some have an outcome. */
static mf_key put_swarm(unsigned number, size_t n, mf_state state, const mf_outcome *outcomes, size_t outcome_count, const char *source)
{
    mf_spec *spec = bench_spec(&b, MF_KIND_SWARM, "swarm", number), *task = bench_spec(&b, MF_KIND_TASK, "item", 0);
    mf_item *items = calloc(n + 1, sizeof *items);
    mf_key key = spec->key;
    mf_refusal refusal;
    spec->max_concurrency = 30;
    if (source != NULL) {
        spec->source = mf_str_of(mfi_copy_text(spec->allocator, mf_cstr(source)), strlen(source));
        spec->each.spec = mf_spec_ref(task);
    }
    for (size_t i = 0; i < n; i++)
        items[i] = (mf_item){.spec = task};
    state.total = state.total == 0 ? n : state.total;
    mf_put one = {spec, &state};
    mf_batch batch = {.puts = &one, .put_count = 1, .key = key, .items = items, .item_count = source == NULL ? n : 0};
    cr_assert(eq(int, mf_store_commit(b.store, &batch, &refusal, &err), MF_OK), "%s", err.text);
    mf_record record;
    cr_assert(eq(int, mf_store_load(b.store, &key, 1, &record, &err), MF_OK));
    batch = (mf_batch){.key = key, .version = record.state.version, .state = &record.state, .outcomes = outcomes,
                       .outcome_count = outcome_count};
    cr_assert(eq(int, mf_store_commit(b.store, &batch, &refusal, &err), MF_OK), "%s", err.text);
    mf_record_release(&record);
    mf_spec_unref(spec);
    mf_spec_unref(task);
    free(items);
    return key;
}

Test(flow_graph, a_running_swarm_shows_its_counts_and_the_items_that_failed)
{
    mf_message *error = error_map("Late", "too late");
    mf_outcome outcomes[60];
    for (uint64_t i = 0; i < 60; i++) {
        bool bad = i == 41 || i >= 50;
        outcomes[i] = (mf_outcome){.index = i, .status = bad ? MF_STATUS_FAILED : MF_STATUS_DONE, .value = bad ? error : NULL};
    }
    mf_state state = {.status = MF_STATUS_ACTIVE, .next = 65, .running = 5, .done = 49, .failed = 11, .closed = true};
    mf_key key = put_swarm(1, 500, state, outcomes, 60, NULL);
    picture p = draw_key(&key);
    has(p.mermaid, "subgraph c0[\"swarm<br/>active, 49/500 done, 11 failed, 5 running\"]");
    cr_assert(eq(sz, times(p.mermaid, "item<br/>done"), 3));
    has(p.mermaid, "[\"[41] item<br/>failed: Late: too late\"]:::failed");
    has(p.mermaid, "[\"[50] item<br/>failed: Late: too late\"]:::failed");
    has(p.mermaid, "[\"[51] item<br/>failed: Late: too late\"]:::failed");
    lacks(p.mermaid, "[52]");
    has(p.mermaid, "[\"494 more<br/>46 done, 8 failed, 5 active\"]:::note");
    let_go(p);
    mf_message_unref(error);
}

Test(flow_graph, items_of_a_short_swarm_show_each_their_state)
{
    const mf_outcome outcomes[] = {{.index = 1, .status = MF_STATUS_DONE}, {.index = 2, .status = MF_STATUS_CANCELED}};
    mf_state state = {.status = MF_STATUS_ACTIVE, .next = 3, .running = 1, .done = 1, .canceled = 1};
    mf_key key = put_swarm(1, 4, state, outcomes, 2, NULL);
    picture p = draw_key(&key);
    has(p.mermaid, "swarm<br/>active, 1/4 done, 1 canceled, 1 running, open");
    has(p.mermaid, "[0] item<br/>active");
    has(p.mermaid, "[1] item<br/>done");
    has(p.mermaid, "[2] item<br/>canceled");
    has(p.mermaid, "[3] item<br/>pending");
    let_go(p);
}

Test(flow_graph, a_running_map_shows_its_call_and_the_items_that_failed)
{
    mf_message *error = error_map("Late", "");
    const mf_outcome outcomes[] = {{.index = 0, .status = MF_STATUS_DONE}, {.index = 7, .status = MF_STATUS_FAILED, .value = error}};
    mf_state state = {.status = MF_STATUS_ACTIVE, .total = 8, .expected = 100, .next = 8, .running = 6, .done = 1, .failed = 1};
    mf_key key = put_swarm(1, 0, state, outcomes, 2, "numbers");
    picture p = draw_key(&key);
    has(p.mermaid, "map over numbers<br/>active, 1/100 done, 1 failed, 6 running");
    has(p.mermaid, "n1[\"item\"]:::unstarted");
    has(p.mermaid, "n2[\"[7] item<br/>failed: Late\"]:::failed");
    has(p.mermaid, "n3[\"7 more<br/>1 done, 6 active\"]:::note");
    let_go(p);
    mf_message_unref(error);
}

Test(flow_graph, what_is_gone_is_drawn_as_gone)
{
    mf_key gone = bench_key(MF_KIND_TASK, 99);
    mf_key key = put(with_callbacks(bench_spec(&b, MF_KIND_TASK, "a", 1), &gone, NULL), &(mf_state){0});
    char want[100];
    picture p = draw_key(&key);
    snprintf(want, sizeof want, "n1[\"%s<br/>is gone\"]:::note", gone.text);
    has(p.mermaid, want);
    let_go(p);
}

Test(flow_graph, a_branch_that_was_not_taken_and_is_gone_is_left_out)
{
    mf_key gone = bench_key(MF_KIND_TASK, 99);
    mf_key key = put(with_callbacks(bench_spec(&b, MF_KIND_TASK, "a", 1), &gone, NULL), &(mf_state){.status = MF_STATUS_FAILED});
    picture p = draw_key(&key);
    lacks(p.mermaid, "gone");
    lacks(p.mermaid, "on_success");
    let_go(p);
}

Test(flow_graph, what_cannot_be_drawn_is_told)
{
    char *text = NULL;
    mf_key key = bench_key(MF_KIND_CHAIN, 5);
    cr_assert(eq(int, mf_flow_graph(b.client, &key, MF_GRAPH_DOT, &text, &err), MF_E_NOT_FOUND));
    has(err.text, key.text);
    cr_assert(eq(int, mf_signature_graph(NULL, MF_GRAPH_DOT, &text, &err), MF_E_INVALID));
    mf_signature *sig = flow_of("{'task':'a'}");
    cr_assert(eq(int, mf_signature_graph(sig, (mf_graph_format)7, &text, &err), MF_E_INVALID));
    cr_assert(eq(ptr, text, NULL));
    mf_run *run = mf_start(sig, NULL, &err);
    picture p = draw_signature(sig);        /* what was started is drawn from the store */
    has(p.mermaid, "n0[\"a<br/>pending\"]:::pending");
    let_go(p);
    mf_run_destroy(run);
    mf_signature_destroy(sig);
}

Test(flow_graph, without_memory_there_is_no_picture_and_nothing_is_left)
{
    mf_signature *sig = flow_of(small);
    char *text = NULL;
    for (int format = 0; format < 2; format++) {
        for (long fail_at = 1; text == NULL; fail_at++) {
            long before = atomic_load(&b.counting.live);
            atomic_store(&b.counting.fail_at, atomic_load(&b.counting.calls) + fail_at);
            mf_status st = mf_signature_graph(sig, (mf_graph_format)format, &text, &err);
            atomic_store(&b.counting.fail_at, 0);
            cr_assert(eq(int, st, text != NULL ? MF_OK : MF_E_NOMEM), "allocation %ld", fail_at);
            mf_text_free(b.client, text);
            cr_assert(eq(long, atomic_load(&b.counting.live), before), "allocation %ld", fail_at);
        }
        text = NULL;
    }
    mf_signature_destroy(sig);
}
