/* store/finding.h: telling findings, for stores and adapters that look at what they stand on. */
#ifndef MFI_FINDING_H
#define MFI_FINDING_H

#include <mageflow/store.h>

/** Who is told, and where what is told was found. */
typedef struct mfi_teller {
    mf_finding_fn *tell;
    void          *user;
    const char    *where;
} mfi_teller;

/** Tell one: the format gives what was found, cut at some 400 bytes. advice is left out where all is well. */
void mfi_tell(const mfi_teller *t, mf_finding_level level, const char *what, const char *expected, const char *advice,
              const char *fmt, ...) MF_PRINTF(6, 7);

#endif
