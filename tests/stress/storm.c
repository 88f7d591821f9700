/* The storm: all operations by processes that are killed, stopped and replaced all the time.
 * SPDX-License-Identifier: MIT */
#include "storm.h"

#include <execinfo.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mpt.h"
#include "os/clock.h"
#include "os/random.h"
#include "shm/heap.h"

#define STORM_TEXT(name, text) text,
const char *const storm_operation_names[OP_COUNT] = {STORM_OPERATIONS(STORM_TEXT)};

enum { FAILED = 97, STUCK_SECONDS = 8, ROUND_MICROSECONDS = 4000 };

static struct storm *_Atomic known_storm; /* for storm_fail */
static const int bad_signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE};
static struct storm_self root;
static mp_process *occupants[SEAT_MAX];
static struct {
    pthread_t id;
    bool is_running;
    _Atomic bool has_ended;
    struct storm_order order;
} threads[SEAT_MAX]; /* the occupants when the method is thread */
static double limit_seconds = STUCK_SECONDS;
static unsigned kills_per_second = 100;

uint64_t storm_random(struct storm_self *self, uint64_t below) {
    self->random ^= self->random << 13;
    self->random ^= self->random >> 7;
    self->random ^= self->random << 17;
    return below ? (self->random >> 11) % below : 0;
}

void storm_begin(struct storm_self *self, enum storm_operation operation) {
    atomic_store(&self->seat->since, (uint64_t)mp__now());
    atomic_store(&self->seat->operation, operation);
}

void storm_end(struct storm_self *self) {
    atomic_store(&self->seat->operation, OP_NONE);
    atomic_store(&self->seat->operation_count, atomic_load(&self->seat->operation_count) + 1);
}

void storm_fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "STORM: process %d: ", (int)getpid());
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    if (known_storm)
        atomic_store(&known_storm->failed, 1);
    fflush(NULL);
    _exit(FAILED);
}

static void die_of(int signal) {
    fprintf(stderr, "STORM: process %d: signal %d\n", (int)getpid(), signal);
    void *frames[40];
    backtrace_symbols_fd(frames, backtrace(frames, 40), STDERR_FILENO);
    storm_print_stack(getpid());
    storm_fail("died of signal %d", signal);
}

bool storm_take_seat(struct storm_self *self, struct storm *storm, unsigned number) {
    int nobody = 0;
    known_storm = storm;
    self->storm = storm;
    self->seat = &storm->seats[number];
    self->number = number;
    if (number != ROOT_SEAT)
        alarm(storm->seconds + 120); /* the root may be gone */
    for (size_t i = 0; i < sizeof bad_signals / sizeof bad_signals[0]; i++)
        signal(bad_signals[i], die_of);
    if (!atomic_compare_exchange_strong(&self->seat->pid, &nobody, (int)getpid()))
        return false;
    self->buffer = malloc((size_t)LARGEST_MESSAGE * BATCH);
    STORM_CHECK(self->buffer);
    uint64_t life = atomic_fetch_add(&storm->incarnations, 1) + 1;
    self->random = (storm->seed + life) * 0x9E3779B97F4A7C15u | 1;
    return true;
}

void storm_leave_seat(struct storm_self *self) {
    atomic_store(&self->seat->pid, 0);
}

void storm_bury(struct storm *storm, unsigned number) {
    struct storm_seat *seat = &storm->seats[number];
    uint32_t operation = atomic_exchange(&seat->operation, OP_NONE);
    atomic_store(&seat->pid, 0);
    if (operation != OP_NONE)
        atomic_fetch_add(&storm->deaths[operation][atomic_load(&seat->lane_in_hand)], 1);
}

static void *run_thread(void *arg) {
    unsigned seat = (unsigned)(uintptr_t)arg;
    STORM_CHECK(storm_worker(&threads[seat].order, sizeof threads[seat].order) == 7);
    atomic_store(&threads[seat].has_ended, true);
    return NULL;
}

/* true: nobody sits there now. */
static bool reap_thread(unsigned seat) {
    if (threads[seat].is_running && atomic_load(&threads[seat].has_ended)) {
        STORM_CHECK(pthread_join(threads[seat].id, NULL) == 0);
        threads[seat].is_running = false;
    }
    return !threads[seat].is_running;
}

static void start_thread(struct storm *storm, unsigned seat) {
    threads[seat].order = (struct storm_order){storm, seat, false};
    threads[seat].is_running = true;
    atomic_store(&threads[seat].has_ended, false);
    STORM_CHECK(pthread_create(&threads[seat].id, NULL, run_thread, (void *)(uintptr_t)seat) == 0);
}

static void start_process(struct storm *storm, unsigned seat) {
    mp_connection *both[] = {storm->ends[0], storm->ends[1], NULL};
    struct storm_order order = {storm, seat, false};
    mp_process_options options = {
        .target = storm_worker, .arg = &order, .arg_size = sizeof order, .connections = both};
    storm_begin(&root, OP_ROOT_START);
    STORM_CHECK(mp_process_new(&occupants[seat], mp_get_context(storm->method), &options) == 0);
    int code = mp_process_start(occupants[seat]);
    STORM_CHECK(code == 0 || code == MP_EWORKER); /* killed on its way, or its server was */
    if (code < 0) {
        mp_process_close(occupants[seat]);
        occupants[seat] = NULL;
    }
    storm_end(&root);
}

static bool reap_process(struct storm *storm, unsigned seat) {
    int code;
    if (!occupants[seat])
        return true;
    storm_begin(&root, OP_ROOT_REAP);
    int joined = mp_process_join(occupants[seat], MP_NOWAIT);
    STORM_CHECK(joined == 0 || joined == MP_ETIMEDOUT);
    if (joined == 0) {
        STORM_CHECK(mp_process_exitcode(occupants[seat], &code) == 0);
        STORM_CHECK(code == -SIGKILL || code == 255 || (code == 7 && atomic_load(&storm->stop)));
        STORM_CHECK(mp_process_close(occupants[seat]) == 0);
        occupants[seat] = NULL;
        if (code != 7)
            storm_bury(storm, seat);
    }
    storm_end(&root);
    return joined == 0;
}

static bool reap(struct storm *storm, unsigned seat) {
    return storm->method == MP_THREAD ? reap_thread(seat) : reap_process(storm, seat);
}

static void start_worker(struct storm *storm, unsigned seat) {
    if (storm->method == MP_THREAD)
        start_thread(storm, seat);
    else
        start_process(storm, seat);
}

/* Whoever waits for ever for something that the dead had in hand is given it. */
static void feed_condition(struct storm *storm) {
    storm_begin(&root, OP_CONDITION_NOTIFY);
    storm_locked(&root, mp_condition_acquire(storm->condition, MP_FOREVER), &storm->items,
                 &storm->items_twin);
    if (storm->items < 4) {
        storm->items = storm->items + 1;
        storm->items_twin = storm->items_twin + 1;
        STORM_CHECK(mp_condition_notify(storm->condition, 1) == 0);
    }
    if (atomic_load(&storm->stop))
        STORM_CHECK(mp_condition_notify_all(storm->condition) == 0);
    STORM_CHECK(mp_condition_release(storm->condition) == 0);
    storm_end(&root);
}

static void feed(struct storm *storm) {
    feed_condition(storm);
    storm_begin(&root, OP_SEMAPHORE_RELEASE);
    if (mp_semaphore_value(storm->semaphore) == 0) {
        STORM_CHECK(mp_semaphore_release(storm->semaphore, 1) == 0);
        atomic_fetch_add(&storm->semaphore_released, 1);
    }
    storm_end(&root);
    storm_begin(&root, OP_EVENT);
    STORM_CHECK(mp_event_set(storm->event) == 0);
    storm_end(&root);
    storm_begin(&root, OP_BARRIER);
    if (storm_random(&root, 10) == 0)
        STORM_CHECK(mp_barrier_reset(storm->barrier) == 0);
    storm_end(&root);
    for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
        if (storm_lane_is_empty(storm, lane))
            storm_put(&root, lane, 0.1);
        else if (storm_random(&root, 4) == 0)
            storm_get(&root, lane, 0.1);
    }
}

static void check_heap(void) {
    static mp__time next;
    if (mp__now() < next)
        return;
    next = mp__now() + MP__SECOND;
    storm_begin(&root, OP_ROOT_CHECK);
    STORM_CHECK(mp__heap_check() == 0);
    storm_end(&root);
}

static void rage(struct storm *storm) {
    mp__time end = mp__now() + (mp__time)storm->seconds * MP__SECOND;
    if (storm->method != MP_THREAD)
        storm_killer_start(storm, kills_per_second);
    while (mp__now() < end && !atomic_load(&storm->failed)) {
        for (unsigned seat = 1; seat <= storm->workers; seat++)
            if (reap(storm, seat))
                start_worker(storm, seat);
        feed(storm);
        check_heap();
        usleep((useconds_t)storm_random(&root, ROUND_MICROSECONDS));
    }
    if (storm->method != MP_THREAD)
        storm_killer_end();
}

static void calm_down(struct storm *storm) {
    unsigned left = 1;
    pid_t pids[4];
    atomic_store(&storm->stop, 1);
    while (left > 0) {
        left = 0;
        for (unsigned seat = 1; seat <= storm->workers; seat++)
            left += !reap(storm, seat);
        feed(storm);
        usleep(1000);
    }
    mp__forkserver_stop();
    storm_begin(&root, OP_ROOT_REAP); /* orphans: helpers, fork servers, pool workers */
    while (storm_list_group(storm->group, pids, 4) > 0) {
        feed(storm);
        if (storm_list_group(storm->group, pids, 4) > 0)
            usleep(5000);
    }
    storm_end(&root);
    for (unsigned seat = 1; seat <= 2 * storm->workers; seat++)
        if (atomic_load(&storm->seats[seat].pid))
            storm_bury(storm, seat);
}

static void print_toll(struct storm *storm) {
    uint64_t operations = 0;
    for (unsigned i = 0; i < SEAT_MAX; i++)
        operations += atomic_load(&storm->seats[i].operation_count);
    printf("storm %s, %u s, %u workers, seed %" PRIu64 "\n", mp_start_method_name(storm->method),
           storm->seconds, storm->workers, storm->seed);
    printf("  %" PRIu64 " kills of workers and helpers, %" PRIu64 " of anybody, %" PRIu64
           " stops; %" PRIu64 " lives\n",
           storm_toll.kills, storm_toll.other_kills, storm_toll.stops,
           atomic_load(&storm->incarnations));
    printf("  %" PRIu64 " operations, %" PRIu64 " messages checked, %" PRIu64
           " locks taken over from the dead\n",
           operations, atomic_load(&storm->messages), atomic_load(&storm->repairs));
    printf("  %" PRIu64 " helpers joined, %" PRIu64 " pools, %" PRIu64 " items right, %" PRIu64
           " lost with their worker\n",
           atomic_load(&storm->helpers_ended), atomic_load(&storm->pools_done),
           atomic_load(&storm->pool_items), atomic_load(&storm->pool_losses));
}

static void parse(int argc, char **argv, struct storm *storm) {
    storm->method = MP_FORK;
    storm->seconds = 3;
    storm->workers = 4;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--method") == 0)
            storm->method = mp_start_method_from_name(argv[i + 1]);
        else if (strcmp(argv[i], "--seconds") == 0)
            storm->seconds = (uint32_t)atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--workers") == 0)
            storm->workers = (unsigned)atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--seed") == 0)
            storm->seed = strtoull(argv[i + 1], NULL, 0);
        else if (strcmp(argv[i], "--kills-per-second") == 0)
            kills_per_second = (unsigned)atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--stuck-seconds") == 0)
            limit_seconds = atof(argv[i + 1]);
        else
            storm_fail("usage: storm [--method M] [--seconds N] [--workers N] [--seed N (0: any)] "
                       "[--kills-per-second N] [--stuck-seconds N]");
    }
    STORM_CHECK(storm->method != MP_DEFAULT && storm->workers >= 1);
    STORM_CHECK(storm->workers < SEAT_MAX / 2 && kills_per_second > 0);
}

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    setenv("LIBMP_ARENA_BYTES", "1073741824", 0); /* a leak must not cost the machine its memory */
    struct storm *storm = storm_make();
    parse(argc, argv, storm);
    if (storm->seed == 0)
        mp__random_bytes(&storm->seed, 4);
    setpgid(0, 0);
    storm->group = getpgrp();
    STORM_CHECK(storm_take_seat(&root, storm, ROOT_SEAT));
    storm_watch(storm, limit_seconds);
    rage(storm);
    if (!atomic_load(&storm->failed))
        calm_down(storm);
    storm_watch_end();
    print_toll(storm);
    bool has_failed = atomic_load(&storm->failed);
    if (!has_failed) {
        storm_check(&root);
        uint64_t leak_limit = storm_leak_limit(storm);
        storm_free(storm);
        storm_check_leaks(leak_limit);
    }
    printf("%s\n", has_failed ? "FAILED" : "all right");
    fflush(NULL);
    if (has_failed)
        kill(0, SIGKILL);
    return 0;
}
