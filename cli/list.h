/* list.h: the other half of `mageflow list`. */
#ifndef CLI_LIST_H
#define CLI_LIST_H

#include "output.h"

/** List who serves, or who serves options->task. Answers the exit code. */
int list_workers(const struct options *options, mf_client *client);

#endif
