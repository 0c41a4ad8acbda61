#include "finding.h"

#include <stdio.h>

void mfi_tell(const mfi_teller *t, mf_finding_level level, const char *what, const char *expected, const char *advice,
              const char *fmt, ...)
{
    char found[400];
    va_list args;
    va_start(args, fmt);
    vsnprintf(found, sizeof found, fmt, args);
    va_end(args);
    t->tell(t->user, &(mf_finding){.level = level, .where = t->where, .what = what, .expected = expected, .found = found,
                                   .advice = level == MF_FINDING_OK ? "" : advice});
}
