#include "flow_graph_kit.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Graphviz ------------------------------------------------------------------------------------------------------ */

#ifdef FLOW_GRAPH_DOT
bool dot_draws(const char *text, char *problem, size_t size)
{
    char said[] = "/tmp/flow_graph_XXXXXX", command[4200];
    int fd = mkstemp(said);
    if (fd < 0)
        return false;
    snprintf(command, sizeof command, "'%s' -Tsvg > /dev/null 2> %s", FLOW_GRAPH_DOT, said);
    FILE *dot = popen(command, "w");
    bool good = dot != NULL && fputs(text, dot) >= 0;
    int code = dot != NULL ? pclose(dot) : -1;
    ssize_t len = read(fd, problem, size - 1);
    problem[len > 0 ? len : 0] = '\0';
    close(fd);
    unlink(said);
    return good && WIFEXITED(code) && WEXITSTATUS(code) == 0 && problem[0] == '\0';
}
#else
bool dot_draws(const char *text, char *problem, size_t size)
{
    (void)text, (void)size;
    problem[0] = '\0';
    return true;
}
#endif

/* ---- Mermaid ------------------------------------------------------------------------------------------------------- */

#define LABEL "\\[\"([^\"#<>&`\\\\%$]|#[0-9]+;|<br/>)*\"\\]"

enum { HEAD, SUBGRAPH, NODE, END, EDGE, CLASS, CLASS_DEF, LINES };

static const char *const grammar[LINES] = {
    [HEAD] = "^flowchart LR$",
    [SUBGRAPH] = "^ +subgraph (c[0-9]+)" LABEL "$",
    [NODE] = "^ +(n[0-9]+)" LABEL ":::([a-z]+)$",
    [END] = "^ +end$",
    [EDGE] = "^    ([cn][0-9]+) (-->|-\\. on_success \\.->|-\\. on_error \\.->) ([cn][0-9]+)$",
    [CLASS] = "^    class (c[0-9]+) ([a-z]+)$",
    [CLASS_DEF] = "^    classDef ([a-z]+) fill:#[0-9a-f]{6},stroke:#[0-9a-f]{6},color:#[0-9a-f]{6}(,stroke-dasharray:4)?$",
};

#define NAMES_MAX 2000

typedef struct names {
    char   at[NAMES_MAX][16];
    size_t n;
} names;

static bool known(const names *names, const char *name)
{
    size_t i = 0;
    while (i < names->n && strcmp(names->at[i], name) != 0)
        i++;
    return i < names->n;
}

static void note(names *names, const char *line, regmatch_t match)
{
    if (names->n < NAMES_MAX)
        snprintf(names->at[names->n++], sizeof names->at[0], "%.*s", (int)(match.rm_eo - match.rm_so), line + match.rm_so);
}

static const char *part(const char *line, regmatch_t match, char out[16])
{
    snprintf(out, 16, "%.*s", (int)(match.rm_eo - match.rm_so), line + match.rm_so);
    return out;
}

/* NULL: the line is right. Edges come after all nodes, class definitions after all their uses. */
static const char *check_line(const char *line, regex_t rules[LINES], names *nodes, names *used, names *defined, int *open)
{
    regmatch_t m[5];
    char name[16];
    int kind = 0;
    while (kind < LINES && regexec(&rules[kind], line, 5, m, 0) != 0)
        kind++;
    switch (kind) {
    case HEAD:
        return NULL;
    case SUBGRAPH:
        ++*open;
        note(nodes, line, m[1]);
        return NULL;
    case NODE:
        note(nodes, line, m[1]);
        note(used, line, m[3]);
        return NULL;
    case END:
        return --*open < 0 ? "an end too many" : NULL;
    case EDGE:
        return known(nodes, part(line, m[1], name)) && known(nodes, part(line, m[3], name)) ? NULL : "an edge of an unknown node";
    case CLASS:
        note(used, line, m[2]);
        return known(nodes, part(line, m[1], name)) ? NULL : "a class for an unknown node";
    case CLASS_DEF:
        note(defined, line, m[1]);
        return NULL;
    default:
        return "a line of no known kind";
    }
}

bool mermaid_reads(const char *text, char *problem, size_t size)
{
    static names nodes, used, defined;
    regex_t rules[LINES];
    const char *wrong = NULL;
    int open = 0;
    nodes.n = used.n = defined.n = 0;
    for (int i = 0; i < LINES; i++)
        regcomp(&rules[i], grammar[i], REG_EXTENDED);
    char *copy = strdup(text), *rest = copy;
    problem[0] = '\0';
    for (char *line = strsep(&rest, "\n"); line != NULL && wrong == NULL; line = strsep(&rest, "\n")) {
        if (line[0] != '\0')
            wrong = check_line(line, rules, &nodes, &used, &defined, &open);
        if (wrong != NULL)
            snprintf(problem, size, "%s: %s", wrong, line);
    }
    free(copy);
    for (int i = 0; i < LINES; i++)
        regfree(&rules[i]);
    if (wrong == NULL && open != 0)
        snprintf(problem, size, "%d subgraphs without an end", open);
    for (size_t i = 0; problem[0] == '\0' && i < used.n; i++) {
        if (!known(&defined, used.at[i]))
            snprintf(problem, size, "class %s is not defined", used.at[i]);
    }
    return problem[0] == '\0' && strncmp(text, "flowchart LR\n", 13) == 0;
}
