/* Lock: who gets it, who may release it, what a death in it does.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "mp/shared.h"
#include "mp/sync.h"
#include "os/futex.h"
#include "sync/lock.h"

#define LIMIT 2.0 /* seconds: a death is noticed within one, and the machine may be busy */

struct scene {
    mp_lock *lock;                    /* what it is about */
    long pair[2];                     /* guarded by it: equal outside of it */
    _Atomic unsigned ready, go;       /* steps of the play */
    _Atomic unsigned told_dead, held; /* acquires that gave MP_EOWNERDEAD, 0 */
};

static struct scene *open_scene(void) {
    struct scene *scene = mp_shared_calloc(1, sizeof *scene);
    assert_non_null(scene);
    MPT_OK(mp_lock_new(&scene->lock, NULL));
    return scene;
}

static void close_scene(struct scene *scene) {
    MPT_OK(mp__lock_check(scene->lock));
    mp_lock_free(scene->lock);
    mp_shared_free(scene);
}

static void test_acquire_and_release_change_locked(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    assert_false(mp_lock_locked(scene->lock));
    MPT_OK(mp_lock_acquire(scene->lock, MP_FOREVER));
    assert_true(mp_lock_locked(scene->lock));
    MPT_OK(mp_lock_release(scene->lock));
    assert_false(mp_lock_locked(scene->lock));
    close_scene(scene);
}

static void test_acquire_times_out_when_held(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    MPT_OK(mp_lock_acquire(scene->lock, MP_NOWAIT));
    MPT_CODE(mp_lock_acquire(scene->lock, MP_NOWAIT), MP_ETIMEDOUT);
    MPT_CODE(mp_lock_acquire(scene->lock, 0.02), MP_ETIMEDOUT);
    MPT_CODE(mp_lock_acquire(scene->lock, -1), MP_ETIMEDOUT);
    MPT_OK(mp_lock_release(scene->lock));
    MPT_OK(mp_lock_acquire(scene->lock, MP_NOWAIT));
    MPT_OK(mp_lock_release(scene->lock));
    close_scene(scene);
}

static void test_release_of_a_free_lock_is_refused(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    MPT_CODE(mp_lock_release(scene->lock), MP_EINVAL);
    MPT_OK(mp_lock_acquire(scene->lock, MP_FOREVER));
    MPT_OK(mp_lock_release(scene->lock));
    MPT_CODE(mp_lock_release(scene->lock), MP_EINVAL);
    close_scene(scene);
}

static void test_what_is_no_lock_is_refused(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    long stranger = 0;
    mp_event *event;
    MPT_OK(mp_event_new(&event, NULL));
    MPT_CODE(mp_lock_new(NULL, NULL), MP_EINVAL);
    MPT_CODE(mp_rlock_new(NULL, NULL), MP_EINVAL);
    MPT_CODE(mp_lock_acquire(NULL, MP_FOREVER), MP_EINVAL);
    MPT_CODE(mp_lock_acquire((mp_lock *)&stranger, MP_FOREVER), MP_EINVAL);
    MPT_CODE(mp_lock_acquire((mp_lock *)event, MP_FOREVER), MP_EINVAL);
    MPT_CODE(mp_lock_acquire((mp_lock *)((char *)scene->lock + 4), MP_FOREVER), MP_EINVAL);
    MPT_CODE(mp_lock_acquire(scene->lock, NAN), MP_EINVAL);
    MPT_CODE(mp_lock_release(NULL), MP_EINVAL);
    assert_false(mp_lock_locked(NULL));
    mp_lock_free(NULL);
    mp_event_free(event);
    close_scene(scene);
}

static void test_a_freed_lock_is_refused(void **state) {
    (void)state;
    mp_lock *lock;
    MPT_OK(mp_lock_new(&lock, NULL));
    mp_lock_free(lock);
    MPT_CODE(mp_lock_acquire(lock, MP_FOREVER), MP_EINVAL);
    MPT_CODE(mp_lock_release(lock), MP_EINVAL);
    mp_lock_free(lock);
}

static void release_it(void *arg) {
    struct scene *scene = arg;
    MPT_OK(mp_lock_release(scene->lock));
}

static void test_another_process_releases_what_we_hold(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    for (int turn = 0; turn < 50; turn++) { /* more than a list of holdings has room for */
        MPT_OK(mp_lock_acquire(scene->lock, MP_NOWAIT));
        assert_int_equal(mpt_join(mpt_fork(release_it, scene)), 0);
    }
    MPT_CODE(mp_lock_release(scene->lock), MP_EINVAL);
    MPT_OK(mp_lock_acquire(scene->lock, MP_NOWAIT));
    MPT_OK(mp_lock_release(scene->lock));
    close_scene(scene);
}

static int leave_by_return(mp_lock *lock) {
    MP_WITH_LOCK(lock) {
        return mp_lock_locked(lock);
    }
    return -1;
}

static void test_with_lock_releases_however_it_is_left(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    int turns = 0;
    assert_int_equal(leave_by_return(scene->lock), 1);
    assert_false(mp_lock_locked(scene->lock));
    MP_WITH_LOCK(scene->lock) {
        turns++;
        break;
    }
    assert_false(mp_lock_locked(scene->lock));
    MP_WITH_LOCK(scene->lock) {
        turns++;
        goto out;
    }
out:
    assert_false(mp_lock_locked(scene->lock));
    MP_WITH_LOCK(scene->lock) turns++;
    MP_WITH_LOCK(NULL) turns++;
    assert_int_equal(turns, 3);
    assert_false(mp_lock_locked(scene->lock));
    close_scene(scene);
}

static void add_many(void *arg) {
    struct scene *scene = arg;
    for (int i = 0; i < 20000; i++) {
        MPT_OK(mp_lock_acquire(scene->lock, MP_FOREVER));
        scene->pair[0]++;
        MPT_CHECK(++scene->pair[1] == scene->pair[0]);
        MPT_OK(mp_lock_release(scene->lock));
    }
}

static void test_processes_exclude_each_other(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    pid_t pids[3];
    mpt_fork_all(pids, 3, add_many, scene);
    MPT_JOIN_ALL(pids, 3);
    assert_int_equal(scene->pair[0], 60000);
    close_scene(scene);
}

static void test_threads_exclude_each_other(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    mpt_run_threads(3, add_many, scene);
    assert_int_equal(scene->pair[0], 60000);
    close_scene(scene);
}

static void hold_for_ever(void *arg) {
    struct scene *scene = arg;
    MPT_OK(mp_lock_acquire(scene->lock, MP_FOREVER));
    scene->ready++;
    for (;;)
        pause();
}

static void test_a_dead_owner_is_told_once(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    pid_t owner = mpt_fork(hold_for_ever, scene);
    MPT_UNTIL(scene->ready == 1);
    MPT_CODE(mp_lock_acquire(scene->lock, 0.01), MP_ETIMEDOUT);
    mpt_kill(owner);
    MPT_CODE(mp_lock_acquire(scene->lock, LIMIT), MP_EOWNERDEAD);
    MPT_OK(mp_lock_release(scene->lock));
    MPT_OK(mp_lock_acquire(scene->lock, MP_NOWAIT));
    MPT_OK(mp_lock_release(scene->lock));
    close_scene(scene);
}

static void test_even_nowait_finds_the_owner_dead(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    pid_t owner = mpt_fork(hold_for_ever, scene);
    MPT_UNTIL(scene->ready == 1);
    mpt_kill(owner);
    MPT_CODE(mp_lock_acquire(scene->lock, MP_NOWAIT), MP_EOWNERDEAD);
    MPT_OK(mp_lock_release(scene->lock));
    close_scene(scene);
}

static void acquire_once(void *arg) {
    struct scene *scene = arg;
    scene->ready++;
    int code = mp_lock_acquire(scene->lock, 10);
    MPT_CHECK(code == 0 || code == MP_EOWNERDEAD);
    if (code == MP_EOWNERDEAD)
        scene->told_dead++;
    else
        scene->held++;
    MPT_OK(mp_lock_release(scene->lock));
}

static void test_waiters_inherit_from_a_killed_owner(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    pid_t owner = mpt_fork(hold_for_ever, scene);
    MPT_UNTIL(scene->ready == 1);
    pid_t waiters[3];
    mpt_fork_all(waiters, 3, acquire_once, scene);
    MPT_UNTIL(scene->ready == 4);
    mp__time before = mp__now();
    mpt_kill(owner);
    MPT_JOIN_ALL(waiters, 3);
    assert_true(mp__now() - before < (mp__time)(LIMIT * MP__SECOND));
    assert_int_equal(scene->told_dead, 1);
    assert_int_equal(scene->held, 2);
    close_scene(scene);
}

struct fate {
    struct scene *scene; /* where */
    const char *point;   /* the child dies there */
    unsigned turn;       /* when it comes there for this time */
};

static void die_using_it(void *arg) {
    struct fate *fate = arg;
    mpt_die_at(fate->point, fate->turn);
    MPT_OK(mp_lock_acquire(fate->scene->lock, MP_FOREVER));
    MPT_OK(mp_lock_release(fate->scene->lock));
}

static void test_death_at_each_point_alone(void **state) {
    static const struct {
        const char *point; /* where the only user dies */
        int code;          /* of the next acquire */
    } table[] = {
        {"guard.acquire.held", 0},
        {"guard.acquire.taken", MP_EOWNERDEAD},
        {"guard.release.freed", 0},
        {"holding.unhold.erased", 0},
    };
    (void)state;
    struct scene *scene = open_scene();
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct fate fate = {scene, table[i].point, 1};
        assert_int_equal(mpt_join(mpt_fork(die_using_it, &fate)), -SIGKILL);
        MPT_CODE(mp_lock_acquire(scene->lock, LIMIT), table[i].code);
        MPT_OK(mp__lock_check(scene->lock));
        MPT_OK(mp_lock_release(scene->lock));
    }
    close_scene(scene);
}

static void die_releasing_it(void *arg) {
    struct fate *fate = arg;
    mpt_die_at(fate->point, fate->turn);
    MPT_OK(mp_lock_release(fate->scene->lock));
}

static void test_death_in_a_release_for_another(void **state) {
    static const struct {
        const char *point; /* where the releaser dies */
        int code;          /* of an acquire that does not wait, before we release */
    } table[] = {
        {"lock.take_over.held", MP_ETIMEDOUT},
        {"lock.take_over.taken", MP_EOWNERDEAD},
        {"lock.take_over.erased", MP_EOWNERDEAD},
        {"guard.release.freed", 0},
    };
    (void)state;
    struct scene *scene = open_scene();
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct fate fate = {scene, table[i].point, 1};
        MPT_OK(mp_lock_acquire(scene->lock, MP_NOWAIT));
        assert_int_equal(mpt_join(mpt_fork(die_releasing_it, &fate)), -SIGKILL);
        MPT_CODE(mp_lock_acquire(scene->lock, MP_NOWAIT), table[i].code);
        MPT_OK(mp_lock_release(scene->lock));
    }
    close_scene(scene);
}

static void fight_once(struct scene *scene) {
    int code = mp_lock_acquire(scene->lock, 5);
    MPT_CHECK(code == 0 || code == MP_EOWNERDEAD);
    if (code == MP_EOWNERDEAD) {
        scene->told_dead++;
        scene->pair[1] = scene->pair[0];
    }
    MPT_CHECK(scene->pair[0] == scene->pair[1]);
    scene->pair[0]++;
    scene->pair[1]++;
    MPT_OK(mp_lock_release(scene->lock));
}

static void fight(void *arg) {
    struct fate *fate = arg;
    if (fate->point)
        mpt_die_at(fate->point, fate->turn);
    fate->scene->ready++;
    while (!fate->scene->go)
        fight_once(fate->scene);
}

/* Fighters die at the point one after the other while a fourth goes on. */
static void fight_with_deaths(const char *point) {
    struct scene *scene = open_scene();
    struct fate immortal = {scene, NULL, 0};
    pid_t survivor = mpt_fork(fight, &immortal);
    for (unsigned round = 0; round < 3; round++) {
        pid_t mortals[3];
        for (unsigned i = 0; i < 3; i++) {
            struct fate fate = {scene, point, 1 + round + 3 * i};
            mortals[i] = mpt_fork(fight, &fate);
        }
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(mpt_join(mortals[i]), -SIGKILL);
    }
    scene->go = 1;
    assert_int_equal(mpt_join(survivor), 0);
    int code = mp_lock_acquire(scene->lock, LIMIT);
    assert_true(code == 0 || code == MP_EOWNERDEAD);
    MPT_OK(mp_lock_release(scene->lock));
    close_scene(scene);
}

static void test_fighters_die_before_they_take_it(void **state) {
    (void)state;
    fight_with_deaths("guard.acquire.held");
}

static void test_fighters_die_holding_it(void **state) {
    (void)state;
    fight_with_deaths("guard.acquire.taken");
}

static void test_fighters_die_after_the_word_is_free(void **state) {
    (void)state;
    fight_with_deaths("guard.release.freed");
}

static void test_fighters_die_before_they_wake(void **state) {
    (void)state;
    fight_with_deaths("guard.release.unlocked");
}

static void test_fighters_die_announced(void **state) {
    (void)state;
    fight_with_deaths("guard.acquire.announced");
}

static void test_fighters_die_woken(void **state) {
    (void)state;
    fight_with_deaths("guard.acquire.woken");
}

static void test_a_stopped_owner_is_not_dead(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    pid_t owner = mpt_fork(hold_for_ever, scene);
    MPT_UNTIL(scene->ready == 1);
    kill(owner, SIGSTOP);
    MPT_CODE(mp_lock_acquire(scene->lock, 0.3), MP_ETIMEDOUT);
    mpt_kill(owner);
    MPT_CODE(mp_lock_acquire(scene->lock, LIMIT), MP_EOWNERDEAD);
    MPT_OK(mp_lock_release(scene->lock));
    close_scene(scene);
}

static void take_and_die(void *arg) {
    MPT_OK(mp_lock_acquire(((struct scene *)arg)->lock, MP_FOREVER));
    kill(getpid(), SIGKILL);
}

static void sleep_and_die_looking(void *arg) {
    mpt_die_at(mp__futex_can_wait_any() ? "sleep.watch.announced" : "recover.look.taken", 1);
    (void)mp_event_wait(arg, 20);
}

/* Nobody wants the lock: who sleeps for anything at all looks round, also for those who looked. */
static void test_any_sleeper_gives_back_what_the_dead_held(void **state) {
    (void)state;
    mp_event *event;
    struct scene *scene = open_scene();
    MPT_OK(mp_event_new(&event, NULL));
    assert_int_equal(mpt_join(mpt_fork(take_and_die, scene)), -SIGKILL);
    assert_int_equal(mpt_join(mpt_fork(sleep_and_die_looking, event)), -SIGKILL);
    assert_true(mp_lock_locked(scene->lock));
    MPT_CODE(mp_event_wait(event, 1), MP_ETIMEDOUT);
    assert_false(mp_lock_locked(scene->lock));
    MPT_CODE(mp_lock_acquire(scene->lock, MP_NOWAIT), MP_EOWNERDEAD);
    MPT_OK(mp_lock_release(scene->lock));
    mp_event_free(event);
    close_scene(scene);
}

MPT_MAIN(MPT_CASE(test_acquire_and_release_change_locked),
         MPT_CASE(test_acquire_times_out_when_held),
         MPT_CASE(test_release_of_a_free_lock_is_refused),
         MPT_CASE(test_what_is_no_lock_is_refused), MPT_CASE(test_a_freed_lock_is_refused),
         MPT_CASE(test_another_process_releases_what_we_hold),
         MPT_CASE(test_with_lock_releases_however_it_is_left),
         MPT_CASE(test_processes_exclude_each_other), MPT_CASE(test_threads_exclude_each_other),
         MPT_CASE(test_a_dead_owner_is_told_once), MPT_CASE(test_even_nowait_finds_the_owner_dead),
         MPT_CASE(test_waiters_inherit_from_a_killed_owner),
         MPT_CASE(test_death_at_each_point_alone), MPT_CASE(test_death_in_a_release_for_another),
         MPT_CASE(test_fighters_die_before_they_take_it), MPT_CASE(test_fighters_die_holding_it),
         MPT_CASE(test_fighters_die_after_the_word_is_free),
         MPT_CASE(test_fighters_die_before_they_wake), MPT_CASE(test_fighters_die_announced),
         MPT_CASE(test_fighters_die_woken), MPT_CASE(test_a_stopped_owner_is_not_dead),
         MPT_CASE(test_any_sleeper_gives_back_what_the_dead_held))
