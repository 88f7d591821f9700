/* The list of descriptors that children made by fork close, and the handlers that make them do so.
 * SPDX-License-Identifier: MIT */
#include "os/unforked.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "os/descriptor.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards `list`; held while forking */
static struct {
    int *entries;    /* descriptors, in no order */
    size_t count;    /* used */
    size_t capacity; /* allocated */
} list;

void mp__unforked_close_all(void) {
    for (size_t i = 0; i < list.count; i++)
        mp__descriptor_close(list.entries[i]);
    list.count = 0;
}

static void begin_fork(void) {
    pthread_mutex_lock(&lock);
}

static void end_fork_in_parent(void) {
    pthread_mutex_unlock(&lock);
}

static void end_fork_in_child(void) {
    mp__unforked_close_all();
    pthread_mutex_unlock(&lock);
}

/* Before all other constructors: the handlers that come first are the last ones before a fork. So
 * this lock is taken after all others that are held while forking, as by those who hold one and
 * close a descriptor. */
__attribute__((constructor(101))) static void guard_fork(void) {
    pthread_atfork(begin_fork, end_fork_in_parent, end_fork_in_child);
}

static void lock_list(void) {
    pthread_mutex_lock(&lock);
}

static int reserve_locked(void) {
    if (list.count < list.capacity)
        return 0;
    size_t capacity = list.capacity ? 2 * list.capacity : 16;
    int *entries = realloc(list.entries, capacity * sizeof *entries);
    if (!entries)
        return -ENOMEM;
    list.entries = entries;
    list.capacity = capacity;
    return 0;
}

int mp__unforked_add(int descriptor) {
    lock_list();
    int code = reserve_locked();
    if (code == 0)
        list.entries[list.count++] = descriptor;
    pthread_mutex_unlock(&lock);
    return code;
}

int mp__unforked_pipe(int out[2], int which) {
    lock_list();
    int code = reserve_locked();
    if (code == 0)
        code = mp__descriptor_pipe(out);
    if (code == 0)
        list.entries[list.count++] = out[which];
    pthread_mutex_unlock(&lock);
    return code;
}

void mp__unforked_close(int descriptor) {
    if (descriptor < 0)
        return;
    lock_list();
    for (size_t i = 0; i < list.count; i++)
        if (list.entries[i] == descriptor)
            list.entries[i] = list.entries[--list.count];
    mp__descriptor_close(descriptor);
    pthread_mutex_unlock(&lock);
}
