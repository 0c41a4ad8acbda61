#include "contract.h"
#include "race.h"

static void is_well(const char *found)
{
    cr_assert(eq(ptr, (void *)found, NULL), "%s", found);
}

ParameterizedTestParameters(store_race, each_unit_runs_exactly_once)
{
    return store_parameters();
}

ParameterizedTest(size_t *maker, store_race, each_unit_runs_exactly_once)
{
    is_well(race_each_unit_runs_once(&store_makers[*maker], 4, 100000));
}

ParameterizedTestParameters(store_race, one_of_all_gets_the_claim)
{
    return store_parameters();
}

ParameterizedTest(size_t *maker, store_race, one_of_all_gets_the_claim)
{
    is_well(race_one_of_all_gets_the_claim(&store_makers[*maker], 4, 20000));
}
