/* A channel's two sides: put, get, segments and their recovery, with a crash at any step.
 * SPDX-License-Identifier: MIT
 *
 * src/chan/writer.c, reader.c and channel_recover.c as a model: every message is a block, a segment has room for ROOM records.
 * Each step between two crash points is one store of the code. Checked: a message is received once at most, whole, in its sender's
 * order; one whose put returned is received unless its receiver died with it; blocks and segments are neither lost nor freed in
 * use; nobody stays stuck.
 *
 * run.sh beside this file runs it. BROKEN=1 and 2 are mistakes that it must find.
 */
#ifndef WRITERS
#define WRITERS 1
#endif
#ifndef READERS
#define READERS 1
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef EACH
#define EACH 3                        /* messages of each writer */
#endif
#ifndef BROKEN
#define BROKEN 0
#endif
#define ROOM 1                        /* records in a segment */
#define MESSAGES (WRITERS * EACH)
#define PROCESSES (WRITERS + READERS) /* 1.. ; writers first */
#define SEGMENTS 5
#define NONE 15
#define FREE 0                        /* a block's holder: FREE, a process, or */
#define PUBLISHED 9

byte holder[MESSAGES];                /* of the messages' blocks */
byte segment_holder[SEGMENTS];        /* segment 0 is embedded: always PUBLISHED */
byte next[SEGMENTS];
byte start[SEGMENTS];
byte data[SEGMENTS];                  /* ROOM is 1 */
byte spare = NONE;
bit spare_ready;

byte tail_guard, tail_segment, tail_position, tail_load, tail_next_position, tail_next_load;
byte head_guard, head_segment, head_position, head_load, head_next_position, head_next_load;

bit alive[PROCESSES + 1];
bit recovered[PROCESSES + 1];
byte recovering;                      /* who holds the recovery mutex */
byte crashes;
byte ended;

bit put_returned[MESSAGES];           /* ghosts */
bit received[MESSAGES];
bit taken_along[MESSAGES];            /* its receiver died after the hand-over */
byte last_received[WRITERS];          /* by order; with several readers not checked */

#define may_crash if :: crashes < CRASHES -> goto crash :: true fi
#define side_at(position, segment) (position > start[segment] -> position : start[segment])
#define is_writer(p) (p <= WRITERS)

/* Give back what the dead process had. `limit` walks blocks. */
inline recover(dead) {
    if
    :: tail_guard == dead ->
       if
       :: next[tail_segment] != NONE -> segment_holder[next[tail_segment]] = PUBLISHED
       :: else
       fi;
       may_crash;
       if
       :: spare != NONE && spare_ready -> segment_holder[spare] = PUBLISHED
       :: else
       fi;
       may_crash;
       if
       :: tail_next_position > tail_position ->
          holder[data[tail_segment]] = PUBLISHED;
          may_crash;
          tail_load = tail_next_load;
          may_crash;
          tail_position = tail_next_position;
          may_crash
       :: else
       fi;
       tail_guard = 0;
       may_crash
    :: else
    fi;
    if
    :: head_guard == dead ->
       if
       :: head_segment != 0 -> segment_holder[head_segment] = PUBLISHED
       :: else
       fi;
       may_crash;
       if
       :: spare != NONE && !spare_ready ->
          segment_holder[spare] = PUBLISHED;
          may_crash;
          spare_ready = 1;
          may_crash
       :: else
       fi;
       if
       :: head_next_position == head_position -> head_load = head_next_load
       :: else ->
#if BROKEN != 2                       /* 2: what a dead reader had in hand is not given back */
          if
          :: head_next_position > side_at(head_position, head_segment) -> holder[data[head_segment]] = PUBLISHED
          :: else
          fi;
#endif
          may_crash;
          head_next_load = head_load;
          may_crash;
          head_next_position = head_position
       fi;
       may_crash;
       head_guard = 0;
       may_crash
    :: else
    fi;
    /* the heap: what it still holds */
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
    i = 1;
    do
    :: i < SEGMENTS ->
       if
       :: segment_holder[i] == dead -> segment_holder[i] = FREE; may_crash
       :: else
       fi;
       i++
    :: else -> break
    od;
    i = 0;
    recovered[dead] = 1
}

/* Wait for the mutex (robust: a dead holder does not keep it), recover, go. */
inline recover_under_mutex(dead) {
    atomic { recovering == 0 || !alive[recovering] -> recovering = me };
    may_crash;
    if
    :: !recovered[dead] -> recover(dead)
    :: else
    fi;
    recovering = 0
}

inline acquire(guard) {
    do
    :: atomic { guard == 0 -> guard = me; break }
    :: guard != 0 && !alive[guard] -> owner = guard;
       if
       :: owner != 0 && !alive[owner] -> recover_under_mutex(owner)
       :: else
       fi;
       owner = 0
    od
}

proctype writer(byte me) {
    byte count, message, at, segment, owner, i;
    do
    :: count < EACH ->
       message = (me - 1) * EACH + count;
       may_crash;
       holder[message] = me;
       may_crash;
       acquire(tail_guard);
       may_crash;
       at = side_at(tail_position, tail_segment);
       if
       :: at == start[tail_segment] + ROOM ->
          segment = next[tail_segment];
          if
          :: segment == NONE ->
             if
             :: spare != NONE && spare_ready ->
                segment = spare;
                segment_holder[segment] = me;
                may_crash;
                d_step { spare = NONE; spare_ready = 0 };
                may_crash
             :: else ->
                atomic {
                    segment = 1;
                    do
                    :: segment < SEGMENTS && segment_holder[segment] != FREE -> segment++
                    :: else -> break
                    od;
                    assert(segment < SEGMENTS);
                    segment_holder[segment] = me
                };
                may_crash
             fi;
             d_step { next[segment] = NONE; start[segment] = start[tail_segment] + ROOM };
             next[tail_segment] = segment;
             may_crash;
             segment_holder[segment] = PUBLISHED;
             may_crash
          :: else
          fi;
          tail_segment = segment;
          may_crash;
          at = start[segment]
       :: else
       fi;
       data[tail_segment] = message;
       may_crash;
       tail_next_load = tail_load + 1;
       may_crash;
       tail_next_position = at + 1;
       may_crash;
#if BROKEN != 1                       /* 1: the block is handed over, but nobody says so */
       holder[message] = PUBLISHED;
#endif
       may_crash;
       tail_load = tail_load + 1;
       may_crash;
       tail_position = at + 1;
       may_crash;
       atomic { assert(tail_guard == me); tail_guard = 0; put_returned[message] = 1 };
       count++
    :: else -> break
    od;
    goto end;
crash:
    atomic { crashes++; alive[me] = 0 }
end:
    atomic { message = 0; at = 0; segment = 0; owner = 0; i = 0; ended++ }
}

proctype reader(byte me) {
    byte message, at, segment, owner, i, seen;
    do
    :: tail_position != head_position ->
       may_crash;
       acquire(head_guard);
       may_crash;
       at = side_at(head_position, head_segment);
       seen = tail_position;
       do
       :: at < seen && at == start[head_segment] + ROOM ->   /* leave the segment */
          segment = head_segment;
          assert(next[segment] != NONE);
          if
          :: segment != 0 -> segment_holder[segment] = me; may_crash
          :: else
          fi;
          head_segment = next[segment];
          may_crash;
          if
          :: segment == 0
          :: segment != 0 && spare == NONE ->
             d_step { spare = segment; spare_ready = 0 };
             may_crash;
             segment_holder[segment] = PUBLISHED;
             may_crash;
             spare_ready = 1;
             may_crash
          :: segment != 0 && spare != NONE -> segment_holder[segment] = FREE; may_crash
          fi;
          at = start[head_segment]
       :: else -> break
       od;
       if
       :: at < seen ->
          assert(head_segment == 0 || segment_holder[head_segment] == PUBLISHED);
          message = data[head_segment];
          head_next_position = at + 1;
          may_crash;
          assert(holder[message] == PUBLISHED);                       /* whole, and nobody else's */
          holder[message] = me;
          may_crash;
          head_next_load = head_load + 1;
          may_crash;
          atomic { head_position = at + 1; taken_along[message] = 1 };
          may_crash;
          head_load = head_load + 1;
          may_crash;
          atomic {                                                     /* the ghost: received for good */
              assert(head_guard == me); head_guard = 0;
              assert(!received[message]); received[message] = 1; taken_along[message] = 0;
#if READERS == 1
              assert(message % EACH >= last_received[message / EACH]);
              last_received[message / EACH] = message % EACH + 1
#endif
          };
          may_crash;
          assert(holder[message] == me);
          holder[message] = FREE
       :: else -> head_guard = 0
       fi
    :: ended >= WRITERS && tail_position == head_position && (tail_guard == 0) && (head_guard == 0) -> break
    :: tail_guard != 0 && !alive[tail_guard] -> owner = tail_guard;   /* a sleeper looks after the other side's owner */
       if
       :: owner != 0 && !alive[owner] -> recover_under_mutex(owner)
       :: else
       fi;
       owner = 0
    :: head_guard != 0 && !alive[head_guard] -> owner = head_guard;
       if
       :: owner != 0 && !alive[owner] -> recover_under_mutex(owner)
       :: else
       fi;
       owner = 0
    od;
    goto end;
crash:
    atomic { crashes++; alive[me] = 0 }
end:
    atomic { message = 0; at = 0; segment = 0; owner = 0; i = 0; seen = 0; ended++ }
}

/* When all have ended: recover the rest, drain, and count. */
init {
    byte i, me, at, message, used, p;
    atomic {
        segment_holder[0] = PUBLISHED;
        i = 0;
        do
        :: i < SEGMENTS -> next[i] = NONE; i++
        :: else -> break
        od;
        i = 1;
        do
        :: i <= PROCESSES -> alive[i] = 1;
           if
           :: is_writer(i) -> run writer(i)
           :: else -> run reader(i)
           fi;
           i++
        :: else -> break
        od;
        i = 0
    };
    ended == PROCESSES;
    d_step {
        crashes = CRASHES;                                             /* the last one survives */
        p = 1
    };
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
        assert(tail_guard == 0 && head_guard == 0);
        assert(tail_load - head_load == tail_position - head_position);
        /* what is still in the channel is whole; freed with it */
        at = side_at(head_position, head_segment);
        used = head_segment;
        do
        :: at < tail_position ->
           if
           :: at == start[used] + ROOM -> used = next[used]; at = start[used]
           :: else ->
              message = data[used];
              assert(holder[message] == PUBLISHED && !received[message]);
              holder[message] = FREE; received[message] = 1;
              at++
           fi
        :: else -> break
        od;
        i = 0;
        do
        :: i < MESSAGES ->
           assert(holder[i] == FREE);                                  /* nothing leaked */
           assert(!put_returned[i] || received[i] || taken_along[i]);  /* nothing lost */
           i++
        :: else -> break
        od;
        /* segments: those from the head on and the spare one, no other */
        used = head_segment;
        do
        :: used != NONE ->
           assert(segment_holder[used] == PUBLISHED);
           if
           :: used != 0 -> segment_holder[used] = FREE
           :: else
           fi;
           used = next[used]
        :: else -> break
        od;
        if
        :: spare != NONE -> assert(spare_ready && segment_holder[spare] == PUBLISHED); segment_holder[spare] = FREE
        :: else
        fi;
        i = 1;
        do
        :: i < SEGMENTS -> assert(segment_holder[i] == FREE); i++
        :: else -> break
        od
    };
    goto end;
crash:
    assert(false);
end:
    skip
}
