/* Proxies of objects at a manager of ours: each operation that Python's proxies have.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include "proxy_checks.h"

static void begin(const char *server) {
    (void)server;
    MPT_OK(mp_manager_new(&manager, NULL, NULL));
    MPT_OK(mp_manager_start(manager));
}

static void end(void) {
    mp_manager_free(manager);
}

static void check_set(const char *server) {
    mp_proxy *set;
    size_t number;
    begin(server);
    MPT_OK(mp_manager_set(manager, &set, mp_object_build("[ii]", 1, 2)));
    MPT_OK(mp_proxy_set_add(set, mp_str_new("x")));
    MPT_CODE(mp_proxy_set_contains(set, mp_str_new("x")), 1);
    MPT_OK(mp_proxy_set_remove(set, mp_integer_new(1)));
    MPT_CODE(mp_proxy_set_remove(set, mp_integer_new(1)), MP_EKEY);
    MPT_CODE(mp_proxy_set_contains(set, mp_integer_new(1)), 0);
    MPT_CODE(mp_proxy_set_add(set, mp_list_new()), MP_ETYPE);
    MPT_OK(mp_proxy_set_length(set, &number));
    MPT_CHECK(number == 2);
    mp_proxy_free(set);
    end();
}

#define WITH_OURS(name, check)       \
    static void name(void **state) { \
        (void)state;                 \
        check("ours");               \
    }

WITH_OURS(test_lists_are_changed, check_list)
WITH_OURS(test_lists_answer, check_list_questions)
WITH_OURS(test_lists_refuse_as_python_does, check_list_failures)
WITH_OURS(test_any_method_can_be_called, check_general)
WITH_OURS(test_a_proxy_says_what_it_is, check_names)
WITH_OURS(test_a_proxy_in_an_object_shows_as_one, check_str)
WITH_OURS(test_dicts_are_changed, check_dict)
WITH_OURS(test_dicts_answer_and_refuse, check_dict_failures)
WITH_OURS(test_queues_pass_objects, check_queue)
WITH_OURS(test_joinable_queues_count, check_joinable_queue)
WITH_OURS(test_namespaces_and_values_hold_objects, check_holders)
WITH_OURS(test_arrays_hold_numbers, check_array)
WITH_OURS(test_locks_belong_to_the_thread, check_locks)
WITH_OURS(test_semaphores_count, check_semaphores)
WITH_OURS(test_conditions_need_their_lock, check_condition)
WITH_OURS(test_events_and_barriers_wait, check_event_and_barrier)
WITH_OURS(test_proxies_go_into_proxies, check_nested)
WITH_OURS(test_objects_go_with_the_last_proxy, check_counts)
WITH_OURS(test_large_values_travel, check_large)
WITH_OURS(test_sets_are_changed, check_set)

MPT_PROCESS_MAIN(MPT_CASE(test_lists_are_changed), MPT_CASE(test_lists_answer),
                 MPT_CASE(test_lists_refuse_as_python_does),
                 MPT_CASE(test_any_method_can_be_called), MPT_CASE(test_a_proxy_says_what_it_is),
                 MPT_CASE(test_a_proxy_in_an_object_shows_as_one), MPT_CASE(test_dicts_are_changed),
                 MPT_CASE(test_dicts_answer_and_refuse), MPT_CASE(test_queues_pass_objects),
                 MPT_CASE(test_joinable_queues_count),
                 MPT_CASE(test_namespaces_and_values_hold_objects),
                 MPT_CASE(test_arrays_hold_numbers), MPT_CASE(test_locks_belong_to_the_thread),
                 MPT_CASE(test_semaphores_count), MPT_CASE(test_conditions_need_their_lock),
                 MPT_CASE(test_events_and_barriers_wait), MPT_CASE(test_proxies_go_into_proxies),
                 MPT_CASE(test_objects_go_with_the_last_proxy), MPT_CASE(test_large_values_travel),
                 MPT_CASE(test_sets_are_changed))
