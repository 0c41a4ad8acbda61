#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include "scenario.h"

#include <unistd.h>

/* Indices, for each case runs in a process of its own. */
ParameterizedTestParameters(stress, scenario)
{
    static int index[64];
    size_t n = 0;
    for (; scenarios[n].name != NULL; n++)
        index[n] = (int)n;
    return cr_make_param_array(int, index, n);
}

ParameterizedTest(int *index, stress, scenario)
{
    cr_log_info("%s", scenarios[*index].name);
    alarm((unsigned)scenario_rounds(600));
    scenarios[*index].run();
}
