#include "external.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a command prints, its first `size` bytes. */
static int output(const char *command, char *out, size_t size)
{
    FILE *f = popen(command, "r");
    if (f == NULL)
        return 0;
    size_t n = fread(out, 1, size - 1, f);
    out[n] = '\0';
    return pclose(f) == 0 && n > 0;
}

static int list(const char *program, const char *workload, external *out, int room)
{
    char command[300], text[2048];
    int n = 0;
    snprintf(command, sizeof command, "'%s' list", program);
    if (!output(command, text, sizeof text))
        return 0;
    for (char *line = strtok(text, "\n"); line != NULL && n < room; line = strtok(NULL, "\n")) {
        size_t len = strlen(workload);
        if (strncmp(line, workload, len) != 0 || line[len] != ' ')
            continue;
        snprintf(out[n].program, sizeof out[n].program, "%s", program);
        snprintf(out[n].name, sizeof out[n].name, "%s", line + len + 1);
        n++;
    }
    return n;
}

int externals(const char *workload, external out[EXTERNALS_MAX])
{
    const char *folder = getenv("BENCH_PEERS");
    struct dirent **entries;
    int n = 0, count = folder != NULL ? scandir(folder, &entries, NULL, alphasort) : 0;
    for (int i = 0; i < count; i++) {
        char program[256];
        if (entries[i]->d_name[0] != '.'
            && snprintf(program, sizeof program, "%s/%s", folder, entries[i]->d_name) < (int)sizeof program)
            n += list(program, workload, out + n, EXTERNALS_MAX - n);
        free(entries[i]);
    }
    if (count > 0)
        free(entries);
    return n;
}

double external_round(const external *e, const char *workload, const char *first, const char *second)
{
    char command[400], text[64], *end;
    snprintf(command, sizeof command, "'%s' %s '%s' %s %s", e->program, workload, e->name, first, second);
    double value = output(command, text, sizeof text) ? strtod(text, &end) : -1;
    if (value < 0 || end == text) {
        fprintf(stderr, "no figure from: %s\n", command);
        exit(1);
    }
    return value;
}
