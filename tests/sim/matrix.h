/* sim/matrix.h: what many schedules met, together. */
#ifndef MFT_MATRIX_H
#define MFT_MATRIX_H

#include "sim.h"

typedef struct report {
    mfi_cells cells;
    uint64_t  schedules, faults, crashes, restarts, lapsed, answers, dead_letters, overtaken, steps, items, without_fault, broken, first_broken;
} report;

void report_add(report *to, const report *from);
/** Print it. false: a cell that is possible was hit less often than `require`. */
bool report_print(const report *r, uint64_t require, double seconds);

#endif
