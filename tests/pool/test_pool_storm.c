/* Workers killed at random moments for a second, while maps and tasks of all sizes go on.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mp/pool.h"
#include "mp/shared.h"
#include "os/clock.h"
#include "pool.h"

enum { ITEMS = 3000, TASKS = 20, LONG = 5000, SEATS = 64 };

struct storm {
    _Atomic pid_t *workers; /* SEATS: who lives, entered by themselves */
    _Atomic bool is_over;   /* the killer may go */
    long kills;             /* of the killer */
};

static int enter_oneself(void *arg, size_t arg_size, void **state) {
    (void)arg_size, (void)state;
    _Atomic pid_t *workers = *(_Atomic pid_t **)arg;
    for (int i = 0; i < SEATS; i++) {
        pid_t nobody = 0;
        if (atomic_compare_exchange_strong(&workers[i], &nobody, getpid()))
            return 0;
    }
    return 0;
}

static void *kill_at_random(void *arg) {
    struct storm *storm = arg;
    unsigned seed = 1;
    while (!storm->is_over) {
        mp__time until = mp__now() + rand_r(&seed) % 3000 * (MP__SECOND / 1000000);
        while (mp__now() < until)
            sched_yield();
        pid_t pid = atomic_exchange(&storm->workers[rand_r(&seed) % 8], 0);
        if (pid > 0)
            storm->kills += kill(pid, SIGKILL) == 0;
    }
    return NULL;
}

static void map_in_storm(mp_pool *pool, size_t chunk) {
    static int items[ITEMS], results[ITEMS], codes[ITEMS];
    int lost = 0;
    for (int i = 0; i < ITEMS; i++)
        items[i] = i;
    memset(results, 0xff, sizeof results);
    int code = mp_pool_map(pool, mpt_square, items, ITEMS, sizeof(int), results, sizeof(int),
                           &(mp_map_options){.codes = codes, .chunk = chunk});
    for (int i = 0; i < ITEMS; i++) {
        MPT_CHECK(codes[i] == MP_EWORKER || (codes[i] == 0 && results[i] == i * i));
        lost += codes[i] != 0;
    }
    MPT_CHECK(code == (lost ? MP_EWORKER : 0));
}

static void apply_in_storm(mp_pool *pool) {
    static char sent[LONG], got[LONG];
    mp_async_result *results[TASKS];
    memset(sent, 'z', sizeof sent);
    for (int i = 0; i < TASKS; i++)
        MPT_OK(mp_pool_apply_async(&results[i], pool, mpt_echo, sent, i % 2 ? LONG : 20, NULL));
    for (int i = 0; i < TASKS; i++) {
        size_t size = 0;
        int code = mp_async_result_get(results[i], got, LONG, &size, 20);
        MPT_CHECK(code == MP_EWORKER || (code == 0 && size == (i % 2 ? LONG : 20)));
        MPT_CHECK(code != 0 || memcmp(sent, got, size) == 0);
        mp_async_result_free(results[i]);
    }
}

static void test_all_work_ends_in_a_storm_of_kills(void **state) {
    (void)state;
    struct storm storm = {.workers = mp_shared_calloc(SEATS, sizeof(pid_t))};
    pthread_t killer;
    mp_pool *pool;
    mp_pool_options options = {.processes = 3,
                               .initializer = enter_oneself,
                               .init_arg = &storm.workers,
                               .init_arg_size = sizeof storm.workers};
    MPT_OK(mp_pool_new(&pool, mpt_context(), &options));
    assert_int_equal(pthread_create(&killer, NULL, kill_at_random, &storm), 0);
    mp__time end = mp__now() + MP__SECOND;
    for (size_t round = 0; mp__now() < end; round++) {
        map_in_storm(pool, round % 3 == 2 ? 100 : round % 3);
        apply_in_storm(pool);
    }
    storm.is_over = true;
    pthread_join(killer, NULL);
    assert_true(storm.kills > 0);
    mp_pool_free(pool);
    mp_shared_free((void *)storm.workers);
}

/* clang-format off: one case a line */
MPT_PROCESS_MAIN(MPT_EACH_METHOD(test_all_work_ends_in_a_storm_of_kills))
