/* Each Python of this machine starts a program of ours as its processes.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <stdio.h>
#include <string.h>

#include "mp/python.h"
#include "python.h"

static const char *mode;     /* of peer_spawn.py */
static const char *expected; /* its output; NULL: "ok" */

/* Output and errors are read together: a child or a tracker that complains is noticed. */
static void check(const char *python) {
    char output[4000];
    FILE *peer = mpt_python_start(python, "python/peer_spawn.py",
                                  "'%s/python_child' %s 2>&1 </dev/null", MPT_PROGRAMS_DIR, mode);
    size_t size = fread(output, 1, sizeof output - 1, peer);
    output[size] = 0;
    int code = mpt_python_end(peer);
    const char *wanted = expected ? expected : "ok\n";
    if (code == 0 && strcmp(output, wanted) == 0)
        return;
    fprintf(stderr, "%s, %s: code %d, output:\n%s\n", python, mode, code, output);
    MPT_CHECK(!"as it should be");
}

static void check_each(const char *peer_mode, const char *output) {
    mode = peer_mode;
    expected = output;
    mpt_each_python(8, check);
}

static void test_a_child_knows_who_it_is(void **state) {
    (void)state;
    check_each("describe", NULL);
}

static void test_queues_work_both_ways(void **state) {
    (void)state;
    check_each("queues", NULL);
}

static void test_a_subclass_of_process_goes_by_its_name(void **state) {
    (void)state;
    check_each("subclass", NULL);
}

static void test_values_and_arrays_are_shared(void **state) {
    (void)state;
    check_each("count", NULL);
}

static void test_locks_and_events_are_python_s(void **state) {
    (void)state;
    check_each("synchronize", NULL);
}

static void test_conditions_are_python_s(void **state) {
    (void)state;
    check_each("condition", NULL);
}

static void test_barriers_are_python_s(void **state) {
    (void)state;
    check_each("barrier", NULL);
}

static void test_proxies_come_with_their_managers_key(void **state) {
    (void)state;
    check_each("proxies", NULL);
}

static void test_what_cannot_be_opened_is_refused(void **state) {
    (void)state;
    check_each("refuse", NULL);
}

static void test_tasks_are_joined(void **state) {
    (void)state;
    check_each("give_tasks", NULL);
}

static void test_a_child_has_children(void **state) {
    (void)state;
    check_each("have_child", NULL);
}

static void test_a_signal_is_the_exit_code(void **state) {
    (void)state;
    check_each("die", NULL);
}

static void test_a_process_without_target_does_nothing(void **state) {
    (void)state;
    check_each("no_target", NULL);
}

static void test_a_target_that_nobody_registered_ends_with_1(void **state) {
    (void)state;
    check_each("missing", "Process SpawnProcess-1:\n"
                          "libmp: no C function is registered for the target '__main__.nobody': "
                          "call mp_python_register(\"__main__.nobody\", ...) before "
                          "mp_freeze_support\nok\n");
}

static void test_a_method_is_no_target(void **state) {
    (void)state;
    check_each("bound_method", "Process SpawnProcess-1:\n"
                               "libmp: the target getattr([], 'append') is no function with a "
                               "name\nok\n");
}

static void test_its_log_goes_on_in_the_child(void **state) {
    (void)state;
    check_each("log", "[INFO/Bob] child process calling self.run()\n"
                      "[INFO/Bob] process exiting with exitcode 0\n"
                      "[INFO/Bob] process shutting down\nok\n"
                      "[INFO/MainProcess] process shutting down\n"
                      "[DEBUG/MainProcess] running all \"atexit\" finalizers with priority >= 0\n"
                      "[DEBUG/MainProcess] running the remaining \"atexit\" finalizers\n");
}

static void test_many_children_share_queues(void **state) {
    (void)state;
    check_each("many", NULL);
}

static void test_an_orphan_learns_that_it_is_one(void **state) {
    (void)state;
    check_each("orphan", NULL);
}

static int do_nothing(const mp_object *args, const mp_object *kwargs, void *user) {
    (void)args, (void)kwargs, (void)user;
    return 0;
}

static void test_names_of_targets_have_a_dot(void **state) {
    (void)state;
    MPT_CODE(mp_python_register("work", do_nothing, NULL), MP_EINVAL);
    MPT_CODE(mp_python_register("work.", do_nothing, NULL), MP_EINVAL);
    MPT_CODE(mp_python_register(NULL, do_nothing, NULL), MP_EINVAL);
    MPT_CODE(mp_python_register("a.b", NULL, NULL), MP_EINVAL);
}

MPT_MAIN(MPT_CASE(test_a_child_knows_who_it_is), MPT_CASE(test_queues_work_both_ways),
         MPT_CASE(test_a_subclass_of_process_goes_by_its_name),
         MPT_CASE(test_values_and_arrays_are_shared), MPT_CASE(test_locks_and_events_are_python_s),
         MPT_CASE(test_conditions_are_python_s), MPT_CASE(test_barriers_are_python_s),
         MPT_CASE(test_proxies_come_with_their_managers_key),
         MPT_CASE(test_what_cannot_be_opened_is_refused), MPT_CASE(test_tasks_are_joined),
         MPT_CASE(test_a_child_has_children), MPT_CASE(test_a_signal_is_the_exit_code),
         MPT_CASE(test_a_process_without_target_does_nothing),
         MPT_CASE(test_a_target_that_nobody_registered_ends_with_1),
         MPT_CASE(test_a_method_is_no_target), MPT_CASE(test_many_children_share_queues),
         MPT_CASE(test_its_log_goes_on_in_the_child),
         MPT_CASE(test_an_orphan_learns_that_it_is_one), MPT_CASE(test_names_of_targets_have_a_dot))
