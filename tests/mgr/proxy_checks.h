/* What proxies do, whoever's manager it is: for test_proxy_python.c and test_proxy_types.c, which
 * say how a server begins and ends.
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mp/collection.h"
#include "mp/pickle.h"
#include "mp/proxy_types.h"

static mp_manager *manager;            /* connected, between begin and end */
static void begin(const char *server); /* a Python, or any text */
static void end(void);

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

static void check_list(const char *server) {
    mp_proxy *list;
    mp_object *got;
    begin(server);
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

static void check_list_questions(const char *server) {
    mp_proxy *list;
    size_t number;
    begin(server);
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

static void check_list_failures(const char *server) {
    mp_proxy *list;
    mp_object *got;
    size_t number;
    begin(server);
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

static void check_general(const char *server) {
    mp_proxy *list;
    mp_object *got;
    begin(server);
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

static void check_names(const char *server) {
    mp_proxy *list;
    mp_object *token;
    char *text;
    begin(server);
    MPT_OK(mp_manager_create(manager, &list, "list", "[iii]", 3, 2, 1));
    MPT_OK(mp_proxy_str(list, &text));
    MPT_CHECK(strcmp(text, "[3, 2, 1]") == 0);
    free(text);
    MPT_OK(mp_proxy_repr(list, &text));
    MPT_CHECK(strncmp(text, "<ListProxy object, typeid 'list' at 0x", 38) == 0);
    free(text);
    MPT_CHECK(strcmp(mp_proxy_type_id(list), "list") == 0);
    MPT_CHECK(strcmp(mp_proxy_address(list), mp_manager_address(manager)) == 0);
    MPT_CHECK(strlen(mp_proxy_id(list)) > 4);
    token = mp_proxy_token(list);
    MPT_CHECK(mp_object_length(mp_call_get_state(token)) == 3);
    mp_object_free(token);
    mp_proxy_free(list);
    end();
}

static void check_str(const char *server) {
    mp_proxy *list, *dict;
    char *text;
    begin(server);
    MPT_OK(mp_manager_dict(manager, &dict, NULL));
    MPT_OK(mp_manager_list(manager, &list, NULL));
    MPT_OK(mp_proxy_list_append(list, mp_proxy_object(dict)));
    MPT_OK(mp_proxy_str(list, &text));
    MPT_CHECK(strncmp(text, "[<DictProxy object, typeid 'dict' at 0x", 39) == 0);
    MPT_CHECK(strcmp(text + strlen(text) - 2, ">]") == 0);
    free(text);
    mp_proxy_free(dict);
    mp_proxy_free(list);
    end();
}

static void check_dict(const char *server) {
    mp_proxy *dict;
    mp_object *got;
    begin(server);
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

static void check_dict_failures(const char *server) {
    mp_proxy *dict, *keys;
    mp_object *got;
    size_t number;
    begin(server);
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

static void check_queue(const char *server) {
    mp_proxy *queue;
    mp_object *got;
    size_t number;
    begin(server);
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

static void check_joinable_queue(const char *server) {
    mp_proxy *queue;
    mp_object *got;
    begin(server);
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

static void check_holders(const char *server) {
    mp_proxy *space, *holder;
    mp_object *got;
    begin(server);
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

static void check_array(const char *server) {
    mp_proxy *array;
    mp_object *got;
    size_t number;
    begin(server);
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

static void check_locks(const char *server) {
    mp_proxy *lock, *own;
    begin(server);
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

static void check_semaphores(const char *server) {
    mp_proxy *count, *bounded;
    begin(server);
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

static void check_condition(const char *server) {
    mp_proxy *lock, *condition;
    begin(server);
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

static void check_event_and_barrier(const char *server) {
    mp_proxy *event, *barrier;
    begin(server);
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

static void check_nested(const char *server) {
    mp_proxy *list, *dict, *inner;
    mp_object *got, *all;
    begin(server);
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

static void check_counts(const char *server) {
    mp_proxy *list, *copy;
    mp_object *name;
    begin(server);
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

static void check_large(const char *server) {
    mp_proxy *list;
    mp_object *got;
    const void *data;
    size_t size = 3000000;
    char *bytes = calloc(1, size);
    begin(server);
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
