/* How a lock is given back: by a store that waits in its processor's buffer, while others turn to sleep and it turns to and fro.
 * SPDX-License-Identifier: MIT
 *
 * src/sync/mode.h as a model, and what lock.c and guard.c make of it. Each step between two semicolons outside of atomic{} is one
 * access of the code. The quick release goes to `pending`, from where it reaches the word at any time later, unless the processor
 * passes a fence: an own compare-and-swap, or the barrier of somebody else. Checked: two are never inside at once, and nobody sleeps
 * for ever (spin calls it an invalid end state); nobody dies and there are no slices here. What a death changes is in lock.pml.
 *
 * run.sh beside this file runs it. BROKEN=1 to 6 are mistakes that it must find.
 */
#ifndef N
#define N 2
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#ifndef TURNS                 /* back to QUICK, at most */
#define TURNS 1
#endif
#ifndef BROKEN
#define BROKEN 0
#endif

#define QUICK 0
#define TURNING 1
#define CHECKED 2

byte owner;            /* the word: owner thread, 0 free */
bit mark;              /* the word: somebody may sleep */
byte mode;             /* the mode: its state */
byte turn;             /* the mode: number of its turn */
bit pending[N + 1];    /* the store of 0 to the word is in the buffer */
bit sleeping[N + 1];   /* in the futex's queue */
byte inside;           /* ghost: in the critical section */

inline wake_one() {
    if
    :: sleeping[1] -> sleeping[1] = 0
    :: sleeping[2] -> sleeping[2] = 0
#if N >= 3
    :: sleeping[3] -> sleeping[3] = 0
#endif
    :: else
    fi
}

proctype buffers() {
end:
    do
    :: atomic { pending[1] -> owner = 0; mark = 0; pending[1] = 0 }
    :: atomic { pending[2] -> owner = 0; mark = 0; pending[2] = 0 }
#if N >= 3
    :: atomic { pending[3] -> owner = 0; mark = 0; pending[3] = 0 }
#endif
    od
}

proctype user(byte me) {
    byte seen, round, number;
    bit slept, is_quick, was_marked, old_mark, is_late;

    do
    :: round == ROUNDS -> break
    :: else ->
       round++; slept = 0; is_quick = 0; is_late = 0;
again:
       pending[me] == 0;
       atomic {                                  /* one CAS on the word; the quick one wants it to be 0 */
           if
#if BROKEN == 6                                  /* 6: quick although somebody sleeps, or I have */
           :: owner == 0 -> is_quick = 1; owner = me; mark = mark | slept; goto taken
#else
           :: owner == 0 -> is_quick = !mark && !slept; owner = me; mark = mark | slept; goto taken
#endif
           :: else -> seen = owner; old_mark = mark
           fi
       }
turning:
       if
       :: atomic { mode == CHECKED -> goto checked }
       :: atomic { mode == QUICK -> mode = TURNING; number = turn }
       :: atomic { mode == TURNING -> number = turn }
       fi;
#if BROKEN != 1                                  /* 1: no barrier */
       pending[1] == 0;
       pending[2] == 0;
#if N >= 3
       pending[3] == 0;
#endif
#endif
       atomic {
           if
           :: mode == TURNING && turn == number -> mode = CHECKED
           :: else -> goto turning
           fi
       };
checked:
       if
       :: is_late -> is_late = 0; atomic { wake_one() }; goto again
       :: else
       fi;
       atomic {
           if
           :: old_mark                           /* it is there already: the futex will tell whether it still is */
           :: !old_mark && owner == seen && !mark -> mark = 1
           :: else -> goto again
           fi
       };
#if BROKEN != 4                                  /* 4: no second look at the mode */
       if                                        /* the mark came too late: others may have taken it for theirs, and sleep */
#if BROKEN == 5                                  /* 5: what is that to me */
       :: mode != CHECKED -> goto again
#else
       :: mode != CHECKED -> is_late = 1; goto turning
#endif
       :: else
       fi;
#endif
       atomic {                                  /* futex: sleep while the word is as seen */
           if
           :: owner == seen && mark -> sleeping[me] = 1
           :: else -> slept = 1; goto again
           fi
       };
       atomic { !sleeping[me] -> slept = 1; goto again };
taken:
       atomic {
           assert(inside == 0); inside++;
           is_quick = is_quick && mode == QUICK; number = turn;
           seen = 0; old_mark = 0; slept = 0; is_late = 0
       };
       inside--;
       if
       :: is_quick && mode == QUICK && turn == number ->
          pending[me] = 1;                       /* the store */
          if
#if BROKEN == 2                                  /* 2: no look after the store */
          :: true
#elif BROKEN == 3                                /* 3: turns are not counted */
          :: mode == QUICK
#else
          :: mode == QUICK && turn == number
#endif
          :: else -> pending[me] == 0; atomic { wake_one() }
          fi
       :: else ->
          if
          :: mode == CHECKED && !mark && turn < TURNS -> atomic { mode = QUICK; turn++ }
          :: true
          fi;
          atomic { was_marked = mark; owner = 0; mark = 0 };
          if
          :: was_marked -> atomic { wake_one() }
          :: else
          fi
       fi
    od
}

init {
    byte i = 1;
    atomic {
        do
        :: i <= N -> run user(i); i++
        :: else -> run buffers(); break
        od
    }
}
