/* The wrapped functions, the count that the family shares, and the loop over both.
 * SPDX-License-Identifier: MIT */
#include "failing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fail.h"
#include "mpt.h"
#include "shm/arena.h"
#include "shm/heap.h"

#define NAME_ROOM 32
#define STUCK_SECONDS 30

/* In a file that all processes of the family map. */
struct plan {
    char name[NAME_ROOM];   /* which function; written before `is_armed` */
    int error;              /* what it fails with */
    bool is_for_good;       /* all later calls fail as well */
    _Atomic bool is_armed;  /* calls count */
    _Atomic unsigned calls; /* so far */
    unsigned turn;          /* which of them fails */
};
static struct plan *plan;
static bool is_outside; /* the process that runs the scenarios in others: nothing fails in it */

static void map_plan(const char *path) {
    int file = open(path, O_RDWR | O_CLOEXEC);
    void *memory = file < 0 ? MAP_FAILED
                            : mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    MPT_CHECK(memory != MAP_FAILED);
    close(file);
    plan = memory;
}

__attribute__((constructor)) static void find_plan(void) {
    const char *path = getenv("MPT_FAILING");
    if (path)
        map_plan(path);
}

static bool fails_now(const char *name) {
    if (!plan || is_outside || !plan->is_armed || strcmp(name, plan->name) != 0)
        return false;
    unsigned call = ++plan->calls;
    if (call != plan->turn && !(plan->is_for_good && call > plan->turn))
        return false;
    errno = plan->error;
    return true;
}

/* WRAP(type, name, what it gives when it fails, parameters, arguments): CMake reads the names. */
#define WRAP(type, name, failure, parameters, arguments)               \
    type __real_##name parameters;                                     \
    type __wrap_##name parameters;                                     \
    type __wrap_##name parameters {                                    \
        return fails_now(#name) ? (failure) : __real_##name arguments; \
    }

WRAP(void *, malloc, NULL, (size_t size), (size))
WRAP(void *, calloc, NULL, (size_t count, size_t size), (count, size))
WRAP(void *, realloc, NULL, (void *block, size_t size), (block, size))
WRAP(char *, strdup, NULL, (const char *text), (text))
WRAP(char *, realpath, NULL, (const char *path, char *out), (path, out))
WRAP(void *, mmap, MAP_FAILED, (void *at, size_t size, int access, int flags, int file, off_t from),
     (at, size, access, flags, file, from))
WRAP(int, madvise, -1, (void *at, size_t size, int advice), (at, size, advice))
WRAP(int, memfd_create, -1, (const char *name, unsigned flags), (name, flags))
WRAP(int, ftruncate, -1, (int file, off_t size), (file, size))
WRAP(int, shm_open, -1, (const char *name, int flags, mode_t mode), (name, flags, mode))
WRAP(int, posix_fallocate, plan->error, (int file, off_t from, off_t size), (file, from, size))
WRAP(pid_t, fork, -1, (void), ())
WRAP(int, clone, -1, (int (*body)(void *), void *stack, int flags, void *arg),
     (body, stack, flags, arg))
WRAP(int, socketpair, -1, (int domain, int type, int protocol, int *out),
     (domain, type, protocol, out))
WRAP(int, pipe2, -1, (int *out, int flags), (out, flags))
WRAP(int, open, -1, (const char *path, int flags, unsigned mode), (path, flags, mode))
WRAP(FILE *, fopen, NULL, (const char *path, const char *mode), (path, mode))
WRAP(int, stat, -1, (const char *path, struct stat *out), (path, out))
WRAP(int, fcntl, -1, (int descriptor, int command, uintptr_t value), (descriptor, command, value))
WRAP(int, dup2, -1, (int from, int to), (from, to))
WRAP(ssize_t, read, -1, (int descriptor, void *out, size_t size), (descriptor, out, size))
WRAP(ssize_t, write, -1, (int descriptor, const void *data, size_t size), (descriptor, data, size))
WRAP(ssize_t, send, -1, (int socket, const void *data, size_t size, int flags),
     (socket, data, size, flags))
WRAP(ssize_t, recv, -1, (int socket, void *out, size_t size, int flags), (socket, out, size, flags))
WRAP(ssize_t, sendmsg, -1, (int socket, const struct msghdr *message, int flags),
     (socket, message, flags))
WRAP(ssize_t, recvmsg, -1, (int socket, struct msghdr *message, int flags),
     (socket, message, flags))
WRAP(int, poll, -1, (struct pollfd * list, nfds_t count, int milliseconds),
     (list, count, milliseconds))
WRAP(int, ppoll, -1,
     (struct pollfd * list, nfds_t count, const struct timespec *limit, const sigset_t *mask),
     (list, count, limit, mask))
WRAP(int, nanosleep, -1, (const struct timespec *time, struct timespec *left), (time, left))

/* Somebody else took the status; nobody can before there is one. */
static pid_t steal_status(pid_t pid, int options);
WRAP(pid_t, waitpid, steal_status(pid, options), (pid_t pid, int *status, int options),
     (pid, status, options))
static pid_t steal_status(pid_t pid, int options) {
    int error = plan->error;
    if (error == ECHILD && __real_waitpid(pid, NULL, options) == 0)
        return 0;
    errno = error;
    return -1;
}

WRAP(int, waitid, -1, (idtype_t type, id_t id, siginfo_t *out, int options),
     (type, id, out, options))
WRAP(int, pthread_create, plan->error,
     (pthread_t * out, const pthread_attr_t *attributes, void *(*body)(void *), void *arg),
     (out, attributes, body, arg))
WRAP(int, pthread_key_create, plan->error, (pthread_key_t * out, void (*end)(void *)), (out, end))
WRAP(int, pthread_setspecific, plan->error, (pthread_key_t key, const void *value), (key, value))
WRAP(int, atexit, -1, (void (*handler)(void)), (handler))
WRAP(ssize_t, getrandom, -1, (void *out, size_t size, unsigned flags), (out, size, flags))
WRAP(void *, dlopen, NULL, (const char *path, int flags), (path, flags))

/* System calls without a function have the names of their numbers. */
static const char *name_of_call(long number, long operation) {
    switch (number) {
    case SYS_pidfd_open:
        return "pidfd_open";
    case SYS_pidfd_send_signal:
        return "pidfd_send_signal";
    case SYS_futex:
        return operation == FUTEX_WAKE ? "wake" : "futex"; /* waking is never interrupted */
    case SYS_futex_waitv:
        return "futex_waitv";
    case SYS_close_range:
        return "close_range";
    case SYS_execve:
    case SYS_execveat:
        return "execve";
    default:
        return "syscall";
    }
}
long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f) {
    return fails_now(name_of_call(number, b)) ? -1 : __real_syscall(number, a, b, c, d, e, f);
}

/* The arena is full. */
static void *refuse_block(void) {
    mp__fail(-ENOMEM, "the arena is full, says the test");
    return NULL;
}
WRAP(void *, mp__heap_alloc, refuse_block(), (size_t size), (size))
WRAP(void *, mp__heap_zalloc, refuse_block(), (size_t size), (size))

static const struct refusal {
    const char *name; /* of the function */
    int error;        /* what it fails with */
    bool may_last;    /* such failures come in a row */
} refusals[] = {
    {"malloc", ENOMEM, true},
    {"calloc", ENOMEM, true},
    {"realloc", ENOMEM, true},
    {"strdup", ENOMEM, true},
    {"realpath", ENOENT},
    {"mmap", ENOMEM, true},
    {"madvise", EINVAL},
    {"memfd_create", ENOSYS, true},
    {"memfd_create", EMFILE, true},
    {"ftruncate", ENOSPC, true},
    {"shm_open", EMFILE, true},
    {"posix_fallocate", ENOSPC, true},
    {"fork", EAGAIN, true},
    {"clone", EAGAIN, true},
    {"socketpair", EMFILE, true},
    {"pipe2", EMFILE, true},
    {"open", EMFILE, true},
    {"fopen", EMFILE, true},
    {"stat", EACCES},
    {"fcntl", EMFILE, true},
    {"dup2", EMFILE},
    {"sendmsg", ENOBUFS, true},
    {"recvmsg", ENOMEM},
    {"send", ENOBUFS, true},
    {"recv", ENOMEM},
    {"write", EIO},
    {"read", EIO},
    {"poll", ENOMEM},
    {"ppoll", ENOMEM},
    {"waitpid", ECHILD},
    {"pthread_create", EAGAIN, true},
    {"pthread_key_create", EAGAIN, true},
    {"pthread_setspecific", ENOMEM, true},
    {"atexit", ENOMEM},
    {"getrandom", ENOSYS, true},
    {"dlopen", 0},
    {"pidfd_open", EMFILE, true},
    {"pidfd_open", ENOSYS, true},
    {"pidfd_send_signal", ENOSYS, true},
    {"futex_waitv", ENOSYS, true},
    {"close_range", ENOSYS, true},
    {"execve", ENOMEM, true},
    {"mp__heap_alloc", ENOMEM, true},
    {"mp__heap_zalloc", ENOMEM, true},
};

static const struct refusal interruptions[] = {
    {"poll", EINTR},      {"ppoll", EINTR},   {"read", EINTR},        {"write", EINTR},
    {"send", EINTR},      {"recv", EINTR},    {"sendmsg", EINTR},     {"recvmsg", EINTR},
    {"open", EINTR},      {"waitpid", EINTR}, {"waitid", EINTR},      {"ftruncate", EINTR},
    {"getrandom", EINTR}, {"futex", EINTR},   {"futex_waitv", EINTR}, {"posix_fallocate", EINTR},
    {"nanosleep", EINTR},
};

/* Seen from inside: what a run may not change once the library is warm. */
struct state {
    unsigned descriptors;
    unsigned threads;
    unsigned long long blocks; /* of the arena */
};

static unsigned count_entries(const char *directory) {
    unsigned count = 0;
    DIR *stream = opendir(directory);
    while (stream && readdir(stream))
        count++;
    closedir(stream);
    return count;
}

static struct state look_round(void) {
    struct state state = {count_entries("/proc/self/fd"), count_entries("/proc/self/task"), 0};
    struct mp__heap_figures figures = {0};
    if (mp__arena)
        mp__heap_figures(&figures);
    state.blocks = figures.blocks;
    return state;
}

static void arm(const struct refusal *refusal, unsigned turn, bool is_for_good) {
    snprintf(plan->name, sizeof plan->name, "%s", refusal->name);
    plan->error = refusal->error;
    plan->turn = turn;
    plan->is_for_good = is_for_good;
    plan->calls = 0;
    plan->is_armed = true;
}

static void check_clean(void) {
    mpt_stop_servers();
    MPT_CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
    MPT_CHECK(!mp__arena || mp__heap_check() == 0);
}

struct run {
    mpt_scenario_fn scenario;      /* what is run */
    const struct refusal *refusal; /* NULL: nothing fails, find out the usual state */
    unsigned turn;                 /* which call */
    bool is_for_good;              /* and all after it */
    bool must_succeed;             /* since an interruption is no failure */
    struct state *usual;           /* after two runs without failures; shared memory */
};

/* In a process of its own: fail, then succeed twice. */
static void run_once(void *argument) {
    const struct run *run = argument;
    alarm(STUCK_SECONDS);
    mp__fail(0, "%s", "");
    if (run->refusal)
        arm(run->refusal, run->turn, run->is_for_good);
    int code = run->scenario();
    plan->is_armed = false;
    if (code < 0 && mp_error_detail()[0] == 0)
        mpt_die(__FILE__, __LINE__, "a failure has a detail");
    if (run->must_succeed && code < 0)
        MPT_OK(code);
    check_clean();
    for (int i = 0; i < 2; i++) {
        MPT_CHECK(run->scenario() >= 0);
        check_clean();
    }
    struct state state = look_round();
    if (!run->refusal)
        *run->usual = state;
    if (state.descriptors > run->usual->descriptors || state.threads > run->usual->threads ||
        state.blocks > run->usual->blocks) {
        fprintf(stderr,
                "left over: %u descriptors, %u threads, %llu blocks, instead of %u, %u, %llu\n",
                state.descriptors, state.threads, state.blocks, run->usual->descriptors,
                run->usual->threads, run->usual->blocks);
        mpt_die(__FILE__, __LINE__, "nothing is left over");
    }
}

static void lead_group(void *argument) {
    setpgid(0, 0);
    is_outside = false;
    run_once(argument);
}

/* Descendants that outlived it are ours now: they end by themselves, at once. */
static bool bury_group(pid_t group) {
    int status;
    for (unsigned turn = 0; turn < 2000; turn++) {
        while (waitpid(-group, &status, WNOHANG) > 0)
            continue;
        if (kill(-group, 0) < 0)
            return true;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    kill(-group, SIGKILL);
    while (waitpid(-group, &status, 0) > 0)
        continue;
    return false;
}

static unsigned failed_count; /* runs that went wrong */

static void run_apart(struct run *run) {
    pid_t pid = mpt_fork(lead_group, run);
    int code = mpt_join(pid);
    bool is_empty = bury_group(pid);
    if (code == 0 && is_empty)
        return;
    fprintf(stderr, "call %u of %s (error %d%s): %s (%d)%s\n", run->turn,
            run->refusal ? run->refusal->name : "nothing", run->refusal ? run->refusal->error : 0,
            run->is_for_good ? ", for good" : "", code == -SIGALRM ? "stuck" : "failed", code,
            is_empty ? "" : ", processes are left over");
    failed_count++;
}

static void fail_calls(struct run *run) {
    for (run->turn = 1;; run->turn++) {
        run_apart(run);
        if (plan->calls < run->turn)
            return;
    }
}

static void make_plan(char *path) {
    int file = mkstemp(path);
    MPT_CHECK(file >= 0 && ftruncate(file, (off_t)(2 * sizeof *plan)) == 0);
    close(file);
    map_plan(path);
    setenv("MPT_FAILING", path, 1);
    is_outside = true;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static void fail_each(mpt_scenario_fn scenario, const struct refusal *list, size_t count,
                      bool must_succeed) {
    char path[] = "/tmp/mpt_failing_XXXXXX";
    make_plan(path);
    struct state *usual =
        mmap(NULL, sizeof *usual, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct run run = {.scenario = scenario, .must_succeed = must_succeed, .usual = usual};
    run_apart(&run);
    const char *only = getenv("MPT_FAILING_ONLY"); /* one function, to look into it */
    for (size_t i = 0; i < count; i++) {
        if (only && strcmp(only, list[i].name) != 0)
            continue;
        run.refusal = &list[i];
        run.is_for_good = false;
        fail_calls(&run);
        run.is_for_good = true;
        if (list[i].may_last)
            fail_calls(&run);
    }
    unlink(path);
    MPT_CHECK(failed_count == 0);
}

void mpt_fail_each(mpt_scenario_fn scenario) {
    fail_each(scenario, refusals, sizeof refusals / sizeof refusals[0], false);
}

void mpt_interrupt_each(mpt_scenario_fn scenario) {
    fail_each(scenario, interruptions, sizeof interruptions / sizeof interruptions[0], true);
}
