/* The usual types: making them, and what they hold.
 * SPDX-License-Identifier: MIT */
#include "mp/proxy_types.h"

#include "mgr/invoke.h"

#define CREATE(name, type_id, ...) \
    mp__proxy_create(manager, out, "mp_manager_" name, type_id, __VA_ARGS__)

static int create_of_items(mp_manager *manager, mp_proxy **out, const char *function,
                           const char *type_id, mp_object *items) {
    return mp__proxy_create(manager, out, function, type_id, items ? "(N)" : "()", items);
}

int mp_manager_list(mp_manager *manager, mp_proxy **out, mp_object *items) {
    return create_of_items(manager, out, "mp_manager_list", "list", items);
}

int mp_manager_dict(mp_manager *manager, mp_proxy **out, mp_object *items) {
    return create_of_items(manager, out, "mp_manager_dict", "dict", items);
}

int mp_manager_set(mp_manager *manager, mp_proxy **out, mp_object *items) {
    return create_of_items(manager, out, "mp_manager_set", "set", items);
}

int mp_manager_namespace(mp_manager *manager, mp_proxy **out) {
    return CREATE("namespace", "Namespace", "()");
}

int mp_manager_value(mp_manager *manager, mp_proxy **out, char typecode, mp_object *value) {
    const char code[] = {typecode, '\0'};
    return CREATE("value", "Value", "(sN)", code, value);
}

int mp_manager_array(mp_manager *manager, mp_proxy **out, char typecode, mp_object *items) {
    const char code[] = {typecode, '\0'};
    return CREATE("array", "Array", "(sN)", code, items);
}

int mp_manager_queue(mp_manager *manager, mp_proxy **out, size_t maxsize) {
    return CREATE("queue", "Queue", "(K)", (unsigned long long)maxsize);
}

int mp_manager_joinable_queue(mp_manager *manager, mp_proxy **out, size_t maxsize) {
    return CREATE("joinable_queue", "JoinableQueue", "(K)", (unsigned long long)maxsize);
}

int mp_manager_lock(mp_manager *manager, mp_proxy **out) {
    return CREATE("lock", "Lock", "()");
}

int mp_manager_rlock(mp_manager *manager, mp_proxy **out) {
    return CREATE("rlock", "RLock", "()");
}

int mp_manager_semaphore(mp_manager *manager, mp_proxy **out, unsigned value) {
    return CREATE("semaphore", "Semaphore", "(I)", value);
}

int mp_manager_bounded_semaphore(mp_manager *manager, mp_proxy **out, unsigned value) {
    return CREATE("bounded_semaphore", "BoundedSemaphore", "(I)", value);
}

int mp_manager_condition(mp_manager *manager, mp_proxy **out, mp_proxy *lock) {
    return CREATE("condition", "Condition", lock ? "(N)" : "()",
                  lock ? mp_proxy_object(lock) : NULL);
}

int mp_manager_event(mp_manager *manager, mp_proxy **out) {
    return CREATE("event", "Event", "()");
}

int mp_manager_barrier(mp_manager *manager, mp_proxy **out, unsigned parties) {
    return CREATE("barrier", "Barrier", "(I)", parties);
}

int mp_manager_pool(mp_manager *manager, mp_proxy **out, unsigned processes) {
    return CREATE("pool", "Pool", processes ? "(I)" : "()", processes);
}

int mp_proxy_list_append(mp_proxy *list, mp_object *item) {
    return mp__proxy_do(list, __func__, "append", "(N)", item);
}

int mp_proxy_list_extend(mp_proxy *list, mp_object *items) {
    return mp__proxy_do(list, __func__, "extend", "(N)", items);
}

int mp_proxy_list_insert(mp_proxy *list, ptrdiff_t index, mp_object *item) {
    return mp__proxy_do(list, __func__, "insert", "(LN)", (long long)index, item);
}

int mp_proxy_list_get(mp_proxy *list, mp_object **out, ptrdiff_t index) {
    return mp__proxy_get(list, out, __func__, "__getitem__", "(L)", (long long)index);
}

int mp_proxy_list_set(mp_proxy *list, ptrdiff_t index, mp_object *item) {
    return mp__proxy_do(list, __func__, "__setitem__", "(LN)", (long long)index, item);
}

int mp_proxy_list_pop(mp_proxy *list, mp_object **out, ptrdiff_t index) {
    return mp__proxy_get(list, out, __func__, "pop", "(L)", (long long)index);
}

int mp_proxy_list_delete(mp_proxy *list, ptrdiff_t index) {
    return mp__proxy_do(list, __func__, "__delitem__", "(L)", (long long)index);
}

int mp_proxy_list_remove(mp_proxy *list, mp_object *item) {
    return mp__proxy_do(list, __func__, "remove", "(N)", item);
}

int mp_proxy_list_reverse(mp_proxy *list) {
    return mp__proxy_do(list, __func__, "reverse", "()");
}

int mp_proxy_list_sort(mp_proxy *list) {
    return mp__proxy_do(list, __func__, "sort", "()");
}

int mp_proxy_list_find(mp_proxy *list, size_t *out, mp_object *item) {
    return mp__proxy_size(list, out, __func__, "index", "(N)", item);
}

int mp_proxy_list_count(mp_proxy *list, size_t *out, mp_object *item) {
    return mp__proxy_size(list, out, __func__, "count", "(N)", item);
}

int mp_proxy_list_contains(mp_proxy *list, mp_object *item) {
    return mp__proxy_truth(list, __func__, "__contains__", "(N)", item);
}

int mp_proxy_list_length(mp_proxy *list, size_t *out) {
    return mp__proxy_size(list, out, __func__, "__len__", "()");
}

int mp_proxy_dict_set(mp_proxy *dict, mp_object *key, mp_object *value) {
    return mp__proxy_do(dict, __func__, "__setitem__", "(NN)", key, value);
}

int mp_proxy_dict_get(mp_proxy *dict, mp_object **out, mp_object *key) {
    return mp__proxy_get(dict, out, __func__, "__getitem__", "(N)", key);
}

int mp_proxy_dict_pop(mp_proxy *dict, mp_object **out, mp_object *key) {
    return mp__proxy_get(dict, out, __func__, "pop", "(N)", key);
}

int mp_proxy_dict_delete(mp_proxy *dict, mp_object *key) {
    return mp__proxy_do(dict, __func__, "__delitem__", "(N)", key);
}

int mp_proxy_dict_update(mp_proxy *dict, mp_object *items) {
    return mp__proxy_do(dict, __func__, "update", "(N)", items);
}

int mp_proxy_dict_clear(mp_proxy *dict) {
    return mp__proxy_do(dict, __func__, "clear", "()");
}

int mp_proxy_dict_contains(mp_proxy *dict, mp_object *key) {
    return mp__proxy_truth(dict, __func__, "__contains__", "(N)", key);
}

int mp_proxy_dict_keys(mp_proxy *dict, mp_object **out) {
    return mp__proxy_view(dict, out, __func__, "keys");
}

int mp_proxy_dict_values(mp_proxy *dict, mp_object **out) {
    return mp__proxy_view(dict, out, __func__, "values");
}

int mp_proxy_dict_items(mp_proxy *dict, mp_object **out) {
    return mp__proxy_view(dict, out, __func__, "items");
}

int mp_proxy_dict_length(mp_proxy *dict, size_t *out) {
    return mp__proxy_size(dict, out, __func__, "__len__", "()");
}

int mp_proxy_set_add(mp_proxy *set, mp_object *item) {
    return mp__proxy_do(set, __func__, "add", "(N)", item);
}

int mp_proxy_set_remove(mp_proxy *set, mp_object *item) {
    return mp__proxy_do(set, __func__, "remove", "(N)", item);
}

int mp_proxy_set_contains(mp_proxy *set, mp_object *item) {
    return mp__proxy_truth(set, __func__, "__contains__", "(N)", item);
}

int mp_proxy_set_length(mp_proxy *set, size_t *out) {
    return mp__proxy_size(set, out, __func__, "__len__", "()");
}

int mp_proxy_namespace_set(mp_proxy *space, const char *name, mp_object *value) {
    return mp__proxy_do(space, __func__, "__setattr__", "(NN)", mp_str_new(name), value);
}

int mp_proxy_namespace_get(mp_proxy *space, mp_object **out, const char *name) {
    return mp__proxy_get(space, out, __func__, "__getattribute__", "(N)", mp_str_new(name));
}

int mp_proxy_namespace_delete(mp_proxy *space, const char *name) {
    return mp__proxy_do(space, __func__, "__delattr__", "(N)", mp_str_new(name));
}

int mp_proxy_value_set(mp_proxy *holder, mp_object *value) {
    return mp__proxy_do(holder, __func__, "set", "(N)", value);
}

int mp_proxy_value_get(mp_proxy *holder, mp_object **out) {
    return mp__proxy_get(holder, out, __func__, "get", "()");
}

int mp_proxy_array_set(mp_proxy *array, ptrdiff_t index, mp_object *item) {
    return mp__proxy_do(array, __func__, "__setitem__", "(LN)", (long long)index, item);
}

int mp_proxy_array_get(mp_proxy *array, mp_object **out, ptrdiff_t index) {
    return mp__proxy_get(array, out, __func__, "__getitem__", "(L)", (long long)index);
}

int mp_proxy_array_length(mp_proxy *array, size_t *out) {
    return mp__proxy_size(array, out, __func__, "__len__", "()");
}
