/* The bare front: for ThreadSanitizer, under which Criterion's runner cannot run. */
#include "race.h"

#include <stdio.h>

int main(void)
{
    int failed = 0;
    for (size_t i = 0; i < store_maker_count; i++) {
        const char *once = race_each_unit_runs_once(&store_makers[i], 4, 100000);
        const char *claim = race_one_of_all_gets_the_claim(&store_makers[i], 4, 20000);
        printf("%s: each unit runs once: %s\n", store_makers[i].name, once == NULL ? "yes" : once);
        printf("%s: one of all gets the claim: %s\n", store_makers[i].name, claim == NULL ? "yes" : claim);
        failed |= once != NULL || claim != NULL;
    }
    return failed;
}
