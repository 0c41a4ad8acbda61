/* The fault proxy as a process, for the Python side of the tests: proxy PORT
 *
 * Prints the port it listens on, then obeys a word a line: none, delay, drip, freeze, truncate, cut; and answers "ok". */
#include "fault_proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static fault_proxy proxy;

int main(int argc, char **argv)
{
    static const char *const words[] = {[FAULT_NONE] = "none", [FAULT_DELAY] = "delay", [FAULT_DRIP] = "drip",
                                        [FAULT_FREEZE] = "freeze", [FAULT_TRUNCATE] = "truncate", [FAULT_CUT] = "cut"};
    char line[32];
    if (argc != 2)
        return 2;
    fault_proxy_start(&proxy, (uint16_t)strtoul(argv[1], NULL, 10));
    printf("%u\n", proxy.port);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            if (strcmp(line, words[i]) == 0)
                fault_proxy_set(&proxy, (fault)i);
        puts("ok");
        fflush(stdout);
    }
    fault_proxy_stop(&proxy);
    return 0;
}
