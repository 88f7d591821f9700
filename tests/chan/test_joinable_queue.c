/* Counting finished tasks.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <math.h>
#include <signal.h>

#include "chan/queue.h"
#include "mp/queue.h"

static mp_queue *new_queue(int messages) {
    mp_queue *queue;
    MPT_OK(mp_joinable_queue_new(&queue, NULL, 0));
    for (int i = 0; i < messages; i++)
        MPT_OK(mp_queue_put(queue, "task", 4, MP_NOWAIT));
    return queue;
}

static void work(void *queue) {
    char task[4];
    while (mp_queue_get(queue, task, sizeof task, NULL, 0.2) == 0)
        MPT_OK(mp_queue_task_done(queue));
}

static void test_join_waits_for_all_tasks(void **state) {
    (void)state;
    mp_queue *queue = new_queue(500);
    pid_t first = mpt_fork(work, queue), second = mpt_fork(work, queue);
    MPT_OK(mp_queue_join(queue, 20));
    assert_true(mp_queue_empty(queue));
    assert_int_equal(mpt_join(first), 0);
    assert_int_equal(mpt_join(second), 0);
    mp_queue_free(queue);
}

static void test_join_of_an_unused_queue_returns_at_once(void **state) {
    (void)state;
    mp_queue *queue = new_queue(0);
    MPT_OK(mp_queue_join(queue, MP_NOWAIT));
    mp_queue_free(queue);
}

static void test_join_times_out_while_tasks_are_open(void **state) {
    (void)state;
    mp_queue *queue = new_queue(1);
    MPT_CODE(mp_queue_join(queue, MP_NOWAIT), MP_ETIMEDOUT);
    MPT_OK(mp_queue_get(queue, (char[4]){0}, 4, NULL, MP_NOWAIT));
    MPT_CODE(mp_queue_join(queue, 0.02), MP_ETIMEDOUT);
    MPT_OK(mp_queue_task_done(queue));
    MPT_OK(mp_queue_join(queue, MP_NOWAIT));
    mp_queue_free(queue);
}

static void test_task_done_too_often_is_refused(void **state) {
    (void)state;
    mp_queue *queue = new_queue(2);
    MPT_OK(mp_queue_task_done(queue));
    MPT_OK(mp_queue_task_done(queue));
    MPT_CODE(mp_queue_task_done(queue), MP_EINVAL);
    mp_queue_free(queue);
}

static void test_other_queues_count_no_tasks(void **state) {
    (void)state;
    mp_queue *plain, *simple;
    MPT_OK(mp_queue_new(&plain, NULL, 0));
    MPT_OK(mp_simple_queue_new(&simple, NULL));
    MPT_CODE(mp_queue_task_done(plain), MP_ETYPE);
    MPT_CODE(mp_queue_task_done(simple), MP_ETYPE);
    MPT_CODE(mp_queue_join(plain, MP_NOWAIT), MP_ETYPE);
    MPT_CODE(mp_queue_join(simple, MP_NOWAIT), MP_ETYPE);
    mp_queue_free(plain);
    mp_queue_free(simple);
}

static void test_bad_arguments_are_refused(void **state) {
    (void)state;
    mp_queue *queue = new_queue(0);
    MPT_CODE(mp_queue_task_done(NULL), MP_EINVAL);
    MPT_CODE(mp_queue_join(NULL, MP_NOWAIT), MP_EINVAL);
    MPT_CODE(mp_queue_join(queue, NAN), MP_EINVAL);
    mp_queue_free(queue);
}

static void done_and_die(void *queue) {
    MPT_OK(mp_queue_get(queue, (char[4]){0}, 4, NULL, MP_NOWAIT));
    mpt_die_at("queue.task_done.counted", 1);
    mp_queue_task_done(queue);
}

static void test_join_ends_when_the_last_worker_dies_in_task_done(void **state) {
    (void)state;
    mp_queue *queue = new_queue(1);
    pid_t pid = mpt_fork(done_and_die, queue);
    MPT_OK(mp_queue_join(queue, 5));
    assert_int_equal(mpt_join(pid), -SIGKILL);
    mp_queue_free(queue);
}

static void die_in_put(void *queue) {
    mpt_die_at("channel.put.counted", 1);
    mp_queue_put(queue, "task", 4, MP_NOWAIT);
}

/* It was counted but not yet to be seen: recovery makes it seen. */
static void test_task_of_a_putter_that_died_can_be_done(void **state) {
    (void)state;
    mp_queue *queue = new_queue(0);
    assert_int_equal(mpt_join(mpt_fork(die_in_put, queue)), -SIGKILL);
    MPT_CODE(mp_queue_join(queue, MP_NOWAIT), MP_ETIMEDOUT);
    work(queue);
    MPT_OK(mp_queue_join(queue, MP_NOWAIT));
    mp_queue_free(queue);
}

/* clang-format off */
MPT_MAIN(MPT_CASE(test_join_waits_for_all_tasks),
         MPT_CASE(test_join_of_an_unused_queue_returns_at_once),
         MPT_CASE(test_join_times_out_while_tasks_are_open),
         MPT_CASE(test_task_done_too_often_is_refused),
         MPT_CASE(test_other_queues_count_no_tasks),
         MPT_CASE(test_bad_arguments_are_refused),
         MPT_CASE(test_join_ends_when_the_last_worker_dies_in_task_done),
         MPT_CASE(test_task_of_a_putter_that_died_can_be_done))
