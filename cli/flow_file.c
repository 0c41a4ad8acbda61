/* The library names a place in a flow by its path, since it is given a message and no text. A person has the text, so the path is
 * walked through it once more: it was read as JSON before, and need not be checked again. Where the path goes on beyond
 * what the text has, as for a key that is missing, the last map or list on its way is the place. */
#include "flow_file.h"

#include "input.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

struct scan {
    const char *at, *end;
};

static char next(struct scan *s)
{
    while (s->at < s->end && strchr(" \t\r\n", *s->at) != NULL)
        s->at++;
    return s->at < s->end ? *s->at : '\0';
}

static bool accept(struct scan *s, char c)
{
    if (next(s) != c)
        return false;
    s->at++;
    return true;
}

/* A string, without its quotes and with its escapes as they stand. */
static mf_str string(struct scan *s)
{
    const char *from = ++s->at;
    while (s->at < s->end && *s->at != '"')
        s->at += *s->at == '\\' && s->end - s->at > 1 ? 2 : 1;
    mf_str text = mf_str_of(from, (size_t)(s->at - from));
    s->at += s->at < s->end;
    return text;
}

/* One value, whatever is within it. */
static void skip(struct scan *s)
{
    size_t depth = 0;
    do {
        char c = next(s);
        if (c == '"') {
            (void)string(s);
        } else if (c != '\0' && strchr("[]{},:", c) != NULL) {
            s->at++;
            depth += c == '[' || c == '{';
            depth -= depth > 0 && (c == ']' || c == '}');
        } else {
            do
                s->at += s->at < s->end;
            while (s->at < s->end && strchr(" \t\r\n,:[]{}\"", *s->at) == NULL);
        }
    } while (depth > 0 && s->at < s->end);
}

/* ---- one step down: from the beginning of a value to that of one within it; false: there is none, and s stays ------------- */

/* The key's own beginning, of the last that is called so, as the one that is there twice is the later one. */
static bool find_key(struct scan *s, mf_str key)
{
    struct scan look = *s;
    const char *found = NULL;
    for (bool more = accept(&look, '{'); more && next(&look) == '"'; more = accept(&look, ',')) {
        const char *begin = look.at;
        if (mf_str_eq(string(&look), key))
            found = begin;
        if (accept(&look, ':')) {
            next(&look);
            skip(&look);
        }
    }
    if (found != NULL)
        s->at = found;
    return found != NULL;
}

static bool find_entry(struct scan *s, mf_str key)
{
    struct scan look = *s;
    if (!find_key(&look, key))
        return false;
    (void)string(&look);
    if (!accept(&look, ':') || next(&look) == '\0')
        return false;
    s->at = look.at;
    return true;
}

static bool find_item(struct scan *s, size_t index)
{
    struct scan look = *s;
    if (!accept(&look, '['))
        return false;
    for (; index > 0 && next(&look) != ']'; index--) {
        skip(&look);
        if (!accept(&look, ','))
            return false;
    }
    if (next(&look) == ']' || next(&look) == '\0')
        return false;
    s->at = look.at;
    return true;
}

/* ---- a path -------------------------------------------------------------------------------------------------------------- */

/* Its next part, ".key" or "[n]"; false: it has ended, or the text has nothing there. */
static bool step(struct scan *s, const char **path)
{
    const char *at = *path;
    char *after;
    bool there;
    if (*at == '[') {
        there = find_item(s, strtoul(at + 1, &after, 10));
        *path = *after == ']' ? after + 1 : after;
    } else if (*at == '.') {
        const char *key = ++at;
        while (isalpha((unsigned char)*at) || *at == '_')
            at++;
        there = find_entry(s, mf_str_of(key, (size_t)(at - key)));
        *path = at;
    } else {
        there = false;
    }
    return there;
}

/* Of what is said there: the key that should not stand there, or not twice. */
static void find_named_key(struct scan *s, const char *path)
{
    const char *said = strstr(path, ": ");
    if (said == NULL || (strncmp(said, ": unknown key \"", 15) != 0 && strncmp(said, ": the key \"", 11) != 0))
        return;
    const char *key = strchr(said, '"') + 1, *close = strchr(key, '"');
    if (close != NULL)
        (void)find_key(s, mf_str_of(key, (size_t)(close - key)));
}

/* false: the error is about no place in a flow. */
static bool find_place(struct scan *s, const char *error)
{
    bool document = strncmp(error, "document", 8) == 0;
    const char *path = error + (document ? 8 : 4);
    if ((!document && strncmp(error, "flow", 4) != 0) || *path == '\0' || strchr(".[:", *path) == NULL)
        return false;
    next(s);
    if (!document)
        (void)find_entry(s, MF_STR_LIT("flow"));
    while (step(s, &path))
        continue;
    find_named_key(s, path);
    return true;
}

void flow_file_locate(const struct flow_file *file, mf_error *err)
{
    struct scan s = {file->text, file->text + file->len};
    if (file->text == NULL || !find_place(&s, err->text))
        return;
    size_t line = 1, column = 1;
    for (const char *c = file->text; c < s.at; c++) {
        column += ((unsigned char)*c & 0xc0) != 0x80;
        if (*c == '\n')
            line++, column = 1;
    }
    mf_error what = *err;
    mf_fail(err, what.status, "%s: line %zu, column %zu: %s", file->from, line, column, what.text);
}

/* ---- reading ------------------------------------------------------------------------------------------------------------- */

mf_status flow_file_read(struct flow_file *file, const char *name, mf_error *err)
{
    file->from = strcmp(name, "-") == 0 ? "the flow on standard input" : name;
    return input_read_file(name, file->from, &file->text, &file->len, &file->document, err);
}

void flow_file_fini(struct flow_file *file)
{
    mf_message_unref(file->document);
    free(file->text);
    *file = (struct flow_file){.from = NULL};
}
