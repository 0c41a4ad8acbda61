/* output.c: text for people. What tasks and flows are called and say is never passed to a terminal as it is. */
#include "output.h"

#include "command.h"
#include "launch.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* ---- getting there ------------------------------------------------------------------------------------------------- */

int show_failed(mf_status st, const mf_error *err)
{
    complain("%s", err->text[0] != '\0' ? err->text : mf_status_text(st));
    return exit_code_of(st);
}

int show_open(const struct options *options, mf_client **out)
{
    int code = client_open_existing(options, out);
    if (code == EXIT_TIMED_OUT)     /* a server that is not there; no time was given that could be over */
        code = EXIT_FAILED;
    if (code != EXIT_DONE || mf_client_durable(*out))
        return code;
    complain("%s keeps flows in the memory of the process that runs them, where no other can see them: say with --url where yours "
             "are kept, as with ?store=: see mageflow --help", options->url != NULL ? "that URL" : "without --url this process");
    mf_client_destroy(*out);
    return EXIT_USAGE;
}

int show_find(mf_client *client, const char *text, mf_key *out)
{
    mf_error err = {.text = ""};
    mf_status st = mf_inspect_find(client, text, out, &err);
    return st == MF_OK ? EXIT_DONE : show_failed(st, &err);
}

/* ---- lines ---------------------------------------------------------------------------------------------------------- */

void line_begin(struct line *line)
{
    line->len = line->columns = 0;
    line->cut = false;
}

/* One character of so many bytes; a line that is full takes no more. */
static void add_character(struct line *line, const char *at, size_t len)
{
    if (line->cut || line->len + len + 1 >= sizeof line->at) {
        line->cut = true;
        return;
    }
    memcpy(line->at + line->len, at, len);
    line->len += len;
    line->columns++;
}

/* How many bytes the character there has; a byte that begins none counts as one. */
static size_t character_at(mf_str text)
{
    unsigned char first = (unsigned char)text.at[0];
    size_t len = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
    bool whole = len > 0 && len <= text.len;
    for (size_t i = 1; whole && i < len; i++)
        whole = ((unsigned char)text.at[i] & 0xc0) == 0x80;
    return whole ? len : 0;
}

static bool is_control(mf_str text, size_t len)
{
    unsigned char first = (unsigned char)text.at[0];
    return first < ' ' || first == 127 || len == 0 || (first == 0xc2 && (unsigned char)text.at[1] < 0xa0);
}

void print_harmless(mf_str text)
{
    while (text.len > 0) {
        size_t len = character_at(text);
        bool plain = text.at[0] == '\n' || text.at[0] == '\t' || !is_control(text, len);
        len = len == 0 ? 1 : len;
        if (plain)
            fwrite(text.at, 1, len, stdout);
        else
            putchar('?');
        text = mf_str_of(text.at + len, text.len - len);
    }
}

void line_add_text(struct line *line, mf_str text, size_t most)
{
    size_t columns = 0;
    while (text.len > 0) {
        size_t len = character_at(text);
        if (columns + 3 >= most && text.len > len + 3) {
            for (int i = 0; i < 3; i++)
                add_character(line, ".", 1);
            return;
        }
        if (is_control(text, len))
            add_character(line, text.at[0] == '\n' || text.at[0] == '\t' ? " " : "?", 1);
        else
            add_character(line, text.at, len);
        len = len == 0 ? 1 : len;
        text = mf_str_of(text.at + len, text.len - len);
        columns++;
    }
}

void line_add(struct line *line, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (len > 0)
        line_add_text(line, mf_cstr(text), SIZE_MAX);
}

void line_add_message(struct line *line, const mf_message *message, size_t most)
{
    char *text;
    size_t len;
    if (mf_message_to_json(message, NULL, &text, &len, NULL) != MF_OK)
        return;
    line_add_text(line, mf_str_of(text, len), most);
    mf_json_free(NULL, text, len);
}

void line_pad(struct line *line, size_t column)
{
    if (line->columns > 0)
        add_character(line, " ", 1);
    while (line->columns < column && !line->cut)
        add_character(line, " ", 1);
}

/* Of the terminal that is written to; SIZE_MAX: none. */
static size_t width(void)
{
    struct winsize size;
    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return SIZE_MAX;
    return size.ws_col;
}

static void put(struct line *line, size_t most)
{
    size_t len = 0;
    while (line->len > 0 && line->at[line->len - 1] == ' ')
        line->len--;
    for (size_t columns = 0; len < line->len && columns < most; columns++)
        len += character_at(mf_str_of(line->at + len, line->len - len));
    fwrite(line->at, 1, len, stdout);
    putchar('\n');
    line_begin(line);
}

void line_put(struct line *line)
{
    put(line, width());
}

void line_put_whole(struct line *line)
{
    put(line, SIZE_MAX);
}

const char *span_text(int64_t ms, char out[24])
{
    int64_t s = ms / 1000;
    if (ms < 0)
        ms = s = 0;
    if (ms < 1000)
        snprintf(out, 24, "%" PRId64 "ms", ms);
    else if (s < 60)
        snprintf(out, 24, "%" PRId64 "s", s);
    else if (s < 3600)
        snprintf(out, 24, "%" PRId64 "m%" PRId64 "s", s / 60, s % 60);
    else if (s < 86400)
        snprintf(out, 24, "%" PRId64 "h%" PRId64 "m", s / 3600, s / 60 % 60);
    else
        snprintf(out, 24, "%" PRId64 "d%" PRId64 "h", s / 86400, s / 3600 % 24);
    return out;
}

/* ---- records -------------------------------------------------------------------------------------------------------- */

const char *kind_word(const mf_spec *spec)
{
    static const char *const words[] = {[MF_KIND_NONE] = "", [MF_KIND_TASK] = "task", [MF_KIND_CHAIN] = "chain",
                                        [MF_KIND_SWARM] = "swarm"};
    return spec->source.len > 0 ? "map" : words[spec->kind];
}

mf_counts counts_of(const mf_record *record)
{
    const mf_state *s = &record->state;
    return (mf_counts){.status = s->status, .total = s->total, .expected = s->expected, .running = s->running, .done = s->done,
                       .failed = s->failed, .canceled = s->canceled};
}

void line_add_counts(struct line *line, const mf_counts *c)
{
    line_add(line, "%" PRIu64 "/%" PRIu64 " done", c->done, c->expected > c->total ? c->expected : c->total);
    if (c->running > 0)
        line_add(line, ", %" PRIu64 " running", c->running);
    if (c->failed > 0)
        line_add(line, ", %" PRIu64 " failed", c->failed);
    if (c->canceled > 0)
        line_add(line, ", %" PRIu64 " canceled", c->canceled);
}

void line_add_error(struct line *line, const mf_message *error, size_t most)
{
    mf_str type, text;
    if (mf_message_scan(error, NULL, "{s:S, s:S}", "type", &type, "text", &text) != MF_OK)
        return;
    line_add_text(line, type, 80);
    line_add(line, ": ");
    line_add_text(line, text, most);
}

void line_add_progress(struct line *line, const mf_message *progress, size_t most)
{
    uint64_t done, total;
    if (mf_message_scan(progress, NULL, "{s:U, s:U}", "done", &done, "total", &total) == MF_OK && total > 0)
        line_add(line, "%" PRIu64 "/%" PRIu64 " (%.0f %%)", done, total, 100.0 * (double)done / (double)total);
    else
        line_add_message(line, progress, most);
}
