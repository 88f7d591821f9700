/* Processes die in the middle of everything, thousands of them: all that they had is given back.
 * SPDX-License-Identifier: MIT
 *
 *     leak [KILLS]     300 by default. Every second one dies at the n-th kill point it comes to,
 *                      wherever that is, the others when somebody kills them */
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/point.h"
#include "chan/queue.h"
#include "mp/connection.h"
#include "mp/queue.h"
#include "mp/sync.h"
#include "mpt.h"
#include "os/clock.h"
#include "reg/recover.h"
#include "reg/registry.h"
#include "shm/heap.h"

enum { DEFAULT_KILLS = 300, ROUND = 50, LARGE = 120000, POINTS_MOST = 3000, SLACK = 2 << 20 };

static struct {
    mp_lock *lock, *rlock;
    mp_condition *condition;
    mp_semaphore *semaphore;
    mp_queue *queue, *small_queue;
    mp_connection *ends[2];
} shared;

static unsigned char bytes[LARGE];
static uint64_t seed = 88172645463325252u;
static unsigned points_left;

static uint64_t draw(uint64_t below) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 11) % below;
}

static void count_down(const char *name) {
    (void)name;
    if (--points_left == 0)
        kill(getpid(), SIGKILL);
}

static void use_locks(void) {
    (void)mp_lock_acquire(shared.lock, MP_FOREVER);
    (void)mp_lock_acquire(shared.rlock, MP_FOREVER);
    mp_lock_release(shared.lock);
    mp_lock_release(shared.rlock);
    (void)mp_condition_acquire(shared.condition, MP_FOREVER);
    (void)mp_condition_wait(shared.condition, 0.0005);
    mp_condition_notify_all(shared.condition);
    mp_condition_release(shared.condition);
    if (mp_semaphore_acquire(shared.semaphore, 0) == 0)
        mp_semaphore_release(shared.semaphore, 1);
}

static size_t choose_size(void) {
    static const size_t limits[] = {60, 60, 3000, 9000, LARGE};
    return draw(limits[draw(5)]);
}

static void use_queues(void) {
    mp_queue *queue = draw(2) ? shared.queue : shared.small_queue;
    mp_message *messages[8];
    size_t got;
    if (draw(2))
        (void)mp_queue_put(queue, bytes, choose_size(), 0);
    if (draw(2))
        (void)mp_queue_get(queue, bytes, sizeof bytes, NULL, 0);
    if (mp_message_new(&messages[0], choose_size()) == 0 &&
        mp_queue_put_message(queue, messages[0], 0) < 0)
        mp_message_free(messages[0]);
    if (mp_queue_get_many(queue, messages, 8, &got, 0) == 0)
        for (size_t i = 0; i < got; i++)
            mp_message_free(messages[i]);
}

static void use_pipe(void) {
    unsigned end = (unsigned)draw(2);
    (void)mp_connection_send_bytes(shared.ends[end], bytes, choose_size(), 0);
    (void)mp_connection_recv_bytes_into(shared.ends[!end], bytes, sizeof bytes, NULL, 0);
}

static void use_heap(void) {
    static void *blocks[64];
    for (int i = 0; i < 20; i++) {
        size_t at = draw(64);
        mp__heap_free(blocks[at]);
        blocks[at] = draw(3) ? mp__heap_alloc(choose_size()) : NULL;
    }
}

static void be_victim(void *arg) {
    const unsigned *points = arg;
    if (*points > 0) {
        points_left = *points;
        mp__point_hook = count_down;
    }
    alarm(20);
    MPT_CHECK(mp__self());
    for (;;) {
        use_heap();
        use_queues();
        use_locks();
        use_pipe();
    }
}

static void kill_one(bool at_point) {
    unsigned points = at_point ? 1 + (unsigned)draw(POINTS_MOST) : 0;
    seed++;
    pid_t pid = mpt_fork(be_victim, &points);
    if (!at_point) {
        mp__time until = mp__now() + (mp__time)draw(MP__SECOND / 500);
        while (mp__now() < until)
            use_locks();
        kill(pid, SIGKILL);
    }
    MPT_CHECK(mpt_join(pid) == -SIGKILL);
}

static void drain(mp_queue *queue) {
    while (mp_queue_get(queue, bytes, sizeof bytes, NULL, 0) == 0)
        ;
    MPT_OK(mp__channel_check(&((struct queue_shared *)(void *)queue)->channel));
}

/* Everything idle: what is in use now is in use for ever. */
static struct mp__heap_figures look(void) {
    struct mp__heap_figures figures;
    mp__recover_all();
    drain(shared.queue);
    drain(shared.small_queue);
    for (int i = 0; i < 2; i++)
        while (mp_connection_recv_bytes_into(shared.ends[i], bytes, sizeof bytes, NULL, 0) == 0)
            ;
    if (mp_semaphore_value(shared.semaphore) == 0)
        MPT_OK(mp_semaphore_release(shared.semaphore, 1));
    MPT_OK(mp__heap_check());
    MPT_OK(mp__registry_check());
    mp__heap_figures(&figures);
    return figures;
}

static void set_up(void) {
    MPT_OK(mp_lock_new(&shared.lock, NULL));
    MPT_OK(mp_rlock_new(&shared.rlock, NULL));
    MPT_OK(mp_condition_new(&shared.condition, NULL, NULL));
    MPT_OK(mp_semaphore_new(&shared.semaphore, NULL, 1));
    MPT_OK(mp_queue_new(&shared.queue, NULL, 0));
    MPT_OK(mp_queue_new(&shared.small_queue, NULL, 3));
    MPT_OK(mp_pipe_new(&shared.ends[0], &shared.ends[1], NULL, true));
}

static void tear_down(void) {
    struct mp__heap_figures figures;
    mp_lock_free(shared.lock);
    mp_lock_free(shared.rlock);
    mp_condition_free(shared.condition);
    mp_semaphore_free(shared.semaphore);
    mp_queue_free(shared.queue);
    mp_queue_free(shared.small_queue);
    mp_connection_free(shared.ends[0]);
    mp_connection_free(shared.ends[1]);
    mp__heap_figures(&figures);
    MPT_CHECK(figures.blocks == 0);
}

/* A channel keeps one or two segments and a spare; slabs stay with the thread that owns them. */
static void compare(struct mp__heap_figures first, struct mp__heap_figures now) {
    MPT_CHECK(now.blocks <= first.blocks + 12);
    MPT_CHECK(now.used_bytes <= first.used_bytes + SLACK);
}

int main(int argc, char **argv) {
    unsigned kills = argc > 1 ? (unsigned)atoi(argv[1]) : DEFAULT_KILLS;
    mp__time begin = mp__now();
    struct mp__heap_figures first = {0}, now = {0};
    set_up();
    for (unsigned i = 0; i < kills; i++) {
        kill_one(i % 2);
        if (i % ROUND != ROUND - 1)
            continue;
        now = look();
        if (first.blocks == 0)
            first = now;
        compare(first, now);
    }
    printf(
        "%u kills in %.1f s: %" PRIu64 " blocks, %" PRIu64 " kB in use after %d of them, %" PRIu64
        " blocks, %" PRIu64 " kB now, peak %" PRIu64 " kB\n",
        kills, (double)(mp__now() - begin) / (double)MP__SECOND, first.blocks,
        first.used_bytes / 1024, ROUND, now.blocks, now.used_bytes / 1024, now.peak_bytes / 1024);
    tear_down();
    return 0;
}
