/* model/fork_join.pml: the split deque of lib/pool/fork_join.c: one worker with spawns, two that take some and sleep.
 *
 * The worker spawns SPAWNS spawns, then stays until somebody took one (nobody but a thief can run it meanwhile), and only then
 * syncs; twice, so that slots are used again. Thieves sleep by the doorbell, of which one flag each is left here. Properties:
 * every spawn ran once before its sync is over; a thief that found a spawn is told neither too early nor twice that the slot is
 * its own; nobody sleeps for ever, the worker neither.
 * Variants  FORGET: moving split down takes back what was asked in this moment. NO_I3: no look before the sleep. ASK_FIRST: I2 and I3 before I1. PLAIN_P1: split is moved up by a load and a
 *           store. PLAIN_BACK: it is moved down so. EARLY_DONE: a thief says DONE before the value is there. NO_WAITING: it
 *           does not look for WAITING.
 */
#define SPAWNS 3
#define THIEVES 2
#define FREE 0
#define TAKEN 1
#define DONE 2

byte tail, split_public;           /* one word in the code: always written in one step here, but by variants */
bool asked, over;
byte state[SPAWNS];
bool waiting[SPAWNS];               /* state's second bit */
byte ran[SPAWNS];
bool listed[THIEVES];
bool token;                        /* in the worker's bed */

inline ring()
{
    atomic {
        if
        :: listed[0] -> listed[0] = false
        :: !listed[0] && listed[1] -> listed[1] = false
        :: else -> skip
        fi
    }
}

/* The word in which the worker sees split and `asked`. */
inline set_split()
{
    atomic { was = asked; asked = false };
#ifndef FORGET
    if
    :: was -> asked = true
    :: else -> skip
    fi
#endif
}

inline publish(end)
{
    if
    :: end > split ->
       given = (end - split + 1) / 2;
       split = split + given;
#ifdef PLAIN_P1
       word = tail;
       atomic { split_public = split; tail = word };
#else
       split_public = split;                                /* P1: fetch_add, which leaves tail as it is */
#endif
       asked = false;                                       /* P2 */
       ring()                                               /* P3 */
    :: else -> skip
    fi
}

proctype worker()
{
    byte top, split, given, word, round;
    bool stolen, was;
    do
    :: round == 2 -> break
    :: round < 2 ->
       do
       :: top == SPAWNS -> break
       :: top < SPAWNS ->
          ran[top] = 0;
          top++;
          if
          :: asked -> publish(top)
          :: else -> skip
          fi
       od;
       do
       :: tail > 0 -> break
       :: asked && tail == 0 -> publish(top); if :: tail > 0 -> break :: tail == 0 && split == top -> (tail > 0); break :: else -> skip fi
       od;
       do
       :: top == 0 -> break
       :: top > 0 ->
          top--;
          stolen = false;
          if
          :: asked -> publish(top)
          :: else -> skip
          fi;
          if
          :: top >= split -> skip
          :: else ->
#ifdef PLAIN_BACK
             word = tail;
             if
             :: word <= top -> split = word + (top - word) / 2; atomic { split_public = split; tail = word }
             :: else -> stolen = true
             fi;
#else
             atomic {
                 if
                 :: tail <= top -> split = tail + (top - tail) / 2; split_public = split
                 :: else -> stolen = true
                 fi
             };
#endif
             if
             :: !stolen -> set_split()
             :: else -> skip
             fi
          fi;
          if
          :: !stolen -> ran[top]++
          :: else ->
             do
             :: state[top] == DONE -> break
             :: state[top] == TAKEN ->
                atomic {                                    /* I1; DONE in this moment: no sleep */
                    if
                    :: state[top] == TAKEN -> waiting[top] = true
                    :: else -> skip
                    fi
                };
                if
                :: waiting[top] -> token -> token = false   /* its thief has no spawns here: I2, I3 are the thieves' */
                :: else -> skip
                fi;
                waiting[top] = false
             od;
             state[top] = FREE;
             atomic { tail = top; split_public = top };
             split = top;
             set_split()
          fi;
          assert(ran[top] == 1)
       od;
       round++
    od;
    over = true;
    atomic { listed[0] = false; listed[1] = false }
}

proctype thief(byte me)
{
    byte mine;
    bool got, tell;
    do
    :: over -> break
    :: !over ->
       atomic {
           got = tail < split_public;
           if
           :: got -> mine = tail; tail++
           :: else -> skip
           fi
       };
       if
       :: !got -> asked = true                              /* while it still searches */
       :: else -> skip
       fi;
       if
       :: got ->
          assert(state[mine] == FREE);
          state[mine] = TAKEN;
#ifndef EARLY_DONE
          ran[mine]++;
#endif
          atomic { tell = waiting[mine]; state[mine] = DONE };
#ifdef EARLY_DONE
          ran[mine]++;
#endif
#ifndef NO_WAITING
          if
          :: tell -> token = true
          :: else -> skip
          fi
#endif
       :: else ->
#ifdef ASK_FIRST
          asked = true;
          got = tail < split_public;
          listed[me] = true;
#else
          listed[me] = true;                                /* I1 */
          asked = true;                                     /* I2 */
#ifndef NO_I3
          got = tail < split_public;                        /* I3 */
#endif
#endif
          if
          :: got || over -> listed[me] = false
          :: else ->
end_asleep:  !listed[me]                                    /* I4 */
          fi
       fi
    od
}

init {
    atomic { run worker(); run thief(0); run thief(1) }
    timeout;
    assert(over)
}
