/* run.c: `mageflow run`: start a flow written as JSON. */
#include "command.h"
#include "flow_file.h"
#include "input.h"
#include "launch.h"

static const struct usage usage = {
    .takes = OPTIONS_OF_CALLS | OPTION_WAIT | OPTION_MESSAGE,
    .arguments = "[OPTION...] FLOW.json",
    .before = "Start the flow in the file FLOW.json, or with - from standard input, and print its key;\n"
              "with --wait wait for its end and print the result as JSON.",
    .after = "A flow is a task, a chain, a swarm or a map, with callbacks, in any nesting:\n"
             "  {\"task\": NAME, \"kwargs\": {...}}      {\"chain\": [FLOW, FLOW, ...]}\n"
             "  {\"swarm\": [FLOW, ...]}               {\"map\": TASK, \"source\": NAME}\n"
             "and a file has one, or {\"flow\": FLOW, \"message\": {...}}. docs/flow-json.md has all of it.\n"
             "\n"
             "Where this process runs the flow, it must know its tasks: --load the module that declares them.\n"
             "Exit codes: 0 done, 1 the flow failed, 2 wrong usage, 3 timeout, 130 Ctrl-C, which cancels the flow.\n"
             "\n"
             "  mageflow run --load basic_tasks.so --wait flow.json\n"
             "  echo '{\"task\": \"add\", \"kwargs\": {\"b\": 2}}' |\n"
             "      mageflow run --load basic_tasks.so --wait --message '{\"a\": 1}' -      prints 3\n",
};

struct running {
    struct call call;
    struct flow_file file;
    mf_message *message;
};

static mf_run *start(struct call *call, mf_error *err)
{
    struct running *r = (struct running *)(void *)call;
    mf_run *run = mf_flow_start(call->client, r->file.document, mf_message_ref(r->message), err);
    if (run == NULL)
        flow_file_locate(&r->file, err);
    return run;
}

static bool read_inputs(const struct options *options, struct running *r)
{
    const char *file = options->arguments[0];
    mf_error err;
    mf_status st;
    if (strcmp(file, "-") == 0 && options->message != NULL && strcmp(options->message, "-") == 0)
        st = mf_fail(&err, MF_E_INVALID, "run: the flow and --message cannot both come from standard input: name a file for "
                     "the flow");
    else
        st = flow_file_read(&r->file, file, &err);
    if (st == MF_OK && options->message != NULL)
        st = input_read(options->message, &r->message, &err);
    if (st != MF_OK)
        complain("%s", err.text);
    return st == MF_OK;
}

static int run_with(const struct options *options)
{
    if (options->count != 1) {
        complain("run: expected one FLOW.json, or - for standard input, got %zu arguments: see mageflow run --help",
                 options->count);
        return EXIT_USAGE;
    }
    if (!options->wait && options->timeout != MF_FOREVER) {
        complain("run: --timeout says how long to wait: give it with --wait");
        return EXIT_USAGE;
    }
    const char *file = options->arguments[0];
    struct running r = {.call = {.options = options, .what = strcmp(file, "-") == 0 ? "the flow" : file,
                                 .wait = options->wait, .lost = "without --wait the flow", .advice = "add --wait, or ",
                                 .start = start}};
    int code = read_inputs(options, &r) ? call_make(&r.call) : EXIT_USAGE;
    flow_file_fini(&r.file);
    mf_message_unref(r.message);
    return code;
}

static int run_run(int argc, const char **argv)
{
    return options_run(argc, argv, &usage, run_with);
}

const verb run_verb = {"run", "start a flow written as JSON", run_run};
