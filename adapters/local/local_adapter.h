/* adapters/local/local_adapter.h: what the factory knows of this folder. */
#ifndef MFI_LOCAL_ADAPTER_H
#define MFI_LOCAL_ADAPTER_H

#include <mageflow/adapter.h>

/** The adapter of this process's own threads. Nothing runs before its worker is started. */
MF_NODISCARD mf_status mfi_local_create(const mf_allocator *allocator, mf_adapter **out, mf_error *err);

#endif
