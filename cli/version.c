/* version.c: `mageflow version`. */
#include "command.h"

#include <stdio.h>

static int version_run(int argc, const char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--help") != 0) {
        complain("version takes no arguments, got \"%s\"", argv[1]);
        return EXIT_USAGE;
    }
    if (argc > 1)
        printf("Usage: mageflow version\nPrint the version of mageflow and of the interface to task modules.\n");
    else
        printf("mageflow %s (modules of ABI %d)\n", MF_VERSION, MF_MODULE_ABI);
    return EXIT_DONE;
}

const verb version_verb = {"version", "print the version", version_run};
