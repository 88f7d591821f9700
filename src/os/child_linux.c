/* Linux: is that process still there?
 * SPDX-License-Identifier: MIT */
#include "os/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "os/descriptor.h"
#include "os/pidfd.h"

struct process_stat {
    char state;          /* 'Z': its first thread has ended */
    long thread_count;   /* 1 or 0 for a whole process that has ended */
    uint64_t start_time; /* nanoseconds since boot, rounded down to a tick */
};

static uint64_t tick_length(void) {
    return (uint64_t)MP__SECOND / (uint64_t)sysconf(_SC_CLK_TCK);
}

/* A small file of /proc as text: its length or -errno. */
static ssize_t read_text(const char *path, char *out, size_t capacity) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return -errno;
    ssize_t length;
    do
        length = read(descriptor, out, capacity - 1);
    while (length < 0 && errno == EINTR);
    if (length < 0)
        length = -errno;
    else
        out[length] = 0;
    mp__descriptor_close(descriptor);
    return length;
}

/* `pid` as this /proc counts. false: not known. */
static bool read_stat(pid_t pid, struct process_stat *out) {
    char path[40], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (read_text(path, text, sizeof text) <= 0)
        return false;
    /* The second field is the program's name in brackets and may hold anything. */
    const char *rest = strrchr(text, ')');
    unsigned long long ticks;
    if (!rest ||
        sscanf(rest + 1,
               " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld %*d %llu",
               &out->state, &out->thread_count, &ticks) != 3)
        return false;
    out->start_time = ticks * tick_length();
    return true;
}

/* The process's number in /proc's own pid namespace, which need not be ours: -1 it is gone, 0 it is
 * not seen there. */
static pid_t number_in_proc(int pidfd) {
    char path[40], text[512];
    snprintf(path, sizeof path, "/proc/thread-self/fdinfo/%d", pidfd);
    const char *line = read_text(path, text, sizeof text) > 0 ? strstr(text, "\nPid:") : NULL;
    return line ? (pid_t)strtol(line + 5, NULL, 10) : 0;
}

static bool has_ended(int pidfd) {
    struct pollfd poller = {.fd = pidfd, .events = POLLIN};
    return poll(&poller, 1, 0) > 0;
}

/* 0: not known. */
static uint64_t start_time_of(int pidfd) {
    struct process_stat stat;
    pid_t pid = number_in_proc(pidfd);
    return pid > 0 && read_stat(pid, &stat) ? stat.start_time : 0;
}

bool mp__child_sees_zombies(void) {
    return true;
}

uint64_t mp__boot_time(void) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * (uint64_t)MP__SECOND + (uint64_t)now.tv_nsec;
}

uint64_t mp__child_start_time(pid_t pid) {
    struct process_stat stat;
    int pidfd = mp__pidfd_open(pid);
    if (pidfd < 0)
        return pidfd != -ESRCH && read_stat(pid, &stat) ? stat.start_time : 0;
    uint64_t start_time = start_time_of(pidfd);
    mp__descriptor_close(pidfd);
    return start_time;
}

static bool is_that_one(uint64_t start_time, uint64_t registered) {
    return start_time <= registered + tick_length();
}

/* No pidfd to be had: old kernel, sandbox, no descriptor left. In doubt it exists. */
static bool exists_by_number(pid_t pid, uint64_t registered) {
    struct process_stat stat;
    if (kill(pid, 0) < 0 && errno == ESRCH)
        return false;
    if (!read_stat(pid, &stat))
        return true;
    bool is_over = stat.state == 'X' || (stat.state == 'Z' && stat.thread_count <= 1);
    return !is_over && is_that_one(stat.start_time, registered);
}

/* Asked in this order: if the process behind the pidfd has not ended at last, the start time read
 * before was its own. */
bool mp__child_exists(pid_t pid, uint64_t registered) {
    if (pid <= 0)
        return false;
    int pidfd = mp__pidfd_open(pid);
    if (pidfd == -ESRCH || pidfd == -EINVAL ||
        pidfd == -ENOENT) /* none, or a mere thread has this number now */
        return false;
    if (pidfd < 0)
        return exists_by_number(pid, registered);
    bool exists = is_that_one(start_time_of(pidfd), registered) && !has_ended(pidfd);
    mp__descriptor_close(pidfd);
    return exists;
}

void mp__child_await_end(pid_t pid, mp__time deadline) {
    int pidfd = pid > 0 ? mp__pidfd_open(pid) : -ESRCH;
    if (pidfd < 0)
        return;
    (void)mp__descriptor_poll(pidfd, POLLIN, deadline);
    mp__descriptor_close(pidfd);
}

/* The parent may have died before: then nothing is sent any more. */
int mp__child_bind(pid_t parent) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return -ENOSYS;
    if (getppid() != parent)
        kill(getpid(), SIGKILL);
    return 0;
}

void mp__child_unbind(void) {
    (void)prctl(PR_SET_PDEATHSIG, 0);
}
