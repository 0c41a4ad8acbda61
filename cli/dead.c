/* dead.c: `mageflow dead`: dead letters: list them, show one, send one again, drop one. */
#include "command.h"
#include "launch.h"
#include "output.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define PAGE 16
#define DUMP_WIDTH 16

static const struct usage usage = {
    .takes = OPTION_LOAD | OPTION_LIMIT | OPTION_AFTER | OPTION_JSON_SHOWN,
    .arguments = "[OPTION...] list | show KEY | requeue KEY... | drop KEY...",
    .before = "Dead letters: work that was accepted and will not be done unless somebody asks for it again. Flows that outlived\n"
              "their time are kept in the store; messages that could not be read, or killed who ran them, by the task manager.",
    .after = "list      since when, the flow's task or name (of a message: its queue), and the reason; the key is what the others take\n"
             "show      one letter whole: the flow with its message and error, or the message's bytes\n"
             "requeue   send it again and take the letter away; a flow starts anew under a new key, which is printed. However\n"
             "          many ask at once, one sends it. It runs where a worker serves; a task that none has declared yet needs --load\n"
             "drop      take it away for good\n"
             "With --json each letter or answer is one object a line.\n"
             "Exit codes: 0 done, 1 it cannot be sent again or the store cannot be reached, 2 wrong usage, which is also a key that\n"
             "is not there.\n"
             "\n"
             "  mageflow dead --url URL list\n"
             "  mageflow dead --url URL show QUEUE@1700000000000-0\n"
             "  mageflow dead --url 'local:?store=sqlite:jobs.db' requeue chain-6yq5a3vhrz2k7mfw4pxtjd1ce\n",
};

/* Dates as people read them; what was never told is a dash. */
static const char *time_text(int64_t ms, char out[32])
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm parts;
    snprintf(out, 32, "-");
    if (ms > 0 && localtime_r(&seconds, &parts) != NULL)
        strftime(out, 32, "%Y-%m-%d %H:%M:%S", &parts);
    return out;
}

/* ---- a payload ----------------------------------------------------------------------------------------------------- */

/* Whether a person can read it as it is: text without what steers a terminal. */
static bool is_readable(mf_str bytes)
{
    mf_message *text = mf_msg("S", bytes);
    bool readable = mf_message_status(text) == MF_OK;
    mf_message_unref(text);
    for (size_t i = 0; readable && i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.at[i];
        readable = (c >= ' ' && c != 127) || c == '\n' || c == '\t' || c == '\r';
    }
    return readable;
}

static void dump_row(mf_str bytes, size_t from)
{
    char hex[DUMP_WIDTH * 3 + 2] = "", text[DUMP_WIDTH + 1] = "";
    for (size_t i = 0; i < DUMP_WIDTH && from + i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.at[from + i];
        snprintf(hex + 3 * i, 4, "%02x ", c);
        text[i] = c >= ' ' && c < 127 ? (char)c : '.';
        text[i + 1] = '\0';
    }
    printf("  %08zx  %-48s |%s|\n", from, hex, text);
}

static void print_payload(const mf_message *payload)
{
    mf_str bytes = {NULL, 0};
    if (mf_value_bin(mf_message_value(payload), &bytes) != MF_OK || bytes.len == 0) {
        puts("data       (empty)");
        return;
    }
    printf("data       %zu bytes\n", bytes.len);
    if (is_readable(bytes)) {
        fputs("  ", stdout);
        print_harmless(bytes);
        putchar('\n');
        return;
    }
    for (size_t at = 0; at < bytes.len; at += DUMP_WIDTH)
        dump_row(bytes, at);
}

/* ---- lines --------------------------------------------------------------------------------------------------------- */

static const char *kind_of(const mf_dead_letter *letter)
{
    return letter->payload != NULL ? "message" : "flow";
}

static void print_row(const mf_dead_letter *letter)
{
    struct line line;
    char since[32];
    line_begin(&line);
    line_add(&line, "%-31s %-7s %-19s ", letter->key, kind_of(letter), time_text(letter->at_ms, since));
    line_add_text(&line, mf_cstr(letter->name), 30);
    line_pad(&line, 81);
    line_add_text(&line, mf_cstr(letter->reason), 200);
    if (letter->hindrance[0] != '\0') {
        line_add(&line, " (not to be sent: ");
        line_add_text(&line, mf_cstr(letter->hindrance), 200);
        line_add(&line, ")");
    }
    line_put(&line);
}

static void print_part(const char *name, const mf_message *part)
{
    char *text;
    size_t len;
    mf_error err;
    if (part == NULL)
        return;
    if (mf_message_to_json(part, NULL, &text, &len, &err) != MF_OK) {
        printf("%-10s (cannot be shown as JSON: %s)\n", name, err.text);
        return;
    }
    printf("%-10s ", name);
    print_harmless(mf_str_of(text, len));
    putchar('\n');
    mf_json_free(NULL, text, len);
}

static void print_text(const char *name, const char *text)
{
    if (text[0] == '\0')
        return;
    printf("%-10s ", name);
    print_harmless(mf_cstr(text));
    putchar('\n');
}

static void print_letter(const mf_dead_letter *letter)
{
    char since[32];
    print_text("key", letter->key);
    print_text("kind", kind_of(letter));
    print_text(letter->payload != NULL ? "queue" : "name", letter->name);
    print_text("since", time_text(letter->at_ms, since));
    print_text("reason", letter->reason);
    print_text("requeue", letter->hindrance[0] == '\0' ? "" : "not possible");
    print_text("because", letter->hindrance);
    print_part("error", letter->error);
    print_part("message", letter->message);
    print_part("flow", letter->flow);
    if (letter->payload != NULL)
        print_payload(letter->payload);
}

static void build_text(mf_builder *b, const char *key, const char *text)
{
    mf_build_key(b, key);
    mf_build_str_lossy(b, mf_cstr(text));
}

static void build_payload(mf_builder *b, const mf_message *payload)
{
    mf_str bytes = {NULL, 0};
    if (mf_value_bin(mf_message_value(payload), &bytes) != MF_OK)
        return;
    bool readable = is_readable(bytes);
    mf_build_key(b, readable ? "data" : "data_base64");
    if (readable)
        mf_build_str(b, bytes);
    else
        mf_build_bin(b, bytes);
}

static mf_status print_object(const mf_dead_letter *letter, bool all, mf_error *err)
{
    mf_builder b;
    build_begin(&b);
    mf_build_map_begin(&b);
    build_text(&b, "key", letter->key);
    build_text(&b, "kind", kind_of(letter));
    build_text(&b, letter->payload != NULL ? "queue" : "name", letter->name);
    build_text(&b, "reason", letter->reason);
    mf_build_key(&b, "since");
    mf_build_float(&b, (double)letter->at_ms / 1000);
    mf_build_key(&b, "requeue");
    mf_build_bool(&b, letter->hindrance[0] == '\0');
    if (letter->hindrance[0] != '\0')
        build_text(&b, "because", letter->hindrance);
    if (all && letter->payload == NULL) {
        mf_build_key(&b, "error");
        mf_build_message(&b, letter->error);
        mf_build_key(&b, "message");
        mf_build_message(&b, letter->message);
        mf_build_key(&b, "flow");
        mf_build_message(&b, letter->flow);
    } else if (all) {
        build_payload(&b, letter->payload);
    }
    mf_build_end(&b);
    return build_put(&b, err);
}

/* ---- the verbs ----------------------------------------------------------------------------------------------------- */

typedef struct dead {
    const struct options *options;
    mf_client            *client;
    char                  after[sizeof ((mf_dead_letter *)0)->key];
    unsigned              shown;
} dead;

static mf_status print_page(dead *d, mf_dead_letter *page, size_t n, mf_error *err)
{
    mf_status st = MF_OK;
    if (d->shown == 0 && n > 0 && !d->options->json)
        puts("KEY                             KIND    SINCE               TASK OR QUEUE        REASON");
    for (size_t i = 0; i < n; i++) {
        if (st == MF_OK && d->options->json)
            st = print_object(&page[i], false, err);
        else if (st == MF_OK)
            print_row(&page[i]);
        memcpy(d->after, page[i].key, sizeof d->after);
        mf_dead_letter_release(&page[i]);
    }
    d->shown += (unsigned)n;
    return st;
}

static void tell_rest(dead *d)
{
    mf_dead_letter next;
    size_t got = 0;
    if (d->options->json)
        return;
    if (d->shown == 0)
        complain("there are no dead letters%s%s", d->options->after != NULL ? " after " : "",
                 d->options->after != NULL ? d->options->after : "");
    else if (d->shown >= d->options->limit && mf_dead_list(d->client, d->after, 1, &next, &got, NULL) == MF_OK && got > 0) {
        mf_dead_letter_release(&next);
        complain("there are more: --after %s", d->after);
    }
}

static int dead_list(dead *d)
{
    mf_dead_letter page[PAGE];
    mf_error err = {.text = ""};
    mf_status st = MF_OK;
    size_t got = 1;
    snprintf(d->after, sizeof d->after, "%s", d->options->after != NULL ? d->options->after : "");
    while (st == MF_OK && got > 0 && d->shown < d->options->limit) {
        size_t most = d->options->limit - d->shown < PAGE ? d->options->limit - d->shown : PAGE;
        st = mf_dead_list(d->client, d->after, most, page, &got, &err);
        if (st == MF_OK)
            st = print_page(d, page, got, &err);
    }
    if (st != MF_OK)
        return show_failed(st, &err);
    tell_rest(d);
    return EXIT_DONE;
}

static int dead_show(dead *d, const char *key)
{
    mf_dead_letter letter;
    mf_error err = {.text = ""};
    mf_status st = mf_dead_read(d->client, key, &letter, &err);
    if (st != MF_OK)
        return show_failed(st, &err);
    if (d->options->json)
        st = print_object(&letter, true, &err);
    else
        print_letter(&letter);
    mf_dead_letter_release(&letter);
    return st == MF_OK ? EXIT_DONE : show_failed(st, &err);
}

static void answer(dead *d, const char *key, const char *word, const char *as)
{
    mf_error err;
    mf_builder b;
    if (!d->options->json) {
        printf("%s %s%s%s\n", key, word, as[0] != '\0' ? " as " : "", as);
        return;
    }
    build_begin(&b);
    mf_build_map_begin(&b);
    build_text(&b, "key", key);
    build_text(&b, "done", word);
    if (as[0] != '\0')
        build_text(&b, "as", as);
    mf_build_end(&b);
    (void)!build_put(&b, &err);
}

static int dead_requeue(dead *d, const char *key)
{
    mf_key as;
    mf_error err = {.text = ""};
    mf_status st = mf_dead_requeue(d->client, key, &as, &err);
    if (st == MF_OK) {
        answer(d, key, "requeued", as.text);
        return EXIT_DONE;
    }
    bool load = st == MF_E_UNKNOWN_TASK && d->options->modules == NULL;
    complain("%s%s", err.text, load ? "; load the module that declares it with --load FILE.so" : "");
    return exit_code_of(st);
}

static int dead_drop(dead *d, const char *key)
{
    mf_error err = {.text = ""};
    mf_status st = mf_dead_drop(d->client, key, &err);
    if (st != MF_OK)
        return show_failed(st, &err);
    answer(d, key, "dropped", "");
    return EXIT_DONE;
}

/* Several keys are taken one after the other; the first failure is the exit code. */
static int each(dead *d, int (*act)(dead *, const char *))
{
    int code = EXIT_DONE;
    for (size_t i = 1; i < d->options->count; i++) {
        int one = act(d, d->options->arguments[i]);
        code = code == EXIT_DONE ? one : code;
    }
    return code;
}

static const struct action {
    const char *name;
    int       (*act)(dead *d, const char *key);     /* NULL: list */
} actions[] = {{"list", NULL}, {"show", dead_show}, {"requeue", dead_requeue}, {"drop", dead_drop}};

static const struct action *find_action(const struct options *options)
{
    const char *word = options->count > 0 ? options->arguments[0] : NULL;
    for (size_t i = 0; word != NULL && i < sizeof actions / sizeof *actions; i++) {
        if (strcmp(actions[i].name, word) != 0)
            continue;
        if (actions[i].act == NULL && options->count > 1)
            complain("dead list: expected nothing more, got \"%s\": see mageflow dead --help", options->arguments[1]);
        else if (actions[i].act != NULL && options->count < 2)
            complain("dead %s: expected KEY, as `mageflow dead list` shows it, got none: see mageflow dead --help", word);
        else
            return &actions[i];
        return NULL;
    }
    complain("dead: expected list, show, requeue or drop, got %s%s%s: see mageflow dead --help", word != NULL ? "\"" : "",
             word != NULL ? word : "nothing", word != NULL ? "\"" : "");
    return NULL;
}

/* A manager elsewhere keeps its letters even where flows are kept in memory. */
static int open_letters(const struct options *options, mf_client **out)
{
    int code = client_open_existing(options, out);
    if (code == EXIT_TIMED_OUT)
        code = EXIT_FAILED;
    if (code != EXIT_DONE || mf_client_durable(*out) || !mf_client_in_process(*out))
        return code;
    complain("%s keeps flows and their letters in the memory of the process that runs them, where no other can see them: say with "
             "--url where yours are kept: see mageflow --help", options->url != NULL ? "that URL" : "without --url this process");
    mf_client_destroy(*out);
    return EXIT_USAGE;
}

static int dead_with(const struct options *options)
{
    dead d = {.options = options};
    const struct action *action = find_action(options);
    if (action == NULL)
        return EXIT_USAGE;
    int code = open_letters(options, &d.client);
    if (code != EXIT_DONE)
        return code;
    code = action->act == NULL ? dead_list(&d) : each(&d, action->act);
    mf_client_destroy(d.client);
    return code;
}

static int dead_run(int argc, const char **argv)
{
    return options_run(argc, argv, &usage, dead_with);
}

const verb dead_verb = {"dead", "dead letters: list, show, requeue, drop", dead_run};
