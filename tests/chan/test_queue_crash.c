/* Queues while processes are killed: at every kill point, with small, middle and large messages.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "chan/queue.h"
#include "mp/queue.h"
#include "os/clock.h"
#include "reg/recover.h"
#include "shm/heap.h"

/* What a scene's processes share. */
struct scene {
    mp_queue *queue;
    size_t size;           /* of each message */
    uint64_t count;        /* that the victim handles unless it dies before */
    _Atomic uint64_t done; /* that it knows to have put or got */
    bool is_batch;         /* by put_many and get_many */
    const char *point;     /* where it dies */
    unsigned turn;         /* at which time there */
};

enum { BATCH = 7 };

static struct scene *new_scene(size_t size, uint64_t count, size_t maxsize) {
    mp_queue *queue;
    MPT_OK(mp_joinable_queue_new(&queue, NULL, maxsize));
    struct scene *scene = mp__heap_zalloc(sizeof *scene);
    mp__heap_publish(scene);
    scene->queue = queue;
    scene->size = size;
    scene->count = count;
    return scene;
}

static void end_scene(struct scene *scene) {
    mp__recover_all();
    MPT_OK(mp__channel_check(&((struct queue_shared *)scene->queue)->channel));
    mp_queue_free(scene->queue);
    mp__heap_free(scene);
    MPT_OK(mp__heap_check());
    struct mp__heap_figures figures;
    mp__heap_figures(&figures);
    MPT_CHECK(figures.blocks == 0);
}

/* A message: its number in the first and last 8 bytes and as a pattern between. */
static void fill(unsigned char *bytes, size_t size, uint64_t number) {
    memset(bytes, (int)(number % 253), size);
    memcpy(bytes, &number, sizeof number);
    memcpy(bytes + size - sizeof number, &number, sizeof number);
}

static uint64_t number_of(const unsigned char *bytes, size_t size, size_t expected_size) {
    uint64_t first, last;
    MPT_CHECK(size == expected_size);
    memcpy(&first, bytes, sizeof first);
    memcpy(&last, bytes + size - sizeof last, sizeof last);
    MPT_CHECK(first == last);
    if (size > 2 * sizeof first) { /* all equal to the next one, and one of them right */
        MPT_CHECK(bytes[sizeof first] == first % 253);
        MPT_CHECK(memcmp(bytes + 8, bytes + 9, size - 2 * sizeof first - 1) == 0);
    }
    return first;
}

static void put_one(struct scene *scene, unsigned char *bytes, uint64_t number) {
    fill(bytes, scene->size, number);
    MPT_OK(mp_queue_put(scene->queue, bytes, scene->size, 20));
}

static void put_batch(struct scene *scene, unsigned char *bytes, uint64_t number) {
    mp_bytes list[BATCH];
    for (int i = 0; i < BATCH; i++) {
        list[i] = (mp_bytes){bytes + i * scene->size, scene->size};
        fill(bytes + i * scene->size, scene->size, number + i);
    }
    MPT_OK(mp_queue_put_many(scene->queue, list, BATCH, NULL, 20));
}

static void produce_until_killed(void *arg) {
    struct scene *scene = arg;
    unsigned char *bytes = malloc(scene->size * BATCH);
    if (scene->point)
        mpt_die_at(scene->point, scene->turn);
    while (atomic_load(&scene->done) < scene->count) {
        uint64_t number = atomic_load(&scene->done);
        if (scene->is_batch)
            put_batch(scene, bytes, number);
        else
            put_one(scene, bytes, number);
        atomic_store(&scene->done, number + (scene->is_batch ? BATCH : 1));
    }
}

/* The next message, which must be the number `expected` or a later one: the one after it. */
static bool get_next(struct scene *scene, uint64_t *expected, uint64_t *gap, double timeout) {
    void *data;
    size_t size;
    int code = mp_queue_get_alloc(scene->queue, &data, &size, timeout);
    if (code == MP_EEMPTY)
        return false;
    MPT_OK(code);
    uint64_t number = number_of(data, size, scene->size);
    MPT_CHECK(number >= *expected);
    *gap += number - *expected;
    *expected = number + 1;
    free(data);
    return true;
}

static void get_batch(struct scene *scene) {
    mp_message *list[BATCH];
    size_t got;
    MPT_OK(mp_queue_get_many(scene->queue, list, BATCH, &got, 20));
    for (size_t i = 0; i < got; i++) {
        uint64_t number =
            number_of(mp_message_data(list[i]), mp_message_size(list[i]), scene->size);
        MPT_CHECK(number == atomic_load(&scene->done));
        atomic_store(&scene->done, number + 1);
        mp_message_free(list[i]);
    }
}

static void consume_until_killed(void *arg) {
    struct scene *scene = arg;
    if (scene->point)
        mpt_die_at(scene->point, scene->turn);
    while (atomic_load(&scene->done) < scene->count) {
        if (scene->is_batch) {
            get_batch(scene);
            continue;
        }
        uint64_t expected = atomic_load(&scene->done), gap = 0;
        MPT_CHECK(get_next(scene, &expected, &gap, 20) && gap == 0);
        atomic_store(&scene->done, expected);
    }
}

/* Others must get through within a second. */
static void check_progress(struct scene *scene, unsigned char *bytes) {
    mp__time start = mp__now();
    put_one(scene, bytes, UINT32_MAX);
    uint64_t expected = UINT32_MAX, gap = 0;
    MPT_CHECK(get_next(scene, &expected, &gap, 2));
    MPT_CHECK(mp__now() - start < MP__SECOND);
}

static bool was_killed(pid_t pid, struct scene *scene) {
    int code = mpt_join(pid);
    if (code != 0 && code != -SIGKILL)
        fprintf(stderr, "at %s, turn %u, %zu bytes\n", scene->point, scene->turn, scene->size);
    MPT_CHECK(code == 0 || code == -SIGKILL);
    return code == -SIGKILL;
}

static bool is_dead(pid_t pid) {
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

/* Everything the victim put is there, in order; one message (batch) more may be. */
static bool kill_producer(struct scene *scene, bool at_once) {
    unsigned char *bytes = malloc(scene->size);
    uint64_t expected = 0, gap = 0;
    pid_t pid = mpt_fork(produce_until_killed, scene);
    while (at_once && expected < scene->count &&
           (get_next(scene, &expected, &gap, 0.02) || !is_dead(pid)))
        ;
    bool was_met = was_killed(pid, scene);
    while (get_next(scene, &expected, &gap, MP_NOWAIT))
        ;
    uint64_t done = atomic_load(&scene->done);
    MPT_CHECK(gap == 0 && expected >= done && expected <= done + (scene->is_batch ? BATCH : 1));
    check_progress(scene, bytes);
    free(bytes);
    return was_met;
}

/* Until the victim has announced that it is going to sleep. */
static void wait_for_sleeper(struct scene *scene, pid_t pid) {
    struct mp__gate *gate = &((struct queue_shared *)scene->queue)->channel.readable;
    MPT_UNTIL((atomic_load(&gate->word) & MP__GATE_SLEEPER) || is_dead(pid));
}

/* Only the message (batch) that the victim was getting may be missing. */
static bool kill_consumer(struct scene *scene, bool at_once) {
    unsigned char *bytes = malloc(scene->size);
    pid_t pid = 0;
    if (at_once)
        pid = mpt_fork(consume_until_killed, scene);
    for (uint64_t i = 0; i < scene->count; i++) {
        if (at_once && i < 45)
            wait_for_sleeper(scene, pid);
        put_one(scene, bytes, i);
    }
    if (!at_once)
        pid = mpt_fork(consume_until_killed, scene);
    bool was_met = was_killed(pid, scene);
    uint64_t done = atomic_load(&scene->done), expected = done, gap = 0;
    while (get_next(scene, &expected, &gap, MP_NOWAIT))
        ;
    uint64_t lost = scene->count - expected + gap;
    MPT_CHECK(lost <= (scene->is_batch ? BATCH : 1));
    check_progress(scene, bytes);
    free(bytes);
    return was_met;
}

static const char *const put_points[] = {
    "guard.acquire.held",          "guard.acquire.taken",   "message.new.allocated",
    "channel.put.copied",          "channel.put.written",   "channel.put.load_intended",
    "channel.put.intended",        "channel.publish.block", "channel.put.counted",
    "channel.put.published",       "guard.release.freed",   "gate.wake.counted",
    "channel.extend.allocated",    "channel.extend.linked", "channel.extend.published",
    "channel.extend.skipped",      "channel.extend.moved",  "channel.extend.spare_taken",
    "channel.extend.spare_cleared"};
static const char *const get_points[] = {
    "guard.acquire.held",        "guard.acquire.taken",      "channel.get.intended",
    "channel.get.block_taken",   "channel.get.copied",       "channel.get.position_intended",
    "channel.get.load_intended", "channel.get.passed",       "channel.get.counted",
    "guard.release.freed",       "channel.get.block_copied", "channel.leave.taken",
    "channel.leave.moved",       "channel.leave.offered",    "channel.leave.published",
    "channel.leave.kept",        "gate.wait.announced",      "gate.wait.woken",
    "queue.get_many.filled",     "message.batch.allocated"};
enum {
    PUT_POINTS = sizeof put_points / sizeof put_points[0],
    GET_POINTS = sizeof get_points / sizeof get_points[0]
};

/* Which of the points were met, by any of a case's scenes. */
static bool run_points(bool (*play)(struct scene *, bool), const char *const *points, int count,
                       size_t size, bool *met) {
    static const unsigned turns[] = {1, 2, 40};
    for (int i = 0; i < count * 3 * 4; i++) {
        uint64_t messages = size > 100000 ? 49 : 1050;
        bool at_once = i / 2 % 2;
        struct scene *scene = new_scene(size, messages, at_once && play == kill_producer ? 20 : 0);
        scene->point = points[i / 12];
        scene->turn = turns[i / 4 % 3];
        scene->is_batch = i % 2;
        met[i / 12] |= play(scene, at_once);
        end_scene(scene);
    }
    return true;
}

static void check_met(const char *const *points, int count, const bool *met,
                      const char *const *excused) {
    for (int i = 0; i < count; i++) {
        bool is_excused = met[i];
        for (const char *const *name = excused; *name; name++)
            is_excused |= strstr(points[i], *name) != NULL;
        if (!is_excused)
            fprintf(stderr, "never met: %s\n", points[i]);
        MPT_CHECK(is_excused);
    }
}

static void run_producers(size_t size, const char *const *excused) {
    bool met[PUT_POINTS] = {false};
    run_points(kill_producer, put_points, PUT_POINTS, size, met);
    check_met(put_points, PUT_POINTS, met, excused);
}

static void run_consumers(size_t size, const char *const *excused) {
    bool met[GET_POINTS] = {false};
    run_points(kill_consumer, get_points, GET_POINTS, size, met);
    check_met(get_points, GET_POINTS, met, excused);
}

static void test_producer_of_32_bytes_dies(void **state) {
    (void)state;
    run_producers(32, (const char *[]){"message.new", "put.copied", "publish.block", NULL});
}

static void test_producer_of_4_kb_dies(void **state) {
    (void)state;
    run_producers(4000, (const char *[]){"message.new", "put.copied", "publish.block", NULL});
}

static void test_producer_of_200_kb_dies(void **state) {
    (void)state;
    run_producers(200000, (const char *[]){"channel.extend", NULL});
}

static void test_consumer_of_32_bytes_dies(void **state) {
    (void)state;
    run_consumers(32, (const char *[]){"get.intended", "block", NULL});
}

static void test_consumer_of_4_kb_dies(void **state) {
    (void)state;
    run_consumers(4000, (const char *[]){"get.intended", "block", NULL});
}

static void test_consumer_of_200_kb_dies(void **state) {
    (void)state;
    run_consumers(200000, (const char *[]){"channel.leave", "batch", NULL});
}

/* The recovering process dies in the recovery; the next one does it again. */
static void recover_and_die(void *arg) {
    mpt_die_at(arg, 1);
    mp__recover_all();
}

static void run_recoverers(bool (*play)(struct scene *, bool), const char *const *points,
                           const char *const *stages, size_t size) {
    for (; *points; points++)
        for (const char *const *stage = stages; *stage; stage++) {
            struct scene *scene = new_scene(size, 49, 0);
            scene->point = *points;
            scene->turn = 3;
            unsigned char *bytes = malloc(size);
            bool is_consumer = play == kill_consumer;
            for (uint64_t i = 0; i < scene->count && is_consumer; i++)
                put_one(scene, bytes, i);
            pid_t pid = mpt_fork(is_consumer ? consume_until_killed : produce_until_killed, scene);
            MPT_CHECK(was_killed(pid, scene));
            mpt_join(mpt_fork(recover_and_die, (void *)*stage));
            uint64_t expected = is_consumer ? atomic_load(&scene->done) : 0, gap = 0;
            while (get_next(scene, &expected, &gap, MP_NOWAIT))
                ;
            MPT_CHECK(gap <= is_consumer);
            check_progress(scene, bytes);
            free(bytes);
            end_scene(scene);
        }
}

static const char *const stages[] = {"channel.publish.block",
                                     "channel.recover.finished",
                                     "channel.recover.tail_freed",
                                     "channel.recover.load_undone",
                                     "channel.recover.undone",
                                     "channel.recover.spare_kept",
                                     "channel.recover.head_freed",
                                     "guard.recover.freed",
                                     "recover.member.threads",
                                     "recover.member.heap",
                                     NULL};

static void test_recovery_of_a_producer_dies(void **state) {
    (void)state;
    static const char *const points[] = {"channel.put.intended", "channel.put.counted",
                                         "channel.put.published", "channel.put.written", NULL};
    run_recoverers(kill_producer, points, stages, 5000);
}

static void test_recovery_of_a_consumer_dies(void **state) {
    (void)state;
    static const char *const points[] = {"channel.get.intended", "channel.get.block_taken",
                                         "channel.get.load_intended", "channel.get.passed", NULL};
    run_recoverers(kill_consumer, points, stages, 5000);
}

/* Many processes, killed at random moments: no message comes twice or torn. */
enum { STORM_PRODUCERS = 2, STORM_CONSUMERS = 2, KILLS = 60, STORM_NUMBERS = 1 << 20 };

struct storm {
    mp_queue *queue;
    size_t size;
    _Atomic uint64_t next;                     /* number of the next message */
    _Atomic uint64_t progress;                 /* messages got */
    _Atomic unsigned char seen[STORM_NUMBERS]; /* how often each was got */
};

static void storm_produce(void *arg) {
    struct storm *storm = arg;
    unsigned char *bytes = malloc(storm->size);
    for (;;) {
        fill(bytes, storm->size, atomic_fetch_add(&storm->next, 1));
        MPT_OK(mp_queue_put(storm->queue, bytes, storm->size, 20));
    }
}

static void storm_consume(void *arg) {
    struct storm *storm = arg;
    for (;;) {
        void *data;
        size_t size;
        MPT_OK(mp_queue_get_alloc(storm->queue, &data, &size, 20));
        uint64_t number = number_of(data, size, storm->size);
        MPT_CHECK(number >= STORM_NUMBERS || atomic_fetch_add(&storm->seen[number], 1) == 0);
        atomic_fetch_add(&storm->progress, 1);
        free(data);
    }
}

static void wait_for_progress(struct storm *storm) {
    uint64_t before = atomic_load(&storm->progress);
    MPT_UNTIL(atomic_load(&storm->progress) > before + 5);
}

static void run_storm(size_t size, size_t maxsize) {
    struct storm *storm = mp__self() ? mp__heap_zalloc(sizeof *storm) : NULL;
    MPT_CHECK(storm);
    mp__heap_publish(storm);
    storm->size = size;
    MPT_OK(mp_queue_new(&storm->queue, NULL, maxsize));
    pid_t pids[STORM_PRODUCERS + STORM_CONSUMERS];
    enum { ALL = STORM_PRODUCERS + STORM_CONSUMERS };
    for (int i = 0; i < ALL; i++)
        pids[i] = mpt_fork(i < STORM_PRODUCERS ? storm_produce : storm_consume, storm);
    for (int kills = 0; kills < KILLS; kills++) {
        wait_for_progress(storm);
        int i = rand() % ALL;
        mpt_kill(pids[i]);
        pids[i] = mpt_fork(i < STORM_PRODUCERS ? storm_produce : storm_consume, storm);
    }
    wait_for_progress(storm);
    for (int i = 0; i < ALL; i++)
        kill(pids[i], SIGKILL);
    for (int i = 0; i < ALL; i++)
        assert_int_equal(mpt_join(pids[i]), -SIGKILL);
    mp__recover_all();
    MPT_OK(mp__channel_check(&((struct queue_shared *)storm->queue)->channel));
    mp_queue_free(storm->queue);
    mp__heap_free(storm);
}

static void test_storm_with_small_messages(void **state) {
    (void)state;
    run_storm(32, 1000);
}

static void test_storm_with_4_kb_messages(void **state) {
    (void)state;
    run_storm(4000, 100);
}

static void test_storm_with_large_messages(void **state) {
    (void)state;
    run_storm(200000, 10);
}

/* clang-format off */
MPT_MAIN(MPT_CASE(test_producer_of_32_bytes_dies),
         MPT_CASE(test_producer_of_4_kb_dies),
         MPT_CASE(test_producer_of_200_kb_dies),
         MPT_CASE(test_consumer_of_32_bytes_dies),
         MPT_CASE(test_consumer_of_4_kb_dies),
         MPT_CASE(test_consumer_of_200_kb_dies),
         MPT_CASE(test_recovery_of_a_producer_dies),
         MPT_CASE(test_recovery_of_a_consumer_dies),
         MPT_CASE(test_storm_with_small_messages),
         MPT_CASE(test_storm_with_4_kb_messages),
         MPT_CASE(test_storm_with_large_messages))
