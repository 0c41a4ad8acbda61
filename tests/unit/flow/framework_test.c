#include "bench.h"

Test(flow_framework, its_tasks_have_the_names_that_managers_show)
{
    static const char *const names[MFI_FRAMEWORK_TASKS] = {
        "mageflow.on_chain_done", "mageflow.on_chain_error", "mageflow.on_swarm_item_done", "mageflow.on_swarm_item_error",
        "mageflow.swarm_fill", "mageflow.run_flow",
    };
    for (int i = 0; i < MFI_FRAMEWORK_TASKS; i++) {
        is_text(mfi_framework_name((mfi_framework_task)i), names[i]);
        cr_assert(eq(int, mfi_framework_find(mf_cstr(names[i])), i));
    }
}

Test(flow_framework, other_names_are_not_its_own)
{
    static const char *const others[] = {"", "mageflow", "mageflow.", "mageflow.run_flo", "mageflow.run_flow2", "run_flow",
                                         "Mageflow.run_flow"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        cr_assert(eq(int, mfi_framework_find(mf_cstr(others[i])), MFI_FRAMEWORK_TASKS), "%s", others[i]);
    cr_assert(eq(int, mfi_framework_find(mf_str_of(NULL, 0)), MFI_FRAMEWORK_TASKS));
}

Test(flow_framework, the_task_that_tells_an_end_depends_on_the_container)
{
    mf_key chain = key_of(MF_KIND_CHAIN, 1), swarm = key_of(MF_KIND_SWARM, 1);
    cr_assert(eq(int, mfi_framework_for_end(&chain, true), MFI_ON_CHAIN_DONE));
    cr_assert(eq(int, mfi_framework_for_end(&chain, false), MFI_ON_CHAIN_ERROR));
    cr_assert(eq(int, mfi_framework_for_end(&swarm, true), MFI_ON_SWARM_ITEM_DONE));
    cr_assert(eq(int, mfi_framework_for_end(&swarm, false), MFI_ON_SWARM_ITEM_ERROR));
}

Test(flow_framework, without_memory_nothing_is_left)
{
    for (long n = 1;; n++) {
        counting_allocator counting;
        mfi_framework framework;
        counting_init(&counting);
        atomic_store(&counting.fail_at, n);
        mf_status st = mfi_framework_init(&framework, &counting.allocator);
        if (st == MF_OK)
            mfi_framework_fini(&framework);
        cr_assert(eq(long, atomic_load(&counting.live), 0));
        if (atomic_load(&counting.calls) < n)
            break;
        is_status(st, MF_E_NOMEM);
    }
}
