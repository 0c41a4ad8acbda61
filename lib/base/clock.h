/* base/clock.h: reading an mf_clock; NULL means the system's. */
#ifndef MFI_CLOCK_H
#define MFI_CLOCK_H

#include <mageflow/base.h>

int64_t mfi_now_ns(const mf_clock *clock);
int64_t mfi_wall_ms(const mf_clock *clock);
/** now + span, saturating, so that MF_FOREVER stays for ever. */
int64_t mfi_deadline_ns(int64_t now_ns, mf_duration span);

#endif
