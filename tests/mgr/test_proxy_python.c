/* Proxies of objects at the manager of every Python: each operation that Python's proxies have.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy_checks.h"
#include "mp/process.h"
#include "python.h"

static struct {
    FILE *output;
    char address[128];
    int pid;
} peer;

static mp_manager *connect_to(const char *address, const char *key) {
    mp_manager *made;
    mp_manager_options options = {.address = address, .authkey = key, .authkey_size = strlen(key)};
    MPT_OK(mp_manager_new(&made, NULL, &options));
    MPT_OK(mp_manager_connect(made));
    return made;
}

static void begin_at(const char *python, const char *address) {
    peer.output = mpt_python_start(python, "mgr/peer_server.py", "%s abc", address);
    MPT_CHECK(fscanf(peer.output, "%127s %d", peer.address, &peer.pid) == 2);
    manager = connect_to(peer.address, "abc");
}

static void begin(const char *python) {
    char address[64];
    snprintf(address, sizeof address, "unix:/tmp/mpt-proxy-%d", (int)getpid());
    begin_at(python, address);
}

static void end(void) {
    mp_manager_free(manager);
    kill(peer.pid, SIGKILL);
    (void)mpt_python_end(peer.output);
    if (strncmp(peer.address, "unix:", 5) == 0)
        unlink(peer.address + 5);
}

static mp_object *function(const char *name) {
    return mp_global_new("builtins", name);
}

static void check_pool(const char *python) {
    mp_proxy *pool;
    mp_object *got, *later;
    begin(python);
    MPT_OK(mp_manager_pool(manager, &pool, 1));
    MPT_OK(mp_proxy_call(pool, &got, "apply", "N(i)", function("abs"), -4));
    expect(got, "4");
    MPT_CODE(mp_proxy_call(pool, &got, "apply", "N(s)", function("int"), "x"), MP_EINVAL);
    expect_detail("invalid literal");
    MPT_OK(mp_proxy_call(pool, &later, "map_async", "N[ii]", function("abs"), -1, -2));
    MPT_OK(mp_proxy_call(mp_object_get_proxy(later), &got, "get", "d", 20.0));
    expect(got, "[1, 2]");
    mp_object_free(later);
    MPT_OK(mp_proxy_call(pool, &later, "imap", "N[i]", function("abs"), -1));
    MPT_OK(mp_proxy_next(mp_object_get_proxy(later), &got));
    expect(got, "1");
    MPT_CODE(mp_proxy_next(mp_object_get_proxy(later), &got), MP_EEND);
    mp_object_free(later);
    MPT_OK(mp_proxy_call(pool, NULL, "terminate", ""));
    MPT_OK(mp_proxy_call(pool, NULL, "join", ""));
    mp_proxy_free(pool);
    end();
}

static void check_registered(const char *python) {
    mp_proxy *tasks, *again;
    mp_object *got;
    begin(python);
    MPT_OK(mp_manager_create(manager, &tasks, "get_task_queue", ""));
    MPT_OK(mp_manager_create(manager, &again, "get_task_queue", ""));
    MPT_CHECK(strcmp(mp_proxy_id(tasks), mp_proxy_id(again)) == 0);
    MPT_OK(mp_proxy_queue_put(tasks, mp_integer_new(1), MP_FOREVER));
    MPT_OK(mp_proxy_queue_get(again, &got, MP_FOREVER));
    expect(got, "1");
    MPT_CODE(mp_manager_create(manager, &again, "Nothing", ""), MP_EREMOTE);
    expect_detail("Nothing");
    mp_proxy_free(tasks);
    mp_proxy_free(again);
    end();
}

static void check_exceptions(const char *python) {
    mp_proxy *thing;
    mp_object *got;
    begin(python);
    MPT_OK(mp_manager_create(manager, &thing, "Thing", ""));
    MPT_CODE(mp_proxy_call(thing, &got, "fail", "ss", "OSError", "boom"), MP_EREMOTE);
    expect_detail("OSError: boom");
    MPT_CODE(mp_proxy_call(thing, &got, "fail", "sis", "OSError", 2, "boom"), -ENOENT);
    MPT_CODE(mp_proxy_call(thing, &got, "fail", "s", "MemoryError"), -ENOMEM);
    MPT_CODE(mp_proxy_call(thing, &got, "fail", "s", "custom"), MP_EREMOTE);
    MPT_CODE(mp_proxy_call(thing, &got, "unpicklable", ""), MP_EREMOTE);
    expect_detail("nserializable");
    MPT_CODE(mp_proxy_getvalue(thing, &got), 0);
    mp_object_free(got);
    mp_proxy_free(thing);
    end();
}

static void check_arguments(const char *python) {
    mp_proxy *thing;
    mp_object *got, *args = mp_object_build("(ii)", 1, 2),
                    *kwargs = mp_object_build("{s:i}", "n", 3);
    begin(python);
    MPT_OK(mp_manager_create_objects(manager, &thing, "Thing", args, kwargs));
    MPT_OK(mp_proxy_call(thing, &got, "given", NULL));
    expect(got, "((1, 2), {'n': 3})");
    MPT_OK(mp_proxy_call(thing, &got, "echo", "((ii))", 1, 2));
    expect(got, "(1, 2)");
    mp_object_free(args);
    mp_object_free(kwargs);
    mp_proxy_free(thing);
    end();
}

static void check_tcp(const char *python) {
    mp_proxy *dict, *inner;
    mp_object *got;
    begin_at(python, "tcp://127.0.0.1:0");
    MPT_OK(mp_manager_dict(manager, &dict, NULL));
    MPT_OK(mp_manager_list(manager, &inner, NULL));
    MPT_OK(mp_proxy_dict_set(dict, mp_integer_new(1), mp_proxy_object(inner)));
    MPT_OK(mp_proxy_dict_get(dict, &got, mp_integer_new(1)));
    MPT_OK(mp_proxy_list_append(mp_object_get_proxy(got), mp_bytes_new(peer.address, 100)));
    mp_object_free(got);
    mp_proxy_free(inner);
    mp_proxy_free(dict);
    end();
}

static void check_refusals(const char *python) {
    mp_manager *other;
    mp_proxy *list;
    mp_object *got;
    begin(python);
    mp_manager_options options = {.address = peer.address, .authkey = "wrong", .authkey_size = 5};
    MPT_OK(mp_manager_new(&other, NULL, &options));
    MPT_CODE(mp_manager_list(other, &list, NULL), MP_ESTATE);
    MPT_CODE(mp_manager_connect(other), MP_EAUTH);
    MPT_CODE(mp_manager_connect(manager), MP_ESTATE);
    MPT_OK(mp_manager_list(manager, &list, NULL));
    mp_manager_free(other);
    kill(peer.pid, SIGKILL);
    MPT_CODE(mpt_python_end(peer.output), -SIGKILL);
    MPT_CODE(mp_proxy_list_get(list, &got, 0), MP_EEOF);
    MPT_CODE(mp_proxy_list_get(list, &got, 0), -ECONNREFUSED);
    mp_proxy_free(list);
    mp_manager_free(manager);
    unlink(peer.address + 5);
}

static int append_number(void *arg, size_t size) {
    (void)size;
    MPT_OK(mp_proxy_list_append(*(mp_proxy **)arg, mp_integer_new(5)));
    return 0;
}

static void check_child(const char *python) {
    mp_process *child;
    mp_proxy *list;
    mp_object *got;
    begin(python);
    MPT_OK(mp_manager_list(manager, &list, NULL));
    mp_process_options options = {.target = append_number, .arg = &list, .arg_size = sizeof list};
    MPT_OK(mp_process_new(&child, mpt_context(), &options));
    MPT_OK(mp_process_start(child));
    MPT_OK(mp_process_join(child, 50));
    MPT_OK(mp_process_close(child));
    MPT_OK(mp_proxy_getvalue(list, &got));
    expect(got, "[5]");
    MPT_CODE(mp_manager_number_of_objects(manager), 1);
    mp_proxy_free(list);
    MPT_CODE(mp_manager_number_of_objects(manager), 0);
    end();
}

#define WITH_EACH_PYTHON(name, check) \
    static void name(void **state) {  \
        (void)state;                  \
        mpt_each_python(8, check);    \
    }

WITH_EACH_PYTHON(test_lists_are_changed, check_list)
WITH_EACH_PYTHON(test_lists_answer, check_list_questions)
WITH_EACH_PYTHON(test_lists_refuse_as_python_does, check_list_failures)
WITH_EACH_PYTHON(test_any_method_can_be_called, check_general)
WITH_EACH_PYTHON(test_a_proxy_says_what_it_is, check_names)
WITH_EACH_PYTHON(test_a_proxy_in_an_object_shows_as_one, check_str)
WITH_EACH_PYTHON(test_dicts_are_changed, check_dict)
WITH_EACH_PYTHON(test_dicts_answer_and_refuse, check_dict_failures)
WITH_EACH_PYTHON(test_queues_pass_objects, check_queue)
WITH_EACH_PYTHON(test_joinable_queues_count, check_joinable_queue)
WITH_EACH_PYTHON(test_namespaces_and_values_hold_objects, check_holders)
WITH_EACH_PYTHON(test_arrays_hold_numbers, check_array)
WITH_EACH_PYTHON(test_locks_belong_to_the_thread, check_locks)
WITH_EACH_PYTHON(test_semaphores_count, check_semaphores)
WITH_EACH_PYTHON(test_conditions_need_their_lock, check_condition)
WITH_EACH_PYTHON(test_events_and_barriers_wait, check_event_and_barrier)
WITH_EACH_PYTHON(test_children_use_their_parents_proxies, check_child)
WITH_EACH_PYTHON(test_pools_work, check_pool)
WITH_EACH_PYTHON(test_proxies_go_into_proxies, check_nested)
WITH_EACH_PYTHON(test_registered_types_are_found, check_registered)
WITH_EACH_PYTHON(test_exceptions_become_codes, check_exceptions)
WITH_EACH_PYTHON(test_arguments_arrive, check_arguments)
WITH_EACH_PYTHON(test_objects_go_with_the_last_proxy, check_counts)
WITH_EACH_PYTHON(test_proxies_go_over_tcp, check_tcp)
WITH_EACH_PYTHON(test_large_values_travel, check_large)
WITH_EACH_PYTHON(test_wrong_keys_and_dead_servers_are_told, check_refusals)

MPT_PROCESS_MAIN(MPT_CASE(test_lists_are_changed), MPT_CASE(test_lists_answer),
                 MPT_CASE(test_lists_refuse_as_python_does),
                 MPT_CASE(test_any_method_can_be_called), MPT_CASE(test_a_proxy_says_what_it_is),
                 MPT_CASE(test_a_proxy_in_an_object_shows_as_one), MPT_CASE(test_dicts_are_changed),
                 MPT_CASE(test_dicts_answer_and_refuse), MPT_CASE(test_queues_pass_objects),
                 MPT_CASE(test_joinable_queues_count),
                 MPT_CASE(test_namespaces_and_values_hold_objects),
                 MPT_CASE(test_arrays_hold_numbers), MPT_CASE(test_locks_belong_to_the_thread),
                 MPT_CASE(test_semaphores_count), MPT_CASE(test_conditions_need_their_lock),
                 MPT_CASE(test_events_and_barriers_wait),
                 MPT_EACH_METHOD(test_children_use_their_parents_proxies),
                 MPT_CASE(test_pools_work), MPT_CASE(test_proxies_go_into_proxies),
                 MPT_CASE(test_registered_types_are_found), MPT_CASE(test_exceptions_become_codes),
                 MPT_CASE(test_arguments_arrive), MPT_CASE(test_objects_go_with_the_last_proxy),
                 MPT_CASE(test_proxies_go_over_tcp), MPT_CASE(test_large_values_travel),
                 MPT_CASE(test_wrong_keys_and_dead_servers_are_told))
