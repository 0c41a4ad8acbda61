/* graph.c: `mageflow graph`: draw a flow, from a file or by its key. */
#include "command.h"
#include "flow_file.h"
#include "launch.h"

#include <stdio.h>

static const struct usage usage = {
    .takes = OPTION_LOAD | OPTION_FORMAT,
    .arguments = "[OPTION...] FLOW.json | KEY",
    .before = "Draw a flow: the one in the file FLOW.json, or with - on standard input, as it will run; or the one with\n"
              "that KEY, with the states it has now, wherever --url says it is kept.",
    .after = "Chains and swarms stand around what they hold; callbacks have dashed edges. Of a long one the first items are\n"
             "drawn and those that failed; the rest is counted.\n"
             "Exit codes: 0 drawn, 1 it cannot be read, 2 wrong usage, which is also a key that is not there.\n"
             "\n"
             "  mageflow graph --load basic_tasks.so flow.json | dot -Tsvg > flow.svg\n"
             "  mageflow graph --load basic_tasks.so --format mermaid flow.json\n"
             "  mageflow graph --url 'local:?store=sqlite:jobs.db' chain-6yq5a3vhrz2k7mfw4pxtjd1ce\n",
};

/* ---- what to draw -------------------------------------------------------------------------------------------------- */

/* The flow of a document; what stands beside it is not in the picture, and is not looked at. */
static mf_status draw_document(mf_client *client, const struct flow_file *file, mf_graph_format format, char **text, mf_error *err)
{
    mf_value flow = mf_message_value(file->document);
    mf_message *alone = NULL;
    mf_status st = MF_OK;
    if (mf_value_get(flow, MF_STR_LIT("flow"), &flow))
        st = mf_message_of_value(flow, NULL, &alone, err);
    if (st != MF_OK)
        return st;
    mf_signature *sig = mf_flow_from_message(client, alone != NULL ? alone : file->document, err);
    st = sig != NULL ? mf_signature_graph(sig, format, text, err) : err->status;
    if (sig == NULL)
        flow_file_locate(file, err);
    mf_signature_destroy(sig);
    mf_message_unref(alone);
    return st;
}

static int print(mf_client *client, const struct options *options, const mf_key *key, const struct flow_file *file,
                 mf_graph_format format)
{
    char *text;
    mf_error err = {.text = ""};
    mf_status st = file->document != NULL ? draw_document(client, file, format, &text, &err)
                                          : mf_flow_graph(client, key, format, &text, &err);
    if (st == MF_OK) {
        fputs(text, stdout);
        mf_text_free(client, text);
        return EXIT_DONE;
    }
    bool load = st == MF_E_UNKNOWN_TASK && options->modules == NULL;
    bool lost = file->document == NULL && st == MF_E_NOT_FOUND && mf_client_in_process(client) && !mf_client_durable(client);
    complain("%s%s%s", err.text, load ? "; load the module that declares it with --load FILE.so" : "",
             lost ? "; this process has just begun and keeps its flows in memory: say with --url where it is kept" : "");
    return exit_code_of(st);
}

static bool read_format(const char *word, mf_graph_format *out)
{
    *out = word != NULL && strcmp(word, "mermaid") == 0 ? MF_GRAPH_MERMAID : MF_GRAPH_DOT;
    if (word == NULL || *out == MF_GRAPH_MERMAID || strcmp(word, "dot") == 0)
        return true;
    complain("--format: expected dot or mermaid, got \"%s\"", word);
    return false;
}

static int graph_with(const struct options *options)
{
    mf_graph_format format;
    if (options->count != 1) {
        complain("graph: expected one FLOW.json or KEY, got %zu arguments: see mageflow graph --help", options->count);
        return EXIT_USAGE;
    }
    if (!read_format(options->format, &format))
        return EXIT_USAGE;
    mf_error err;
    mf_key key;
    mf_client *client;
    struct flow_file file = {.from = NULL};
    if (mf_key_parse(mf_cstr(options->arguments[0]), &key, NULL) != MF_OK &&
        flow_file_read(&file, options->arguments[0], &err) != MF_OK) {
        complain("%s", err.text);
        flow_file_fini(&file);
        return EXIT_USAGE;
    }
    int code = file.document != NULL ? client_open(options, &client) : client_open_existing(options, &client);
    if (code == EXIT_DONE) {
        code = print(client, options, &key, &file, format);
        mf_client_destroy(client);
    }
    flow_file_fini(&file);
    return code;
}

static int graph_run(int argc, const char **argv)
{
    return options_run(argc, argv, &usage, graph_with);
}

const verb graph_verb = {"graph", "draw a flow for Graphviz or Mermaid", graph_run};
