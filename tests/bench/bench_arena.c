/* How much of the arena things take: bytes of their blocks.
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "bench.h"
#include "mp/context.h"
#include "mp/queue.h"
#include "mp/sync.h"
#include "shm/heap.h"

#define COUNT 1000 /* things of one kind, whose mean is told */
#define MESSAGES 1000000
#define MESSAGE_BYTES 64

static struct mp__heap_figures figures(void) {
    struct mp__heap_figures now;
    mp__heap_figures(&now);
    return now;
}

static double measure_queue(const void *subject) {
    (void)subject;
    static mp_queue *queues[COUNT];
    uint64_t before = figures().block_bytes;
    for (int i = 0; i < COUNT; i++)
        BENCH_CHECK(mp_queue_new(&queues[i], NULL, 0) == 0);
    double bytes = (double)(figures().block_bytes - before) / COUNT;
    for (int i = 0; i < COUNT; i++)
        mp_queue_free(queues[i]);
    return bytes;
}

static double measure_lock(const void *subject) {
    (void)subject;
    static mp_lock *locks[COUNT];
    uint64_t before = figures().block_bytes;
    for (int i = 0; i < COUNT; i++)
        BENCH_CHECK(mp_lock_new(&locks[i], NULL) == 0);
    double bytes = (double)(figures().block_bytes - before) / COUNT;
    for (int i = 0; i < COUNT; i++)
        mp_lock_free(locks[i]);
    return bytes;
}

static double measure_event(const void *subject) {
    (void)subject;
    static mp_event *events[COUNT];
    uint64_t before = figures().block_bytes;
    for (int i = 0; i < COUNT; i++)
        BENCH_CHECK(mp_event_new(&events[i], NULL) == 0);
    double bytes = (double)(figures().block_bytes - before) / COUNT;
    for (int i = 0; i < COUNT; i++)
        mp_event_free(events[i]);
    return bytes;
}

/* Of all that the arena uses, for each byte that was put. */
static double measure_messages(const void *subject) {
    (void)subject;
    char message[MESSAGE_BYTES];
    long count = bench_is_smoke() ? MESSAGES / 10 : MESSAGES;
    mp_queue *queue;
    memset(message, 1, sizeof message);
    BENCH_CHECK(mp_queue_new(&queue, NULL, 0) == 0);
    uint64_t before = figures().used_bytes;
    for (long i = 0; i < count; i++)
        BENCH_CHECK(mp_queue_put(queue, message, sizeof message, MP_FOREVER) == 0);
    double bytes = (double)(figures().used_bytes - before) / (double)(count * MESSAGE_BYTES);
    mp_queue_free(queue);
    return bytes;
}

static const struct bench_contender empty[] = {
    {"libmp queue", measure_queue, NULL},
    {"libmp Lock", measure_lock, NULL},
    {"libmp Event", measure_event, NULL},
};
static const struct bench_contender full[] = {{"libmp queue", measure_messages, NULL}};

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    bench_options(argc, argv);
    bench_run("arena, an empty one", "B", empty, BENCH_COUNT(empty), 1);
    bench_run("arena, 10^6 messages of 64 B", "x their bytes", full, BENCH_COUNT(full), 1);
    return 0;
}
