#include "world.h"

_Thread_local mfi_world *mfi_world_here;
