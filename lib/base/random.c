#include "random.h"

#include <errno.h>
#include <sys/random.h>

#include "world.h"

mf_status mfi_random_fill(const mfi_random *source, void *at, size_t len)
{
    if (source == NULL && mfi_world_here != NULL)
        source = mfi_world_here->random;
    if (source != NULL)
        return source->fill(source->user, at, len);
    for (size_t done = 0; done < len;) {
        ssize_t got = getrandom((char *)at + done, len - done, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return MF_E_IO;
        done += (size_t)got;
    }
    return MF_OK;
}
