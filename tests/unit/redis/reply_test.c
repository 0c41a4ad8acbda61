/* The parser alone: torn, deep, large and hostile answers. */
#include "kit.h"

#include "redis_impl.h"

static counting_allocator memory;

static void setup(void)
{
    counting_init(&memory);
}

static void teardown(void)
{
    cr_assert(eq(long, memory.live, 0));
    cr_assert(eq(long, memory.wrong_size, 0));
}

TestSuite(redis_reply, .init = setup, .fini = teardown);

/* Feed text in pieces of `step` bytes and return the first answer's status. */
static mf_status parse(const char *text, size_t len, size_t step, size_t max, mfi_replies **out, mf_error *err)
{
    mfi_parser p;
    mfi_replies *r = mfi_replies_create(&memory.allocator, 1, max);
    cr_assert(r != NULL);
    cr_assert(eq(int, mfi_parser_init(&p), MF_OK));
    mf_status st = MF_E_AGAIN;
    for (size_t at = 0; at < len && st == MF_E_AGAIN; at += step) {
        cr_assert(eq(int, mfi_parser_feed(&p, text + at, step < len - at ? step : len - at), MF_OK));
        st = mfi_parser_next(&p, r, r->slots, err);
    }
    mfi_parser_fini(&p);
    if (st != MF_OK || out == NULL) {
        mfi_redis_replies_destroy(&r->public);
        r = NULL;
    }
    if (out != NULL)
        *out = r;
    return st;
}

static const char nested[] =
    "*2\r\n$1\r\ns\r\n*2\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$4\r\ndata\r\n$5\r\na\r\n\0b\r\n*2\r\n$3\r\n2-0\r\n*-1\r\n";

Test(redis_reply, is_the_same_however_it_is_torn)
{
    for (size_t step = 1; step < sizeof nested; step++) {
        mfi_replies *r;
        cr_assert(eq(int, parse(nested, sizeof nested - 1, step, 4096, &r, NULL), MF_OK), "step %zu", step);
        const mfi_redis_reply *a = r->public.at;
        cr_assert(eq(int, a->type, MFI_REDIS_ARRAY));
        cr_assert(eq(sz, a->count, 2));
        cr_assert(mf_str_eq(a->items[0].text, MF_STR_LIT("s")));
        const mfi_redis_reply *entries = &a->items[1];
        cr_assert(eq(sz, entries->count, 2));
        cr_assert(mf_str_eq(entries->items[0].items[1].items[1].text, MF_STR_LIT("a\r\n\0b")));
        cr_assert(eq(int, entries->items[1].items[1].type, MFI_REDIS_NIL));
        mfi_redis_replies_destroy(&r->public);
    }
}

static const struct {
    const char    *text;
    mfi_redis_type type;
    int64_t        integer;
    const char    *said;
} plain[] = {
    {"+OK\r\n", MFI_REDIS_STATUS, 0, "OK"}, {"-ERR no\r\n", MFI_REDIS_ERROR, 0, "ERR no"},
    {":-9223372036854775807\r\n", MFI_REDIS_INTEGER, -INT64_MAX, NULL}, {"$-1\r\n", MFI_REDIS_NIL, 0, NULL},
    {"*-1\r\n", MFI_REDIS_NIL, 0, NULL}, {"$0\r\n\r\n", MFI_REDIS_STRING, 0, ""}, {"*0\r\n", MFI_REDIS_ARRAY, 0, NULL},
};

Test(redis_reply, of_each_kind)
{
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        mfi_replies *r;
        cr_assert(eq(int, parse(plain[i].text, strlen(plain[i].text), 1, 4096, &r, NULL), MF_OK), "%s", plain[i].text);
        cr_assert(eq(int, r->public.at->type, plain[i].type), "%s", plain[i].text);
        cr_assert(eq(i64, r->public.at->integer, plain[i].integer), "%s", plain[i].text);
        if (plain[i].said != NULL)
            cr_assert(eq(str, (char *)r->public.at->text.at, (char *)plain[i].said));
        mfi_redis_replies_destroy(&r->public);
    }
}

static const struct {
    const char *text;
    mf_status   status;
} hostile[] = {
    {"*2147483647\r\n", MF_E_TOO_BIG}, {"*100000\r\n", MF_E_TOO_BIG}, {"*99999999999999999999\r\n", MF_E_MALFORMED},
    {"*-2\r\n", MF_E_MALFORMED}, {"$-2\r\n", MF_E_MALFORMED}, {"$9223372036854775807\r\n", MF_E_AGAIN},
    {"$abc\r\n", MF_E_MALFORMED}, {"HTTP/1.1 400 Bad Request\r\n", MF_E_MALFORMED}, {"%1\r\n", MF_E_MALFORMED},
    {"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", MF_E_MALFORMED},
    {":12a\r\n", MF_E_MALFORMED}, {"", MF_E_AGAIN}, {"*1\r\n", MF_E_AGAIN},
};

Test(redis_reply, a_hostile_length_costs_nothing)
{
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        mf_error err = {0};
        size_t len = strlen(hostile[i].text);
        long before = memory.bytes;
        mf_status st = len == 0 ? MF_E_AGAIN : parse(hostile[i].text, len, len, 64 * 1024, NULL, &err);
        cr_assert(eq(int, st, hostile[i].status), "%s: %s", hostile[i].text, err.text);
        cr_assert(lt(long, memory.bytes - before, 4096), "%s", hostile[i].text);
    }
}

Test(redis_reply, arrays_of_a_bearable_size_meet_the_same_bound_together)
{
    static const char text[] = "*200\r\n*200\r\n*200\r\n*200\r\n*200\r\n*200\r\n*200\r\n";      /* 9600 bytes each */
    mf_error err = {0};
    cr_assert(eq(int, parse(text, sizeof text - 1, 6, 64 * 1024, NULL, &err), MF_E_TOO_BIG));
    cr_assert(eq(int, parse(text, sizeof text - 1, 6, 68 * 1024, NULL, &err), MF_E_AGAIN));
}

Test(redis_reply, a_string_larger_than_the_bound_is_refused_as_soon_as_that_much_has_come)
{
    size_t len = 200 * 1024;
    char *text = calloc(1, len);
    strcpy(text, "$10000000\r\n");
    mf_error err = {0};
    cr_assert(eq(int, parse(text, len, 16 * 1024, 64 * 1024, NULL, &err), MF_E_TOO_BIG));
    free(text);
}

Test(redis_reply, without_memory_says_so_at_every_allocation)
{
    for (long n = 1;; n++) {
        setup();
        memory.fail_at = n;
        mfi_parser p;
        mfi_replies *r = mfi_replies_create(&memory.allocator, 1, 1 << 20);
        if (r == NULL)
            continue;
        cr_assert(eq(int, mfi_parser_init(&p), MF_OK));
        char text[6000] = "*2\r\n$5000\r\n";
        memset(text + 11, 'x', 5000);
        strcpy(text + 5011, "\r\n+OK\r\n");
        cr_assert(eq(int, mfi_parser_feed(&p, text, strlen(text)), MF_OK));
        mf_status st = mfi_parser_next(&p, r, r->slots, NULL);
        mfi_parser_fini(&p);
        mfi_redis_replies_destroy(&r->public);
        if (st == MF_OK) {
            cr_assert(gt(long, n, 2));
            return;
        }
        cr_assert(eq(int, st, MF_E_NOMEM));
        cr_assert(eq(long, memory.live, 0));
    }
}

Test(redis_reply, memory_is_used_again_and_a_large_answer_leaves_none_behind)
{
    mfi_replies *r = mfi_replies_create(&memory.allocator, 1, 1 << 20);
    long before = memory.calls;
    for (int i = 0; i < 100; i++)
        cr_assert(mfi_replies_reset(r, 4));
    cr_assert(eq(long, memory.calls, before));
    cr_assert(not(mfi_replies_reset(r, 1 << 20)));
    mfi_redis_replies_destroy(&r->public);
}
