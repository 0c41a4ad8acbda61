/* mageflow/flow_data.h: flows as data: read from a message, written as one, and drawn.
 *
 * A flow is a map with one of four keys that say what it is, and what else it has:
 *
 *     {"task": NAME, "kwargs": {…}}
 *     {"chain": [FLOW, FLOW, …], "name": TEXT, "kwargs": {…}}
 *     {"swarm": [FLOW, …], "name": TEXT, "kwargs": {…}, "max_concurrency": N, "stop_after_failures": N, "max_items": N,
 *      "close_on_max": BOOL, "closed": BOOL, "message_as_result": BOOL}
 *     {"map": TASK, "source": NAME, "name": TEXT, "kwargs": {…}, "max_concurrency": N, "stop_after_failures": N}
 *
 * and any of them may have "on_success": [FLOW, …], "on_error": [FLOW, …], and, as spans like "10s", "ttl", "keep" and
 * "stagger". A document is {"flow": FLOW, "message": {…}, "delay": SPAN, "priority": N, "unique": TEXT, "unique_window": SPAN,
 * "join": BOOL}, or the flow alone. As JSON it is a file (mf_message_from_json makes the message), as msgpack it travels. The form in
 * full, with examples: docs/flow-json.md; for editors and other programs: docs/flow.schema.json.
 *
 * Limits    31 chains and swarms within each other, and a message no deeper than MF_DEPTH_MAX, of which each chain or
 *           swarm takes two levels: read the text with MF_LIMITS(.depth = MF_DEPTH_MAX).
 * Threads   as in mageflow/flow.h.
 */
#ifndef MAGEFLOW_FLOW_DATA_H
#define MAGEFLOW_FLOW_DATA_H

#include <mageflow/base.h>
#include <mageflow/flow.h>
#include <mageflow/message.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Make a signature of a flow, as the calls of mageflow/flow.h would. message is borrowed and holds the flow alone, not a
 * document. Strict: an unknown key, one given twice, a value of another type or a missing key is refused, and so is what
 * those calls refuse; the text begins with the place, as in "flow.chain[1].task: expected text, got a map of 2".
 * NULL: MF_E_INVALID, MF_E_TYPE, MF_E_UNKNOWN_TASK, MF_E_NOT_FOUND (no such source), MF_E_TOO_BIG, MF_E_NOMEM. */
mf_signature *mf_flow_from_message(mf_client *client, const mf_message *message, mf_error *err);

/** Make the flow of a document (borrowed) and start it. message (a map, nil or NULL; consumed) is merged deeply over the
 * document's own and wins. NULL: as mf_flow_from_message, and as mf_start_with; nothing runs. */
mf_run *mf_flow_start(mf_client *client, const mf_message *document, mf_message *message, mf_error *err);

/** Write a signature as the flow that mf_flow_from_message makes it from; what is left at its default is left out. One that is
 * saved or started is read from the store, as mf_flow_read does. *out is the caller's. MF_E_TOO_BIG: above the client's
 * limits or MF_DEPTH_MAX; MF_E_NOMEM; MF_E_INVALID: sig is NULL. */
MF_NODISCARD mf_status mf_flow_to_message(const mf_signature *sig, mf_message **out, mf_error *err);

/** The same for a stored flow, whoever started it and however far it is: what it is, without its state. A swarm is written
 * with the items it has by now; callbacks that were removed at the end, as their branch was not taken, are left out.
 * MF_E_NOT_FOUND: there is no such signature, or one below it is gone; MF_E_TOO_BIG, MF_E_NOMEM, MF_E_IO. */
MF_NODISCARD mf_status mf_flow_read(mf_client *client, const mf_key *key, mf_message **out, mf_error *err);

/* ---- drawing ------------------------------------------------------------------------------------------------------- */

typedef enum mf_graph_format {
    MF_GRAPH_DOT,        /* the language of Graphviz: `dot -Tsvg` */
    MF_GRAPH_MERMAID     /* a Mermaid flowchart, as Markdown viewers show it */
} mf_graph_format;

/** Draw a stored flow, also while it runs: chains and swarms around what they hold, steps one after the other, callbacks with
 * dashed edges, and the state of each as a colour and a word; a failed one with its error. Of a long chain or swarm the first
 * items are drawn, the ones that failed first, and a chain's step that runs and its last; the rest is counted. Each record is
 * read once, one after the other, so a picture of a flow that runs may mix two moments. *text is NUL-terminated and UTF-8; release
 * it with mf_text_free. MF_E_NOT_FOUND: there is no such signature; MF_E_INVALID: another format; MF_E_NOMEM, MF_E_IO. */
MF_NODISCARD mf_status mf_flow_graph(mf_client *client, const mf_key *key, mf_graph_format format, char **text, mf_error *err);

/** Draw a signature: one that is neither saved nor started without states, else what mf_flow_graph draws. MF_E_INVALID: sig is
 * NULL. */
MF_NODISCARD mf_status mf_signature_graph(const mf_signature *sig, mf_graph_format format, char **text, mf_error *err);

#ifdef __cplusplus
}
#endif
#endif
