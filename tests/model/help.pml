/* model/help.pml: mf_pool_help_until and mf_pool_wake_helpers of lib/pool/help.c.
 *
 * The condition is the caller's: written and read with no order at all, so its write sits in a buffer until the thread's
 * next read-modify-write, or until memory() pleases. Property: when nothing moves any more, both helpers are through.
 * Variants  LOAD_ONLY: C2 only loads the helpers. NO_H2: no second look.
 */
#define HELPERS 2

bool condition, buffered;      /* C1 is in the changer's buffer */
byte helpers, through;
bool listed[HELPERS];

active proctype memory()
{
end:
    do
    :: atomic { buffered -> condition = true; buffered = false }
    od
}

proctype helper(byte me)
{
    bool done = false;
    do
    :: done -> break
    :: !done ->
       listed[me] = true;                 /* lie down, under the bell's lock */
       helpers++;                         /* H1 */
#ifndef NO_H2
       done = condition;                  /* H2 */
#endif
       if
       :: done -> listed[me] = false
       :: else ->
end_asleep: !listed[me];                  /* H3 */
          done = condition
       fi;
       helpers--
    od;
    through++
}

proctype changer()
{
    byte seen, i;
    buffered = true;                      /* C1 */
#ifdef LOAD_ONLY
    seen = helpers;
#else
    atomic {                              /* C2: what was written before goes first */
        if
        :: buffered -> condition = true; buffered = false
        :: else -> skip
        fi;
        seen = helpers
    };
#endif
    if
    :: seen > 0 ->                        /* C3 */
       atomic { listed[0] = false; listed[1] = false }
    :: else -> skip
    fi
}

init {
    atomic { run helper(0); run helper(1); run changer() }
    timeout;
    assert(through == HELPERS)
}
