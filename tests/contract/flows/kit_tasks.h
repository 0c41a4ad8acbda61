/* contract/flows/kit_tasks.h: see kit.h. */
#ifndef MFT_FLOW_KIT_TASKS_H
#define MFT_FLOW_KIT_TASKS_H

#include "kit.h"

void declare_kit_tasks(fixture *f);

#endif
