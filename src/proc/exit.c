/* The end of a process that has children.
 * SPDX-License-Identifier: MIT */
#include "proc/exit.h"

#include <assert.h>
#include <pthread.h>
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
static void (*before[BEFORE_MAX])(void); /* set before main */
static unsigned before_count;

void mp__exit_before(void (*end)(void)) {
    assert(before_count < BEFORE_MAX);
    before[before_count++] = end;
}

void mp__exit_run(void) {
    mp__log(MP_LOG_INFO, "process shutting down");
    for (unsigned i = before_count; i-- > 0;)
        before[i]();
    mp__children_end();
}

void mp__exit_rehearse(void) {
    for (unsigned i = before_count; i-- > 0;)
        mp__memory_expect_run(before[i]);
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
