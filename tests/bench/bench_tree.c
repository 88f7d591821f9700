/* Real work: the checksum of every file of a tree, by two workers and everything they need from
 * their start to their end. SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "mp/pool.h"
#include "mp/shared.h"
#include "pools.h"

#define FILES 8192
#define CHUNK 64 /* files given out at once */
#define BUFFER (256 * 1024)

static char folder[] = "/tmp/libmp-bench-tree.XXXXXX";
static unsigned count;              /* files */
static char (*paths)[64];           /* of them, in the shared heap */
static uint32_t *sums;              /* likewise */
static uint64_t expected;           /* sum of all checksums */
static _Atomic unsigned *next_file; /* of raw workers */

static uint32_t checksum(const char *path) {
    static char buffer[BUFFER];
    uLong sum = 0;
    ssize_t got;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    BENCH_CHECK(file >= 0);
    while ((got = read(file, buffer, sizeof buffer)) > 0)
        sum = crc32(sum, (const Bytef *)buffer, (uInt)got);
    close(file);
    return (uint32_t)sum;
}

static int sum_file(const void *item, void *result, void *state) {
    (void)state;
    *(uint32_t *)result = checksum(item);
    return 0;
}

static void sum_raw(void *arg) {
    unsigned i;
    (void)arg;
    while ((i = atomic_fetch_add(next_file, CHUNK)) < count)
        for (unsigned end = i + CHUNK < count ? i + CHUNK : count; i < end; i++)
            sums[i] = checksum(paths[i]);
}

static void check(void) {
    uint64_t total = 0;
    for (unsigned i = 0; i < count; i++)
        total += sums[i];
    BENCH_CHECK(total == expected);
    memset(sums, 0, count * sizeof *sums);
}

static double by_forks(const void *subject) {
    pid_t pids[POOL_WORKERS];
    (void)subject;
    int64_t begin = bench_now();
    atomic_store(next_file, 0);
    for (int i = 0; i < POOL_WORKERS; i++)
        pids[i] = bench_fork(sum_raw, NULL);
    for (int i = 0; i < POOL_WORKERS; i++)
        bench_reap(pids[i]);
    double elapsed = (double)(bench_now() - begin);
    check();
    return elapsed / 1e6;
}

static double by_pool(const void *subject) {
    mp_pool *pool;
    (void)subject;
    int64_t begin = bench_now();
    BENCH_CHECK(mp_pool_new(&pool, mp_get_context(MP_FORK),
                            &(mp_pool_options){.processes = POOL_WORKERS}) == 0);
    BENCH_CHECK(mp_pool_map(pool, sum_file, paths, count, sizeof *paths, sums, sizeof *sums,
                            &(mp_map_options){.chunk = CHUNK}) == 0);
    mp_pool_free(pool);
    double elapsed = (double)(bench_now() - begin);
    check();
    return elapsed / 1e6;
}

/* Without the start of the interpreter and its pool. */
static double by_python(const void *subject) {
    char command[512];
    double seconds;
    uint64_t total;
    (void)subject;
    if (!bench_has_python())
        return NAN;
    snprintf(command, sizeof command, "python3 '" BENCH_DIR "/peer_pool.py' crc '%s/list'", folder);
    FILE *output = popen(command, "r");
    BENCH_CHECK(output && fscanf(output, "%lf %lu", &seconds, &total) == 2 && pclose(output) == 0);
    BENCH_CHECK(total == expected);
    return seconds * 1e3;
}

/* Sizes as in a source tree: most are small, all together FILES * 16 KiB. */
static void write_file(unsigned number) {
    static char bytes[BUFFER];
    unsigned seed = number;
    size_t size = number % 8 == 0 ? 64 * 1024 : 9362;
    for (size_t i = 0; i < size; i += sizeof(int)) {
        int word = rand_r(&seed);
        memcpy(bytes + i, &word, sizeof word);
    }
    snprintf(paths[number], sizeof paths[number], "%s/%u", folder, number);
    FILE *file = fopen(paths[number], "w");
    BENCH_CHECK(file && fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
}

static void make_tree(void) {
    char path[80];
    BENCH_CHECK(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/list", folder);
    FILE *list = fopen(path, "w");
    BENCH_CHECK(list);
    for (unsigned i = 0; i < count; i++) {
        write_file(i);
        fprintf(list, "%s\n", paths[i]);
        expected += checksum(paths[i]);
    }
    BENCH_CHECK(fclose(list) == 0);
}

static void remove_tree(void) {
    char path[80];
    for (unsigned i = 0; i < count; i++)
        unlink(paths[i]);
    snprintf(path, sizeof path, "%s/list", folder);
    unlink(path);
    rmdir(folder);
}

static const struct bench_contender contenders[] = {
    {"raw forks", by_forks, NULL},
    {"libmp map", by_pool, NULL},
    {"CPython", by_python, NULL},
};

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    bench_options(argc, argv);
    count = bench_is_smoke() ? 200 : FILES;
    paths = mp_shared_calloc(count, sizeof *paths);
    sums = mp_shared_calloc(count, sizeof *sums);
    next_file = bench_shared(sizeof *next_file);
    BENCH_CHECK(paths && sums);
    make_tree();
    bench_run("checksums of a tree", "ms", contenders, BENCH_COUNT(contenders), 10);
    remove_tree();
    mp_shared_free(paths);
    mp_shared_free(sums);
    return 0;
}
