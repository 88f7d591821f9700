/* monte_carlo_pi.c: pi by throwing darts. Each worker has a random generator of its own, which an
 * initializer makes. SPDX-License-Identifier: MIT */
#include <mp/context.h>
#include <mp/pool.h>
#include <mp/pool_stats.h>
#include <stdint.h>
#include <stdio.h>

enum { ROUNDS = 200, DARTS = 100000 };

struct generator {
    uint64_t word; /* of xorshift64*: never 0 */
};

static double draw(struct generator *generator) {
    uint64_t word = generator->word;
    word ^= word >> 12;
    word ^= word << 25;
    word ^= word >> 27;
    generator->word = word;
    return (double)((word * UINT64_C(0x2545f4914f6cdd1d)) >> 11) / (double)(UINT64_C(1) << 53);
}

/* Once in each worker. `arg` is a copy of what the parent gave: one number, here of a seed. */
static int make_generator(void *arg, size_t arg_size, void **state) {
    static struct generator generator;
    if (arg_size != sizeof(uint64_t))
        return -1;
    generator.word = (*(uint64_t *)arg ^ (uintptr_t)&generator) | 1;
    *state = &generator;
    return 0;
}

/* The round's number leads the worker's generator away from those of the others. */
static int throw_darts(const void *item, void *result, void *state) {
    struct generator *generator = state;
    long hits = 0;
    generator->word += (uint64_t)(*(const int *)item + 1) * UINT64_C(0x9e3779b97f4a7c15);
    if (generator->word == 0)
        generator->word = 1;
    for (int i = 0; i < DARTS; i++) {
        double x = draw(generator), y = draw(generator);
        hits += x * x + y * y < 1;
    }
    *(long *)result = hits;
    return 0;
}

static void report(mp_pool *pool) {
    mp_worker_stats stats[64];
    int count = mp_pool_stats(pool, stats, 64);
    for (int i = 0; i < count && i < 64; i++)
        fprintf(stderr, "worker %d: %zu rounds, %.2f s of processor time\n", i, stats[i].tasks,
                stats[i].cpu_seconds);
}

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    static int rounds[ROUNDS];
    static long hits[ROUNDS];
    uint64_t seed = 20240607;
    mp_pool_options options = {
        .initializer = make_generator, .init_arg = &seed, .init_arg_size = sizeof seed};
    mp_pool *pool;
    if (mp_pool_new(&pool, NULL, &options) < 0)
        return fprintf(stderr, "%s\n", mp_error_detail()), 1;
    for (int i = 0; i < ROUNDS; i++)
        rounds[i] = i;
    int code = mp_pool_map(pool, throw_darts, rounds, ROUNDS, sizeof rounds[0], hits,
                           sizeof hits[0], &(mp_map_options){.chunk = 1, .progress_bar = true});
    if (code < 0)
        return fprintf(stderr, "%s\n", mp_error_detail()), 1;

    double sum = 0;
    for (int i = 0; i < ROUNDS; i++)
        sum += (double)hits[i];
    printf("%d darts: pi is about %.2f\n", ROUNDS * DARTS, 4 * sum / ROUNDS / DARTS);
    mp_pool_close(pool);
    mp_pool_join(pool, MP_FOREVER);
    report(pool);
    mp_pool_free(pool);
    return 0;
}
