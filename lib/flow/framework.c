#include "framework.h"

#include "memory.h"
#include "record.h"

static const char *const names[MFI_FRAMEWORK_TASKS] = {
    [MFI_ON_CHAIN_DONE] = "mageflow.on_chain_done",
    [MFI_ON_CHAIN_ERROR] = "mageflow.on_chain_error",
    [MFI_ON_SWARM_ITEM_DONE] = "mageflow.on_swarm_item_done",
    [MFI_ON_SWARM_ITEM_ERROR] = "mageflow.on_swarm_item_error",
    [MFI_SWARM_FILL] = "mageflow.swarm_fill",
    [MFI_RUN_FLOW] = "mageflow.run_flow",
};

mf_status mfi_framework_init(mfi_framework *framework, const mf_allocator *allocator)
{
    memset(framework, 0, sizeof *framework);
    for (int i = 0; i < MFI_FRAMEWORK_TASKS; i++) {
        framework->specs[i] = mf_spec_create(allocator, MF_KIND_TASK, mf_cstr(names[i]));
        if (framework->specs[i] == NULL) {
            mfi_framework_fini(framework);
            return MF_E_NOMEM;
        }
    }
    return MF_OK;
}

void mfi_framework_fini(mfi_framework *framework)
{
    for (int i = 0; i < MFI_FRAMEWORK_TASKS; i++) {
        mf_spec_unref(framework->specs[i]);
        framework->specs[i] = NULL;
    }
}

const char *mfi_framework_name(mfi_framework_task task)
{
    return names[task];
}

mfi_framework_task mfi_framework_find(mf_str name)
{
    if (name.len < 9 || memcmp(name.at, "mageflow.", 9) != 0)
        return MFI_FRAMEWORK_TASKS;
    int i = 0;
    while (i < MFI_FRAMEWORK_TASKS && !mf_str_eq(name, mf_cstr(names[i])))
        i++;
    return (mfi_framework_task)i;
}

mfi_framework_task mfi_framework_for_end(const mf_key *container, bool well)
{
    if (mfi_key_kind(container) == MF_KIND_CHAIN)
        return well ? MFI_ON_CHAIN_DONE : MFI_ON_CHAIN_ERROR;
    return well ? MFI_ON_SWARM_ITEM_DONE : MFI_ON_SWARM_ITEM_ERROR;
}
