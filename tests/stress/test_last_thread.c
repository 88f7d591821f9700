/* The first thread of a process ends by pthread_exit and others go on: the process is alive, until
 * it is not. SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "mp/connection.h"
#include "mp/queue.h"
#include "mp/shared.h"
#include "mp/sync.h"
#include "os/clock.h"
#include "process.h"
#include "reg/recover.h"
#include "reg/registry.h"

struct scene { /* in the arena */
    mp_lock *lock;
    mp_queue *queue;
    mp_start_method method;
    bool ends; /* the last thread returns; else it waits to be killed, with the lock */
    _Atomic uint64_t member;
    _Atomic int code; /* of the process that it started */
};

/* ThreadSanitizer takes the end of the first thread for that of its locks' and its own life. */
static struct scene *open_scene(bool ends) {
#ifdef __SANITIZE_THREAD__
    skip();
#endif
    struct scene *scene = mp_shared_calloc(1, sizeof *scene);
    MPT_CHECK(scene);
    MPT_OK(mp_lock_new(&scene->lock, NULL));
    MPT_OK(mp_queue_new(&scene->queue, NULL, 0));
    scene->method = mpt_method();
    scene->ends = ends;
    return scene;
}

static void close_scene(struct scene *scene) {
    mp__recover_all();
    mp_lock_free(scene->lock);
    mp_queue_free(scene->queue);
    mp_shared_free(scene);
}

static int return_seven(void *argument, size_t size) {
    (void)argument, (void)size;
    return 7;
}

static bool has_lost_life(mp__member_ref ref) {
    return atomic_load(&mp__member_at(mp__member_index(ref))->life_is_lost) == ref >> 32;
}

static void *go_on(void *arg) {
    struct scene *scene = arg;
    mp_process_options options = {.target = return_seven};
    MPT_UNTIL(has_lost_life(mp__member_self()));
    mp_process *process = mpt_start_with(mp_get_context(scene->method), &options);
    atomic_store(&scene->code, mpt_end(process));
    MPT_OK(mp_lock_acquire(scene->lock, MP_FOREVER));
    MPT_OK(mp_queue_put(scene->queue, "x", 1, MP_FOREVER));
    while (!scene->ends)
        pause();
    MPT_OK(mp_lock_release(scene->lock));
    return NULL;
}

/* Asked by LeakSanitizer. The frames that pthread_exit drops are what cmocka's memory hangs on. */
static int has_dropped_frames;
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void) {
    return has_dropped_frames;
}

static void leave_it_to_a_thread(void *arg) {
    struct scene *scene = arg;
    pthread_t thread;
    atomic_store(&scene->member, mp__member_self());
    MPT_CHECK(pthread_create(&thread, NULL, go_on, scene) == 0);
    MPT_CHECK(pthread_detach(thread) == 0);
    has_dropped_frames = 1;
    pthread_exit(NULL);
}

static void test_it_lives_on_and_its_death_is_seen(void **state) {
    (void)state;
    char got;
    struct scene *scene = open_scene(false);
    pid_t pid = mpt_fork(leave_it_to_a_thread, scene);
    MPT_OK(mp_queue_get(scene->queue, &got, 1, NULL, 20));
    assert_int_equal(scene->code, 7);
    assert_false(mp__recover_member(scene->member));
    MPT_CODE(mp_lock_acquire(scene->lock, 0.2), MP_ETIMEDOUT);
    kill(pid, SIGKILL);
    mp__time begin = mp__now();
    MPT_CODE(mp_lock_acquire(scene->lock, MP_FOREVER), MP_EOWNERDEAD);
    assert_true(mp__now() - begin < MP__SECOND);
    MPT_OK(mp_lock_release(scene->lock));
    assert_int_equal(mpt_join(pid), -SIGKILL);
    close_scene(scene);
}

static void test_it_ends_with_its_last_thread(void **state) {
    (void)state;
    char got;
    struct scene *scene = open_scene(true);
    pid_t pid = mpt_fork(leave_it_to_a_thread, scene);
    MPT_OK(mp_queue_get(scene->queue, &got, 1, NULL, 20));
    assert_int_equal(mpt_join(pid), 0);
    MPT_OK(mp_lock_acquire(scene->lock, MP_NOWAIT));
    MPT_OK(mp_lock_release(scene->lock));
    close_scene(scene);
}

/* As a process of ours: its code is then that of an exit in order. */
static int exit_first_thread(void *argument, size_t size) {
    struct scene *scene;
    memcpy(&scene, argument, size);
    leave_it_to_a_thread(scene);
    return 1;
}

static void test_a_target_may_end_its_thread(void **state) {
    (void)state;
    char got;
    struct scene *scene = open_scene(true);
    mp_process *process = mpt_start(exit_first_thread, &scene, sizeof scene);
    MPT_OK(mp_queue_get(scene->queue, &got, 1, NULL, 20));
    assert_int_equal(mpt_end(process), 0);
    close_scene(scene);
}

MPT_PROCESS_MAIN(MPT_EACH_METHOD(test_it_lives_on_and_its_death_is_seen),
                 MPT_EACH_METHOD(test_it_ends_with_its_last_thread),
                 MPT_EACH_METHOD(test_a_target_may_end_its_thread))
