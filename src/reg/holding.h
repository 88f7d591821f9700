/* What a thread has taken in the arena, written before taking it and erased after giving it back,
 * so that somebody else can give it back for it. A few locks stay: `kept` in reg/thread.h.
 * SPDX-License-Identifier: MIT */
#ifndef MP__REG_HOLDING_H
#define MP__REG_HOLDING_H

#include "base/point.h"
#include "reg/thread.h"

enum mp__holding_kind {
    MP__HOLDING_NONE,
    MP__HOLDING_LOCK,        /* struct lock_shared                     sync */
    MP__HOLDING_CONDITION,   /* waits on a struct condition_shared     sync */
    MP__HOLDING_BARRIER,     /* waits in a struct barrier_shared       sync */
    MP__HOLDING_GATE,        /* sleeps on a struct mp__gate            sync */
    MP__HOLDING_CHANNEL_PUT, /* tail lock of a struct channel_shared   chan */
    MP__HOLDING_CHANNEL_GET, /* head lock of a struct channel_shared   chan */
    MP__HOLDING_LEASE,       /* lock of the leases of a queue_shared   chan */
    MP__HOLDING_QUEUE_FREE,  /* a struct queue_shared being freed      chan */
    MP__HOLDING_PIPE_FREE,   /* a struct connection_shared being freed chan */
    MP__HOLDING_STREAM,      /* a guard of a struct stream_shared      chan */
    MP__HOLDING_PROCESS,     /* a start under way                      proc */
    MP__HOLDING_POOL,        /* lock of a struct pool_shared           pool */
    MP__HOLDING_KIND_COUNT
};

typedef _Atomic uint64_t mp__holding; /* one entry in a thread's list: kind << 56 | pointer */

static inline uint32_t mp__holding_kind_of(uint64_t entry) {
    return (uint32_t)(entry >> 56);
}
static inline void *mp__holding_object(uint64_t entry) {
    return (void *)(uintptr_t)(entry & (UINT64_MAX >> 8));
}

static inline uint64_t mp__holding_make(enum mp__holding_kind kind, const void *object) {
    return (uint64_t)kind << 56 | (uint64_t)(uintptr_t)object;
}

static inline uint64_t mp__holding_look(const mp__holding *entry) {
    return atomic_load_explicit(entry, memory_order_relaxed);
}

/* The slow halves: the list is long, or not all that was taken is given back in order. */
mp__holding *mp__hold_slow(struct thread_shared *self, uint64_t value);
void mp__unhold_slow(struct thread_shared *self, uint64_t value);

/* The quick half of the next one: NULL: nothing was written, it takes the slow one. */
static inline mp__holding *mp__hold_quick(struct thread_shared *self, enum mp__holding_kind kind,
                                          const void *object) {
    uint32_t count = self->holding_count;
    if (count >= MP__HOLDINGS_INLINE ||
        (count > 0 && mp__holding_look(&self->holdings[count - 1]) == 0))
        return NULL;
    self->holding_count = count + 1;
    atomic_store_explicit(&self->holdings[count], mp__holding_make(kind, object),
                          memory_order_release);
    MP__POINT("holding.hold.written");
    return &self->holdings[count];
}

/* Write "kind, object" down. NULL: no memory for another entry, with detail. Objects are 16-byte
 * aligned arena pointers. */
static inline mp__holding *mp__hold(struct thread_shared *self, enum mp__holding_kind kind,
                                    const void *object) {
    mp__holding *entry = mp__hold_quick(self, kind, object);
    return entry ? entry : mp__hold_slow(self, mp__holding_make(kind, object));
}

/* The entry for it, if that is the topmost one and erasing it is all there is to do; else NULL. */
static inline mp__holding *mp__holding_top(struct thread_shared *self, enum mp__holding_kind kind,
                                           const void *object) {
    uint32_t last = self->holding_count - 1;
    if (last >= MP__HOLDINGS_INLINE ||
        mp__holding_look(&self->holdings[last]) != mp__holding_make(kind, object) ||
        (last > 0 && mp__holding_look(&self->holdings[last - 1]) == 0) ||
        atomic_load_explicit(&self->more, memory_order_relaxed) != NULL)
        return NULL;
    return &self->holdings[last];
}

static inline void mp__holding_erase(struct thread_shared *self, mp__holding *top) {
    atomic_store_explicit(top, 0, memory_order_release);
    MP__POINT("holding.unhold.erased");
    self->holding_count = (uint32_t)(top - self->holdings);
}

/* Erase the newest entry for it, by the thread itself. */
static inline void mp__unhold(struct thread_shared *self, enum mp__holding_kind kind,
                              const void *object) {
    mp__holding *top = mp__holding_top(self, kind, object);
    if (top)
        mp__holding_erase(self, top);
    else
        mp__unhold_slow(self, mp__holding_make(kind, object));
}

/* Erase it from another thread's list (who released the other one's lock). */
void mp__unhold_of(uint32_t thread, enum mp__holding_kind kind, const void *object);

/* How a layer gives back what a dead thread held. Must be idempotent: the caller may itself be
 * killed and another one begins again. The object's memory is still there. Runs in any process,
 * never in two at once. It must not sleep, nor call mp__self (NULL here: the caller may be one that
 * has no slot yet, which is why it recovers). */
typedef void (*mp__recover_fn)(void *object, uint32_t dead_thread);
void mp__recover_register(enum mp__holding_kind kind, mp__recover_fn recover);
#define MP__RECOVER(kind, function)                                      \
    __attribute__((constructor)) static void register_##function(void) { \
        mp__recover_register(kind, function);                            \
    }

#endif
