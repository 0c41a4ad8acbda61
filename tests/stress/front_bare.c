#include "scenario.h"

#include <string.h>
#include <unistd.h>

/* All scenarios, or those whose names are given. */
int main(int argc, char **argv)
{
    for (const scenario *s = scenarios; s->name != NULL; s++) {
        int wanted = argc < 2;
        for (int i = 1; i < argc; i++)
            wanted |= strcmp(argv[i], s->name) == 0;
        if (!wanted)
            continue;
        printf("%s\n", s->name);
        fflush(stdout);
        alarm((unsigned)scenario_rounds(600));
        s->run();
    }
    return 0;
}
