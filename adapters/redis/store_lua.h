/* redis/store_lua.h: the scripts in lua/, built into the library. */
#ifndef MFI_STORE_LUA_H
#define MFI_STORE_LUA_H

#include <mageflow/base.h>

/** The source of a script: what it shares with the others, then its own. number: an mfi_rs_script. */
mf_str mfi_rs_lua(size_t number);

#endif
