/* Starts that execute a program: what the child finds, what it does not, and how it fails.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mp/connection.h"
#include "process.h"

#define PROGRAM(name) MPT_PROGRAMS_DIR "/" name

static mp_target_fn load_plugin(void) {
    void *object = dlopen(PROGRAM("plugin_sum.so"), RTLD_NOW);
    MPT_CHECK(object != NULL);
    return (mp_target_fn)dlsym(object, "plugin_sum");
}

static void test_function_of_a_loaded_object_runs(void **state) {
    (void)state;
    mp_process *process = mpt_new(load_plugin(), "\1\2\3", 3);
    MPT_OK(mp_process_start(process));
    assert_int_equal(mpt_end(process), 6);
}

static void copy_file(const char *from, const char *to) {
    char command[400];
    snprintf(command, sizeof command, "cp %s %s", from, to);
    MPT_CHECK(system(command) == 0);
}

/* Also when children ran its functions before. */
static void test_start_fails_when_the_shared_object_is_gone(void **state) {
    (void)state;
    if (mpt_method() == MP_FORK)
        skip();
    char path[] = "/tmp/mpt_plugin_XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    copy_file(PROGRAM("plugin_sum.so"), path);
    void *object = dlopen(path, RTLD_NOW);
    assert_non_null(object);
    mp_target_fn target = (mp_target_fn)dlsym(object, "plugin_sum");
    mp_process *first = mpt_new(target, "\1\2\3", 3), *second = mpt_new(target, "\1\2\3", 3);
    MPT_OK(mp_process_start(first));
    assert_int_equal(mpt_end(first), 6);
    unlink(path);
    MPT_CODE(mp_process_start(second), MP_EINVAL);
    assert_non_null(strstr(mp_error_detail(), path));
    MPT_OK(mp_process_close(second));
}

/* A start that must fail, with a program in our place. */
static void start_as(const char *path, int code, const char *word) {
    mp_process *process;
    MPT_OK(mp_set_executable(path));
    MPT_OK(mp_process_new(&process, mp_get_context(MP_SPAWN),
                          &(mp_process_options){.target = mpt_do_nothing}));
    MPT_CODE(mp_process_start(process), code);
    if (!strstr(mp_error_detail(), word))
        fail_msg("'%s' is not in '%s'", word, mp_error_detail());
    MPT_OK(mp_set_executable(NULL));
    MPT_OK(mp_process_start(process));
    assert_int_equal(mpt_end(process), 0);
}

static void test_start_fails_when_the_program_is_another_build(void **state) {
    (void)state;
    start_as(PROGRAM("frozen"), MP_EINVAL, "build");
}

static void test_start_fails_when_the_address_is_taken(void **state) {
    (void)state;
    start_as(PROGRAM("squatter"), -EEXIST, "address");
}

static void test_start_fails_when_the_program_ends_without_freeze_support(void **state) {
    (void)state;
    start_as("/bin/true", MP_ENOTMAIN, "mp_freeze_support(argc, argv)");
}

static void test_start_fails_when_the_program_is_killed_first(void **state) {
    (void)state;
    start_as(PROGRAM("suicide"), MP_EWORKER, "-9");
}

static void test_start_fails_when_there_is_no_such_program(void **state) {
    (void)state;
    start_as("/nonexistent/program", -ENOENT, "/nonexistent/program");
}

static void run_program(void *path) {
    execl(path, path, (char *)NULL);
    _exit(126);
}

static void test_start_says_what_to_add_when_freeze_support_was_not_called(void **state) {
    (void)state;
    assert_int_equal(mpt_join(mpt_fork(run_program, (void *)PROGRAM("unfrozen"))), 0);
}

static void test_freeze_support_says_when_the_program_cannot_be_opened(void **state) {
    (void)state;
    assert_int_equal(mpt_join(mpt_fork(run_program, (void *)PROGRAM("unopened"))), 0);
}

static void run_with_junk(void *order) {
    execl(PROGRAM("frozen"), "frozen", "--multiprocessing-fork", order, (char *)NULL);
    _exit(126);
}

static void test_child_with_senseless_orders_ends(void **state) {
    (void)state;
    const char *const orders[] = {NULL,
                                  "",
                                  "x",
                                  "3",
                                  "3,4,5,6,0,0,99",
                                  "9,4096,4096,0,0,0,0",
                                  "-1,1,1,1,1,1,1",
                                  "3,4096,9999999999999999999999,0,0,0,0"};
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++)
        assert_int_equal(mpt_join(mpt_fork(run_with_junk, (void *)orders[i])), 255);
}

/* A copy of the program, so that what the build made stays. */
static void run_copy(void *path) {
    copy_file(PROGRAM("replaced"), path);
    execl(path, path, path, (char *)NULL);
    _exit(126);
}

static void test_program_may_be_replaced_on_disk(void **state) {
    (void)state;
    char path[] = "/tmp/mpt_replaced_XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    assert_int_equal(chmod(path, 0700), 0);
    assert_int_equal(mpt_join(mpt_fork(run_copy, path)), 0);
    unlink(path);
}

static int is_closed(void *arg, size_t size) {
    (void)size;
    return fcntl(*(int *)arg, F_GETFD) < 0 ? 0 : 1;
}

static void test_descriptors_that_were_not_passed_are_not_there(void **state) {
    (void)state;
    int high = fcntl(0, F_DUPFD, 200);
    assert_true(high >= 200);
    mp_process *process = mpt_new(is_closed, &high, sizeof high);
    MPT_OK(mp_process_start(process));
    int code = mpt_end(process);
    close(high);
    assert_int_equal(code, mpt_method() == MP_FORK ? 1 : 0);
}

struct ends {
    mp_connection *first, *second;
};

static struct ends make_pipe(void) {
    struct ends ends;
    MPT_OK(mp_pipe_new(&ends.first, &ends.second, mpt_context(), true));
    return ends;
}

static void free_pipe(struct ends ends) {
    mp_connection_free(ends.first);
    mp_connection_free(ends.second);
}

static int send_word(void *arg, size_t size) {
    (void)size;
    mp_connection *connection = ((struct ends *)arg)->second;
    char text[4];
    size_t got;
    MPT_OK(mp_connection_send_bytes(connection, "word", 4, MP_FOREVER));
    MPT_OK(mp_connection_recv_bytes_into(connection, text, sizeof text, &got, MP_FOREVER));
    return got == 2 && memcmp(text, "ok", 2) == 0 ? 0 : 1;
}

static void test_connections_of_the_options_work_in_the_child(void **state) {
    (void)state;
    struct ends ends = make_pipe();
    char text[8];
    size_t got;
    mp_connection *list[] = {ends.second, NULL};
    mp_process_options options = {
        .target = send_word, .arg = &ends, .arg_size = sizeof ends, .connections = list};
    mp_process *process = mpt_start_with(mpt_context(), &options);
    MPT_OK(mp_connection_recv_bytes_into(ends.first, text, sizeof text, &got, 10));
    assert_int_equal(got, 4);
    MPT_OK(mp_connection_send_bytes(ends.first, "ok", 2, MP_FOREVER));
    assert_int_equal(mpt_end(process), 0);
    free_pipe(ends);
}

static int send_without(void *arg, size_t size) {
    (void)size;
    int code = mp_connection_send_bytes(((struct ends *)arg)->second, "word", 4, MP_FOREVER);
    return code == MP_ENOTPASSED ? 0 : 1;
}

static void test_connections_that_were_not_passed_say_so(void **state) {
    (void)state;
    if (mpt_method() == MP_FORK)
        skip();
    struct ends ends = make_pipe();
    mp_process *process = mpt_new(send_without, &ends, sizeof ends);
    MPT_OK(mp_process_start(process));
    assert_int_equal(mpt_end(process), 0);
    free_pipe(ends);
}

static void test_start_fails_when_a_connection_was_closed(void **state) {
    (void)state;
    if (mpt_method() == MP_FORK)
        skip();
    struct ends ends = make_pipe();
    mp_process *process;
    mp_connection *list[] = {ends.second, NULL};
    MPT_OK(mp_process_new(&process, mpt_context(), &(mp_process_options){.connections = list}));
    MPT_OK(mp_connection_close(ends.second));
    MPT_CODE(mp_process_start(process), MP_ECLOSED);
    assert_int_equal(mp_active_children(NULL, 0), 0);
    MPT_OK(mp_process_close(process));
    free_pipe(ends);
}

static void limit_descriptors(rlim_t count) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = count;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void test_start_fails_without_descriptors(void **state) {
    (void)state;
    struct rlimit before;
    getrlimit(RLIMIT_NOFILE, &before);
    mp_process *process = mpt_new(mpt_do_nothing, NULL, 0);
    int next = dup(0);
    close(next);
    limit_descriptors((rlim_t)next);
    int code = mp_process_start(process);
    limit_descriptors(before.rlim_cur);
    assert_int_equal(code, -EMFILE);
    assert_int_equal(mp_active_children(NULL, 0), 0);
    MPT_OK(mp_process_start(process));
    assert_int_equal(mpt_end(process), 0);
}

MPT_PROCESS_MAIN(MPT_CASE(test_freeze_support_says_when_the_program_cannot_be_opened),
                 MPT_EACH_METHOD(test_function_of_a_loaded_object_runs),
                 MPT_EACH_METHOD(test_start_fails_when_the_shared_object_is_gone),
                 MPT_CASE(test_start_fails_when_the_program_is_another_build),
                 MPT_CASE(test_start_fails_when_the_address_is_taken),
                 MPT_CASE(test_start_fails_when_the_program_ends_without_freeze_support),
                 MPT_CASE(test_start_fails_when_the_program_is_killed_first),
                 MPT_CASE(test_start_fails_when_there_is_no_such_program),
                 MPT_CASE(test_start_says_what_to_add_when_freeze_support_was_not_called),
                 MPT_CASE(test_child_with_senseless_orders_ends),
                 MPT_CASE(test_program_may_be_replaced_on_disk),
                 MPT_EACH_METHOD(test_descriptors_that_were_not_passed_are_not_there),
                 MPT_EACH_METHOD(test_connections_of_the_options_work_in_the_child),
                 MPT_EACH_METHOD(test_connections_that_were_not_passed_say_so),
                 MPT_EACH_METHOD(test_start_fails_when_a_connection_was_closed),
                 MPT_EACH_METHOD(test_start_fails_without_descriptors))
