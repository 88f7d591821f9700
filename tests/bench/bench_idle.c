/* What processes cost that wait: a hundred of them, on one thing after another.
 * SPDX-License-Identifier: MIT */
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "mp/connection.h"
#include "mp/context.h"
#include "mp/queue.h"
#include "mp/sync.h"

#define WAITERS 100
#define SETTLE_SECONDS 1 /* until all of them have come to sleep, and their waits are long ones */

static struct {
    mp_queue *queue;
    mp_lock *lock; /* held by the parent */
    mp_semaphore *semaphore;
    mp_event *event;
    mp_connection *here, *there;
} things;

static void wait_for_ever(void *arg) {
    char byte;
    switch (*(int *)arg % 5) {
    case 0:
        mp_queue_get(things.queue, &byte, 1, NULL, MP_FOREVER);
        break;
    case 1:
        mp_lock_acquire(things.lock, MP_FOREVER);
        break;
    case 2:
        mp_semaphore_acquire(things.semaphore, MP_FOREVER);
        break;
    case 3:
        mp_event_wait(things.event, MP_FOREVER);
        break;
    default:
        mp_connection_recv_bytes_into(things.there, &byte, 1, NULL, MP_FOREVER);
    }
}

static double cpu_seconds(pid_t pid) {
    clockid_t clock;
    struct timespec used;
    BENCH_CHECK(clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &used) == 0);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static double measure_waiters(const void *subject) {
    (void)subject;
    pid_t pids[WAITERS];
    int numbers[WAITERS];
    unsigned seconds = bench_is_smoke() ? 1 : 10;
    for (int i = 0; i < WAITERS; i++) {
        numbers[i] = i;
        pids[i] = bench_fork(wait_for_ever, &numbers[i]);
    }
    sleep(SETTLE_SECONDS);
    double used = 0;
    for (int i = 0; i < WAITERS; i++)
        used -= cpu_seconds(pids[i]);
    sleep(seconds);
    for (int i = 0; i < WAITERS; i++)
        used += cpu_seconds(pids[i]);
    for (int i = 0; i < WAITERS; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
    return 100 * used / seconds;
}

static const struct bench_contender contenders[] = {{"libmp", measure_waiters, NULL}};

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    bench_options(argc, argv);
    BENCH_CHECK(mp_queue_new(&things.queue, NULL, 0) == 0);
    BENCH_CHECK(mp_lock_new(&things.lock, NULL) == 0 && mp_lock_acquire(things.lock, 0) == 0);
    BENCH_CHECK(mp_semaphore_new(&things.semaphore, NULL, 0) == 0);
    BENCH_CHECK(mp_event_new(&things.event, NULL) == 0);
    BENCH_CHECK(mp_pipe_new(&things.here, &things.there, NULL, true) == 0);
    bench_run("100 processes that wait", "% of a cpu", contenders, BENCH_COUNT(contenders), 1);
    return 0;
}
