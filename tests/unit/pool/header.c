#include <mageflow/pool.h>

/* The option macro with nothing and with something in it, as strict C11. */
mf_status pool_header_compiles(mf_pool **out);

mf_status pool_header_compiles(mf_pool **out)
{
    return mf_pool_create(MF_POOL_OPTIONS(.workers = 1), out, NULL);
}
