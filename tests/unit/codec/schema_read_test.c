/* A table read back from its schema holds messages to the same rules as the one that wrote it. */
#include "codec_support.h"

#include "counting_allocator.h"
#include "schema_read.h"

struct box {
    int    width;
    double weight;
};
MF_FIELDS_STRICT(box, struct box, MF_INT(width, MF_REQUIRED, .min = 1, .max = 9), MF_FLOAT(weight, .max = 2.5));

struct all {
    mf_str     name, raw;
    int64_t    i;
    uint64_t   u;
    bool       flag;
    mf_value   any, list, map;
    struct box box;
};
MF_FIELDS(all, struct all, MF_STR(name, MF_REQUIRED, .max_len = 5), MF_BIN(raw), MF_INT(i), MF_INT(u), MF_BOOL(flag), MF_VALUE(any),
          MF_ARRAY(list, .min = 1, .max = 2), MF_MAP(map), MF_NESTED(box, box));

static mf_message *json(const char *text)
{
    mf_message *message = NULL;
    mf_error err;
    cr_assert(eq(int, mf_message_from_json(mf_cstr(text), NULL, NULL, &message, &err), MF_OK), "%s", err.text);
    return message;
}

static const char *const samples[] = {
    "{}", "{\"name\":\"a\"}", "{\"name\":\"abcdef\"}", "{\"name\":1}", "{\"name\":\"a\",\"i\":-5}", "{\"name\":\"a\",\"u\":-5}",
    "{\"name\":\"a\",\"i\":1.5}", "{\"name\":\"a\",\"u\":18446744073709551615}", "{\"name\":\"a\",\"i\":18446744073709551615}",
    "{\"name\":\"a\",\"flag\":1}", "{\"name\":\"a\",\"flag\":true}", "{\"name\":\"a\",\"any\":{\"x\":[1]}}", "{\"name\":\"a\",\"list\":[]}",
    "{\"name\":\"a\",\"list\":[1,2]}", "{\"name\":\"a\",\"list\":[1,2,3]}", "{\"name\":\"a\",\"map\":[]}", "{\"name\":\"a\",\"map\":{}}",
    "{\"name\":\"a\",\"box\":{}}", "{\"name\":\"a\",\"box\":{\"width\":3}}", "{\"name\":\"a\",\"box\":{\"width\":0}}",
    "{\"name\":\"a\",\"box\":{\"width\":3,\"weight\":2.6}}", "{\"name\":\"a\",\"box\":{\"width\":3,\"more\":1}}", "{\"name\":\"a\",\"more\":1}", "5",
};

Test(codec_schema_read, it_answers_as_the_table_that_wrote_it)
{
    mf_message *schema = NULL;
    mf_fields *table = NULL;
    mf_error err, ours, theirs;
    cr_assert(eq(int, mf_fields_schema(&all, NULL, &schema, &err), MF_OK));
    cr_assert(eq(int, mfi_fields_from_schema(mf_message_value(schema), NULL, &table, &err), MF_OK), "%s", err.text);
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        mf_message *message = json(samples[i]);
        ours.text[0] = theirs.text[0] = '\0';
        mf_status want = mf_fields_validate(&all, message, &ours), got = mf_fields_validate(table, message, &theirs);
        cr_assert(eq(int, got, want), "%s: %s", samples[i], theirs.text);
        cr_assert(eq(str, theirs.text, ours.text), "%s", samples[i]);
        mf_message_unref(message);
    }
    mfi_fields_free(table, NULL);
    mfi_fields_free(NULL, NULL);
    mf_message_unref(schema);
}

Test(codec_schema_read, what_is_no_schema_is_refused)
{
    static const char *const bad[] = {"5", "{}", "{\"properties\":5}", "{\"properties\":{\"a\":{\"type\":\"object\",\"properties\":7}}}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mf_message *message = json(bad[i]);
        mf_fields *table = NULL;
        mf_error err;
        cr_assert(eq(int, mfi_fields_from_schema(mf_message_value(message), NULL, &table, &err), MF_E_MALFORMED), "%s", bad[i]);
        mf_message_unref(message);
    }
}

Test(codec_schema_read, tables_within_each_other_have_an_end)
{
    char text[4096];
    size_t len = 0;
    for (int i = 0; i < 40; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "{\"type\":\"object\",\"properties\":{\"a\":");
    len += (size_t)snprintf(text + len, sizeof text - len, "{}");
    for (int i = 0; i < 40; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "}}");
    mf_message *message = NULL;
    mf_fields *table = NULL;
    mf_error err;
    mf_limits deep = {.struct_size = sizeof deep, .depth = 100};
    mf_status st = mf_message_from_json(mf_str_of(text, len), &deep, NULL, &message, &err);
    if (st == MF_OK)
        cr_assert(eq(int, mfi_fields_from_schema(mf_message_value(message), NULL, &table, &err), MF_E_TOO_BIG));
    mf_message_unref(message);
}

Test(codec_schema_read, without_memory_it_says_so_and_leaks_nothing)
{
    mf_message *schema = NULL;
    mf_error err;
    cr_assert(eq(int, mf_fields_schema(&all, NULL, &schema, &err), MF_OK));
    for (long n = 1;; n++) {
        counting_allocator counting;
        counting_init(&counting);
        atomic_store(&counting.fail_at, n);
        mf_fields *table = NULL;
        mf_status st = mfi_fields_from_schema(mf_message_value(schema), &counting.allocator, &table, &err);
        bool reached = atomic_load(&counting.calls) >= n;
        cr_assert(eq(int, st, reached ? MF_E_NOMEM : MF_OK), "allocation %ld", n);
        mfi_fields_free(table, &counting.allocator);
        cr_assert(eq(long, atomic_load(&counting.live), 0), "allocation %ld", n);
        if (!reached)
            break;
    }
    mf_message_unref(schema);
}
