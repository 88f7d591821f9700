/* mp/proxy_types.h: the usual types of managers, and the calls that people make most.
 * SPDX-License-Identifier: MIT
 *
 *     mp_proxy *ages;
 *     mp_manager_dict(manager, &ages, NULL);
 *     mp_proxy_dict_set(ages, mp_str_new("Ada"), mp_integer_new(36));
 *     mp_object *age;
 *     if (mp_proxy_dict_get(ages, &age, mp_str_new("Ada")) == 0)    // else MP_EKEY
 *         mp_object_free(age);
 *     mp_proxy_free(ages);
 *
 * Every function here is one mp_manager_create or one mp_proxy_call of mp/proxy.h, and has its
 * returns; those that are added stand below. Objects that are given are taken over, also on
 * failure, so that `mp_proxy_list_append(list, mp_integer_new(3))` needs one check; to keep one,
 * give mp_object_ref of it. NULL fails as what made it. Objects that come out are the caller's. To
 * put a proxy into another give mp_proxy_object of it. Timeouts are the method's, counted at the
 * manager; NaN is MP_EINVAL.
 *
 *     who may call what at once          as in mp/proxy.h
 *     a process dies                     as in mp/proxy.h
 */
#ifndef MP_PROXY_TYPES_H
#define MP_PROXY_TYPES_H

#include "mp/proxy.h"

MP_BEGIN_DECLS

/* Make an object of a manager's usual types.
 *   items     list, set, array: a list or a tuple; dict: a dict; NULL: empty (not for array)
 *   typecode  as in mp/shared.h; a Python manager wants 'i' and the like for an array
 *   value     what it holds at first
 *   maxsize   0: no limit                       parties   how many meet
 *   lock      a proxy of a Lock or an RLock; NULL: an RLock of its own. Stays the caller's
 *   processes 0: as many as the manager's machine has
 *   python    manager.list(items) ... manager.Pool(processes); set: since 3.14 */
int mp_manager_list(mp_manager *manager, mp_proxy **out, mp_object *items);
int mp_manager_dict(mp_manager *manager, mp_proxy **out, mp_object *items);
int mp_manager_set(mp_manager *manager, mp_proxy **out, mp_object *items);
int mp_manager_namespace(mp_manager *manager, mp_proxy **out);
int mp_manager_value(mp_manager *manager, mp_proxy **out, char typecode, mp_object *value);
int mp_manager_array(mp_manager *manager, mp_proxy **out, char typecode, mp_object *items);
int mp_manager_queue(mp_manager *manager, mp_proxy **out, size_t maxsize);
int mp_manager_joinable_queue(mp_manager *manager, mp_proxy **out, size_t maxsize);
int mp_manager_lock(mp_manager *manager, mp_proxy **out);
int mp_manager_rlock(mp_manager *manager, mp_proxy **out);
int mp_manager_semaphore(mp_manager *manager, mp_proxy **out, unsigned value);
int mp_manager_bounded_semaphore(mp_manager *manager, mp_proxy **out, unsigned value);
int mp_manager_condition(mp_manager *manager, mp_proxy **out, mp_proxy *lock);
int mp_manager_event(mp_manager *manager, mp_proxy **out);
int mp_manager_barrier(mp_manager *manager, mp_proxy **out, unsigned parties);
int mp_manager_pool(mp_manager *manager, mp_proxy **out, unsigned processes);

/* Lists; indexes may be negative. get, set, pop, delete: MP_EINDEX. find, remove: MP_EINVAL: not in
 * it. contains: 1 or 0. length and count write a number.
 *   python   list.append(item) ... item in list, len(list), list.index(item) */
int mp_proxy_list_append(mp_proxy *list, mp_object *item);
int mp_proxy_list_extend(mp_proxy *list, mp_object *items);
int mp_proxy_list_insert(mp_proxy *list, ptrdiff_t index, mp_object *item);
int mp_proxy_list_get(mp_proxy *list, mp_object **out, ptrdiff_t index);
int mp_proxy_list_set(mp_proxy *list, ptrdiff_t index, mp_object *item);
int mp_proxy_list_pop(mp_proxy *list, mp_object **out, ptrdiff_t index);
int mp_proxy_list_delete(mp_proxy *list, ptrdiff_t index);
int mp_proxy_list_remove(mp_proxy *list, mp_object *item);
int mp_proxy_list_reverse(mp_proxy *list);
int mp_proxy_list_sort(mp_proxy *list);
int mp_proxy_list_find(mp_proxy *list, size_t *out, mp_object *item);
int mp_proxy_list_count(mp_proxy *list, size_t *out, mp_object *item);
int mp_proxy_list_contains(mp_proxy *list, mp_object *item);
int mp_proxy_list_length(mp_proxy *list, size_t *out);

/* Dicts. get, pop, delete: MP_EKEY. contains: 1 or 0. keys, values and items write a list.
 * update takes a dict.
 *   python   dict[key] = value ... key in dict, len(dict), dict.items() */
int mp_proxy_dict_set(mp_proxy *dict, mp_object *key, mp_object *value);
int mp_proxy_dict_get(mp_proxy *dict, mp_object **out, mp_object *key);
int mp_proxy_dict_pop(mp_proxy *dict, mp_object **out, mp_object *key);
int mp_proxy_dict_delete(mp_proxy *dict, mp_object *key);
int mp_proxy_dict_update(mp_proxy *dict, mp_object *items);
int mp_proxy_dict_clear(mp_proxy *dict);
int mp_proxy_dict_contains(mp_proxy *dict, mp_object *key);
int mp_proxy_dict_keys(mp_proxy *dict, mp_object **out);
int mp_proxy_dict_values(mp_proxy *dict, mp_object **out);
int mp_proxy_dict_items(mp_proxy *dict, mp_object **out);
int mp_proxy_dict_length(mp_proxy *dict, size_t *out);

/* Go through a dict's keys, or whatever the manager has an iterator for: make one, ended with
 * mp_proxy_free, and take what is next until MP_EEND.
 *   python   iter(proxy), next(iterator) */
int mp_proxy_iterate(mp_proxy **out, mp_proxy *proxy);
int mp_proxy_next(mp_proxy *iterator, mp_object **out);

/* Sets. remove: MP_EKEY. contains: 1 or 0. */
int mp_proxy_set_add(mp_proxy *set, mp_object *item);
int mp_proxy_set_remove(mp_proxy *set, mp_object *item);
int mp_proxy_set_contains(mp_proxy *set, mp_object *item);
int mp_proxy_set_length(mp_proxy *set, size_t *out);

/* Namespaces. get, delete: MP_EKEY: it has no such attribute. */
int mp_proxy_namespace_set(mp_proxy *space, const char *name, mp_object *value);
int mp_proxy_namespace_get(mp_proxy *space, mp_object **out, const char *name);
int mp_proxy_namespace_delete(mp_proxy *space, const char *name);

/* Values and arrays. Array get, set: MP_EINDEX; set: MP_ETYPE: not of the array's type. */
int mp_proxy_value_set(mp_proxy *holder, mp_object *value);
int mp_proxy_value_get(mp_proxy *holder, mp_object **out);
int mp_proxy_array_set(mp_proxy *array, ptrdiff_t index, mp_object *item);
int mp_proxy_array_get(mp_proxy *array, mp_object **out, ptrdiff_t index);
int mp_proxy_array_length(mp_proxy *array, size_t *out);

/* Queues. put: MP_EFULL; get: MP_EEMPTY; task_done: MP_EINVAL: more often than something was put.
 * empty, full: 1 or 0. join waits until everything that was put is done.
 *   python   queue.put(item, timeout=...), queue.get(timeout=...) ... */
int mp_proxy_queue_put(mp_proxy *queue, mp_object *item, double timeout);
int mp_proxy_queue_get(mp_proxy *queue, mp_object **out, double timeout);
int mp_proxy_queue_size(mp_proxy *queue, size_t *out);
int mp_proxy_queue_empty(mp_proxy *queue);
int mp_proxy_queue_full(mp_proxy *queue);
int mp_proxy_queue_task_done(mp_proxy *queue);
int mp_proxy_queue_join(mp_proxy *queue);

/* Locks, RLocks and semaphores; the lock of a condition. acquire: MP_ETIMEDOUT. release: MP_EINVAL:
 * not held; MP_EOWNER: an RLock or condition of another thread. */
int mp_proxy_lock_acquire(mp_proxy *lock, double timeout);
int mp_proxy_lock_release(mp_proxy *lock);

/* Conditions. wait: MP_ETIMEDOUT; all: MP_EOWNER: this thread does not have the lock. */
int mp_proxy_condition_wait(mp_proxy *condition, double timeout);
int mp_proxy_condition_notify(mp_proxy *condition, unsigned count);
int mp_proxy_condition_notify_all(mp_proxy *condition);

/* Events. is_set: 1 or 0; wait: MP_ETIMEDOUT. */
int mp_proxy_event_set(mp_proxy *event);
int mp_proxy_event_clear(mp_proxy *event);
int mp_proxy_event_is_set(mp_proxy *event);
int mp_proxy_event_wait(mp_proxy *event, double timeout);

/* Barriers. wait: which of 0..parties-1 this thread is; MP_EBROKEN, also when time ran out. broken:
 * 1 or 0.
 *   python   barrier.wait(timeout), .abort(), .reset(), .n_waiting, .broken */
int mp_proxy_barrier_wait(mp_proxy *barrier, double timeout);
int mp_proxy_barrier_abort(mp_proxy *barrier);
int mp_proxy_barrier_reset(mp_proxy *barrier);
int mp_proxy_barrier_n_waiting(mp_proxy *barrier);
int mp_proxy_barrier_broken(mp_proxy *barrier);

MP_END_DECLS
#endif
