/* contract/store/race.h: threads that take and commit, as plain functions with two fronts. */
#ifndef MFT_RACE_H
#define MFT_RACE_H

#include "makers.h"

/* NULL: each of the units ran exactly once, and the end was told once. Else what went wrong, in static memory. */
const char *race_each_unit_runs_once(const store_maker *maker, unsigned threads, unsigned units);
/* The same for claims of messages that come from elsewhere: every thread claims every unit, one of them gets it. */
const char *race_one_of_all_gets_the_claim(const store_maker *maker, unsigned threads, unsigned units);

/* Leases end, are renewed and given back while their claims are settled: each unit ends once. NULL also where a store has
 * no clock for that. */
const char *race_leases_end_while_claims_are_settled(const store_maker *maker, unsigned threads, unsigned units);
/* Messages are parked while their record is suspended and resumed: each is delivered once. */
const char *race_nothing_stays_parked(const store_maker *maker, unsigned threads, unsigned units);
/* Every thread sets every note, if there is none of that name: one of them does. */
const char *race_one_of_all_gets_the_name(const store_maker *maker, unsigned threads, unsigned units);
/* A record is removed and put again while others claim what stands in it. */
const char *race_a_record_goes_while_others_look_up_to_it(const store_maker *maker, unsigned threads, unsigned units);

/* All of them, for both fronts. */
typedef struct race_scenario {
    const char *name;
    const char *(*run)(const store_maker *maker, unsigned threads, unsigned units);
    unsigned    units;
} race_scenario;
enum { RACE_SCENARIOS = 6 };
extern const race_scenario race_scenarios[RACE_SCENARIOS];

#endif
