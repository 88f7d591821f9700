/* The lock's word: acquire, release, take-over from a dead owner, with a crash at any step.
 * SPDX-License-Identifier: MIT
 *
 * src/sync/guard.c and src/reg/recover.c as a model. Each step between two semicolons outside of atomic{} is one store or one
 * compare-and-swap of the code; `crash` may happen before each of them. Checked: two living processes are never inside at once; a
 * dead owner is told to the next one; without a crash nobody sleeps for ever (then the slices of mp__sleep are switched off), with
 * one everybody gets through in the end.
 *
 * run.sh beside this file runs it. BROKEN=1 and 2 are mistakes that it must find.
 */
#ifndef N
#define N 2
#endif
#ifndef CRASHES
#define CRASHES 1
#endif

#ifndef BROKEN
#define BROKEN 0
#endif

byte owner;            /* the word: owner thread, 0 free */
bit waiters;           /* the word: somebody may sleep */
bit dead;              /* the word: the last owner died in it */
bit holding[N + 1];    /* the holdings entry for this lock */
bit alive[N + 1];
bit sleeping[N + 1];   /* in the futex's queue */
bit finished[N + 1];
bit owed;              /* ghost: an owner died inside, and nobody was told yet */
byte inside;           /* ghost: living processes in the critical section */
byte recovering;       /* who holds the recovery mutex */
byte crashes;

#define may_crash if :: crashes < CRASHES -> goto crash :: true fi
/* A sleeper goes on when it was woken, or, once somebody has died, when its slice is over. */
#define woken (!sleeping[me] || crashes > 0)

inline wake_one() {
    if
    :: sleeping[1] -> sleeping[1] = 0
    :: N >= 2 && sleeping[2] -> sleeping[2] = 0
#if N >= 3
    :: sleeping[3] -> sleeping[3] = 0
#endif
    :: else
    fi
}

proctype user(byte me) {
    byte seen;
    bit told, slept, waiters_before;

    may_crash;
    holding[me] = 1;
    do
    :: may_crash;
       atomic {                                  /* one CAS on the word */
           if
           :: owner == 0 ->
              told = dead; owner = me; dead = 0;
#if BROKEN == 1                                  /* 1: who has slept forgets the others who sleep */
              waiters = 0;
#else
              waiters = waiters | slept;
#endif
              assert(inside == 0);
              inside++;
              assert(!owed || told); owed = 0;
              goto critical
           :: else -> seen = owner; waiters = 1
           fi
       }
       may_crash;
       atomic {                                  /* futex: sleep while the word is as seen */
           if
           :: owner == seen && waiters -> sleeping[me] = 1; slept = 1
           :: else
           fi
       }
       atomic { woken -> sleeping[me] = 0 }
       may_crash;
       if                                        /* recover the owner, when it is dead */
       :: seen != 0 && !alive[seen] && (recovering == 0 || !alive[recovering]) ->
          atomic { (recovering == 0 || !alive[recovering]) -> recovering = me }
          may_crash;
          if
          :: holding[seen] ->
             atomic {                            /* one CAS: only if it is still the dead one's */
                 if
                 :: owner == seen -> owner = 0; waiters_before = 1;
#if BROKEN != 2                                  /* 2: nobody is told that the owner died */
                    dead = 1
#endif
                 :: else
                 fi
             }
             may_crash;
             if
             :: waiters_before -> atomic { wake_one() }; waiters_before = 0
             :: else
             fi;
             may_crash;
             holding[seen] = 0
          :: else
          fi;
          may_crash;
          recovering = 0
       :: else
       fi
    od;

critical:
    if
    :: crashes < CRASHES -> owed = 1; inside--; goto crash
    :: true
    fi;
    atomic {                                     /* release: one exchange */
        waiters_before = waiters;
        inside--;
        owner = 0; waiters = 0
    }
    may_crash;
    holding[me] = 0;
    may_crash;
    if
    :: waiters_before -> atomic { wake_one() }
    :: else
    fi;
    atomic { finished[me] = 1; goto end };

crash:
    atomic { crashes++; alive[me] = 0; sleeping[me] = 0; finished[me] = 1 }
end:
    skip
}

init {
    byte i = 1;
    atomic {
        do
        :: i <= N -> alive[i] = 1; run user(i); i++
        :: else -> break
        od
    }
}

#ifndef SAFE_ONLY
ltl everybody_gets_through { <> (finished[1] && finished[2]
#if N >= 3
    && finished[3]
#endif
    ) }
#endif
