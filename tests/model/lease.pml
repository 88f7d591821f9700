/* Leases of a redelivering queue: get, task_done, return and their recovery, with a crash at any step.
 * SPDX-License-Identifier: MIT
 *
 * src/chan/lease.c as a model: MESSAGES lie in the channel, PROCESSES get one after the other and call task_done for it. Each step
 * between two crash points is one store of the code. Checked: a message is got by one process at a time; what a dead one had is
 * got again, what was done is not; each return is counted once, each task_done once; no block is lost or freed in use; the living
 * come to an end.
 *
 * run.sh beside this file runs it. BROKEN=1, 2 and 3 are mistakes that it must find.
 */
#ifndef PROCESSES
#define PROCESSES 2
#endif
#ifndef MESSAGES
#define MESSAGES 2
#endif
#ifndef CRASHES
#define CRASHES 1                     /* less than PROCESSES */
#endif
#ifndef BROKEN
#define BROKEN 0
#endif
#define NONE 15
#define FREE 0                        /* a block's holder: FREE, a process, or */
#define PUBLISHED 9
#define NOBODY 10                     /* a lease's owner: a process, or */
#define RETURNING 11
#define DONE 12

byte holder[MESSAGES];                /* of the messages' blocks, in which the leases lie */
byte owner[MESSAGES];
byte next[MESSAGES];
byte position[MESSAGES];              /* of the head once it was got */

byte first = NONE, last = NONE;       /* the list, under guard */
byte returned, redelivered, next_redelivered, done, next_done;
byte guard;
byte head_guard, head_position, head_next_position;   /* the channel: message n lies at position n */

bit alive[PROCESSES + 1];
bit recovered[PROCESSES + 1];
byte recovering;                      /* who holds the recovery mutex */
byte crashes, ended;

bit is_done[MESSAGES];                /* ghosts */
byte has[MESSAGES];                   /* who has got it and not yet called task_done; 0 nobody */
byte returns;

#define may_crash if :: atomic { crashes < CRASHES -> crashes++; alive[me] = 0 } goto crash :: true fi
#define is_orphan(l) (owner[l] <= PROCESSES && owner[l] != me && !alive[owner[l]])

/* One pass over the list: finish or undo what the dead one had begun. */
inline repair(dead) {
    previous = NONE;
    count = 0;
    l = first;
    do
    :: l == NONE -> break
    :: l != NONE ->
       cut = 0;
       if
#if BROKEN != 1                       /* 1: what was linked, but not got, stays */
       :: position[l] > head_position -> cut = 1
#endif
       :: else ->
          if
          :: owner[l] == RETURNING ->
             redelivered = next_redelivered;
             may_crash;
             atomic { owner[l] = NOBODY; returns++ };
             may_crash
          :: else
          fi;
          if
          :: owner[l] == DONE ->
             holder[l] = dead;
             may_crash;
#if BROKEN == 3                       /* 3: added, not set: done again by who repeats it */
             done++;
#else
             done = next_done;
#endif
             may_crash;
             cut = 1
          :: else -> count = count + (owner[l] == NOBODY -> 1 : 0)
          fi
       fi;
       if
       :: cut ->
          if
          :: previous == NONE -> first = next[l]
          :: else -> next[previous] = next[l]
          fi;
          may_crash
       :: else -> previous = l
       fi;
       l = next[l]
    od;
    last = previous;
    may_crash;
#if BROKEN != 2                       /* 2: the count stays as the dead one left it */
    returned = count;
#endif
    may_crash;
    l = NONE; previous = NONE; count = 0; cut = 0
}

/* The head's holding is the younger one; the heap comes last. */
inline recover(dead) {
    if
    :: head_guard == dead ->
       head_next_position = head_position;
       may_crash;
       head_guard = 0;
       may_crash
    :: else
    fi;
    if
    :: guard == dead ->
       repair(dead);
       guard = 0;
       may_crash
    :: else
    fi;
    i = 0;
    do
    :: i < MESSAGES ->
       if
       :: holder[i] == dead -> holder[i] = FREE; may_crash
       :: else
       fi;
       i++
    :: else -> break
    od;
    i = 0;
    recovered[dead] = 1
}

inline recover_under_mutex(dead) {
    atomic { recovering == 0 || !alive[recovering] -> recovering = me };
    may_crash;
    if
    :: !recovered[dead] -> recover(dead)
    :: else
    fi;
    recovering = 0
}

inline acquire(word) {
    do
    :: atomic { word == 0 -> word = me; break }
    :: word != 0 && !alive[word] -> dead = word;
       if
       :: dead != 0 && !alive[dead] -> recover_under_mutex(dead)
       :: else
       fi;
       dead = 0
    od
}

/* With the guard: what the dead had is nobody's. */
inline return_orphans() {
    l = first;
    do
    :: l == NONE -> break
    :: l != NONE ->
       if
       :: is_orphan(l) ->
          next_redelivered = redelivered + 1;
          may_crash;
          atomic { owner[l] = RETURNING; has[l] = 0 };
          may_crash;
          redelivered = redelivered + 1;
          may_crash;
          atomic { owner[l] = NOBODY; returns++ };
          may_crash;
          returned++;
          may_crash
       :: else
       fi;
       l = next[l]
    od
}

inline take_returned() {
    l = first;
    do
    :: assert(l != NONE);
       if
       :: owner[l] == NOBODY -> break
       :: else -> l = next[l]
       fi
    od;
    atomic { assert(has[l] == 0 && !is_done[l]); owner[l] = me };
    may_crash;
    returned--;
    may_crash
}

inline take_from_channel() {
    acquire(head_guard);
    may_crash;
    l = head_position;
    assert(holder[l] == PUBLISHED);
    d_step { next[l] = NONE; owner[l] = me };                  /* in a block that nobody looks at yet */
    may_crash;
    position[l] = head_position + 1;
    if
    :: first == NONE -> first = l
    :: else -> next[last] = l
    fi;
    may_crash;
    head_next_position = head_position + 1;
    may_crash;
    head_position = head_position + 1;
    may_crash;
    last = l;
    may_crash;
    head_guard = 0
}

inline end_task() {
    acquire(guard);
    may_crash;
    assert(owner[mine] == me && holder[mine] == PUBLISHED);
    next_done = done + 1;
    may_crash;
    atomic { owner[mine] = DONE; assert(!is_done[mine]); is_done[mine] = 1; has[mine] = 0 };
    may_crash;
    holder[mine] = me;
    may_crash;
    done = done + 1;
    may_crash;
    previous = NONE;
    l = first;
    do
    :: l != mine -> assert(l != NONE); previous = l; l = next[l]
    :: else -> break
    od;
    if
    :: previous == NONE -> first = next[mine]
    :: else -> next[previous] = next[mine]
    fi;
    may_crash;
    if
    :: next[mine] == NONE -> last = previous
    :: else
    fi;
    previous = NONE;
    may_crash;
    guard = 0;
    may_crash;
    assert(holder[mine] == me);
    holder[mine] = FREE
}

proctype getter(byte me) {
    byte l = NONE, previous = NONE, mine = NONE, count, dead, i;
    bit cut;
    do
    :: done == MESSAGES && guard == 0 -> break
    :: guard != 0 && !alive[guard] ||                         /* a sleeper learns of a death, or there is something */
       head_position < MESSAGES || returned > 0 ||
       (first != NONE && is_orphan(first)) ||
       (first != NONE && next[first] != NONE && is_orphan(next[first])) ->
       may_crash;
       acquire(guard);
       may_crash;
       return_orphans();
       if
       :: returned > 0 -> take_returned(); mine = l
       :: returned == 0 && head_position < MESSAGES -> take_from_channel(); mine = l
       :: else
       fi;
       l = NONE;
       may_crash;
       guard = 0;
       if
       :: mine != NONE ->
          atomic { assert(has[mine] == 0); has[mine] = me };  /* copied out: got */
          may_crash;
          end_task();
          mine = NONE;
          l = NONE
       :: else
       fi
    od;
    goto end;
crash:
    skip;
end:
    atomic { l = 0; previous = 0; mine = 0; count = 0; dead = 0; i = 0; cut = 0; ended++ }
}

init {
    byte i, me, dead, p, l = NONE, previous = NONE, count;
    bit cut;
    atomic {
        i = 0;
        do
        :: i < MESSAGES -> holder[i] = PUBLISHED; next[i] = NONE; i++
        :: else -> break
        od;
        i = 1;
        do
        :: i <= PROCESSES -> alive[i] = 1; run getter(i); i++
        :: else -> break
        od;
        i = 0
    };
    ended == PROCESSES;
    d_step { crashes = CRASHES; p = 1 };                       /* the last one survives */
    do
    :: p <= PROCESSES ->
       if
       :: !alive[p] && !recovered[p] -> recover(p)
       :: else
       fi;
       p++
    :: else -> break
    od;
    atomic {
        assert(guard == 0 && head_guard == 0);
        assert(first == NONE && returned == 0);
        assert(done == MESSAGES && redelivered == returns);
        i = 0;
        do
        :: i < MESSAGES -> assert(is_done[i] && holder[i] == FREE); i++
        :: else -> break
        od
    };
    goto end;
crash:
    assert(false);
end:
    skip
}
