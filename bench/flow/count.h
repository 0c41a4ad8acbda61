/* bench/flow/count.h: an allocator and a store that count what passes through them. */
#ifndef BENCH_COUNT_H
#define BENCH_COUNT_H

#include <mageflow/store.h>

/** The operations of a store that are counted; what asks for the time or registers a watch is not. */
typedef enum count_op {
    COUNT_LOAD, COUNT_ITEMS, COUNT_OUTCOMES, COUNT_COMMIT, COUNT_CLAIM, COUNT_TAKE, COUNT_OTHER, COUNT_OPS
} count_op;
extern const char *const count_op_names[COUNT_OPS];

typedef struct count_figures {
    unsigned long long allocations;     /* alloc, and resize */
    unsigned long long allocated;       /* bytes, of a resize what it adds */
    unsigned long long held, most;      /* bytes held now, and the most there were since count_begin */
    unsigned long long ops[COUNT_OPS];
} count_figures;

/** One for the process, over malloc. */
const mf_allocator *count_allocator(void);
/** inner is consumed. NULL: no memory, and inner is gone. */
mf_store *count_store_create(mf_store *inner);
void count_begin(void);
void count_read(count_figures *out);

#endif
