/* redis/redis_doctor.h: a look at a server before it hurts, for the store and the bridges that stand on it. */
#ifndef MFI_REDIS_DOCTOR_H
#define MFI_REDIS_DOCTOR_H

#include "redis_link.h"

/** Look at the server: version, role, what it does when memory is full, how much is left, what survives its restart, and whether
 * the user may send what `commands` (NULL ends them) name, which is needed by `whose`, "the store": each a command with arguments of the kind it is sent with, its words
 * between blanks. They are queued and thrown away; nothing of them is done. Waits for the server. */
void mfi_redis_doctor(mfi_redis *redis, const char *whose, const char *const *commands, mf_finding_fn *tell, void *user);

#endif
