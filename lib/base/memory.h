/* base/memory.h: typed allocation over an mf_allocator. NULL as allocator means the default one. */
#ifndef MFI_MEMORY_H
#define MFI_MEMORY_H

#include <mageflow/base.h>

void *mfi_alloc(const mf_allocator *a, size_t size);
void *mfi_alloc_zero(const mf_allocator *a, size_t size);
/** n * size, NULL also when the product overflows. */
void *mfi_alloc_array(const mf_allocator *a, size_t n, size_t size);
void *mfi_resize(const mf_allocator *a, void *at, size_t old_size, size_t size);
void  mfi_release(const mf_allocator *a, void *at, size_t size);
/** Ask the default allocator to give free memory back to the system: glibc's keeps all of it as long as anything lies above. Takes
 * milliseconds for hundreds of MiB. Nothing with another allocator or another libc. */
void  mfi_give_back(const mf_allocator *a);
/** A NUL-terminated copy of len bytes; release with size len + 1. */
char *mfi_copy_text(const mf_allocator *a, mf_str text);

/** A zeroed T, and its release. */
#define mf_new(a, T)      ((T *)mfi_alloc_zero((a), sizeof(T)))
#define mf_delete(a, ptr) mfi_release((a), (ptr), sizeof(*(ptr)))

/** Make room for `need` elements of `size` bytes in a growing array; doubles. false: no memory, nothing changed. */
bool mfi_array_reserve(const mf_allocator *a, void **array, size_t *capacity, size_t need, size_t size);

#endif
