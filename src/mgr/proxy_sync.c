/* The usual types that wait: queues, locks, conditions, events, barriers; and iterators.
 * SPDX-License-Identifier: MIT */
#include <limits.h>

#include "base/fail.h"
#include "mgr/invoke.h"
#include "mgr/proxy.h"
#include "mp/proxy_types.h"

/* How a timeout is told to a method: not at all, as "do not wait", or in seconds. */
enum wait_kind { WAIT_FOREVER, WAIT_NOT, WAIT_SECONDS };

static int read_timeout(double timeout, const char *function) {
    if (isnan(timeout))
        return mp__fail(MP_EINVAL, "%s: timeout is NaN", function);
    return timeout == MP_FOREVER ? WAIT_FOREVER : timeout <= 0 ? WAIT_NOT : WAIT_SECONDS;
}

int mp_proxy_queue_put(mp_proxy *queue, mp_object *item, double timeout) {
    switch (read_timeout(timeout, __func__)) {
    case WAIT_FOREVER:
        return mp__proxy_do(queue, __func__, "put", "(N)", item);
    case WAIT_NOT:
        return mp__proxy_do(queue, __func__, "put_nowait", "(N)", item);
    case WAIT_SECONDS:
        return mp__proxy_do(queue, __func__, "put", "(N?d)", item, true, timeout);
    default:
        mp_object_free(item);
        return MP_EINVAL;
    }
}

int mp_proxy_queue_get(mp_proxy *queue, mp_object **out, double timeout) {
    switch (read_timeout(timeout, __func__)) {
    case WAIT_FOREVER:
        return mp__proxy_get(queue, out, __func__, "get", "()");
    case WAIT_NOT:
        return mp__proxy_get(queue, out, __func__, "get_nowait", "()");
    case WAIT_SECONDS:
        return mp__proxy_get(queue, out, __func__, "get", "(?d)", true, timeout);
    default:
        return MP_EINVAL;
    }
}

int mp_proxy_queue_size(mp_proxy *queue, size_t *out) {
    return mp__proxy_size(queue, out, __func__, "qsize", "()");
}

int mp_proxy_queue_empty(mp_proxy *queue) {
    return mp__proxy_truth(queue, __func__, "empty", "()");
}

int mp_proxy_queue_full(mp_proxy *queue) {
    return mp__proxy_truth(queue, __func__, "full", "()");
}

int mp_proxy_queue_task_done(mp_proxy *queue) {
    return mp__proxy_do(queue, __func__, "task_done", "()");
}

int mp_proxy_queue_join(mp_proxy *queue) {
    return mp__proxy_do(queue, __func__, "join", "()");
}

int mp_proxy_lock_acquire(mp_proxy *lock, double timeout) {
    int kind = read_timeout(timeout, __func__);
    if (kind < 0)
        return kind;
    int truth = kind == WAIT_SECONDS
                    ? mp__proxy_truth(lock, __func__, "acquire", "(?d)", true, timeout)
                    : mp__proxy_truth(lock, __func__, "acquire", "(?)", kind == WAIT_FOREVER);
    return mp__proxy_in_time(truth, __func__);
}

int mp_proxy_lock_release(mp_proxy *lock) {
    return mp__proxy_do(lock, __func__, "release", "()");
}

/* wait(None) or wait(seconds) */
static int wait_truth(mp_proxy *proxy, double timeout, const char *function) {
    int kind = read_timeout(timeout, function);
    if (kind < 0)
        return kind;
    int truth = kind == WAIT_FOREVER
                    ? mp__proxy_truth(proxy, function, "wait", "(n)")
                    : mp__proxy_truth(proxy, function, "wait", "(d)", timeout < 0 ? 0 : timeout);
    return mp__proxy_in_time(truth, function);
}

int mp_proxy_condition_wait(mp_proxy *condition, double timeout) {
    return wait_truth(condition, timeout, __func__);
}

int mp_proxy_condition_notify(mp_proxy *condition, unsigned count) {
    return mp__proxy_do(condition, __func__, "notify", "(I)", count);
}

int mp_proxy_condition_notify_all(mp_proxy *condition) {
    return mp__proxy_do(condition, __func__, "notify_all", "()");
}

int mp_proxy_event_set(mp_proxy *event) {
    return mp__proxy_do(event, __func__, "set", "()");
}

int mp_proxy_event_clear(mp_proxy *event) {
    return mp__proxy_do(event, __func__, "clear", "()");
}

int mp_proxy_event_is_set(mp_proxy *event) {
    return mp__proxy_truth(event, __func__, "is_set", "()");
}

int mp_proxy_event_wait(mp_proxy *event, double timeout) {
    return wait_truth(event, timeout, __func__);
}

static int small_number(int code, size_t number) {
    return code < 0 ? code : number < INT_MAX ? (int)number : INT_MAX;
}

int mp_proxy_barrier_wait(mp_proxy *barrier, double timeout) {
    size_t index = 0;
    int kind = read_timeout(timeout, __func__);
    if (kind < 0)
        return kind;
    int code = kind == WAIT_FOREVER ? mp__proxy_size(barrier, &index, __func__, "wait", "(n)")
                                    : mp__proxy_size(barrier, &index, __func__, "wait", "(d)",
                                                     timeout < 0 ? 0 : timeout);
    return small_number(code, index);
}

int mp_proxy_barrier_abort(mp_proxy *barrier) {
    return mp__proxy_do(barrier, __func__, "abort", "()");
}

int mp_proxy_barrier_reset(mp_proxy *barrier) {
    return mp__proxy_do(barrier, __func__, "reset", "()");
}

int mp_proxy_barrier_n_waiting(mp_proxy *barrier) {
    size_t number = 0;
    int code = mp__proxy_size(barrier, &number, __func__, "__getattribute__", "(s)", "n_waiting");
    return small_number(code, number);
}

int mp_proxy_barrier_broken(mp_proxy *barrier) {
    return mp__proxy_truth(barrier, __func__, "__getattribute__", "(s)", "broken");
}

int mp_proxy_iterate(mp_proxy **out, mp_proxy *proxy) {
    mp_object *value;
    if (!out)
        return mp__fail(MP_EINVAL, "mp_proxy_iterate: out is NULL");
    int code = mp__proxy_call(proxy, &value, "__iter__", NULL, NULL, __func__);
    if (code < 0)
        return code;
    mp_proxy *iterator = mp__object_take_proxy(value);
    mp_object_free(value);
    if (!iterator)
        return mp__fail(MP_EPROTO, "mp_proxy_iterate: the manager gives no iterator");
    *out = iterator;
    return 0;
}

int mp_proxy_next(mp_proxy *iterator, mp_object **out) {
    return mp__proxy_get(iterator, out, __func__, "__next__", "()");
}
