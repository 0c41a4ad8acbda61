/* The model as a Mermaid flowchart. A container is a subgraph, to and from which an edge may go by its name. */
#include "flow_graph.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A label is shown as HTML, and read as Markdown on the way: emphasis, links, formulas, icons ("fa:fa-user"), and a list where a
 * line begins like one. Two percent signs would begin a directive to Mermaid, wherever they stand. */
static bool means_something(const char *label, const char *at)
{
    if (strchr("\"#&<>`\\*~%$", *at) != NULL)
        return true;
    bool begins = at == label || at[-1] == '\n';
    if (*at == '_')
        return begins || strchr(" (\"'_", at[-1]) != NULL || at[1] == '\0' || strchr(" )\"'\n", at[1]) != NULL;
    if (*at == '-' || *at == '+')
        return begins;
    if (*at == ':')
        return strncmp(at + 1, "fa-", 3) == 0;
    if (*at == '(')
        return !begins && at[-1] == ']';
    if (*at != '.' && *at != ')')
        return false;
    const char *digits = at;
    while (digits > label && is_digit(digits[-1]))
        digits--;
    return digits < at && (digits == label || digits[-1] == '\n');
}

/* What means something is written as an entity of Mermaid's. */
static void add_quoted(mfi_flow_text *out, const char *label)
{
    mfi_flow_text_add(out, MF_STR_LIT("\""));
    for (const char *at = label; *at != '\0'; at++) {
        if (*at == '\n')
            mfi_flow_text_add(out, MF_STR_LIT("<br/>"));
        else if (means_something(label, at))
            mfi_flow_text_printf(out, "#%d;", *at);
        else
            mfi_flow_text_add(out, mf_str_of(at, 1));
    }
    mfi_flow_text_add(out, MF_STR_LIT("\""));
}

/* Everything but the states that have no word has a class of that word. */
static const char *class_of(mfi_shade shade)
{
    return shade == MFI_SHADE_NONE ? "unstarted" : shade == MFI_SHADE_NOTE ? "note" : mfi_shade_word(shade);
}

static void add_name(mfi_flow_text *out, const mfi_graph *g, uint32_t n)
{
    mfi_flow_text_printf(out, "%c%u", g->nodes[n].container ? 'c' : 'n', n);
}

static void add_node(const mfi_graph *g, uint32_t n, unsigned depth, mfi_flow_text *out)
{
    mfi_graph_indent(out, depth);
    mfi_flow_text_add(out, g->nodes[n].container ? MF_STR_LIT("subgraph ") : MF_STR_LIT(""));
    add_name(out, g, n);
    mfi_flow_text_add(out, MF_STR_LIT("["));
    add_quoted(out, mfi_graph_label(g, n));
    mfi_flow_text_add(out, MF_STR_LIT("]"));
    if (!g->nodes[n].container)
        mfi_flow_text_printf(out, ":::%s", class_of(g->nodes[n].shade));
    mfi_flow_text_add(out, MF_STR_LIT("\n"));
}

static void add_edge(const mfi_graph *g, const mfi_graph_edge *edge, mfi_flow_text *out)
{
    static const char *const arrows[] = {
        [MFI_EDGE_NEXT] = " --> ", [MFI_EDGE_SUCCESS] = " -. on_success .-> ", [MFI_EDGE_ERROR] = " -. on_error .-> ",
    };
    mfi_graph_indent(out, 0);
    add_name(out, g, edge->from);
    mfi_flow_text_add(out, mf_cstr(arrows[edge->kind]));
    add_name(out, g, edge->to);
    mfi_flow_text_add(out, MF_STR_LIT("\n"));
}

static const mfi_graph_language mermaid = {.container_end = "end\n", .add_node = add_node, .add_edge = add_edge};

/* Containers take their class in lines of their own, and only what is used is defined. */
static void add_classes(const mfi_graph *g, mfi_flow_text *out)
{
    bool used[MFI_SHADES] = {false};
    for (uint32_t n = 0; n < g->node_count; n++) {
        used[g->nodes[n].shade] = true;
        if (g->nodes[n].container)
            mfi_flow_text_printf(out, "    class c%u %s\n", n, class_of(g->nodes[n].shade));
    }
    for (mfi_shade shade = 0; shade < MFI_SHADES; shade++) {
        if (used[shade])
            mfi_flow_text_printf(out, "    classDef %s fill:%s,stroke:%s,color:#000000%s\n", class_of(shade),
                                 mfi_shade_fill(shade), mfi_shade_line(shade),
                                 shade == MFI_SHADE_NOTE ? ",stroke-dasharray:4" : "");
    }
}

mf_status mfi_graph_mermaid(const mfi_graph *g, char **text)
{
    mfi_flow_text out = {.allocator = g->allocator};
    mfi_flow_text_add(&out, MF_STR_LIT("flowchart LR\n"));
    mfi_graph_walk(g, &mermaid, &out);
    add_classes(g, &out);
    return mfi_flow_text_take(&out, text);
}
