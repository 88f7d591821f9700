/* tree_checksum.c: the CRC-32 of every file under a directory, by a pool of processes.
 * SPDX-License-Identifier: MIT
 *
 *     tree_checksum [--method fork|spawn|forkserver] [--workers N] [--crash N] [directory]
 *
 * Prints "crc size path", sorted by path; what could not be read goes to standard error, as does
 * the summary. With --crash a worker kills itself at the N-th file: that file is reported, all
 * others are right. Exit code 0, or 1 when a file was not read. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <mp/context.h>
#include <mp/pool.h>
#include <mp/shared.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_BYTES (256 * 1024)

struct file {
    char *path;   /* in the shared heap, so that every worker can read it */
    bool crashes; /* its worker kills itself */
};

struct sum {
    uint32_t crc;  /* of the contents */
    uint64_t size; /* bytes read */
};

struct options {
    mp_start_method method; /* of the workers */
    int workers;            /* 0: one for each processor */
    size_t crash;           /* number of the file, 0: none */
    const char *directory;  /* where to begin */
};

/* ---- CRC-32 as in zlib, eight bytes at a time ---- */

static uint32_t crc_table[8][256];

static void make_crc_table(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
        crc_table[0][i] = crc;
    }
    for (int k = 1; k < 8; k++)
        for (uint32_t i = 0; i < 256; i++)
            crc_table[k][i] = crc_table[k - 1][i] >> 8 ^ crc_table[0][crc_table[k - 1][i] & 255];
}

static uint32_t load_le32(const unsigned char *p) {
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t update_crc(uint32_t crc, const unsigned char *p, size_t size) {
    crc = ~crc;
    for (; size >= 8; p += 8, size -= 8) {
        uint32_t low = crc ^ load_le32(p), high = load_le32(p + 4);
        crc = crc_table[7][low & 255] ^ crc_table[6][low >> 8 & 255] ^
              crc_table[5][low >> 16 & 255] ^ crc_table[4][low >> 24] ^ crc_table[3][high & 255] ^
              crc_table[2][high >> 8 & 255] ^ crc_table[1][high >> 16 & 255] ^
              crc_table[0][high >> 24];
    }
    for (; size > 0; size--)
        crc = crc >> 8 ^ crc_table[0][(crc ^ *p++) & 255];
    return ~crc;
}

/* ---- in the workers ---- */

/* Once per worker: the table, and a buffer that all its tasks use. */
static int begin_worker(void *arg, size_t arg_size, void **state) {
    (void)arg, (void)arg_size;
    make_crc_table();
    *state = malloc(BUFFER_BYTES);
    return *state ? 0 : -ENOMEM;
}

/* 0, or -errno as this file's code. */
static int sum_file(const void *item, void *result, void *state) {
    const struct file *file = item;
    struct sum sum = {0};
    ssize_t got;
    if (file->crashes)
        raise(SIGKILL);
    int descriptor = open(file->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (descriptor < 0)
        return -errno;
    while ((got = read(descriptor, state, BUFFER_BYTES)) > 0) {
        sum.crc = update_crc(sum.crc, state, (size_t)got);
        sum.size += (uint64_t)got;
    }
    int code = got < 0 ? -errno : 0;
    close(descriptor);
    *(struct sum *)result = sum;
    return code;
}

/* ---- in the parent ---- */

static struct {
    struct file *files; /* in the shared heap */
    size_t count;       /* of them */
    size_t room;        /* for so many */
} tree;

static int note_file(const char *path, const struct stat *status, int type, struct FTW *where) {
    (void)where;
    if (type == FTW_DNR || type == FTW_NS)
        fprintf(stderr, "tree_checksum: %s: cannot be read\n", path);
    if (type != FTW_F || !S_ISREG(status->st_mode))
        return 0;
    if (tree.count == tree.room) {
        tree.room = tree.room ? 2 * tree.room : 1024;
        struct file *files = mp_shared_realloc(tree.files, tree.room * sizeof *files);
        if (!files)
            return -1;
        tree.files = files;
    }
    size_t size = strlen(path) + 1;
    char *copy = mp_shared_alloc(size);
    if (!copy)
        return -1;
    tree.files[tree.count++] = (struct file){.path = memcpy(copy, path, size)};
    return 0;
}

static int compare_files(const void *a, const void *b) {
    return strcmp(((const struct file *)a)->path, ((const struct file *)b)->path);
}

static void free_tree(void) {
    for (size_t i = 0; i < tree.count; i++)
        mp_shared_free(tree.files[i].path);
    mp_shared_free(tree.files);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Seconds that the pool takes, -1: it failed as a whole. */
static double sum_by_pool(mp_pool *pool, struct sum *sums, int *codes) {
    double begin = now();
    mp_map_options options = {.chunk = 4, .codes = codes};
    int code = mp_pool_map(pool, sum_file, tree.files, tree.count, sizeof *tree.files, sums,
                           sizeof *sums, &options);
    if (code < 0 && code != MP_ETASK && code != MP_EWORKER)
        return fprintf(stderr, "tree_checksum: %s\n", mp_error_detail()), -1;
    if (code == MP_EWORKER)
        fprintf(stderr, "tree_checksum: %s\n", mp_error_detail());
    return now() - begin;
}

/* Seconds that this process alone takes. */
static double sum_alone(struct sum *sums) {
    double begin = now();
    void *state = NULL;
    if (begin_worker(NULL, 0, &state) < 0)
        return -1;
    for (size_t i = 0; i < tree.count; i++)
        (void)sum_file(&tree.files[i], &sums[i], state);
    free(state);
    return now() - begin;
}

static int print_sums(const struct sum *sums, const int *codes) {
    int failures = 0;
    for (size_t i = 0; i < tree.count; i++) {
        if (codes[i] == 0)
            printf("%08" PRIx32 " %" PRIu64 " %s\n", sums[i].crc, sums[i].size, tree.files[i].path);
        else
            fprintf(stderr, "tree_checksum: %s: %s\n", tree.files[i].path, mp_strerror(codes[i]));
        failures += codes[i] != 0;
    }
    return failures;
}

/* The first pass gives the sums, and brings the files into memory; then one process and the pool
 * are timed under the same conditions. */
static int run(mp_pool *pool, const struct options *options) {
    struct sum *sums = calloc(tree.count + 1, sizeof *sums);
    int *codes = calloc(tree.count + 1, sizeof *codes), failures = -1;
    uint64_t bytes = 0;
    if (options->crash > 0 && options->crash <= tree.count)
        tree.files[options->crash - 1].crashes = true;
    if (sums && codes && sum_by_pool(pool, sums, codes) >= 0) {
        failures = print_sums(sums, codes);
        for (size_t i = 0; i < tree.count; i++) {
            bytes += codes[i] == 0 ? sums[i].size : 0;
            tree.files[i].crashes = false;
        }
        double alone = sum_alone(sums), together = sum_by_pool(pool, sums, codes);
        fprintf(stderr, "%zu files, %" PRIu64 " bytes, %.3f seconds, speed-up %.2f\n", tree.count,
                bytes, together, together > 0 ? alone / together : 0);
    }
    free(sums);
    free(codes);
    return failures == 0 ? 0 : 1;
}

static int parse(struct options *out, int argc, char **argv) {
    *out = (struct options){.directory = "/usr/include"};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strncmp(argv[i], "--", 2) != 0) {
            out->directory = argv[i];
            continue;
        }
        if (strcmp(argv[i], "--method") == 0 && mp_start_method_from_name(value))
            out->method = mp_start_method_from_name(value);
        else if (strcmp(argv[i], "--workers") == 0 && atoi(value) > 0)
            out->workers = atoi(value);
        else if (strcmp(argv[i], "--crash") == 0 && atoi(value) > 0)
            out->crash = (size_t)atoi(value);
        else
            return -1;
        i++;
    }
    return 0;
}

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    struct options options;
    if (parse(&options, argc, argv) < 0)
        return fprintf(stderr,
                       "usage: %s [--method fork|spawn|forkserver] [--workers N] "
                       "[--crash N] [directory]\n",
                       argv[0]),
               2;
    if (nftw(options.directory, note_file, 64, FTW_PHYS) != 0)
        return perror(options.directory), 2;
    if (tree.count > 0)
        qsort(tree.files, tree.count, sizeof *tree.files, compare_files);
    mp_pool *pool;
    mp_pool_options pool_options = {.processes = options.workers, .initializer = begin_worker};
    if (mp_pool_new(&pool, mp_get_context(options.method), &pool_options) < 0)
        return fprintf(stderr, "tree_checksum: %s\n", mp_error_detail()), 2;
    int code = run(pool, &options);
    mp_pool_free(pool);
    free_tree();
    return code;
}
