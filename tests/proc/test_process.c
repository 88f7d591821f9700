/* One process: start, join, codes, signals, names; under each method.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mp/shared.h"
#include "process.h"

static int give_int(void *arg, size_t size) {
    MPT_CHECK(size == sizeof(int));
    return *(int *)arg;
}

static int wait_for_signal(void *arg, size_t size) {
    (void)arg;
    (void)size;
    for (;;)
        pause();
    return 0;
}

static int run_int(int value) {
    return mpt_end(mpt_start(give_int, &value, sizeof value));
}

static void test_code_is_the_targets_value(void **state) {
    (void)state;
    assert_int_equal(run_int(7), 7);
}

static void test_code_is_a_byte(void **state) {
    (void)state;
    assert_int_equal(run_int(300), 44);
    assert_int_equal(run_int(-1), 255);
}

static void test_code_is_0_without_a_target(void **state) {
    (void)state;
    assert_int_equal(mpt_end(mpt_start_with(mpt_context(), NULL)), 0);
}

static int call_exit(void *arg, size_t size) {
    (void)size;
    if (*(int *)arg)
        exit(9);
    _exit(8);
}

static void test_code_is_what_exit_was_called_with(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(mpt_end(mpt_start(call_exit, &i, sizeof i)), 8 + i);
}

static void test_code_says_which_signal_killed_it(void **state) {
    (void)state;
    int (*const senders[])(mp_process *) = {mp_process_kill, mp_process_terminate,
                                            mp_process_interrupt};
    const int codes[] = {-SIGKILL, -SIGTERM, -SIGINT};
    for (int i = 0; i < 3; i++) {
        mp_process *process = mpt_start(wait_for_signal, NULL, 0);
        MPT_OK(senders[i](process));
        assert_int_equal(mpt_end(process), codes[i]);
    }
}

static int abort_now(void *arg, size_t size) {
    (void)arg;
    (void)size;
    signal(SIGABRT, SIG_DFL);
    abort();
}

static void test_code_says_that_it_aborted(void **state) {
    (void)state;
    assert_int_equal(mpt_end(mpt_start(abort_now, NULL, 0)), -SIGABRT);
}

static void test_argument_is_a_copy(void **state) {
    (void)state;
    int value = 5;
    mp_process *process = mpt_new(give_int, &value, sizeof value);
    value = 6;
    MPT_OK(mp_process_start(process));
    assert_int_equal(mpt_end(process), 5);
}

static int sum_bytes(void *arg, size_t size) {
    unsigned sum = 0;
    for (size_t i = 0; i < size; i++)
        sum += ((unsigned char *)arg)[i];
    return (int)(sum & 0xff);
}

static void test_argument_may_be_large(void **state) {
    (void)state;
    size_t size = 3 << 20;
    char *bytes = malloc(size);
    memset(bytes, 3, size);
    bytes[0] = 17;
    assert_int_equal(mpt_end(mpt_start(sum_bytes, bytes, size)), (3 * (size - 1) + 17) & 0xff);
    free(bytes);
}

struct shared {
    _Atomic int words[8];
};

static bool has_letters(const char *text, size_t size, char letter) {
    for (size_t i = 0; i < size; i++)
        if (text[i] != letter)
            return false;
    return true;
}

/* Arguments of all sizes, in a child and in its child; nobody's is lost when the other starts. */
static int start_more(void *arg, size_t size) {
    char name[20], *text = arg;
    snprintf(name, sizeof name, "of %zu", size);
    MPT_OK(mp_process_set_name(mp_current_process(), name));
    if (size > 10) {
        char *next = memset(malloc(size / 7), text[0] + 1, size / 7);
        MPT_CHECK(mpt_end(mpt_start(start_more, next, size / 7)) == 0);
        free(next);
    }
    MPT_CHECK(has_letters(text, size, text[0]));
    MPT_CHECK(strcmp(mp_process_name(mp_current_process()), name) == 0);
    return 0;
}

static void test_arguments_of_a_child_and_of_its_child_are_two(void **state) {
    (void)state;
    enum { SIZE = 70000 };
    char *text = memset(malloc(SIZE), 'a', SIZE);
    assert_int_equal(mpt_end(mpt_start(start_more, text, SIZE)), 0);
    free(text);
}

static void test_start_works_once(void **state) {
    (void)state;
    mp_process *process = mpt_start(mpt_do_nothing, NULL, 0);
    MPT_CODE(mp_process_start(process), MP_ESTATE);
    MPT_OK(mp_process_join(process, MP_FOREVER));
    MPT_CODE(mp_process_start(process), MP_ESTATE);
    MPT_OK(mp_process_close(process));
}

static void test_nothing_can_be_asked_before_start(void **state) {
    (void)state;
    int code;
    mp_process *process = mpt_new(mpt_do_nothing, NULL, 0);
    MPT_CODE(mp_process_join(process, 0), MP_ESTATE);
    MPT_CODE(mp_process_exitcode(process, &code), MP_ESTATE);
    MPT_CODE(mp_process_sentinel(process), MP_ESTATE);
    MPT_CODE(mp_process_kill(process), MP_ESTATE);
    assert_false(mp_process_is_alive(process));
    assert_int_equal(mp_process_pid(process), 0);
    MPT_OK(mp_process_close(process));
}

static void test_join_times_out_while_it_runs(void **state) {
    (void)state;
    int code;
    mp_process *process = mpt_start(wait_for_signal, NULL, 0);
    MPT_CODE(mp_process_join(process, MP_NOWAIT), MP_ETIMEDOUT);
    MPT_CODE(mp_process_join(process, -1), MP_ETIMEDOUT);
    MPT_CODE(mp_process_join(process, 0.02), MP_ETIMEDOUT);
    MPT_CODE(mp_process_join(process, NAN), MP_EINVAL);
    MPT_CODE(mp_process_exitcode(process, &code), MP_ESTATE);
    MPT_CODE(mp_process_exitcode(process, NULL), MP_EINVAL);
    MPT_CODE(mp_process_close(process), MP_EINVAL);
    assert_true(mp_process_is_alive(process));
    MPT_OK(mp_process_kill(process));
    assert_int_equal(mpt_end(process), -SIGKILL);
}

static void test_signals_do_nothing_once_it_has_ended(void **state) {
    (void)state;
    mp_process *process = mpt_start(mpt_do_nothing, NULL, 0);
    MPT_OK(mp_process_join(process, MP_FOREVER));
    MPT_OK(mp_process_terminate(process));
    MPT_OK(mp_process_kill(process));
    assert_false(mp_process_is_alive(process));
    assert_int_equal(mpt_end(process), 0);
}

static void *join_it(void *process) {
    int code = -1;
    MPT_OK(mp_process_join(process, MP_FOREVER));
    MPT_OK(mp_process_exitcode(process, &code));
    return (void *)(intptr_t)code;
}

static void test_join_gives_all_threads_the_code(void **state) {
    (void)state;
    pthread_t threads[8];
    mp_process *process = mpt_start(wait_for_signal, NULL, 0);
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, join_it, process), 0);
    MPT_OK(mp_process_terminate(process));
    for (int i = 0; i < 8; i++) {
        void *code;
        pthread_join(threads[i], &code);
        assert_int_equal((intptr_t)code, -SIGTERM);
    }
    MPT_OK(mp_process_close(process));
}

static void test_code_is_right_when_somebody_else_reaped_it(void **state) {
    (void)state;
    int value = 33;
    mp_process *process = mpt_start(give_int, &value, sizeof value);
    if (mpt_method() != MP_FORKSERVER)
        assert_int_equal(waitpid(mp_process_pid(process), NULL, 0), mp_process_pid(process));
    assert_int_equal(mpt_end(process), 33);
}

static void test_code_is_255_when_a_killed_one_was_reaped_by_others(void **state) {
    (void)state;
    mp_process *process =
        mpt_start_with(mp_get_context(MP_FORK), &(mp_process_options){.target = wait_for_signal});
    MPT_OK(mp_process_kill(process));
    assert_int_equal(waitpid(mp_process_pid(process), NULL, 0), mp_process_pid(process));
    MPT_OK(mp_process_kill(process));
    assert_int_equal(mpt_end(process), 255);
}

static void test_sentinel_is_readable_when_it_has_ended(void **state) {
    (void)state;
    mp_process *process = mpt_start(wait_for_signal, NULL, 0);
    struct pollfd poller = {.fd = mp_process_sentinel(process), .events = POLLIN};
    assert_true(poller.fd >= 0);
    assert_int_equal(poll(&poller, 1, 0), 0);
    MPT_OK(mp_process_kill(process));
    assert_int_equal(poll(&poller, 1, 20000), 1);
    assert_int_equal(mpt_end(process), -SIGKILL);
}

static void test_close_frees_once(void **state) {
    (void)state;
    mp_process *process = mpt_new(mpt_do_nothing, NULL, 0);
    MPT_OK(mp_process_close(process));
    MPT_CODE(mp_process_close(process), MP_EINVAL);
    MPT_CODE(mp_process_start(process), MP_EINVAL);
    MPT_CODE(mp_process_join(process, 0), MP_EINVAL);
    assert_null(mp_process_name(process));
    assert_int_equal(mp_process_pid(process), 0);
    MPT_OK(mp_process_close(NULL));
}

static void test_new_refuses_bad_options(void **state) {
    (void)state;
    mp_process *process = NULL;
    mp_connection *many[70];
    for (int i = 0; i < 69; i++)
        many[i] = (mp_connection *)&many[i];
    many[69] = NULL;
    MPT_CODE(mp_process_new(NULL, NULL, NULL), MP_EINVAL);
    MPT_CODE(mp_process_new(&process, NULL, &(mp_process_options){.arg_size = 1}), MP_EINVAL);
    MPT_CODE(mp_process_new(&process, NULL, &(mp_process_options){.daemon = 3}), MP_EINVAL);
    MPT_CODE(mp_process_new(&process, NULL, &(mp_process_options){.connections = many}), MP_EINVAL);
    MPT_CODE(mp_process_new(&process, mp_get_context(MP_THREAD), NULL), MP_EINVAL);
    MPT_CODE(mp_process_new(&process, mp_get_context(MP_SPAWN),
                            &(mp_process_options){.target = (mp_target_fn)(uintptr_t)64}),
             MP_EINVAL);
    assert_null(process);
}

static void test_functions_refuse_what_is_no_process(void **state) {
    (void)state;
    int other;
    mp_process *bad[] = {NULL, (mp_process *)&other, (mp_process *)(uintptr_t)8};
    for (int i = 0; i < 3; i++) {
        MPT_CODE(mp_process_start(bad[i]), MP_EINVAL);
        MPT_CODE(mp_process_run(bad[i]), MP_EINVAL);
        MPT_CODE(mp_process_join(bad[i], 0), MP_EINVAL);
        MPT_CODE(mp_process_terminate(bad[i]), MP_EINVAL);
        MPT_CODE(mp_process_exitcode(bad[i], &other), MP_EINVAL);
        MPT_CODE(mp_process_sentinel(bad[i]), MP_EINVAL);
        MPT_CODE(mp_process_set_daemon(bad[i], true), MP_EINVAL);
        MPT_CODE(mp_process_set_name(bad[i], "x"), MP_EINVAL);
        MPT_CODE(mp_process_authkey(bad[i], NULL, 0, NULL), MP_EINVAL);
        MPT_CODE(mp_process_set_authkey(bad[i], "k", 1), MP_EINVAL);
        assert_false(mp_process_is_alive(bad[i]));
        assert_false(mp_process_daemon(bad[i]));
    }
}

static void test_run_calls_the_target_here(void **state) {
    (void)state;
    int value = 258;
    mp_process *process = mpt_new(give_int, &value, sizeof value);
    assert_int_equal(mp_process_run(process), 2);
    MPT_OK(mp_process_close(process));
}

static int read_stdin(void *arg, size_t size) {
    (void)arg;
    (void)size;
    char byte;
    return read(0, &byte, 1) == 0 ? 0 : 1;
}

static void test_standard_input_is_empty_in_the_child(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int saved = dup(0);
    dup2(ends[0], 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    int code = mpt_end(mpt_start(read_stdin, NULL, 0));
    dup2(saved, 0);
    close(saved);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(code, 0);
}

static struct shared *at_exit_shared;
static pid_t at_exit_owner;

static void note_exit(void) {
    if (at_exit_shared && getpid() != at_exit_owner)
        at_exit_shared->words[0]++;
}

static void test_parents_atexit_handlers_do_not_run_in_children(void **state) {
    (void)state;
    struct shared *shared = mp_shared_calloc(1, sizeof *shared);
    at_exit_shared = shared;
    at_exit_owner = getpid();
    assert_int_equal(atexit(note_exit), 0);
    assert_int_equal(run_int(0), 0);
    at_exit_shared = NULL;
    assert_int_equal(shared->words[0], 0);
    mp_shared_free(shared);
}

static void test_active_children_lists_the_living(void **state) {
    (void)state;
    mp_process *list[3], *found[3];
    assert_int_equal(mp_active_children(NULL, 0), 0);
    for (int i = 0; i < 3; i++)
        list[i] = mpt_start(wait_for_signal, NULL, 0);
    assert_int_equal(mp_active_children(found, 2), 3);
    MPT_OK(mp_process_kill(list[1]));
    MPT_UNTIL(mp_active_children(found, 3) == 2);
    assert_true((found[0] == list[0] && found[1] == list[2]) ||
                (found[0] == list[2] && found[1] == list[0]));
    for (int i = 0; i < 3; i += 2)
        MPT_OK(mp_process_kill(list[i]));
    for (int i = 0; i < 3; i++)
        assert_int_equal(mpt_end(list[i]), -SIGKILL);
    MPT_CODE(mp_active_children(NULL, 1), MP_EINVAL);
    MPT_CODE(mp_active_children(found, -1), MP_EINVAL);
}

static void test_many_run_at_once(void **state) {
    (void)state;
    mp_process *list[60];
    for (int i = 0; i < 60; i++)
        list[i] = mpt_start(wait_for_signal, NULL, 0);
    assert_int_equal(mp_active_children(NULL, 0), 60);
    for (int i = 0; i < 60; i++)
        MPT_OK(mp_process_terminate(list[i]));
    for (int i = 0; i < 60; i++)
        assert_int_equal(mpt_end(list[i]), -SIGTERM);
}

static int use_parents_object(void *arg, size_t size) {
    (void)size;
    mp_process *process = *(mp_process **)arg;
    int code;
    MPT_CHECK(strcmp(mp_process_name(process), "sibling") == 0);
    MPT_CHECK(mp_process_is_alive(process));
    MPT_CHECK(mp_process_pid(process) > 0);
    MPT_CODE(mp_process_start(process), MP_EFOREIGN);
    MPT_CODE(mp_process_run(process), MP_EFOREIGN);
    MPT_CODE(mp_process_join(process, 0), MP_EFOREIGN);
    MPT_CODE(mp_process_kill(process), MP_EFOREIGN);
    MPT_CODE(mp_process_close(process), MP_EFOREIGN);
    MPT_CODE(mp_process_exitcode(process, &code), MP_EFOREIGN);
    MPT_CODE(mp_process_sentinel(process), MP_EFOREIGN);
    MPT_CODE(mp_process_set_daemon(process, true), MP_EFOREIGN);
    MPT_CODE(mp_process_set_name(process, "x"), MP_EFOREIGN);
    MPT_CODE(mp_process_set_authkey(process, "x", 1), MP_EFOREIGN);
    MPT_CODE(mp_process_exitcode(mp_parent_process(), &code), MP_EFOREIGN);
    MPT_CODE(mp_process_terminate(mp_parent_process()), MP_EFOREIGN);
    return 0;
}

static void test_other_processes_may_only_look(void **state) {
    (void)state;
    mp_process *sibling = mpt_new(wait_for_signal, NULL, 0);
    MPT_OK(mp_process_set_name(sibling, "sibling"));
    MPT_OK(mp_process_start(sibling));
    assert_int_equal(mpt_end(mpt_start(use_parents_object, &sibling, sizeof sibling)), 0);
    MPT_OK(mp_process_kill(sibling));
    assert_int_equal(mpt_end(sibling), -SIGKILL);
}

static int leave_a_thread(void *arg, size_t size) {
    (void)size;
    pthread_t thread;
    MPT_CHECK(pthread_create(&thread, NULL, (void *(*)(void *))(void *)wait_for_signal, NULL) == 0);
    return *(int *)arg;
}

static void test_threads_of_the_child_end_with_its_target(void **state) {
    (void)state;
    int value = 4;
    assert_int_equal(mpt_end(mpt_start(leave_a_thread, &value, sizeof value)), 4);
}

static void start_and_join(void *arg) {
    (void)arg;
    for (int i = 0; i < 20; i++)
        MPT_CHECK(run_int(i) == i);
}

static void test_threads_start_at_once(void **state) {
    (void)state;
    mpt_run_threads(4, start_and_join, NULL);
}

static void *read_standard_input(void *arg) {
    (void)arg;
    return (void *)(intptr_t)getchar();
}

static bool is_stdin_locked(void) {
    if (ftrylockfile(stdin) != 0)
        return true;
    funlockfile(stdin);
    return false;
}

static void test_start_does_not_wait_for_a_reader_of_stdin(void **state) {
    (void)state;
    int ends[2];
    pthread_t reader;
    void *got;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[0], 0), 0);
    assert_int_equal(pthread_create(&reader, NULL, read_standard_input, NULL), 0);
    MPT_UNTIL(is_stdin_locked());
    assert_int_equal(mpt_end(mpt_start(mpt_do_nothing, NULL, 0)), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(pthread_join(reader, &got), 0);
    assert_int_equal((intptr_t)got, 'x');
    close(ends[0]);
    close(ends[1]);
}

MPT_PROCESS_MAIN(MPT_EACH_METHOD(test_code_is_the_targets_value),
                 MPT_EACH_METHOD(test_code_is_a_byte),
                 MPT_EACH_METHOD(test_code_is_0_without_a_target),
                 MPT_EACH_METHOD(test_code_is_what_exit_was_called_with),
                 MPT_EACH_METHOD(test_code_says_which_signal_killed_it),
                 MPT_EACH_METHOD(test_code_says_that_it_aborted),
                 MPT_EACH_METHOD(test_argument_is_a_copy),
                 MPT_EACH_METHOD(test_argument_may_be_large),
                 MPT_EACH_METHOD(test_arguments_of_a_child_and_of_its_child_are_two),
                 MPT_EACH_METHOD(test_start_works_once),
                 MPT_EACH_METHOD(test_nothing_can_be_asked_before_start),
                 MPT_EACH_METHOD(test_join_times_out_while_it_runs),
                 MPT_EACH_METHOD(test_signals_do_nothing_once_it_has_ended),
                 MPT_EACH_METHOD(test_join_gives_all_threads_the_code),
                 MPT_EACH_METHOD(test_code_is_right_when_somebody_else_reaped_it),
                 MPT_CASE(test_code_is_255_when_a_killed_one_was_reaped_by_others),
                 MPT_EACH_METHOD(test_sentinel_is_readable_when_it_has_ended),
                 MPT_CASE(test_close_frees_once),
                 MPT_CASE(test_new_refuses_bad_options),
                 MPT_CASE(test_functions_refuse_what_is_no_process),
                 MPT_EACH_METHOD(test_run_calls_the_target_here),
                 MPT_EACH_METHOD(test_standard_input_is_empty_in_the_child),
                 MPT_EACH_METHOD(test_start_does_not_wait_for_a_reader_of_stdin),
                 MPT_EACH_METHOD(test_parents_atexit_handlers_do_not_run_in_children),
                 MPT_EACH_METHOD(test_active_children_lists_the_living),
                 MPT_EACH_METHOD(test_many_run_at_once),
                 MPT_EACH_METHOD(test_other_processes_may_only_look),
                 MPT_EACH_METHOD(test_threads_of_the_child_end_with_its_target),
                 MPT_EACH_METHOD(test_threads_start_at_once))
