/* model/mutex.pml: lib/sync/mutex.c. Three threads that each take and give the lock twice.
 *
 * The orders are acquire and release on one word that is only exchanged, so that memory needs no buffers here. Property: one
 * thread is inside, and when nothing moves any more all have been through: nobody sleeps for a lock that is free.
 * Variants  AWAKE_AS_ONE: who slept goes on to hold with 1, as who did not. NO_COMPARE: sleep whatever the word is.
 */
#define THREADS 3
#define ROUNDS  2

byte word, inside, through;
bool asleep[THREADS];

inline exchange(new, old) { atomic { old = word; word = new } }

proctype thread(byte me)
{
    byte round, old;
    for (round : 1 .. ROUNDS) {
        atomic { old = word; if :: word == 0 -> word = 1 :: else -> skip fi }
        do
        :: old == 0 -> break
        :: old != 0 ->
           exchange(2, old);
           if
           :: old == 0 -> break
           :: old != 0 ->
              atomic {                         /* the kernel compares and sleeps in one step */
#ifdef NO_COMPARE
                  asleep[me] = true
#else
                  if :: word == 2 -> asleep[me] = true :: else -> skip fi
#endif
              }
end_asleep:   !asleep[me]
#ifdef AWAKE_AS_ONE
              ; atomic { old = word; if :: word == 0 -> word = 1 :: else -> skip fi }
#endif
           fi
        od;
        inside++;
        assert(inside == 1);
        inside--;
        exchange(0, old);
        if
        :: old == 2 ->
           atomic {
               if
               :: asleep[0] -> asleep[0] = false
               :: asleep[1] -> asleep[1] = false
               :: asleep[2] -> asleep[2] = false
               :: else -> skip
               fi
           }
        :: else -> skip
        fi
    }
    through++
}

init {
    atomic { run thread(0); run thread(1); run thread(2) }
    timeout;
    assert(through == THREADS)
}
