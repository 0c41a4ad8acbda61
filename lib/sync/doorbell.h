/* sync/doorbell.h: idle workers sleep; somebody with a job wakes one of them, and none while another is searching.
 *
 * A worker is in one of three states: working (not counted), searching (looking for a job, so that nobody needs to be
 * woken), asleep (in the list). One word counts the last two, so that whoever rings decides with a single load.
 *
 *    submitter                            worker that found nothing
 *    S1  publish the job                  W1  searching -= 1, sleepers += 1    (one operation)
 *    S2  read the word: nobody sleeps:        and a barrier for all threads (sync/barrier.h), unless
 *        done                                 one has passed since somebody sleeps
 *        a barrier of one's own           W2  look for a job once more
 *    S3  read the word again; wake one    worker that found one
 *        when sleepers > 0,               F1  searching -= 1
 *        searching == 0                   F2  was the last and others sleep: look for another job, ring if there is one
 *
 * Invariant  for every published job: S3 wakes somebody, or somebody awake looks for jobs after it was published.
 * Why        each side writes one word, then reads the other's; under acquire and release both reads may return the old value, and
 *            the job sleeps with the worker. Against W1 and W2 their barrier orders S1 before S2: a worker that S2 did not see
 *            asleep sees the job in its W2. Against F1 and F2 the barrier between S2 and S3 does: a searcher that S3 saw comes to
 *            its W1 or F1 later, and the look after it sees the job; a last searcher that finds nobody asleep has no F2, but then
 *            S2 came before W1 of whoever sleeps later. One barrier is enough for all who lie down while somebody sleeps without a
 *            break: an S2 behind it sees that one and has the barrier before S3; the S1 of an S2 before it is seen by all who lie
 *            down behind it. W1, F1 and all reads are seq_cst; S1 is mfi_publish, or seq_cst. S1 and the looks are the queue's.
 * Wakes      who is woken counts as searching from the moment it was chosen, before it runs: a burst of submits wakes one
 *            worker, and F2 passes the waking on, from worker to worker, while jobs are left. Whoever knows of a job for each
 *            wakes two (mfi_doorbell_wake): a tree instead of a chain.
 * Progress   mfi_doorbell_ring is one load while nobody sleeps, two and a barrier while somebody searches. Otherwise it takes a mutex for a
 *            few instructions and makes one system call: it is not lock-free, and a thread halted between choosing a
 *            sleeper and waking it leaves the others awake but wakes nobody in its place. Searching workers that are
 *            halted hold wake-ups back in the same way, until they run again.
 * Rejected   S1 seq_cst and no barriers: that is one on each submit, for something that happens now and then. No barrier at S3 but one
 *            for all threads at F2: a worker that keeps up with a submitter is there every few jobs. Waking at every submit (6–9 µs of
 *            the submitter each); polling with short sleeps (an idle pool must make no system call); a sticky "waking" flag cleared by
 *            the woken (loses the wake that comes between its look and its clearing); a semaphore as the list of sleepers (cannot wake
 *            a particular one, and wakes the coldest).
 * Checked    tests/model/doorbell.pml (with store buffers; each order weakened in turn loses a wake-up),
 *            tests/stress/doorbell, tests/stress/idle
 */
#ifndef MFI_DOORBELL_H
#define MFI_DOORBELL_H

#include "parker.h"

#include <pthread.h>

/* How a sleeper was ended. */
typedef enum mfi_wake {
    MFI_WAKE_RUNG,          /* for a job: the sleeper is counted as searching */
    MFI_WAKE_CALLED,        /* by mfi_doorbell_call or _call_helpers: not searching */
    MFI_WAKE_TIMEOUT        /* not searching */
} mfi_wake;

/* I set at init · O its worker only · L under the bell's lock · A atomic */
typedef struct mfi_sleeper {
    mfi_parker          parker;    /* A */
    _Atomic uint32_t    state;     /* A  written under the lock: awake, listed, or how it was ended */
    bool                helper;    /* L  sleeps inside a job, for a condition */
    struct mfi_sleeper *next;      /* L */
    struct mfi_sleeper *prev;      /* L */
} mfi_sleeper;

typedef struct mfi_doorbell {
    MFI_APART(apart_before);
    _Atomic uint64_t counts;       /* A  sleepers << 32 | searching; sleepers changes under the lock only */
    MFI_APART(apart_after);
    pthread_mutex_t  lock;
    mfi_sleeper     *top;          /* L  last to lie down, first to be woken: its cache is the warmest */
    uint64_t         period;       /* L  one more each time that nobody is left in the list */
    _Atomic uint64_t passed;       /* A  the period in which a barrier for all threads came behind a W1, the last one known */
} mfi_doorbell;

/** false: the system has no mutex to give. */
bool mfi_doorbell_init(mfi_doorbell *bell);
/** Nobody may sleep here any more. */
void mfi_doorbell_fini(mfi_doorbell *bell);
void mfi_sleeper_init(mfi_sleeper *s);

/** S2 and S3: wake one sleeper unless somebody searches. Any thread, after the job was published. */
void mfi_doorbell_ring(mfi_doorbell *bell);

/** Wake up to n sleepers, whether or not somebody searches: for one that knows of a job for each. */
void mfi_doorbell_wake(mfi_doorbell *bell, unsigned n);

/** Begin to search, unless half of `workers` are searching already. Lock-free. */
bool mfi_doorbell_search(mfi_doorbell *bell, unsigned workers);
/** F1: stop searching, for whatever reason. True: look for another job (F2), and ring if there is one. Lock-free. */
bool mfi_doorbell_found(mfi_doorbell *bell);

/** W1: join the sleepers; a caller that was searching stops. Then look once more (W2), and go on to exactly one of
 * mfi_doorbell_sleep and mfi_doorbell_get_up. */
void mfi_doorbell_lie_down(mfi_doorbell *bell, mfi_sleeper *self, bool searching, bool helper);
/** Sleep until woken, or CLOCK_MONOTONIC reaches deadline_ns (INT64_MAX: never). */
mfi_wake mfi_doorbell_sleep(mfi_doorbell *bell, mfi_sleeper *self, int64_t deadline_ns);
/** W2 saw something: leave the sleepers. The caller is searching afterwards. */
void mfi_doorbell_get_up(mfi_doorbell *bell, mfi_sleeper *self);

/** Wake this sleeper for another reason than a job, if it is listed. Any thread. */
void mfi_doorbell_call(mfi_doorbell *bell, mfi_sleeper *who);
/** The same for every one that lay down as a helper. */
void mfi_doorbell_call_helpers(mfi_doorbell *bell);
/** The same for all. */
void mfi_doorbell_call_all(mfi_doorbell *bell);

#endif
