/* flow_start.h: how a flow written as data is started, for run_flow.c. */
#ifndef MFI_FLOW_START_H
#define MFI_FLOW_START_H

#include <mageflow/flow.h>

/** mf_flow_start; and where the document names nothing unique, the run is unique under `unique` (NULL: not so) and joined. */
mf_run *mfi_flow_start(mf_client *client, const mf_message *document, mf_message *message, const char *unique, mf_error *err);

#endif
