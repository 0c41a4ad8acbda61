#include "bench.h"

#include "registry.h"

static counting_allocator counting;
static mfi_registry registry;
static mf_error err;

static void init(void)
{
    counting_init(&counting);
    mfi_registry_init(&registry, &counting.allocator);
}

static void fini(void)
{
    mfi_registry_fini(&registry);
    cr_assert(eq(long, atomic_load(&counting.live), 0));
    cr_assert(eq(long, atomic_load(&counting.wrong_size), 0));
}

TestSuite(flow_registry, .init = init, .fini = fini);

static mf_status run(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)ctx, (void)in, (void)out, (void)user;
    return MF_OK;
}

static mf_status next(const mf_message *message, mf_cursor *cursor, mf_message **item, void *user, mf_error *e)
{
    (void)message, (void)cursor, (void)item, (void)user, (void)e;
    return MF_OK;
}

static void refused(mf_status got, mf_status want, const char *text)
{
    is_status(got, want);
    is_status(err.status, want);
    is_text(err.text, text);
}

static mf_status add(const mf_task_def *def)
{
    return mfi_registry_add_task(&registry, def, MFI_TASK_PLAIN, &err);
}

Test(flow_registry, a_declared_task_is_found_by_its_name)
{
    char name[] = "resize";
    is_status(add(MF_TASK_DEF(.name = name, .run = run, .retries = 2)), MF_OK);
    name[0] = 'X';      /* the name was copied */
    mfi_task *task = mfi_registry_task(&registry, MF_STR_LIT("resize"));
    cr_assert(ne(ptr, task, NULL));
    is_text(task->def.name, "resize");
    cr_assert(eq(uint, task->def.retries, 2));
    cr_assert(not(mf_key_is_set(&task->plain->key)));
    cr_assert(eq(ptr, mfi_registry_task(&registry, MF_STR_LIT("resiz")), NULL));
    cr_assert(eq(ptr, mfi_registry_task(&registry, mf_str_of(NULL, 0)), NULL));
}

Test(flow_registry, a_name_is_declared_once)
{
    is_status(add(MF_TASK_DEF(.name = "a", .run = run)), MF_OK);
    refused(add(MF_TASK_DEF(.name = "a", .run = run)), MF_E_EXISTS, "task \"a\" is declared already");
    is_status(mfi_registry_add_source(&registry, MF_SOURCE_DEF(.name = "a", .next = next), &err), MF_OK);
    refused(mfi_registry_add_source(&registry, MF_SOURCE_DEF(.name = "a", .next = next), &err), MF_E_EXISTS,
            "source \"a\" is declared already");
    cr_assert(ne(ptr, mfi_registry_source(&registry, MF_STR_LIT("a")), NULL));
    cr_assert(eq(ptr, mfi_registry_source(&registry, MF_STR_LIT("b")), NULL));
}

Test(flow_registry, a_removed_task_can_be_declared_again)
{
    is_status(add(MF_TASK_DEF(.name = "a", .run = run)), MF_OK);
    mfi_registry_remove_task(&registry, MF_STR_LIT("a"));
    mfi_registry_remove_task(&registry, MF_STR_LIT("a"));
    cr_assert(eq(ptr, mfi_registry_task(&registry, MF_STR_LIT("a")), NULL));
    is_status(add(MF_TASK_DEF(.name = "a", .run = run)), MF_OK);
}

Test(flow_registry, names_have_rules)
{
    char longest[256], longer[257];
    memset(longest, 'n', 255), longest[255] = '\0';
    memset(longer, 'n', 256), longer[256] = '\0';
    is_status(add(MF_TASK_DEF(.name = longest, .run = run)), MF_OK);
    refused(add(MF_TASK_DEF(.name = longer, .run = run)), MF_E_TOO_BIG, "task name: expected at most 255 bytes, got 256");
    refused(add(MF_TASK_DEF(.name = "", .run = run)), MF_E_INVALID, "task: expected a name, got none");
    refused(add(MF_TASK_DEF(.name = NULL, .run = run)), MF_E_INVALID, "task: expected a name, got none");
    refused(add(MF_TASK_DEF(.name = "a\tb", .run = run)), MF_E_INVALID, "task name: control character 0x09 at byte 1");
    refused(add(MF_TASK_DEF(.name = "mageflow.x", .run = run)), MF_E_INVALID,
            "task name \"mageflow.x\": names under \"mageflow.\" are mageflow's own");
    is_status(mfi_registry_add_task(&registry, MF_TASK_DEF(.name = "mageflow.x", .run = run), MFI_TASK_OWN, &err), MF_OK);
}

Test(flow_registry, a_declaration_without_its_size_or_function_is_refused)
{
    refused(add(NULL), MF_E_INVALID, "task: struct_size is 0; declare it with MF_TASK_DEF(...)");
    refused(add(&(mf_task_def){.name = "a", .run = run}), MF_E_INVALID,
            "task: struct_size is 0; declare it with MF_TASK_DEF(...)");
    is_status(add(MF_TASK_DEF(.name = "a")), MF_E_INVALID);
    is_status(add(MF_TASK_DEF(.name = "a", .run = run, .timeout = -1)), MF_E_INVALID);
    is_status(add(MF_TASK_DEF(.name = "a", .run = run, .backoff = -1)), MF_E_INVALID);
    refused(mfi_registry_add_source(&registry, NULL, &err), MF_E_INVALID,
            "source: struct_size is 0; declare it with MF_SOURCE_DEF(...)");
    refused(mfi_registry_add_source(&registry, MF_SOURCE_DEF(.name = "s"), &err), MF_E_INVALID,
            "source \"s\": expected a function in .next, got NULL");
}

Test(flow_registry, an_older_and_shorter_declaration_is_taken_as_far_as_it_goes)
{
    mf_task_def def = {.struct_size = offsetof(mf_task_def, retries), .name = "old", .run = run, .retries = 9, .timeout = -5};
    is_status(add(&def), MF_OK);
    mfi_task *task = mfi_registry_task(&registry, MF_STR_LIT("old"));
    cr_assert(all(eq(uint, task->def.retries, 0), eq(i64, task->def.timeout, 0)));
}

Test(flow_registry, an_unknown_name_is_told_with_those_that_are_known)
{
    refused(mfi_registry_unknown_task(&registry, MF_STR_LIT("x"), &err), MF_E_UNKNOWN_TASK,
            "no task \"x\" was declared, nor any other in this process");
    is_status(add(MF_TASK_DEF(.name = "a", .run = run)), MF_OK);
    is_status(add(MF_TASK_DEF(.name = "b", .run = run)), MF_OK);
    is_status(mfi_registry_add_task(&registry, MF_TASK_DEF(.name = "mageflow.c", .run = run), MFI_TASK_OWN, &err), MF_OK);
    refused(mfi_registry_unknown_task(&registry, MF_STR_LIT("x"), &err), MF_E_UNKNOWN_TASK,
            "no task \"x\" was declared; known: a, b");
}

Test(flow_registry, a_long_list_of_known_names_is_cut)
{
    for (int i = 0; i < 100; i++) {
        char name[32];
        snprintf(name, sizeof name, "a_rather_long_name_%d", i);
        is_status(add(MF_TASK_DEF(.name = name, .run = run)), MF_OK);
    }
    is_status(mfi_registry_unknown_task(&registry, MF_STR_LIT("x"), &err), MF_E_UNKNOWN_TASK);
    cr_assert(ne(ptr, strstr(err.text, "…"), NULL));
}

Test(flow_registry, without_memory_nothing_is_declared_and_nothing_leaks)
{
    for (long n = 1;; n++) {
        mfi_registry r;
        counting_allocator c;
        counting_init(&c);
        mfi_registry_init(&r, &c.allocator);
        atomic_store(&c.fail_at, n);
        mf_status task = mfi_registry_add_task(&r, MF_TASK_DEF(.name = "a", .run = run), MFI_TASK_PLAIN, &err);
        mf_status source = mfi_registry_add_source(&r, MF_SOURCE_DEF(.name = "s", .next = next), &err);
        cr_assert(eq(int, mfi_registry_task(&r, MF_STR_LIT("a")) != NULL, task == MF_OK));
        cr_assert(eq(int, mfi_registry_source(&r, MF_STR_LIT("s")) != NULL, source == MF_OK));
        mfi_registry_fini(&r);
        cr_assert(eq(long, atomic_load(&c.live), 0), "allocation %ld", n);
        if (atomic_load(&c.calls) < n)
            break;
        cr_assert(task == MF_E_NOMEM || source == MF_E_NOMEM, "allocation %ld", n);
    }
}
