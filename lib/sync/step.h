/* sync/step.h: named places inside lock-free operations, where a test may halt a thread.
 *
 * MFI_STEP("ring.push.claimed") is nothing in the library. Compiled with -DMFI_STEPS, as the halting test compiles these
 * sources once more, it calls mfi_step, and each place leaves its name in a section of the program, so that the test
 * can list all of them and fail for one that it never reached.
 */
#ifndef MFI_STEP_H
#define MFI_STEP_H

#ifdef MFI_STEPS
void mfi_step(const char *name);
#define MFI_STEP(name)                                                                                                \
    do {                                                                                                              \
        static const char *const mfi_step_name __attribute__((section("mfi_steps"), used)) = name;                    \
        mfi_step(mfi_step_name);                                                                                      \
    } while (0)
#else
#define MFI_STEP(name) ((void)0)
#endif

#endif
