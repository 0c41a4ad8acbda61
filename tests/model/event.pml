/* model/event.pml: lib/sync/event.c. Two waiters, two changers that each make the condition true for one of them.
 *
 * Store buffers as in doorbell.pml. Property: when nothing moves any more, nobody waits.
 * Variants  WEAK_C1, WEAK_W1: an order weakened. NO_EPOCH: sleep without comparing the epoch.
 */
#define WAITERS 2
#define THREADS 4
#define CHANGED 1
#define WAITING 2

byte value, waiters, epoch, through;
byte buffer[THREADS];
byte sleeping;

#define write(t, what) atomic { buffer[t] == 0 -> buffer[t] = what }
#define flushed(t)     (buffer[t] == 0)

active proctype memory()
{
    byte t;
end:
    do
    :: atomic {
           (buffer[0] || buffer[1] || buffer[2] || buffer[3]) ->
           if
           :: buffer[0] -> t = 0
           :: buffer[1] -> t = 1
           :: buffer[2] -> t = 2
           :: buffer[3] -> t = 3
           fi;
           if
           :: buffer[t] == CHANGED -> value++
           :: buffer[t] == WAITING -> waiters++
           fi;
           buffer[t] = 0
       }
    od
}

proctype waiter(byte me)
{
    byte seen;
    bool there = false;
    do
    :: there -> break
    :: !there ->
       write(me, WAITING);                    /* W1 */
#ifndef WEAK_W1
       flushed(me);
#endif
       seen = epoch;
       if
       :: value > me -> there = true          /* W2: waiter 0 wants one change, waiter 1 both */
       :: value <= me ->
#ifdef NO_EPOCH
          atomic { seen = epoch };
#endif
end_asleep: (epoch != seen)                   /* W3: the kernel compares, and wakes at each change of the epoch */
       fi;
       flushed(me);
       waiters--
    od;
    through++
}

proctype changer(byte me)
{
    write(me, CHANGED);                       /* C1 */
#ifndef WEAK_C1
    flushed(me);
#endif
    if
    :: waiters > 0 -> epoch++                 /* C2, C3 */
    :: else -> skip
    fi
}

init {
    atomic { run waiter(0); run waiter(1); run changer(2); run changer(3) }
    timeout;
    assert(through == WAITERS)
}
