/* The test vocabulary's body: running one case, children, facts, leftovers.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/point.h"
#include "shm/arena.h"
#include "shm/heap.h"

#define THREADS_MAX 16    /* at once, that mpt_run_threads makes */
#define ORPHAN_TURNS 3000 /* looks, a millisecond apart, before what is left is a failure */

mp_context *(*mpt_chosen_context)(mp_start_method method);
void (*mpt_stop_servers)(void);
static mp_start_method chosen_method = MP_DEFAULT;

void mpt_die(const char *file, int line, const char *text) {
    fprintf(stderr, "%s:%d: process %d: not so: %s (%s)\n", file, line, (int)getpid(), text,
            mp_error_detail());
    fflush(NULL);
    _exit(MPT_FAILED);
}

void mpt_pause(unsigned turn, const char *file, int line, const char *text) {
    if (turn > 20000)
        mpt_die(file, line, text);
    nanosleep(&(struct timespec){.tv_nsec = turn < 100 ? 50000 : 1000000}, NULL);
}

void mpt_expect(int got, int expected, const char *file, int line, const char *text) {
    if (got == expected)
        return;
    fprintf(stderr, "%s:%d: %s gave %s (%d), not %s: %s\n", file, line, text, mp_error_name(got),
            got, mp_error_name(expected), mp_error_detail());
    fflush(NULL);
    _exit(MPT_FAILED);
}

pid_t mpt_fork(void (*body)(void *arg), void *arg) {
    fflush(NULL);
    pid_t pid = fork();
    MPT_CHECK(pid >= 0);
    if (pid > 0)
        return pid;
    body(arg);
    fflush(NULL);
    _exit(0);
}

pid_t mpt_fork_stopped(void (*body)(void *arg), void *arg) {
    int status;
    pid_t pid = mpt_fork(body, arg);
    while (waitpid(pid, &status, WUNTRACED) < 0)
        MPT_CHECK(errno == EINTR);
    MPT_CHECK(WIFSTOPPED(status));
    return pid;
}

int mpt_join(pid_t pid) {
    int status;
    while (waitpid(pid, &status, 0) < 0)
        MPT_CHECK(errno == EINTR);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

void mpt_kill(pid_t pid) {
    kill(pid, SIGKILL);
    MPT_CHECK(mpt_join(pid) == -SIGKILL);
}

void mpt_fork_all(pid_t *pids, unsigned count, void (*body)(void *arg), void *arg) {
    for (unsigned i = 0; i < count; i++)
        pids[i] = mpt_fork(body, arg);
}

void mpt_join_all(const pid_t *pids, unsigned count, const char *file, int line) {
    for (unsigned i = 0; i < count; i++) {
        char text[80];
        int code = mpt_join(pids[i]);
        snprintf(text, sizeof text, "child %u of %u ends with 0, but with %d", i + 1, count, code);
        if (code != 0)
            mpt_die(file, line, text);
    }
}

bool mpt_is_asleep(pid_t pid) {
    char name[64], text[512] = "";
    snprintf(name, sizeof name, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(name, "r");
    MPT_CHECK(file && fgets(text, sizeof text, file));
    fclose(file);
    const char *end = strrchr(text, ')');
    return end && (end[2] == 'S' || end[2] == 'Z');
}

struct work {
    void (*body)(void *arg);
    void *arg;
};

static void *run_work(void *work) {
    ((struct work *)work)->body(((struct work *)work)->arg);
    return NULL;
}

void mpt_run_threads(unsigned count, void (*body)(void *arg), void *arg) {
    struct work work = {body, arg};
    pthread_t threads[THREADS_MAX];
    MPT_CHECK(count <= THREADS_MAX);
    for (unsigned i = 0; i < count; i++)
        MPT_CHECK(pthread_create(&threads[i], NULL, run_work, &work) == 0);
    for (unsigned i = 0; i < count; i++)
        MPT_CHECK(pthread_join(threads[i], NULL) == 0);
}

static struct {
    const char *point; /* where */
    unsigned left;     /* how often it still passes */
    int signal;        /* what the process then sends itself */
} trap;

static void spring_trap(const char *name) {
    if (strcmp(name, trap.point) == 0 && --trap.left == 0)
        kill(getpid(), trap.signal);
}

static void set_trap(const char *point, unsigned turn, int signal) {
    trap.point = point;
    trap.left = turn;
    trap.signal = signal;
    mp__point_hook = spring_trap;
}

void mpt_die_at(const char *point, unsigned turn) {
    set_trap(point, turn, SIGKILL);
}

void mpt_stop_at(const char *point, unsigned turn) {
    set_trap(point, turn, SIGSTOP);
}

mp_start_method mpt_method(void) {
    return chosen_method;
}

mp_context *mpt_context(void) {
    return chosen_method == MP_DEFAULT ? NULL : mpt_chosen_context(chosen_method);
}

static bool is_any(const char *name) {
    (void)name;
    return true;
}

/* An arena's name at its birth, whose maker is this process or is dead: other tests make arenas,
 * too. */
static bool is_left_name(const char *name) {
    int maker;
    if (sscanf(name, "libmp-%d-", &maker) != 1)
        return false;
    return maker == getpid() || (kill(maker, 0) < 0 && errno == ESRCH);
}

static unsigned count_entries(const char *directory, bool (*is_counted)(const char *name)) {
    unsigned count = 0;
    DIR *stream = opendir(directory);
    for (struct dirent *entry; stream && (entry = readdir(stream)) != NULL;)
        count += is_counted(entry->d_name);
    if (stream)
        closedir(stream);
    return count;
}

struct traces {
    unsigned descriptors; /* open in this process */
    unsigned names;       /* in /dev/shm, of this process or of dead ones */
};

static struct traces look_round(void) {
    return (struct traces){count_entries("/proc/self/fd", is_any),
                           count_entries("/dev/shm", is_left_name)};
}

/* Its beginning tells what it is. */
static void show_block(const void *block, size_t size, void *unused) {
    const uint64_t *words = block;
    (void)unused;
    fprintf(stderr, "  of %zu bytes:", size);
    for (size_t i = 0; i < 12 && i < size / sizeof *words; i++)
        fprintf(stderr, " %llx", (unsigned long long)words[i]);
    fprintf(stderr, "\n");
}

/* What a case must not leave: children, descriptors, names in /dev/shm, blocks of the arena. The
 * library may keep descriptor and what a fork server needs: at most `kept`. */
static int check_leftovers(struct traces before) {
    int failures = 0;
    struct traces after = look_round();
    if (after.names > before.names)
        failures +=
            fprintf(stderr, "left over: %u files in /dev/shm\n", after.names - before.names) > 0;
    if (mp__arena) {
        struct mp__heap_figures figures;
        mp__heap_figures(&figures);
        if (figures.blocks > 0)
            mp__heap_each(show_block, NULL);
        if (figures.blocks > 0)
            failures += fprintf(stderr, "left over: %llu blocks of the arena\n",
                                (unsigned long long)figures.blocks) > 0;
        if (mp__heap_check() < 0)
            failures += fprintf(stderr, "heap: %s\n", mp_error_detail()) > 0;
    }
    if (after.descriptors > before.descriptors + (mp__arena ? 1 : 0))
        failures += fprintf(stderr, "left over: %u descriptors\n",
                            after.descriptors - before.descriptors) > 0;
    if (waitpid(-1, NULL, WNOHANG) >= 0)
        failures += fprintf(stderr, "left over: child processes\n") > 0;
    return failures;
}

static mp_start_method find_method(const char *name) {
    static const char *const names[] = {[MP_FORK] = "fork",
                                        [MP_SPAWN] = "spawn",
                                        [MP_FORKSERVER] = "forkserver",
                                        [MP_THREAD] = "thread"};
    for (mp_start_method method = MP_FORK; method <= MP_THREAD; method++)
        if (strcmp(names[method], name) == 0)
            return method;
    return MP_DEFAULT;
}

/* "test_x:spawn" names a case and its method. */
static const struct mpt_case *find_case(const char *name, const struct mpt_case *cases,
                                        size_t count) {
    size_t length = strcspn(name, ":");
    for (size_t i = 0; i < count; i++) {
        if (strlen(cases[i].test.name) != length || strncmp(cases[i].test.name, name, length) != 0)
            continue;
        if (name[length] == ':' && cases[i].each_method)
            chosen_method = find_method(name + length + 1);
        return &cases[i];
    }
    return NULL;
}

static int run_case(const struct mpt_case *chosen, const char *name) {
    struct traces before = look_round();
    struct CMUnitTest tests[] = {chosen->test};
    int failures = cmocka_run_group_tests_name(name, tests, NULL, NULL);
    if (mpt_stop_servers)
        mpt_stop_servers();
    return failures ? failures : check_leftovers(before);
}

/* The living children of this process, which are those that the case has left: how many. */
static unsigned signal_orphans(int signal) {
    char name[64], line[4096];
    unsigned count = 0;
    snprintf(name, sizeof name, "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(name, "r");
    char *rest = file ? fgets(line, sizeof line, file) : NULL;
    for (char *end; rest && *rest; rest = end) {
        pid_t pid = (pid_t)strtol(rest, &end, 10);
        if (end == rest)
            break;
        count++;
        if (signal)
            fprintf(stderr, "left over: process %d\n", (int)pid);
        (void)kill(pid, signal);
    }
    if (file)
        fclose(file);
    return count;
}

/* Daemons of the dead take a moment to die. Whoever takes longer is told off, and ended. */
static int end_orphans(void) {
    for (unsigned turn = 0; turn < ORPHAN_TURNS; turn++) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            continue;
        if (signal_orphans(0) == 0)
            return 0;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return (int)signal_orphans(SIGKILL);
}

/* The case's own exit code or -signal; whoever else ends meanwhile is an orphan. */
static int await_case(pid_t pid) {
    pid_t ended;
    int status;
    do
        ended = waitpid(-1, &status, 0);
    while (ended != pid && (ended > 0 || errno == EINTR));
    MPT_CHECK(ended == pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* The case runs in a child. Who loses its parent becomes ours (and dies when ctest ends us for
 * taking too long): nothing of a test survives it. */
static int supervise(const struct mpt_case *chosen, const char *name) {
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid_t pid = fork();
    MPT_CHECK(pid >= 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        exit(run_case(chosen, name));
    }
    int code = await_case(pid);
    if (code < 0)
        fprintf(stderr, "%s: killed by signal %d\n", name, -code);
    return end_orphans() > 0 || code < 0 ? 1 : code;
}

int mpt_run(int argc, char **argv, const struct mpt_case *cases, size_t count) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s CASE[:METHOD]\n", argv[0]);
        for (size_t i = 0; i < count; i++)
            fprintf(stderr, "    %s%s\n", cases[i].test.name,
                    cases[i].each_method ? ":fork|spawn|forkserver" : "");
        return 2;
    }
    const struct mpt_case *chosen = find_case(argv[1], cases, count);
    if (!chosen) {
        fprintf(stderr, "no case %s\n", argv[1]);
        return 2;
    }
    return supervise(chosen, argv[1]);
}
