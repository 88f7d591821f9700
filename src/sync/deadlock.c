/* Following the chain of waiters and owners, twice, and telling one of them.
 * SPDX-License-Identifier: MIT */
#include "sync/deadlock.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "os/futex.h"
#include "reg/blocked.h"
#include "reg/label.h"
#include "shm/arena.h"
#include "sync/lock.h"

/* A cycle, as seen on one way round. */
struct cycle {
    uint32_t length; /* threads; 0: there is none */
    uint32_t victim; /* the thread to be told; 0: nobody wants to be */
    uint64_t print;  /* of all threads, guards and waits: the same only when all of it is */
};

/* The guard that a thread waits for, NULL: none. */
static struct mp__guard *guard_of(uint64_t blocked_on) {
    const void *object = mp__blocked_object(blocked_on);
    if (!(blocked_on & MP__BLOCKED_GUARD) || !mp__arena_contains(object, sizeof(struct mp__guard)))
        return NULL;
    return (struct mp__guard *)(uintptr_t)object;
}

static uint64_t mix(uint64_t print, uint64_t value) {
    return (print ^ value) * UINT64_C(0x9e3779b97f4a7c15) + (print >> 29);
}

/* The thread it waits for, 0: it does not wait. */
static uint32_t step(struct cycle *cycle, uint32_t thread) {
    const struct thread_shared *record = mp__thread_at(thread);
    uint64_t count = atomic_load(&record->blocked_count);
    uint64_t on = atomic_load(&record->blocked_on);
    struct mp__guard *guard = guard_of(on);
    if (!guard || atomic_load(&record->blocked_count) != count)
        return 0;
    cycle->length++;
    cycle->print = mix(mix(mix(cycle->print, thread), on), count);
    if ((on & MP__BLOCKED_TELLS) && (cycle->victim == 0 || thread < cycle->victim))
        cycle->victim = thread;
    return atomic_load(&guard->word) & MP__GUARD_OWNER;
}

/* Those who wait for a cycle without being in it go round in it until they are stopped. */
static struct cycle go_round(uint32_t start, bool asks_life) {
    struct cycle cycle = {0};
    uint32_t high = mp__thread_high(), thread = start;
    do {
        if (asks_life && !mp__thread_is_alive(thread))
            return (struct cycle){0};
        thread = step(&cycle, thread);
        if (thread == 0 || thread > high || cycle.length > high)
            return (struct cycle){0};
    } while (thread != start);
    return cycle;
}

struct text {
    char bytes[420]; /* what fits into a detail with its beginning */
    size_t length;   /* used, without the 0 */
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...) {
    va_list arguments;
    size_t room = sizeof text->bytes - text->length;
    va_start(arguments, format);
    int length = vsnprintf(text->bytes + text->length, room, format, arguments);
    va_end(arguments);
    if (length > 0)
        text->length += (size_t)length < room ? (size_t)length : room - 1;
}

static void add_thread(struct text *text, uint32_t thread) {
    mp__member_ref member = atomic_load(&mp__thread_at(thread)->member);
    add(text, "'%s' (pid %d, thread %" PRIu32 ")", mp__label_of(member).name,
        (int)mp__member_pid(member), thread);
}

static void add_lock(struct text *text, const struct mp__guard *guard) {
    const char *lock = (const char *)guard - offsetof(struct lock_shared, guard);
    if (!mp__kind_is(lock, MP__KIND_LOCK)) {
        add(text, "something at %p", (const void *)guard);
        return;
    }
    char name[MP__LOCK_NAME_BYTES];
    memcpy(name, ((const struct lock_shared *)(const void *)lock)->name, sizeof name);
    name[sizeof name - 1] = 0;
    add(text, *name ? "lock '%s' (%p)" : "lock %s%p", name, (const void *)lock);
}

static int tell(uint32_t self) {
    struct text text = {.length = 0};
    uint32_t thread = self;
    add_thread(&text, thread);
    do {
        struct mp__guard *guard = guard_of(atomic_load(&mp__thread_at(thread)->blocked_on));
        if (!guard)
            break;
        add(&text, " waits for ");
        add_lock(&text, guard);
        thread = mp__guard_owner(guard);
        if (thread == 0)
            break;
        add(&text, " of ");
        add_thread(&text, thread);
        if (thread != self)
            add(&text, ", which");
    } while (thread != self);
    return mp__fail(MP_EDEADLK, "mp_lock_acquire: a deadlock: %s", text.bytes);
}

/* Found twice with the same waits, it was there in between: none of its threads can have taken or
 * released anything while it waited for something else. */
int mp__deadlock_find(const struct thread_shared *self) {
    struct cycle first = go_round(self->index, false);
    if (first.length == 0 || first.victim == 0)
        return 0;
    struct cycle second = go_round(self->index, true);
    if (second.length != first.length || second.print != first.print)
        return 0;
    if (first.victim == self->index)
        return tell(self->index);
    struct mp__guard *guard = guard_of(atomic_load(&mp__thread_at(first.victim)->blocked_on));
    if (guard)
        mp__futex_wake(&guard->word, MP__WAKE_ALL);
    return 0;
}
