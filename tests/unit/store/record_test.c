#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "counting_allocator.h"
#include "memory.h"
#include "record.h"

static counting_allocator counting;

static void setup(void)
{
    counting_init(&counting);
}

static void nothing_is_out(void)
{
    cr_assert(eq(long, atomic_load(&counting.live), 0));
    cr_assert(eq(long, atomic_load(&counting.wrong_size), 0));
}

/* ---- keys ------------------------------------------------------------------------------------------------------ */

Test(store_key, a_key_is_a_prefix_and_25_letters_and_digits)
{
    static const struct { const char *text; mf_kind kind; } good[] = {
        {"task-abcdefghijklmnopqrstuvwxy", MF_KIND_TASK}, {"chain-0000000000000000000000000", MF_KIND_CHAIN},
        {"swarm-zzzzzzzzzzzz2345678901234", MF_KIND_SWARM},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        mf_key key;
        memset(&key, 'x', sizeof key);
        cr_assert(eq(int, mf_key_parse(mf_cstr(good[i].text), &key, NULL), MF_OK), "%s", good[i].text);
        cr_assert(eq(str, key.text, (char *)good[i].text));
        cr_assert(eq(int, mfi_key_kind(&key), good[i].kind));
        for (size_t at = strlen(key.text); at < sizeof key.text; at++)
            cr_assert(eq(chr, key.text[at], '\0'), "keys are compared as a whole");
    }
}

Test(store_key, anything_else_is_invalid_and_the_error_says_what_a_key_looks_like)
{
    static const char *const bad[] = {
        "", "task-", "task-abc", "abcdefghijklmnopqrstuvwxyabcde", "task-abcdefghijklmnopqrstuvwxyz",
        "Task-abcdefghijklmnopqrstuvwxy", "task-ABCDEFGHIJKLMNOPQRSTUVWXY", "task-abcdefghijklm opqrstuvwxy",
        "chain-abcdefghijklmnopqrstuvwx", "swarm-abcdefghijklmnopqrstuvwx\xff", "task_abcdefghijklmnopqrstuvwxy",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mf_key key = {"untouched"};
        mf_error err = {0};
        cr_assert(eq(int, mf_key_parse(mf_cstr(bad[i]), &key, &err), MF_E_INVALID), "%s", bad[i]);
        cr_assert(ne(ptr, strstr(err.text, "task-, chain- or swarm-"), NULL));
        cr_assert(eq(str, key.text, "untouched"));
    }
    mf_key key;
    cr_assert(eq(int, mf_key_parse(mf_str_of(NULL, 0), &key, NULL), MF_E_INVALID));
    cr_assert(eq(int, mf_key_parse(mf_str_of("task-abcdefghijklmnopqrstuvwx\0", 30), &key, NULL), MF_E_INVALID));
}

static mf_status fill_with(void *user, void *at, size_t len)
{
    memset(at, *(int *)user, len);
    return MF_OK;
}

static mf_status fill_fails(void *user, void *at, size_t len)
{
    (void)user, (void)at, (void)len;
    return MF_E_IO;
}

Test(store_key, new_keys_hold_all_the_random_bits_and_parse)
{
    static const struct { int byte; const char *text; } cases[] = {
        {0x00, "chain-aaaaaaaaaaaaaaaaaaaaaaaaa"}, {0xff, "chain-7777777777777777777777777"},
        {0x55, "chain-kvkvkvkvkvkvkvkvkvkvkvkvk"},    /* 01010 10101 … */
    };
    mf_key key, again;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int byte = cases[i].byte;
        cr_assert(eq(int, mfi_key_make(MF_KIND_CHAIN, &(mfi_random){fill_with, &byte}, &key), MF_OK));
        cr_assert(eq(str, key.text, (char *)cases[i].text));
    }
    for (int kind = MF_KIND_TASK; kind <= MF_KIND_SWARM; kind++) {
        mf_key first;
        cr_assert(eq(int, mfi_key_make((mf_kind)kind, NULL, &first), MF_OK));
        cr_assert(eq(int, mfi_key_make((mf_kind)kind, NULL, &key), MF_OK));
        cr_assert(not(mf_key_eq(&first, &key)));
        cr_assert(eq(int, mfi_key_kind(&key), (mf_kind)kind));
        cr_assert(eq(int, mf_key_parse(mf_cstr(key.text), &again, NULL), MF_OK));
        cr_assert(mf_key_eq(&key, &again));
    }
    cr_assert(eq(int, mfi_key_make(MF_KIND_TASK, &(mfi_random){fill_fails, NULL}, &key), MF_E_IO));
}

Test(store_key, the_unset_key_has_no_kind)
{
    mf_key key = {{0}};
    cr_assert(not(mf_key_is_set(&key)));
    cr_assert(eq(int, mfi_key_kind(&key), MF_KIND_NONE));
}

Test(store_status, every_status_has_its_word)
{
    static const char *const words[] = {"pending", "active", "done", "failed", "suspended", "interrupted", "canceled"};
    for (int i = MF_STATUS_PENDING; i <= MF_STATUS_CANCELED; i++)
        cr_assert(eq(str, (char *)mf_signature_status_name((mf_signature_status)i), (char *)words[i]));
    cr_assert(eq(str, (char *)mf_signature_status_name((mf_signature_status)7), "unknown"));
    cr_assert(eq(str, (char *)mf_signature_status_name((mf_signature_status)-1), "unknown"));
}

Test(store_status, framework_names_are_ours)
{
    cr_assert(mfi_name_is_framework(MF_STR_LIT("mageflow.swarm_fill")));
    cr_assert(not(mfi_name_is_framework(MF_STR_LIT("mageflow"))));
    cr_assert(not(mfi_name_is_framework(MF_STR_LIT("mageflowx.swarm_fill"))));
    cr_assert(not(mfi_name_is_framework(mf_str_of(NULL, 0))));
}

/* ---- specs ----------------------------------------------------------------------------------------------------- */

static mf_message *message(void)
{
    mf_message *made = NULL;
    cr_assert(eq(int, mf_message_from_bytes(mf_str_of("\x05", 1), NULL, &counting.allocator, &made, NULL), MF_OK));
    return made;
}

static mf_str text(const char *of)
{
    return mf_str_of(mfi_copy_text(&counting.allocator, mf_cstr(of)), strlen(of));
}

static mf_spec *full_spec(void)
{
    const mf_allocator *a = &counting.allocator;
    mf_spec *spec = mf_spec_create(a, MF_KIND_CHAIN, MF_STR_LIT("all of it"));
    spec->return_field = text("results");
    spec->source = text("");
    spec->kwargs = message();
    spec->on_success = mfi_alloc_array(a, spec->on_success_count = 3, sizeof(mf_key));
    spec->on_error = mfi_alloc_array(a, spec->on_error_count = 1, sizeof(mf_key));
    spec->steps = mfi_alloc_array(a, spec->step_count = 2, sizeof(mf_item));
    spec->steps[0] = (mf_item){mf_spec_create(a, MF_KIND_TASK, MF_STR_LIT("first")), message()};
    spec->steps[1] = (mf_item){mf_spec_ref(spec->steps[0].spec), NULL};
    spec->each = (mf_item){mf_spec_ref(spec->steps[0].spec), message()};
    return spec;
}

Test(store_spec, the_last_reference_releases_everything, .init = setup)
{
    mf_spec *spec = full_spec();
    cr_assert(eq(str, (char *)spec->name.at, "all of it"));
    cr_assert(eq(ptr, mf_spec_ref(spec), spec));
    mfi_spec_ref_many(spec, 5);
    for (int i = 0; i < 6; i++)
        mf_spec_unref(spec);
    cr_assert(eq(uint, spec->refs, 1));
    mf_spec_unref(spec);
    mf_spec_unref(NULL);
    nothing_is_out();
}

Test(store_spec, an_empty_spec_is_zero_in_every_field, .init = setup)
{
    mf_spec *spec = mf_spec_create(&counting.allocator, MF_KIND_TASK, mf_str_of(NULL, 0));
    mf_spec want = {.allocator = &counting.allocator, .refs = 1, .kind = MF_KIND_TASK, .name = spec->name};
    cr_assert(eq(int, memcmp(spec, &want, sizeof want), 0));
    cr_assert(eq(sz, spec->name.len, 0));
    mf_spec_unref(spec);
    nothing_is_out();
}

Test(store_spec, without_memory_there_is_none, .init = setup)
{
    for (long n = 1; n <= 2; n++) {
        counting.fail_at = atomic_load(&counting.calls) + n;
        cr_assert(eq(ptr, mf_spec_create(&counting.allocator, MF_KIND_TASK, MF_STR_LIT("x")), NULL));
    }
    nothing_is_out();
}

Test(store_spec, records_and_entries_release_what_they_hold, .init = setup)
{
    mf_record record = {full_spec(), {.input = message(), .inherited = message(), .result = message()}};
    mf_entry entry = {.spec = mf_spec_ref(record.spec), .message = message(), .error = message()};
    mf_state_ref(&record.state);
    mf_state_unref(&record.state);
    mf_record_release(&record);
    cr_assert(eq(ptr, record.spec, NULL));
    mf_record_release(&record);
    mf_record_release(NULL);
    mf_entry_release(&entry);
    mf_entry_release(&entry);
    mf_entry_release(NULL);
    nothing_is_out();
}
