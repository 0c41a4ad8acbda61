/* queue/item.h: what the queues carry: three words, copied in and out. They know nothing of what the words mean. */
#ifndef MFI_ITEM_H
#define MFI_ITEM_H

#include <stdint.h>

typedef struct mfi_item {
    uintptr_t word[3];      /* with a cell's state word: 32 bytes, two cells a cache line */
} mfi_item;

#endif
