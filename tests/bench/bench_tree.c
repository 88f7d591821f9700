/* Real work: the checksum of every file of a tree, by two workers and everything they need from
 * their start to their end. SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#ifdef BENCH_HAS_LIBDEFLATE
#include <libdeflate.h>
#else
#include <zlib.h>
#endif

#include "mp/pool.h"
#include "mp/shared.h"
#include "pools.h"

#define FILES 16384           /* of 64 KiB, taken together: 1 GiB */
#define LARGEST (1024 * 1024) /* bytes of one */
#define CHUNK 64              /* files given out at once */
#define BUFFER (256 * 1024)

static char folder[] = "/tmp/libmp-bench-tree.XXXXXX";
static unsigned count;              /* files */
static char (*paths)[64];           /* of them, in the shared heap */
static uint32_t *sums;              /* likewise */
static uint64_t expected;           /* sum of all checksums */
static _Atomic unsigned *next_file; /* of raw workers */

static uint32_t add_bytes(uint32_t sum, const void *bytes, size_t size) {
#ifdef BENCH_HAS_LIBDEFLATE
    return libdeflate_crc32(sum, bytes, size);
#else
    return (uint32_t)crc32(sum, bytes, (uInt)size);
#endif
}

static uint32_t checksum(const char *path) {
    static char buffer[BUFFER];
    uint32_t sum = 0;
    ssize_t got;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    BENCH_CHECK(file >= 0);
    while ((got = read(file, buffer, sizeof buffer)) > 0)
        sum = add_bytes(sum, buffer, (size_t)got);
    close(file);
    return sum;
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

/* As in most trees: most files are small, most bytes are in large ones. */
static size_t size_of(unsigned number) {
    if (number % 32 == 0)
        return LARGEST;
    return number % 32 < 4 ? LARGEST / 8 : 23405;
}

static void write_file(unsigned number) {
    static char bytes[LARGEST];
    if (number == 0)
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (char)random();
    memcpy(bytes, &number, sizeof number);
    size_t size = size_of(number);
    snprintf(paths[number], sizeof paths[number], "%s/%u", folder, number);
    FILE *file = fopen(paths[number], "w");
    BENCH_CHECK(file && fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
}

static void make_tree(void) {
    char path[80];
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
    for (unsigned i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%u", folder, i);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/list", folder);
    unlink(path);
    rmdir(folder);
}

/* A child that removes the tree when this process and its workers are gone, however they went: the
 * returned descriptor is closed then. */
static int start_remover(pid_t *out) {
    int ends[2];
    char byte;
    BENCH_CHECK(mkdtemp(folder) && pipe2(ends, O_CLOEXEC) == 0);
    *out = fork();
    BENCH_CHECK(*out >= 0);
    if (*out > 0) {
        close(ends[0]);
        return ends[1];
    }
    signal(SIGINT, SIG_IGN);
    close(ends[1]);
    while (read(ends[0], &byte, 1) != 0)
        ;
    remove_tree();
    _exit(0);
}

static bool has_room(void) {
    struct statvfs disk;
    uint64_t wanted = (uint64_t)count * 65536 + (UINT64_C(64) << 20);
    return statvfs("/tmp", &disk) == 0 && (uint64_t)disk.f_bavail * disk.f_frsize > wanted &&
           disk.f_favail > count;
}

static const struct bench_contender contenders[] = {
    {"raw forks", by_forks, NULL},
    {"libmp map", by_pool, NULL},
    {"CPython", by_python, NULL},
};

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    bench_options(argc, argv);
    count = bench_is_smoke() ? 128 : FILES;
    if (!has_room())
        return fprintf(stderr, "bench_tree: skipped: /tmp has no room for the tree\n"), 0;
    pid_t remover;
    int life = start_remover(&remover);
    paths = mp_shared_calloc(count, sizeof *paths);
    sums = mp_shared_calloc(count, sizeof *sums);
    next_file = bench_shared(sizeof *next_file);
    BENCH_CHECK(paths && sums);
    make_tree();
    bench_run("checksums of a tree", "ms", contenders, BENCH_COUNT(contenders), 4);
    mp_shared_free(paths);
    mp_shared_free(sums);
    close(life);
    bench_reap(remover);
    return 0;
}
