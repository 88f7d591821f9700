/* Workers that take too much memory: within the limits that the options set, and beyond what the
 * kernel has. SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mp/pool.h"
#include "os/usage.h"
#include "pool.h"

#define MIB ((size_t)1 << 20)
#define ITEMS 20
#define GREEDY 13 /* the item that takes too much */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_INSTRUMENTED 1 /* its shadow is private memory, too */
#else
#define IS_INSTRUMENTED 0
#endif

static int take_memory(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg_size, (void)state;
    size_t size = *(const size_t *)arg;
    char *volatile block = malloc(size);
    if (!block)
        return mp_reply_fail(reply, -ENOMEM, "no room for %zu bytes", size);
    memset(block, 1, size);
    free(block);
    return 0;
}

static void test_memory_limit_makes_malloc_fail_in_workers_alone(void **state) {
    (void)state;
    size_t little = MIB, much = 300 * MIB;
    if (IS_INSTRUMENTED)
        skip();
    mp_pool *pool = mpt_pool_with(&(mp_pool_options){.processes = 1, .memory_limit = 200 * MIB});
    MPT_OK(mp_pool_apply(pool, take_memory, &little, sizeof little, NULL, 0, NULL));
    MPT_CODE(mp_pool_apply(pool, take_memory, &much, sizeof much, NULL, 0, NULL), -ENOMEM);
    void *block = malloc(much);
    assert_non_null(block);
    free(block);
    mp_pool_free(pool);
}

static int keep_memory(const void *item, void *result, void *state) {
    (void)item, (void)state;
    static char *volatile kept;
    kept = malloc(8 * MIB);
    MPT_CHECK(kept != NULL);
    memset(kept, 1, 8 * MIB);
    *(pid_t *)result = getpid();
    return 0;
}

static void test_worker_that_grew_is_replaced(void **state) {
    (void)state;
    char items[12] = {0};
    pid_t pids[12];
    int changes = 0;
    mp_pool *pool = mpt_pool_with(
        &(mp_pool_options){.processes = 1, .max_rss = mp__usage_private() + 20 * MIB});
    MPT_OK(mp_pool_map(pool, keep_memory, items, 12, 1, pids, sizeof pids[0],
                       &(mp_map_options){.chunk = 1}));
    for (int i = 1; i < 12; i++)
        changes += pids[i] != pids[i - 1];
    assert_in_range(changes, 2, 11);
    mp_pool_free(pool);
}

/* Of one item nothing comes but this, of the others their results. */
static void check_that_greedy_item_failed(mp_pool *pool, mp_map_fn function, const char *death) {
    int items[ITEMS], results[ITEMS], codes[ITEMS], pid = 0, end = 0;
    char format[80];
    for (int i = 0; i < ITEMS; i++)
        items[i] = i;
    MPT_CODE(mp_pool_map(pool, function, items, ITEMS, sizeof(int), results, sizeof(int),
                         &(mp_map_options){.codes = codes}),
             MP_EWORKER);
    snprintf(format, sizeof format, "item %d: worker %%d %s%%n", GREEDY, death);
    assert_int_equal(sscanf(mp_error_detail(), format, &pid, &end), 1);
    assert_int_equal(mp_error_detail()[end], 0);
    for (int i = 0; i < ITEMS; i++)
        assert_true(i == GREEDY ? codes[i] == MP_EWORKER : codes[i] == 0 && results[i] == 2 * i);
}

/* As many programs do, and every C++ program that catches nothing. */
static int abort_without_memory(const void *item, void *result, void *state) {
    (void)state;
    size_t size = *(const int *)item == GREEDY ? 300 * MIB : MIB;
    char *volatile block = malloc(size);
    if (!block)
        abort();
    free(block);
    *(int *)result = *(const int *)item * 2;
    return 0;
}

static void test_item_that_aborts_without_memory_fails_alone(void **state) {
    (void)state;
    if (IS_INSTRUMENTED)
        skip();
    mp_pool *pool = mpt_pool_with(&(mp_pool_options){.processes = 2, .memory_limit = 200 * MIB});
    check_that_greedy_item_failed(pool, abort_without_memory,
                                  "died of SIGABRT in abort_without_memory");
    mp_pool_free(pool);
}

/* A control group whose processes may have 64 MiB together. */
struct group {
    char folder[128]; /* where it is */
};

static bool put_line(const struct group *group, const char *name, const char *line) {
    char path[192];
    snprintf(path, sizeof path, "%s/%s", group->folder, name);
    int file = open(path, O_WRONLY | O_CLOEXEC);
    bool is_written = file >= 0 && write(file, line, strlen(line)) == (ssize_t)strlen(line);
    if (file >= 0)
        close(file);
    return is_written;
}

/* Version 2, or 1. */
static bool make_group(struct group *group) {
    static const char *const kinds[][2] = {{"", "memory.max"},
                                           {"/memory", "memory.limit_in_bytes"}};
    for (int i = 0; i < 2; i++) {
        snprintf(group->folder, sizeof group->folder, "/sys/fs/cgroup%s/libmp-test-%d", kinds[i][0],
                 (int)getpid());
        if (mkdir(group->folder, 0755) < 0)
            continue;
        (void)put_line(group, "memory.swap.max", "0");
        if (put_line(group, kinds[i][1], "67108864"))
            return true;
        rmdir(group->folder);
    }
    return false;
}

static int enter_group(void *arg, size_t arg_size, void **state) {
    (void)arg_size, (void)state;
    MPT_CHECK(put_line(arg, "cgroup.procs", "0"));
    return 0;
}

static int fill_memory(const void *item, void *result, void *state) {
    (void)state;
    size_t size = *(const int *)item == GREEDY ? 300 * MIB : MIB;
    char *volatile block = malloc(size);
    MPT_CHECK(block);
    for (size_t i = 0; i < size; i += 4096)
        block[i] = 1;
    free(block);
    *(int *)result = *(const int *)item * 2;
    return 0;
}

static void test_item_whose_worker_the_kernel_kills_for_memory_fails_alone(void **state) {
    (void)state;
    struct group group;
    if (IS_INSTRUMENTED || !make_group(&group)) {
        print_message("skipped: needs a control group for memory that may be written\n");
        skip();
    }
    mp_pool *pool = mpt_pool_with(&(mp_pool_options){.processes = 2,
                                                     .initializer = enter_group,
                                                     .init_arg = &group,
                                                     .init_arg_size = sizeof group});
    check_that_greedy_item_failed(pool, fill_memory, "died of SIGKILL in fill_memory");
    mp_pool_free(pool);
    MPT_UNTIL(rmdir(group.folder) == 0 || errno != EBUSY);
}

/* clang-format off: one case a line */
MPT_PROCESS_MAIN(MPT_EACH_METHOD(test_memory_limit_makes_malloc_fail_in_workers_alone),
                 MPT_EACH_METHOD(test_worker_that_grew_is_replaced),
                 MPT_EACH_METHOD(test_item_that_aborts_without_memory_fails_alone),
                 MPT_EACH_METHOD(test_item_whose_worker_the_kernel_kills_for_memory_fails_alone))
