/* mageflow/mageflow.h: everything a program needs to declare, run and serve tasks.
 *
 * Extensions (a task manager, a store) include mageflow/adapter.h and mageflow/store.h; a program that only wants the
 * worker threads includes mageflow/pool.h and links mageflow::pool.
 */
#ifndef MAGEFLOW_H
#define MAGEFLOW_H

#include <mageflow/base.h>
#include <mageflow/client.h>
#include <mageflow/control.h>
#include <mageflow/dead.h>
#include <mageflow/doctor.h>
#include <mageflow/fields.h>
#include <mageflow/flow.h>
#include <mageflow/flow_data.h>
#include <mageflow/inspect.h>
#include <mageflow/message.h>
#include <mageflow/pool.h>
#include <mageflow/stats.h>
#include <mageflow/task.h>
#include <mageflow/workers.h>

#endif
