/* Contexts and the choice of the start method.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <string.h>

#include "process.h"
#include "shm/heap.h"

static void test_method_is_fork_when_nothing_was_chosen(void **state) {
    (void)state;
    assert_int_equal(mp_get_start_method(true), MP_DEFAULT);
    assert_int_equal(mp_get_start_method(false), MP_FORK);
    assert_int_equal(mp_get_start_method(true), MP_FORK);
}

static void test_set_start_method_works_once(void **state) {
    (void)state;
    MPT_OK(mp_set_start_method(MP_SPAWN, false));
    MPT_CODE(mp_set_start_method(MP_FORK, false), MP_ESTATE);
    assert_int_equal(mp_get_start_method(true), MP_SPAWN);
    MPT_OK(mp_set_start_method(MP_FORK, true));
    MPT_OK(mp_set_start_method(MP_DEFAULT, true));
    assert_int_equal(mp_get_start_method(true), MP_DEFAULT);
}

static void test_set_start_method_refuses_what_starts_no_process(void **state) {
    (void)state;
    MPT_CODE(mp_set_start_method(MP_THREAD, false), MP_EINVAL);
    MPT_CODE(mp_set_start_method(MP_DEFAULT, false), MP_EINVAL);
    MPT_CODE(mp_set_start_method((mp_start_method)17, true), MP_EINVAL);
}

static void test_get_context_gives_one_for_each_method(void **state) {
    (void)state;
    assert_non_null(mp_get_context(MP_DEFAULT));
    assert_ptr_equal(mp_get_context(MP_SPAWN), mp_get_context(MP_SPAWN));
    assert_ptr_not_equal(mp_get_context(MP_SPAWN), mp_get_context(MP_FORK));
    assert_non_null(mp_get_context(MP_THREAD));
    assert_null(mp_get_context((mp_start_method)5));
    assert_null(mp_get_context((mp_start_method)-1));
}

static void test_get_all_start_methods_lists_the_default_first(void **state) {
    (void)state;
    mp_start_method list[3] = {MP_THREAD, MP_THREAD, MP_THREAD};
    assert_int_equal(mp_get_all_start_methods(list, 1), 3);
    assert_int_equal(list[0], MP_FORK);
    assert_int_equal(list[1], MP_THREAD);
    assert_int_equal(mp_get_all_start_methods(list, 3), 3);
    assert_int_equal(list[2], MP_FORKSERVER);
    assert_int_equal(mp_get_all_start_methods(NULL, 0), 3);
    MPT_CODE(mp_get_all_start_methods(NULL, 1), MP_EINVAL);
    MPT_CODE(mp_get_all_start_methods(list, -1), MP_EINVAL);
}

static void test_names_of_methods_go_there_and_back(void **state) {
    (void)state;
    assert_string_equal(mp_start_method_name(MP_FORKSERVER), "forkserver");
    assert_string_equal(mp_start_method_name(MP_DEFAULT), "default");
    assert_null(mp_start_method_name((mp_start_method)9));
    for (int method = MP_FORK; method <= MP_THREAD; method++)
        assert_int_equal(mp_start_method_from_name(mp_start_method_name(method)), method);
    assert_int_equal(mp_start_method_from_name("bad"), MP_DEFAULT);
    assert_int_equal(mp_start_method_from_name(NULL), MP_DEFAULT);
}

static void test_freeze_support_refuses_no_argv(void **state) {
    (void)state;
    MPT_CODE(mp_freeze_support(1, NULL), MP_EINVAL);
}

static void test_freeze_support_may_be_called_again(void **state) {
    (void)state;
    char *argv[] = {(char *)"x", NULL};
    MPT_OK(mp_freeze_support(1, argv));
}

static void test_set_executable_refuses_an_empty_path(void **state) {
    (void)state;
    MPT_CODE(mp_set_executable(""), MP_EINVAL);
    MPT_OK(mp_set_executable("/bin/true"));
    MPT_OK(mp_set_executable(NULL));
}

static int preload(void *arg) {
    (void)arg;
    return 0;
}

static void test_preload_refuses_an_argument_that_is_not_there(void **state) {
    (void)state;
    MPT_CODE(mp_set_forkserver_preload(preload, NULL, 3), MP_EINVAL);
    MPT_CODE(mp_set_forkserver_preload((int (*)(void *))(uintptr_t)16, NULL, 0), MP_EINVAL);
    MPT_OK(mp_set_forkserver_preload(NULL, NULL, 0));
}

static void test_cpu_counts_are_at_least_one(void **state) {
    (void)state;
    assert_true(mp_cpu_count() >= 1);
    assert_in_range(mp_usable_cpu_count(), 1, mp_cpu_count());
}

static int tell_method(void *arg, size_t size) {
    (void)arg;
    (void)size;
    return mp_get_start_method(true);
}

static void test_child_goes_on_with_its_own_method(void **state) {
    (void)state;
    assert_int_equal(mpt_end(mpt_start(tell_method, NULL, 0)), mpt_method());
}

MPT_PROCESS_MAIN(MPT_CASE(test_method_is_fork_when_nothing_was_chosen),
                 MPT_CASE(test_set_start_method_works_once),
                 MPT_CASE(test_set_start_method_refuses_what_starts_no_process),
                 MPT_CASE(test_get_context_gives_one_for_each_method),
                 MPT_CASE(test_get_all_start_methods_lists_the_default_first),
                 MPT_CASE(test_names_of_methods_go_there_and_back),
                 MPT_CASE(test_freeze_support_refuses_no_argv),
                 MPT_CASE(test_freeze_support_may_be_called_again),
                 MPT_CASE(test_set_executable_refuses_an_empty_path),
                 MPT_CASE(test_preload_refuses_an_argument_that_is_not_there),
                 MPT_CASE(test_cpu_counts_are_at_least_one),
                 MPT_EACH_METHOD(test_child_goes_on_with_its_own_method))
