/* What the tests of the client share: a client of a fake server, and the answers it got. */
#ifndef MFT_REDIS_KIT_H
#define MFT_REDIS_KIT_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "counting_allocator.h"
#include "fake_redis.h"
#include "redis_link.h"

typedef struct kit {
    fake_redis         server;
    counting_allocator memory;
    mfi_redis         *redis;
    mfi_redis_options  options;      /* set before kit_open what shall be otherwise */
    mfi_redis_address  address;
} kit;

/** A server that serves so, and a client of it. */
void kit_start(kit *k, fake_serve_fn *serve, void *user);
void kit_open(kit *k);
/** Destroys both, and checks that no memory is out. */
void kit_stop(kit *k);

/** One command, its words between blanks. */
mfi_redis_request *kit_command(kit *k, const char *text);

/** How a request ended; signalled once. */
typedef struct kit_end {
    fake_event event;
    mf_status  st;
    mf_error   err;
    bool       answered;            /* replies came */
    int64_t    integer;             /* of the first */
    char       text[256];           /* of the first */
} kit_end;
#define KIT_END {.event = FAKE_EVENT}
mfi_redis_done_fn kit_done;

/** Submit one command; its end comes into `end`. */
void kit_submit(kit *k, const char *text, const mfi_redis_how *how, kit_end *end);
/** Wait for it. */
mf_status kit_await(kit_end *end);

/** Wait until the link has failed once, and give the reason. */
mf_status kit_failure(kit *k, mf_error *err);
bool kit_says(const mf_error *err, const char *part);

#endif
