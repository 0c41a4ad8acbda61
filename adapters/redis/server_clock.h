/* redis/server_clock.h: the server's time as this machine knows it, from answers that were on their way for a while.
 *
 * Between answers it goes on as this machine's clock does. It is behind the server by the time that the quickest answer took, and
 * goes back only where the server's clock itself was set. */
#ifndef MFI_SERVER_CLOCK_H
#define MFI_SERVER_CLOCK_H

#include <stdint.h>

/* All zero: nothing was heard yet. */
struct mfi_server_clock {
    int64_t us, ns;     /* the server's time, in microseconds since 1970, when ours was ns */
};

static inline int64_t mfi_server_clock_us(const struct mfi_server_clock *c, int64_t here_ns)
{
    return c->us + (here_ns - c->ns) / 1000;
}

/** The answer `us` to what was asked at sent_ns came at here_ns. So the server's time is that now, or later by up to the way there
 * and back; what we went by stays if it is one of these, since it was told by a quicker answer. */
static inline void mfi_server_clock_heard(struct mfi_server_clock *c, int64_t us, int64_t sent_ns, int64_t here_ns)
{
    int64_t goes_by = mfi_server_clock_us(c, here_ns);
    if (c->ns == 0 || goes_by < us || goes_by > us + (here_ns - sent_ns) / 1000)
        goes_by = us;
    *c = (struct mfi_server_clock){goes_by, here_ns};
}

#endif
