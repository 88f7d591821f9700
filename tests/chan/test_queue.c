/* Queues: what goes in comes out, once, whole and in order.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "chan/queue.h"
#include "mp/queue.h"
#include "shm/heap.h"

static mp_queue *new_queue(size_t maxsize) {
    mp_queue *queue;
    MPT_OK(mp_queue_new(&queue, NULL, maxsize));
    return queue;
}

static void put_number(mp_queue *queue, uint64_t number) {
    MPT_OK(mp_queue_put(queue, &number, sizeof number, 20));
}

static uint64_t get_number(mp_queue *queue) {
    uint64_t number;
    size_t size;
    MPT_OK(mp_queue_get(queue, &number, sizeof number, &size, 20));
    MPT_CHECK(size == sizeof number);
    return number;
}

static void test_get_gives_what_was_put(void **state) {
    (void)state;
    mp_queue *queue = new_queue(0);
    MPT_OK(mp_queue_put(queue, "hello", 5, MP_FOREVER));
    char text[8];
    size_t size;
    MPT_OK(mp_queue_get(queue, text, sizeof text, &size, MP_FOREVER));
    assert_int_equal(size, 5);
    assert_memory_equal(text, "hello", 5);
    mp_queue_free(queue);
}

static void test_messages_come_in_order(void **state) {
    (void)state;
    mp_queue *queue = new_queue(0);
    for (uint64_t round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < 20000; i++)
            put_number(queue, i);
        MPT_OK(mp__channel_check(&((struct queue_shared *)queue)->channel));
        for (uint64_t i = 0; i < 20000; i++)
            assert_int_equal(get_number(queue), i);
    }
    assert_int_equal(mp_queue_qsize(queue), 0);
    mp_queue_free(queue);
}

static void test_messages_of_all_sizes_stay_whole(void **state) {
    (void)state;
    static const size_t sizes[] = {0,    1,    7,    8,    9,     255,   700,    2000,    2488,
                                   2489, 4095, 4096, 4097, 16384, 65536, 200000, 1 << 20, 33 << 20};
    enum { COUNT = sizeof sizes / sizeof sizes[0] };
    mp_queue *queue = new_queue(0);
    char *bytes = malloc(sizes[COUNT - 1] + 1);
    for (size_t i = 0; i < COUNT; i++) {
        memset(bytes, (int)i + 1, sizes[i]);
        MPT_OK(mp_queue_put(queue, bytes, sizes[i], MP_FOREVER));
    }
    for (size_t i = 0; i < COUNT; i++) {
        void *got;
        size_t size;
        MPT_OK(mp_queue_get_alloc(queue, &got, &size, MP_FOREVER));
        assert_int_equal(size, sizes[i]);
        memset(bytes, (int)i + 1, size);
        assert_true(memcmp(bytes, got, size) == 0);
        free(got);
    }
    free(bytes);
    mp_queue_free(queue);
}

static void test_get_times_out_when_empty(void **state) {
    (void)state;
    mp_queue *queue = new_queue(0);
    char byte;
    size_t size = 77;
    void *data;
    mp_message *message;
    MPT_CODE(mp_queue_get(queue, &byte, 1, &size, MP_NOWAIT), MP_EEMPTY);
    MPT_CODE(mp_queue_get(queue, &byte, 1, &size, -1), MP_EEMPTY);
    MPT_CODE(mp_queue_get(queue, &byte, 1, &size, 0.01), MP_EEMPTY);
    MPT_CODE(mp_queue_get_alloc(queue, &data, &size, 0.01), MP_EEMPTY);
    MPT_CODE(mp_queue_get_message(queue, &message, 0.01), MP_EEMPTY);
    MPT_CODE(mp_queue_get_many(queue, &message, 1, &size, 0.01), MP_EEMPTY);
    assert_int_equal(size, 77);
    mp_queue_free(queue);
}

static void test_put_times_out_when_full(void **state) {
    (void)state;
    mp_queue *queue = new_queue(2);
    put_number(queue, 1);
    assert_false(mp_queue_full(queue));
    put_number(queue, 2);
    assert_true(mp_queue_full(queue));
    char large[5000] = {0};
    mp_message *message;
    MPT_OK(mp_message_new(&message, 3));
    MPT_CODE(mp_queue_put(queue, "x", 1, MP_NOWAIT), MP_EFULL);
    MPT_CODE(mp_queue_put(queue, large, sizeof large, 0.01), MP_EFULL);
    MPT_CODE(mp_queue_put_message(queue, message, 0.01), MP_EFULL);
    mp_message_free(message);
    assert_int_equal(mp_queue_qsize(queue), 2);
    assert_int_equal(get_number(queue), 1);
    put_number(queue, 3);
    mp_queue_free(queue);
}

static void test_too_short_a_buffer_leaves_the_message(void **state) {
    (void)state;
    mp_queue *queue = new_queue(0);
    MPT_OK(mp_queue_put(queue, "0123456789", 10, MP_NOWAIT));
    char text[10];
    size_t size = 0;
    MPT_CODE(mp_queue_get(queue, text, 9, &size, MP_NOWAIT), MP_ETOOSHORT);
    assert_int_equal(size, 10);
    MPT_CODE(mp_queue_get(queue, NULL, 0, NULL, MP_NOWAIT), MP_ETOOSHORT);
    MPT_OK(mp_queue_get(queue, text, 10, NULL, MP_NOWAIT));
    assert_memory_equal(text, "0123456789", 10);
    mp_queue_free(queue);
}

static void test_closed_queue_refuses_this_process(void **state) {
    (void)state;
    mp_queue *queue = new_queue(0);
    put_number(queue, 7);
    MPT_CODE(mp_queue_join_thread(queue), MP_ESTATE);
    MPT_OK(mp_queue_close(queue));
    MPT_OK(mp_queue_close(queue));
    MPT_OK(mp_queue_join_thread(queue));
    MPT_OK(mp_queue_cancel_join_thread(queue));
    char byte;
    size_t size;
    void *data;
    mp_message *message;
    mp_bytes bytes = {"x", 1};
    MPT_CODE(mp_queue_put(queue, "x", 1, MP_NOWAIT), MP_ECLOSED);
    MPT_CODE(mp_queue_put_many(queue, &bytes, 1, &size, MP_NOWAIT), MP_ECLOSED);
    MPT_CODE(mp_queue_put_message(queue, NULL, MP_NOWAIT), MP_ECLOSED);
    MPT_CODE(mp_queue_get(queue, &byte, 1, &size, MP_NOWAIT), MP_ECLOSED);
    MPT_CODE(mp_queue_get_alloc(queue, &data, &size, MP_NOWAIT), MP_ECLOSED);
    MPT_CODE(mp_queue_get_message(queue, &message, MP_NOWAIT), MP_ECLOSED);
    MPT_CODE(mp_queue_get_many(queue, &message, 1, &size, MP_NOWAIT), MP_ECLOSED);
    assert_int_equal(mp_queue_qsize(queue), 1);
    mp_queue_free(queue);
}

static void close_it(void *queue) {
    MPT_OK(mp_queue_close(queue));
}

static void test_close_is_for_one_process_only(void **state) {
    (void)state;
    mp_queue *queue = new_queue(0);
    assert_int_equal(mpt_join(mpt_fork(close_it, queue)), 0);
    put_number(queue, 1);
    assert_int_equal(get_number(queue), 1);
    mp_queue_free(queue);
}

static void test_new_queue_at_a_closed_ones_address_is_open(void **state) {
    (void)state;
    mp_queue *queue = new_queue(0);
    void *before = queue;
    MPT_OK(mp_queue_close(queue));
    mp_queue_free(queue);
    for (int i = 0; i < 100; i++) {
        queue = new_queue(0);
        put_number(queue, 1);
        if ((void *)queue == before)
            i = 100;
        mp_queue_free(queue);
    }
}

static void test_bad_arguments_are_refused(void **state) {
    (void)state;
    mp_queue *queue = new_queue(0);
    char byte;
    size_t size;
    void *data;
    mp_message *message;
    MPT_CODE(mp_queue_new(NULL, NULL, 0), MP_EINVAL);
    MPT_CODE(mp_joinable_queue_new(NULL, NULL, 0), MP_EINVAL);
    MPT_CODE(mp_simple_queue_new(NULL, NULL), MP_EINVAL);
    MPT_CODE(mp_queue_put(NULL, "x", 1, MP_NOWAIT), MP_EINVAL);
    MPT_CODE(mp_queue_put((mp_queue *)&byte, "x", 1, MP_NOWAIT), MP_EINVAL);
    MPT_CODE(mp_queue_put(queue, NULL, 1, MP_NOWAIT), MP_EINVAL);
    MPT_CODE(mp_queue_put(queue, "x", 1, NAN), MP_EINVAL);
    MPT_CODE(mp_queue_put(queue, &byte, (size_t)1 << 60, MP_NOWAIT), -ENOMEM);
    MPT_CODE(mp_queue_get(queue, NULL, 1, &size, MP_NOWAIT), MP_EINVAL);
    MPT_CODE(mp_queue_get(queue, &byte, 1, &size, NAN), MP_EINVAL);
    MPT_CODE(mp_queue_get_alloc(queue, NULL, &size, MP_NOWAIT), MP_EINVAL);
    MPT_CODE(mp_queue_get_alloc(queue, &data, NULL, MP_NOWAIT), MP_EINVAL);
    MPT_CODE(mp_queue_get_many(queue, NULL, 1, &size, MP_NOWAIT), MP_EINVAL);
    MPT_CODE(mp_queue_get_many(queue, &message, 0, &size, MP_NOWAIT), MP_EINVAL);
    MPT_CODE(mp_queue_get_many(queue, &message, 1, NULL, MP_NOWAIT), MP_EINVAL);
    MPT_CODE(mp_queue_get_message(queue, NULL, MP_NOWAIT), MP_EINVAL);
    MPT_CODE(mp_queue_close(NULL), MP_EINVAL);
    MPT_CODE(mp_queue_join_thread(NULL), MP_EINVAL);
    MPT_CODE(mp_queue_cancel_join_thread(NULL), MP_EINVAL);
    MPT_CODE((int)mp_queue_qsize(NULL), MP_EINVAL);
    assert_true(mp_queue_empty(NULL));
    assert_false(mp_queue_full(NULL));
    mp_queue_free(NULL);
    mp_queue_free(queue);
    MPT_CODE(mp_queue_put(queue, "x", 1, MP_NOWAIT), MP_EINVAL);
}

static void test_put_many_stops_at_maxsize(void **state) {
    (void)state;
    mp_queue *queue = new_queue(5);
    char large[9000] = {0};
    mp_bytes list[8] = {{"a", 1}, {"bb", 2}, {large, sizeof large}, {NULL, 0}, {"e", 1}, {"f", 1}};
    size_t put;
    MPT_CODE(mp_queue_put_many(queue, list, 6, &put, 0.01), MP_EFULL);
    assert_int_equal(put, 5);
    mp_message *got[8];
    size_t count;
    MPT_OK(mp_queue_get_many(queue, got, 8, &count, MP_NOWAIT));
    assert_int_equal(count, 5);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(mp_message_size(got[i]), list[i].size);
        assert_memory_equal(mp_message_data(got[i]), list[i].data ? list[i].data : "",
                            list[i].size);
        mp_message_free(got[i]);
    }
    MPT_OK(mp_queue_put_many(queue, NULL, 0, &put, MP_NOWAIT));
    list[1].data = NULL;
    MPT_CODE(mp_queue_put_many(queue, list, 2, &put, MP_NOWAIT), MP_EINVAL);
    MPT_CODE(mp_queue_put_many(queue, NULL, 2, &put, MP_NOWAIT), MP_EINVAL);
    assert_int_equal(put, 0);
    mp_queue_free(queue);
}

static void test_get_many_crosses_segments(void **state) {
    (void)state;
    enum { COUNT = 5000 };
    mp_queue *queue = new_queue(0);
    for (uint64_t i = 0; i < COUNT; i++)
        put_number(queue, i);
    mp_message *list[COUNT];
    size_t got;
    MPT_OK(mp_queue_get_many(queue, list, COUNT, &got, MP_NOWAIT));
    assert_int_equal(got, COUNT);
    for (uint64_t i = 0; i < COUNT; i++) {
        uint64_t number;
        memcpy(&number, mp_message_data(list[i]), sizeof number);
        assert_int_equal(number, i);
        mp_message_free(list[i]);
    }
    mp_queue_free(queue);
}

static void use_small_arena(void) {
    setenv("LIBMP_ARENA_BYTES", "67108864", 1);
}

static mp_queue *fill_arena(void) {
    mp_queue *queue = new_queue(0);
    char *bytes = calloc(1, 1 << 20);
    int code, put = 0;
    while ((code = mp_queue_put(queue, bytes, 1 << 20, MP_NOWAIT)) == 0)
        MPT_CHECK(++put < 100);
    MPT_CODE(code, -ENOMEM);
    MPT_CHECK(mp_queue_qsize(queue) == put && put > 20);
    while (mp_queue_put(queue, bytes, 4000, MP_NOWAIT) == 0)
        ;
    free(bytes);
    return queue;
}

static void test_full_arena_is_an_error(void **state) {
    (void)state;
    use_small_arena();
    mp_queue *queue = fill_arena(), *other;
    long before = mp_queue_qsize(queue);
    char bytes[4000] = {0};
    mp_bytes list[2] = {{bytes, 4000}, {bytes, 4000}};
    mp_message *message;
    while (mp_queue_new(&other, NULL, 0) == 0)
        MPT_OK(mp_queue_put(queue, &other, sizeof other, MP_NOWAIT));
    MPT_CODE(mp_message_new(&message, 100000), -ENOMEM);
    MPT_CODE(mp_queue_put_many(queue, list, 2, NULL, MP_NOWAIT), -ENOMEM);
    MPT_OK(mp__channel_check(&((struct queue_shared *)queue)->channel));
    void *data;
    size_t size;
    for (long i = 0; mp_queue_get_alloc(queue, &data, &size, MP_NOWAIT) == 0; i++) {
        if (i >= before)
            mp_queue_free(*(mp_queue **)data);
        free(data);
    }
    MPT_OK(mp_queue_put_many(queue, list, 2, NULL, MP_NOWAIT));
    mp_queue_free(queue);
}

static void test_message_stays_when_there_is_no_room_to_get_it(void **state) {
    (void)state;
    use_small_arena();
    mp_queue *queue = new_queue(0), *full = fill_arena();
    MPT_OK(mp_queue_put(queue, "x", 1, MP_NOWAIT));
    mp_message *hogs[4096], *got;
    size_t count = 0;
    for (size_t size = 65536; size > 0; size /= 2)
        while (count < 4096 && mp_message_new(&hogs[count], size - 1) == 0)
            count++;
    MPT_CODE(mp_queue_get_message(queue, &got, MP_NOWAIT), -ENOMEM);
    size_t got_count;
    MPT_CODE(mp_queue_get_many(queue, &got, 1, &got_count, MP_NOWAIT), -ENOMEM);
    assert_int_equal(mp_queue_qsize(queue), 1);
    while (count > 0)
        mp_message_free(hogs[--count]);
    mp_queue_free(full);
    MPT_OK(mp_queue_get_message(queue, &got, MP_NOWAIT));
    mp_message_free(got);
    mp_queue_free(queue);
}

static void test_empty_queue_takes_less_than_4_kib(void **state) {
    (void)state;
    mp_queue *queue = new_queue(0);
    assert_true(mp__heap_size(queue) <= 4096);
    mp_queue_free(queue);
}

static void test_a_million_messages_take_1_5_of_their_bytes(void **state) {
    (void)state;
    mp_queue *queue = new_queue(0);
    struct mp__heap_figures before, after;
    mp__heap_figures(&before);
    char message[64] = {0};
    mp_bytes list[100];
    for (int i = 0; i < 100; i++)
        list[i] = (mp_bytes){message, sizeof message};
    for (int i = 0; i < 10000; i++)
        MPT_OK(mp_queue_put_many(queue, list, 100, NULL, MP_NOWAIT));
    mp__heap_figures(&after);
    assert_true(after.used_bytes - before.used_bytes <= 96000000);
    mp_queue_free(queue);
}

/* Several producers and consumers, as processes or as threads: each message counted once, those of
 * one producer in its order for each consumer. */
enum { PRODUCERS = 3, CONSUMERS = 3, EACH = 4000 };

struct crowd {
    mp_queue *queue;
    _Atomic uint64_t got;
    _Atomic uint64_t sum;
    _Atomic uint32_t next_producer;
};

static size_t size_of_turn(uint64_t turn) {
    return turn % 50 == 0 ? 5000 + turn % 3000 : 16 + turn % 100;
}

static void *produce(void *arg) {
    struct crowd *crowd = arg;
    uint64_t bytes[1024] = {atomic_fetch_add(&crowd->next_producer, 1)};
    for (uint64_t i = 0; i < EACH; i++) {
        bytes[1] = i;
        MPT_OK(mp_queue_put(crowd->queue, bytes, size_of_turn(i), 20));
    }
    return NULL;
}

static void *consume(void *arg) {
    struct crowd *crowd = arg;
    uint64_t next[PRODUCERS] = {0};
    for (;;) {
        uint64_t bytes[1024];
        size_t size;
        MPT_OK(mp_queue_get(crowd->queue, bytes, sizeof bytes, &size, 20));
        if (size == 0)
            return NULL;
        MPT_CHECK(bytes[0] < PRODUCERS && size == size_of_turn(bytes[1]));
        MPT_CHECK(bytes[1] >= next[bytes[0]]);
        next[bytes[0]] = bytes[1] + 1;
        atomic_fetch_add(&crowd->got, 1);
        atomic_fetch_add(&crowd->sum, bytes[1]);
    }
}

static void produce_alone(void *arg) {
    produce(arg);
}

static void consume_alone(void *arg) {
    consume(arg);
}

static struct crowd *new_crowd(size_t maxsize) {
    mp_queue *queue = new_queue(maxsize);
    struct crowd *crowd = mp__heap_zalloc(sizeof *crowd);
    crowd->queue = queue;
    return crowd;
}

static void end_crowd(struct crowd *crowd) {
    assert_int_equal(atomic_load(&crowd->got), PRODUCERS * EACH);
    assert_int_equal(atomic_load(&crowd->sum), (uint64_t)PRODUCERS * EACH * (EACH - 1) / 2);
    MPT_OK(mp__channel_check(&((struct queue_shared *)crowd->queue)->channel));
    mp_queue_free(crowd->queue);
    mp__heap_free(crowd);
}

static void run_processes(size_t maxsize) {
    struct crowd *crowd = new_crowd(maxsize);
    pid_t consumers[CONSUMERS], producers[PRODUCERS];
    mpt_fork_all(consumers, CONSUMERS, consume_alone, crowd);
    mpt_fork_all(producers, PRODUCERS, produce_alone, crowd);
    MPT_JOIN_ALL(producers, PRODUCERS);
    for (int i = 0; i < CONSUMERS; i++)
        MPT_OK(mp_queue_put(crowd->queue, NULL, 0, 20));
    MPT_JOIN_ALL(consumers, CONSUMERS);
    end_crowd(crowd);
}

static void test_processes_share_a_queue(void **state) {
    (void)state;
    run_processes(0);
}

static void test_processes_share_a_queue_of_three(void **state) {
    (void)state;
    run_processes(3);
}

static void test_threads_share_a_queue(void **state) {
    (void)state;
    struct crowd *crowd = new_crowd(100);
    pthread_t consumers[CONSUMERS], producers[PRODUCERS];
    for (int i = 0; i < CONSUMERS; i++)
        pthread_create(&consumers[i], NULL, consume, crowd);
    for (int i = 0; i < PRODUCERS; i++)
        pthread_create(&producers[i], NULL, produce, crowd);
    for (int i = 0; i < PRODUCERS; i++)
        pthread_join(producers[i], NULL);
    for (int i = 0; i < CONSUMERS; i++)
        MPT_OK(mp_queue_put(crowd->queue, NULL, 0, 20));
    for (int i = 0; i < CONSUMERS; i++)
        pthread_join(consumers[i], NULL);
    end_crowd(crowd);
}

/* clang-format off */
MPT_MAIN(MPT_CASE(test_get_gives_what_was_put),
         MPT_CASE(test_messages_come_in_order),
         MPT_CASE(test_messages_of_all_sizes_stay_whole),
         MPT_CASE(test_get_times_out_when_empty),
         MPT_CASE(test_put_times_out_when_full),
         MPT_CASE(test_too_short_a_buffer_leaves_the_message),
         MPT_CASE(test_closed_queue_refuses_this_process),
         MPT_CASE(test_close_is_for_one_process_only),
         MPT_CASE(test_new_queue_at_a_closed_ones_address_is_open),
         MPT_CASE(test_bad_arguments_are_refused),
         MPT_CASE(test_put_many_stops_at_maxsize),
         MPT_CASE(test_get_many_crosses_segments),
         MPT_CASE(test_full_arena_is_an_error),
         MPT_CASE(test_message_stays_when_there_is_no_room_to_get_it),
         MPT_CASE(test_empty_queue_takes_less_than_4_kib),
         MPT_CASE(test_a_million_messages_take_1_5_of_their_bytes),
         MPT_CASE(test_processes_share_a_queue),
         MPT_CASE(test_processes_share_a_queue_of_three),
         MPT_CASE(test_threads_share_a_queue))
