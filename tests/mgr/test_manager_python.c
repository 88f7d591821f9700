/* Every Python as a client of our server: it gets what its own server answers.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "mp/collection.h"
#include "mp/manager.h"
#include "python.h"

static mp_manager *manager;
static const char *group; /* of what the Pythons do */

/* What the Pythons have their pools call. */

static int call_abs(mp_method_call *call) {
    int64_t number;
    int code = mp_object_parse(call->args, "(l)", &number);
    call->result = code == 0 ? mp_integer_new(number < 0 ? -number : number) : NULL;
    return code;
}

static int call_isqrt(mp_method_call *call) {
    int64_t number, root = 0;
    if (mp_object_length(call->kwds) > 0)
        return mp_method_raise(call, "builtins", "TypeError", "no keywords");
    int code = mp_object_parse(call->args, "(l)", &number);
    if (code == 0 && number < 0)
        return mp_method_raise(call, "builtins", "ValueError",
                               "isqrt() argument must be nonnegative");
    while (code == 0 && (root + 1) * (root + 1) <= number)
        root++;
    call->result = code == 0 ? mp_integer_new(root) : NULL;
    return code;
}

static int call_truediv(mp_method_call *call) {
    double a, b;
    int code = mp_object_parse(call->args, "(dd)", &a, &b);
    if (code == 0 && b == 0)
        return mp_method_raise(call, "builtins", "ZeroDivisionError", "division by zero");
    call->result = code == 0 ? mp_float_new(a / b) : NULL;
    return code;
}

static int call_sleep(mp_method_call *call) {
    double seconds;
    int code = mp_object_parse(call->args, "(d)", &seconds);
    if (code == 0)
        (void)poll(NULL, 0, (int)(seconds * 1e3));
    return code;
}

static void start_server(const char *address) {
    mp_manager_options options = {.address = address, .authkey = "abc", .authkey_size = 3};
    MPT_OK(mp_manager_new(&manager, mpt_context(), &options));
    MPT_OK(mp_manager_register_function(manager, "abs", call_abs));
    MPT_OK(mp_manager_register_function(manager, "math.isqrt", call_isqrt));
    MPT_OK(mp_manager_register_function(manager, "truediv", call_truediv));
    MPT_OK(mp_manager_register_function(manager, "time.sleep", call_sleep));
    MPT_OK(mp_manager_start(manager));
}

static void compare(const char *python) {
    char line[700];
    FILE *peer = mpt_python_start(python, "mgr/peer_manager.py", "%s '%s'", group,
                                  mp_manager_address(manager));
    while (fgets(line, sizeof line, peer))
        fprintf(stderr, "%s: %s", python, line);
    MPT_CHECK(mpt_python_end(peer) == 0);
}

static void compare_all(const char *name, const char *address) {
    group = name;
    start_server(address);
    mpt_each_python(8, compare);
    mp_manager_free(manager);
}

#define COMPARE(name, group, address)   \
    static void name(void **state) {    \
        (void)state;                    \
        compare_all(#group, (address)); \
    }
COMPARE(test_lists_are_pythons, lists, NULL)
COMPARE(test_dicts_are_pythons, dicts, NULL)
COMPARE(test_dicts_over_tcp_are_pythons, dicts, "tcp://127.0.0.1:0")
COMPARE(test_namespaces_values_and_arrays_are_pythons, namespaces, NULL)
COMPARE(test_queues_are_pythons, queues, NULL)
COMPARE(test_locks_and_semaphores_are_pythons, locks, NULL)
COMPARE(test_conditions_events_and_barriers_are_pythons, conditions, NULL)
COMPARE(test_proxies_in_proxies_are_pythons, nested, NULL)
COMPARE(test_pools_are_pythons, pools, NULL)
COMPARE(test_proxies_in_proxies_over_abstract_sockets_are_pythons, nested, "abstract:mpt-nested")

MPT_PROCESS_MAIN(MPT_CASE(test_lists_are_pythons), MPT_CASE(test_dicts_are_pythons),
                 MPT_CASE(test_dicts_over_tcp_are_pythons),
                 MPT_CASE(test_namespaces_values_and_arrays_are_pythons),
                 MPT_CASE(test_queues_are_pythons), MPT_CASE(test_locks_and_semaphores_are_pythons),
                 MPT_CASE(test_conditions_events_and_barriers_are_pythons),
                 MPT_CASE(test_proxies_in_proxies_are_pythons), MPT_CASE(test_pools_are_pythons),
                 MPT_CASE(test_proxies_in_proxies_over_abstract_sockets_are_pythons))
