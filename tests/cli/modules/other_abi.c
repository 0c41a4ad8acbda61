/* other_abi.c: a module that was built against another version of the interface. */
#include <mageflow/client.h>

extern const unsigned mf_module_abi;
const unsigned        mf_module_abi = MF_MODULE_ABI + 1;

mf_status mf_module_init(mf_client *client, mf_error *err);

mf_status mf_module_init(mf_client *client, mf_error *err)
{
    (void)client, (void)err;
    return MF_OK;
}
