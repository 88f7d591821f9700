/* Every Python as a client of our server: it gets what its own server answers.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "mp/manager.h"
#include "python.h"

static mp_manager *manager;
static const char *group; /* of what the Pythons do */

static void start_server(const char *address) {
    mp_manager_options options = {.address = address, .authkey = "abc", .authkey_size = 3};
    MPT_OK(mp_manager_new(&manager, mpt_context(), &options));
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
COMPARE(test_proxies_in_proxies_over_abstract_sockets_are_pythons, nested, "abstract:mpt-nested")

MPT_PROCESS_MAIN(MPT_CASE(test_lists_are_pythons), MPT_CASE(test_dicts_are_pythons),
                 MPT_CASE(test_dicts_over_tcp_are_pythons),
                 MPT_CASE(test_namespaces_values_and_arrays_are_pythons),
                 MPT_CASE(test_queues_are_pythons), MPT_CASE(test_locks_and_semaphores_are_pythons),
                 MPT_CASE(test_conditions_events_and_barriers_are_pythons),
                 MPT_CASE(test_proxies_in_proxies_are_pythons),
                 MPT_CASE(test_proxies_in_proxies_over_abstract_sockets_are_pythons))
