/* contract/flows/queue_manager.h: a task manager with a queue of its own, as small as one can be that is complete.
 *
 * It stands for the bridges: messages are published to it, travel with mageflow's metadata alone (a delivery names no spec
 * and holds no claim), and are delivered by its own threads. So flows over it pass the outbox, the claim, and the outcome
 * that is waited for.
 *
 * Foreign tasks are served by itself, as another program would: "double" {n} → 2n, "broken" fails with type "ForeignError", and
 * whatever else is never answered. */
#ifndef MFT_QUEUE_MANAGER_H
#define MFT_QUEUE_MANAGER_H

#include <mageflow/adapter.h>

typedef struct queue_manager_options {
    unsigned copies;        /* every message of a flow is delivered so many times; 0: once */
    unsigned refusals;      /* so many publishes fail before one works */
} queue_manager_options;

mf_status queue_manager_create(const mf_allocator *allocator, const queue_manager_options *options, mf_adapter **out,
                               mf_error *err);
/** How many messages were published to it, copies not counted. */
unsigned long queue_manager_published(mf_adapter *adapter);

#endif
