/* Queues and pipes whose freeing process is killed in it: nothing stays behind.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "chan/queue.h"
#include "mp/connection.h"
#include "mp/queue.h"
#include "reg/recover.h"
#include "shm/heap.h"

struct victim {
    void *object;
    const char *point;
    unsigned turn;
};

static const char bytes[100000];

static void check_nothing_is_left(const char *point) {
    mp__recover_all();
    MPT_OK(mp__heap_check());
    struct mp__heap_figures figures;
    mp__heap_figures(&figures);
    if (figures.blocks != 0)
        fprintf(stderr, "at %s: %llu blocks are left\n", point, (unsigned long long)figures.blocks);
    MPT_CHECK(figures.blocks == 0);
}

static void recover_and_die(void *point) {
    mpt_die_at(point, 2);
    mp__recover_all();
}

/* `body` dies at the point; then a recovery dies in it; then it is done. */
static void run_points(const char *const *points, unsigned turns, void *(*make)(void),
                       void (*body)(void *), void (*finish)(void *)) {
    for (; *points; points++) {
        bool was_met = false;
        for (unsigned turn = 1; turn <= turns; turn++) {
            struct victim victim = {make(), *points, turn};
            was_met |= mpt_join(mpt_fork(body, &victim)) == -SIGKILL;
            mpt_join(mpt_fork(recover_and_die, "heap.give.stored"));
            if (finish)
                finish(victim.object);
            check_nothing_is_left(*points);
        }
        if (!was_met)
            fprintf(stderr, "never met: %s\n", *points);
        MPT_CHECK(was_met);
    }
}

/* Several segments, a spare one, blocks among the records. */
static void fill(mp_queue *queue) {
    char buffer[4000];
    for (int i = 0; i < 40; i++)
        MPT_OK(mp_queue_put(queue, bytes, 3000, MP_NOWAIT));
    for (int i = 0; i < 30; i++)
        MPT_OK(mp_queue_get(queue, buffer, sizeof buffer, NULL, MP_NOWAIT));
    for (int i = 0; i < 3; i++)
        MPT_OK(mp_queue_put(queue, bytes, sizeof bytes, MP_NOWAIT));
}

static void *make_queue(void) {
    mp_queue *queue;
    MPT_OK(mp_queue_new(&queue, NULL, 0));
    fill(queue);
    return queue;
}

static void *make_redelivering_queue(void) {
    mp_queue *queue;
    const mp_queue_options options = {.joinable = true, .redeliver = true};
    MPT_OK(mp_queue_new_with(&queue, NULL, &options));
    fill(queue);
    return queue;
}

static void free_queue(void *arg) {
    struct victim *victim = arg;
    mpt_die_at(victim->point, victim->turn);
    mp_queue_free(victim->object);
}

/* It died before it had begun: then the queue is still one. */
static void free_again(void *queue) {
    mp__recover_all();
    mp_queue_free(queue);
}

static const char *const queue_points[] = {
    "holding.hold.written", "queue.free.marked",  "channel.end.given",
    "queue.free.given",     "queue.free.cleared", "holding.unhold.erased",
    "channel.end.freed",    "heap.give.stored",   NULL};

static void test_process_dies_in_queue_free(void **state) {
    (void)state;
    run_points(queue_points, 6, make_queue, free_queue, free_again);
}

static void test_process_dies_in_free_of_a_redelivering_queue(void **state) {
    (void)state;
    run_points(queue_points, 6, make_redelivering_queue, free_queue, free_again);
    static const char *const points[] = {"lease.free.given", NULL};
    run_points(points, 6, make_redelivering_queue, free_queue, free_again);
}

/* Made by the victim, so that nobody else has descriptors of it. */
static mp_connection **ends;

static void make_pipe(void) {
    MPT_OK(mp_pipe_new(&ends[0], &ends[1], NULL, true));
    for (int i = 0; i < 3; i++) {
        MPT_OK(mp_connection_send_bytes(ends[0], bytes, sizeof bytes, MP_NOWAIT));
        MPT_OK(mp_connection_send_bytes(ends[1], bytes, 3000, MP_NOWAIT));
    }
}

static void *share_ends(void) {
    if (!ends)
        ends = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MPT_CHECK(ends != MAP_FAILED && mp__self());
    return ends;
}

static void free_both_ends(void *arg) {
    struct victim *victim = arg;
    make_pipe();
    mpt_die_at(victim->point, victim->turn);
    mp_connection_free(ends[0]);
    mp_connection_free(ends[1]);
}

static void free_second_end(void *arg) {
    struct victim *victim = arg;
    make_pipe();
    mp_connection_free(ends[0]);
    mpt_die_at(victim->point, victim->turn);
    mp_connection_free(ends[1]);
}

/* What it had not begun to free is still there. */
static void free_ends_again(void *pipe) {
    (void)pipe;
    mp__recover_all();
    mp_connection_free(ends[0]);
    mp_connection_free(ends[1]);
}

static const char *const pipe_points[] = {"holding.hold.written", "pipe.free.marked",
                                          "pipe.close.counted",   "pipe.free.counted",
                                          "channel.end.given",    "pipe.free.given",
                                          "pipe.free.cleared",    "holding.unhold.erased",
                                          "channel.end.freed",    NULL};

static void test_process_dies_in_connection_free(void **state) {
    (void)state;
    run_points(pipe_points, 4, share_ends, free_both_ends, free_ends_again);
}

static void test_process_dies_in_free_of_the_last_end(void **state) {
    (void)state;
    run_points(pipe_points, 4, share_ends, free_second_end, free_ends_again);
}

/* clang-format off */
MPT_MAIN(MPT_CASE(test_process_dies_in_queue_free),
         MPT_CASE(test_process_dies_in_free_of_a_redelivering_queue),
         MPT_CASE(test_process_dies_in_connection_free),
         MPT_CASE(test_process_dies_in_free_of_the_last_end))
