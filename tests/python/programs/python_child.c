/* What Pythons start as their process: functions that stand for those of peer_spawn.py.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mp/collection.h"
#include "mp/context.h"
#include "mp/object.h"
#include "mp/pickle.h"
#include "mp/process.h"
#include "mp/proxy.h"
#include "mp/proxy_types.h"
#include "mp/python.h"

#define CHECK(condition)                                                        \
    do {                                                                        \
        if (!(condition)) {                                                     \
            fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition, \
                    mp_error_detail());                                         \
            exit(99);                                                           \
        }                                                                       \
    } while (0)

static mp_object *arg(const mp_object *args, ptrdiff_t index) {
    mp_object *found = mp_tuple_get(args, index);
    CHECK(found);
    return found;
}

/* Sends repr(args) and repr(kwargs), name, parent and standard input over the connection that comes
 * first. */
static int describe(const mp_object *args, const mp_object *kwargs, void *user) {
    mp_connection *connection;
    char *repr, *keywords, directory[4096], key[100];
    size_t key_size;
    mp_object *rest = mp_list_new();
    CHECK(strcmp(user, "the user's") == 0);
    for (size_t i = 1; i < mp_object_length(args); i++)
        CHECK(mp_list_append(rest, mp_object_ref(arg(args, (ptrdiff_t)i))) == 0);
    CHECK(mp_python_connection_open(&connection, arg(args, 0)) == 0);
    CHECK(mp_object_repr(rest, &repr, NULL) == 0 && mp_object_repr(kwargs, &keywords, NULL) == 0);
    CHECK(getcwd(directory, sizeof directory));
    CHECK(mp_process_authkey(mp_current_process(), key, sizeof key, &key_size) == 0);
    mp_process *parent = mp_parent_process();
    mp_object *answer = mp_object_build(
        "(sssisiisy#)", repr, keywords, mp_process_name(mp_current_process()),
        (int)mp_process_daemon(mp_current_process()), mp_process_name(parent),
        (int)mp_process_pid(parent), (int)mp_process_is_alive(parent), directory, key, key_size);
    CHECK(mp_connection_send(connection, answer, 20) == 0);
    CHECK(getchar() == EOF);
    mp_object_free(answer);
    mp_object_free(rest);
    mp_connection_free(connection);
    free(repr);
    free(keywords);
    return 300;
}

/* Doubles what comes from one queue into the other, until None. */
static int double_all(const mp_object *args, const mp_object *kwargs, void *user) {
    mp_python_queue *from, *to;
    (void)kwargs, (void)user;
    CHECK(mp_python_queue_open(&from, arg(args, 0)) == 0);
    CHECK(mp_python_queue_open(&to, arg(args, 1)) == 0);
    for (;;) {
        mp_object *object, *answer;
        int64_t number;
        CHECK(mp_python_queue_get(from, &object, MP_FOREVER) == 0);
        if (mp_object_get_kind(object) == MP_OBJECT_NONE)
            break;
        if (mp_integer_get(object, &number) == 0)
            answer = mp_integer_new(2 * number);
        else
            answer = mp_object_build("(OO)", object, object);
        CHECK(mp_python_queue_put(to, answer, MP_FOREVER) == 0);
        mp_object_free(answer);
        mp_object_free(object);
        int code = mp_python_queue_task_done(from);
        CHECK(code == 0 || code == MP_ETYPE);
    }
    mp_python_queue_free(from);
    mp_python_queue_free(to);
    return 0;
}

/* Adds 1 to a Value a thousand times under its lock, and to each item of an Array. */
static int count(const mp_object *args, const mp_object *kwargs, void *user) {
    mp_python_value *value, *array, *raw;
    (void)kwargs, (void)user;
    CHECK(mp_python_value_open(&value, arg(args, 0)) == 0);
    CHECK(mp_python_value_open(&array, arg(args, 1)) == 0);
    CHECK(mp_python_value_open(&raw, arg(args, 2)) == 0);
    CHECK(mp_python_value_typecode(value) == 'i' && mp_python_value_length(value) == 1);
    CHECK(mp_python_value_typecode(array) == 'd' && mp_python_value_length(array) == 5);
    CHECK(mp_python_value_size(array) == 40 && mp_python_value_typecode(raw) == 0);
    mp_python_lock *lock = mp_python_value_get_lock(value);
    CHECK(lock && mp_python_value_get_lock(array) && !mp_python_value_get_lock(raw));
    for (int i = 0; i < 1000; i++) {
        CHECK(mp_python_lock_acquire(lock, MP_FOREVER) == 0);
        CHECK(mp_python_lock_acquire(lock, MP_FOREVER) == 0); /* an RLock */
        *(int *)mp_python_value_data(value) += 1;
        CHECK(mp_python_lock_release(lock) == 0);
        CHECK(mp_python_lock_release(lock) == 0);
    }
    CHECK(mp_python_lock_release(lock) == MP_EOWNER);
    for (int i = 0; i < 5; i++)
        ((double *)mp_python_value_data(array))[i] += 1;
    struct {
        int x;
        double y;
    } *point = mp_python_value_data(raw);
    CHECK(mp_python_value_size(raw) == sizeof *point);
    point->y = point->x + 0.5;
    mp_python_value_free(value);
    mp_python_value_free(array);
    mp_python_value_free(raw);
    return 0;
}

/* Plays Lock, Semaphore, BoundedSemaphore and Events with a Python at the other end. */
static int synchronize(const mp_object *args, const mp_object *kwargs, void *user) {
    mp_python_lock *lock, *semaphore, *bounded;
    mp_python_event *ready, *go;
    (void)kwargs, (void)user;
    CHECK(mp_python_lock_open(&lock, arg(args, 0)) == 0);
    CHECK(mp_python_lock_open(&semaphore, arg(args, 1)) == 0);
    CHECK(mp_python_lock_open(&bounded, arg(args, 2)) == 0);
    CHECK(mp_python_event_open(&ready, arg(args, 3)) == 0);
    CHECK(mp_python_event_open(&go, arg(args, 4)) == 0);
    CHECK(mp_python_lock_value(lock) == 0 && mp_python_lock_value(semaphore) == 2);
    CHECK(mp_python_lock_acquire(lock, MP_NOWAIT) == MP_ETIMEDOUT);
    CHECK(mp_python_lock_acquire(lock, 0.01) == MP_ETIMEDOUT);
    CHECK(mp_python_lock_release(bounded) == MP_EINVAL);
    CHECK(mp_python_lock_release(semaphore) == 0 && mp_python_lock_value(semaphore) == 3);
    CHECK(mp_python_event_is_set(go) == 0 && mp_python_event_wait(go, 0.01) == MP_ETIMEDOUT);
    CHECK(mp_python_event_set(ready) == 0 && mp_python_event_is_set(ready) == 1);
    CHECK(mp_python_event_wait(go, 20) == 0);
    CHECK(mp_python_lock_acquire(lock, 20) == 0);
    CHECK(mp_python_event_clear(ready) == 0);
    mp_python_lock_free(lock);
    mp_python_lock_free(semaphore);
    mp_python_lock_free(bounded);
    mp_python_event_free(ready);
    mp_python_event_free(go);
    return 0;
}

static void take_turn(mp_python_condition *condition, const int *turn, int number) {
    while (*(const volatile int *)turn != number)
        CHECK(mp_python_condition_wait(condition, 20) == 0);
}

/* Takes every second turn of 200; with a number it counts itself and waits for that turn. */
static int converse(const mp_object *args, const mp_object *kwargs, void *user) {
    mp_python_condition *condition;
    mp_python_value *value;
    (void)kwargs, (void)user;
    CHECK(mp_python_condition_open(&condition, arg(args, 0)) == 0);
    CHECK(mp_python_value_open(&value, arg(args, 1)) == 0);
    int64_t last = 0;
    volatile int *turn = mp_python_value_data(value);
    CHECK(mp_python_condition_wait(condition, 1) == MP_EOWNER);
    CHECK(mp_python_condition_notify_all(condition) == MP_EOWNER);
    CHECK(mp_python_condition_release(condition) == MP_EOWNER);
    CHECK(mp_python_condition_acquire(condition, 20) == 0);
    CHECK(mp_python_condition_acquire(condition, 20) == 0);
    if (mp_integer_get(mp_tuple_get(args, 2), &last) == 0) {
        ++*turn;
        CHECK(mp_python_condition_notify_all(condition) == 0);
        take_turn(condition, (const int *)turn, (int)last);
    }
    for (int i = 1; last == 0 && i < 200; i += 2) {
        CHECK(mp_python_condition_wait(condition, 0.0001) == MP_ETIMEDOUT || *turn == i);
        take_turn(condition, (const int *)turn, i);
        *turn = i + 1;
        CHECK(mp_python_condition_notify(condition, 1) == 0);
    }
    CHECK(mp_python_condition_release(condition) == 0);
    CHECK(mp_python_condition_release(condition) == 0);
    mp_python_condition_free(condition);
    mp_python_value_free(value);
    return 0;
}

/* Meets the others 50 times, and adds up its places. */
static int meet(const mp_object *args, const mp_object *kwargs, void *user) {
    mp_python_barrier *barrier;
    mp_python_value *sums;
    int64_t number;
    (void)kwargs, (void)user;
    CHECK(mp_python_barrier_open(&barrier, arg(args, 0)) == 0);
    CHECK(mp_python_value_open(&sums, arg(args, 1)) == 0);
    CHECK(mp_integer_get(arg(args, 2), &number) == 0);
    CHECK(mp_python_barrier_parties(barrier) == 3 && !mp_python_barrier_broken(barrier));
    for (int i = 0; i < 50; i++) {
        int place = mp_python_barrier_wait(barrier, 20);
        CHECK(place >= 0 && place < 3);
        ((int *)mp_python_value_data(sums))[number] += place;
    }
    mp_python_barrier_free(barrier);
    mp_python_value_free(sums);
    return 0;
}

/* Python breaks the barrier, this resets and breaks it again. */
static int break_up(const mp_object *args, const mp_object *kwargs, void *user) {
    mp_python_barrier *barrier;
    mp_python_event *event;
    (void)kwargs, (void)user;
    CHECK(mp_python_barrier_open(&barrier, arg(args, 0)) == 0);
    CHECK(mp_python_event_open(&event, arg(args, 1)) == 0);
    CHECK(mp_python_barrier_wait(barrier, MP_FOREVER) >= 0);
    CHECK(mp_python_barrier_wait(barrier, MP_FOREVER) == MP_EBROKEN);
    CHECK(mp_python_barrier_broken(barrier) && mp_python_barrier_n_waiting(barrier) == 0);
    CHECK(mp_python_barrier_wait(barrier, 20) == MP_EBROKEN);
    CHECK(mp_python_barrier_reset(barrier) == 0 && !mp_python_barrier_broken(barrier));
    CHECK(mp_python_event_set(event) == 0);
    CHECK(mp_python_barrier_abort(barrier) == 0 && mp_python_barrier_reset(barrier) == 0);
    CHECK(mp_python_barrier_wait(barrier, 0.01) == MP_EBROKEN);
    CHECK(mp_python_barrier_wait(NULL, 1) == MP_EINVAL);
    mp_python_barrier_free(barrier);
    mp_python_event_free(event);
    return 0;
}

/* Proxies of a manager whose key came with them. */
static int use_proxies(const mp_object *args, const mp_object *kwargs, void *user) {
    mp_proxy *numbers, *pool;
    mp_object *three;
    (void)kwargs, (void)user;
    CHECK(mp_proxy_from_object(&numbers, arg(args, 0)) == 0);
    CHECK(mp_proxy_from_object(&pool, arg(args, 1)) == 0);
    CHECK(mp_proxy_call(pool, &three, "apply", "(N(i))", mp_global_new("builtins", "abs"), -3) ==
          0);
    CHECK(mp_proxy_list_append(numbers, three) == 0);
    mp_proxy_free(numbers);
    mp_proxy_free(pool);
    return 0;
}

/* What is no thing of Python's, and what was opened before, is refused. */
static int refuse(const mp_object *args, const mp_object *kwargs, void *user) {
    mp_python_queue *queue, *again;
    mp_python_lock *lock;
    mp_python_event *event;
    mp_python_condition *condition;
    mp_python_barrier *barrier;
    mp_python_value *value;
    mp_connection *connection;
    mp_object *number = arg(args, 1);
    (void)kwargs, (void)user;
    CHECK(mp_python_queue_open(&queue, number) == MP_ETYPE);
    CHECK(mp_python_lock_open(&lock, number) == MP_ETYPE);
    CHECK(mp_python_event_open(&event, number) == MP_ETYPE);
    CHECK(mp_python_condition_open(&condition, number) == MP_ETYPE);
    CHECK(mp_python_barrier_open(&barrier, number) == MP_ETYPE);
    CHECK(mp_python_value_open(&value, number) == MP_ETYPE);
    CHECK(mp_python_connection_open(&connection, number) == MP_ETYPE);
    CHECK(mp_python_queue_open(NULL, number) == MP_EINVAL);
    CHECK(mp_python_queue_open(&queue, NULL) == MP_EINVAL);
    CHECK(mp_python_lock_open(&lock, arg(args, 2)) == MP_ETYPE);       /* a barrier */
    CHECK(mp_python_barrier_open(&barrier, arg(args, 2)) == MP_ETYPE); /* with an action */
    CHECK(mp_python_queue_open(&queue, arg(args, 0)) == 0);
    CHECK(mp_python_queue_open(&again, arg(args, 0)) == MP_ESTATE);
    mp_object *object, *none = mp_none_new();
    CHECK(mp_python_queue_empty(queue) == 1);
    CHECK(mp_python_queue_get(queue, &object, 0.01) == MP_EEMPTY);
    CHECK(mp_python_queue_put(queue, none, MP_NOWAIT) == 0);
    CHECK(mp_python_queue_qsize(queue) == 1 && mp_python_queue_full(queue) == 1);
    CHECK(mp_python_queue_put(queue, none, 0.01) == MP_EFULL);
    CHECK(mp_python_queue_task_done(queue) == MP_ETYPE);
    CHECK(mp_python_queue_join(queue, 1) == MP_ETYPE);
    mp_python_queue_free(queue);
    return 0;
}

/* Puts tasks on a JoinableQueue and waits for Python to do them. */
static int give_tasks(const mp_object *args, const mp_object *kwargs, void *user) {
    mp_python_queue *queue;
    (void)kwargs, (void)user;
    CHECK(mp_python_queue_open(&queue, arg(args, 0)) == 0);
    for (int i = 0; i < 10; i++) {
        mp_object *task = mp_integer_new(i);
        CHECK(mp_python_queue_put(queue, task, 20) == 0);
        mp_object_free(task);
    }
    CHECK(mp_python_queue_join(queue, 0.01) == MP_ETIMEDOUT);
    mp_object *go = mp_none_new();
    CHECK(mp_python_queue_put(queue, go, 20) == 0);
    CHECK(mp_python_queue_join(queue, 20) == 0);
    CHECK(mp_python_queue_task_done(queue) == MP_EINVAL);
    mp_python_queue_free(queue);
    return 7;
}

static int report_child(void *argument, size_t size) {
    (void)argument, (void)size;
    return strcmp(mp_process_name(mp_current_process()), "Process-3:1") == 0 ? 5 : 6;
}

/* Has a child of its own, that is spawned from this program, too. */
static int have_child(const mp_object *args, const mp_object *kwargs, void *user) {
    mp_process *process;
    mp_process_options options = {.target = report_child};
    int code;
    (void)args, (void)kwargs, (void)user;
    CHECK(mp_process_new(&process, NULL, &options) == 0 && mp_process_start(process) == 0);
    CHECK(mp_process_join(process, 20) == 0 && mp_process_exitcode(process, &code) == 0);
    CHECK(mp_process_close(process) == 0);
    return code;
}

/* Waits until its parent, which kills itself, is gone; then writes a file. */
static int outlive(const mp_object *args, const mp_object *kwargs, void *user) {
    const char *path;
    mp_process *parent = mp_parent_process();
    (void)kwargs, (void)user;
    CHECK(mp_str_get(arg(args, 0), &path, NULL) == 0);
    CHECK(mp_process_join(parent, MP_NOWAIT) == MP_ETIMEDOUT && mp_process_is_alive(parent));
    FILE *file = fopen(path, "w");
    CHECK(file && fputs("alive", file) >= 0 && fclose(file) == 0);
    CHECK(mp_process_join(parent, 20) == 0 && !mp_process_is_alive(parent));
    CHECK(unlink(path) == 0);
    return 0;
}

static int give_back(const mp_object *args, const mp_object *kwargs, void *user) {
    int64_t number;
    (void)kwargs, (void)user;
    CHECK(mp_integer_get(arg(args, 0), &number) == 0);
    return (int)number;
}

static int die(const mp_object *args, const mp_object *kwargs, void *user) {
    (void)args, (void)kwargs, (void)user;
    abort();
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        mp_python_fn function;
    } targets[] = {{"__main__.describe", describe},     {"__main__.double_all", double_all},
                   {"__main__.count", count},           {"__main__.synchronize", synchronize},
                   {"__main__.converse", converse},     {"__main__.meet", meet},
                   {"__main__.break_up", break_up},     {"__main__.use_proxies", use_proxies},
                   {"__main__.refuse", refuse},         {"__main__.give_tasks", give_tasks},
                   {"__main__.have_child", have_child}, {"__main__.outlive", outlive},
                   {"__main__.Subclass", double_all},   {"__main__.die", die},
                   {"__main__.give_back", give_back}};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++)
        CHECK(mp_python_register(targets[i].name, targets[i].function, "the user's") == 0);
    mp_freeze_support(argc, argv);
    fprintf(stderr, "this is not for people\n");
    return 98;
}
