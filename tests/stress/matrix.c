/* The matrix: at each kill point somebody dies, or stops for a while, and the others go on.
 * SPDX-License-Identifier: MIT
 *
 *     matrix kill|stop SOURCE_TREE [POINT]     points that no scenario reaches are errors, but for
 *                                              those of tests/stress/points_unreached.txt */
#include "matrix.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mpt.h"
#include "os/clock.h"
#include "reg/recover.h"
#include "shm/heap.h"
#include "storm.h"

enum { POINT_MAX = 400, NAME_BYTES = 64, ROUNDS = 2, SCENARIO_SECONDS = 25, RECORDINGS = 5 };
enum { SLOWEST_SECONDS = 5 }; /* one for the death, the rest for a busy machine */

static struct point {
    char name[NAME_BYTES];
    uint64_t scenarios; /* bit i: scenario i comes to it */
    bool is_excused;    /* listed in points_unreached.txt */
} points[POINT_MAX];
static unsigned point_count;
static char trap_file[64];

static struct point *find_point(const char *name) {
    for (unsigned i = 0; i < point_count; i++)
        if (strcmp(points[i].name, name) == 0)
            return &points[i];
    return NULL;
}

static void read_lines(FILE *file, void (*take)(const char *name, unsigned number),
                       unsigned number) {
    char line[NAME_BYTES * 4];
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, " \n")] = 0;
        if (line[0] && line[0] != '#')
            take(line, number);
    }
}

static void add_point(const char *name, unsigned unused) {
    (void)unused;
    if (find_point(name) || point_count == POINT_MAX)
        return;
    snprintf(points[point_count++].name, NAME_BYTES, "%s", name);
}

static void note_reached(const char *name, unsigned scenario) {
    if (find_point(name))
        find_point(name)->scenarios |= UINT64_C(1) << scenario;
}

static void excuse(const char *name, unsigned unused) {
    (void)unused;
    if (find_point(name))
        find_point(name)->is_excused = true;
    else
        printf("points_unreached.txt: there is no point %s\n", name);
}

static void collect_points(const char *tree) {
    char command[1000];
    snprintf(command, sizeof command,
             "grep -rhoE --include='*.c' --include=guard.h 'MP__POINT\\(\"[^\"]*' '%s/src' | sed "
             "'s/.*\"//' | sort -u",
             tree);
    FILE *file = popen(command, "r");
    read_lines(file, add_point, 0);
    pclose(file);
    snprintf(command, sizeof command, "%s/tests/stress/points_unreached.txt", tree);
    file = fopen(command, "r");
    read_lines(file, excuse, 0);
    if (file)
        fclose(file);
}

struct experiment {
    enum trap_mode mode;
    const char *point;
    const struct scenario *scenario;
    struct stage *stage;
};

static void be_victim(void *arg) {
    struct experiment *experiment = arg;
    alarm(SCENARIO_SECONDS);
    matrix_set_trap(experiment->mode, experiment->point, trap_file, true);
    for (int i = 0; i < ROUNDS; i++)
        experiment->scenario->run(experiment->stage);
}

static void be_bystander(void *arg) {
    struct experiment *experiment = arg;
    alarm(2 * SCENARIO_SECONDS);
    matrix_work_beside(experiment->stage);
}

static pid_t read_caught(void) {
    int pid = 0;
    FILE *file = fopen(trap_file, "r");
    if (!file)
        return 0;
    if (fscanf(file, "%d", &pid) != 1)
        pid = 0;
    fclose(file);
    return pid;
}

static bool has_ended(pid_t pid, int *status) {
    return waitpid(pid, status, WNOHANG) == pid;
}

/* Two rounds begun after the death: all that the dead one had is free again. */
static void await_progress(struct experiment *experiment) {
    uint64_t before = atomic_load(&experiment->stage->cycles);
    mp__time begin = mp__now();
    MPT_UNTIL(atomic_load(&experiment->stage->cycles) >= before + 2);
    double seconds = (double)(mp__now() - begin) / (double)MP__SECOND;
    if (seconds > 1)
        printf("slow: %s in '%s': the bystander took %.2f s\n", experiment->point,
               experiment->scenario->name, seconds);
    MPT_CHECK(seconds < SLOWEST_SECONDS);
}

static void resume_later(pid_t pid) {
    mp__time until = mp__now() + MP__SECOND / 20;
    MPT_UNTIL(mp__now() >= until);
    kill(pid, SIGCONT);
}

/* The victim ends by itself, unless it is the one. */
static bool watch_victim(struct experiment *experiment, pid_t victim, int *status) {
    pid_t caught = 0;
    bool is_over = false;
    for (unsigned turn = 0; !caught && !is_over; turn++) {
        is_over = has_ended(victim, status);
        caught = read_caught();
        if (!caught && !is_over)
            mpt_pause(turn % 1000, __FILE__, __LINE__, experiment->point);
    }
    if (caught && experiment->mode == TRAP_STOP)
        resume_later(caught);
    if (caught && experiment->mode == TRAP_KILL)
        await_progress(experiment);
    if (!is_over)
        MPT_CHECK(waitpid(victim, status, 0) == victim);
    return caught != 0;
}

/* What _new and mp_shared_alloc gave belongs to the family: who dies before anybody else knows it
 * has lost it. */
static bool may_leak(const struct scenario *scenario) {
    static const char *const list[] = {"objects", "channels", "shared heap"};
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        if (strcmp(scenario->name, list[i]) == 0)
            return true;
    return false;
}

static void check_heap(struct experiment *experiment) {
    struct mp__heap_figures figures;
    mp__heap_figures(&figures);
    if (figures.blocks > 0)
        printf("%llu blocks left by a death at %s in '%s'\n", (unsigned long long)figures.blocks,
               experiment->point, experiment->scenario->name);
    MPT_CHECK(figures.blocks == 0 || may_leak(experiment->scenario));
    MPT_OK(mp__heap_check());
}

static void run_experiment(void *arg) {
    struct experiment *experiment = arg;
    int status = 0;
    pid_t left[4];
    setpgid(0, 0);
    alarm(3 * SCENARIO_SECONDS);
    experiment->stage = matrix_make_stage();
    pid_t bystander = mpt_fork(be_bystander, experiment);
    MPT_UNTIL(atomic_load(&experiment->stage->cycles) > 0);
    pid_t victim = mpt_fork(be_victim, experiment);
    bool was_caught = watch_victim(experiment, victim, &status);
    if (!was_caught && experiment->mode != TRAP_RECORD)
        printf("note: %s was not reached in '%s' this time\n", experiment->point,
               experiment->scenario->name);
    bool was_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    MPT_CHECK(status == 0 || (was_killed && experiment->mode == TRAP_KILL));
    await_progress(experiment);
    atomic_store(&experiment->stage->stop, 1);
    MPT_CHECK(mpt_join(bystander) == 0);
    MPT_UNTIL(storm_list_group(getpgrp(), left, 4) == 0);
    mp__recover_all();
    matrix_check_stage(experiment->stage);
    matrix_free_stage(experiment->stage);
    if (experiment->mode != TRAP_RECORD)
        check_heap(experiment);
}

static bool try(struct experiment *experiment) {
    unlink(trap_file);
    pid_t pid = mpt_fork(run_experiment, experiment);
    int result = mpt_join(pid);
    if (result != 0) {
        printf("FAILED: %s in '%s' (%d)\n", experiment->point, experiment->scenario->name, result);
        kill(-pid, SIGKILL);
    }
    return result == 0;
}

static int record_scenario(unsigned number) {
    struct experiment experiment = {TRAP_RECORD, "none", &matrix_scenarios[number], NULL};
    int failures = !try(&experiment);
    FILE *file = fopen(trap_file, "r");
    read_lines(file, note_reached, number);
    if (file)
        fclose(file);
    return failures;
}

/* In the first scenarios that come to it: a stop takes its time. */
static int try_point(enum trap_mode mode, const struct point *point) {
    int failures = 0;
    unsigned tried = 0, most = mode == TRAP_STOP ? 1 : 2;
    for (unsigned i = 0; i < matrix_scenario_count && tried < most; i++) {
        struct experiment experiment = {mode, point->name, &matrix_scenarios[i], NULL};
        if (!(point->scenarios >> i & 1))
            continue;
        failures += !try(&experiment);
        tried++;
    }
    return failures;
}

/* The bystander may have been there first: then it is tried again. */
static bool is_any_unreached(void) {
    for (unsigned i = 0; i < point_count; i++)
        if (points[i].scenarios == 0 && !points[i].is_excused)
            return true;
    return false;
}

static int judge_unreached(const struct point *point) {
    if (point->scenarios != 0 || point->is_excused)
        return 0;
    return printf("UNREACHED: %s\n", point->name) > 0;
}

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    if (argc < 3 || (strcmp(argv[1], "kill") != 0 && strcmp(argv[1], "stop") != 0)) {
        fprintf(stderr, "usage: matrix kill|stop SOURCE_TREE [POINT]\n");
        return 2;
    }
    enum trap_mode mode = strcmp(argv[1], "kill") == 0 ? TRAP_KILL : TRAP_STOP;
    int failures = 0;
    unsigned tried = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    setenv("LIBMP_ARENA_BYTES", "268435456", 0);
    snprintf(trap_file, sizeof trap_file, "/tmp/matrix.%d", (int)getpid());
    collect_points(argv[2]);
    for (unsigned round = 0; round == 0 || (round < RECORDINGS && is_any_unreached()); round++)
        for (unsigned i = 0; i < matrix_scenario_count; i++)
            failures += record_scenario(i);
    for (unsigned i = 0; i < point_count; i++) {
        if (argc > 3 && strcmp(argv[3], points[i].name) != 0)
            continue;
        failures += judge_unreached(&points[i]) + try_point(mode, &points[i]);
        tried += points[i].scenarios != 0;
    }
    unlink(trap_file);
    printf("%u points, %u of them reached, %d failures\n", point_count, tried, failures);
    return failures > 0;
}
