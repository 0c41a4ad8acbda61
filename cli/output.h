/* output.h: what list, inspect and logs share: lines of text for people, the same as JSON for programs, and how one gets to what is
 * stored. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "options.h"

#include <mageflow/mageflow.h>

/* ---- getting there ------------------------------------------------------------------------------------------------- */

/** Open the client for looking at what others started. Answers the exit code, EXIT_DONE for success; a failure is told, also that
 * nothing can be seen of flows that are kept in some process's memory. */
int show_open(const struct options *options, mf_client **out);
/** The key that an argument means. Answers the exit code. */
int show_find(mf_client *client, const char *text, mf_key *out);
/** Tell what went wrong and answer its exit code. */
int show_failed(mf_status st, const mf_error *err);

/* ---- lines ---------------------------------------------------------------------------------------------------------- */

/** A line that is put together, of so many columns by now. */
struct line {
    char   at[8192];
    size_t len, columns;
    bool   cut;
};

void line_begin(struct line *line);
void line_add(struct line *line, const char *fmt, ...) MF_PRINTF(2, 3);
/** What somebody else says, up to so many columns: nothing in it steers the terminal. */
void line_add_text(struct line *line, mf_str text, size_t most);
/** A message as JSON, likewise. */
void line_add_message(struct line *line, const mf_message *message, size_t most);
/** Blanks up to that column, and one at least unless nothing stands before. */
void line_pad(struct line *line, size_t column);
/** Print it and begin the next. On a terminal it is cut to its width. */
void line_put(struct line *line);
/** The same, however long it is. */
void line_put_whole(struct line *line);

/** A whole text on standard output, with what steers a terminal replaced; line ends and tabs stay. */
void print_harmless(mf_str text);

/** "350ms", "12s", "5m12s", "2h5m", "3d4h"; negative spans count as 0. */
const char *span_text(int64_t ms, char out[24]);

/* ---- records -------------------------------------------------------------------------------------------------------- */

/** "task", "chain", "swarm" or "map". */
const char *kind_word(const mf_spec *spec);
/** "3/10 done, 2 running, 1 failed". */
void line_add_counts(struct line *line, const mf_counts *counts);
/** "Failed: out of paint", of an error map; nothing for what is none. */
void line_add_error(struct line *line, const mf_message *error, size_t most);
/** "3/4 (75 %)", or what its task reported as JSON. */
void line_add_progress(struct line *line, const mf_message *progress, size_t most);

mf_counts counts_of(const mf_record *record);

/* The same for programs: entries of a map that was begun. */
void build_word(mf_builder *b, const char *key, const char *word);
void build_seconds(mf_builder *b, const char *key, bool known, int64_t ms);
void build_counts(mf_builder *b, const mf_counts *counts);
/** key, kind, name, status, ages, what it stands in, counts, error. */
void build_record(mf_builder *b, const mf_record *record, int64_t now_ms);
/** Print what was built as a line. */
mf_status build_put(mf_builder *b, mf_error *err);
/** Begin one that may be as big as what is shown. */
void build_begin(mf_builder *b);

#endif
