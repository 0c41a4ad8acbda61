/* Flows as data: what is read, what is refused and where, and that what is written reads back as the same. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <mageflow/flow_data.h>

#include "bench.h"
#include "flow_form.h"
#include "memory.h"
#include "sign.h"

#include <stdio.h>
#include <stdlib.h>

static bench    b;
static mf_error err;

struct add_in { int64_t a, b; };
MF_FIELDS(add_in, struct add_in, MF_INT(a), MF_INT(b));

static void init(void)
{
    cr_assert(bench_open(&b));
    const mf_task_def defs[] = {{.name = "add", .run = bench_nothing, .in = &add_in}, {.name = "echo", .run = bench_nothing}};
    for (size_t i = 0; i < sizeof defs / sizeof *defs; i++) {
        mf_task_def def = defs[i];
        def.struct_size = sizeof def;
        cr_assert(eq(int, mf_task(b.client, &def, NULL), MF_OK));
    }
    cr_assert(eq(int, mf_source(b.client, MF_SOURCE_DEF(.name = "numbers", .next = bench_no_items), NULL), MF_OK));
    err = (mf_error){0};
}

static void fini(void)
{
    cr_assert(bench_close(&b));
}

TestSuite(flow_data, .init = init, .fini = fini, .timeout = 120);

/* Texts of the tests are JSON with ' for ". */
static mf_message *message_of(const char *text)
{
    char *json = strdup(text);
    for (char *at = json; *at != '\0'; at++)
        *at = *at == '\'' ? '"' : *at;
    mf_message *message = NULL;
    mf_status st = mf_message_from_json(mf_cstr(json), MF_LIMITS(.depth = MF_DEPTH_MAX), NULL, &message, &err);
    cr_assert(eq(int, st, MF_OK), "%s: %s", text, err.text);
    free(json);
    return message;
}

static mf_signature *flow_of(const char *text)
{
    mf_message *message = message_of(text);
    mf_signature *sig = mf_flow_from_message(b.client, message, &err);
    mf_message_unref(message);
    return sig;
}

static void is_flow(const mf_message *message, const char *text)
{
    char *json;
    size_t len;
    cr_assert(eq(int, mf_message_to_json(message, NULL, &json, &len, &err), MF_OK), "%s", err.text);
    for (size_t i = 0; i < len; i++)
        json[i] = json[i] == '"' ? '\'' : json[i];
    cr_assert(eq(str, json, (char *)text));
    mf_json_free(NULL, json, len);
}

/* ---- there and back ------------------------------------------------------------------------------------------------ */

static const char *const flows[] = {
    "{'task':'echo'}",
    "{'task':'add','kwargs':{'a':1,'b':2}}",
    "{'task':'echo','on_success':[{'task':'echo'},{'task':'add','kwargs':{'a':1}}],'on_error':[{'task':'echo'}]}",
    "{'chain':[{'task':'echo'},{'task':'add'}]}",
    "{'chain':[{'task':'echo'},{'task':'echo','on_error':[{'task':'add'}]}],'name':'two steps','kwargs':{'k':{'deep':[1,null]}},"
        "'on_success':[{'chain':[{'task':'echo'},{'task':'echo'}],'name':'after'}]}",
    "{'swarm':[]}",
    "{'swarm':[{'task':'echo'},{'task':'add','kwargs':{'a':-1}}],'name':'both','kwargs':{'b':1},'max_concurrency':2,"
        "'stop_after_failures':18446744073709551615,'on_success':[{'task':'echo'}],'on_error':[{'task':'echo'}]}",
    "{'swarm':[{'task':'echo'}],'closed':false}",
    "{'swarm':[{'task':'echo'}],'max_items':3,'close_on_max':true,'message_as_result':true,'ttl':'90m','keep':'forever'}",
    "{'chain':[{'task':'echo','ttl':'250ms','keep':'2d'},{'task':'add','stagger':'10s'}],'ttl':'forever','keep':'36h'}",
    "{'map':{'task':'echo'},'source':'numbers'}",
    "{'map':{'task':'add','kwargs':{'b':1},'on_success':[{'task':'echo'}]},'source':'numbers','name':'all','kwargs':{'a':1},"
        "'max_concurrency':4294967295,'stop_after_failures':1,'on_error':[{'task':'echo'}]}",
    "{'chain':[{'swarm':[{'chain':[{'task':'echo'},{'map':{'task':'echo'},'source':'numbers'}]},{'task':'echo'},"
        "{'swarm':[{'task':'add','on_success':[{'swarm':[{'task':'echo'}],'name':'inner'}]}]}]},{'task':'echo'}],'name':''}",
};

Test(flow_data, what_was_read_is_written_as_it_was)
{
    for (size_t i = 0; i < sizeof flows / sizeof *flows; i++) {
        mf_signature *sig = flow_of(flows[i]);
        cr_assert(ne(ptr, sig, NULL), "%s: %s", flows[i], err.text);
        mf_message *written = NULL;
        cr_assert(eq(int, mf_flow_to_message(sig, &written, &err), MF_OK), "%s", err.text);
        is_flow(written, flows[i]);
        mf_message_unref(written);
        mf_signature_destroy(sig);
    }
}

Test(flow_data, what_is_stored_is_written_as_it_was)
{
    for (size_t i = 0; i < sizeof flows / sizeof *flows; i++) {
        mf_signature *sig = flow_of(flows[i]);
        mf_key key = mf_signature_key(sig);
        mf_run *run = mf_start(sig, NULL, &err);
        cr_assert(ne(ptr, run, NULL), "%s: %s", flows[i], err.text);
        mf_signature_destroy(sig);
        mf_message *written = NULL;
        cr_assert(eq(int, mf_flow_read(b.client, &key, &written, &err), MF_OK), "%s: %s", flows[i], err.text);
        is_flow(written, flows[i]);
        mf_message_unref(written);
        mf_run_destroy(run);
    }
}

Test(flow_data, defaults_are_left_out_and_empty_kwargs_too)
{
    mf_signature *sig = flow_of("{'closed':true,'name':'swarm','max_concurrency':30,'stop_after_failures':0,'kwargs':{},"
                                "'on_error':[],'swarm':[{'kwargs':{},'task':'echo','on_success':[]}]}");
    mf_message *written = NULL;
    cr_assert(ne(ptr, sig, NULL), "%s", err.text);
    cr_assert(eq(int, mf_flow_to_message(sig, &written, &err), MF_OK));
    is_flow(written, "{'swarm':[{'task':'echo'}]}");
    mf_message_unref(written);
    mf_signature_destroy(sig);
}

Test(flow_data, a_draft_that_is_not_complete_is_written_too)
{
    mf_message *written = NULL;
    mf_signature *chain = mf_chain_add(mf_chain(b.client, "half", NULL, NULL), mf_sign(b.client, "echo", NULL, NULL), NULL);
    cr_assert(eq(int, mf_flow_to_message(chain, &written, &err), MF_OK));
    is_flow(written, "{'chain':[{'task':'echo'}],'name':'half'}");
    mf_message_unref(written);
    mf_signature_destroy(chain);
    cr_assert(eq(int, mf_flow_to_message(NULL, &written, &err), MF_E_INVALID));
}

Test(flow_data, writing_a_task_leaves_it_a_plain_item)
{
    mf_message *written = NULL;
    mf_signature *sig = flow_of("{'task':'echo'}");
    cr_assert(eq(int, mf_flow_to_message(sig, &written, &err), MF_OK));
    cr_assert(eq(ptr, sig->own.spec, NULL));
    mf_message_unref(written);
    mf_signature_destroy(sig);
}

Test(flow_data, a_key_that_is_not_stored_is_not_found)
{
    mf_message *written = NULL;
    mf_key key = bench_key(MF_KIND_CHAIN, 7);
    cr_assert(eq(int, mf_flow_read(b.client, &key, &written, &err), MF_E_NOT_FOUND));
    cr_assert(ne(ptr, strstr(err.text, key.text), NULL));
}

static mf_key gone_in_a_chain(mf_key *gone)
{
    mf_spec *spec = bench_spec(&b, MF_KIND_CHAIN, "chain", 1);
    *gone = bench_key(MF_KIND_SWARM, 2);
    mf_key key = spec->key;
    spec->steps = mfi_alloc_array(spec->allocator, 1, sizeof *spec->steps);
    spec->steps[0] = (mf_item){.spec = bench_spec(&b, MF_KIND_SWARM, "swarm", 2)};
    spec->step_count = 1;
    cr_assert(eq(int, bench_put(&b, spec, &(mf_state){0}), MF_OK));
    return key;
}

Test(flow_data, a_record_below_that_is_gone_is_named)
{
    mf_message *written = NULL;
    mf_key gone, key = gone_in_a_chain(&gone);
    cr_assert(eq(int, mf_flow_read(b.client, &key, &written, &err), MF_E_NOT_FOUND));
    cr_assert(ne(ptr, strstr(err.text, gone.text), NULL));
}

/* The branch that was not taken is removed at the end. */
Test(flow_data, a_callback_that_is_gone_is_left_out)
{
    mf_message *written = NULL;
    mf_spec *spec = bench_spec(&b, MF_KIND_TASK, "echo", 1);
    mf_key gone = bench_key(MF_KIND_SWARM, 2), key = spec->key;
    spec->on_success = mfi_alloc_array(spec->allocator, 1, sizeof *spec->on_success);
    spec->on_success[0] = gone;
    spec->on_success_count = 1;
    spec->ttl_ms = b.client->ttl_ms[MF_KIND_TASK];
    spec->keep_ms = b.client->keep_ms[MF_KIND_TASK];
    cr_assert(eq(int, bench_put(&b, spec, &(mf_state){0}), MF_OK));
    cr_assert(eq(int, mf_flow_read(b.client, &key, &written, &err), MF_OK));
    is_flow(written, "{'task':'echo'}");
    mf_message_unref(written);
}

/* ---- what is refused ----------------------------------------------------------------------------------------------- */

static const struct wrong {
    const char *flow;
    mf_status   status;
    const char *text;
} wrong[] = {
    {"[]", MF_E_TYPE, "flow: expected a map, got an array of 0"},
    {"null", MF_E_TYPE, "flow: expected a map, got nil"},
    {"{}", MF_E_INVALID, "flow: expected one of the keys task, chain, swarm and map, got none of them"},
    {"{'name':'x'}", MF_E_INVALID, "flow: expected one of the keys task, chain, swarm and map, got none of them"},
    {"{'tsak':'add'}", MF_E_INVALID, "flow: expected one of the keys task, chain, swarm and map, got \"tsak\""},
    {"{'flow':{'task':'add'}}", MF_E_INVALID, "flow: expected one of the keys task, chain, swarm and map, got a document"},
    {"{'task':'add','swarm':[]}", MF_E_INVALID, "flow: expected one of the keys task, chain, swarm and map, got both task and swarm"},
    {"{'task':'add','task':'echo'}", MF_E_INVALID, "flow: the key \"task\" is there twice"},
    {"{'task':'add','kwarg':{}}", MF_E_INVALID,
     "flow: unknown key \"kwarg\": a task has task, kwargs, ttl, keep, stagger, on_success and on_error"},
    {"{'task':'add','name':'x'}", MF_E_INVALID, "flow: unknown key \"name\": a task has task, kwargs, ttl, keep, stagger, on_success and on_error"},
    {"{'chain':[{'task':'echo'},{'task':'echo'}],'closed':true}", MF_E_INVALID,
     "flow: unknown key \"closed\": a chain has chain, name, kwargs, ttl, keep, stagger, on_success and on_error"},
    {"{'swarm':[],'source':'numbers'}", MF_E_INVALID, "flow: unknown key \"source\": a swarm has "},
    {"{'map':{'task':'echo'},'source':'numbers','closed':true}", MF_E_INVALID, "flow: unknown key \"closed\": a map over a source has "},
    {"{'map':{'task':'echo'}}", MF_E_INVALID, "flow: the key \"source\" is missing: a map over a source must have it"},
    {"{'chain':[{'task':'echo'},{'task':{'a':1,'b':2}}]}", MF_E_TYPE, "flow.chain[1].task: expected text, got a map of 2"},
    {"{'chain':[{'task':'echo'},{'task':null}]}", MF_E_TYPE, "flow.chain[1].task: expected text, got nil"},
    {"{'chain':{'task':'echo'}}", MF_E_TYPE, "flow.chain: expected an array of flows, got a map of 1"},
    {"{'chain':[{'task':'echo'}]}", MF_E_INVALID, "flow.chain: expected two steps or more, got 1"},
    {"{'chain':[]}", MF_E_INVALID, "flow.chain: expected two steps or more, got 0"},
    {"{'swarm':[{'task':'echo'},7]}", MF_E_TYPE, "flow.swarm[1]: expected a map, got the integer 7"},
    {"{'swarm':[],'max_concurrency':0}", MF_E_TYPE,
     "flow.max_concurrency: expected an integer from 1 to 4294967295, got the integer 0"},
    {"{'swarm':[],'max_concurrency':4294967296}", MF_E_TYPE, "flow.max_concurrency: "},
    {"{'swarm':[],'max_concurrency':2.5}", MF_E_TYPE, "got the number 2.5"},
    {"{'swarm':[],'stop_after_failures':-1}", MF_E_TYPE,
     "flow.stop_after_failures: expected an integer from 0 to 18446744073709551615, got the integer -1"},
    {"{'swarm':[],'closed':1}", MF_E_TYPE, "flow.closed: expected true or false, got the integer 1"},
    {"{'swarm':[],'name':true}", MF_E_TYPE, "flow.name: expected text, got true"},
    {"{'swarm':[],'name':'a\\u0000b'}", MF_E_INVALID, "flow.name: expected text without NUL bytes"},
    {"{'swarm':[],'kwargs':[1]}", MF_E_TYPE, "flow.kwargs: expected a map of fields, got an array of 1"},
    {"{'task':'echo','kwargs':null}", MF_E_TYPE, "flow.kwargs: expected a map of fields, got nil"},
    {"{'task':'echo','on_success':{'task':'echo'}}", MF_E_TYPE, "flow.on_success: expected an array of flows, got a map of 1"},
    {"{'task':'echo','on_error':[{'task':'echo'},{'task':'echo','on_error':[{'chain':4}]}]}", MF_E_TYPE,
     "flow.on_error[1].on_error[0].chain: expected an array of flows, got the integer 4"},
    {"{'swarm':[{'task':'echo'},{'task':'echo'}],'max_items':1}", MF_E_INVALID,
     "flow.swarm: expected at most 1 items, as max_items says, got 2"},
    {"{'swarm':[],'max_items':0}", MF_E_TYPE, "flow.max_items: expected an integer from 1 to "},
    {"{'task':'echo','ttl':'0s'}", MF_E_INVALID,
     "flow.ttl: expected a number and ms, s, m, h or d, as in \"10s\", or \"forever\", got the string \"0s\""},
    {"{'task':'echo','keep':5}", MF_E_TYPE, "flow.keep: expected a number and ms"},
    {"{'task':'echo','stagger':'forever'}", MF_E_INVALID, "flow.stagger: expected a number and ms, s, m, h or d, as in \"10s\", got"},
    {"{'task':'echo','stagger':'99999999999d'}", MF_E_INVALID, "flow.stagger: "},
    {"{'map':{'task':'echo','keep':'1d'},'source':'numbers'}", MF_E_UNSUPPORTED,
     "flow.map.keep: the items of a map cannot have it: the map can"},
    {"{'map':{'chain':[{'task':'echo'},{'task':'echo'}]},'source':'numbers'}", MF_E_UNSUPPORTED, "flow.map: expected a task: "},
    {"{'map':{'task':'echo','on_success':[{'swarm':[],'name':'s'}]},'source':'numbers'}", MF_E_UNSUPPORTED,
     "flow: mf_map: a callback of its items must be a plain task, \"s\" is not"},
    {"{'map':{'task':'echo'},'source':'nosuch'}", MF_E_NOT_FOUND, "flow: mf_map: no source \"nosuch\" was declared"},
    {"{'map':{'task':'echo'},'source':5}", MF_E_TYPE, "flow.source: expected text, got the integer 5"},
    {"{'swarm':[{'task':'echo'},{'task':'nosuch'}]}", MF_E_UNKNOWN_TASK, "flow.swarm[1]: no task \"nosuch\" was declared; known: "},
    {"{'task':'mageflow.swarm_fill'}", MF_E_UNKNOWN_TASK, "flow: no task \"mageflow.swarm_fill\""},
    {"{'chain':[{'task':'add','kwargs':{'a':'x'}},{'task':'echo'}]}", MF_E_INVALID,
     "flow.chain[0]: task \"add\": field \"a\": expected an integer"},
};

/* The client keeps a signature that ended for the next one: that is there from now on, and nothing's loss. */
static void make_spare(void)
{
    mf_signature_destroy(mf_chain(b.client, NULL, NULL, NULL));
}

Test(flow_data, what_is_wrong_is_refused_with_its_place)
{
    make_spare();
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        long before = atomic_load(&b.counting.live);
        mf_signature *sig = flow_of(wrong[i].flow);
        cr_assert(eq(ptr, sig, NULL), "%s was taken", wrong[i].flow);
        cr_assert(ne(ptr, strstr(err.text, wrong[i].text), NULL), "%s: \"%s\" lacks \"%s\"", wrong[i].flow, err.text, wrong[i].text);
        cr_assert(eq(str, (char *)mf_status_name(err.status), (char *)mf_status_name(wrong[i].status)), "%s", wrong[i].flow);
        cr_assert(eq(long, atomic_load(&b.counting.live), before), "%s left something", wrong[i].flow);
    }
}

Test(flow_data, a_name_may_have_255_bytes)
{
    char text[400], name[300];
    memset(name, 'n', sizeof name);
    for (int len = 255; len <= 256; len++) {
        snprintf(text, sizeof text, "{'swarm':[],'name':'%.*s'}", len, name);
        mf_signature *sig = flow_of(text);
        cr_assert(eq(int, sig != NULL, len == 255));
        mf_signature_destroy(sig);
    }
    cr_assert(eq(int, err.status, MF_E_TOO_BIG));
    cr_assert(eq(str, err.text, "flow.name: expected at most 255 bytes, got 256"));
}

/* n containers within each other around a task, in chains of two or in swarms of one. */
static mf_message *nested(bool chains, unsigned n)
{
    char text[8192] = "";
    size_t len = 0;
    for (unsigned i = 0; i < n; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, chains ? "{'chain':[" : "{'swarm':[");
    len += (size_t)snprintf(text + len, sizeof text - len, "{'task':'echo'}");
    for (unsigned i = 0; i < n; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, chains ? ",{'task':'echo'}]}" : "]}");
    return message_of(text);
}

Test(flow_data, thirty_one_containers_within_each_other_are_taken_and_written)
{
    for (int chains = 0; chains < 2; chains++) {
        mf_message *message = nested(chains, 31), *written = NULL;
        mf_signature *sig = mf_flow_from_message(b.client, message, &err);
        cr_assert(ne(ptr, sig, NULL), "%s", err.text);
        cr_assert(eq(int, mf_flow_to_message(sig, &written, &err), MF_OK), "%s", err.text);
        cr_assert(mf_str_eq(mf_message_bytes(message), mf_message_bytes(written)));
        mf_message_unref(written);
        mf_message_unref(message);
        mf_signature_destroy(sig);
    }
}

/* A message cannot hold more, but the API can make callbacks of callbacks without end. */
Test(flow_data, what_is_too_deep_to_be_written_is_refused)
{
    mf_message *written = NULL;
    mf_signature *sig = mf_sign(b.client, "echo", NULL, &err);
    for (int i = 0; i < 5000; i++)
        sig = mf_on_success(mf_sign(b.client, "echo", NULL, &err), sig, &err);
    cr_assert(eq(int, mf_flow_to_message(sig, &written, &err), MF_E_TOO_BIG));
    mf_signature_destroy(sig);
}

/* The end of a long path is what helps. */
Test(flow_data, a_long_path_keeps_its_end)
{
    char text[8192] = "";
    size_t len = 0;
    for (unsigned i = 0; i < 31; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "{'task':'echo','on_success':[");
    len += (size_t)snprintf(text + len, sizeof text - len, "{'task':1}");
    for (unsigned i = 0; i < 31; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "]}");
    cr_assert(eq(ptr, flow_of(text), NULL));
    cr_assert(ne(ptr, strstr(err.text, ".on_success[0].on_success[0].task: expected text, got the integer 1"), NULL));
    cr_assert(eq(int, memcmp(err.text, "...", 3), 0));
}

Test(flow_data, keys_that_are_no_text_are_refused)
{
    mf_builder builder;
    mf_message *message = NULL;
    mf_builder_init(&builder, NULL, NULL);
    mf_build_map(&builder, 1);
    mf_build_int(&builder, 5);
    mf_build_nil(&builder);
    cr_assert(eq(int, mf_builder_finish(&builder, &message, &err), MF_OK));
    cr_assert(eq(ptr, mf_flow_from_message(b.client, message, &err), NULL));
    cr_assert(eq(str, err.text, "flow: expected keys that are text, got the integer 5"));
    mf_message_unref(message);
    cr_assert(eq(ptr, mf_flow_from_message(b.client, NULL, &err), NULL));
    cr_assert(eq(int, err.status, MF_E_INVALID));
    cr_assert(eq(ptr, mf_flow_from_message(b.client, mf_msg("{"), &err), NULL));
    cr_assert(eq(int, err.status, MF_E_INVALID));
}

/* ---- documents ----------------------------------------------------------------------------------------------------- */

static mf_run *start_document(const char *text, const char *message)
{
    mf_message *document = message_of(text);
    mf_run *run = mf_flow_start(b.client, document, message == NULL ? NULL : message_of(message), &err);
    mf_message_unref(document);
    return run;
}

/* What the first call of the run was sent. */
static void is_sent(const char *json)
{
    mf_entry entry;
    size_t got = 0;
    int64_t due;
    cr_assert(eq(int, mf_store_outbox(b.store, 1, &entry, &got, &due, &err), MF_OK));
    cr_assert(eq(sz, got, 1));
    is_flow(entry.message != NULL ? entry.message : mf_message_nil(), json);
    mf_entry_release(&entry);
}

Test(flow_data, a_document_starts_its_flow_with_its_message)
{
    mf_run *run = start_document("{'message':{'x':{'y':1}},'flow':{'task':'echo','kwargs':{'k':1}}}", NULL);
    cr_assert(ne(ptr, run, NULL), "%s", err.text);
    is_sent("{'x':{'y':1},'k':1}");
    mf_run_destroy(run);
}

Test(flow_data, the_callers_message_wins_over_the_documents)
{
    mf_run *run = start_document("{'flow':{'task':'echo'},'message':{'x':{'y':1,'z':2},'w':3}}", "{'x':{'y':9},'v':4}");
    cr_assert(ne(ptr, run, NULL), "%s", err.text);
    is_sent("{'x':{'y':9,'z':2},'w':3,'v':4}");
    mf_run_destroy(run);
}

Test(flow_data, a_flow_alone_is_a_document_too)
{
    mf_run *run = start_document("{'task':'echo'}", "{'x':1}");
    cr_assert(ne(ptr, run, NULL), "%s", err.text);
    is_sent("{'x':1}");
    mf_run_destroy(run);
}

Test(flow_data, a_document_says_when_and_how_it_starts)
{
    mf_run *run = start_document("{'flow':{'task':'echo'},'delay':'1h','priority':-7,'unique':'once','unique_window':'2h'}", NULL);
    cr_assert(ne(ptr, run, NULL), "%s", err.text);
    mf_key key = mf_run_key(run);
    mf_record record = {0};
    cr_assert(eq(int, mf_store_load(b.store, &key, 1, &record, &err), MF_OK));
    cr_assert(eq(int, record.state.priority, -7));
    mf_record_release(&record);
    mf_entry entry;
    size_t got = 0;
    int64_t due = 0, now = mf_store_now_ms(b.store);
    cr_assert(eq(int, mf_store_outbox(b.store, 1, &entry, &got, &due, &err), MF_OK));
    cr_assert(eq(sz, got, 0));
    cr_assert(ge(i64, due, now + 3500000));

    cr_assert(eq(ptr, start_document("{'flow':{'task':'echo'},'unique':'once'}", NULL), NULL));
    cr_assert(eq(int, err.status, MF_E_EXISTS));
    mf_run *joined = start_document("{'flow':{'task':'echo'},'unique':'once','join':true}", NULL);
    mf_key same = mf_run_key(joined);
    cr_assert(mf_key_eq(&same, &key));
    mf_run_destroy(joined);
    mf_run_destroy(run);
}

Test(flow_data, what_is_saved_or_started_is_read_from_the_store)
{
    mf_signature *sig = flow_of(flows[0]);
    mf_message *written = NULL;
    cr_assert(eq(int, mf_signature_save(sig, &err), MF_OK), "%s", err.text);
    cr_assert(eq(int, mf_flow_to_message(sig, &written, &err), MF_OK), "%s", err.text);
    is_flow(written, flows[0]);
    mf_message_unref(written);
    mf_key key = mf_signature_key(sig);
    mf_signature *loaded = mf_signature_load(b.client, &key, &err);
    cr_assert(eq(int, mf_flow_to_message(loaded, &written, &err), MF_OK), "%s", err.text);
    is_flow(written, flows[0]);
    mf_message_unref(written);
    mf_signature_destroy(loaded);
    mf_signature_destroy(sig);
}

static const struct wrong wrong_documents[] = {
    {"7", MF_E_TYPE, "flow: expected a map, got the integer 7"},
    {"{'flow':{'task':'echo'},'messages':{}}", MF_E_INVALID,
     "document: unknown key \"messages\": a document has flow, message, delay, priority, unique, unique_window and join"},
    {"{'flow':{'task':'echo'},'task':'echo'}", MF_E_INVALID, "document: unknown key \"task\": a document has flow, message, delay, priority, unique, unique_window and join"},
    {"{'flow':{'task':'echo'},'flow':{'task':'echo'}}", MF_E_INVALID, "document: the key \"flow\" is there twice"},
    {"{'flow':{'task':'echo'},'message':[]}", MF_E_TYPE, "document.message: expected a map of fields, got an array of 0"},
    {"{'flow':[]}", MF_E_TYPE, "flow: expected a map, got an array of 0"},
    {"{'flow':{'task':'echo'},'join':true}", MF_E_INVALID, "document.join: it means something only beside \"unique\", which is missing"},
    {"{'flow':{'task':'echo'},'unique_window':'1h'}", MF_E_INVALID, "document.unique_window: "},
    {"{'flow':{'task':'echo'},'unique':''}", MF_E_INVALID, "document.unique: expected a name, got an empty text"},
    {"{'flow':{'task':'echo'},'priority':2147483648}", MF_E_TYPE,
     "document.priority: expected an integer from -2147483648 to 2147483647, got the integer 2147483648"},
    {"{'flow':{'task':'echo'},'delay':'soon'}", MF_E_INVALID, "document.delay: expected a number and ms"},
    {"{'flow':{'task':'add'},'message':{'a':'x'}}", MF_E_INVALID, "flow: task \"add\": field \"a\": expected an integer"},
};

Test(flow_data, a_document_that_is_wrong_starts_nothing)
{
    for (size_t i = 0; i < sizeof wrong_documents / sizeof *wrong_documents; i++) {
        cr_assert(eq(ptr, start_document(wrong_documents[i].flow, "{'v':1}"), NULL), "%s", wrong_documents[i].flow);
        cr_assert(ne(ptr, strstr(err.text, wrong_documents[i].text), NULL), "%s: %s", wrong_documents[i].flow, err.text);
        cr_assert(eq(int, err.status, wrong_documents[i].status));
    }
    cr_assert(eq(ptr, start_document("{'task':'echo'}", "[1]"), NULL));
    cr_assert(eq(int, err.status, MF_E_TYPE));
    size_t waiting, claimed;
    mf_store_load_counts(b.store, &waiting, &claimed);
    cr_assert(eq(sz, waiting, 0));
}

/* ---- the schema ---------------------------------------------------------------------------------------------------- */

/* docs/flow.schema.json, parsed. */
static mf_message *schema(void)
{
    static char text[65536];
    FILE *file = fopen(FLOW_SCHEMA, "rb");
    cr_assert(ne(ptr, file, NULL), "%s", FLOW_SCHEMA);
    size_t len = fread(text, 1, sizeof text, file);
    fclose(file);
    mf_message *message = NULL;
    mf_status st = mf_message_from_json(mf_str_of(text, len), NULL, NULL, &message, &err);
    cr_assert(eq(int, st, MF_OK), "%s", err.text);
    return message;
}

Test(flow_data, the_schema_has_each_key_of_each_form_and_no_other)
{
    static const char *const names[] = {"task", "chain", "swarm", "map", "document"};
    mf_message *message = schema();
    for (mfi_form form = 0; form < MFI_FORMS; form++) {
        mf_value def, properties, must, key, other;
        cr_assert(eq(int, mf_message_scan(message, &err, "{s:{s:v}}", "$defs", names[form], &def), MF_OK), "%s", err.text);
        cr_assert(eq(int, mf_value_scan(def, &err, "{s:v, s:v}", "properties", &properties, "required", &must), MF_OK));
        size_t may_count = 0, must_count = 0;
        for (mfi_word word = 0; word < MFI_WORDS; word++) {
            bool there = mf_value_get(properties, mf_cstr(mfi_word_text(word)), &other);
            cr_assert(eq(int, there, mfi_word_may(word, form)), "%s.%s", names[form], mfi_word_text(word));
            may_count += mfi_word_may(word, form);
            must_count += mfi_word_must(word, form);
        }
        cr_assert(eq(sz, mf_value_count(properties), may_count), "%s", names[form]);
        cr_assert(eq(sz, mf_value_count(must), must_count), "%s", names[form]);
        mf_iter required = mf_value_iter(must);
        while (mf_iter_next(&required, NULL, &key)) {
            mf_str text = MF_STR_LIT("");
            cr_assert(eq(int, mf_value_str(key, &text), MF_OK));
            cr_assert(mfi_word_must(mfi_word_find(text), form), "%.*s", (int)text.len, text.at);
        }
    }
    mf_message_unref(message);
}

/* ---- without memory ------------------------------------------------------------------------------------------------ */

Test(flow_data, without_memory_nothing_is_made_and_nothing_is_left)
{
    mf_message *message = message_of(flows[10]);
    bool made = false;
    for (long fail_at = 1; !made; fail_at++) {
        make_spare();
        long before = atomic_load(&b.counting.live);
        mf_message *written = NULL;
        atomic_store(&b.counting.fail_at, atomic_load(&b.counting.calls) + fail_at);
        mf_signature *sig = mf_flow_from_message(b.client, message, &err);
        if (sig == NULL)
            cr_assert(eq(int, err.status, MF_E_NOMEM), "allocation %ld: %s", fail_at, err.text);
        else if (mf_flow_to_message(sig, &written, &err) != MF_OK)
            cr_assert(eq(int, err.status, MF_E_NOMEM), "allocation %ld: %s", fail_at, err.text);
        made = written != NULL;
        atomic_store(&b.counting.fail_at, 0);
        mf_message_unref(written);
        mf_signature_destroy(sig);
        cr_assert(eq(long, atomic_load(&b.counting.live), before), "allocation %ld", fail_at);
        cr_assert(lt(long, fail_at, 1000));
    }
    mf_message_unref(message);
}
