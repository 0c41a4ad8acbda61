/* screen.h: standard error, shared by the progress bar and the lines that others print meanwhile.
 *
 * Threads   screen_say from any thread; the others from the one that runs the program.
 */
#ifndef DUPLICATES_SCREEN_H
#define DUPLICATES_SCREEN_H

#include <mageflow/flow.h>

/** Find out whether there is a terminal to show a bar on. */
void screen_init(void);
bool screen_is_terminal(void);
/** A line of its own, above the bar. */
void screen_say(const char *line);
/** "listing files", while nothing can be counted yet. files 0: not known. */
void screen_listing(uint64_t files);
/** The bar. */
void screen_hashing(const mf_counts *counts, double seconds);
/** Wipe the bar. */
void screen_wipe(void);

#endif
