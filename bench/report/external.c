#include "external.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a program prints, its first `size` bytes, and what it had in memory at most. */
static bool output(char *const argv[], char *out, size_t size, double *peak_mib)
{
    int ends[2], status = 1;
    struct rusage used;
    size_t n = 0;
    fflush(stdout);
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execv(argv[0], argv);
        _exit(127);
    }
    close(ends[1]);
    for (ssize_t got; pid > 0 && n + 1 < size && (got = read(ends[0], out + n, size - 1 - n)) > 0;)
        n += (size_t)got;
    out[n] = '\0';
    close(ends[0]);
    bool ended = pid > 0 && wait4(pid, &status, 0, &used) == pid;
    if (ended && peak_mib != NULL)
        *peak_mib = (double)used.ru_maxrss / 1024;
    return ended && status == 0 && n > 0;
}

static int list(char *program, const char *workload, external *out, int room)
{
    char text[2048];
    char word[] = "list", *const argv[] = {program, word, NULL};
    int n = 0;
    if (!output(argv, text, sizeof text, NULL))
        return 0;
    for (char *line = strtok(text, "\n"); line != NULL && n < room; line = strtok(NULL, "\n")) {
        size_t len = strlen(workload);
        if (strncmp(line, workload, len) != 0)
            continue;
        bool weak = line[len] == '!';
        if (line[len + weak] != ' ')
            continue;
        snprintf(out[n].program, sizeof out[n].program, "%s", program);
        snprintf(out[n].name, sizeof out[n].name, "%s", line + len + weak + 1);
        out[n++].weak = weak;
    }
    return n;
}

static int list_folder(const char *folder, const char *workload, external *out, int room)
{
    struct dirent **entries;
    int n = 0, count = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char program[256];
        if (entries[i]->d_name[0] != '.'
            && snprintf(program, sizeof program, "%s/%s", folder, entries[i]->d_name) < (int)sizeof program)
            n += list(program, workload, out + n, room - n);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return n;
}

int externals(const char *workload, external out[EXTERNALS_MAX])
{
    const char *given = getenv("BENCH_PEERS");
    char folders[1024], *rest = folders;
    int n = 0;
    snprintf(folders, sizeof folders, "%s", given != NULL ? given : "");
    for (char *folder; (folder = strsep(&rest, ":")) != NULL;)
        if (*folder != '\0')
            n += list_folder(folder, workload, out + n, EXTERNALS_MAX - n);
    return n;
}

cost external_round(const external *e, const char *workload, const char *first, const char *second)
{
    char program[256], name[48], words[3][32], text[128];
    snprintf(program, sizeof program, "%s", e->program);
    snprintf(name, sizeof name, "%s", e->name);
    snprintf(words[0], sizeof words[0], "%s", workload);
    snprintf(words[1], sizeof words[1], "%s", first);
    snprintf(words[2], sizeof words[2], "%s", second);
    char *const argv[] = {program, words[0], name, words[1], words[2], NULL};
    cost out = {0};
    if (!output(argv, text, sizeof text, &out.peak_mib) || sscanf(text, "%lf %lf", &out.value, &out.cpu) != 2 || out.value < 0) {
        fprintf(stderr, "bench: no figure from %s %s '%s' %s %s\n", program, workload, name, first, second);
        exit(1);
    }
    return out;
}
