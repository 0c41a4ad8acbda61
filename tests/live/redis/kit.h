/* What the live tests share: a client of a real server, and one-line commands. */
#ifndef MFT_REDIS_LIVE_KIT_H
#define MFT_REDIS_LIVE_KIT_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>

#include "fake_redis.h"
#include "redis_link.h"
#include "redis_server.h"

/** A client of the server's port; `before` goes in front of the host ("user:password@"), `behind` follows the port. */
mfi_redis *live_open(const redis_server *s, const char *before, const char *behind, const mfi_redis_options *more);
/** The same, up. */
mfi_redis *live_open_up(const redis_server *s, const char *before, const char *behind);

/** One command, its words between blanks. */
mfi_redis_request *live_command(mfi_redis *redis, const char *text);
/** Send it and wait. out, when not NULL: the answer's text, or its integer as text; 64 bytes. */
mf_status live_call(mfi_redis *redis, const char *text, char *out, mf_error *err);
/** The same, which must succeed. */
void live_do(mfi_redis *redis, const char *text);
/** Wait until the link has failed once, and give the reason. */
mf_status live_failure(mfi_redis *redis, mf_error *err);
bool live_says(const mf_error *err, const char *part);

#endif
