/* adapter/stack.h: how deep calls may stand on top of each other. */
#ifndef MFI_STACK_H
#define MFI_STACK_H

#include <stdbool.h>

/* What a thread must have left to run further calls on top of one that waits: they may wait in turn. */
#define MFI_STACK_LEFT ((size_t)512 * 1024)

/** Whether this thread has less than that. For an adapter's `help`, which answers MF_E_FULL then. */
bool mfi_stack_is_short(void);

#endif
