/* mp_pool_imap: results one by one, inputs drawn within a window.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mp/imap.h"
#include "mp/shared.h"
#include "os/clock.h"
#include "pool.h"

/* Numbers from 0, each followed by as many bytes as it says. */
struct source {
    int next;              /* the next one */
    int end;               /* the first that is not given any more */
    int code;              /* what is returned then */
    size_t extra;          /* bytes: number * extra % 70000 */
    char *bytes;           /* room for one input */
    mp_imap *reenter;      /* whose next is to be called meanwhile */
    _Atomic int *go, *ran; /* for the tasks: may they end; how many have begun */
};

static size_t bytes_of(const struct source *source, int number) {
    return sizeof(int) + (size_t)number * source->extra % 70000;
}

static int draw(void *user, const void **data, size_t *size) {
    struct source *source = user;
    if (source->reenter)
        MPT_CODE(mp_imap_next(source->reenter, data, size, 0), MP_ESTATE);
    if (source->next == source->end)
        return source->code;
    *size = bytes_of(source, source->next);
    memset(source->bytes, 'a' + source->next % 26, *size);
    memcpy(source->bytes, &source->next, sizeof(int));
    *data = source->bytes;
    source->next++;
    return 1;
}

static struct source numbers(int end, size_t extra) {
    static char bytes[80000];
    return (struct source){.end = end, .extra = extra, .bytes = bytes};
}

static int number_of(const void *data) {
    int number;
    memcpy(&number, data, sizeof number);
    return number;
}

static mp_imap *begin(mp_pool *pool, mp_apply_fn fn, struct source *source, size_t chunk,
                      size_t window) {
    mp_imap *imap;
    mp_imap_options options = {.chunk = chunk, .window = window, .user = source};
    MPT_OK(mp_pool_imap(&imap, pool, fn, draw, &options));
    return imap;
}

static void expect_number(mp_imap *imap, const struct source *source, int number) {
    const void *data;
    size_t size;
    MPT_OK(mp_imap_next(imap, &data, &size, MP_FOREVER));
    assert_int_equal(mp_imap_index(imap), number);
    assert_int_equal(size, bytes_of(source, number));
    assert_int_equal(number_of(data), number);
    if (size > sizeof(int))
        assert_int_equal(((const char *)data)[size - 1], 'a' + number % 26);
}

static void expect_end(mp_imap *imap) {
    const void *data = NULL;
    size_t size = 77;
    MPT_CODE(mp_imap_next(imap, &data, &size, MP_FOREVER), MP_EEND);
    MPT_CODE(mp_imap_next(imap, &data, &size, MP_FOREVER), MP_EEND);
    assert_null(data);
    assert_int_equal(size, 77);
    assert_true(mp_imap_index(imap) == SIZE_MAX);
}

static void test_results_come_in_order_whatever_chunk_and_window(void **state) {
    (void)state;
    mp_pool *pool = mpt_pool(3);
    static const size_t chunks[] = {0, 1, 7, 100, 1000}, windows[] = {0, 1, 10, 5000};
    for (size_t i = 0; i < 20; i++) {
        struct source source = numbers(300, i % 3 == 0 ? 37 : 0);
        mp_imap *imap = begin(pool, mpt_echo, &source, chunks[i % 5], windows[i % 4]);
        for (int number = 0; number < 300; number++)
            expect_number(imap, &source, number);
        expect_end(imap);
        mp_imap_free(imap);
    }
    mp_pool_free(pool);
}

static void test_inputs_and_results_have_any_size(void **state) {
    (void)state;
    mp_pool *pool = mpt_pool(2);
    struct source source = numbers(400, 4099);
    mp_imap *imap = begin(pool, mpt_echo, &source, 3, 0);
    for (int number = 0; number < 400; number++)
        expect_number(imap, &source, number);
    expect_end(imap);
    mp_imap_free(imap);
    mp_pool_free(pool);
}

static void test_unordered_gives_each_result_once(void **state) {
    (void)state;
    enum { N = 2000 };
    mp_pool *pool = mpt_pool(3);
    for (size_t chunk = 1; chunk < 30; chunk *= 5) {
        bool seen[N] = {false};
        struct source source = numbers(N, 0);
        mp_imap *imap;
        mp_imap_options options = {.unordered = true, .chunk = chunk, .user = &source};
        MPT_OK(mp_pool_imap(&imap, pool, mpt_echo, draw, &options));
        for (int i = 0; i < N; i++) {
            const void *data;
            MPT_OK(mp_imap_next(imap, &data, NULL, MP_FOREVER));
            assert_int_equal(mp_imap_index(imap), number_of(data));
            assert_false(seen[number_of(data)]);
            seen[number_of(data)] = true;
        }
        expect_end(imap);
        mp_imap_free(imap);
    }
    mp_pool_free(pool);
}

static int wait_for_go(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    struct source source;
    (void)state;
    MPT_CHECK(arg_size == sizeof source);
    memcpy(&source, arg, sizeof source);
    ++*source.ran;
    while (source.next == 1 && !*source.go)
        sched_yield();
    return mp_reply_set(reply, &source.next, sizeof(int));
}

/* The source itself, so that tasks find go and ran. */
static int draw_source(void *user, const void **data, size_t *size) {
    struct source *source = user;
    if (source->next == source->end)
        return 0;
    source->next++;
    *data = source;
    *size = sizeof *source;
    return 1;
}

static struct source gated(int end) {
    _Atomic int *words = mp_shared_calloc(2, sizeof *words);
    return (struct source){.end = end, .go = &words[0], .ran = &words[1]};
}

static void test_unordered_overtakes_a_slow_one(void **state) {
    (void)state;
    struct source source = gated(50);
    const void *data;
    mp_pool *pool = mpt_pool(2);
    mp_imap *imap;
    mp_imap_options options = {.unordered = true, .window = 10, .user = &source};
    MPT_OK(mp_pool_imap(&imap, pool, wait_for_go, draw_source, &options));
    for (int i = 1; i < 50; i++) {
        MPT_OK(mp_imap_next(imap, &data, NULL, MP_FOREVER));
        assert_int_equal(mp_imap_index(imap), i);
    }
    MPT_CODE(mp_imap_next(imap, &data, NULL, 0.01), MP_ETIMEDOUT);
    *source.go = 1;
    MPT_OK(mp_imap_next(imap, &data, NULL, MP_FOREVER));
    assert_int_equal(mp_imap_index(imap), 0);
    expect_end(imap);
    mp_imap_free(imap);
    mp_pool_free(pool);
    mp_shared_free((void *)source.go);
}

static void test_next_times_out_and_goes_on(void **state) {
    (void)state;
    struct source source = gated(3);
    const void *data = NULL;
    mp_pool *pool = mpt_pool(2);
    mp_imap *imap;
    mp_imap_options options = {.user = &source};
    MPT_OK(mp_pool_imap(&imap, pool, wait_for_go, draw_source, &options));
    MPT_CODE(mp_imap_next(imap, &data, NULL, MP_NOWAIT), MP_ETIMEDOUT);
    MPT_CODE(mp_imap_next(imap, &data, NULL, 0.02), MP_ETIMEDOUT);
    MPT_CODE(mp_imap_next(imap, &data, NULL, (double)NAN), MP_EINVAL);
    assert_true(mp_imap_index(imap) == SIZE_MAX);
    assert_null(data);
    *source.go = 1;
    for (int i = 0; i < 3; i++)
        MPT_OK(mp_imap_next(imap, &data, NULL, MP_FOREVER));
    expect_end(imap);
    mp_imap_free(imap);
    mp_pool_free(pool);
    mp_shared_free((void *)source.go);
}

static void test_inputs_are_drawn_within_the_window(void **state) {
    (void)state;
    mp_pool *pool = mpt_pool(2);
    static const size_t chunks[] = {1, 4, 10};
    for (size_t i = 0; i < 3; i++) {
        struct source source = numbers(100, 0);
        mp_imap *imap = begin(pool, mpt_echo, &source, chunks[i], 20);
        assert_int_equal(source.next, 20);
        for (int number = 0; number < 100; number++) {
            expect_number(imap, &source, number);
            assert_true(source.next <= number + 20 && source.next > number);
        }
        expect_end(imap);
        mp_imap_free(imap);
    }
    struct source source = numbers(-1, 0);
    mp_imap *imap = begin(pool, mpt_echo, &source, 5, 0);
    assert_int_equal(source.next, 4 * 2 * 5);
    mp_imap_free(imap);
    mp_pool_free(pool);
}

static int fail_some(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)state;
    int number = number_of(arg);
    if (number % 10 == 3)
        return mp_reply_fail(reply, MP_EKEY, "no number %d", number);
    return number % 10 == 5 ? -ENOENT : mp_reply_set(reply, arg, arg_size);
}

static void test_failed_input_gives_its_code_and_the_others_go_on(void **state) {
    (void)state;
    mp_pool *pool = mpt_pool(2);
    struct source source = numbers(60, 0);
    mp_imap *imap = begin(pool, fail_some, &source, 8, 0);
    const void *data;
    for (int number = 0; number < 60; number++) {
        int code = mp_imap_next(imap, &data, NULL, MP_FOREVER);
        assert_int_equal(mp_imap_index(imap), number);
        assert_int_equal(code, number % 10 == 3 ? MP_EKEY : number % 10 == 5 ? MP_ETASK : 0);
        if (number == 43)
            assert_string_equal(mp_error_detail(), "no number 43");
        if (number == 25)
            assert_memory_equal(mp_error_detail(), "item 25: the function returned -2 (ENOENT", 41);
    }
    expect_end(imap);
    mp_imap_free(imap);
    mp_pool_free(pool);
}

static int die_at_13(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)state;
    if (number_of(arg) == 13)
        raise(SIGKILL);
    return mp_reply_set(reply, arg, arg_size);
}

static void test_input_that_kills_its_worker_fails_alone(void **state) {
    (void)state;
    mp_pool *pool = mpt_pool(2);
    for (size_t chunk = 1; chunk < 50; chunk += 20) {
        struct source source = numbers(40, 0);
        mp_imap *imap = begin(pool, die_at_13, &source, chunk, 40);
        for (int number = 0; number < 40; number++)
            if (number != 13)
                expect_number(imap, &source, number);
            else {
                MPT_CODE(mp_imap_next(imap, NULL, NULL, MP_FOREVER), MP_EWORKER);
                assert_memory_equal(mp_error_detail(), "item 13: worker ", 16);
                assert_non_null(strstr(mp_error_detail(), " died of SIGKILL"));
            }
        expect_end(imap);
        mp_imap_free(imap);
    }
    mp_pool_free(pool);
}

static int sleep_at_2(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)state;
    while (number_of(arg) == 2)
        pause();
    return mp_reply_set(reply, arg, arg_size);
}

static void test_input_over_its_time_fails_alone(void **state) {
    (void)state;
    mp_pool *pool;
    mp_pool_options options = {.processes = 2, .task_timeout = 0.3};
    MPT_OK(mp_pool_new(&pool, mpt_context(), &options));
    struct source source = numbers(8, 0);
    mp_imap *imap = begin(pool, sleep_at_2, &source, 4, 0);
    for (int number = 0; number < 8; number++) {
        MPT_CODE(mp_imap_next(imap, NULL, NULL, MP_FOREVER), number == 2 ? MP_ETIMEDOUT : 0);
        assert_int_equal(mp_imap_index(imap), number);
    }
    expect_end(imap);
    mp_imap_free(imap);
    mp_pool_free(pool);
}

static void test_worker_is_replaced_within_a_chunk(void **state) {
    (void)state;
    mp_pool *pool;
    mp_pool_options options = {.processes = 2, .max_tasks_per_child = 3};
    MPT_OK(mp_pool_new(&pool, mpt_context(), &options));
    struct source source = numbers(40, 997);
    mp_imap *imap = begin(pool, mpt_echo, &source, 10, 0);
    for (int number = 0; number < 40; number++)
        expect_number(imap, &source, number);
    mp_imap_free(imap);
    mp_pool_free(pool);
}

static void test_source_that_fails_ends_it_after_the_results(void **state) {
    (void)state;
    mp_pool *pool = mpt_pool(2);
    struct source source = numbers(10, 0);
    source.code = -EIO;
    mp_imap *imap = begin(pool, mpt_echo, &source, 4, 0);
    for (int number = 0; number < 10; number++)
        expect_number(imap, &source, number);
    MPT_CODE(mp_imap_next(imap, NULL, NULL, MP_FOREVER), -EIO);
    assert_true(mp_imap_index(imap) == SIZE_MAX);
    expect_end(imap);
    mp_imap_free(imap);
    mp_pool_free(pool);
}

static int draw_nothing_large(void *user, const void **data, size_t *size) {
    (void)data;
    *size = *(size_t *)user;
    return 1;
}

static void test_input_that_cannot_be_ends_it(void **state) {
    (void)state;
    mp_pool *pool = mpt_pool(1);
    mp_imap *imap;
    size_t size = 5;
    mp_imap_options options = {.user = &size};
    MPT_OK(mp_pool_imap(&imap, pool, mpt_echo, draw_nothing_large, &options));
    MPT_CODE(mp_imap_next(imap, NULL, NULL, MP_FOREVER), MP_EINVAL);
    expect_end(imap);
    mp_imap_free(imap);
    mp_pool_free(pool);
}

static void test_empty_source_is_at_its_end(void **state) {
    (void)state;
    mp_pool *pool = mpt_pool(1);
    struct source source = numbers(0, 0);
    mp_imap *imap = begin(pool, mpt_echo, &source, 4, 0);
    expect_end(imap);
    mp_imap_free(imap);
    mp_pool_free(pool);
}

static void test_freed_half_read_it_stops_and_leaves_nothing(void **state) {
    (void)state;
    mp_pool *pool = mpt_pool(2);
    for (int read = 0; read < 50; read += 7) {
        struct source source = numbers(-1, 333);
        mp_imap *imap = begin(pool, mpt_echo, &source, (size_t)read % 5, 30);
        for (int number = 0; number < read; number++)
            expect_number(imap, &source, number);
        int drawn = source.next;
        mp_imap_free(imap);
        assert_int_equal(source.next, drawn);
    }
    mp_pool_free(pool);
}

static void test_freed_while_a_task_runs_the_rest_is_left_out(void **state) {
    (void)state;
    struct source source = gated(40);
    mp_pool *pool = mpt_pool(1);
    mp_imap *imap;
    mp_imap_options options = {.chunk = 4, .window = 40, .user = &source};
    MPT_OK(mp_pool_imap(&imap, pool, wait_for_go, draw_source, &options));
    MPT_UNTIL(*source.ran == 1);
    mp_imap_free(imap);
    *source.go = 1;
    MPT_OK(mp_pool_apply(pool, mpt_echo, NULL, 0, NULL, 0, NULL));
    assert_int_equal(*source.ran, 1);
    mp_pool_free(pool);
    mp_shared_free((void *)source.go);
}

static void test_terminated_meanwhile_it_ends(void **state) {
    (void)state;
    struct source source = numbers(-1, 0);
    mp_pool *pool = mpt_pool(2);
    mp_imap *imap = begin(pool, mpt_echo, &source, 1, 8);
    for (int number = 0; number < 20; number++)
        expect_number(imap, &source, number);
    MPT_OK(mp_pool_terminate(pool));
    int code, given = 20;
    while ((code = mp_imap_next(imap, NULL, NULL, MP_FOREVER)) != MP_EEND) {
        assert_true(code == 0 || code == MP_ECANCELED);
        if (mp_imap_index(imap) != SIZE_MAX)
            assert_int_equal(mp_imap_index(imap), given++);
    }
    assert_true(given < 40);
    mp_imap_free(imap);
    mp_pool_free(pool);
}

static void test_imap_outlives_its_pool(void **state) {
    (void)state;
    struct source source = numbers(-1, 999);
    mp_pool *pool = mpt_pool(2);
    mp_imap *imap = begin(pool, mpt_echo, &source, 3, 30);
    expect_number(imap, &source, 0);
    mp_pool_free(pool);
    int code;
    while ((code = mp_imap_next(imap, NULL, NULL, MP_FOREVER)) != MP_EEND)
        assert_true(code == 0 || code == MP_ECANCELED);
    mp_imap_free(imap);
}

static void test_closed_meanwhile_it_goes_on_and_join_wants_its_end(void **state) {
    (void)state;
    struct source source = numbers(100, 0);
    mp_pool *pool = mpt_pool(2);
    mp_imap *late, *imap = begin(pool, mpt_echo, &source, 1, 8);
    MPT_OK(mp_pool_close(pool));
    MPT_CODE(mp_pool_imap(&late, pool, mpt_echo, draw, NULL), MP_EINVAL);
    MPT_CODE(mp_pool_join(pool, MP_FOREVER), MP_ESTATE);
    for (int number = 0; number < 95; number++)
        expect_number(imap, &source, number);
    MPT_OK(mp_pool_join(pool, MP_FOREVER));
    for (int number = 95; number < 100; number++)
        expect_number(imap, &source, number);
    expect_end(imap);
    mp_imap_free(imap);
    mp_pool_free(pool);
}

static void test_source_may_not_ask_its_imap(void **state) {
    (void)state;
    struct source source = numbers(20, 0);
    mp_pool *pool = mpt_pool(1);
    mp_imap *imap = begin(pool, mpt_echo, &source, 1, 2);
    source.reenter = imap;
    for (int number = 0; number < 20; number++)
        expect_number(imap, &source, number);
    mp_imap_free(imap);
    mp_pool_free(pool);
}

static int answer_address(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg_size, (void)state;
    return mp_reply_set(reply, &arg, sizeof arg);
}

static int draw_in_place(void *user, const void **data, size_t *size) {
    char **next = user;
    if (!*next)
        return 0;
    *data = *next;
    *size = 100;
    *next = NULL;
    return 1;
}

static void test_inputs_in_the_arena_are_used_in_place(void **state) {
    (void)state;
    char *block = mp_shared_alloc(100), *next = block;
    mp_imap *imap;
    const void *data;
    mp_pool *pool = mpt_pool(1);
    mp_imap_options options = {.user = &next};
    MPT_OK(mp_pool_imap(&imap, pool, answer_address, draw_in_place, &options));
    MPT_OK(mp_imap_next(imap, &data, NULL, MP_FOREVER));
    assert_ptr_equal(*(char *const *)data, block);
    mp_imap_free(imap);
    mp_pool_free(pool);
    mp_shared_free(block);
}

static void test_two_imaps_share_a_pool(void **state) {
    (void)state;
    mp_pool *pool = mpt_pool(2);
    struct source even = numbers(200, 0), odd = numbers(200, 0);
    mp_imap *first = begin(pool, mpt_echo, &even, 1, 3),
            *second = begin(pool, mpt_echo, &odd, 7, 0);
    for (int number = 0; number < 200; number++) {
        expect_number(second, &odd, number);
        expect_number(first, &even, number);
    }
    mp_imap_free(first);
    mp_imap_free(second);
    mp_pool_free(pool);
}

static void use_elsewhere(void *arg) {
    MPT_CHECK(mp_imap_next(arg, NULL, NULL, 0) == MP_EFOREIGN);
    MPT_CHECK(mp_imap_index(arg) == SIZE_MAX);
    mp_imap_free(arg);
}

static void test_bad_arguments_are_refused(void **state) {
    (void)state;
    int number = 0;
    mp_imap *imap = NULL;
    struct source source = numbers(5, 0);
    mp_pool *pool = mpt_pool(1);
    MPT_CODE(mp_pool_imap(NULL, pool, mpt_echo, draw, NULL), MP_EINVAL);
    MPT_CODE(mp_pool_imap(&imap, NULL, mpt_echo, draw, NULL), MP_EINVAL);
    MPT_CODE(mp_pool_imap(&imap, pool, NULL, draw, NULL), MP_EINVAL);
    MPT_CODE(mp_pool_imap(&imap, pool, mpt_echo, NULL, NULL), MP_EINVAL);
    MPT_CODE(mp_pool_imap(&imap, pool, mpt_echo, draw, &(mp_imap_options){.chunk = SIZE_MAX / 8}),
             MP_EINVAL);
    MPT_CODE(mp_imap_next(NULL, NULL, NULL, 0), MP_EINVAL);
    MPT_CODE(mp_imap_next((mp_imap *)(void *)pool, NULL, NULL, 0), MP_EINVAL);
    MPT_CODE(mp_imap_next((mp_imap *)(void *)&number, NULL, NULL, 0), MP_EINVAL);
    assert_true(mp_imap_index(NULL) == SIZE_MAX);
    assert_null(imap);
    mp_imap_free(NULL);
    imap = begin(pool, mpt_echo, &source, 1, 0);
    assert_int_equal(mpt_join(mpt_fork(use_elsewhere, imap)), 0);
    expect_number(imap, &source, 0);
    mp_imap_free(imap);
    mp_pool_free(pool);
}

/* clang-format off: one case a line */
MPT_PROCESS_MAIN(MPT_EACH_WORKER(test_results_come_in_order_whatever_chunk_and_window),
                 MPT_EACH_WORKER(test_inputs_and_results_have_any_size),
                 MPT_EACH_WORKER(test_unordered_gives_each_result_once),
                 MPT_EACH_WORKER(test_unordered_overtakes_a_slow_one),
                 MPT_EACH_WORKER(test_next_times_out_and_goes_on),
                 MPT_EACH_WORKER(test_inputs_are_drawn_within_the_window),
                 MPT_EACH_WORKER(test_failed_input_gives_its_code_and_the_others_go_on),
                 MPT_EACH_METHOD(test_input_that_kills_its_worker_fails_alone),
                 MPT_EACH_METHOD(test_input_over_its_time_fails_alone),
                 MPT_EACH_WORKER(test_worker_is_replaced_within_a_chunk),
                 MPT_EACH_WORKER(test_source_that_fails_ends_it_after_the_results),
                 MPT_EACH_WORKER(test_input_that_cannot_be_ends_it),
                 MPT_EACH_WORKER(test_empty_source_is_at_its_end),
                 MPT_EACH_WORKER(test_freed_half_read_it_stops_and_leaves_nothing),
                 MPT_EACH_WORKER(test_freed_while_a_task_runs_the_rest_is_left_out),
                 MPT_EACH_WORKER(test_terminated_meanwhile_it_ends),
                 MPT_EACH_WORKER(test_imap_outlives_its_pool),
                 MPT_EACH_WORKER(test_closed_meanwhile_it_goes_on_and_join_wants_its_end),
                 MPT_EACH_WORKER(test_source_may_not_ask_its_imap),
                 MPT_EACH_WORKER(test_inputs_in_the_arena_are_used_in_place),
                 MPT_EACH_WORKER(test_two_imaps_share_a_pool),
                 MPT_CASE(test_bad_arguments_are_refused))
