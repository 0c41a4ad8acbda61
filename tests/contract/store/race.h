/* contract/store/race.h: threads that take and commit, as plain functions with two fronts. */
#ifndef MFT_RACE_H
#define MFT_RACE_H

#include "makers.h"

/* NULL: each of the units ran exactly once, and the end was told once. Else what went wrong, in static memory. */
const char *race_each_unit_runs_once(const store_maker *maker, unsigned threads, unsigned units);
/* The same for claims of messages that come from elsewhere: every thread claims every unit, one of them gets it. */
const char *race_one_of_all_gets_the_claim(const store_maker *maker, unsigned threads, unsigned units);

#endif
