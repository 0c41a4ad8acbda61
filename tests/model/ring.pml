/* model/ring.pml: lib/queue/ring.c, each operation on a shared word one step, memory sequentially consistent.
 *
 * Properties  nobody is in a cell together with another; each pushed item comes out once, and none else; a popper that
 *             begins when a push has returned, with nobody else popping, finds something.
 * Variants    NO_BUSY: a pusher writes without making the cell busy first. STORE_RELEASE: a held cell is left by storing
 *             its lap instead of adding to it. Both break a property.
 */
#ifndef CELLS
#define CELLS 2
#endif
#define EACH 2      /* at most, per pusher: to number the items */

#define FREE 0
#define BUSY 1
#define FULL 2
#define HELD 3

byte tail, head;
byte lap[CELLS], kind[CELLS], item[CELLS], inside[CELLS];
byte in, out;                      /* pushes that succeeded, items that came out */
byte seen[5];

#define cell_of(t) ((t) % CELLS)
#define lap_of(t)  ((t) / CELLS)

inline enter(c) { inside[c]++; assert(inside[c] == 1) }
inline exit(c)  { inside[c]-- }

/* Leave a held cell: the lap that others have raised, plus one. */
inline release(c, mine)
{
#ifdef STORE_RELEASE
    atomic { exit(c); lap[c] = mine + 1; kind[c] = FREE }
#else
    atomic { exit(c); lap[c] = lap[c] + 1; kind[c] = FREE }
#endif
}

proctype pusher(byte me; byte times)
{
    byte n, t, h, c, value;
    bool put, is_full;
    do
    :: n < times ->
       n++;
       value = me * EACH + n;
       put = false;
       is_full = false;
       do
       :: put || is_full -> break
       :: else ->
          h = head;
          /* The ticket: one compare-and-swap that found tail and an earlier head. */
          atomic {
              if
              :: tail - h >= CELLS -> is_full = true
              :: else -> t = tail; tail++; c = cell_of(t)
              fi
          };
          if
          :: is_full -> skip
          :: else ->
             if
#ifdef NO_BUSY
             :: atomic { kind[c] == FREE && lap[c] <= lap_of(t) -> skip };
                enter(c);
                item[c] = value;
                exit(c);
                atomic {
                    if
                    :: kind[c] == FREE && lap[c] <= lap_of(t) -> kind[c] = FULL; lap[c] = lap_of(t); put = true; in++
                    :: else -> skip
                    fi
                }
#else
             :: atomic { kind[c] == FREE && lap[c] <= lap_of(t) -> kind[c] = BUSY; lap[c] = lap_of(t); enter(c) };
                item[c] = value;
                if
                :: atomic { kind[c] == BUSY && lap[c] == lap_of(t) -> kind[c] = FULL; put = true; in++; exit(c) }
                :: atomic { else -> assert(kind[c] == HELD) }; release(c, lap_of(t))
                fi
#endif
             :: atomic { else -> skip }
             fi
          fi
       od
    :: else -> break
    od
}

inline take_one()
{
    got = false;
    end_at = tail;
    do
    :: got -> break
    :: !got && head >= end_at -> break
    :: else ->
       atomic { t = head; if :: t < end_at -> head++ :: else -> goto again fi };
       c = cell_of(t);
       if
       :: atomic { lap[c] > lap_of(t) -> skip }
       :: atomic { lap[c] <= lap_of(t) && kind[c] == FREE -> lap[c] = lap_of(t) + 1 }
       :: atomic { lap[c] <= lap_of(t) && kind[c] == FULL -> kind[c] = HELD; lap[c] = lap_of(t); enter(c) };
          value = item[c];
          release(c, lap_of(t));
          got = true
       :: atomic { lap[c] <= lap_of(t) && (kind[c] == BUSY || kind[c] == HELD) -> kind[c] = HELD; lap[c] = lap_of(t) }
       fi;
again: skip
    od
}

proctype popper(byte times)
{
    byte n, t, c, value, end_at;
    bool got;
    do
    :: n < times ->
       n++;
       take_one();
       if
       :: got -> atomic { seen[value]++; assert(seen[value] == 1); out++ }
       :: else -> skip
       fi
    :: else -> break
    od
}

init {
    byte t, c, value, end_at;
    bool got;
    atomic { run pusher(0, 2); run pusher(1, 1); run popper(1); run popper(1) }
    _nr_pr == 1;
    /* All is quiet: what is left comes out, and then everything has. */
    do
    :: take_one();
       if
       :: got -> seen[value]++; assert(seen[value] == 1); out++
       :: else -> break
       fi
    od;
    assert(in == out)
}
