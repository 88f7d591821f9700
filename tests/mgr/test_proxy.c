/* Proxies of a C manager's objects: in child processes, in threads, in each other, and when
 * somebody is killed.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mp/collection.h"
#include "mp/process.h"
#include "mp/proxy_types.h"
#include "mp/queue.h"

static mp_manager *manager;
static mp_process *server;

static void begin(void) {
    MPT_OK(mp_manager_new(&manager, mpt_context(), NULL));
    MPT_OK(mp_manager_start(manager));
}

static mp_process *start(mp_target_fn target, const void *arg, size_t size) {
    mp_process *process;
    mp_process_options options = {.target = target, .arg = arg, .arg_size = size};
    MPT_OK(mp_process_new(&process, mpt_context(), &options));
    MPT_OK(mp_process_start(process));
    return process;
}

static int join(mp_process *process) {
    int code;
    MPT_OK(mp_process_join(process, 50));
    MPT_OK(mp_process_exitcode(process, &code));
    MPT_OK(mp_process_close(process));
    return code;
}

static int64_t number(mp_object *object) {
    int64_t value;
    MPT_OK(mp_integer_get(object, &value));
    mp_object_free(object);
    return value;
}

static size_t length(mp_proxy *list) {
    size_t count;
    MPT_OK(mp_proxy_list_length(list, &count));
    return count;
}

struct pair {
    mp_proxy *first, *second;
};

static int append_and_copy(void *arg, size_t size) {
    struct pair *pair = arg;
    mp_object *got;
    mp_proxy *copy;
    (void)size;
    MPT_OK(mp_proxy_copy(&copy, pair->second));
    MPT_OK(mp_proxy_dict_set(copy, mp_str_new("k"), mp_integer_new(3)));
    MPT_OK(mp_proxy_dict_get(pair->second, &got, mp_str_new("k")));
    MPT_OK(mp_proxy_list_append(pair->first, got));
    mp_proxy_free(copy);
    return 7;
}

static void test_a_child_uses_its_parents_proxies(void **state) {
    (void)state;
    struct pair pair;
    mp_object *got;
    begin();
    MPT_OK(mp_manager_list(manager, &pair.first, NULL));
    MPT_OK(mp_manager_dict(manager, &pair.second, NULL));
    MPT_CODE(join(start(append_and_copy, &pair, sizeof pair)), 7);
    MPT_OK(mp_proxy_list_get(pair.first, &got, 0));
    MPT_CHECK(number(got) == 3);
    MPT_CODE(mp_manager_number_of_objects(manager), 2);
    mp_proxy_free(pair.first);
    mp_proxy_free(pair.second);
    MPT_UNTIL(mp_manager_number_of_objects(manager) == 0);
    mp_manager_free(manager);
}

static int make_for_parent(void *arg, size_t size) {
    struct {
        mp_queue *queue;
        mp_proxy *list;
    } *given = arg;
    mp_proxy *copy;
    (void)size;
    MPT_OK(mp_proxy_list_append(given->list, mp_none_new()));
    MPT_OK(mp_proxy_copy(&copy, given->list));
    MPT_OK(mp_queue_put(given->queue, &copy, sizeof copy, MP_FOREVER));
    return 0;
}

static void test_a_pointer_comes_through_a_queue(void **state) {
    (void)state;
    struct {
        mp_queue *queue;
        mp_proxy *list;
    } given;
    mp_proxy *copy;
    size_t size;
    begin();
    MPT_OK(mp_queue_new(&given.queue, NULL, 0));
    MPT_OK(mp_manager_list(manager, &given.list, NULL));
    mp_process *child = start(make_for_parent, &given, sizeof given);
    MPT_OK(mp_queue_get(given.queue, &copy, sizeof copy, &size, 50));
    MPT_CODE(join(child), 0);
    MPT_CHECK(length(copy) == 1);
    mp_proxy_free(copy);
    mp_proxy_free(given.list);
    mp_queue_free(given.queue);
    mp_manager_free(manager);
}

static int count_under_lock(void *arg, size_t size) {
    struct pair *pair = arg;
    mp_object *got;
    (void)size;
    for (int i = 0; i < 200; i++) {
        MPT_OK(mp_proxy_lock_acquire(pair->first, MP_FOREVER));
        MPT_OK(mp_proxy_value_get(pair->second, &got));
        MPT_OK(mp_proxy_value_set(pair->second, mp_integer_new(number(got) + 1)));
        MPT_OK(mp_proxy_lock_release(pair->first));
    }
    return 0;
}

static void test_a_lock_keeps_processes_apart(void **state) {
    (void)state;
    struct pair pair;
    mp_object *got;
    begin();
    MPT_OK(mp_manager_lock(manager, &pair.first));
    MPT_OK(mp_manager_value(manager, &pair.second, 'i', mp_integer_new(0)));
    mp_process *one = start(count_under_lock, &pair, sizeof pair);
    mp_process *two = start(count_under_lock, &pair, sizeof pair);
    MPT_CODE(join(one), 0);
    MPT_CODE(join(two), 0);
    MPT_OK(mp_proxy_value_get(pair.second, &got));
    MPT_CHECK(number(got) == 400);
    mp_proxy_free(pair.first);
    mp_proxy_free(pair.second);
    mp_manager_free(manager);
}

static int acquire_and_die(void *arg, size_t size) {
    (void)size;
    MPT_OK(mp_proxy_lock_acquire(*(mp_proxy **)arg, MP_FOREVER));
    kill(getpid(), SIGKILL);
    return 0;
}

static void test_an_rlock_of_a_killed_process_is_free(void **state) {
    (void)state;
    mp_proxy *lock;
    begin();
    MPT_OK(mp_manager_rlock(manager, &lock));
    MPT_CODE(join(start(acquire_and_die, &lock, sizeof lock)), -SIGKILL);
    MPT_OK(mp_proxy_lock_acquire(lock, 20));
    MPT_OK(mp_proxy_lock_release(lock));
    mp_proxy_free(lock);
    mp_manager_free(manager);
}

static int try_lock(void *arg, size_t size) {
    (void)size;
    MPT_CODE(mp_proxy_lock_acquire(*(mp_proxy **)arg, MP_NOWAIT), MP_ETIMEDOUT);
    MPT_CODE(mp_proxy_lock_release(*(mp_proxy **)arg), MP_EOWNER);
    return 0;
}

static void test_a_child_is_not_who_its_parent_is(void **state) {
    (void)state;
    mp_proxy *lock;
    begin();
    MPT_OK(mp_manager_rlock(manager, &lock));
    MPT_OK(mp_proxy_lock_acquire(lock, MP_FOREVER));
    MPT_CODE(join(start(try_lock, &lock, sizeof lock)), 0);
    MPT_OK(mp_proxy_lock_release(lock));
    mp_proxy_free(lock);
    mp_manager_free(manager);
}

static mp_proxy *made_by_thread;

static void *make_in_thread(void *arg) {
    (void)arg;
    MPT_OK(mp_manager_list(manager, &made_by_thread, mp_object_build("[i]", 5)));
    return NULL;
}

static void test_an_object_outlives_the_thread_that_made_it(void **state) {
    (void)state;
    pthread_t thread;
    begin();
    assert_int_equal(pthread_create(&thread, NULL, make_in_thread, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    MPT_CODE(mp_manager_number_of_objects(manager), 1);
    MPT_CHECK(length(made_by_thread) == 1);
    mp_proxy_free(made_by_thread);
    mp_manager_free(manager);
}

static void *try_in_thread(void *arg) {
    try_lock(&arg, sizeof arg);
    return NULL;
}

static void test_threads_are_told_apart(void **state) {
    (void)state;
    pthread_t thread;
    mp_proxy *lock;
    begin();
    MPT_OK(mp_manager_rlock(manager, &lock));
    MPT_OK(mp_proxy_lock_acquire(lock, MP_FOREVER));
    assert_int_equal(pthread_create(&thread, NULL, try_in_thread, lock), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    MPT_OK(mp_proxy_lock_release(lock));
    mp_proxy_free(lock);
    mp_manager_free(manager);
}

static int use_and_die(void *arg, size_t size) {
    (void)size;
    MPT_OK(mp_proxy_list_append(*(mp_proxy **)arg, mp_none_new()));
    kill(getpid(), SIGKILL);
    return 0;
}

static void test_references_of_the_killed_go(void **state) {
    (void)state;
    mp_proxy *list;
    begin();
    MPT_OK(mp_manager_list(manager, &list, NULL));
    MPT_CODE(join(start(use_and_die, &list, sizeof list)), -SIGKILL);
    MPT_CHECK(length(list) == 1);
    mp_proxy_free(list);
    MPT_UNTIL(mp_manager_number_of_objects(manager) == 0);
    mp_manager_free(manager);
}

static atomic_bool is_over;

static void *call_until_over(void *list) {
    mp_object *got;
    while (!atomic_load(&is_over)) {
        MPT_OK(mp_proxy_list_get(list, &got, 0));
        mp_object_free(got);
    }
    return NULL;
}

static void test_processes_start_while_threads_call(void **state) {
    (void)state;
    pthread_t threads[2];
    mp_proxy *list;
    begin();
    MPT_OK(mp_manager_list(manager, &list, mp_object_build("[i]", 5)));
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_until_over, list), 0);
    for (int i = 0; i < 10; i++)
        MPT_CODE(join(start(use_and_die, &list, sizeof list)), -SIGKILL);
    atomic_store(&is_over, true);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    MPT_CHECK(length(list) == 11);
    mp_proxy_free(list);
    mp_manager_free(manager);
}

static void cut_sockets(void) {
    struct sockaddr_storage address;
    for (int fd = 3; fd < 256; fd++) {
        socklen_t size = sizeof address;
        if (getpeername(fd, (struct sockaddr *)&address, &size) == 0 &&
            address.ss_family == AF_INET)
            shutdown(fd, SHUT_RDWR);
    }
}

static int hold_until_told(void *arg, size_t size) {
    struct pair *pair = arg;
    (void)size;
    MPT_CHECK(length(pair->second) == 1);
    MPT_OK(mp_proxy_event_set(pair->first));
    MPT_UNTIL(mp_proxy_event_is_set(pair->first) == 0);
    MPT_CHECK(length(pair->second) == 2);
    return 0;
}

static void test_a_lost_connection_takes_no_reference_of_others(void **state) {
    (void)state;
    struct pair pair;
    mp_manager_options options = {.address = "tcp://127.0.0.1:0"};
    MPT_OK(mp_manager_new(&manager, mpt_context(), &options));
    MPT_OK(mp_manager_start(manager));
    MPT_OK(mp_manager_list(manager, &pair.second, mp_object_build("[i]", 1)));
    MPT_OK(mp_manager_event(manager, &pair.first));
    mp_process *child = start(hold_until_told, &pair, sizeof pair);
    MPT_OK(mp_proxy_event_wait(pair.first, 50));
    cut_sockets();
    MPT_CODE(mp_proxy_list_append(pair.second, mp_none_new()), MP_EEOF);
    mp_proxy *copy;
    MPT_OK(mp_proxy_copy(&copy, pair.second));
    mp_proxy_free(copy);
    MPT_OK(mp_proxy_list_append(pair.second, mp_none_new()));
    MPT_OK(mp_proxy_event_clear(pair.first));
    MPT_CODE(join(child), 0);
    mp_proxy_free(pair.first);
    mp_proxy_free(pair.second);
    MPT_UNTIL(mp_manager_number_of_objects(manager) == 0);
    mp_manager_free(manager);
}

struct fatal {
    char point[32];
    char address[200];
};

static int die_with_a_proxy(void *arg, size_t size) {
    struct fatal *fatal = arg;
    mp_manager *other;
    mp_proxy *list;
    mp_manager_options options = {.address = fatal->address};
    (void)size;
    MPT_OK(mp_manager_new(&other, NULL, &options));
    MPT_OK(mp_manager_connect(other));
    mpt_die_at(fatal->point, 1);
    MPT_OK(mp_manager_list(other, &list, NULL));
    mp_proxy_free(list);
    return 0;
}

static void die_at(const char *point) {
    struct fatal fatal;
    begin();
    snprintf(fatal.point, sizeof fatal.point, "%s", point);
    snprintf(fatal.address, sizeof fatal.address, "%s", mp_manager_address(manager));
    MPT_CODE(join(start(die_with_a_proxy, &fatal, sizeof fatal)), -SIGKILL);
    MPT_UNTIL(mp_manager_number_of_objects(manager) == 0);
    mp_manager_free(manager);
}

static void test_a_death_while_a_proxy_is_made_leaves_nothing(void **state) {
    (void)state;
    die_at("proxy.new.made");
}

static void test_a_death_while_a_proxy_is_freed_leaves_nothing(void **state) {
    (void)state;
    die_at("proxy.free.dropped");
}

static int free_it(void *arg, size_t size) {
    (void)size;
    mp_proxy_free(*(mp_proxy **)arg);
    return 0;
}

/* Our reference goes when we come by; a bucket at a time. */
static bool has_gone(void) {
    mp_proxy *other;
    MPT_OK(mp_manager_list(manager, &other, NULL));
    mp_proxy_free(other);
    return mp_manager_number_of_objects(manager) == 0;
}

static void test_another_process_frees_the_proxy(void **state) {
    (void)state;
    mp_proxy *list;
    begin();
    MPT_OK(mp_manager_list(manager, &list, NULL));
    MPT_CODE(join(start(free_it, &list, sizeof list)), 0);
    MPT_CODE(mp_proxy_list_append(list, mp_none_new()), MP_EINVAL);
    MPT_UNTIL(has_gone());
    mp_manager_free(manager);
}

static void kill_server(void) {
    mp_process *children[2];
    assert_int_equal(mp_active_children(children, 2), 1);
    server = children[0];
    MPT_OK(mp_process_kill(server));
}

static atomic_bool has_got;

static void *get_forever(void *arg) {
    mp_object *got;
    MPT_OK(mp_proxy_queue_get(arg, &got, MP_FOREVER));
    mp_object_free(got);
    atomic_store(&has_got, true);
    MPT_CODE(mp_proxy_queue_get(arg, &got, MP_FOREVER), MP_EEOF);
    return NULL;
}

static void test_who_waits_hears_of_the_servers_death(void **state) {
    (void)state;
    pthread_t thread;
    mp_proxy *queue;
    begin();
    MPT_OK(mp_manager_queue(manager, &queue, 0));
    MPT_OK(mp_proxy_queue_put(queue, mp_none_new(), MP_FOREVER));
    assert_int_equal(pthread_create(&thread, NULL, get_forever, queue), 0);
    MPT_UNTIL(atomic_load(&has_got));
    kill_server();
    assert_int_equal(pthread_join(thread, NULL), 0);
    mp_proxy_free(queue);
    mp_manager_free(manager);
}

static void test_calls_to_a_dead_server_fail(void **state) {
    (void)state;
    mp_proxy *list;
    begin();
    MPT_OK(mp_manager_list(manager, &list, NULL));
    kill_server();
    MPT_OK(mp_process_join(server, 50));
    MPT_CODE(mp_proxy_list_append(list, mp_none_new()), MP_EEOF);
    int code = mp_proxy_list_append(list, mp_none_new());
    MPT_CHECK(code == -ECONNREFUSED || code == -ENOENT); /* others may have swept its file away */
    mp_proxy_free(list);
    mp_manager_free(manager);
}

static void test_proxies_are_put_into_proxies(void **state) {
    (void)state;
    mp_proxy *list, *inner, *again;
    mp_object *got;
    begin();
    MPT_OK(mp_manager_list(manager, &list, NULL));
    MPT_OK(mp_manager_list(manager, &inner, mp_object_build("[i]", 8)));
    MPT_OK(mp_proxy_list_append(list, mp_proxy_object(inner)));
    mp_proxy_free(inner);
    MPT_OK(mp_proxy_list_pop(list, &got, 0));
    MPT_OK(mp_proxy_from_object(&again, got));
    mp_object_free(got);
    MPT_CHECK(length(again) == 1);
    mp_proxy_free(again);
    MPT_UNTIL(mp_manager_number_of_objects(manager) == 1);
    mp_proxy_free(list);
    mp_manager_free(manager);
}

static void *call_often(void *arg) {
    mp_object *got;
    for (int i = 0; i < 5; i++) {
        MPT_OK(mp_proxy_list_append(arg, mp_integer_new(i)));
        MPT_OK(mp_proxy_list_get(arg, &got, 0));
        mp_object_free(got);
    }
    return NULL;
}

static void test_200_clients_call_at_once(void **state) {
    (void)state;
    pthread_t threads[200];
    mp_proxy *list;
    begin();
    MPT_OK(mp_manager_list(manager, &list, NULL));
    for (int i = 0; i < 200; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, list), 0);
    for (int i = 0; i < 200; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    MPT_CHECK(length(list) == 1000);
    mp_proxy_free(list);
    mp_manager_free(manager);
}

static void test_what_is_no_proxy_is_refused(void **state) {
    (void)state;
    mp_proxy *out;
    mp_object *none = mp_none_new(), *object;
    MPT_CODE(mp_proxy_call(NULL, NULL, "x", ""), MP_EINVAL);
    MPT_CODE(mp_proxy_list_append(NULL, mp_list_new()), MP_EINVAL);
    MPT_CODE(mp_proxy_copy(&out, NULL), MP_EINVAL);
    MPT_CODE(mp_proxy_getvalue(NULL, &object), MP_EINVAL);
    MPT_CODE(mp_proxy_repr(NULL, (char *[]){NULL}), MP_EINVAL);
    MPT_CODE(mp_proxy_str(NULL, (char *[]){NULL}), MP_EINVAL);
    MPT_CODE(mp_proxy_from_object(&out, none), MP_ETYPE);
    MPT_CHECK(!mp_object_get_proxy(none) && !mp_proxy_object(NULL) && !mp_proxy_token(NULL));
    MPT_CHECK(!mp_proxy_id(NULL) && !mp_proxy_type_id(NULL) && !mp_proxy_address(NULL));
    mp_proxy_free(NULL);
    mp_object_free(none);
}

/* The items nest deeper than the value that fitted into a request. */
static void test_a_reply_that_cannot_be_read_costs_no_lock(void **state) {
    (void)state;
    mp_proxy *dict, *lock;
    mp_object *got, *deep = mp_list_new();
    begin();
    MPT_OK(mp_manager_dict(manager, &dict, NULL));
    MPT_OK(mp_manager_rlock(manager, &lock));
    MPT_OK(mp_proxy_lock_acquire(lock, MP_FOREVER));
    for (int i = 0; i < 995; i++)
        deep = mp_object_build("[N]", deep);
    MPT_OK(mp_proxy_dict_set(dict, mp_none_new(), deep));
    MPT_CODE(mp_proxy_dict_items(dict, &got), MP_EPROTO);
    MPT_OK(mp_proxy_lock_release(lock));
    mp_proxy_free(lock);
    mp_proxy_free(dict);
    mp_manager_free(manager);
}

static void test_bad_arguments_are_refused(void **state) {
    (void)state;
    mp_proxy *list;
    mp_object *none = mp_none_new();
    begin();
    MPT_OK(mp_manager_list(manager, &list, NULL));
    MPT_CODE(mp_proxy_call(list, NULL, NULL, ""), MP_EINVAL);
    MPT_CODE(mp_proxy_call(list, NULL, "append", "!"), MP_EINVAL);
    MPT_CODE(mp_proxy_call_objects(list, NULL, "append", none, NULL), MP_ETYPE);
    MPT_CODE(mp_proxy_list_append(list, NULL), MP_EINVAL);
    MPT_CODE(mp_proxy_list_get(list, NULL, 0), MP_EINVAL);
    MPT_CODE(mp_proxy_list_length(list, NULL), MP_EINVAL);
    MPT_CODE(mp_proxy_iterate(NULL, list), MP_EINVAL);
    MPT_CODE(mp_proxy_copy(NULL, list), MP_EINVAL);
    MPT_CODE(mp_manager_create(manager, NULL, "list", ""), MP_EINVAL);
    MPT_CODE(mp_manager_create(manager, &list, NULL, ""), MP_EINVAL);
    MPT_CODE(mp_manager_create_objects(manager, &list, "list", none, NULL), MP_ETYPE);
    MPT_CODE(mp_manager_connect(manager), MP_ESTATE);
    MPT_CODE(mp_manager_connect(NULL), MP_EINVAL);
    mp_object_free(none);
    mp_proxy_free(list);
    mp_manager_free(manager);
}

MPT_PROCESS_MAIN(MPT_EACH_METHOD(test_a_child_uses_its_parents_proxies),
                 MPT_EACH_METHOD(test_a_pointer_comes_through_a_queue),
                 MPT_EACH_METHOD(test_a_lock_keeps_processes_apart),
                 MPT_EACH_METHOD(test_an_rlock_of_a_killed_process_is_free),
                 MPT_EACH_METHOD(test_a_child_is_not_who_its_parent_is),
                 MPT_CASE(test_an_object_outlives_the_thread_that_made_it),
                 MPT_CASE(test_threads_are_told_apart),
                 MPT_EACH_METHOD(test_references_of_the_killed_go),
                 MPT_EACH_METHOD(test_a_lost_connection_takes_no_reference_of_others),
                 MPT_EACH_METHOD(test_a_death_while_a_proxy_is_made_leaves_nothing),
                 MPT_EACH_METHOD(test_a_death_while_a_proxy_is_freed_leaves_nothing),
                 MPT_EACH_METHOD(test_processes_start_while_threads_call),
                 MPT_EACH_METHOD(test_another_process_frees_the_proxy),
                 MPT_EACH_METHOD(test_who_waits_hears_of_the_servers_death),
                 MPT_EACH_METHOD(test_calls_to_a_dead_server_fail),
                 MPT_EACH_METHOD(test_proxies_are_put_into_proxies),
                 MPT_CASE(test_200_clients_call_at_once),
                 MPT_CASE(test_a_reply_that_cannot_be_read_costs_no_lock),
                 MPT_CASE(test_what_is_no_proxy_is_refused),
                 MPT_EACH_METHOD(test_bad_arguments_are_refused))
