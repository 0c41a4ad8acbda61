/* redis_idle [seconds]: a Redis link that was used and then has nothing to do, one wait in the server apart, for idle.sh to
 * watch from outside. The server is a thread that waits too; so every call between the two lines would be the link's. */
#include "fake_redis.h"
#include "redis_link.h"
#include "threads_rest.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void serve(fake_peer *p, void *user)
{
    (void)user;
    fake_command c;
    if (fake_greet(p))
        while (fake_read(p, &c))
            if (!fake_is(&c, "BLPOP") && !fake_say(p, "+OK\r\n"))
                return;
}

int main(int argc, char **argv)
{
    struct timespec span = {argc > 1 ? atol(argv[1]) : 10, 0};
    fake_redis server;
    mfi_redis_address address;
    mfi_redis *redis;
    char url[64];
    fake_redis_start(&server, serve, NULL);
    snprintf(url, sizeof url, "redis://127.0.0.1:%u", server.port);
    if (mfi_redis_address_from_url(url, &address, NULL) != MF_OK ||
        mfi_redis_create(&(mfi_redis_options){.address = &address, .request_timeout = MF_FOREVER}, &redis, NULL) != MF_OK)
        return 1;
    mfi_redis_request *rq = mfi_redis_request_create(redis);
    mfi_redis_add(rq, MF_STR_LIT("BLPOP"), MF_STR_LIT("q"), MF_STR_LIT("0"));
    if (mfi_redis_submit(redis, rq, MFI_REDIS_HOW(.blocking = true, .blocks = MF_FOREVER), NULL, NULL) != MF_OK)
        return 1;
    for (int i = 0; i < 100; i++) {
        rq = mfi_redis_request_create(redis);
        mfi_redis_add(rq, MF_STR_LIT("PING"));
        if (mfi_redis_call(redis, rq, NULL, NULL, NULL) != MF_OK)
            return 1;
    }
    threads_rest();
    (void)!write(STDERR_FILENO, "idle begins\n", 12);
    nanosleep(&span, NULL);
    (void)!write(STDERR_FILENO, "idle ends\n", 10);
    mfi_redis_destroy(redis, 0);
    fake_redis_stop(&server);
    return 0;
}
