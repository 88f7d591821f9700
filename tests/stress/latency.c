/* How soon a death is known to who waits for what the dead one had, for each kind of wait.
 * SPDX-License-Identifier: MIT
 * usage: latency [ROUNDS [KIND]]
 *
 * Each round: one process waits, the other one dies: killed from outside, or by itself at a kill
 * point. Measured from just before the signal until the call has returned. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/point.h"
#include "latency.h"
#include "mp/connection.h"
#include "mp/process.h"
#include "mp/queue.h"
#include "mp/shared.h"
#include "mp/sync.h"
#include "mpt.h"
#include "reg/recover.h"

enum { ROUNDS = 40 };

struct scene { /* in the arena, new for each round */
    mp_lock *lock;
    mp_condition *condition;
    mp_semaphore *semaphore;
    mp_barrier *barrier;
    mp_queue *queue, *full, *leasing;
    mp_connection *ends[2];
    _Atomic uint32_t is_set; /* 1: the victim has what it dies with; 2: it is to die */
    _Atomic int64_t begin, end;
};

static struct scene *scene;

static struct scene *open_scene(void) {
    struct scene *made = mp_shared_calloc(1, sizeof *made);
    mp_queue_options leasing = {.joinable = true, .redeliver = true};
    mp_barrier_options breaking = {.break_on_death = true};
    MPT_CHECK(made);
    MPT_OK(mp_lock_new(&made->lock, NULL));
    MPT_OK(mp_condition_new(&made->condition, NULL, NULL));
    MPT_OK(mp_semaphore_new(&made->semaphore, NULL, 0));
    MPT_OK(mp_barrier_new(&made->barrier, NULL, 2, &breaking));
    MPT_OK(mp_queue_new(&made->queue, NULL, 0));
    MPT_OK(mp_queue_new(&made->full, NULL, 1));
    MPT_OK(mp_queue_put(made->full, "x", 1, MP_NOWAIT));
    MPT_OK(mp_queue_new_with(&made->leasing, NULL, &leasing));
    MPT_OK(mp_pipe_new(&made->ends[0], &made->ends[1], NULL, true));
    return made;
}

static void close_scene(struct scene *old) {
    mp_lock_free(old->lock);
    mp_condition_free(old->condition);
    mp_semaphore_free(old->semaphore);
    mp_barrier_free(old->barrier);
    mp_queue_free(old->queue);
    mp_queue_free(old->full);
    mp_queue_free(old->leasing);
    mp_connection_free(old->ends[0]);
    mp_connection_free(old->ends[1]);
    mp_shared_free(old);
}

/* What the victim does; a `die_` at its point dies in it. */
static void set(void) {
    atomic_store(&scene->is_set, 1);
}

static void let_die(void) {
    atomic_store(&scene->is_set, 2);
}

static void block(void) {
    set();
    for (;;)
        pause();
}

static void hold_lock(void) {
    MPT_OK(mp_lock_acquire(scene->lock, MP_FOREVER));
    block();
}

static void hold_condition(void) {
    MPT_OK(mp_condition_acquire(scene->condition, MP_FOREVER));
    block();
}

static void be_party(void) {
    MPT_CHECK(mp_barrier_wait(scene->barrier, MP_FOREVER) >= 0);
    block();
}

static void have_task(void) {
    char task[8];
    MPT_OK(mp_queue_put(scene->leasing, "task", 4, MP_FOREVER));
    MPT_OK(mp_queue_get(scene->leasing, task, sizeof task, NULL, MP_FOREVER));
    block();
}

static void have_end(void) {
    char bytes[8];
    MPT_OK(mp_connection_close(scene->ends[0]));
    (void)mp_connection_recv_bytes_into(scene->ends[1], bytes, sizeof bytes, NULL, MP_NOWAIT);
    block();
}

static void put_one(void) {
    MPT_OK(mp_queue_put(scene->queue, "x", 1, MP_FOREVER));
}

static void get_one(void) {
    char bytes[8];
    (void)mp_queue_get(scene->full, bytes, sizeof bytes, NULL, MP_FOREVER);
}

static void send_one(void) {
    (void)mp_connection_send_bytes(scene->ends[1], "x", 1, MP_FOREVER);
}

/* Woken first, dies with the wake-up in hand. */
static void take_unit(void) {
    set();
    (void)mp_semaphore_acquire(scene->semaphore, MP_FOREVER);
}

static void take_notice(void) {
    MPT_OK(mp_condition_acquire(scene->condition, MP_FOREVER));
    set();
    (void)mp_condition_wait(scene->condition, MP_FOREVER);
}

static void take_message(void) {
    char bytes[8];
    set();
    (void)mp_queue_get(scene->queue, bytes, sizeof bytes, NULL, MP_FOREVER);
}

/* What makes the victim go on to its point, where it does not go there by itself. */
static void give_unit(void) {
    MPT_OK(mp_semaphore_release(scene->semaphore, 1));
}

static void give_notice(void) {
    MPT_OK(mp_condition_acquire(scene->condition, MP_FOREVER));
    MPT_OK(mp_condition_notify(scene->condition, 1));
    MPT_OK(mp_condition_release(scene->condition));
}

/* What the waiter does. */
static void meet(void) { /* before, where it has to */
    MPT_CHECK(mp_barrier_wait(scene->barrier, MP_FOREVER) >= 0);
}

static void fill_pipe(void) {
    static char bytes[4000];
    while (mp_connection_send_bytes(scene->ends[0], bytes, sizeof bytes, MP_NOWAIT) == 0)
        continue;
}

static void enter_condition(void) {
    MPT_OK(mp_condition_acquire(scene->condition, MP_FOREVER));
}

static void receive_one(void) {
    char bytes[8];
    MPT_OK(mp_connection_recv_bytes_into(scene->ends[0], bytes, sizeof bytes, NULL, MP_FOREVER));
}

static void close_other_end(void) {
    MPT_OK(mp_connection_close(scene->ends[1]));
}

static void close_and_fill(void) {
    fill_pipe();
    close_other_end();
}

static int want_lock(void) {
    return mp_lock_acquire(scene->lock, MP_FOREVER);
}

static int want_condition(void) {
    return mp_condition_acquire(scene->condition, MP_FOREVER);
}

static int want_notice(void) {
    return mp_condition_wait(scene->condition, MP_FOREVER);
}

static int want_meeting(void) {
    return mp_barrier_wait(scene->barrier, MP_FOREVER);
}

static int want_unit(void) {
    return mp_semaphore_acquire(scene->semaphore, MP_FOREVER);
}

static int want_task(void) {
    char task[8];
    return mp_queue_get(scene->leasing, task, sizeof task, NULL, MP_FOREVER);
}

static int want_message(void) {
    char bytes[8];
    return mp_queue_get(scene->queue, bytes, sizeof bytes, NULL, MP_FOREVER);
}

static int want_any(void) {
    mp_waitable list[] = {MP_WAIT_QUEUE(scene->queue), MP_WAIT_QUEUE(scene->leasing)};
    return mp_wait(list, 2, MP_FOREVER) > 0 ? 0 : MP_ESTATE;
}

static int want_any_or_descriptor(void) {
    mp_waitable list[] = {MP_WAIT_QUEUE(scene->queue), MP_WAIT_CONNECTION(scene->ends[0])};
    return mp_wait(list, 2, MP_FOREVER) > 0 ? 0 : MP_ESTATE;
}

static int want_room(void) {
    return mp_queue_put(scene->full, "y", 1, MP_FOREVER);
}

static int want_bytes(void) {
    char bytes[8];
    return mp_connection_recv_bytes_into(scene->ends[0], bytes, sizeof bytes, NULL, MP_FOREVER);
}

static int want_to_send(void) {
    static char bytes[4000];
    return mp_connection_send_bytes(scene->ends[0], bytes, sizeof bytes, MP_FOREVER);
}

struct kind {
    const char *name;
    void (*victim)(void);
    const char *point;     /* where it dies by itself; NULL: it is killed */
    void (*trigger)(void); /* lets it go there, from outside; NULL: it goes by itself when told */
    void (*before)(void);  /* the waiter, before it waits */
    int (*wait)(void);
    int code;
};

static const struct kind kinds[] = {
    {"lock, its owner", hold_lock, NULL, NULL, NULL, want_lock, MP_EOWNERDEAD},
    {"condition's lock, its owner", hold_condition, NULL, NULL, NULL, want_condition,
     MP_EOWNERDEAD},
    {"condition, who was notified", take_notice, "condition.wait.awake", give_notice,
     enter_condition, want_notice, 0},
    {"semaphore, who was woken", take_unit, "semaphore.acquire.awake", give_unit, NULL, want_unit,
     0},
    {"barrier, a party", be_party, NULL, NULL, meet, want_meeting, MP_EBROKEN},
    {"queue get, the putter", put_one, "channel.put.intended", NULL, NULL, want_message, 0},
    {"queue get, who was woken", take_message, "gate.wait.woken", put_one, NULL, want_message, 0},
    {"queue get, who has the task", have_task, NULL, NULL, NULL, want_task, 0},
    {"queue put, the getter", get_one, "channel.get.passed", NULL, NULL, want_room, 0},
    {"mp_wait for queues, the putter", put_one, "channel.put.intended", NULL, NULL, want_any, 0},
    {"mp_wait for queues, a task", have_task, NULL, NULL, NULL, want_any, 0},
    {"mp_wait, also a pipe, the putter", put_one, "channel.put.intended", NULL, NULL,
     want_any_or_descriptor, 0},
    {"pipe receive, the only peer", have_end, NULL, NULL, close_other_end, want_bytes, MP_EEOF},
    {"pipe receive, one of several", send_one, "channel.put.published", NULL, receive_one,
     want_bytes, 0},
    {"pipe send when full, the peer", have_end, NULL, NULL, close_and_fill, want_to_send, -EPIPE},
};
enum { KIND_COUNT = sizeof kinds / sizeof kinds[0] };

static const char *trap;

static void die_here(const char *point) {
    if (strcmp(point, trap) != 0 || atomic_load(&scene->is_set) != 2)
        return;
    atomic_store(&scene->begin, mp__now());
    kill(getpid(), SIGKILL);
}

static void be_victim(void *arg) {
    const struct kind *kind = arg;
    trap = kind->point;
    if (kind->victim == send_one)
        send_one(); /* it is known as a sender */
    if (trap && kind->trigger == NULL) {
        set();
        while (atomic_load(&scene->is_set) == 1) /* until told */
            sleep_for(MP__SECOND / 5000);
    }
    if (trap)
        mp__point_hook = die_here;
    kind->victim();
}

static void be_waiter(void *arg) {
    const struct kind *kind = arg;
    if (kind->before)
        kind->before();
    MPT_CODE(kind->wait(), kind->code);
    atomic_store(&scene->end, mp__now());
}

/* Both have come to where they stay. */
static void let_settle(void) {
    sleep_for(MP__SECOND / 500 + rand() % (MP__SECOND / 10));
}

static void end_victim(const struct kind *kind, pid_t victim) {
    if (!kind->point) {
        atomic_store(&scene->begin, mp__now());
        kill(victim, SIGKILL);
    }
    let_die();
    if (kind->trigger)
        kind->trigger();
}

/* Milliseconds; below 0: the waiter got what the victim was to get. */
static double measure(const struct kind *kind) {
    void *arg = (void *)(uintptr_t)kind;
    scene = open_scene();
    pid_t victim = mpt_fork(be_victim, arg);
    MPT_UNTIL(kind->victim == be_party || atomic_load(&scene->is_set) == 1);
    if (kind->trigger)
        let_settle(); /* it sleeps first, and so is woken first */
    pid_t waiter = mpt_fork(be_waiter, arg);
    MPT_UNTIL(atomic_load(&scene->is_set) == 1);
    if (kind->victim == have_end)
        MPT_OK(mp_connection_close(scene->ends[1]));
    let_settle();
    end_victim(kind, victim);
    MPT_CODE(mpt_join(waiter), 0);
    kill(victim, SIGKILL);
    MPT_CODE(mpt_join(victim), -SIGKILL);
    double time = (double)(atomic_load(&scene->end) - atomic_load(&scene->begin)) / 1e6;
    bool is_told = atomic_load(&scene->begin) != 0;
    mp__recover_all();
    close_scene(scene);
    return is_told ? time : -1;
}

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : ROUNDS;
    double *times = calloc(rounds, sizeof *times);
    MPT_CHECK(rounds > 0 && times);
    printf("%-34s %8s %8s %8s   (ms, %u rounds)\n", "who waits for, who dies", "median", "95 %",
           "max", rounds);
    for (unsigned i = 0; i < KIND_COUNT; i++) {
        if (argc > 2 && !strstr(kinds[i].name, argv[2]))
            continue;
        for (unsigned round = 0; round < rounds; round++)
            while ((times[round] = measure(&kinds[i])) < 0)
                continue;
        report(times, rounds, "%s", kinds[i].name);
    }
    free(times);
    measure_children(rounds, argc > 2 ? argv[2] : NULL);
    return 0;
}
