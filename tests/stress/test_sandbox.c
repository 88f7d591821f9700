/* A sandbox refuses system calls, by a real filter: libmp does without them, or says which failed.
 * A full /dev/shm is an error code. SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fail.h"
#include "mp/connection.h"
#include "mp/pool.h"
#include "mp/queue.h"
#include "mp/shared.h"
#include "mp/shared_memory.h"
#include "mp/sync.h"
#include "os/clock.h"
#include "os/descriptor.h"
#include "process.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif

enum { MOST_CALLS = 8, ITEMS = 40 };

/* What a sandbox refuses, 0 at the end; does libmp do without it? */
struct sandbox {
    int calls[MOST_CALLS];
    bool is_needed;
};

/* For this process and all that come from it. false: no such thing here. */
static bool enter_sandbox(const int *calls, int error) {
    struct sock_filter code[2 * MOST_CALLS + 2];
    unsigned short length = 0;
    code[length++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (; *calls; calls++) {
        code[length++] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)*calls, 0, 1);
        code[length++] =
            (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error);
    }
    code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {length, code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* Its result, or a code with a sentence where that may be. */
static bool works(int code, bool is_needed) {
    MPT_CHECK(code == 0 || (is_needed && code < 0 && mp_error_detail()[0]));
    return code == 0;
}

struct scene { /* in the arena */
    mp_lock *lock;
    mp_queue *queue, *leasing;
    mp_connection *ends[2];
};

static int make_scene(struct scene **out) {
    struct scene *scene = mp_shared_calloc(1, sizeof *scene);
    mp_queue_options leasing = {.joinable = true, .redeliver = true};
    int code = scene ? mp_pipe_new(&scene->ends[0], &scene->ends[1], NULL, true) : -ENOMEM;
    if (code < 0) {
        mp_shared_free(scene);
        return code;
    }
    MPT_OK(mp_lock_new(&scene->lock, NULL));
    MPT_OK(mp_queue_new(&scene->queue, NULL, 0));
    MPT_OK(mp_queue_new_with(&scene->leasing, NULL, &leasing));
    *out = scene;
    return 0;
}

static void free_scene(struct scene *scene) {
    mp_lock_free(scene->lock);
    mp_queue_free(scene->queue);
    mp_queue_free(scene->leasing);
    mp_connection_free(scene->ends[0]);
    mp_connection_free(scene->ends[1]);
    mp_shared_free(scene);
}

/* Dies with a lock and a task, when it is told to. */
static int take_and_die(void *argument, size_t size) {
    struct scene *scene;
    char task[8];
    memcpy(&scene, argument, size);
    MPT_OK(mp_lock_acquire(scene->lock, MP_FOREVER));
    MPT_OK(mp_queue_get(scene->leasing, task, sizeof task, NULL, MP_FOREVER));
    MPT_OK(mp_queue_put(scene->queue, "x", 1, MP_FOREVER));
    MPT_OK(mp_connection_recv_bytes_into(scene->ends[1], task, sizeof task, NULL, MP_FOREVER));
    kill(getpid(), SIGKILL);
    return 1;
}

static int start(mp_process **out, mp_target_fn target, struct scene *scene) {
    mp_connection *passed[] = {scene->ends[1], NULL};
    mp_process_options options = {
        .target = target, .arg = &scene, .arg_size = sizeof scene, .connections = passed};
    int code = mp_process_new(out, mpt_context(), &options);
    if (code < 0)
        return code;
    code = mp_process_start(*out);
    if (code < 0)
        MPT_OK(mp_process_close(*out));
    return code;
}

static int lose_one(struct scene *scene) {
    mp_process *process;
    char got[8];
    MPT_OK(mp_queue_put(scene->leasing, "task", 4, MP_FOREVER));
    int code = start(&process, take_and_die, scene);
    if (code < 0)
        return code;
    mp_waitable list[] = {MP_WAIT_QUEUE(scene->queue), MP_WAIT_CONNECTION(scene->ends[0])};
    MPT_CHECK(mp_wait(list, 2, 20) == 1);
    MPT_OK(mp_queue_get(scene->queue, got, sizeof got, NULL, 20));
    MPT_CODE(mp_lock_acquire(scene->lock, 0.05), MP_ETIMEDOUT);
    MPT_OK(mp_connection_send_bytes(scene->ends[0], "x", 1, 20));
    mp__time begin = mp__now();
    MPT_CODE(mp_lock_acquire(scene->lock, 20), MP_EOWNERDEAD);
    MPT_OK(mp_queue_get(scene->leasing, got, sizeof got, NULL, 20));
    MPT_CHECK(mp__now() - begin < MP__SECOND);
    MPT_OK(mp_queue_task_done(scene->leasing));
    MPT_OK(mp_lock_release(scene->lock));
    MPT_CHECK(mpt_end(process) == -SIGKILL);
    return 0;
}

static int wait_for_ever(void *argument, size_t size) {
    (void)argument, (void)size;
    while (pause() < 0)
        continue;
    return 1;
}

static int terminate_one(struct scene *scene) {
    mp_process *process;
    int code = start(&process, wait_for_ever, scene);
    if (code < 0)
        return code;
    MPT_CODE(mp_process_join(process, 0.05), MP_ETIMEDOUT);
    MPT_OK(mp_process_terminate(process));
    MPT_CHECK(mpt_end(process) == -SIGTERM);
    return 0;
}

/* The 17th kills its worker. */
static int square(const void *item, void *result, void *state) {
    uint64_t number = *(const uint64_t *)item;
    (void)state;
    if (number == 17)
        kill(getpid(), SIGKILL);
    *(uint64_t *)result = number * number;
    return 0;
}

static int square_all(struct scene *unused) {
    mp_pool *pool;
    uint64_t items[ITEMS], results[ITEMS];
    int codes[ITEMS];
    (void)unused;
    for (unsigned i = 0; i < ITEMS; i++)
        items[i] = i;
    int code = mp_pool_new(&pool, mpt_context(), &(mp_pool_options){.processes = 2});
    if (code < 0)
        return code;
    mp_map_options how = {.codes = codes};
    MPT_CODE(
        mp_pool_map(pool, square, items, ITEMS, sizeof items[0], results, sizeof results[0], &how),
        MP_EWORKER);
    for (unsigned i = 0; i < ITEMS; i++)
        MPT_CHECK(i == 17 ? codes[i] == MP_EWORKER : results[i] == (uint64_t)i * i);
    MPT_OK(mp_pool_close(pool));
    MPT_OK(mp_pool_join(pool, 20));
    mp_pool_free(pool);
    return 0;
}

static int return_seven(void *argument, size_t size) {
    (void)argument, (void)size;
    return 7;
}

static int run_seven(void) {
    mp_process *process;
    mp_process_options options = {.target = return_seven};
    int code = mp_process_new(&process, mpt_context(), &options);
    if (code < 0)
        return code;
    code = mp_process_start(process);
    if (code == 0)
        MPT_CHECK(mpt_end(process) == 7);
    else
        MPT_OK(mp_process_close(process));
    return code;
}

static void work(const struct sandbox *sandbox) {
    struct scene *scene = NULL;
    mp__fail(0, "%s", "");
    (void)works(run_seven(), sandbox->is_needed);
    if (!works(make_scene(&scene), sandbox->is_needed)) {
        mpt_stop_servers();
        return;
    }
    (void)works(lose_one(scene), sandbox->is_needed);
    (void)works(terminate_one(scene), sandbox->is_needed);
    (void)works(square_all(scene), sandbox->is_needed);
    mpt_stop_servers();
    free_scene(scene);
}

static const int errors[] = {ENOSYS, EPERM};
static int error;
enum { NO_SANDBOX = 77 };

static void work_inside(void *arg) {
    const struct sandbox *sandbox = arg;
    int lowest = mp__descriptor_duplicate(0);
    close(lowest);
    if (!enter_sandbox(sandbox->calls, error))
        _exit(NO_SANDBOX);
    work(sandbox);
    int after = mp__descriptor_duplicate(0);
    MPT_CHECK(after <= lowest + 1); /* the arena's, which the library keeps */
}

static void check_sandbox(const struct sandbox *sandbox) {
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        error = errors[i];
        int code = mpt_join(mpt_fork(work_inside, (void *)(uintptr_t)sandbox));
        if (code == NO_SANDBOX) {
            fprintf(stderr, "no seccomp filters here: %s\n", strerror(errno));
            skip();
        }
        MPT_CODE(code, 0);
    }
}

static void test_pidfds_are_refused(void **state) {
    (void)state;
    check_sandbox(&(struct sandbox){{SYS_pidfd_open}, false});
    check_sandbox(&(struct sandbox){{SYS_pidfd_send_signal}, false});
}

static void test_waiting_for_several_words_is_refused(void **state) {
    (void)state;
    check_sandbox(&(struct sandbox){{SYS_futex_waitv}, false});
}

static void test_closing_many_descriptors_is_refused(void **state) {
    (void)state;
    check_sandbox(&(struct sandbox){{SYS_close_range}, false});
}

static void test_all_that_is_new_is_refused(void **state) {
    (void)state;
    check_sandbox(&(struct sandbox){
        {SYS_pidfd_open, SYS_pidfd_send_signal, SYS_futex_waitv, SYS_close_range}, false});
}

static void test_memory_files_are_refused(void **state) {
    (void)state;
    check_sandbox(&(struct sandbox){{SYS_memfd_create}, true});
}

static void test_socket_pairs_are_refused(void **state) {
    (void)state;
    check_sandbox(&(struct sandbox){{SYS_socketpair}, true});
}

static void test_executing_a_descriptor_is_refused(void **state) {
    (void)state;
    check_sandbox(&(struct sandbox){{SYS_execveat}, true});
}

static unsigned count_names(void) {
    unsigned count = 0;
    DIR *directory = opendir("/dev/shm");
    while (directory && readdir(directory))
        count++;
    if (directory)
        closedir(directory);
    return count;
}

/* A /dev/shm of our own, of so many bytes. false: not allowed. */
static bool mount_small(const char *options) {
    return (unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0) &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", "/dev/shm", "tmpfs", 0, options) == 0;
}

/* Until it is full; then each call fails and nothing is lost. */
static int fill_queue(void) {
    static char bytes[5000];
    mp_queue *queue;
    unsigned put = 0;
    int code = mp_queue_new(&queue, NULL, 0);
    if (code < 0)
        return code;
    while (put < 1000 && (code = mp_queue_put(queue, bytes, sizeof bytes, MP_FOREVER)) == 0)
        put++;
    (void)works(code, true);
    (void)works(run_seven(), true);
    for (; put > 0; put--)
        MPT_OK(mp_queue_get(queue, bytes, sizeof bytes, NULL, MP_NOWAIT));
    mp_queue_free(queue);
    return 0;
}

static void work_with_full_memory(void *options) {
    mp_shared_memory *memory;
    if (!mount_small(options))
        _exit(NO_SANDBOX);
    unsigned before = count_names();
    mp__fail(0, "%s", "");
    int code = mp_shared_memory_open(&memory, NULL, 8 << 20, MP_CREATE);
    MPT_CHECK(code < 0 && mp_error_detail()[0]);
    (void)works(run_seven(), true);
    (void)works(fill_queue(), true);
    (void)works(run_seven(), true);
    mpt_stop_servers();
    MPT_CHECK(count_names() == before);
}

static void check_full_memory(const char *options) {
    int code = mpt_join(mpt_fork(work_with_full_memory, (void *)(uintptr_t)options));
    if (code == NO_SANDBOX) {
        fprintf(stderr, "no /dev/shm of our own can be mounted here\n");
        skip();
    }
    MPT_CODE(code, 0);
}

static void test_a_full_dev_shm_is_a_code(void **state) {
    (void)state;
    check_full_memory("size=4k");
    check_full_memory("size=64k");
    check_full_memory("size=512k");
}

static void test_a_dev_shm_without_names_is_a_code(void **state) {
    (void)state;
    check_full_memory("nr_inodes=1");
}

MPT_PROCESS_MAIN(MPT_EACH_METHOD(test_pidfds_are_refused),
                 MPT_EACH_METHOD(test_waiting_for_several_words_is_refused),
                 MPT_EACH_METHOD(test_closing_many_descriptors_is_refused),
                 MPT_EACH_METHOD(test_all_that_is_new_is_refused),
                 MPT_EACH_METHOD(test_memory_files_are_refused),
                 MPT_EACH_METHOD(test_socket_pairs_are_refused),
                 MPT_EACH_METHOD(test_executing_a_descriptor_is_refused),
                 MPT_EACH_METHOD(test_a_full_dev_shm_is_a_code),
                 MPT_EACH_METHOD(test_a_dev_shm_without_names_is_a_code))
