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

#include "mp/collection.h"
#include "mp/pickle.h"
#include "mp/proxy_types.h"
#include "python.h"

static struct {
    FILE *output;
    char address[128];
    int pid;
} peer;
static mp_manager *manager;

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

/* What came is printed by Python like this; ends it. */
static void expect(mp_object *object, const char *text) {
    char *got;
    MPT_OK(mp_object_repr(object, &got, NULL));
    if (strcmp(got, text) != 0)
        fprintf(stderr, "%s came, not %s\n", got, text);
    MPT_CHECK(strcmp(got, text) == 0);
    free(got);
    mp_object_free(object);
}

static void expect_detail(const char *part) {
    if (!strstr(mp_error_detail(), part))
        fprintf(stderr, "'%s' is not in: %s\n", part, mp_error_detail());
    MPT_CHECK(strstr(mp_error_detail(), part));
}

static void check_list(const char *python) {
    mp_proxy *list;
    mp_object *got;
    begin(python);
    MPT_OK(mp_manager_list(manager, &list, mp_object_build("[ii]", 1, 2)));
    MPT_OK(mp_proxy_list_append(list, mp_str_new("x")));
    MPT_OK(mp_proxy_list_extend(list, mp_object_build("[(ii)]", 3, 4)));
    MPT_OK(mp_proxy_list_insert(list, 0, mp_none_new()));
    MPT_OK(mp_proxy_list_set(list, -1, mp_bytes_new("b", 1)));
    MPT_OK(mp_proxy_getvalue(list, &got));
    expect(got, "[None, 1, 2, 'x', b'b']");
    MPT_OK(mp_proxy_list_get(list, &got, 3));
    expect(got, "'x'");
    MPT_OK(mp_proxy_list_pop(list, &got, -1));
    expect(got, "b'b'");
    MPT_OK(mp_proxy_list_delete(list, 0));
    MPT_OK(mp_proxy_list_remove(list, mp_str_new("x")));
    MPT_OK(mp_proxy_list_reverse(list));
    MPT_OK(mp_proxy_getvalue(list, &got));
    expect(got, "[2, 1]");
    mp_proxy_free(list);
    end();
}

static void check_list_questions(const char *python) {
    mp_proxy *list;
    size_t number;
    begin(python);
    MPT_OK(mp_manager_list(manager, &list, mp_object_build("[ii]", 2, 1)));
    MPT_CODE(mp_proxy_list_contains(list, mp_integer_new(2)), 1);
    MPT_CODE(mp_proxy_list_contains(list, mp_integer_new(9)), 0);
    MPT_OK(mp_proxy_list_find(list, &number, mp_integer_new(1)));
    MPT_CHECK(number == 1);
    MPT_OK(mp_proxy_list_sort(list));
    MPT_OK(mp_proxy_list_find(list, &number, mp_integer_new(1)));
    MPT_CHECK(number == 0);
    MPT_OK(mp_proxy_list_count(list, &number, mp_integer_new(1)));
    MPT_CHECK(number == 1);
    MPT_OK(mp_proxy_list_length(list, &number));
    MPT_CHECK(number == 2);
    mp_proxy_free(list);
    end();
}

static void check_list_failures(const char *python) {
    mp_proxy *list;
    mp_object *got;
    size_t number;
    begin(python);
    MPT_OK(mp_manager_list(manager, &list, NULL));
    MPT_CODE(mp_proxy_list_get(list, &got, 99), MP_EINDEX);
    expect_detail("list index out of range");
    MPT_CODE(mp_proxy_list_pop(list, &got, 0), MP_EINDEX);
    MPT_CODE(mp_proxy_list_set(list, 0, mp_none_new()), MP_EINDEX);
    MPT_CODE(mp_proxy_list_delete(list, 0), MP_EINDEX);
    MPT_CODE(mp_proxy_list_remove(list, mp_none_new()), MP_EINVAL);
    MPT_CODE(mp_proxy_list_find(list, &number, mp_none_new()), MP_EINVAL);
    MPT_CODE(mp_proxy_call(list, NULL, "extend", "i", 7), MP_ETYPE);
    MPT_CODE(mp_proxy_call(list, NULL, "__class__", ""), MP_EREMOTE);
    expect_detail("__class__");
    mp_proxy_free(list);
    end();
}

static void check_general(const char *python) {
    mp_proxy *list;
    mp_object *got;
    begin(python);
    MPT_OK(mp_manager_create(manager, &list, "list", "[iii]", 3, 1, 2));
    mp_object *slice = mp_call_new(MP_CALL_REDUCE, mp_global_new("builtins", "slice"),
                                   mp_object_build("(iin)", 0, 2), NULL);
    MPT_OK(mp_proxy_call(list, &got, "__getitem__", "N", slice));
    expect(got, "[3, 1]");
    mp_object *kwargs = mp_object_build("{s:?}", "reverse", 1);
    MPT_OK(mp_proxy_call_objects(list, NULL, "sort", NULL, kwargs));
    mp_object_free(kwargs);
    MPT_OK(mp_proxy_call(list, &got, "__mul__", "i", 2));
    expect(got, "[3, 2, 1, 3, 2, 1]");
    mp_proxy_free(list);
    end();
}

static void check_names(const char *python) {
    mp_proxy *list;
    mp_object *token;
    char *text;
    begin(python);
    MPT_OK(mp_manager_create(manager, &list, "list", "[iii]", 3, 2, 1));
    MPT_OK(mp_proxy_str(list, &text));
    MPT_CHECK(strcmp(text, "[3, 2, 1]") == 0);
    free(text);
    MPT_OK(mp_proxy_repr(list, &text));
    MPT_CHECK(strncmp(text, "<ListProxy object, typeid 'list' at 0x", 38) == 0);
    free(text);
    MPT_CHECK(strcmp(mp_proxy_type_id(list), "list") == 0);
    MPT_CHECK(strcmp(mp_proxy_address(list), peer.address) == 0);
    MPT_CHECK(strlen(mp_proxy_id(list)) > 4);
    token = mp_proxy_token(list);
    MPT_CHECK(mp_object_length(mp_call_get_state(token)) == 3);
    mp_object_free(token);
    mp_proxy_free(list);
    end();
}

static void check_dict(const char *python) {
    mp_proxy *dict;
    mp_object *got;
    begin(python);
    MPT_OK(mp_manager_dict(manager, &dict, mp_object_build("{s:i}", "a", 1)));
    MPT_OK(mp_proxy_dict_set(dict, mp_integer_new(5), mp_float_new(2.5)));
    MPT_OK(mp_proxy_dict_update(dict, mp_object_build("{s:n}", "z")));
    MPT_OK(mp_proxy_dict_get(dict, &got, mp_str_new("a")));
    expect(got, "1");
    MPT_OK(mp_proxy_dict_keys(dict, &got));
    expect(got, "['a', 5, 'z']");
    MPT_OK(mp_proxy_dict_values(dict, &got));
    expect(got, "[1, 2.5, None]");
    MPT_OK(mp_proxy_dict_items(dict, &got));
    expect(got, "[('a', 1), (5, 2.5), ('z', None)]");
    MPT_OK(mp_proxy_dict_pop(dict, &got, mp_str_new("z")));
    expect(got, "None");
    MPT_OK(mp_proxy_dict_delete(dict, mp_integer_new(5)));
    MPT_OK(mp_proxy_getvalue(dict, &got));
    expect(got, "{'a': 1}");
    MPT_OK(mp_proxy_dict_clear(dict));
    mp_proxy_free(dict);
    end();
}

static void check_dict_failures(const char *python) {
    mp_proxy *dict, *keys;
    mp_object *got;
    size_t number;
    begin(python);
    MPT_OK(mp_manager_dict(manager, &dict, mp_object_build("{s:i}", "a", 1)));
    MPT_CODE(mp_proxy_dict_get(dict, &got, mp_str_new("nope")), MP_EKEY);
    expect_detail("KeyError: 'nope'");
    MPT_CODE(mp_proxy_dict_delete(dict, mp_integer_new(5)), MP_EKEY);
    MPT_CODE(mp_proxy_dict_set(dict, mp_list_new(), mp_none_new()), MP_ETYPE);
    MPT_CODE(mp_proxy_dict_contains(dict, mp_str_new("a")), 1);
    MPT_CODE(mp_proxy_dict_contains(dict, mp_integer_new(6)), 0);
    MPT_OK(mp_proxy_dict_length(dict, &number));
    MPT_CHECK(number == 1);
    MPT_OK(mp_proxy_iterate(&keys, dict));
    MPT_OK(mp_proxy_next(keys, &got));
    expect(got, "'a'");
    MPT_CODE(mp_proxy_next(keys, &got), MP_EEND);
    mp_proxy_free(keys);
    mp_proxy_free(dict);
    end();
}

static void check_queue(const char *python) {
    mp_proxy *queue;
    mp_object *got;
    size_t number;
    begin(python);
    MPT_OK(mp_manager_queue(manager, &queue, 1));
    MPT_OK(mp_proxy_queue_put(queue, mp_object_build("(isdn?)", 1, "two", 3.0, 1), MP_FOREVER));
    MPT_CODE(mp_proxy_queue_put(queue, mp_none_new(), MP_NOWAIT), MP_EFULL);
    MPT_CODE(mp_proxy_queue_put(queue, mp_none_new(), 0.01), MP_EFULL);
    MPT_OK(mp_proxy_queue_size(queue, &number));
    MPT_CHECK(number == 1);
    MPT_CODE(mp_proxy_queue_empty(queue), 0);
    MPT_CODE(mp_proxy_queue_full(queue), 1);
    MPT_OK(mp_proxy_queue_get(queue, &got, MP_FOREVER));
    expect(got, "(1, 'two', 3.0, None, True)");
    MPT_CODE(mp_proxy_queue_get(queue, &got, MP_NOWAIT), MP_EEMPTY);
    MPT_CODE(mp_proxy_queue_get(queue, &got, 0.01), MP_EEMPTY);
    MPT_CODE(mp_proxy_queue_get(queue, &got, NAN), MP_EINVAL);
    MPT_CODE(mp_proxy_queue_put(queue, mp_list_new(), NAN), MP_EINVAL);
    mp_proxy_free(queue);
    end();
}

static void check_joinable_queue(const char *python) {
    mp_proxy *queue;
    mp_object *got;
    begin(python);
    MPT_OK(mp_manager_joinable_queue(manager, &queue, 0));
    MPT_OK(mp_proxy_queue_put(queue, mp_none_new(), 5));
    MPT_OK(mp_proxy_queue_get(queue, &got, 5));
    expect(got, "None");
    MPT_OK(mp_proxy_queue_task_done(queue));
    MPT_CODE(mp_proxy_queue_task_done(queue), MP_EINVAL);
    MPT_OK(mp_proxy_queue_join(queue));
    mp_proxy_free(queue);
    end();
}

static void check_holders(const char *python) {
    mp_proxy *space, *holder;
    mp_object *got;
    begin(python);
    MPT_OK(mp_manager_namespace(manager, &space));
    MPT_OK(mp_proxy_namespace_set(space, "x", mp_object_build("[i]", 1)));
    MPT_OK(mp_proxy_namespace_get(space, &got, "x"));
    expect(got, "[1]");
    MPT_OK(mp_proxy_namespace_delete(space, "x"));
    MPT_CODE(mp_proxy_namespace_get(space, &got, "x"), MP_EKEY);
    MPT_OK(mp_manager_value(manager, &holder, 'i', mp_integer_new(7)));
    MPT_OK(mp_proxy_value_set(holder, mp_integer_new(8)));
    MPT_OK(mp_proxy_value_get(holder, &got));
    expect(got, "8");
    mp_proxy_free(space);
    mp_proxy_free(holder);
    end();
}

static void check_array(const char *python) {
    mp_proxy *array;
    mp_object *got;
    size_t number;
    begin(python);
    MPT_OK(mp_manager_array(manager, &array, 'i', mp_object_build("[iii]", 1, 2, 3)));
    MPT_OK(mp_proxy_array_set(array, 1, mp_integer_new(20)));
    MPT_OK(mp_proxy_array_get(array, &got, -2));
    expect(got, "20");
    MPT_CODE(mp_proxy_array_get(array, &got, 3), MP_EINDEX);
    MPT_CODE(mp_proxy_array_set(array, 0, mp_str_new("x")), MP_ETYPE);
    MPT_OK(mp_proxy_array_length(array, &number));
    MPT_CHECK(number == 3);
    mp_proxy_free(array);
    end();
}

static void check_locks(const char *python) {
    mp_proxy *lock, *own;
    begin(python);
    MPT_OK(mp_manager_lock(manager, &lock));
    MPT_OK(mp_proxy_lock_acquire(lock, MP_FOREVER));
    MPT_CODE(mp_proxy_lock_acquire(lock, MP_NOWAIT), MP_ETIMEDOUT);
    MPT_CODE(mp_proxy_lock_acquire(lock, 0.01), MP_ETIMEDOUT);
    MPT_OK(mp_proxy_lock_release(lock));
    MPT_CODE(mp_proxy_lock_release(lock), MP_EINVAL);
    MPT_OK(mp_manager_rlock(manager, &own));
    MPT_OK(mp_proxy_lock_acquire(own, MP_FOREVER));
    MPT_OK(mp_proxy_lock_acquire(own, MP_NOWAIT));
    MPT_OK(mp_proxy_lock_release(own));
    MPT_OK(mp_proxy_lock_release(own));
    MPT_CODE(mp_proxy_lock_release(own), MP_EOWNER);
    mp_proxy_free(lock);
    mp_proxy_free(own);
    end();
}

static void check_semaphores(const char *python) {
    mp_proxy *count, *bounded;
    begin(python);
    MPT_OK(mp_manager_semaphore(manager, &count, 2));
    MPT_OK(mp_proxy_lock_acquire(count, MP_NOWAIT));
    MPT_OK(mp_proxy_lock_acquire(count, 1));
    MPT_CODE(mp_proxy_lock_acquire(count, MP_NOWAIT), MP_ETIMEDOUT);
    MPT_OK(mp_manager_bounded_semaphore(manager, &bounded, 1));
    MPT_CODE(mp_proxy_lock_release(bounded), MP_EINVAL);
    mp_proxy_free(count);
    mp_proxy_free(bounded);
    end();
}

static void check_condition(const char *python) {
    mp_proxy *lock, *condition;
    begin(python);
    MPT_OK(mp_manager_lock(manager, &lock));
    MPT_OK(mp_manager_condition(manager, &condition, lock));
    MPT_CODE(mp_proxy_condition_notify(condition, 1), MP_EOWNER);
    MPT_OK(mp_proxy_lock_acquire(condition, MP_FOREVER));
    MPT_CODE(mp_proxy_lock_acquire(lock, MP_NOWAIT), MP_ETIMEDOUT);
    MPT_OK(mp_proxy_condition_notify(condition, 2));
    MPT_OK(mp_proxy_condition_notify_all(condition));
    MPT_CODE(mp_proxy_condition_wait(condition, 0.01), MP_ETIMEDOUT);
    MPT_OK(mp_proxy_lock_release(condition));
    mp_proxy_free(condition);
    mp_proxy_free(lock);
    end();
}

static void check_event_and_barrier(const char *python) {
    mp_proxy *event, *barrier;
    begin(python);
    MPT_OK(mp_manager_event(manager, &event));
    MPT_CODE(mp_proxy_event_is_set(event), 0);
    MPT_CODE(mp_proxy_event_wait(event, 0.01), MP_ETIMEDOUT);
    MPT_OK(mp_proxy_event_set(event));
    MPT_OK(mp_proxy_event_wait(event, MP_FOREVER));
    MPT_OK(mp_proxy_event_clear(event));
    MPT_OK(mp_manager_barrier(manager, &barrier, 1));
    MPT_CODE(mp_proxy_barrier_wait(barrier, MP_FOREVER), 0);
    MPT_CODE(mp_proxy_barrier_n_waiting(barrier), 0);
    MPT_OK(mp_proxy_barrier_abort(barrier));
    MPT_CODE(mp_proxy_barrier_broken(barrier), 1);
    MPT_CODE(mp_proxy_barrier_wait(barrier, 1), MP_EBROKEN);
    MPT_OK(mp_proxy_barrier_reset(barrier));
    mp_proxy_free(event);
    mp_proxy_free(barrier);
    end();
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

static void check_nested(const char *python) {
    mp_proxy *list, *dict, *inner;
    mp_object *got, *all;
    begin(python);
    MPT_OK(mp_manager_list(manager, &list, NULL));
    MPT_OK(mp_manager_dict(manager, &dict, mp_object_build("{s:i}", "k", 1)));
    MPT_OK(mp_proxy_list_append(list, mp_proxy_object(dict)));
    MPT_OK(mp_proxy_list_append(list, mp_object_build("[N]", mp_proxy_object(dict))));
    mp_proxy_free(dict);
    MPT_OK(mp_proxy_list_get(list, &got, 0));
    MPT_OK(mp_proxy_from_object(&inner, got));
    mp_object_free(got);
    MPT_OK(mp_proxy_getvalue(list, &all));
    dict = mp_object_get_proxy(mp_list_get(mp_list_get(all, 1), 0));
    MPT_CHECK(dict && strcmp(mp_proxy_id(dict), mp_proxy_id(inner)) == 0);
    MPT_OK(mp_proxy_dict_set(dict, mp_str_new("k"), mp_integer_new(2)));
    mp_object_free(all);
    MPT_OK(mp_proxy_dict_get(inner, &got, mp_str_new("k")));
    expect(got, "2");
    mp_proxy_free(inner);
    mp_proxy_free(list);
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

static void check_counts(const char *python) {
    mp_proxy *list, *copy;
    mp_object *name;
    begin(python);
    MPT_CODE(mp_manager_number_of_objects(manager), 0);
    MPT_OK(mp_manager_list(manager, &list, NULL));
    MPT_OK(mp_proxy_copy(&copy, list));
    name = mp_proxy_object(copy);
    mp_proxy_free(list);
    MPT_CODE(mp_manager_number_of_objects(manager), 1);
    MPT_OK(mp_proxy_list_append(copy, mp_none_new()));
    mp_proxy_free(copy);
    MPT_CODE(mp_manager_number_of_objects(manager), 0);
    MPT_CHECK(mp_proxy_from_object(&copy, name) < 0);
    mp_object_free(name);
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

static void check_large(const char *python) {
    mp_proxy *list;
    mp_object *got;
    const void *data;
    size_t size = 3000000;
    char *bytes = calloc(1, size);
    begin(python);
    MPT_OK(mp_manager_list(manager, &list, NULL));
    MPT_OK(mp_proxy_list_append(list, mp_bytes_new(bytes, size)));
    MPT_OK(mp_proxy_list_get(list, &got, 0));
    MPT_OK(mp_bytes_get(got, &data, &size));
    MPT_CHECK(size == 3000000 && memcmp(data, bytes, size) == 0);
    mp_object_free(got);
    free(bytes);
    mp_proxy_free(list);
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
WITH_EACH_PYTHON(test_pools_work, check_pool)
WITH_EACH_PYTHON(test_proxies_go_into_proxies, check_nested)
WITH_EACH_PYTHON(test_registered_types_are_found, check_registered)
WITH_EACH_PYTHON(test_exceptions_become_codes, check_exceptions)
WITH_EACH_PYTHON(test_arguments_arrive, check_arguments)
WITH_EACH_PYTHON(test_objects_go_with_the_last_proxy, check_counts)
WITH_EACH_PYTHON(test_proxies_go_over_tcp, check_tcp)
WITH_EACH_PYTHON(test_large_values_travel, check_large)
WITH_EACH_PYTHON(test_wrong_keys_and_dead_servers_are_told, check_refusals)

MPT_MAIN(MPT_CASE(test_lists_are_changed), MPT_CASE(test_lists_answer),
         MPT_CASE(test_lists_refuse_as_python_does), MPT_CASE(test_any_method_can_be_called),
         MPT_CASE(test_a_proxy_says_what_it_is), MPT_CASE(test_dicts_are_changed),
         MPT_CASE(test_dicts_answer_and_refuse), MPT_CASE(test_queues_pass_objects),
         MPT_CASE(test_joinable_queues_count), MPT_CASE(test_namespaces_and_values_hold_objects),
         MPT_CASE(test_arrays_hold_numbers), MPT_CASE(test_locks_belong_to_the_thread),
         MPT_CASE(test_semaphores_count), MPT_CASE(test_conditions_need_their_lock),
         MPT_CASE(test_events_and_barriers_wait), MPT_CASE(test_pools_work),
         MPT_CASE(test_proxies_go_into_proxies), MPT_CASE(test_registered_types_are_found),
         MPT_CASE(test_exceptions_become_codes), MPT_CASE(test_arguments_arrive),
         MPT_CASE(test_objects_go_with_the_last_proxy), MPT_CASE(test_proxies_go_over_tcp),
         MPT_CASE(test_large_values_travel), MPT_CASE(test_wrong_keys_and_dead_servers_are_told))
