/* The storm's watchdog: nobody may be in one operation for long.
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "os/child.h"
#include "os/clock.h"
#include "storm.h"

static struct {
    pthread_t thread;
    struct storm *storm;
    mp__time limit;
    _Atomic bool is_over;
} watch;

static void print_file(int pid, const char *name) {
    char path[64], text[600];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    FILE *file = fopen(path, "r");
    if (!file)
        return;
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    fprintf(stderr, "    %s: %.*s\n", name, (int)size, text);
}

void storm_print_stack(int pid) {
    char command[200];
    print_file(pid, "wchan");
    print_file(pid, "syscall");
    fflush(stderr);
    snprintf(command, sizeof command,
             "command -v gdb >/dev/null && timeout 20 gdb -p %d -batch -ex 'thread apply all bt' "
             "2>/dev/null | grep -E '^(#|Thread)' >&2",
             pid);
    if (system(command) != 0)
        fprintf(stderr, "    (no debugger)\n");
}

static void accuse(unsigned number, mp__time now) {
    struct storm_seat *seat = &watch.storm->seats[number];
    fprintf(stderr, "STUCK: seat %u, process %d, in '%s' (lane %u) for %.1f s\n", number,
            atomic_load(&seat->pid), storm_operation_names[atomic_load(&seat->operation)],
            atomic_load(&seat->lane_in_hand),
            (double)(now - (mp__time)atomic_load(&seat->since)) / (double)MP__SECOND);
}

static bool is_late(unsigned number, mp__time now, mp__time limit) {
    struct storm_seat *seat = &watch.storm->seats[number];
    return atomic_load(&seat->pid) != 0 && atomic_load(&seat->operation) != OP_NONE &&
           now - (mp__time)atomic_load(&seat->since) > limit;
}

/* A helper's seat may be that of one killed long ago: its parent cleans up later. */
static bool is_stuck(unsigned number, mp__time now) {
    return is_late(number, now, watch.limit) &&
           mp__child_exists(atomic_load(&watch.storm->seats[number].pid), mp__boot_time());
}

static void *watch_seats(void *unused) {
    while (!atomic_load(&watch.is_over)) {
        usleep(100000);
        mp__time now = mp__now();
        unsigned stuck = SEAT_MAX;
        for (unsigned i = 0; i < SEAT_MAX && stuck == SEAT_MAX; i++)
            if (is_stuck(i, now))
                stuck = i;
        if (stuck == SEAT_MAX)
            continue;
        atomic_store(&watch.storm->failed, 1);
        for (unsigned i = 0; i < SEAT_MAX; i++)
            if (is_late(i, now, watch.limit / 4)) {
                accuse(i, now);
                storm_print_stack(atomic_load(&watch.storm->seats[i].pid));
            }
        _exit(98);
    }
    return unused;
}

void storm_watch(struct storm *storm, double limit_seconds) {
    watch.storm = storm;
    watch.limit = (mp__time)(limit_seconds * (double)MP__SECOND);
    STORM_CHECK(pthread_create(&watch.thread, NULL, watch_seats, NULL) == 0);
}

void storm_watch_end(void) {
    atomic_store(&watch.is_over, true);
    pthread_join(watch.thread, NULL);
}
