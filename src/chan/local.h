/* What only this process knows about an object in the arena: the descriptor of a connection, that a
 * queue was closed here.
 * SPDX-License-Identifier: MIT
 *
 * A table of this process, copied by fork. An entry belongs to an address and a serial number, so
 * that a later object at the same address is a stranger. Looking needs no lock. */
#ifndef MP__CHAN_LOCAL_H
#define MP__CHAN_LOCAL_H

#include <stdatomic.h>
#include <stdint.h>

struct mp__local {
    _Atomic(const void *) object; /* in the arena; NULL: the entry is free */
    _Atomic uint64_t serial;      /* of that object */
    _Atomic int value;            /* what its owner keeps here; -1: closed */
    struct mp__local *next;       /* in its bucket; never changes */
};

/* A number that no earlier object had at the same address. */
uint64_t mp__local_serial(void);
struct mp__local *mp__local_find(const void *object, uint64_t serial); /* NULL: none */
/* Add it, or find it. NULL: no memory, with detail. `value` is for a new entry only. */
struct mp__local *mp__local_add(const void *object, uint64_t serial, int value);
/* Show `look` every entry. */
void mp__local_each(void (*look)(const void *object, uint64_t serial));
void mp__local_remove(const void *object, uint64_t serial); /* none: nothing */

#endif
