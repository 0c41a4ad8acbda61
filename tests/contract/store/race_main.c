/* The bare front: for ThreadSanitizer, under which Criterion's runner cannot run. */
#include "race.h"

#include <stdio.h>

int main(void)
{
    int failed = 0;
    for (size_t i = 0; i < store_maker_count; i++)
        for (size_t j = 0; j < RACE_SCENARIOS; j++) {
            const char *found = race_scenarios[j].run(&store_makers[i], 4, race_scenarios[j].units);
            printf("%s: %s: %s\n", store_makers[i].name, race_scenarios[j].name, found == NULL ? "yes" : found);
            failed |= found != NULL;
        }
    return failed;
}
