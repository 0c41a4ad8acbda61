/* unit/runtime/flow_graph_kit.h: whether a text is a picture that the program it is for can show. */
#ifndef MFT_FLOW_GRAPH_KIT_H
#define MFT_FLOW_GRAPH_KIT_H

#include <stdbool.h>
#include <stddef.h>

/* Graphviz draws it without a word of complaint; true too where dot was not found (FLOW_GRAPH_DOT undefined). problem: why
 * not, or empty. */
bool dot_draws(const char *text, char *problem, size_t size);

/* It keeps the part of Mermaid's grammar that we write: containers are closed, edges name nodes, classes are defined, and no
 * label holds what would end it or mean something else. */
bool mermaid_reads(const char *text, char *problem, size_t size);

#endif
