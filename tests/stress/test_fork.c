/* fork() behind the back of a library whose threads are in its calls; odd exits; signals.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mp/connection.h"
#include "mp/queue.h"
#include "mp/shared.h"
#include "mp/sync.h"
#include "os/sanitizer.h"
#include "process.h"

#define FORKS 200

static struct {
    mp_lock *lock;
    mp_queue *queue;
    _Atomic bool is_over;
} common;

static void *use_lock(void *unused) {
    while (!common.is_over) {
        int code = mp_lock_acquire(common.lock, MP_FOREVER);
        MPT_CHECK(code == 0 || code == MP_EOWNERDEAD);
        MPT_OK(mp_lock_release(common.lock));
    }
    return unused;
}

static void *use_queue(void *unused) {
    char large[20000] = {0}, buffer[sizeof large];
    size_t size;
    while (!common.is_over) {
        MPT_OK(mp_queue_put(common.queue, large, sizeof large, MP_FOREVER));
        MPT_OK(mp_queue_put(common.queue, large, 10, MP_FOREVER));
        MPT_OK(mp_queue_get(common.queue, buffer, sizeof buffer, &size, MP_FOREVER));
        MPT_OK(mp_queue_get(common.queue, buffer, sizeof buffer, &size, MP_FOREVER));
    }
    return unused;
}

static void *use_heap(void *unused) {
    while (!common.is_over) {
        void *blocks[20];
        for (size_t i = 0; i < 20; i++)
            MPT_CHECK(blocks[i] = mp_shared_alloc(100 * i * i));
        for (size_t i = 0; i < 20; i++)
            mp_shared_free(blocks[i]);
    }
    return unused;
}

static int add_one(void *arg, size_t arg_size) {
    (void)arg_size;
    MP_WITH_LOCK(mp_value_get_lock(*(mp_value **)arg)) {
        MP_VALUE(int, *(mp_value **)arg)++;
    }
    return 0;
}

static void use_own_things(void) {
    mp_lock *lock;
    mp_queue *queue;
    char byte;
    size_t size;
    MPT_OK(mp_lock_new(&lock, NULL));
    MPT_OK(mp_lock_acquire(lock, MP_FOREVER));
    MPT_OK(mp_queue_new(&queue, NULL, 0));
    MPT_OK(mp_queue_put(queue, "x", 1, MP_FOREVER));
    MPT_OK(mp_queue_get(queue, &byte, 1, &size, MP_FOREVER));
    mp_queue_free(queue);
    MPT_OK(mp_lock_release(lock));
    mp_lock_free(lock);
}

static void start_own_process(mp_context *context) {
    mp_value *value;
    MPT_OK(mp_value_new(&value, NULL, 'i', NULL, MP_NEW_LOCK));
    mp_process_options options = {.target = add_one, .arg = &value, .arg_size = sizeof value};
    mp_process *process = mpt_start_with(context, &options);
    MPT_CHECK(mpt_end(process) == 0 && MP_VALUE(int, value) == 1);
    mp_value_free(value);
}

/* The threads that had the lock at the fork are the parent's: it will be released. */
static void be_child(void *number) {
    use_own_things();
    int code = mp_lock_acquire(common.lock, 20);
    MPT_CHECK(code == 0 || code == MP_EOWNERDEAD);
    MPT_OK(mp_lock_release(common.lock));
    if (*(int *)number % 20 == 0)
        start_own_process(mpt_context());
    mpt_stop_servers();
}

static void start_hammering(pthread_t threads[3]) {
    void *(*const bodies[3])(void *) = {use_lock, use_queue, use_heap};
    MPT_OK(mp_lock_new(&common.lock, NULL));
    MPT_OK(mp_queue_new(&common.queue, NULL, 0));
    for (int i = 0; i < 3; i++)
        MPT_CHECK(pthread_create(&threads[i], NULL, bodies[i], NULL) == 0);
}

static void end_hammering(pthread_t threads[3]) {
    common.is_over = true;
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    mp_lock_free(common.lock);
    mp_queue_free(common.queue);
}

static void test_both_sides_go_on_when_forked_under_threads(void **state) {
    (void)state;
    pthread_t threads[3];
    start_hammering(threads);
    for (int i = 0; i < FORKS; i++)
        MPT_CHECK(mpt_join(mpt_fork(be_child, &i)) == 0);
    start_own_process(mpt_context());
    end_hammering(threads);
}

static void execute_another(void *unused) {
    (void)unused;
    use_own_things();
    execl("/bin/true", "true", (char *)NULL);
}

static void test_family_goes_on_when_a_forked_child_executes(void **state) {
    (void)state;
    use_own_things();
    for (int i = 0; i < 20; i++)
        MPT_CHECK(mpt_join(mpt_fork(execute_another, NULL)) == 0);
    use_own_things();
}

static int wait_for_event(void *arg, size_t arg_size) {
    (void)arg_size;
    return mp_event_wait(*(mp_event **)arg, 20) == 0 ? 0 : 1;
}

static void leave_by_exit(void *unused) {
    (void)unused;
    exit(3);
}

/* The handlers that the parent set are the child's, too: they must leave the parent's children
 * alone. */
static void test_children_are_left_alone_when_a_fork_exits(void **state) {
    (void)state;
    mp_event *event;
    MPT_OK(mp_event_new(&event, NULL));
    mp_process_options options = {
        .target = wait_for_event, .arg = &event, .arg_size = sizeof event, .daemon = MP_DAEMON};
    mp_process *process = mpt_start_with(mpt_context(), &options);
    MPT_CHECK(mpt_join(mpt_fork(leave_by_exit, NULL)) == 3);
    MPT_CHECK(mp_process_is_alive(process));
    MPT_OK(mp_event_set(event));
    MPT_CHECK(mpt_end(process) == 0);
    mp_event_free(event);
}

static int leave_at_once(void *arg, size_t arg_size) {
    (void)arg;
    (void)arg_size;
    _exit(5);
}

/* Asked by LeakSanitizer. The frames that pthread_exit drops are what cmocka's memory hangs on. */
static int has_dropped_frames;
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void) {
    return has_dropped_frames;
}

__attribute__((unused)) static int end_thread(void *arg, size_t arg_size) {
    (void)arg;
    (void)arg_size;
    has_dropped_frames = 1;
    pthread_exit(NULL);
}

static int run(mp_target_fn target) {
    return mpt_end(mpt_start(target, NULL, 0));
}

static void test_code_is_known_when_a_target_leaves_by_itself(void **state) {
    (void)state;
    MPT_CHECK(run(leave_at_once) == 5);
#ifndef MP__UNDER_TSAN /* which waits for ever when the first thread of a forked process ends */
    MPT_CHECK(run(end_thread) == 0);
#endif
}

/* ---- signals during calls that block ---- */

static _Atomic unsigned signal_count;

static void count_signal(int number) {
    (void)number;
    signal_count++;
}

struct interrupted {
    pthread_t thread;

    _Atomic bool is_over;
};

static void *send_signals(void *argument) {
    struct interrupted *of = argument;
    while (!of->is_over) {
        pthread_kill(of->thread, signal_count % 2 ? SIGINT : SIGTERM);
        sched_yield();
    }
    return NULL;
}

static void wait_everywhere(void) {
    mp_lock *lock;
    mp_queue *queue;
    mp_event *event;
    mp_semaphore *semaphore;
    mp_connection *a, *b;
    char byte;
    size_t size;
    MPT_OK(mp_lock_new(&lock, NULL));
    MPT_OK(mp_lock_acquire(lock, 0));
    MPT_CODE(mp_lock_acquire(lock, 0.05), MP_ETIMEDOUT);
    MPT_OK(mp_queue_new(&queue, NULL, 1));
    MPT_CODE(mp_queue_get(queue, &byte, 1, &size, 0.05), MP_EEMPTY);
    MPT_OK(mp_queue_put(queue, "x", 1, 0));
    MPT_CODE(mp_queue_put(queue, "x", 1, 0.05), MP_EFULL);
    MPT_OK(mp_event_new(&event, NULL));
    MPT_CODE(mp_event_wait(event, 0.05), MP_ETIMEDOUT);
    MPT_OK(mp_semaphore_new(&semaphore, NULL, 0));
    MPT_CODE(mp_semaphore_acquire(semaphore, 0.05), MP_ETIMEDOUT);
    MPT_OK(mp_pipe_new(&a, &b, NULL, true));
    MPT_CODE(mp_connection_recv_bytes_into(a, &byte, 1, &size, 0.05), MP_ETIMEDOUT);
    MPT_OK(mp_queue_get(queue, &byte, 1, &size, 0));
    mp_waitable list[] = {MP_WAIT_CONNECTION(a), MP_WAIT_QUEUE(queue)};
    MPT_OK(mp_wait(list, 2, 0.05));
    start_own_process(mpt_context());
    mp_lock_free(lock);
    mp_queue_free(queue);
    mp_event_free(event);
    mp_semaphore_free(semaphore);
    mp_connection_free(a);
    mp_connection_free(b);
}

static void wait_under_signals(int flags) {
    struct sigaction action = {.sa_handler = count_signal, .sa_flags = flags};
    struct interrupted self = {.thread = pthread_self()};
    pthread_t sender;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    MPT_CHECK(pthread_create(&sender, NULL, send_signals, &self) == 0);
    wait_everywhere();
    self.is_over = true;
    pthread_join(sender, NULL);
    MPT_CHECK(signal_count > 10);
}

static void test_calls_go_on_when_signals_come(void **state) {
    (void)state;
    wait_under_signals(0);
}

static void test_calls_go_on_when_signals_restart(void **state) {
    (void)state;
    wait_under_signals(SA_RESTART);
}

MPT_PROCESS_MAIN(MPT_EACH_METHOD(test_both_sides_go_on_when_forked_under_threads),
                 MPT_CASE(test_family_goes_on_when_a_forked_child_executes),
                 MPT_EACH_METHOD(test_children_are_left_alone_when_a_fork_exits),
                 MPT_EACH_METHOD(test_code_is_known_when_a_target_leaves_by_itself),
                 MPT_EACH_METHOD(test_calls_go_on_when_signals_come),
                 MPT_EACH_METHOD(test_calls_go_on_when_signals_restart))
