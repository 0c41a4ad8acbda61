#include "contract.h"
#include "race.h"

ParameterizedTestParameters(store_race, threads_do_not_get_in_each_others_way)
{
    static size_t cases[16 * RACE_SCENARIOS];
    for (size_t i = 0; i < store_maker_count * RACE_SCENARIOS; i++)
        cases[i] = i;
    return cr_make_param_array(size_t, cases, store_maker_count * RACE_SCENARIOS);
}

ParameterizedTest(size_t *i, store_race, threads_do_not_get_in_each_others_way)
{
    const race_scenario *scenario = &race_scenarios[*i % RACE_SCENARIOS];
    const char *found = scenario->run(&store_makers[*i / RACE_SCENARIOS], 4, scenario->units);
    cr_assert(eq(ptr, (void *)found, NULL), "%s: %s", scenario->name, found);
}
