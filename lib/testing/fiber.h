/* testing/fiber.h: stacks that one thread changes between. One that is not needed any more is simply forgotten, wherever it
 * stands: that is how a process crashes. */
#ifndef MFI_FIBER_H
#define MFI_FIBER_H

#include <mageflow/base.h>

typedef struct mfi_fiber mfi_fiber;

/** One that will run fn(arg) when it is first entered; fn must not return, but leave for good. NULL: no memory. */
mfi_fiber *mfi_fiber_create(void (*fn)(void *arg), void *arg);
/** Run it until it leaves. From outside of all fibers. */
void mfi_fiber_enter(mfi_fiber *fiber);
/** Back to whoever entered it; returns when it is entered again. for_good: it is not. */
void mfi_fiber_leave(mfi_fiber *fiber, bool for_good);
/** Forget it; its stack serves another one. */
void mfi_fiber_drop(mfi_fiber *fiber);
/** Bytes left on the stack of the running fiber. */
size_t mfi_fiber_room(const mfi_fiber *fiber);
/** Release the stacks that nobody uses. */
void mfi_fiber_fini(void);

#endif
