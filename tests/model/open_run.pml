/* model/open_run.pml: lib/queue/open_run.c: an owner that fills and takes, thieves that ask and take.
 *
 * What the owner writes without a barrier (taken, the word of a new filling) goes through a store buffer, first in first out, and
 * reaches memory at moments of memory()'s choosing; it reads its own writes at once. Slots it writes may be seen at once. A thief's
 * operations on the word are compare-and-swaps: in memory. Its barrier for all threads waits until the buffer was empty once.
 *
 * Property  each item is taken once, by whoever copied that very item; in the end all were.
 * Variants  NO_BARRIER: K2 without the barrier. COUNT_FIRST: K2 before K1. NO_O2: the owner does not look again. STORE_K3: K3 as a store.
 *           NO_NUMBER: taken without the number of its filling. SAME_NUMBER: a filling has the number of the one before. COPY_LATE: S1 after S2. NO_FIRST: the owner, losing K3, takes the
 *           slot for its own. Each breaks the property.
 */
#define FILLINGS 2
#define N        2
#define THIEVES  2
#define ITEMS    4      /* FILLINGS * N */

#define OWNERS 0
#define ASKED  1
#define SHARED 2

typedef Word { byte number, state, first, begin, end };

Word word;
byte taken, taken_number;
byte slot[N];                /* which item */
byte seen[ITEMS];
bool over;

#define TAKEN 0
#define FILL  1
chan buffer = [4] of { byte, byte };
byte words_waiting;          /* fillings in the buffer */

active proctype memory()
{
    byte what, value;
end:
    do
    :: atomic { buffer ? what, value ->
           if
           :: what == TAKEN -> taken = value % 8; taken_number = value / 8
           :: what == FILL -> word.number = value; word.state = OWNERS; word.first = 0; word.begin = 0; word.end = N; words_waiting--
           fi
       }
    od
}

inline count_taken(filling)
{
#ifdef NO_NUMBER
    count = taken
#else
    atomic { count = (taken_number == filling -> taken : N) }
#endif
}

/* What a thread no longer needs is the same in all states: there are fewer then. */
inline got(item)
{
    atomic { seen[item]++; assert(seen[item] == 1); copy = 0; begin = 0; number = 0 }
}

/* S1 and S2 of one item, for owner and thief. */
inline take_shared()
{
    do
    :: atomic { word.state == SHARED && word.begin < word.end -> number = word.number; begin = word.begin };
#ifndef COPY_LATE
       copy = slot[begin];
#endif
       if
       :: atomic { word.number == number && word.state == SHARED && word.begin == begin -> word.begin++ };
#ifdef COPY_LATE
          copy = slot[begin];
#endif
          assert(copy < ITEMS);
          got(copy);
          break
       :: atomic { else -> copy = 0; begin = 0; number = 0 }
       fi
    :: atomic { else -> skip }; break
    od
}

proctype owner()
{
    byte f, t, mine, number, begin, copy;
    bool none;
    do
    :: f < FILLINGS ->
       /* F1 to F3; all that came before is taken. */
       slot[0] = f * N;
       slot[1] = f * N + 1;
#ifdef SAME_NUMBER
       mine = 1;
#else
       mine = f + 1;
#endif
       buffer ! TAKEN, mine * 8;
       atomic { words_waiting++; buffer ! FILL, mine; f++; t = 0; none = false };
       do
       :: none -> break
       :: else ->
          if
          :: atomic { words_waiting > 0 || word.state == OWNERS -> skip };
             if
             :: t == N -> none = true
             :: else ->
                buffer ! TAKEN, mine * 8 + t + 1;                                        /* O1 */
                if
                :: atomic { words_waiting > 0 || word.state == OWNERS -> skip };      /* O2 */
                   got(slot[t])
#ifdef NO_O2
                :: atomic { else -> skip };
                   got(slot[t])
#else
                :: atomic { else -> skip };
                   /* The compare-and-swap of O3 is behind all that is in the buffer. */
                   atomic { empty(buffer) -> skip };
                   if
                   :: atomic { word.state == ASKED -> word.state = SHARED; word.first = t + 1; word.begin = t + 1 };
                      got(slot[t])
                   :: atomic { else -> skip };
                      if
#ifdef NO_FIRST
                      :: true -> got(slot[t])
#else
                      :: word.first == t + 1 -> got(slot[t])
                      :: else -> take_shared()
#endif
                      fi
                   fi
#endif
                fi;
                t++
             fi
          :: atomic { else -> skip };
             atomic { empty(buffer) -> skip };
             atomic {
                 if
                 :: word.state == ASKED -> word.state = SHARED; word.first = t; word.begin = t
                 :: else -> skip
                 fi
             };
             take_shared();
             if
             :: atomic { word.begin == word.end -> none = true }
             :: atomic { else -> skip }
             fi
          fi
       od
    :: else -> break
    od;
    over = true
}

proctype thief()
{
    byte number, begin, copy, count, asked;
    do
    :: over -> break
    :: atomic { word.state == OWNERS && word.number > 0 -> asked = word.number };
#ifdef COUNT_FIRST
       count_taken(word.number);
#endif
       /* K1. */
       if
       :: atomic { word.state == OWNERS && word.number == asked -> word.state = ASKED; asked = 0 }
       :: atomic { else -> asked = 0 }
       fi
    :: atomic { word.state == ASKED -> asked = word.number };
#ifndef NO_BARRIER
       atomic { empty(buffer) -> skip };
#endif
#ifndef COUNT_FIRST
       count_taken(asked);                                                    /* K2 */
#endif
       /* K3. */
       if
#ifdef STORE_K3
       :: atomic { word.state = SHARED; word.number = asked; word.first = count; word.begin = count }
#else
       :: atomic { word.state == ASKED && word.number == asked -> word.state = SHARED; word.first = count; word.begin = count; count = 0; asked = 0 }
       :: atomic { else -> count = 0; asked = 0 }
#endif
       fi
    :: word.state == SHARED -> take_shared()
    od
}

init {
    byte i;
    slot[0] = ITEMS; slot[1] = ITEMS;
    atomic { run owner(); run thief(); run thief() }
    over && _nr_pr == 2;      /* memory and this */
    for (i : 0 .. ITEMS - 1) { assert(seen[i] == 1) }
}
