/* Queues that deliver a message again when its holder ended before task_done.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chan/queue.h"
#include "mp/connection.h"
#include "mp/queue.h"
#include "os/clock.h"
#include "reg/recover.h"
#include "shm/heap.h"

enum { AHEAD = 3, MESSAGES = 12, LARGE = 70000 };

static mp_queue *new_queue(size_t maxsize) {
    mp_queue *queue;
    const mp_queue_options options = {.maxsize = maxsize, .joinable = true, .redeliver = true};
    MPT_OK(mp_queue_new_with(&queue, NULL, &options));
    return queue;
}

static void put_numbers(mp_queue *queue, int from, int to) {
    for (int i = from; i < to; i++)
        MPT_OK(mp_queue_put(queue, &i, sizeof i, MP_NOWAIT));
}

static int get_number(mp_queue *queue, double timeout) {
    int number = -1;
    size_t size;
    int code = mp_queue_get(queue, &number, sizeof number, &size, timeout);
    return code == 0 ? number : code;
}

static void free_queue(mp_queue *queue) {
    mp__recover_all();
    MPT_OK(mp__channel_check(&((struct queue_shared *)queue)->channel));
    mp_queue_free(queue);
    MPT_OK(mp__heap_check());
}

static void take_two_and_end(void *queue) {
    MPT_CHECK(get_number(queue, MP_NOWAIT) == 0);
    MPT_CHECK(get_number(queue, MP_NOWAIT) == 1);
}

static void test_messages_of_an_ended_process_come_first_and_in_order(void **state) {
    (void)state;
    mp_queue *queue = new_queue(0);
    put_numbers(queue, 0, 4);
    assert_int_equal(mpt_join(mpt_fork(take_two_and_end, queue)), 0);
    assert_int_equal(mp_queue_qsize(queue), 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(get_number(queue, MP_NOWAIT), i);
        MPT_CODE(mp_queue_join(queue, MP_NOWAIT), MP_ETIMEDOUT);
        MPT_OK(mp_queue_task_done(queue));
    }
    assert_int_equal(mp_queue_redelivered(queue), 2);
    MPT_OK(mp_queue_join(queue, MP_NOWAIT));
    MPT_CODE(get_number(queue, MP_NOWAIT), MP_EEMPTY);
    free_queue(queue);
}

static void take_one_and_sleep(void *queue) {
    MPT_CHECK(get_number(queue, MP_NOWAIT) == 0);
    raise(SIGSTOP);
}

static void test_nobody_gets_what_a_stopped_process_has(void **state) {
    (void)state;
    mp_queue *queue = new_queue(0);
    put_numbers(queue, 0, 1);
    pid_t pid = mpt_fork(take_one_and_sleep, queue);
    MPT_UNTIL(mp_queue_empty(queue));
    MPT_CODE(get_number(queue, 0.2), MP_EEMPTY);
    kill(pid, SIGKILL);
    assert_int_equal(get_number(queue, 1), 0);
    assert_int_equal(mpt_join(pid), -SIGKILL);
    assert_int_equal(mp_queue_redelivered(queue), 1);
    free_queue(queue);
}

static void test_wait_sees_what_came_back(void **state) {
    (void)state;
    mp_queue *queue = new_queue(0);
    put_numbers(queue, 0, 2);
    assert_int_equal(mpt_join(mpt_fork(take_two_and_end, queue)), 0);
    mp_waitable list[] = {MP_WAIT_QUEUE(queue)};
    assert_int_equal(mp_wait(list, 1, MP_NOWAIT), 1);
    assert_false(mp_queue_empty(queue));
    free_queue(queue);
}

static void test_task_done_needs_a_message(void **state) {
    (void)state;
    mp_queue *queue = new_queue(0);
    put_numbers(queue, 0, 1);
    MPT_CODE(mp_queue_task_done(queue), MP_EINVAL);
    assert_int_equal(get_number(queue, MP_NOWAIT), 0);
    MPT_OK(mp_queue_task_done(queue));
    MPT_CODE(mp_queue_task_done(queue), MP_EINVAL);
    free_queue(queue);
}

static void take_done_and_end(void *queue) {
    take_two_and_end(queue);
    MPT_OK(mp_queue_task_done(queue));
}

static void test_task_done_ends_the_oldest(void **state) {
    (void)state;
    mp_queue *queue = new_queue(0);
    put_numbers(queue, 0, 2);
    assert_int_equal(mpt_join(mpt_fork(take_done_and_end, queue)), 0);
    assert_int_equal(get_number(queue, MP_NOWAIT), 1);
    MPT_CODE(get_number(queue, MP_NOWAIT), MP_EEMPTY);
    free_queue(queue);
}

static void test_too_short_leaves_a_message_that_came_back(void **state) {
    (void)state;
    mp_queue *queue = new_queue(0);
    put_numbers(queue, 0, 2);
    assert_int_equal(mpt_join(mpt_fork(take_two_and_end, queue)), 0);
    size_t size;
    MPT_CODE(mp_queue_get(queue, NULL, 0, &size, MP_NOWAIT), MP_ETOOSHORT);
    assert_int_equal(size, sizeof(int));
    assert_int_equal(get_number(queue, MP_NOWAIT), 0);
    free_queue(queue);
}

static void test_what_came_back_is_beyond_maxsize(void **state) {
    (void)state;
    mp_queue *queue = new_queue(2);
    put_numbers(queue, 0, 2);
    assert_int_equal(mpt_join(mpt_fork(take_two_and_end, queue)), 0);
    put_numbers(queue, 2, 4);
    assert_int_equal(mp_queue_qsize(queue), 4);
    MPT_CODE(mp_queue_put(queue, "", 0, MP_NOWAIT), MP_EFULL);
    free_queue(queue);
}

static void test_options(void **state) {
    (void)state;
    mp_queue *queue;
    MPT_CODE(mp_queue_new_with(&queue, NULL, &(mp_queue_options){.redeliver = true}), MP_EINVAL);
    MPT_CODE(mp_queue_new_with(NULL, NULL, NULL), MP_EINVAL);
    MPT_OK(mp_queue_new_with(&queue, NULL, NULL));
    MPT_CODE(mp_queue_task_done(queue), MP_ETYPE);
    assert_int_equal(mp_queue_redelivered(queue), 0);
    MPT_CODE((int)mp_queue_redelivered(NULL), MP_EINVAL);
    mp_queue_free(queue);
    MPT_OK(mp_queue_new_with(&queue, NULL, &(mp_queue_options){.maxsize = 1, .joinable = true}));
    MPT_OK(mp_queue_put(queue, "", 0, MP_NOWAIT));
    assert_true(mp_queue_full(queue));
    mp_queue_free(queue);
}

/* All ways in, all ways out; the first reader ends, the second has the same bytes. */
static void put_all_ways(mp_queue *queue, const char *bytes) {
    mp_message *small, *large;
    const mp_bytes list[] = {{bytes, 5}, {bytes, LARGE}};
    MPT_OK(mp_queue_put(queue, bytes, LARGE, MP_NOWAIT));
    MPT_OK(mp_queue_put_many(queue, list, 2, NULL, MP_NOWAIT));
    MPT_OK(mp_message_new(&small, 64));
    memcpy(mp_message_data(small), bytes, 64);
    MPT_OK(mp_queue_put_message(queue, small, MP_NOWAIT));
    MPT_OK(mp_message_new(&large, LARGE));
    memcpy(mp_message_data(large), bytes, LARGE);
    MPT_OK(mp_queue_put_message(queue, large, MP_NOWAIT));
}

static const size_t sizes[] = {LARGE, 5, LARGE, 64, LARGE};
static char bytes[LARGE];

static void check_bytes(const void *data, size_t size, int which) {
    MPT_CHECK(size == sizes[which]);
    MPT_CHECK(memcmp(data, bytes, size) == 0);
}

static void get_all_ways(void *queue) {
    char buffer[LARGE];
    void *data;
    size_t size;
    mp_message *message, *list[8];
    MPT_OK(mp_queue_get(queue, buffer, LARGE, &size, MP_NOWAIT));
    check_bytes(buffer, size, 0);
    MPT_OK(mp_queue_get_alloc(queue, &data, &size, MP_NOWAIT));
    check_bytes(data, size, 1);
    free(data);
    MPT_OK(mp_queue_get_message(queue, &message, MP_NOWAIT));
    check_bytes(mp_message_data(message), mp_message_size(message), 2);
    mp_message_free(message);
    MPT_OK(mp_queue_get_many(queue, list, 8, &size, MP_NOWAIT));
    MPT_CHECK(size == 2);
    for (int i = 0; i < 2; i++) {
        check_bytes(mp_message_data(list[i]), mp_message_size(list[i]), i + 3);
        mp_message_free(list[i]);
    }
}

static void test_all_ways_in_and_out(void **state) {
    (void)state;
    mp_queue *queue = new_queue(0);
    for (int i = 0; i < LARGE; i++)
        bytes[i] = (char)(i * 7 % 251);
    put_all_ways(queue, bytes);
    assert_int_equal(mpt_join(mpt_fork(get_all_ways, queue)), 0);
    get_all_ways(queue);
    for (int i = 0; i < 5; i++)
        MPT_OK(mp_queue_task_done(queue));
    MPT_OK(mp_queue_join(queue, MP_NOWAIT));
    assert_int_equal(mp_queue_redelivered(queue), 5);
    free_queue(queue);
}

/* What a scene with a victim shares. */
struct scene {
    mp_queue *queue;
    const char *point;
    unsigned turn;
    _Atomic int started[MESSAGES]; /* how often each was got */
    _Atomic int ending;            /* 1 + the number whose task_done is under way */
    _Atomic int done[MESSAGES];    /* how often each was done */
};

/* Some messages ahead, so that the list has a middle; its oldest one is done first. */
static void work(struct scene *scene, double timeout) {
    int mine[MESSAGES], count = 0;
    for (int done = 0;;) {
        int number = count - done < AHEAD ? get_number(scene->queue, timeout) : -1;
        if (number >= 0) {
            atomic_fetch_add(&scene->started[number], 1);
            mine[count++] = number;
            continue;
        }
        if (done == count)
            return;
        atomic_store(&scene->ending, mine[done] + 1);
        MPT_OK(mp_queue_task_done(scene->queue));
        atomic_fetch_add(&scene->done[mine[done++]], 1);
        atomic_store(&scene->ending, 0);
    }
}

static void be_victim(void *arg) {
    struct scene *scene = arg;
    mpt_die_at(scene->point, scene->turn);
    work(scene, MP_NOWAIT);
}

static void take_ahead_and_die(void *arg) {
    struct scene *scene = arg;
    for (int i = 0; i < AHEAD; i++)
        MPT_CHECK(get_number(scene->queue, MP_NOWAIT) == i);
    raise(SIGKILL);
}

static struct scene *new_scene(const char *point, unsigned turn) {
    mp_queue *queue = new_queue(0);
    struct scene *scene = mp__heap_zalloc(sizeof *scene);
    mp__heap_publish(scene);
    scene->queue = queue;
    scene->point = point;
    scene->turn = turn;
    put_numbers(queue, 0, MESSAGES);
    return scene;
}

/* Each message is done once; only the one whose task_done was cut off may be done already. */
static void end_scene(struct scene *scene) {
    int unsure = atomic_load(&scene->ending) - 1;
    mp__time begin = mp__now();
    work(scene, MP_NOWAIT);
    for (int i = 0; i < MESSAGES; i++) {
        int done = atomic_load(&scene->done[i]);
        if (done != 1 && !(i == unsure && done == 0))
            fprintf(stderr, "at %s, turn %u: %d was done %d times\n", scene->point, scene->turn, i,
                    done);
        MPT_CHECK(done == 1 || (i == unsure && done == 0));
    }
    MPT_OK(mp_queue_join(scene->queue, MP_NOWAIT));
    MPT_CHECK(mp__now() - begin < MP__SECOND);
    MPT_CHECK(mp_queue_qsize(scene->queue) == 0);
    free_queue(scene->queue);
    mp__heap_free(scene);
    struct mp__heap_figures figures;
    mp__heap_figures(&figures);
    MPT_CHECK(figures.blocks == 0);
}

static const char *const points[] = {"lease.get.written",   "lease.get.linked",
                                     "lease.get.last",      "lease.get.taken_over",
                                     "lease.get.counted",   "lease.get.copied",
                                     "lease.get.ticketed",  "channel.get.position_intended",
                                     "channel.get.passed",  "channel.get.counted",
                                     "guard.acquire.held",  "guard.acquire.taken",
                                     "guard.release.freed", "lease.end.intended",
                                     "lease.end.begun",     "heap.take.stored",
                                     "lease.end.counted",   "lease.end.unlinked",
                                     "lease.end.last",      "lease.return.intended",
                                     "lease.return.begun",  "lease.return.counted",
                                     "lease.return.freed",  NULL};

static bool kill_victim(struct scene *scene, bool has_returned) {
    if (has_returned)
        MPT_CHECK(mpt_join(mpt_fork(take_ahead_and_die, scene)) == -SIGKILL);
    return mpt_join(mpt_fork(be_victim, scene)) == -SIGKILL;
}

static void test_a_death_at_each_point(void **state) {
    (void)state;
    for (const char *const *point = points; *point; point++) {
        bool was_met = false;
        for (unsigned turn = 1; turn <= 5; turn++)
            for (int has_returned = 0; has_returned < 2; has_returned++) {
                struct scene *scene = new_scene(*point, turn);
                was_met |= kill_victim(scene, has_returned);
                end_scene(scene);
            }
        if (!was_met)
            fprintf(stderr, "never met: %s\n", *point);
        MPT_CHECK(was_met);
    }
}

static void recover_and_die(void *point) {
    mpt_die_at(point, 1);
    mp__recover_all();
}

static void test_a_death_in_a_recovery(void **state) {
    (void)state;
    static const char *const stages[] = {
        "lease.recover.given",   "lease.recover.return_counted", "lease.recover.done_counted",
        "lease.recover.counted", "lease.recover.unlinked",       "guard.recover.freed",
        "recover.member.heap",   "recover.member.threads",       NULL};
    for (const char *const *stage = stages; *stage; stage++) {
        bool was_met = false;
        for (const char *const *point = points; *point; point++) {
            struct scene *scene = new_scene(*point, 2);
            kill_victim(scene, true);
            was_met |= mpt_join(mpt_fork(recover_and_die, (void *)*stage)) == -SIGKILL;
            end_scene(scene);
        }
        MPT_CHECK(was_met);
    }
}

/* Workers that do what they get, killed all the time. */
enum { WORKERS = 3, KILLS = 40, TASKS = 4000 };

struct storm {
    mp_queue *queue;
    _Atomic int done[TASKS];
    _Atomic int sum;
};

static void work_in_storm(void *arg) {
    struct storm *storm = arg;
    for (;;) {
        int number = get_number(storm->queue, 20);
        if (number < 0)
            return;
        atomic_fetch_add(&storm->done[number], 1);
        MPT_OK(mp_queue_task_done(storm->queue));
        atomic_fetch_add(&storm->sum, 1);
    }
}

static void test_storm(void **state) {
    (void)state;
    struct storm *storm = mp__self() ? mp__heap_zalloc(sizeof *storm) : NULL;
    MPT_CHECK(storm);
    mp__heap_publish(storm);
    storm->queue = new_queue(0);
    put_numbers(storm->queue, 0, TASKS);
    pid_t pids[WORKERS];
    mpt_fork_all(pids, WORKERS, work_in_storm, storm);
    for (int kills = 0; kills < KILLS; kills++) {
        int before = atomic_load(&storm->sum), i = rand() % WORKERS;
        MPT_UNTIL(atomic_load(&storm->sum) > before + 20 || atomic_load(&storm->sum) > TASKS / 2);
        mpt_kill(pids[i]);
        pids[i] = mpt_fork(work_in_storm, storm);
    }
    MPT_OK(mp_queue_join(storm->queue, 20));
    for (int i = 0; i < TASKS; i++)
        MPT_CHECK(atomic_load(&storm->done[i]) >= 1);
    assert_true(mp_queue_redelivered(storm->queue) <= KILLS);
    for (int i = 0; i < WORKERS; i++) {
        mpt_kill(pids[i]);
    }
    free_queue(storm->queue);
    mp__heap_free(storm);
}

/* clang-format off */
MPT_MAIN(MPT_CASE(test_messages_of_an_ended_process_come_first_and_in_order),
         MPT_CASE(test_nobody_gets_what_a_stopped_process_has),
         MPT_CASE(test_wait_sees_what_came_back),
         MPT_CASE(test_task_done_needs_a_message),
         MPT_CASE(test_task_done_ends_the_oldest),
         MPT_CASE(test_too_short_leaves_a_message_that_came_back),
         MPT_CASE(test_what_came_back_is_beyond_maxsize),
         MPT_CASE(test_options),
         MPT_CASE(test_all_ways_in_and_out),
         MPT_CASE(test_a_death_at_each_point),
         MPT_CASE(test_a_death_in_a_recovery),
         MPT_CASE(test_storm))
