/* support/fault_proxy.h: a proxy between a client and a server on loopback, that delays, drips, freezes, truncates and cuts
 * whatever passes. One thread; each connection gets one of its own to the server. */
#ifndef MFT_FAULT_PROXY_H
#define MFT_FAULT_PROXY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum fault {
    FAULT_NONE,
    FAULT_DELAY,        /* everything comes 5 ms late, in lumps */
    FAULT_DRIP,         /* a byte at a time */
    FAULT_FREEZE,       /* nothing passes, and nothing is closed */
    FAULT_TRUNCATE,     /* of what comes next half passes, then both sides are closed; once */
    FAULT_CUT           /* both sides are closed; once */
} fault;

enum { FAULT_PAIRS = 16, FAULT_BUFFER = 1 << 16 };

typedef struct fault_pair {
    int    fd[2];                           /* the client's, the server's; -1: none */
    size_t len[2];                          /* what came from each and has not passed */
    char   buffer[2][FAULT_BUFFER];
} fault_pair;

typedef struct fault_proxy {
    uint16_t    port, target;
    int         fd, wake[2];
    pthread_t   thread;
    atomic_int  mode;
    atomic_bool stopping;
    fault_pair  pairs[FAULT_PAIRS];
} fault_proxy;

void fault_proxy_start(fault_proxy *p, uint16_t target);
void fault_proxy_set(fault_proxy *p, fault mode);
void fault_proxy_stop(fault_proxy *p);

#endif
