/* A hash table from shared objects to what this process knows about them.
 * SPDX-License-Identifier: MIT */
#include "chan/local.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/fail.h"
#include "os/clock.h"

enum { BUCKETS = 256 };

static _Atomic(struct mp__local *) buckets[BUCKETS];
static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER; /* one thread adds or removes */

static void lock_table(void) {
    pthread_mutex_lock(&changing);
}

static void unlock_table(void) {
    pthread_mutex_unlock(&changing);
}

/* A fork while another thread changes the table would leave the child's copy locked for ever. */
__attribute__((constructor)) static void watch_forks(void) {
    pthread_atfork(lock_table, unlock_table, unlock_table);
}

/* An address is used again only after a free and an allocation, which take longer than a tick. */
uint64_t mp__local_serial(void) {
    return (uint64_t)mp__now();
}

static _Atomic(struct mp__local *) *bucket_of(const void *object) {
    uint64_t hash = (uint64_t)(uintptr_t)object * UINT64_C(0x9e3779b97f4a7c15);
    return &buckets[hash >> 56];
}

struct mp__local *mp__local_find(const void *object, uint64_t serial) {
    struct mp__local *entry = atomic_load_explicit(bucket_of(object), memory_order_acquire);
    for (; entry; entry = entry->next)
        if (atomic_load_explicit(&entry->object, memory_order_acquire) == object &&
            atomic_load_explicit(&entry->serial, memory_order_relaxed) == serial)
            return entry;
    return NULL;
}

void mp__local_each(void (*look)(const void *object, uint64_t serial)) {
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct mp__local *entry = atomic_load(&buckets[i]); entry; entry = entry->next) {
            const void *object = atomic_load(&entry->object);
            if (object)
                look(object, atomic_load(&entry->serial));
        }
}

/* An entry that is free, or whose object was freed by another process and then made anew. */
static struct mp__local *find_free(const void *object) {
    struct mp__local *entry = atomic_load(bucket_of(object));
    for (; entry; entry = entry->next) {
        const void *other = atomic_load(&entry->object);
        if (!other || other == object)
            return entry;
    }
    return NULL;
}

static struct mp__local *add_locked(const void *object, uint64_t serial, int value) {
    struct mp__local *entry = mp__local_find(object, serial);
    if (entry)
        return entry;
    entry = find_free(object);
    bool is_new = !entry;
    if (is_new)
        entry = calloc(1, sizeof *entry);
    if (!entry)
        return NULL;
    atomic_store(&entry->object, NULL);
    atomic_store(&entry->serial, serial);
    atomic_store(&entry->value, value);
    atomic_store(&entry->object, object);
    if (is_new) {
        entry->next = atomic_load(bucket_of(object));
        atomic_store(bucket_of(object), entry);
    }
    return entry;
}

struct mp__local *mp__local_add(const void *object, uint64_t serial, int value) {
    lock_table();
    struct mp__local *entry = add_locked(object, serial, value);
    unlock_table();
    if (!entry)
        mp__fail(-ENOMEM, "no memory to note that %p is used here", object);
    return entry;
}

void mp__local_remove(const void *object, uint64_t serial) {
    lock_table();
    struct mp__local *entry = mp__local_find(object, serial);
    if (entry)
        atomic_store(&entry->object, NULL);
    unlock_table();
}
