/* Gate: waiting until something is so.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "mp/shared.h"
#include "os/futex.h"
#include "sync/gate.h"

struct scene {
    struct mp__gate gate;        /* what it is about */
    struct mp__gate back;        /* the other way */
    _Atomic int items, room;     /* what is waited for */
    _Atomic unsigned got, ready; /* items taken, waiters that have begun */
};

static struct scene *open_scene(void) {
    struct scene *scene = mp_shared_calloc(1, sizeof *scene);
    assert_non_null(scene);
    return scene;
}

static bool take_one(_Atomic int *items) {
    int count = atomic_load(items);
    while (count > 0)
        if (atomic_compare_exchange_weak(items, &count, count - 1))
            return true;
    return false;
}

/* The waiter's side as the header draws it. */
static void get(struct mp__gate *gate, _Atomic int *items) {
    mp__time deadline = mp__now() + 20 * MP__SECOND;
    bool has_slept = false;
    while (!take_one(items)) {
        uint32_t ticket = mp__gate_prepare(gate);
        if (take_one(items)) {
            mp__gate_cancel(gate, ticket);
            break;
        }
        MPT_CHECK(mp__gate_wait(gate, ticket, deadline) == 0);
        has_slept = true;
    }
    if (has_slept && atomic_load(items) > 0)
        mp__gate_notify(gate, 1);
}

static void put(struct mp__gate *gate, _Atomic int *items) {
    atomic_fetch_add(items, 1);
    mp__gate_notify(gate, 1);
}

static void test_notify_without_sleepers_changes_nothing(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    mp__gate_notify(&scene->gate, 1);
    assert_int_equal(atomic_load(&scene->gate.word), 0);
    mp_shared_free(scene);
}

static void test_wait_times_out_and_leaves_no_mark(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    uint32_t ticket = mp__gate_prepare(&scene->gate);
    mp__time deadline = mp__now() + MP__SECOND / 100;
    int code;
    do
        code = mp__gate_wait(&scene->gate, ticket, deadline);
    while (code == 0 && mp__now() < deadline + MP__SECOND);
    assert_int_equal(code, MP_ETIMEDOUT);
    assert_int_equal(atomic_load(&scene->gate.word), 0);
    ticket = mp__gate_prepare(&scene->gate);
    MPT_CODE(mp__gate_wait(&scene->gate, ticket, 0), MP_ETIMEDOUT);
    mp_shared_free(scene);
}

static void test_a_notify_after_prepare_is_not_slept_through(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    uint32_t ticket = mp__gate_prepare(&scene->gate);
    mp__gate_notify(&scene->gate, 1);
    MPT_OK(mp__gate_wait(&scene->gate, ticket, MP__NEVER));
    mp_shared_free(scene);
}

static void test_cancel_takes_only_its_own_mark_back(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    uint32_t alone = mp__gate_prepare(&scene->gate);
    mp__gate_cancel(&scene->gate, alone);
    assert_int_equal(atomic_load(&scene->gate.word), 0);
    uint32_t first = mp__gate_prepare(&scene->gate);
    uint32_t second = mp__gate_prepare(&scene->gate);
    mp__gate_cancel(&scene->gate, first);
    mp__gate_cancel(&scene->gate, second);
    assert_true(atomic_load(&scene->gate.word) & MP__GATE_SLEEPER);
    mp__gate_notify(&scene->gate, MP__WAKE_ALL);
    assert_int_equal(atomic_load(&scene->gate.word), MP__GATE_STEP);
    mp_shared_free(scene);
}

static void *get_many(void *arg) {
    struct scene *scene = arg;
    for (int i = 0; i < 2000; i++) {
        get(&scene->gate, &scene->items);
        scene->got++;
        put(&scene->back, &scene->room);
    }
    return NULL;
}

static void *put_many(void *arg) {
    struct scene *scene = arg;
    for (int i = 0; i < 2000; i++) {
        get(&scene->back, &scene->room);
        put(&scene->gate, &scene->items);
    }
    return NULL;
}

static void get_in_process(void *arg) {
    get_many(arg);
}

static void put_in_process(void *arg) {
    put_many(arg);
}

static void test_processes_pass_items(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    pid_t pids[4];
    scene->room = 3;
    for (int i = 0; i < 4; i++)
        pids[i] = mpt_fork(i < 2 ? get_in_process : put_in_process, scene);
    MPT_JOIN_ALL(pids, 4);
    assert_int_equal(scene->got, 4000);
    mp_shared_free(scene);
}

static void test_threads_pass_items(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    pthread_t threads[4];
    scene->room = 3;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i < 2 ? get_many : put_many, scene), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(scene->got, 4000);
    mp_shared_free(scene);
}

static void get_one(void *arg) {
    struct scene *scene = arg;
    scene->ready++;
    get(&scene->gate, &scene->items);
    scene->got++;
}

static void die_woken(void *arg) {
    mpt_die_at("gate.wait.woken", 1);
    get_one(arg);
}

static void test_a_wake_is_not_lost_with_its_receiver(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    pid_t mortal = mpt_fork(die_woken, scene);
    MPT_UNTIL(scene->ready == 1);
    pid_t heir = mpt_fork(get_one, scene);
    MPT_UNTIL(scene->ready == 2);
    put(&scene->gate, &scene->items);
    if (mpt_join(mortal) == 0) /* it came late, and got the item without a sleep */
        put(&scene->gate, &scene->items);
    assert_int_equal(mpt_join(heir), 0);
    mp_shared_free(scene);
}

static void die_waking(void *arg) {
    struct scene *scene = arg;
    mpt_die_at("gate.wake.counted", 1);
    for (;;)
        put(&scene->gate, &scene->items);
}

static void test_a_wake_is_not_lost_with_its_sender(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    pid_t waiters[2];
    mpt_fork_all(waiters, 2, get_one, scene);
    MPT_UNTIL(atomic_load(&scene->gate.word) & MP__GATE_SEVERAL);
    assert_int_equal(mpt_join(mpt_fork(die_waking, scene)), -SIGKILL);
    put(&scene->gate, &scene->items);
    MPT_JOIN_ALL(waiters, 2);
    mp_shared_free(scene);
}

MPT_MAIN(MPT_CASE(test_notify_without_sleepers_changes_nothing),
         MPT_CASE(test_wait_times_out_and_leaves_no_mark),
         MPT_CASE(test_a_notify_after_prepare_is_not_slept_through),
         MPT_CASE(test_cancel_takes_only_its_own_mark_back),
         MPT_CASE(test_processes_pass_items),
         MPT_CASE(test_threads_pass_items),
         MPT_CASE(test_a_wake_is_not_lost_with_its_receiver),
         MPT_CASE(test_a_wake_is_not_lost_with_its_sender))
