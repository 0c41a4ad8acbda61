#include "flow_reader.h"

#include <inttypes.h>
#include <stdio.h>

#include "describe.h"
#include "runtime.h"

/* ---- refusing ------------------------------------------------------------------------------------------------------ */

#define PATH_MAX_LEN 200

/* "flow.chain[1].task", written from its end; what does not fit is left out at the front. */
static const char *path_of(const mfi_place *at, char text[PATH_MAX_LEN])
{
    char *front = text + PATH_MAX_LEN - 1;
    *front = '\0';
    for (; at != NULL; at = at->above) {
        char part[48];
        int n = at->key == NULL ? snprintf(part, sizeof part, "[%zu]", at->index)
                                : snprintf(part, sizeof part, "%s%s", at->above != NULL ? "." : "", at->key);
        if (front - text < n + 3) {
            front -= 3;
            memcpy(front, "...", 3);
            break;
        }
        front -= n;
        memcpy(front, part, (size_t)n);
    }
    return front;
}

/* Answers false, so that a check can end with it. */
bool mfi_refuse(mfi_reader *r, const mfi_place *at, mf_status st, const char *fmt, ...)
{
    char text[PATH_MAX_LEN];
    char what[MF_ERROR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    mf_fail(r->err, st, "%s: %s", path_of(at, text), what);
    return false;
}

bool mfi_refuse_type(mfi_reader *r, const mfi_place *at, const char *expected, mf_value got)
{
    mfi_words words;
    return mfi_refuse(r, at, MF_E_TYPE, "expected %s, got %s", expected, mfi_describe(got, &words));
}

/* ---- one map ------------------------------------------------------------------------------------------------------- */

bool mfi_read_parts(mfi_reader *r, mf_value map, const mfi_place *at, mfi_parts *out)
{
    *out = (mfi_parts){0};
    if (mf_value_type(map) != MF_TYPE_MAP)
        return mfi_refuse_type(r, at, "a map", map);
    mf_iter entries = mf_value_iter(map);
    mf_value key, value;
    while (mf_iter_next(&entries, &key, &value)) {
        mf_str text;
        if (mf_value_str(key, &text) != MF_OK)
            return mfi_refuse_type(r, at, "keys that are text", key);
        mfi_word word = mfi_word_find(text);
        if (word == MFI_WORDS && out->unknown.at == NULL)
            out->unknown = text;
        if (word == MFI_WORDS)
            continue;
        if (mfi_has(out, word))
            return mfi_refuse(r, at, MF_E_INVALID, "the key \"%s\" is there twice", mfi_word_text(word));
        out->at[word] = value;
    }
    return true;
}

/* "task, kwargs, on_success and on_error" */
static const char *list_words(mfi_form form, char *text, size_t size)
{
    size_t len = 0, left = 0;
    for (mfi_word word = 0; word < MFI_WORDS; word++)
        left += mfi_word_may(word, form);
    for (mfi_word word = 0; word < MFI_WORDS && len < size; word++) {
        if (!mfi_word_may(word, form))
            continue;
        const char *after = left > 2 ? ", " : left == 2 ? " and " : "";
        len += (size_t)snprintf(text + len, size - len, "%s%s", mfi_word_text(word), after);
        left--;
    }
    return text;
}

static bool refuse_key(mfi_reader *r, const mfi_place *at, mfi_form form, mf_str key)
{
    char known[200];
    mfi_words echo;
    return mfi_refuse(r, at, MF_E_INVALID, "unknown key \"%s\": %s has %s", mfi_echo(key, &echo), mfi_form_name(form),
                  list_words(form, known, sizeof known));
}

bool mfi_read_check(mfi_reader *r, const mfi_place *at, mfi_form form, const mfi_parts *p)
{
    if (p->unknown.at != NULL)
        return refuse_key(r, at, form, p->unknown);
    for (mfi_word word = 0; word < MFI_WORDS; word++) {
        if (mfi_has(p, word) && !mfi_word_may(word, form))
            return refuse_key(r, at, form, mf_cstr(mfi_word_text(word)));
        if (!mfi_has(p, word) && mfi_word_must(word, form))
            return mfi_refuse(r, at, MF_E_INVALID, "the key \"%s\" is missing: %s must have it", mfi_word_text(word),
                          mfi_form_name(form));
    }
    return true;
}

/* A flow is what its one key of the four says. */
bool mfi_read_form(mfi_reader *r, const mfi_place *at, const mfi_parts *p, mfi_form *out)
{
    static const mfi_word by_form[] = {MFI_WORD_TASK, MFI_WORD_CHAIN, MFI_WORD_SWARM, MFI_WORD_MAP};
    mfi_form found = MFI_FORMS;
    for (mfi_form form = MFI_FORM_TASK; form <= MFI_FORM_MAP; form++) {
        if (!mfi_has(p, by_form[form]))
            continue;
        if (found != MFI_FORMS)
            return mfi_refuse(r, at, MF_E_INVALID, "expected one of the keys task, chain, swarm and map, got both %s and %s",
                          mfi_word_text(by_form[found]), mfi_word_text(by_form[form]));
        found = form;
    }
    mfi_words echo;
    if (found == MFI_FORMS && mfi_has(p, MFI_WORD_FLOW))
        return mfi_refuse(r, at, MF_E_INVALID, "expected one of the keys task, chain, swarm and map, got a document");
    if (found == MFI_FORMS && p->unknown.at != NULL)
        return mfi_refuse(r, at, MF_E_INVALID, "expected one of the keys task, chain, swarm and map, got \"%s\"",
                      mfi_echo(p->unknown, &echo));
    if (found == MFI_FORMS)
        return mfi_refuse(r, at, MF_E_INVALID, "expected one of the keys task, chain, swarm and map, got none of them");
    *out = found;
    return true;
}

/* ---- values -------------------------------------------------------------------------------------------------------- */

bool mfi_read_text(mfi_reader *r, mf_value value, const mfi_place *at, char out[MFI_NAME_MAX + 1])
{
    mf_str text;
    if (mf_value_str(value, &text) != MF_OK)
        return mfi_refuse_type(r, at, "text", value);
    if (text.len > MFI_NAME_MAX)
        return mfi_refuse(r, at, MF_E_TOO_BIG, "expected at most %d bytes, got %zu", MFI_NAME_MAX, text.len);
    if (memchr(text.at, '\0', text.len) != NULL)
        return mfi_refuse(r, at, MF_E_INVALID, "expected text without NUL bytes");
    memcpy(out, text.at, text.len);
    out[text.len] = '\0';
    return true;
}

/* *out stays as it was where the key is missing. */
bool mfi_read_number(mfi_reader *r, const mfi_parts *p, mfi_word word, uint64_t min, uint64_t max, const mfi_place *at, uint64_t *out)
{
    if (!mfi_has(p, word))
        return true;
    char expected[80];
    uint64_t n;
    if (mf_value_uint(p->at[word], &n) == MF_OK && n >= min && n <= max) {
        *out = n;
        return true;
    }
    snprintf(expected, sizeof expected, "an integer from %" PRIu64 " to %" PRIu64, min, max);
    return mfi_refuse_type(r, MFI_AT(at, word), expected, p->at[word]);
}

bool mfi_read_int32(mfi_reader *r, const mfi_parts *p, mfi_word word, const mfi_place *at, int32_t *out)
{
    if (!mfi_has(p, word))
        return true;
    int64_t n;
    if (mf_value_int(p->at[word], &n) != MF_OK || n < INT32_MIN || n > INT32_MAX)
        return mfi_refuse_type(r, MFI_AT(at, word), "an integer from -2147483648 to 2147483647", p->at[word]);
    *out = (int32_t)n;
    return true;
}

bool mfi_read_span(mfi_reader *r, const mfi_parts *p, mfi_word word, bool forever, const mfi_place *at, mf_duration *out)
{
    if (!mfi_has(p, word))
        return true;
    mf_str text;
    mf_duration span;
    const char *expected = forever ? "a number and ms, s, m, h or d, as in \"10s\", or \"forever\""
                                   : "a number and ms, s, m, h or d, as in \"10s\"";
    if (mf_value_str(p->at[word], &text) != MF_OK)
        return mfi_refuse_type(r, MFI_AT(at, word), expected, p->at[word]);
    if (forever && mf_str_eq(text, MF_STR_LIT("forever"))) {
        *out = MF_FOREVER;
        return true;
    }
    if (mf_duration_parse(text, &span, &r->why) != MF_OK || span == 0) {
        mfi_words words;
        return mfi_refuse(r, MFI_AT(at, word), MF_E_INVALID, "expected %s, got %s", expected, mfi_describe(p->at[word], &words));
    }
    *out = span;
    return true;
}

bool mfi_read_bool(mfi_reader *r, const mfi_parts *p, mfi_word word, const mfi_place *at, bool *out)
{
    if (!mfi_has(p, word) || mf_value_bool(p->at[word], out) == MF_OK)
        return true;
    return mfi_refuse_type(r, MFI_AT(at, word), "true or false", p->at[word]);
}

/* A map of its own; NULL where the key is missing. */
bool mfi_read_fields(mfi_reader *r, const mfi_parts *p, mfi_word word, const mfi_place *at, mf_message **out)
{
    *out = NULL;
    if (!mfi_has(p, word))
        return true;
    if (mf_value_type(p->at[word]) != MF_TYPE_MAP)
        return mfi_refuse_type(r, MFI_AT(at, word), "a map of fields", p->at[word]);
    mf_status st = mf_message_of_value(p->at[word], r->client->allocator, out, &r->why);
    return st == MF_OK || mfi_refuse(r, MFI_AT(at, word), st, "%s", r->why.text);
}

