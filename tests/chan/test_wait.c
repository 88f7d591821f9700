/* Waiting for several things at once.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "mp/connection.h"
#include "mp/queue.h"
#include "chan/queue.h"
#include "os/clock.h"
#include "reg/thread.h"
#include "shm/heap.h"

/* One of each kind; the other ends are for whoever makes them ready. */
struct things {
    mp_connection *in, *out;
    mp_queue *queue;
    int fds[2];
};

static struct things new_things(void) {
    struct things things;
    MPT_OK(mp_pipe_new(&things.in, &things.out, NULL, false));
    MPT_OK(mp_queue_new(&things.queue, NULL, 0));
    MPT_CHECK(pipe(things.fds) == 0);
    return things;
}

static void free_things(struct things things) {
    mp_connection_free(things.in);
    mp_connection_free(things.out);
    mp_queue_free(things.queue);
    close(things.fds[0]);
    close(things.fds[1]);
}

static void make_ready(const struct things *things, int which) {
    if (which == 0)
        MPT_OK(mp_connection_send_bytes(things->out, "x", 1, MP_NOWAIT));
    else if (which == 1)
        MPT_OK(mp_queue_put(things->queue, "x", 1, MP_NOWAIT));
    else
        MPT_CHECK(write(things->fds[1], "x", 1) == 1);
}

static void test_wait_tells_which_are_ready(void **state) {
    (void)state;
    struct things things = new_things();
    mp_waitable list[] = {MP_WAIT_CONNECTION(things.in), MP_WAIT_QUEUE(things.queue),
                          MP_WAIT_FD(things.fds[0])};
    assert_int_equal(mp_wait(list, 3, MP_NOWAIT), 0);
    for (int i = 0; i < 3; i++) {
        make_ready(&things, i);
        assert_int_equal(mp_wait(list, 3, MP_FOREVER), i + 1);
        for (int j = 0; j < 3; j++)
            assert_int_equal(list[j].ready, j <= i);
    }
    free_things(things);
}

static void test_wait_times_out(void **state) {
    (void)state;
    struct things things = new_things();
    mp_waitable list[] = {MP_WAIT_CONNECTION(things.in), MP_WAIT_QUEUE(things.queue),
                          MP_WAIT_FD(things.fds[0])};
    for (int from = 0; from < 3; from++)
        for (int count = 1; from + count <= 3; count++) {
            mp__time start = mp__now();
            list[from].ready = true;
            assert_int_equal(mp_wait(list + from, count, 0.02), 0);
            assert_false(list[from].ready);
            assert_true(mp__now() - start >= MP__SECOND / 50);
        }
    free_things(things);
}

struct later {
    struct things things;
    int which;
    _Atomic int go;
};

static void make_ready_later(void *arg) {
    struct later *later = arg;
    MPT_UNTIL(atomic_load(&later->go) && mpt_is_asleep(getppid()));
    make_ready(&later->things, later->which);
}

/* Every thing wakes every list that it is in. */
static void wake_from(int first, int count, int which) {
    struct later *later = mp__self_cached ? mp__heap_zalloc(sizeof *later) : NULL;
    MPT_CHECK(later);
    later->things = new_things();
    later->which = which;
    mp_waitable list[] = {MP_WAIT_CONNECTION(later->things.in), MP_WAIT_QUEUE(later->things.queue),
                          MP_WAIT_FD(later->things.fds[0])};
    pid_t pid = mpt_fork(make_ready_later, later);
    atomic_store(&later->go, 1);
    MPT_CHECK(mp_wait(list + first, (size_t)count, 20) == 1);
    MPT_CHECK(list[which].ready);
    MPT_CHECK(mpt_join(pid) == 0);
    free_things(later->things);
    mp__heap_free(later);
}

static void test_sleeping_wait_is_woken(void **state) {
    (void)state;
    free_things(new_things());
    for (int first = 0; first < 3; first++)
        for (int count = 1; first + count <= 3; count++)
            for (int which = first; which < first + count; which++)
                wake_from(first, count, which);
}

static void test_many_entries_can_be_waited_for(void **state) {
    (void)state;
    enum { COUNT = 100 };
    mp_queue *queues[COUNT];
    mp_waitable list[COUNT];
    for (int i = 0; i < COUNT; i++) {
        MPT_OK(mp_queue_new(&queues[i], NULL, 0));
        list[i] = MP_WAIT_QUEUE(queues[i]);
    }
    assert_int_equal(mp_wait(list, COUNT, 0.02), 0);
    MPT_OK(mp_queue_put(queues[77], "x", 1, MP_NOWAIT));
    assert_int_equal(mp_wait(list, COUNT, 20), 1);
    assert_true(list[77].ready);
    for (int i = 0; i < COUNT; i++)
        mp_queue_free(queues[i]);
}

static void test_end_of_file_is_ready(void **state) {
    (void)state;
    struct things things = new_things();
    MPT_OK(mp_connection_close(things.out));
    close(things.fds[1]);
    things.fds[1] = -1;
    mp_waitable list[] = {MP_WAIT_CONNECTION(things.in), MP_WAIT_FD(things.fds[0])};
    assert_int_equal(mp_wait(list, 2, MP_FOREVER), 2);
    free_things(things);
}

static void test_wait_for_nothing_returns_at_once(void **state) {
    (void)state;
    assert_int_equal(mp_wait(NULL, 0, MP_FOREVER), 0);
}

static void test_bad_entries_are_refused(void **state) {
    (void)state;
    struct things things = new_things();
    mp_waitable entry = MP_WAIT_FD(things.fds[0]);
    MPT_CODE(mp_wait(NULL, 1, MP_NOWAIT), MP_EINVAL);
    MPT_CODE(mp_wait(&entry, 1, NAN), MP_EINVAL);
    const struct {
        mp_waitable entry;
        int code;
    } bad[] = {
        {MP_WAIT_CONNECTION(NULL), MP_EINVAL}, {MP_WAIT_CONNECTION(things.out), MP_EINVAL},
        {MP_WAIT_QUEUE(NULL), MP_EINVAL},      {MP_WAIT_QUEUE(things.in), MP_EINVAL},
        {MP_WAIT_FD(-1), MP_EINVAL},           {MP_WAIT_FD(MP_ESTATE), MP_ESTATE},
        {MP_WAIT_FD(12345), MP_EINVAL},        {{0, NULL, -1, false}, MP_EINVAL},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mp_waitable list[] = {entry, bad[i].entry};
        list[0].ready = true;
        MPT_CODE(mp_wait(list, 2, MP_NOWAIT), bad[i].code);
        assert_non_null(strstr(mp_error_detail(), "entry 1"));
        assert_true(list[0].ready);
    }
    free_things(things);
}

static void test_closed_entries_are_refused(void **state) {
    (void)state;
    struct things things = new_things();
    MPT_OK(mp_connection_close(things.in));
    MPT_OK(mp_queue_close(things.queue));
    mp_waitable list[] = {MP_WAIT_CONNECTION(things.in), MP_WAIT_QUEUE(things.queue)};
    MPT_CODE(mp_wait(list, 1, MP_NOWAIT), MP_ECLOSED);
    MPT_CODE(mp_wait(list + 1, 1, MP_NOWAIT), MP_ECLOSED);
    free_things(things);
}

static void test_mixing_without_a_free_descriptor_fails(void **state) {
    (void)state;
    struct things things = new_things();
    mp_waitable list[] = {MP_WAIT_QUEUE(things.queue), MP_WAIT_FD(things.fds[0])};
    struct rlimit old, none;
    getrlimit(RLIMIT_NOFILE, &old);
    none = old;
    none.rlim_cur = 4;
    setrlimit(RLIMIT_NOFILE, &none);
    int code = mp_wait(list, 2, MP_FOREVER);
    setrlimit(RLIMIT_NOFILE, &old);
    assert_int_equal(code, -EMFILE);
    free_things(things);
}

static void get_one(void *queue) {
    MPT_OK(mp_queue_get(queue, (char[1]){0}, 1, NULL, 20));
}

/* The waiter takes nothing, so the getter that sleeps on the same queue must get its message. */
static void test_waiter_eats_no_wake_up(void **state) {
    (void)state;
    struct things things = new_things();
    pid_t getter = mpt_fork(get_one, things.queue);
    mp_waitable list[] = {MP_WAIT_QUEUE(things.queue), MP_WAIT_FD(things.fds[0])};
    assert_int_equal(mp_wait(list, 2, 0.05), 0);
    make_ready(&things, 1);
    assert_int_equal(mpt_join(getter), 0);
    free_things(things);
}

static void wait_for_queue(void *queue) {
    mp_waitable list[] = {MP_WAIT_QUEUE(queue)};
    MPT_CHECK(mp_wait(list, 1, 20) == 1);
}

/* One sleeper is announced before the waiter. The put wakes one of both; were it the waiter, it
 * would have to wake the other one: the second wake-up that the gate counts. */
static void test_waiter_wakes_the_next_sleeper(void **state) {
    (void)state;
    mp_queue *queue;
    MPT_OK(mp_queue_new(&queue, NULL, 0));
    struct mp__gate *gate = &((struct queue_shared *)queue)->channel.readable;
    (void)mp__gate_prepare(gate);
    pid_t waiter = mpt_fork(wait_for_queue, queue);
    MPT_UNTIL(atomic_load(&gate->word) & MP__GATE_SEVERAL);
    MPT_OK(mp_queue_put(queue, "x", 1, MP_NOWAIT));
    assert_int_equal(mpt_join(waiter), 0);
    assert_int_equal(atomic_load(&gate->word) / MP__GATE_STEP, 2);
    mp_queue_free(queue);
}

/* clang-format off */
MPT_MAIN(MPT_CASE(test_wait_tells_which_are_ready),
         MPT_CASE(test_wait_times_out),
         MPT_CASE(test_sleeping_wait_is_woken),
         MPT_CASE(test_many_entries_can_be_waited_for),
         MPT_CASE(test_end_of_file_is_ready),
         MPT_CASE(test_wait_for_nothing_returns_at_once),
         MPT_CASE(test_bad_entries_are_refused),
         MPT_CASE(test_closed_entries_are_refused),
         MPT_CASE(test_mixing_without_a_free_descriptor_fails),
         MPT_CASE(test_waiter_eats_no_wake_up),
         MPT_CASE(test_waiter_wakes_the_next_sleeper))
