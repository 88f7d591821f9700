/* Dying with the parent: a thread waits for the end of the pipe.
 * SPDX-License-Identifier: MIT */
#include "os/lifeline.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

#define WATCHER_STACK (64 * 1024) /* bytes */

static _Atomic int armed = -1; /* the end that this process hangs on */

static void *watch_parent(void *argument) {
    char byte;
    while (armed == (int)(intptr_t)argument && read((int)(intptr_t)argument, &byte, 1) < 0 &&
           errno == EINTR)
        continue;
    if (armed == (int)(intptr_t)argument)
        kill(getpid(), SIGKILL);
    return NULL;
}

static int start_watcher(int child_end) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, WATCHER_STACK);
    pthread_t thread;
    int error = pthread_create(&thread, &attributes, watch_parent, (void *)(intptr_t)child_end);
    pthread_attr_destroy(&attributes);
    return -error;
}

/* The watcher takes no signals: the program's own threads are for those. */
int mp__lifeline_arm(int child_end) {
    if (fcntl(child_end, F_SETFD, FD_CLOEXEC) < 0)
        return -errno;
    armed = child_end;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = start_watcher(child_end);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

/* The watcher stays in its read of the pipe and goes away with that. The number stays taken: a
 * later lifeline must not get it while the watcher is there. */
void mp__lifeline_disarm(int child_end) {
    armed = -1;
    (void)child_end;
}
