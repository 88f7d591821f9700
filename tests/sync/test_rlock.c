/* RLock: it belongs to a thread, which may take it again.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "mp/shared.h"
#include "mp/sync.h"
#include "sync/lock.h"

#define LIMIT 2.0 /* seconds: a death is noticed within one, and the machine may be busy */

struct scene {
    mp_lock *lock;          /* what it is about */
    long count;             /* guarded by it */
    _Atomic unsigned ready; /* steps of the play */
};

static struct scene *open_scene(void) {
    struct scene *scene = mp_shared_calloc(1, sizeof *scene);
    assert_non_null(scene);
    MPT_OK(mp_rlock_new(&scene->lock, NULL));
    return scene;
}

static void close_scene(struct scene *scene) {
    MPT_OK(mp__lock_check(scene->lock));
    mp_lock_free(scene->lock);
    mp_shared_free(scene);
}

static void be_refused(void *arg) {
    struct scene *scene = arg;
    MPT_CODE(mp_lock_acquire(scene->lock, 0.01), MP_ETIMEDOUT);
    MPT_CODE(mp_lock_release(scene->lock), MP_EOWNER);
}

static void take_and_release(void *arg) {
    struct scene *scene = arg;
    MPT_OK(mp_lock_acquire(scene->lock, MP_NOWAIT));
    MPT_OK(mp_lock_release(scene->lock));
}

static void test_depth_has_to_be_undone(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    for (int i = 0; i < 3; i++)
        MPT_OK(mp_lock_acquire(scene->lock, MP_NOWAIT));
    for (int i = 0; i < 3; i++) {
        mpt_run_threads(1, be_refused, scene);
        MPT_OK(mp_lock_release(scene->lock));
    }
    mpt_run_threads(1, take_and_release, scene);
    assert_false(mp_lock_locked(scene->lock));
    close_scene(scene);
}

static void test_release_is_the_owner_s_business(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    MPT_CODE(mp_lock_release(scene->lock), MP_EOWNER);
    MPT_OK(mp_lock_acquire(scene->lock, MP_NOWAIT));
    mpt_run_threads(1, be_refused, scene);
    assert_int_equal(mpt_join(mpt_fork(be_refused, scene)), 0);
    MPT_OK(mp_lock_release(scene->lock));
    MPT_CODE(mp_lock_release(scene->lock), MP_EOWNER);
    close_scene(scene);
}

static void test_it_cannot_be_taken_without_end(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    MPT_OK(mp_lock_acquire(scene->lock, MP_NOWAIT));
    scene->lock->depth = UINT32_MAX;
    MPT_CODE(mp_lock_acquire(scene->lock, MP_NOWAIT), MP_EINVAL);
    scene->lock->depth = 1;
    MPT_OK(mp_lock_release(scene->lock));
    close_scene(scene);
}

static void hold_twice_for_ever(void *arg) {
    struct scene *scene = arg;
    MPT_OK(mp_lock_acquire(scene->lock, MP_FOREVER));
    MPT_OK(mp_lock_acquire(scene->lock, MP_FOREVER));
    scene->ready++;
    for (;;)
        pause();
}

static void test_a_dead_owner_s_depth_is_gone(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    pid_t owner = mpt_fork(hold_twice_for_ever, scene);
    MPT_UNTIL(scene->ready == 1);
    mpt_kill(owner);
    MPT_CODE(mp_lock_acquire(scene->lock, LIMIT), MP_EOWNERDEAD);
    MPT_OK(mp_lock_acquire(scene->lock, MP_NOWAIT));
    MPT_OK(mp_lock_release(scene->lock));
    MPT_OK(mp_lock_release(scene->lock));
    MPT_CODE(mp_lock_release(scene->lock), MP_EOWNER);
    close_scene(scene);
}

static void add_many(void *arg) {
    struct scene *scene = arg;
    for (int i = 0; i < 10000; i++) {
        MPT_OK(mp_lock_acquire(scene->lock, MP_FOREVER));
        MPT_OK(mp_lock_acquire(scene->lock, MP_FOREVER));
        scene->count++;
        MPT_OK(mp_lock_release(scene->lock));
        MPT_OK(mp_lock_release(scene->lock));
    }
}

static void test_threads_and_processes_exclude_each_other(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    pid_t pid = mpt_fork(add_many, scene);
    mpt_run_threads(2, add_many, scene);
    assert_int_equal(mpt_join(pid), 0);
    assert_int_equal(scene->count, 30000);
    close_scene(scene);
}

static void test_many_locks_can_be_held_at_once(void **state) {
    (void)state;
    mp_lock *locks[200];
    for (int i = 0; i < 200; i++) {
        MPT_OK(mp_rlock_new(&locks[i], NULL));
        MPT_OK(mp_lock_acquire(locks[i], MP_NOWAIT));
    }
    for (int i = 0; i < 200; i++) {
        MPT_OK(mp_lock_release(locks[i]));
        mp_lock_free(locks[i]);
    }
}

static void die_fighting(void *arg) {
    struct scene *scene = arg;
    mpt_die_at("guard.acquire.taken", 30);
    for (;;) {
        int code = mp_lock_acquire(scene->lock, 5);
        MPT_CHECK(code == 0 || code == MP_EOWNERDEAD);
        MPT_OK(mp_lock_acquire(scene->lock, 5));
        scene->count++;
        MPT_OK(mp_lock_release(scene->lock));
        MPT_OK(mp_lock_release(scene->lock));
    }
}

static void test_fighters_die_holding_it(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    pid_t pids[4];
    mpt_fork_all(pids, 4, die_fighting, scene);
    for (int i = 0; i < 4; i++)
        assert_int_equal(mpt_join(pids[i]), -SIGKILL);
    assert_int_equal(scene->count, 4 * 29);
    MPT_CODE(mp_lock_acquire(scene->lock, LIMIT), MP_EOWNERDEAD);
    MPT_OK(mp_lock_release(scene->lock));
    close_scene(scene);
}

MPT_MAIN(MPT_CASE(test_depth_has_to_be_undone), MPT_CASE(test_release_is_the_owner_s_business),
         MPT_CASE(test_it_cannot_be_taken_without_end), MPT_CASE(test_a_dead_owner_s_depth_is_gone),
         MPT_CASE(test_threads_and_processes_exclude_each_other),
         MPT_CASE(test_many_locks_can_be_held_at_once), MPT_CASE(test_fighters_die_holding_it))
