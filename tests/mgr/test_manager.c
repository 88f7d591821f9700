/* A manager's life: made, started under each method or serving here, shut down; and what programs
 * register with it.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mp/collection.h"
#include "mp/connection.h"
#include "mp/listener.h"
#include "mp/manager.h"
#include "mp/process.h"
#include "mp/proxy.h"
#include "mp/proxy_types.h"
#include "mp/shared.h"

static mp_manager *make(const mp_manager_options *options) {
    mp_manager *manager;
    MPT_OK(mp_manager_new(&manager, mpt_context(), options));
    return manager;
}

static void expect_integer(mp_proxy *proxy, const char *method, int64_t expected) {
    mp_object *result;
    int64_t got;
    MPT_OK(mp_proxy_call(proxy, &result, method, ""));
    MPT_OK(mp_integer_get(result, &got));
    assert_int_equal(got, expected);
    mp_object_free(result);
}

/* A registered type: counts, from where its arguments say. */

struct counter {
    int value;
    int step; /* from the type's arg */
};

static int counter_create(mp_method_call *call) {
    int value = 0;
    int code = mp_object_parse(call->args, "(|i)", &value);
    if (code < 0)
        return code;
    struct counter *counter = malloc(sizeof *counter);
    *counter = (struct counter){value, *(const int *)call->type_arg};
    call->made = counter;
    return 0;
}

static int counter_next(mp_method_call *call) {
    struct counter *counter = call->object;
    counter->value += counter->step;
    call->result = mp_integer_new(counter->value);
    return 0;
}

static int counter_fail(mp_method_call *call) {
    const char *what;
    int code = mp_object_parse(call->args, "(s)", &what);
    if (code < 0)
        return code;
    if (strcmp(what, "zero") == 0)
        return mp_method_raise(call, "builtins", "ZeroDivisionError", "division by %s", what);
    return strcmp(what, "key") == 0 ? MP_EKEY : -ENOENT;
}

static int counter_history(mp_method_call *call) {
    call->result = mp_object_build("[ii]", 1, ((struct counter *)call->object)->value);
    return 0;
}

static int counter_twin(mp_method_call *call) {
    struct counter *twin = malloc(sizeof *twin);
    *twin = *(struct counter *)call->object;
    call->made = twin;
    return 0;
}

static int counter_value(mp_method_call *call) {
    call->result = mp_object_build("{s:i}", "counter", ((struct counter *)call->object)->value);
    return 0;
}

static int counter_repr(mp_method_call *call) {
    char text[40];
    snprintf(text, sizeof text, "Counter(%d)", ((struct counter *)call->object)->value);
    call->result = mp_str_new(text);
    return 0;
}

static const mp_manager_method counter_methods[] = {
    {"next", counter_next, NULL},
    {"fail", counter_fail, NULL},
    {"history", counter_history, "list"},
    {"twin", counter_twin, "Counter"},
};
static const int step = 3;
static const mp_manager_type counter_type = {
    .create = counter_create,
    .destroy = free,
    .value = counter_value,
    .repr = counter_repr,
    .methods = counter_methods,
    .method_count = sizeof counter_methods / sizeof counter_methods[0],
    .arg = &step,
    .arg_size = sizeof step,
};

static mp_manager *start_counters(void) {
    mp_manager *manager = make(NULL);
    MPT_OK(mp_manager_register(manager, "Counter", &counter_type));
    MPT_OK(mp_manager_start(manager));
    return manager;
}

static void test_a_server_serves_until_it_is_freed(void **state) {
    (void)state;
    mp_proxy *dict;
    mp_object *got;
    mp_manager *manager = make(NULL);
    assert_string_equal(mp_manager_address(manager), "");
    MPT_OK(mp_manager_start(manager));
    char path[200];
    snprintf(path, sizeof path, "%s", mp_manager_address(manager));
    assert_memory_equal(path, "unix:", 5);
    MPT_OK(mp_manager_dict(manager, &dict, NULL));
    MPT_OK(mp_proxy_dict_set(dict, mp_str_new("a"), mp_integer_new(5)));
    MPT_OK(mp_proxy_dict_get(dict, &got, mp_str_new("a")));
    mp_object_free(got);
    mp_proxy_free(dict);
    mp_manager_free(manager);
    assert_int_equal(access(path + 5, F_OK), -1);
    *strrchr(path, '/') = '\0';
    assert_int_equal(access(path + 5, F_OK), -1);
}

static void test_registered_methods_are_called(void **state) {
    (void)state;
    mp_proxy *counter;
    mp_manager *manager = start_counters();
    MPT_OK(mp_manager_create(manager, &counter, "Counter", "(i)", 10));
    expect_integer(counter, "next", 13);
    expect_integer(counter, "next", 16);
    MPT_CODE(mp_proxy_call(counter, NULL, "fail", "(s)", "key"), MP_EKEY);
    MPT_CODE(mp_proxy_call(counter, NULL, "fail", "(s)", "file"), -ENOENT);
    MPT_CODE(mp_proxy_call(counter, NULL, "fail", "(s)", "zero"), MP_EREMOTE);
    assert_non_null(strstr(mp_error_detail(), "ZeroDivisionError: division by zero"));
    MPT_CODE(mp_proxy_call(counter, NULL, "fail", "(i)", 5), MP_ETYPE);
    MPT_CODE(mp_proxy_call(counter, NULL, "unknown", ""), MP_EREMOTE);
    MPT_CODE(mp_manager_create(manager, &counter, "Counter", "(s)", "x"), MP_EREMOTE);
    mp_proxy_free(counter);
    mp_manager_free(manager);
}

static void test_results_stay_at_the_server(void **state) {
    (void)state;
    mp_proxy *counter, *list, *twin;
    mp_object *result;
    mp_manager *manager = start_counters();
    MPT_OK(mp_manager_create(manager, &counter, "Counter", "(i)", 10));
    MPT_OK(mp_proxy_call(counter, &result, "history", ""));
    MPT_OK(mp_proxy_from_object(&list, result));
    mp_object_free(result);
    MPT_OK(mp_proxy_list_append(list, mp_integer_new(2)));
    MPT_OK(mp_proxy_call(counter, &result, "twin", ""));
    MPT_OK(mp_proxy_from_object(&twin, result));
    mp_object_free(result);
    expect_integer(twin, "next", 13);
    expect_integer(counter, "next", 13);
    mp_proxy_free(twin);
    mp_proxy_free(list);
    mp_proxy_free(counter);
    mp_manager_free(manager);
}

static void test_a_registered_object_has_value_and_repr(void **state) {
    (void)state;
    mp_proxy *counter;
    mp_object *value;
    char *text;
    mp_manager *manager = start_counters();
    MPT_OK(mp_manager_create(manager, &counter, "Counter", ""));
    MPT_OK(mp_proxy_getvalue(counter, &value));
    assert_int_equal(mp_object_length(value), 1);
    mp_object_free(value);
    MPT_OK(mp_proxy_str(counter, &text));
    assert_string_equal(text, "Counter(0)");
    free(text);
    mp_proxy_free(counter);
    mp_manager_free(manager);
}

static void test_a_single_object_is_the_same_for_all(void **state) {
    (void)state;
    mp_proxy *first, *second;
    mp_object *got;
    mp_manager *manager = make(NULL);
    MPT_OK(mp_manager_register(manager, "get_task_queue",
                               &(mp_manager_type){.like = "Queue", .is_single = true}));
    MPT_OK(mp_manager_start(manager));
    MPT_OK(mp_manager_create(manager, &first, "get_task_queue", ""));
    MPT_OK(mp_manager_create(manager, &second, "get_task_queue", ""));
    MPT_OK(mp_proxy_queue_put(first, mp_integer_new(1), MP_FOREVER));
    mp_proxy_free(first);
    MPT_OK(mp_proxy_queue_get(second, &got, 0));
    mp_object_free(got);
    mp_proxy_free(second);
    mp_manager_free(manager);
}

static int initialize(void *arg, size_t size) {
    return size == sizeof(int) ? *(int *)arg : 0;
}

static void test_the_initializer_runs_first(void **state) {
    (void)state;
    int failure = 7, success = 0;
    mp_manager_options options = {
        .initializer = initialize, .init_arg = &failure, .init_arg_size = sizeof failure};
    mp_manager *manager = make(&options);
    MPT_CODE(mp_manager_start(manager), MP_ETASK);
    mp_manager_free(manager);
    options.init_arg = &success;
    manager = make(&options);
    MPT_OK(mp_manager_start(manager));
    MPT_OK(mp_manager_shutdown(manager));
    mp_manager_free(manager);
}

static int die(void *arg, size_t size) {
    (void)arg, (void)size;
    return kill(getpid(), SIGKILL);
}

static void test_a_server_that_dies_at_its_start_is_told(void **state) {
    (void)state;
    mp_manager *manager = make(&(mp_manager_options){.initializer = die});
    MPT_CODE(mp_manager_start(manager), MP_EWORKER);
    mp_manager_free(manager);
}

static void test_an_address_in_use_is_told(void **state) {
    (void)state;
    mp_manager *first = make(&(mp_manager_options){.address = "tcp://127.0.0.1:0"});
    MPT_OK(mp_manager_start(first));
    mp_manager *second = make(&(mp_manager_options){.address = mp_manager_address(first)});
    MPT_CODE(mp_manager_start(second), -EADDRINUSE);
    mp_manager_free(second);
    mp_manager_free(first);
}

static void test_a_manager_runs_once(void **state) {
    (void)state;
    mp_proxy *list;
    mp_manager *manager = make(NULL);
    MPT_CODE(mp_manager_shutdown(manager), MP_ESTATE);
    MPT_CODE(mp_manager_list(manager, &list, NULL), MP_ESTATE);
    MPT_OK(mp_manager_start(manager));
    MPT_CODE(mp_manager_start(manager), MP_ESTATE);
    MPT_CODE(mp_manager_connect(manager), MP_ESTATE);
    MPT_CODE(mp_manager_serve_forever(manager), MP_ESTATE);
    MPT_CODE(mp_manager_register(manager, "Counter", &counter_type), MP_ESTATE);
    MPT_CODE(mp_manager_register_function(manager, "next", counter_next), MP_ESTATE);
    MPT_OK(mp_manager_shutdown(manager));
    MPT_OK(mp_manager_shutdown(manager));
    MPT_CODE(mp_manager_start(manager), MP_ESTATE);
    MPT_CODE(mp_manager_list(manager, &list, NULL), MP_ESTATE);
    mp_manager_free(manager);
    mp_manager_free(NULL);
}

static void expect_invalid(mp_manager_options options) {
    mp_manager *manager;
    MPT_CODE(mp_manager_new(&manager, NULL, &options), MP_EINVAL);
}

static void test_bad_options_are_refused(void **state) {
    (void)state;
    mp_manager *manager;
    expect_invalid((mp_manager_options){.authkey_size = 3});
    expect_invalid((mp_manager_options){.init_arg_size = 3});
    expect_invalid((mp_manager_options){.shutdown_timeout = -1});
    expect_invalid((mp_manager_options){.proof_timeout = NAN});
    MPT_CODE(mp_manager_new(NULL, NULL, NULL), MP_EINVAL);
    MPT_CODE(mp_manager_new(&manager, mp_get_context(MP_THREAD), NULL), MP_EINVAL);
    MPT_CODE(mp_manager_start(NULL), MP_EINVAL);
    MPT_CODE(mp_manager_shutdown(NULL), MP_EINVAL);
    MPT_CODE(mp_manager_serve_forever(NULL), MP_EINVAL);
    assert_null(mp_manager_address(NULL));
}

static void test_bad_types_are_refused(void **state) {
    (void)state;
    mp_manager *manager = make(NULL);
    mp_manager_method nameless = {NULL, counter_next, NULL};
    MPT_CODE(mp_manager_register(NULL, "x", &counter_type), MP_EINVAL);
    MPT_CODE(mp_manager_register(manager, "", &counter_type), MP_EINVAL);
    MPT_CODE(mp_manager_register(manager, "x", NULL), MP_EINVAL);
    MPT_CODE(mp_manager_register(manager, "x", &(mp_manager_type){0}), MP_EINVAL);
    MPT_CODE(mp_manager_register(manager, "x", &(mp_manager_type){.like = "nothing"}), MP_EINVAL);
    MPT_CODE(mp_manager_register(manager, "x",
                                 &(mp_manager_type){.create = counter_create, .method_count = 1}),
             MP_EINVAL);
    MPT_CODE(
        mp_manager_register(
            manager, "x",
            &(mp_manager_type){.create = counter_create, .methods = &nameless, .method_count = 1}),
        MP_EINVAL);
    MPT_CODE(mp_manager_register_function(manager, NULL, counter_next), MP_EINVAL);
    MPT_CODE(mp_manager_register_function(manager, "f", NULL), MP_EINVAL);
    MPT_CODE(mp_method_raise(NULL, "builtins", "ValueError", "%d", 1), MP_EINVAL);
    mp_manager_free(manager);
}

/* Serving in this process. */

static void *serve(void *manager) {
    MPT_OK(mp_manager_serve_forever(manager));
    return NULL;
}

static void wait_served(mp_manager *other, const char *address) {
    (void)address;
    int code;
    MPT_UNTIL((code = mp_manager_connect(other)) != -ENOENT && code != -ECONNREFUSED);
    MPT_OK(code);
}

static void test_a_process_serves_itself(void **state) {
    (void)state;
    pthread_t thread;
    mp_proxy *counter;
    mp_manager_options options = {
        .address = "abstract:mpt-serving", .authkey = "abc", .authkey_size = 3};
    mp_manager *manager = make(&options), *client = make(&options);
    MPT_OK(mp_manager_register(manager, "Counter", &counter_type));
    assert_int_equal(pthread_create(&thread, NULL, serve, manager), 0);
    wait_served(client, options.address);
    MPT_OK(mp_manager_create(client, &counter, "Counter", ""));
    expect_integer(counter, "next", 3);
    MPT_OK(mp_manager_shutdown(manager));
    pthread_join(thread, NULL);
    MPT_OK(mp_manager_shutdown(manager));
    MPT_CODE(mp_manager_shutdown(client), MP_ESTATE);
    mp_proxy_free(counter);
    mp_manager_free(client);
    mp_manager_free(manager);
}

/* Who starts a manager and is killed. */

struct orphan {
    char address[200];
    _Atomic int is_started;
};

static int start_and_wait(void *arg, size_t size) {
    struct orphan *orphan = *(struct orphan **)arg;
    mp_manager *manager;
    (void)size;
    MPT_OK(mp_manager_new(&manager, NULL, NULL));
    MPT_OK(mp_manager_start(manager));
    snprintf(orphan->address, sizeof orphan->address, "%s", mp_manager_address(manager));
    atomic_store(&orphan->is_started, 1);
    while (pause() < 0)
        continue;
    return 0;
}

static void test_the_server_ends_with_who_started_it(void **state) {
    (void)state;
    struct orphan *orphan = mp_shared_calloc(1, sizeof *orphan);
    mp_process *process;
    mp_process_options options = {
        .target = start_and_wait, .arg = &orphan, .arg_size = sizeof orphan};
    MPT_OK(mp_process_new(&process, mpt_context(), &options));
    MPT_OK(mp_process_start(process));
    MPT_UNTIL(atomic_load(&orphan->is_started));
    MPT_OK(mp_process_kill(process));
    MPT_OK(mp_process_join(process, MP_FOREVER));
    MPT_UNTIL(access(orphan->address + 5, F_OK) < 0);
    MPT_OK(mp_process_close(process));
    mp_shared_free(orphan);
}

static int start_and_exit(void *arg, size_t size) {
    struct orphan *orphan = *(struct orphan **)arg;
    mp_manager *manager;
    (void)size;
    MPT_OK(mp_manager_new(&manager, NULL, NULL));
    MPT_OK(mp_manager_start(manager));
    snprintf(orphan->address, sizeof orphan->address, "%s", mp_manager_address(manager));
    return 0;
}

static void test_the_server_is_shut_down_at_exit(void **state) {
    (void)state;
    struct orphan *orphan = mp_shared_calloc(1, sizeof *orphan);
    mp_process *process;
    int code;
    mp_process_options options = {
        .target = start_and_exit, .arg = &orphan, .arg_size = sizeof orphan};
    MPT_OK(mp_process_new(&process, mpt_context(), &options));
    MPT_OK(mp_process_start(process));
    MPT_OK(mp_process_join(process, MP_FOREVER));
    MPT_OK(mp_process_exitcode(process, &code));
    assert_int_equal(code, 0);
    assert_int_equal(access(orphan->address + 5, F_OK), -1);
    MPT_OK(mp_process_close(process));
    mp_shared_free(orphan);
}

/* A method that takes its time holds up neither other objects nor the end. */

static int wait_long(mp_method_call *call) {
    atomic_store(*(_Atomic int *const *)call->type_arg, 1);
    while (pause() < 0)
        continue;
    return 0;
}

static int make_nothing(mp_method_call *call) {
    (void)call;
    return 0;
}

static void *call_wait(void *proxy) {
    MPT_CODE(mp_proxy_call(proxy, NULL, "wait", ""), MP_EEOF);
    return NULL;
}

static void test_a_method_that_waits_holds_up_nobody(void **state) {
    (void)state;
    pthread_t thread;
    mp_proxy *waiter, *list;
    _Atomic int *has_begun = mp_shared_calloc(1, sizeof *has_begun);
    mp_manager_method method = {"wait", wait_long, NULL};
    mp_manager_type type = {.create = make_nothing,
                            .methods = &method,
                            .method_count = 1,
                            .arg = &has_begun,
                            .arg_size = sizeof has_begun};
    mp_manager *manager = make(NULL);
    MPT_OK(mp_manager_register(manager, "Waiter", &type));
    MPT_OK(mp_manager_start(manager));
    MPT_OK(mp_manager_create(manager, &waiter, "Waiter", ""));
    MPT_OK(mp_manager_list(manager, &list, NULL));
    assert_int_equal(pthread_create(&thread, NULL, call_wait, waiter), 0);
    MPT_UNTIL(atomic_load(has_begun));
    for (int i = 0; i < 20; i++)
        MPT_OK(mp_proxy_list_append(list, mp_integer_new(i)));
    MPT_OK(mp_manager_shutdown(manager));
    pthread_join(thread, NULL);
    mp_proxy_free(list);
    mp_proxy_free(waiter);
    mp_shared_free((void *)has_begun);
    mp_manager_free(manager);
}

/* One who proves himself has sent half of his proof; mpt sees whether blocks are left. */
static void test_a_server_killed_during_a_proof_leaves_nothing(void **state) {
    (void)state;
    mp_connection *stranger;
    mp_process *server;
    void *challenge;
    size_t size;
    mp_manager *manager = make(NULL);
    MPT_OK(mp_manager_start(manager));
    MPT_OK(mp_client_connect(&stranger, mp_manager_address(manager), NULL, 0, 20));
    MPT_OK(mp_connection_recv_bytes(stranger, &challenge, &size, 0, 20));
    free(challenge);
    MPT_CHECK(write(mp_connection_fileno(stranger), "\0\0\0\x20half", 8) == 8);
    MPT_CODE(mp_active_children(&server, 1), 1);
    MPT_OK(mp_process_kill(server));
    MPT_CODE(mp_connection_recv_bytes(stranger, &challenge, &size, 0, 20), MP_EEOF);
    mp_connection_free(stranger);
    mp_manager_free(manager);
}

static void use_foreign(void *manager) {
    mp_proxy *list;
    MPT_CODE(mp_manager_shutdown(manager), MP_EFOREIGN);
    MPT_CODE(mp_manager_list(manager, &list, NULL), MP_EFOREIGN);
    mp_manager_free(manager);
}

static void test_a_forked_child_does_not_end_its_parents_server(void **state) {
    (void)state;
    mp_proxy *list;
    mp_manager *manager = make(NULL);
    MPT_OK(mp_manager_start(manager));
    assert_int_equal(mpt_join(mpt_fork(use_foreign, manager)), 0);
    MPT_OK(mp_manager_list(manager, &list, NULL));
    mp_proxy_free(list);
    mp_manager_free(manager);
}

MPT_PROCESS_MAIN(MPT_EACH_METHOD(test_a_server_serves_until_it_is_freed),
                 MPT_EACH_METHOD(test_registered_methods_are_called),
                 MPT_CASE(test_results_stay_at_the_server),
                 MPT_CASE(test_a_registered_object_has_value_and_repr),
                 MPT_EACH_METHOD(test_a_single_object_is_the_same_for_all),
                 MPT_EACH_METHOD(test_the_initializer_runs_first),
                 MPT_EACH_METHOD(test_a_server_that_dies_at_its_start_is_told),
                 MPT_EACH_METHOD(test_an_address_in_use_is_told),
                 MPT_CASE(test_a_manager_runs_once), MPT_CASE(test_bad_options_are_refused),
                 MPT_CASE(test_bad_types_are_refused), MPT_CASE(test_a_process_serves_itself),
                 MPT_EACH_METHOD(test_the_server_ends_with_who_started_it),
                 MPT_EACH_METHOD(test_the_server_is_shut_down_at_exit),
                 MPT_EACH_METHOD(test_a_method_that_waits_holds_up_nobody),
                 MPT_EACH_METHOD(test_a_server_killed_during_a_proof_leaves_nothing),
                 MPT_CASE(test_a_forked_child_does_not_end_its_parents_server))
