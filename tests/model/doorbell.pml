/* model/doorbell.pml: lib/sync/doorbell.c, with the idle loop of lib/pool/worker.c around it.
 *
 * Each thread has a store buffer: what it writes reaches memory at some later moment, of memory()'s choosing. A seq_cst
 * operation and a barrier wait for that before the thread reads on; a weakened one (-DWEAK_…) does not. That is the one
 * reordering that matters here: write one word, then read another. The barrier for all threads waits for the buffer of each, one
 * after the other. -DWITHOUT is the way without it: S1 is seq_cst.
 *
 * Property  when nothing moves any more, every job has run: nobody sleeps with a job there. And no count goes below zero.
 *           The first job to run waits for a second one, so a worker that is awake does not make up for one that is not.
 * Variants  NO_EVERYWHERE, NO_HERE: the barrier behind W1 or before S3 left out. OLD_S3: what S2 read is good enough. WEAK_F1,
 *           and without the barriers WEAK_S1, WEAK_W1: an order weakened. NO_W2, NO_F2: a look left out. LATE_COUNT: a sleeper
 *           is told before it is counted as searching. BARRIER_ONCE: what passed before the list was empty
 *           counts. Each loses a wake-up or a count; check.sh expects them to.
 */
#if defined(WEAK_S1) || defined(WEAK_W1)
#define WITHOUT
#endif
#define WORKERS    2
#define SUBMITTERS 2
#ifndef JOBS_EACH
#define JOBS_EACH  1
#endif
#define THREADS    (WORKERS + SUBMITTERS)

#define NOTHING  0
#define PUBLISH  1      /* S1: a job more */
#define LIE_DOWN 2      /* W1: a sleeper more */
#define LIE_DOWN_SEARCHING 3
#define FOUND    4      /* F1: a searcher less */

#define AWAKE  0
#define LISTED 1
#define RUNG   2

byte queue, searching, sleepers, ran;
byte period = 1, passed;
byte state[WORKERS];
byte buffer[THREADS];
bool last[THREADS];      /* what the operation F1 returned */
bool locked;

#define lock()   atomic { !locked -> locked = true }
#define unlock() locked = false

#define write(t, what)    atomic { buffer[t] == NOTHING -> buffer[t] = what }
#define flushed(t)        (buffer[t] == NOTHING)

inline everywhere()
{
    flushed(0); flushed(1); flushed(2); flushed(3)
}

active proctype memory()
{
    byte t;
end:
    do
    :: atomic {
           (buffer[0] != NOTHING || buffer[1] != NOTHING || buffer[2] != NOTHING || buffer[3] != NOTHING) ->
           if
           :: buffer[0] != NOTHING -> t = 0
           :: buffer[1] != NOTHING -> t = 1
           :: buffer[2] != NOTHING -> t = 2
           :: buffer[3] != NOTHING -> t = 3
           fi;
           if
           :: buffer[t] == PUBLISH -> queue++
           :: buffer[t] == LIE_DOWN -> sleepers++
           :: buffer[t] == LIE_DOWN_SEARCHING -> assert(searching > 0); searching--; sleepers++
           :: buffer[t] == FOUND -> assert(searching > 0); last[t] = (searching == 1 && sleepers > 0); searching--
           fi;
           buffer[t] = NOTHING
       }
    od
}

/* Leave the list; under the lock. Whoever does as the last one ends a period. */
inline leave_list(who, why)
{
    atomic {
        state[who] = why;
#ifndef WITHOUT
        if
        :: state[0] != LISTED && state[1] != LISTED -> period++
        :: else -> skip
        fi
#endif
    }
}

inline wake_one()
{
    lock();
    if
    :: atomic { sleepers > 0 && searching == 0 ->
           if
           :: state[0] == LISTED -> chosen = 0
           :: state[1] == LISTED -> chosen = 1
           fi;
#ifdef LATE_COUNT
           skip }
       leave_list(chosen, RUNG);
       atomic { sleepers--; searching++ }
#else
           sleepers--; searching++ }
       leave_list(chosen, RUNG)
#endif
    :: atomic { else -> skip }
    fi;
    unlock()
}

/* mfi_doorbell_wake: whether or not somebody searches. */
inline wake_more()
{
    lock();
    if
    :: atomic { sleepers > 0 ->
           if
           :: state[0] == LISTED -> chosen = 0
           :: state[1] == LISTED -> chosen = 1
           fi;
           sleepers--; searching++ }
       leave_list(chosen, RUNG)
    :: atomic { else -> skip }
    fi;
    unlock()
}

inline ring(me)
{
    /* S2 and S3: each one load of both counts. */
    if
    :: atomic { sleepers == 0 -> skip }
#ifdef OLD_S3
    :: atomic { sleepers > 0 && searching > 0 -> skip }
    :: atomic { sleepers > 0 && searching == 0 -> skip };
#else
    :: atomic { sleepers > 0 -> skip };
#endif
#if !defined(WITHOUT) && !defined(NO_HERE)
       flushed(me);
#endif
       if
       :: atomic { sleepers > 0 && searching == 0 -> skip }; wake_one()
       :: atomic { else -> skip }
       fi
    fi
}

proctype submitter(byte me)
{
    byte n, chosen;
    do
    :: n < JOBS_EACH ->
       n++;
       write(me, PUBLISH);
#if defined(WITHOUT) && !defined(WEAK_S1)
       flushed(me);
#endif
       ring(me)
    :: else -> break
    od
}

proctype worker(byte me)
{
    byte chosen, mine;
    bool search = false, got;
    do
    :: got = false;
       if
       :: atomic { queue > 0 -> queue--; got = true }
       :: atomic { queue == 0 -> skip }
       fi;
       if
       :: got && search ->
          search = false;
          write(me, FOUND);
#ifdef WEAK_F1
          last[me] = true;
#else
          flushed(me);
#endif
#ifndef NO_F2
          if
          :: last[me] && queue > 0 -> ring(me)
          :: queue > 0 -> wake_more()
          :: !last[me] || queue == 0 -> skip
          fi;
#endif
          ran++;
          (ran > 1)                       /* the job */
       :: got && !search -> ran++; (ran > 1)
       :: !got && !search && 2 * searching < WORKERS -> atomic { searching++; search = true }
       :: !got ->
          lock();
          state[me] = LISTED;
          if
          :: search -> write(me, LIE_DOWN_SEARCHING)
          :: else -> write(me, LIE_DOWN)
          fi;
#ifndef WEAK_W1
          flushed(me);
#endif
#ifdef WITHOUT
          unlock();
#else
          atomic { mine = period; locked = false };
#endif
#if !defined(WITHOUT) && !defined(NO_EVERYWHERE)
          if
#ifdef BARRIER_ONCE
          :: atomic { passed != 0 -> skip }
#else
          :: atomic { passed == mine -> skip }
#endif
          :: else ->
             everywhere();
             passed = mine
          fi;
          mine = 0;
#endif
          if
#ifndef NO_W2
          :: queue > 0 ->
             flushed(me);
             lock();
             if
             :: atomic { state[me] == LISTED -> sleepers--; searching++ }; leave_list(me, AWAKE)
             :: else -> skip
             fi;
             unlock()
          :: queue == 0 ->
#else
          :: true ->
#endif
end_asleep:  state[me] == RUNG
          fi;
          search = true
       fi
    od
}

init {
    atomic { run worker(0); run worker(1); run submitter(2); run submitter(3) }
    timeout;
    assert(queue == 0 && ran == SUBMITTERS * JOBS_EACH)
}
