/* Errors: mageflow's map and TaskIQ's.
 *
 * What a Python client makes of ours: a class that is found under exc_module is called with the arguments, any other name
 * becomes a new class of that name. So a type that names a builtin exception taking one text goes out as that builtin,
 * and everything else under the module "mageflow", where nothing is looked up. Builtins that are no Exception (SystemExit,
 * KeyboardInterrupt) are not among them: a worker must not end its client. */
#include "taskiq_wire.h"

#include "taskiq_text.h"

#include <stdio.h>

#define CAUSES_MAX 8        /* in a chain of causes; what lies deeper is left out */
#define TEXT_MAX   4096     /* of an error's text, as everywhere in mageflow */

static const char *const builtins[] = {
    "ArithmeticError", "AssertionError", "AttributeError", "BlockingIOError", "BrokenPipeError", "BufferError",
    "ChildProcessError", "ConnectionAbortedError", "ConnectionError", "ConnectionRefusedError", "ConnectionResetError",
    "EOFError", "EnvironmentError", "Exception", "FileExistsError", "FileNotFoundError", "FloatingPointError", "IOError",
    "ImportError", "IndexError", "InterruptedError", "IsADirectoryError", "KeyError", "LookupError", "MemoryError",
    "ModuleNotFoundError", "NameError", "NotADirectoryError", "NotImplementedError", "OSError", "OverflowError",
    "PermissionError", "ProcessLookupError", "RecursionError", "ReferenceError", "RuntimeError", "SyntaxError",
    "TimeoutError", "TypeError", "UnboundLocalError", "ValueError", "ZeroDivisionError",
};

static bool is_builtin(mf_str type)
{
    for (size_t i = 0; i < sizeof builtins / sizeof *builtins; i++)
        if (mf_str_eq(type, mf_cstr(builtins[i])))
            return true;
    return false;
}

/* ---- out ---------------------------------------------------------------------------------------------------------- */

static void write_one(mf_builder *b, mf_value map, unsigned depth)
{
    mf_str type = MF_STR_LIT("Error"), text = MF_STR_LIT(""), module = {NULL, 0};
    mf_value cause = {NULL, 0};
    (void)!mf_value_scan(map, NULL, "{s?:S}", "type", &type);
    (void)!mf_value_scan(map, NULL, "{s?:S}", "text", &text);
    (void)!mf_value_scan(map, NULL, "{s?:S}", "module", &module);
    (void)!mf_value_scan(map, NULL, "{s?:v}", "cause", &cause);
    if (mf_str_eq(type, MF_STR_LIT("Timeout")))      /* the runtime's word for what Python calls so */
        type = MF_STR_LIT("TimeoutError");
    bool builtin = is_builtin(type) && (module.at == NULL || mf_str_eq(module, MF_STR_LIT("builtins")));
    bool caused = mf_value_type(cause) == MF_TYPE_MAP && depth < CAUSES_MAX;

    mf_build_map(b, 6);
    mf_build_key(b, "exc_type");
    mf_build_str_lossy(b, type);
    mf_build_key(b, "exc_message");
    mf_build_array(b, 1);
    mf_build_str_lossy(b, text);
    mf_build_key(b, "exc_module");
    mf_build_str(b, builtin ? MF_STR_LIT("builtins") : MF_STR_LIT("mageflow"));
    mf_build_key(b, "exc_cause");
    if (caused)
        write_one(b, cause, depth + 1);
    else
        mf_build_nil(b);
    mf_build_key(b, "exc_context");
    mf_build_nil(b);
    mf_build_key(b, "exc_suppress_context");
    mf_build_bool(b, caused);
}

void taskiq_error_write(mf_builder *b, mf_value map)
{
    write_one(b, map, 0);
}

/* ---- in ----------------------------------------------------------------------------------------------------------- */

/* Room for a text that is cut at its end, at a character's border. */
typedef struct text {
    char   at[TEXT_MAX];
    size_t len;
} text;

static void add(text *t, mf_str piece)
{
    size_t room = sizeof t->at - t->len, len = piece.len < room ? piece.len : room;
    if (len > 0)
        memcpy(t->at + t->len, piece.at, len);
    t->len += len;
    if (len < piece.len)
        t->len = mfi_utf8_valid(mf_str_of(t->at, t->len));
}

/* The arguments as a person reads them: one text alone as it is, several with commas between, what is no text as JSON. */
static void add_arguments(text *t, mf_value arguments)
{
    mf_iter items = mf_value_iter(arguments);
    mf_value item;
    mf_str s;
    for (bool first = true; mf_iter_next(&items, NULL, &item); first = false) {
        char *json;
        size_t len;
        if (!first)
            add(t, MF_STR_LIT(", "));
        if (mf_value_str(item, &s) == MF_OK) {
            add(t, s);
        } else if (mf_value_to_json(item, NULL, &json, &len, NULL) == MF_OK) {
            add(t, mf_str_of(json, len));
            mf_json_free(NULL, json, len);
        }
    }
}

static void read_one(mf_builder *b, mf_value error, unsigned depth)
{
    mf_str type = MF_STR_LIT("Error"), module = {NULL, 0};
    mf_value arguments = {NULL, 0}, cause = {NULL, 0}, context = {NULL, 0};
    bool suppressed = false;
    text t;
    t.len = 0;
    (void)!mf_value_scan(error, NULL, "{s?:S}", "exc_type", &type);
    (void)!mf_value_scan(error, NULL, "{s?:S}", "exc_module", &module);
    (void)!mf_value_scan(error, NULL, "{s?:v}", "exc_message", &arguments);
    (void)!mf_value_scan(error, NULL, "{s?:v}", "exc_cause", &cause);
    (void)!mf_value_scan(error, NULL, "{s?:v}", "exc_context", &context);
    (void)!mf_value_scan(error, NULL, "{s?:b}", "exc_suppress_context", &suppressed);
    if (mf_value_type(cause) != MF_TYPE_MAP && !suppressed)     /* "during handling of the above": Python shows it, too */
        cause = context;
    add_arguments(&t, arguments);

    mf_build_map_begin(b);
    mf_build_key(b, "type");
    mf_build_str(b, type);
    mf_build_key(b, "text");
    mf_build_str(b, mf_str_of(t.at, t.len));
    if (module.at != NULL) {
        mf_build_key(b, "module");
        mf_build_str(b, module);
    }
    if (mf_value_type(cause) == MF_TYPE_MAP && depth < CAUSES_MAX) {
        mf_build_key(b, "cause");
        read_one(b, cause, depth + 1);
    }
    mf_build_end(b);
}

void taskiq_error_read(mf_builder *b, mf_value error)
{
    read_one(b, error, 0);
}
