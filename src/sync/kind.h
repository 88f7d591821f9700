/* What a pointer from the user points to: the first word of every shared object of ours.
 * SPDX-License-Identifier: MIT
 *
 * Checked by every public function, cleared by free: a wrong, freed or foreign pointer gives
 * MP_EINVAL instead of a crash wherever the arena's bounds and this word can tell. */
#ifndef MP__SYNC_KIND_H
#define MP__SYNC_KIND_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "shm/arena.h"

enum mp__kind { /* "mp" << 16 | number: no small integer, no pointer */
                MP__KIND_LOCK = 0x6d700001,
                MP__KIND_SEMAPHORE,
                MP__KIND_CONDITION,
                MP__KIND_EVENT,
                MP__KIND_BARRIER,
                MP__KIND_VALUE,
                MP__KIND_ARRAY,
                MP__KIND_CONNECTION,
                MP__KIND_QUEUE,
                MP__KIND_MESSAGE,
                MP__KIND_PROCESS,
                MP__KIND_POOL,
                MP__KIND_ASYNC_RESULT,
                MP__KIND_STREAM,
                MP__KIND_IMAP,
                MP__KIND_TICKET,
                MP__KIND_PROXY
};

typedef _Atomic uint32_t mp__kind_word;

/* Is `object` an object of that kind? Looks at nothing outside the arena. */
static inline bool mp__kind_is(const void *object, enum mp__kind kind) {
    const struct arena_shared *arena = mp__arena;
    if (!arena || (uintptr_t)object - (uintptr_t)arena >= arena->size || ((uintptr_t)object & 15))
        return false;
    return atomic_load_explicit((const mp__kind_word *)object, memory_order_relaxed) == kind;
}

/* The sentence for one that is not: MP_EINVAL. */
__attribute__((cold)) int mp__kind_refuse(const void *object, enum mp__kind kind,
                                          const char *function, const char *noun);

/* Is `object` an object of that kind? If not: MP_EINVAL with "<function>: <noun> is NULL / is not a
 * <noun> / was freed". */
static inline int mp__kind_check(const void *object, enum mp__kind kind, const char *function,
                                 const char *noun) {
    if (__builtin_expect(mp__kind_is(object, kind), 1))
        return 0;
    int code = mp__kind_refuse(object, kind, function, noun);
    if (code >= 0) /* never: callers need not be compiled to go on after it */
        __builtin_unreachable();
    return code;
}

/* End an object of ours: it is no object any more, and its block is free. If we die in between, it
 * is freed by recovery. */
void mp__object_free(void *object);

#endif
