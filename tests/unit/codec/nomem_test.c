/* Every allocation of every operation fails once, and then all from there on: the answer is MF_E_NOMEM, and nothing is
 * leaked or released with another size. */
#include "codec_support.h"

#include <mageflow/fields.h>

#include "merge.h"

struct pair { mf_str name; int64_t n; };
MF_FIELDS(pair, struct pair, MF_STR(name), MF_INT(n));

static mf_message *big, *other;    /* 300 fields each, beyond every small block */

static mf_message *many_fields(const char *prefix)
{
    mf_builder b;
    mf_message *m;
    mf_builder_init(&b, NULL, NULL);
    mf_build_map_begin(&b);
    for (int i = 0; i < 300; i++) {
        char key[32];
        snprintf(key, sizeof key, "%s%d", prefix, i);
        mf_build_key(&b, key);
        mf_build_str(&b, MF_STR_LIT("a value of some length"));
    }
    mf_build_end(&b);
    cr_assert(eq(int, mf_builder_finish(&b, &m, NULL), MF_OK));
    return m;
}

static mf_status drop(mf_status st, mf_message **m)
{
    if (st == MF_OK)
        mf_message_unref(*m);
    return st;
}

static mf_status op_bytes(const mf_allocator *a)
{
    mf_message *m = NULL;
    return drop(mf_message_from_bytes(mf_message_bytes(big), NULL, a, &m, NULL), &m);
}

static mf_status op_of_value(const mf_allocator *a)
{
    mf_message *m = NULL;
    return drop(mf_message_of_value(mf_message_value(big), a, &m, NULL), &m);
}

static mf_status op_json(const mf_allocator *a)
{
    char *text;
    size_t len;
    mf_message *m = NULL;
    mf_status st = mf_message_to_json(big, a, &text, &len, NULL);
    if (st == MF_OK) {
        st = drop(mf_message_from_json(mf_str_of(text, len), NULL, a, &m, NULL), &m);
        mf_json_free(a, text, len);
    }
    return st;
}

static mf_status op_builder(const mf_allocator *a)
{
    mf_builder b;
    mf_message *m = NULL;
    mf_builder_init(&b, a, NULL);
    mf_build_array_begin(&b);
    for (int i = 0; i < 3000; i++)
        mf_build_float(&b, i);
    mf_build_end(&b);
    return drop(mf_builder_finish(&b, &m, NULL), &m);
}

static mf_status op_merge(const mf_allocator *a)
{
    mf_message *m = NULL;
    return drop(mfi_message_merge(big, other, a, NULL, &m, NULL), &m);
}

static mf_status op_with(const mf_allocator *a)
{
    mf_message *m = NULL;
    return drop(mfi_message_with(big, MF_STR_LIT("a7"), (mf_value){NULL, 0}, a, NULL, &m, NULL), &m);
}

static mf_status op_encode(const mf_allocator *a)
{
    mf_message *m = NULL;
    char name[3000];
    memset(name, 'x', sizeof name);
    struct pair p = {mf_str_of(name, sizeof name), 5};
    return drop(mf_fields_encode(&pair, &p, a, &m, NULL), &m);
}

static mf_status op_schema(const mf_allocator *a)
{
    mf_message *m = NULL;
    return drop(mf_fields_schema(&pair, a, &m, NULL), &m);
}

static const struct { const char *name; mf_status (*run)(const mf_allocator *a); } operations[] = {
    {"from_bytes", op_bytes}, {"of_value", op_of_value}, {"json", op_json}, {"builder", op_builder}, {"merge", op_merge},
    {"with", op_with}, {"encode", op_encode}, {"schema", op_schema},
};

Test(codec_nomem, each_allocation_may_fail_and_nothing_is_leaked)
{
    big = many_fields("a");
    other = many_fields("b");
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        for (int all = 0; all < 2; all++) {
            bool done = false;
            for (long n = 1; !done; n++) {
                counting_allocator c;
                counting_init(&c);
                atomic_store(&c.fail_at, n);
                atomic_store(&c.fail_all, all == 1);
                mf_status st = operations[i].run(&c.allocator);
                cr_assert(st == MF_OK || st == MF_E_NOMEM, "%s, call %ld: %s", operations[i].name, n, mf_status_name(st));
                assert_nothing_out(&c);
                done = atomic_load(&c.calls) < n;
                cr_assert(not(done && st != MF_OK), "%s", operations[i].name);
                cr_assert(lt(long, n, 100));
            }
        }
    }
    mf_message_unref(big);
    mf_message_unref(other);
}
