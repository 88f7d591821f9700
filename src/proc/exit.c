/* The end of a process that has children.
 * SPDX-License-Identifier: MIT */
#include "proc/exit.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "os/memory.h"
#include "os/output.h"
#include "os/threads.h"
#include "proc/children.h"
#include "reg/member.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
enum { BEFORE_MAX = 4 };
typedef void (*end_fn)(void);
static _Atomic(end_fn) before[BEFORE_MAX]; /* from the first on; NULL: none yet */

void mp__exit_before(void (*end)(void)) {
    for (unsigned i = 0; i < BEFORE_MAX; i++) {
        end_fn there = NULL;
        if (atomic_compare_exchange_strong(&before[i], &there, end) || there == end)
            return;
    }
    assert(!"room for all later layers");
}

void mp__exit_run(void) {
    mp__log(MP_LOG_INFO, "process shutting down");
    end_fn end;
    for (unsigned i = 0; i < BEFORE_MAX && (end = atomic_load(&before[i])); i++)
        end();
    mp__children_end();
}

void mp__exit_rehearse(void) {
    end_fn end;
    for (unsigned i = 0; i < BEFORE_MAX && (end = atomic_load(&before[i])); i++)
        mp__memory_expect_run(end);
}

static void register_handler(void) {
    (void)atexit(mp__exit_run);
}

/* After main and all handlers: nobody has to find out that we have gone. */
__attribute__((destructor)) static void leave_family(void) {
    mp__member_leave();
}

static void flush_if_free(FILE *stream, bool may_wait) {
    if (ftrylockfile(stream) != 0)
        return;
    if (may_wait || !mp__output_would_wait(stream))
        fflush(stream);
    funlockfile(stream);
}

static bool flush(bool all, bool may_wait) {
    bool is_done = all && mp__thread_is_only();
    if (is_done) {
        fflush(NULL);
    } else {
        flush_if_free(stdout, may_wait);
        flush_if_free(stderr, may_wait);
    }
    return is_done;
}

bool mp__exit_flush(bool all) {
    return flush(all, true);
}

bool mp__exit_flush_for_fork(void) {
    return flush(true, false);
}

void mp__exit_watch(void) {
    pthread_once(&once, register_handler);
}
