#include "owner.h"

#include <pthread.h>
#include <stdlib.h>

struct owner {
    uint64_t      number;
    struct owner *next;
};

_Thread_local uint64_t mfi_owner_number;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t key;
static bool ready;

static struct owner *owners;      /* all that live; under the lock, as is: */
static uint64_t last;

void mfi_owners_lock(void)
{
    pthread_mutex_lock(&lock);
}

void mfi_owners_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

/* The thread ends. A destructor that comes after this one may still push: it gets a new number. */
static void ended(void *arg)
{
    struct owner *self = arg;
    mfi_owner_number = 0;
    mfi_owners_lock();
    for (struct owner **at = &owners; *at != NULL; at = &(*at)->next)
        if (*at == self) {
            *at = self->next;
            break;
        }
    mfi_owners_unlock();
    free(self);
}

static void begin(void)
{
    ready = pthread_key_create(&key, ended) == 0
         && pthread_atfork(mfi_owners_lock, mfi_owners_unlock, mfi_owners_unlock) == 0;
}

uint64_t mfi_owner_self(void)
{
    if (mfi_owner_number != 0)
        return mfi_owner_number;
    pthread_once(&once, begin);
    /* Not of any queue's allocator: it lives as long as the thread. */
    struct owner *self = ready ? malloc(sizeof *self) : NULL;
    if (self == NULL || pthread_setspecific(key, self) != 0) {
        free(self);
        return 0;
    }
    mfi_owners_lock();
    self->number = ++last;
    self->next = owners;
    owners = self;
    mfi_owners_unlock();
    mfi_owner_number = self->number;
    return self->number;
}

bool mfi_owner_lives(uint64_t number)
{
    const struct owner *at = owners;
    while (at != NULL && at->number != number)
        at = at->next;
    return at != NULL;
}
